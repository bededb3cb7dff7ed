//! Who signed enough: the rule of `docs/format.md` section 3.3, as one pure function for the ledger and for receipts.
//!
//! It reads records of parties and keys, and judges which keys signed. It verifies no signature, reads no state and
//! has no opinion on what was signed. It refuses a signature too many just as one too few: what a party signs is
//! settled by its own threshold, and nobody adds weight to it.

use std::sync::Arc;

use crate::canonical::{CanonicalError, DEPTH_MAX, Value};
use crate::encoding::unbase64;
use crate::signature::{self, PublicKey};
use crate::transaction::SIGNATURES_MAX;

/// What a key may do in its party's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Prepares; from a threshold of two, somebody else must check.
    Maker,
    /// Checks what a maker prepared.
    Checker,
    /// Either.
    Any,
    /// An unattended machine, which signs alone or not at all.
    Service,
}

impl Duty {
    fn named(name: &str) -> Option<Self> {
        match name {
            "maker" => Some(Self::Maker),
            "checker" => Some(Self::Checker),
            "any" => Some(Self::Any),
            "service" => Some(Self::Service),
            _ => None,
        }
    }

    /// The word in a key's record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Checker => "checker",
            Self::Any => "any",
            Self::Service => "service",
        }
    }
}

/// What the rule asks of a party's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyView {
    /// How many holders must sign, 1 to 16.
    pub threshold: u32,
}

/// What the rule asks of a key's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The key's id: its party's, `/`, and a number.
    pub id: Box<str>,
    /// The party for which it signs.
    pub party: Box<str>,
    /// Who holds it: two keys of one holder count once.
    pub holder: Box<str>,
    /// What it may do.
    pub duty: Duty,
    /// The public key with its suite.
    pub public_key: Arc<PublicKey>,
    /// Whether it signs no more.
    pub ended: bool,
}

/// Why a record, or the signatures of a transaction, are refused; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A record that is not canonical JSON.
    #[error("the record is {0}")]
    NotCanonical(#[from] CanonicalError),
    /// A member of a record that is missing or wrong.
    #[error("the record's member {member:?} is {found}, expected {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What it is.
        found: String,
        /// What it could be.
        expected: &'static str,
    },
    /// More signatures than a transaction may carry.
    #[error("{found} keys signed, expected at most {SIGNATURES_MAX}")]
    TooMany {
        /// Keys that signed.
        found: usize,
    },
    /// A party that is to sign and is not enrolled.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Its id.
        party: String,
    },
    /// A key that signed and is not enrolled.
    #[error("there is no key {key}")]
    UnknownKey {
        /// Its id.
        key: String,
    },
    /// A key that signed after it was ended.
    #[error("the key {key} has ended")]
    EndedKey {
        /// Its id.
        key: String,
    },
    /// Too few keys of a party signed.
    #[error("{found} keys signed for {party}, expected {needed}")]
    Missing {
        /// The party.
        party: String,
        /// Its threshold.
        needed: u32,
        /// Keys that signed for it.
        found: usize,
    },
    /// Too many keys of a party signed, or keys of a party that is not to sign.
    #[error("{found} keys signed for {party}, expected {needed}")]
    Superfluous {
        /// The party.
        party: String,
        /// Its threshold; 0 for a party that is not to sign.
        needed: u32,
        /// Keys that signed for it.
        found: usize,
    },
    /// A machine signed beside people.
    #[error("a service key signed for {party} beside other keys, expected that it signs alone or not at all")]
    ServiceAmongOthers {
        /// The party.
        party: String,
    },
    /// Two keys of one holder signed.
    #[error("{holder} signed twice for {party}, expected as many holders as keys")]
    SameHolder {
        /// The party.
        party: String,
        /// The holder.
        holder: String,
    },
    /// Everybody who signed is on one side.
    #[error("all keys that signed for {party} have the duty {duty:?}, not makers and checkers", duty = duty.name())]
    OneSided {
        /// The party.
        party: String,
        /// The duty that all have.
        duty: Duty,
    },
}

/// That the signatures satisfy the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// For each of `by`, whether only a service key signed.
    pub service: Vec<bool>,
}

fn wrong<T>(member: &'static str, found: Option<&Value<'_>>, expected: &'static str) -> Result<T, AuthorityError> {
    let found = match found {
        None => "missing".to_owned(),
        Some(value) => String::from_utf8_lossy(&value.to_bytes().unwrap_or_default()).into_owned(),
    };
    Err(AuthorityError::Member { member, found, expected })
}

fn text<'a>(record: &'a Value<'_>, member: &'static str) -> Result<&'a str, AuthorityError> {
    let found = record.get(member);
    match found.and_then(Value::as_text) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => wrong(member, found, "a text that is not empty"),
    }
}

/// Reads a party's record; members that the rule does not ask for may be anything.
///
/// # Errors
/// `NotCanonical`; `Member` unless `threshold` is 1 to 16.
pub fn parse_party(record: &[u8]) -> Result<PartyView, AuthorityError> {
    let record = Value::parse(record, DEPTH_MAX)?;
    let found = record.get("threshold");
    match found.and_then(Value::as_count).and_then(|count| u32::try_from(count).ok()) {
        Some(threshold) if (1..=SIGNATURES_MAX).contains(&(threshold as usize)) => Ok(PartyView { threshold }),
        _ => wrong("threshold", found, "an integer from 1 to 16"),
    }
}

/// Reads a key's record; members that the rule does not ask for may be anything.
///
/// # Errors
/// `NotCanonical`; `Member` where one of `duty`, `ended_ms`, `holder`, `id`, `identity`, `party`, `public_key`, `suite`
/// is not what `docs/format.md` section 5.2 asks, or `id` is not one of `party`.
pub fn parse_key(record: &[u8]) -> Result<KeyView, AuthorityError> {
    let record = Value::parse(record, DEPTH_MAX)?;
    let Some(duty) = Duty::named(text(&record, "duty")?) else {
        return wrong("duty", record.get("duty"), "maker, checker, any or service");
    };
    let ended = record.get("ended_ms");
    if ended.is_some_and(|time| time.as_count().is_none()) {
        return wrong("ended_ms", ended, "a time in milliseconds");
    }
    let (id, party) = (text(&record, "id")?, text(&record, "party")?);
    if id.split_once('/').is_none_or(|(of, number)| of != party || !is_number(number)) {
        return wrong("id", record.get("id"), "the party's id, '/' and a number from 1");
    }
    let Some(suite) = signature::suite(text(&record, "suite")?) else {
        return wrong("suite", record.get("suite"), signature::SUITE_NAMES);
    };
    let bytes = unbase64(text(&record, "public_key")?).filter(|bytes| bytes.len() == suite.public_key_bytes());
    let Some(bytes) = bytes else {
        return wrong("public_key", record.get("public_key"), "Base64 of as many bytes as the suite's keys have");
    };
    let identity = record.get("identity").map(|_| text(&record, "identity")).transpose()?;
    let Ok(public_key) = PublicKey::new(suite.name(), &bytes, identity) else {
        return wrong("identity", record.get("identity"), "1 to 64 printable ASCII characters, in suite sm2 only");
    };
    Ok(KeyView {
        id: id.into(),
        party: party.into(),
        holder: text(&record, "holder")?.into(),
        duty,
        public_key: Arc::new(public_key),
        ended: ended.is_some(),
    })
}

/// Whether a text is a number from 1 in its one spelling.
fn is_number(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Judges whether signatures by `keys` are those that the parties in `by` need; `party` and `key` look up records.
///
/// The caller has verified, or will verify, each signature itself. `by` and `keys` hold nothing twice.
///
/// # Errors
/// `TooMany`, `UnknownKey`, `EndedKey`, `UnknownParty`, `Missing`, `Superfluous`, `ServiceAmongOthers`, `SameHolder`,
/// `OneSided`.
pub fn judge<'a>(
    by: &[&str],
    keys: &[&str],
    party: impl Fn(&str) -> Option<&'a PartyView>,
    key: impl Fn(&str) -> Option<&'a KeyView>,
) -> Result<Judged, AuthorityError> {
    let mut found: [Option<&KeyView>; SIGNATURES_MAX] = [None; SIGNATURES_MAX];
    if keys.len() > SIGNATURES_MAX {
        return Err(AuthorityError::TooMany { found: keys.len() });
    }
    for (place, &id) in found.iter_mut().zip(keys) {
        let view = key(id).ok_or_else(|| AuthorityError::UnknownKey { key: id.to_owned() })?;
        if view.ended {
            return Err(AuthorityError::EndedKey { key: id.to_owned() });
        }
        *place = Some(view);
    }
    let signed = || found.iter().copied().flatten();
    if let Some(stranger) = signed().find(|view| !by.contains(&&*view.party)) {
        let found = signed().filter(|view| view.party == stranger.party).count();
        return Err(AuthorityError::Superfluous { party: stranger.party.to_string(), needed: 0, found });
    }
    let mut service = Vec::with_capacity(by.len());
    for &id in by {
        let view = party(id).ok_or_else(|| AuthorityError::UnknownParty { party: id.to_owned() })?;
        service.push(judge_party(id, view.threshold, || signed().filter(|view| *view.party == *id))?);
    }
    Ok(Judged { service })
}

/// Judges one party's keys; gives whether a service key signed alone.
fn judge_party<'a, I>(party: &str, needed: u32, keys: impl Fn() -> I) -> Result<bool, AuthorityError>
where
    I: Iterator<Item = &'a KeyView> + Clone,
{
    let named = || party.to_owned();
    let found = keys().count();
    if keys().any(|key| key.duty == Duty::Service) {
        return if found == 1 { Ok(true) } else { Err(AuthorityError::ServiceAmongOthers { party: named() }) };
    }
    if found < needed as usize {
        return Err(AuthorityError::Missing { party: named(), needed, found });
    }
    if found > needed as usize {
        return Err(AuthorityError::Superfluous { party: named(), needed, found });
    }
    let mut rest = keys();
    while let Some(key) = rest.next() {
        if rest.clone().any(|other| other.holder == key.holder) {
            return Err(AuthorityError::SameHolder { party: named(), holder: key.holder.to_string() });
        }
    }
    if needed >= 2 {
        for duty in [Duty::Maker, Duty::Checker] {
            if keys().all(|key| key.duty == duty) {
                return Err(AuthorityError::OneSided { party: named(), duty });
            }
        }
    }
    Ok(false)
}
