//! Parties and keys as of the last executed block: who may sign now.

use std::collections::HashMap;

use crate::authority::{self, KeyView, PartyView};
use crate::error::{Code, Rejection};
use crate::transaction::Transaction;

/// Every party and key, taken from their records.
#[derive(Debug, Default)]
pub struct Authorities {
    parties: HashMap<Box<str>, PartyView>,
    keys: HashMap<Box<str>, KeyView>,
}

impl Authorities {
    /// The key of that id, ended or not.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&KeyView> {
        self.keys.get(id)
    }

    /// Kinds and ids of all parties and keys, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parties.keys().map(|id| ("party", &**id)).chain(self.keys.keys().map(|id| ("key", &**id)))
    }

    /// Takes note of a record that was written, if it is a party's or a key's.
    ///
    /// # Errors
    /// The record is not as `docs/format.md` section 5.2 says.
    pub fn note(&mut self, kind: &str, id: &str, record: &[u8]) -> Result<(), String> {
        match kind {
            "party" => {
                let view = authority::parse_party(record).map_err(|e| format!("party {id}: {e}"))?;
                self.parties.insert(id.into(), view);
            }
            "key" => {
                let view = authority::parse_key(record).map_err(|e| format!("key {id}: {e}"))?;
                self.keys.insert(id.into(), view);
            }
            _ => {}
        }
        Ok(())
    }

    /// Judges the signatures of a transaction by section 3.3; for each of `by`, whether only a service key signed.
    ///
    /// # Errors
    /// Unknown or ended key, missing or superfluous signature.
    pub fn judge(&self, transaction: &Transaction) -> Result<Vec<bool>, Rejection> {
        let by: Vec<&str> = transaction.by.iter().map(|p| &**p).collect();
        let keys: Vec<&str> = transaction.signatures.iter().map(|s| &*s.key).collect();
        authority::judge(&by, &keys, |party| self.parties.get(party), |key| self.keys.get(key))
            .map(|judged| judged.service)
            .map_err(|error| rejection(&error))
    }
}

fn rejection(error: &authority::AuthorityError) -> Rejection {
    use authority::AuthorityError as E;
    let (code, advice) = match error {
        E::UnknownParty { .. } => {
            (Code::UnknownKey, "the registrar enrols a party before it signs; a change takes effect in the next block")
        }
        E::UnknownKey { .. } => {
            (Code::UnknownKey, "sign with a key that is enrolled; a change takes effect in the next block")
        }
        E::EndedKey { .. } => (Code::UnknownKey, "sign with the key that replaced it"),
        E::Superfluous { .. } | E::ServiceAmongOthers { .. } | E::TooMany { .. } => (
            Code::SuperfluousSignature,
            "exactly the parties of header.by sign, each with as many keys as its threshold",
        ),
        E::Missing { .. } | E::SameHolder { .. } | E::OneSided { .. } => (
            Code::MissingSignature,
            "each party of header.by signs with as many keys of as many holders as its threshold, makers and checkers",
        ),
        E::NotCanonical(_) | E::Member { .. } => (Code::InternalError, "a party's or key's record is damaged"),
    };
    Rejection::new(code, error.to_string(), advice)
}
