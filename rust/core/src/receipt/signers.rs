//! Step 6 of verifying a receipt: did these keys sign, and is that what the parties asked for?
//!
//! Keys and parties are believed only as the state of the block before has them, and that block only because the
//! shown block names its hash. The rule itself is `authority::judge`.

use super::inner::{Block, EntryPart, RecordPart, SignersPart};
use super::{ReceiptError, Signers};
use crate::authority::{self, KeyView, PartyView};
use crate::block;
use crate::canonical;
use crate::encoding::unbase64;
use crate::error::Rejection;
use crate::hash::{Hash, HashSuite};
use crate::signature::SignatureError;
use crate::state_map::{record_key, record_value, verify_presence};
use crate::transaction::{InOrder, SIGNATURES_MAX};

/// One signature of an entry.
struct Signed<'a> {
    key: &'a str,
    signature: Vec<u8>,
}

pub(super) fn judge(
    suite: &dyn HashSuite,
    shown: &Block<'_>,
    entry: &EntryPart<'_>,
    part: &SignersPart<'_>,
) -> Result<Signers, ReceiptError> {
    check_block(shown, &part.block)?;
    let signed = signatures(entry.view.signatures)?;
    let mut parties: Vec<&str> = entry.header.by.clone();
    parties.sort_unstable();
    check_names(&signed, &parties, &part.records)?;
    for (record, siblings) in &part.records {
        check_state(suite, &part.block.header.state, record, siblings)?;
    }
    let (of_keys, of_parties) = part.records.split_at(signed.len());
    let keys: Vec<KeyView> =
        of_keys.iter().map(|(record, _)| authority::parse_key(record.record)).collect::<Result<_, _>>()?;
    let views: Vec<PartyView> =
        of_parties.iter().map(|(record, _)| authority::parse_party(record.record)).collect::<Result<_, _>>()?;
    let names: Vec<&str> = signed.iter().map(|one| one.key).collect();
    // A record under the name of a key that calls itself by another name is no key of that name.
    let key =
        |id: &str| keys.iter().zip(&names).find(|(view, name)| **name == id && *view.id == *id).map(|(view, _)| view);
    let party = |id: &str| parties.iter().position(|name| *name == id).and_then(|place| views.get(place));
    let judged = authority::judge(&entry.header.by, &names, party, key)?;
    for (one, view) in signed.iter().zip(&keys) {
        verify(one, view, entry.view.header)
            .map_err(|cause| ReceiptError::Signature { key: one.key.to_owned(), cause })?;
    }
    let service = entry.header.by.iter().zip(judged.service).filter(|(_, alone)| *alone);
    Ok(Signers::Judged {
        keys: names.iter().map(|&name| name.to_owned()).collect(),
        service: service.map(|(&party, _)| party.to_owned()).collect(),
    })
}

/// The signers' block is the one before the shown one.
fn check_block(shown: &Block<'_>, before: &Block<'_>) -> Result<(), ReceiptError> {
    let Some(expected) = shown.header.height.checked_sub(1) else {
        return Err(ReceiptError::SignersOfBlockZero);
    };
    let found = block::block_hash(before.bytes);
    if found != shown.header.previous {
        return Err(ReceiptError::SignersBlock { expected: shown.header.previous, found });
    }
    if before.header.height == expected {
        return Ok(());
    }
    Err(ReceiptError::SignersHeight { expected, found: before.header.height })
}

/// The records are those of the keys that signed, then those of the parties, and no others.
fn check_names(
    signed: &[Signed<'_>],
    parties: &[&str],
    records: &[(RecordPart<'_>, Vec<Hash>)],
) -> Result<(), ReceiptError> {
    let keys = signed.iter().map(|one| ("key", one.key));
    let wanted: Vec<(&str, &str)> = keys.chain(parties.iter().map(|&party| ("party", party))).collect();
    for place in 0..wanted.len().max(records.len()) {
        let expected = wanted.get(place).copied();
        let found = records.get(place).map(|(record, _)| (&*record.name.kind, record.name.id));
        if expected != found {
            let text = |name: Option<(&str, &str)>| {
                name.map_or_else(|| "none".to_owned(), |(kind, id)| format!("{kind} {id}"))
            };
            return Err(ReceiptError::SignersRecord { place, expected: text(expected), found: text(found) });
        }
    }
    Ok(())
}

fn check_state(
    suite: &dyn HashSuite,
    state: &Hash,
    record: &RecordPart<'_>,
    siblings: &[Hash],
) -> Result<(), ReceiptError> {
    let (kind, id) = (&*record.name.kind, record.name.id);
    let key = record_key(suite, kind, id);
    let value = record_value(suite, &record.salt, record.record);
    verify_presence(suite, state, &key, &value, siblings).map_err(|cause| ReceiptError::SignersState {
        kind: kind.to_owned(),
        id: id.to_owned(),
        cause,
    })
}

fn verify(one: &Signed<'_>, view: &KeyView, message: &[u8]) -> Result<(), SignatureError> {
    view.public_key.verify(&one.signature, message)
}

/// Reads the signatures of an entry, as `docs/format.md` section 3.3 has them.
fn signatures(text: &[u8]) -> Result<Vec<Signed<'_>>, ReceiptError> {
    let mut signed: Vec<Signed<'_>> = Vec::new();
    for range in canonical::elements(text, 2)? {
        let element = &text[range];
        let members = canonical::members(element, 1)?;
        let mut reader = InOrder { of: "signature", members: members.into_iter(), text: element };
        let key = reader.plain("key", |key| key.contains('/'), "party, / and the key's number")?;
        let bytes = unbase64(reader.plain("signature", |_| true, "Base64")?);
        reader.end()?;
        let signature =
            bytes.ok_or_else(|| Rejection::malformed(format!("the signature of {key}"), "strict Base64"))?;
        if signed.last().is_some_and(|last| last.key >= key) {
            return Err(Rejection::malformed("the signatures are not in order", "sorted by key, none twice").into());
        }
        signed.push(Signed { key, signature });
    }
    if (1..=SIGNATURES_MAX).contains(&signed.len()) {
        return Ok(signed);
    }
    Err(Rejection::malformed(format!("{} signatures", signed.len()), "1 to 16 of them").into())
}
