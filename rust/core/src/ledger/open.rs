//! Opening a block: height, time, and which of the checked transactions are in it.
//!
//! Here keys, thresholds and lanes are judged by the state after the block before, for a caller's transactions and for
//! stored blocks alike. Nothing is written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::check::{self, Checked, CheckedBlock, CheckedTransaction};
use super::lanes::{Next, Position};
use super::{Executor, Ledger, LedgerError, locked};
use crate::block::{BLOCK_BYTES_MAX, BlockHeader, Payload, Refusal};
use crate::error::{Code, Rejection};
use crate::hash::Hash;
use crate::transaction::{EXPIRY_MAX_MS, Transaction};

/// Most transactions of a block: what bounds its memory; a thousand already hide the cost of a sync.
pub const ENTRIES_MAX: usize = 16_384;

/// A transaction that was applied before: the answer is the first one's.
#[derive(Clone, Debug)]
pub struct Repeated {
    /// Index in the chunk.
    pub index: u32,
    /// Block of the first one.
    pub height: u64,
    /// Entry of the first one.
    pub entry: u32,
    /// Its id.
    pub id: Hash,
    /// Its refused instructions.
    pub refused: Vec<Refusal>,
}

/// An open block: what is to be executed.
#[derive(Debug)]
pub struct Opened {
    /// Height of the block.
    pub height: u64,
    /// Its time.
    pub time_ms: u64,
    /// Number of the rulebook that it is executed by.
    pub rulebook: u32,
    /// The chunk that it takes from.
    pub checked: Arc<Checked>,
    /// Indices of the transactions in the block, in order.
    pub taken: Vec<u32>,
    /// For each taken one and each of its `by`: whether only a service key signed.
    pub service: Vec<Vec<bool>>,
    /// Index of the first transaction that was not looked at.
    pub next: usize,
    /// Transactions that are not kept.
    pub rejected: Vec<(u32, Rejection)>,
    /// Transactions that were applied before.
    pub repeated: Vec<Repeated>,
    /// The stored block, where this is a replay.
    pub(super) stored: Option<Arc<StoredBlock>>,
}

/// A block as the log holds it.
#[derive(Debug)]
pub struct StoredBlock {
    /// Its payload.
    pub payload: Payload,
    /// Its header.
    pub header: BlockHeader,
    /// Where its frame lies.
    pub place: crate::log::Place,
}

impl Opened {
    /// The taken transaction at `position`.
    #[must_use]
    pub fn transaction(&self, position: usize) -> Option<&Transaction> {
        let index = *self.taken.get(position)? as usize;
        self.checked.items.get(index)?.as_ref().ok().map(|c| &c.transaction)
    }

    /// Every taken transaction.
    pub fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        (0..self.taken.len()).filter_map(|position| self.transaction(position))
    }
}

impl Ledger {
    /// Opens the next block at `time_ms` with transactions of the chunk from index `start` on.
    ///
    /// # Errors
    /// The ledger has failed or is closed; a transaction's own faults are in `rejected`.
    pub fn open_block(&self, checked: &Arc<Checked>, start: usize, time_ms: u64) -> Result<Opened, LedgerError> {
        self.shared.failure()?;
        self.refuse_for_copy("written")?;
        if locked(&self.jobs).is_none() {
            return Err(LedgerError::Closed);
        }
        let executor = self.executor();
        let time_ms = time_ms.max(executor.time_ms);
        let mut opened = Opened {
            height: executor.height,
            time_ms,
            rulebook: executor.rulebook,
            checked: Arc::clone(checked),
            taken: Vec::new(),
            service: Vec::new(),
            next: start,
            rejected: Vec::new(),
            repeated: Vec::new(),
            stored: None,
        };
        let mut lanes = OpenLanes::new(self);
        let mut bytes = 1_024;
        for (index, item) in checked.items.iter().enumerate().skip(start) {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let judged = match item {
                Err(rejection) => Err(rejection.clone()),
                Ok(checked) => {
                    bytes += payload_bytes_max(&checked.transaction);
                    if opened.taken.len() == ENTRIES_MAX || (bytes > BLOCK_BYTES_MAX && !opened.taken.is_empty()) {
                        break;
                    }
                    judge(checked, &executor, &opened, &mut lanes)
                }
            };
            match (judged, item) {
                (Ok(Verdict::Taken(service)), _) => {
                    opened.taken.push(number);
                    opened.service.push(service);
                }
                // The first one is in this very block: answer when it is sealed.
                (Ok(Verdict::UsedInThisBlock), _) => break,
                (Ok(Verdict::UsedBefore), Ok(checked)) => match self.first_of(&checked.transaction, executor.height)? {
                    Ok(first) => opened.repeated.push(Repeated { index: number, ..first }),
                    Err(rejection) => opened.rejected.push((number, rejection)),
                },
                (Err(rejection), _) => opened.rejected.push((number, rejection)),
                (Ok(Verdict::UsedBefore), Err(rejection)) => opened.rejected.push((number, rejection.clone())),
            }
            opened.next = index + 1;
        }
        Ok(opened)
    }

    /// The transaction with this lane and sequence in one of the `blocks` executed, if it says the same; else a
    /// conflict. The caller holds the executor.
    fn first_of(&self, transaction: &Transaction, blocks: u64) -> Result<Result<Repeated, Rejection>, LedgerError> {
        self.shared.wait_indexed(blocks)?;
        let (height, entry) = self
            .indexed_lane_place(&transaction.lane_id(), transaction.sequence)?
            .ok_or_else(|| self.condemned(super::lanes::unplaced(&transaction.lane_id(), transaction.sequence)))?;
        let stored = self.stored_block_cached(height)?;
        let (first, view) = stored
            .payload
            .transaction(entry as usize, self.suite)
            .map_err(|e| LedgerError::Tampered { height, message: e.to_string() })?;
        if (first.lane_id(), first.sequence) != (transaction.lane_id(), transaction.sequence) {
            let (sequence, lane) = (transaction.sequence, transaction.lane_id());
            return Err(
                self.condemned(format!("block {height}, entry {entry} is not sequence {sequence} of lane {lane}"))
            );
        }
        if first.same_content(transaction) {
            return Ok(Ok(Repeated { index: 0, height, entry, id: first.id, refused: view.refused }));
        }
        Ok(Err(Rejection::new(
            Code::Conflict,
            format!(
                "sequence {} of lane {} is taken by transaction {} (block {height}, entry {entry}) \
                 with another content",
                transaction.sequence,
                transaction.lane,
                crate::encoding::hex(&first.id)
            ),
            "use the next sequence of the lane; to repeat a transaction, send the same instructions",
        )))
    }

    /// Reads a stored block and checks its transactions, as [`Ledger::check`] does those of a chunk. That needs no
    /// order, and can be done while the blocks before it are executed.
    ///
    /// # Errors
    /// The block is not there, or damaged. What is wrong with a transaction is said when the block is opened.
    pub fn check_stored(&self, height: u64, verify_signatures: bool) -> Result<CheckedBlock, LedgerError> {
        let stored = self.stored_block(height)?;
        let name = if height == 0 { self.origin_name() } else { self.name() };
        let started = Instant::now();
        let transactions = check::parse_stored(&stored.payload, &name, self.suite);
        let parsed = Instant::now();
        let keys = if verify_signatures && height > 0 {
            check::known_keys(&transactions, &self.executor().authorities)
        } else {
            vec![Vec::new(); transactions.len()]
        };
        let checked = check::verify(transactions, keys);
        self.shared.add_times(&[("parse", parsed - started), ("verify", parsed.elapsed())]);
        Ok(CheckedBlock { stored, checked, verify_signatures })
    }

    /// Opens a stored block for replay: the same checks, with the stored height and time.
    ///
    /// `ahead` is what [`Ledger::check_stored`] made of it before. Another block there, or one with something wrong,
    /// which blocks since may have put right, is as none.
    ///
    /// # Errors
    /// The block is damaged, does not follow, or holds a transaction that could never have entered it.
    pub fn open_stored(
        &self,
        height: u64,
        verify_signatures: bool,
        ahead: Option<CheckedBlock>,
    ) -> Result<Opened, LedgerError> {
        self.shared.failure()?;
        let tampered = |message: String| LedgerError::Tampered { height, message };
        let is_it = |block: &CheckedBlock| {
            block.stored.header.height == height
                && block.verify_signatures == verify_signatures
                && block.checked.items.iter().all(Result::is_ok)
        };
        let CheckedBlock { stored, checked, .. } = match ahead.filter(is_it) {
            Some(block) => block,
            None => self.check_stored(height, verify_signatures)?,
        };
        let executor = self.executor();
        let name = if height == 0 { self.origin_name() } else { self.name() };
        judge_header(&stored.header, height, &name, &executor).map_err(tampered)?;
        let mut service = Vec::with_capacity(checked.items.len());
        let mut lanes = OpenLanes::new(self);
        for (index, item) in checked.items.iter().enumerate() {
            let checked = item.as_ref().map_err(|e| tampered(format!("entry {index}: {e}")))?;
            let transaction = &checked.transaction;
            let fault = |e: Rejection| tampered(format!("entry {index}: {e}"));
            judge_time(transaction, stored.header.time_ms).map_err(fault)?;
            judge_rulebook(transaction, stored.header.rulebook).map_err(fault)?;
            service.push(if height == 0 {
                vec![false; transaction.by.len()]
            } else if verify_signatures {
                judge_signatures(checked, &executor).map_err(fault)?
            } else {
                executor.authorities.judge(transaction).map_err(fault)?
            });
            match lanes.judge(transaction, &executor).map_err(fault)? {
                Next::Follows => lanes.take(transaction, &executor),
                Next::Used => return Err(tampered(format!("entry {index} uses a sequence twice"))),
            }
        }
        let count = checked.items.len();
        Ok(Opened {
            height,
            time_ms: stored.header.time_ms,
            rulebook: stored.header.rulebook,
            checked: Arc::new(checked),
            taken: (0..u32::try_from(count).unwrap_or(u32::MAX)).collect(),
            service,
            next: count,
            rejected: Vec::new(),
            repeated: Vec::new(),
            stored: Some(stored),
        })
    }
}

/// Whether a stored header is that of the block that follows; says why not.
pub(super) fn judge_header(header: &BlockHeader, height: u64, name: &str, executor: &Executor) -> Result<(), String> {
    if height != executor.height || header.height != height {
        return Err(format!("block {} where {} follows", header.height, executor.height));
    }
    if header.time_ms < executor.time_ms {
        return Err("its time is before that of the block before".into());
    }
    if height > 0 && header.rulebook != executor.rulebook {
        return Err(format!("it names rulebook {} where {} was in force", header.rulebook, executor.rulebook));
    }
    if header.ledger != name {
        return Err(format!("it belongs to the ledger {}", header.ledger));
    }
    Ok(())
}

/// Lanes that an open block has moved on.
struct OpenLanes<'a> {
    ledger: &'a Ledger,
    positions: HashMap<String, Position>,
    /// Lanes that the block began, by sender; once lanes are not counted.
    begun: HashMap<Box<str>, u32>,
}

impl<'a> OpenLanes<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        Self { ledger, positions: HashMap::new(), begun: HashMap::new() }
    }

    fn now(&self, lane_id: &str, executor: &Executor) -> Option<Position> {
        self.positions.get(lane_id).copied().or_else(|| self.ledger.lane_position(lane_id, executor))
    }

    /// What a transaction's sequence means for its lane, as this block has moved it on.
    fn judge(&self, transaction: &Transaction, executor: &Executor) -> Result<Next, Rejection> {
        let begun = self.begun.get(transaction.sender()).copied().unwrap_or(0);
        executor.lanes.judge(transaction, self.now(&transaction.lane_id(), executor), begun)
    }

    /// Moves the lane on.
    fn take(&mut self, transaction: &Transaction, executor: &Executor) {
        let lane_id = transaction.lane_id();
        if !transaction.is_once() && self.now(&lane_id, executor).is_none() {
            let begun = self.begun.entry(transaction.sender().into()).or_insert(0);
            *begun = begun.saturating_add(1);
        }
        self.positions.insert(lane_id, Position { sequence: transaction.sequence, transaction: transaction.id });
    }
}

/// What becomes of a transaction whose signatures, time and rulebook are right.
enum Verdict {
    /// It is in the block; for each of `by`, whether only a service key signed.
    Taken(Vec<bool>),
    /// Its sequence was used in an earlier block.
    UsedBefore,
    /// Its sequence was used earlier in this block.
    UsedInThisBlock,
}

/// Judges one transaction for an open block, and moves its lane on.
fn judge(
    checked: &CheckedTransaction,
    executor: &Executor,
    opened: &Opened,
    lanes: &mut OpenLanes<'_>,
) -> Result<Verdict, Rejection> {
    let transaction = &checked.transaction;
    // Block 0 is judged by the keys that it declares, once it is executed.
    let service =
        if opened.height == 0 { vec![false; transaction.by.len()] } else { judge_signatures(checked, executor)? };
    let next = lanes.judge(transaction, executor);
    match next {
        Ok(Next::Used) if lanes.positions.contains_key(&transaction.lane_id()) => return Ok(Verdict::UsedInThisBlock),
        // Before its time is judged: who asks a month later must learn that it was applied.
        Ok(Next::Used) => return Ok(Verdict::UsedBefore),
        Ok(Next::Follows) | Err(_) => {}
    }
    judge_time(transaction, opened.time_ms)?;
    judge_rulebook(transaction, opened.rulebook)?;
    next?;
    lanes.take(transaction, executor);
    Ok(Verdict::Taken(service))
}

/// Most bytes that a transaction can take in a payload: each instruction might be refused.
fn payload_bytes_max(transaction: &Transaction) -> usize {
    transaction.header().len()
        + transaction.signatures_text().len()
        + transaction.instructions().len()
        + 256
        + 110 * transaction.count()
}

fn judge_time(transaction: &Transaction, time_ms: u64) -> Result<(), Rejection> {
    if transaction.expires_ms < time_ms {
        return Err(Rejection::new(
            Code::Expired,
            format!("expired at {} ms, and the block's time is {time_ms} ms", transaction.expires_ms),
            "build and sign it again with a later expires_ms",
        ));
    }
    if transaction.expires_ms > time_ms.saturating_add(EXPIRY_MAX_MS) {
        return Err(Rejection::new(
            Code::Expired,
            format!("expires at {} ms, more than 30 days after the block's time {time_ms} ms", transaction.expires_ms),
            "an unsent transaction may stay valid for 30 days at most",
        ));
    }
    Ok(())
}

pub(super) fn judge_rulebook(transaction: &Transaction, rulebook: u32) -> Result<(), Rejection> {
    if transaction.rulebook == rulebook {
        return Ok(());
    }
    Err(Rejection::new(
        Code::WrongRulebook,
        format!("signed under rulebook {}", transaction.rulebook),
        format!("rulebook {rulebook} is in force"),
    ))
}

/// Judges keys and thresholds, and verifies again what was checked under another key or under none.
pub(super) fn judge_signatures(checked: &CheckedTransaction, executor: &Executor) -> Result<Vec<bool>, Rejection> {
    let service = executor.authorities.judge(&checked.transaction)?;
    for (position, signature) in checked.transaction.signatures.iter().enumerate() {
        let Some(key) = executor.authorities.key(&signature.key) else { continue };
        if checked.verified.get(position).and_then(Option::as_ref) == Some(&key.public_key) {
            continue;
        }
        let verified = key.public_key.verify(&signature.bytes, checked.transaction.header());
        verified.map_err(|e| check::bad_signature(&signature.key, &e.to_string()))?;
    }
    Ok(service)
}
