//! Verifies a receipt, in the seven steps and the order of `docs/format.md` section 6.
//!
//! It reads no storage, no clock and no network. What it gives back is either all proven or, as for signatures that
//! a receipt does not carry, said to be not.

use std::collections::HashSet;

use rayon::prelude::*;

use super::inner::{Block, EntryPart, Form, Inner, InstructionPart, Name, RecordPart};
use super::{Outcome, Receipt, ReceiptError, Signers, Trust, Verified, What, signers};
use crate::block;
use crate::canonical::{self, DOCUMENT_DEPTH_MAX};
use crate::checkpoint::{Checkpoint, CheckpointError, verify_cosignature, verify_signed};
use crate::cores::on_all_cores;
use crate::hash::{Hash, HashSuite, Purpose, Rfc9162};
use crate::merkle::verify_inclusion;
use crate::note::{Note, NoteError, VerifierKey};
use crate::state_map::{record_key, record_value, state_leaf, verify_absence, verify_presence};
use crate::transaction::Mode;

/// Verifies a receipt and says what it shows.
///
/// # Errors
/// The first thing that is not as it should be, one variant of [`ReceiptError`] for each.
pub fn verify(bytes: &[u8], trust: &Trust) -> Result<Verified, ReceiptError> {
    check_trust(trust)?;
    verify_under(&mut None, bytes, trust)
}

/// Verifies receipts on all cores, each as [`verify`] does, and gives what each shows, in their order. The checkpoint
/// of several in a row is judged once.
///
/// # Errors
/// `NoLogKey` and `NoWitnessPolicy`, which are no receipt's fault.
pub fn verify_all<B: AsRef<[u8]> + Sync>(
    receipts: &[B],
    trust: &Trust,
) -> Result<Vec<Result<Verified, ReceiptError>>, ReceiptError> {
    /// What one core takes at least, so that a checkpoint costs little beside its receipts.
    const TOGETHER: usize = 32;
    check_trust(trust)?;
    Ok(on_all_cores(|| {
        let receipts = receipts.par_iter().with_min_len(TOGETHER);
        receipts.map_init(|| None, |judged, bytes| verify_under(judged, bytes.as_ref(), trust)).collect()
    }))
}

/// A note that is signed and witnessed as was asked, and what it says.
struct Judged {
    note: Vec<u8>,
    checkpoint: Checkpoint,
    witnessed_by: Vec<(String, u64)>,
}

/// Verifies a receipt whose note may be the one that was judged last; else that of this receipt takes its place.
fn verify_under(judged: &mut Option<Judged>, bytes: &[u8], trust: &Trust) -> Result<Verified, ReceiptError> {
    let receipt = Receipt::parse(bytes)?;
    canonical::check(&receipt.inner, DOCUMENT_DEPTH_MAX)?;
    let judged = if let Some(same) = judged.take().filter(|judged| judged.note == receipt.note) {
        judged.insert(same)
    } else {
        let (checkpoint, witnessed_by) = verify_note(&Note::parse(&receipt.note)?, trust)?;
        judged.insert(Judged { note: receipt.note.clone(), checkpoint, witnessed_by })
    };
    let inner = Inner::parse(&receipt.inner)?;
    verify_block(&receipt, &inner.block, &judged.checkpoint)?;
    let (what, signers) = verify_form(&inner)?;
    let header = inner.block.header;
    let (ledger, height, time_ms) = (header.ledger, header.height, header.time_ms);
    let (Checkpoint { size, root_hash, .. }, witnessed_by) = (&judged.checkpoint, judged.witnessed_by.clone());
    Ok(Verified { ledger, height, time_ms, size: *size, root_hash: *root_hash, witnessed_by, what, signers })
}

/// Verifies a checkpoint alone: what it says, and the name and Unix time in seconds of each witness that cosigned.
///
/// # Errors
/// As [`verify`], as far as it speaks of the note.
pub fn verify_checkpoint(note: &[u8], trust: &Trust) -> Result<(Checkpoint, Vec<(String, u64)>), ReceiptError> {
    check_trust(trust)?;
    verify_note(&Note::parse(note)?, trust)
}

fn check_trust(trust: &Trust) -> Result<(), ReceiptError> {
    if trust.log_keys.is_empty() {
        return Err(ReceiptError::NoLogKey);
    }
    if trust.witnesses_needed == 0 && !trust.operator_alone {
        return Err(ReceiptError::NoWitnessPolicy);
    }
    Ok(())
}

/// Step 2: a trusted key signed a checkpoint of its own log, and enough witnesses cosigned it.
fn verify_note(note: &Note, trust: &Trust) -> Result<(Checkpoint, Vec<(String, u64)>), ReceiptError> {
    let signed = verify_signed(note, &trust.log_keys)?;
    let checkpoint = signed.ok_or(ReceiptError::NotSigned { trusted: trust.log_keys.len() })?;
    let witnessed_by = cosigned(note, &checkpoint, trust)?;
    if witnessed_by.len() < trust.witnesses_needed {
        let (needed, found) = (trust.witnesses_needed, witnessed_by.len());
        return Err(ReceiptError::TooFewWitnesses { needed, found });
    }
    Ok((checkpoint, witnessed_by))
}

/// The known witnesses that cosigned. A name and a public key count once each, however often they are configured, and
/// those of the log not at all: it is no witness of itself, although by ML-DSA-44 it signs as witnesses do.
fn cosigned(note: &Note, checkpoint: &Checkpoint, trust: &Trust) -> Result<Vec<(String, u64)>, ReceiptError> {
    let of_log = trust.log_keys.iter().filter(|key| key.name() == checkpoint.origin);
    let (mut names, mut keys) = (HashSet::from([checkpoint.origin.as_str()]), HashSet::new());
    keys.extend(of_log.map(VerifierKey::public_key));
    let mut found = Vec::new();
    for witness in &trust.witnesses {
        match verify_cosignature(note, witness) {
            Ok(time_s) => {
                let new = !names.contains(witness.name()) && !keys.contains(witness.public_key());
                if new {
                    names.insert(witness.name());
                    keys.insert(witness.public_key());
                    found.push((witness.name().to_owned(), time_s));
                }
            }
            Err(CheckpointError::Note(NoteError::NotSigned { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Step 3: the block is in the log that the checkpoint commits to, at its height.
fn verify_block(receipt: &Receipt, block: &Block<'_>, checkpoint: &Checkpoint) -> Result<(), ReceiptError> {
    if block.origin() != checkpoint.origin {
        let (expected, found) = (checkpoint.origin.clone(), block.header.ledger.clone());
        return Err(ReceiptError::OriginDiffers { expected, found });
    }
    let height = block.header.height;
    if receipt.index != height {
        return Err(ReceiptError::IndexDiffers { expected: height, found: receipt.index });
    }
    let leaf = block::block_hash(block.bytes);
    verify_inclusion(&Rfc9162, &leaf, height, checkpoint.size, &receipt.path, &checkpoint.root_hash)
        .map_err(ReceiptError::BlockPath)
}

/// Steps 4 to 6: what is shown is in the block.
fn verify_form(inner: &Inner<'_>) -> Result<(What, Signers), ReceiptError> {
    let (suite, block) = (inner.suite, &inner.block);
    match &inner.form {
        Form::Record { record, siblings } => {
            let (key, value) = (key_of(suite, &record.name), record_value(suite, &record.salt, record.record));
            verify_presence(suite, &block.header.state, &key, &value, siblings)?;
            let (kind, id) = owned(&record.name);
            Ok((What::Record { kind, id, record: record.record.to_vec() }, Signers::NotJudged))
        }
        Form::Absence { name, siblings, end } => {
            verify_absence(suite, &block.header.state, &key_of(suite, name), siblings, end)?;
            let (kind, id) = owned(name);
            Ok((What::Absence { kind, id }, Signers::NotJudged))
        }
        Form::Change { entry, record, index, path } => {
            verify_entry(suite, block, entry)?;
            let leaf = leaf_of(suite, record);
            verify_inclusion(suite, &leaf, *index, u64::from(entry.view.writes), path, &entry.view.changes)
                .map_err(ReceiptError::ChangePath)?;
            let (kind, id) = owned(&record.name);
            let (transaction, entry_index) = (transaction_of(suite, entry), entry.index);
            let record = record.record.to_vec();
            Ok((What::Change { kind, id, record, transaction, entry_index }, Signers::NotJudged))
        }
        Form::Instruction { entry, instruction, signers } => {
            verify_entry(suite, block, entry)?;
            let what = verify_instruction(suite, entry, instruction)?;
            let signers = match signers {
                Some(part) => signers::judge(suite, block, entry, part)?,
                None => Signers::NotJudged,
            };
            Ok((what, signers))
        }
    }
}

fn verify_entry(suite: &dyn HashSuite, block: &Block<'_>, entry: &EntryPart<'_>) -> Result<(), ReceiptError> {
    if entry.header.ledger != block.header.ledger {
        let (expected, found) = (block.header.ledger.clone(), entry.header.ledger.to_owned());
        return Err(ReceiptError::EntryLedger { expected, found });
    }
    let leaf = block::entry_leaf(suite, entry.bytes);
    verify_inclusion(suite, &leaf, entry.index, block.header.entries, &entry.path, &block.header.root)
        .map_err(ReceiptError::EntryPath)
}

fn verify_instruction(
    suite: &dyn HashSuite,
    entry: &EntryPart<'_>,
    instruction: &InstructionPart<'_>,
) -> Result<What, ReceiptError> {
    let leaf = suite.hash(Purpose::Instruction, &[&instruction.salt, instruction.bytes]);
    let (index, count) = (u64::from(instruction.index), u64::from(entry.header.count));
    verify_inclusion(suite, &leaf, index, count, &instruction.path, &entry.header.root)
        .map_err(ReceiptError::InstructionPath)?;
    Ok(What::Instruction {
        instruction: instruction.bytes.to_vec(),
        index: instruction.index,
        transaction: transaction_of(suite, entry),
        entry_index: entry.index,
        by: entry.header.by.iter().map(|&party| party.to_owned()).collect(),
        outcome: outcome(entry, instruction.index),
    })
}

fn outcome(entry: &EntryPart<'_>, index: u32) -> Outcome {
    let refused = &entry.view.refused;
    let (own, other) = (refused.iter().find(|one| one.instruction == index), refused.first());
    match (own, other) {
        (Some(own), _) => Outcome::Refused { code: own.code.to_string() },
        (None, Some(other)) if entry.header.mode == Mode::All => {
            Outcome::HeldBack { code: other.code.to_string(), instruction: other.instruction }
        }
        (None, _) => Outcome::Applied,
    }
}

fn transaction_of(suite: &dyn HashSuite, entry: &EntryPart<'_>) -> Hash {
    suite.hash(Purpose::Transaction, &[entry.view.header])
}

fn key_of(suite: &dyn HashSuite, name: &Name<'_>) -> Hash {
    record_key(suite, &name.kind, name.id)
}

fn leaf_of(suite: &dyn HashSuite, record: &RecordPart<'_>) -> Hash {
    state_leaf(suite, &key_of(suite, &record.name), &record_value(suite, &record.salt, record.record))
}

fn owned(name: &Name<'_>) -> (String, String) {
    (name.kind.to_string(), name.id.to_owned())
}
