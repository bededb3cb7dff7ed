//! Reading what was sealed: records compared with the state map, blocks with the block log, history, and receipts.

use std::sync::Arc;

use super::open::StoredBlock;
use super::{Ledger, LedgerError, identity, locked};
use crate::block::{self, BlockHeader, EntryView, Payload};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::index::{Stored, Touch};
use crate::log::Place;
use crate::merkle;
use crate::note::Note;
use crate::receipt::write;
use crate::state_map::{self, MapPath};
use crate::transaction::Transaction;

/// A record with its proof in the state map after the last block.
#[derive(Clone, Debug)]
pub struct RecordAt {
    /// Kind.
    pub kind: Box<str>,
    /// Id.
    pub id: Box<str>,
    /// Canonical JSON.
    pub record: Vec<u8>,
    /// Its salt.
    pub salt: [u8; 16],
    /// Its path.
    pub path: MapPath,
}

/// A transaction as a block holds it.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The block.
    pub height: u64,
    /// Entry in the block.
    pub entry: u32,
    /// The block's time.
    pub time_ms: u64,
    /// The transaction.
    pub transaction: Transaction,
    /// Refused instructions.
    pub refused: Vec<block::Refusal>,
}

impl Ledger {
    /// The error for an index that gave what was never sealed; it is made anew when the ledger is opened next.
    pub(super) fn condemned(&self, why: String) -> LedgerError {
        match self.index().map(|index| index.condemn()) {
            Ok(Ok(())) => LedgerError::IndexStale(why),
            Ok(Err(error)) => error.into(),
            Err(error) => error,
        }
    }

    /// Up to `limit` records of a kind with number >= `from`, and where to go on.
    ///
    /// # Errors
    /// The index failed, or gives something that was never sealed.
    pub fn scan(&self, kind: Option<&str>, from: u64, limit: usize) -> Result<(Vec<Stored>, Option<u64>), LedgerError> {
        self.wait_indexed()?;
        let (found, next) = self.index()?.scan(from, limit, kind)?;
        let sealed = self.shared.sealed();
        let mut genuine = Vec::with_capacity(found.len());
        for stored in found {
            let key = state_map::record_key(self.suite, &stored.kind, &stored.id);
            let leaf = sealed
                .map
                .get(&key)
                .ok_or_else(|| self.condemned(format!("record {} {} was never sealed", stored.kind, stored.id)))?;
            let (kind, id) = (stored.kind.clone(), stored.id.clone());
            genuine.push(self.genuine(&kind, &id, &leaf, Some(stored))?);
        }
        Ok((genuine, next))
    }

    /// Places that touched a record, newest first.
    ///
    /// # Errors
    /// The index failed.
    pub fn history(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<Touch>, LedgerError> {
        self.wait_indexed()?;
        let key = state_map::record_key(self.suite, kind, id);
        let Some(leaf) = self.shared.values.get(&key) else { return Ok(Vec::new()) };
        let touches = self.index()?.history(leaf.number, limit)?;
        if touches.is_empty() && limit > 0 {
            return Err(self.condemned(format!("it has no history of {kind} {id}")));
        }
        Ok(touches)
    }

    /// Place (height, entry) of a lane's sequence, `None` where no durable block used it.
    ///
    /// # Errors
    /// A block could not be sealed, or the index failed.
    pub fn lane_place(&self, lane_id: &str, sequence: u64) -> Result<Option<(u64, u32)>, LedgerError> {
        self.wait_indexed()?;
        let place = self.indexed_lane_place(lane_id, sequence)?;
        if place.is_none() && (1..=self.lane_sequence(lane_id)).contains(&sequence) {
            return Err(self.condemned(super::lanes::unplaced(lane_id, sequence)));
        }
        Ok(place)
    }

    /// The same, as far as the index has come.
    pub(super) fn indexed_lane_place(&self, lane_id: &str, sequence: u64) -> Result<Option<(u64, u32)>, LedgerError> {
        let key = state_map::record_key(self.suite, super::lanes::KIND, lane_id);
        let Some(leaf) = self.shared.values.get(&key) else { return Ok(None) };
        Ok(self.index()?.lane_place(leaf.number, sequence)?)
    }

    /// A transaction by its place.
    ///
    /// # Errors
    /// There is no such place, or the block is damaged.
    pub fn entered(&self, height: u64, entry: u32) -> Result<Entered, LedgerError> {
        let stored = self.stored_block_cached(height)?;
        if entry as usize >= stored.payload.count() {
            return Err(LedgerError::NotFound(format!(
                "block {height} has {} entries, and no entry {entry}",
                stored.payload.count()
            )));
        }
        let (transaction, view) = self.transaction_of(&stored, entry)?;
        Ok(Entered { height, entry, time_ms: stored.header.time_ms, transaction, refused: view.refused })
    }

    fn transaction_of<'a>(
        &self,
        stored: &'a StoredBlock,
        entry: u32,
    ) -> Result<(Transaction, EntryView<'a>), LedgerError> {
        let height = stored.header.height;
        stored
            .payload
            .transaction(entry as usize, self.suite)
            .map_err(|e| LedgerError::Tampered { height, message: e.to_string() })
    }

    /// A stored block; its hash is compared with the block log where that already has it.
    pub(super) fn stored_block(&self, height: u64) -> Result<Arc<StoredBlock>, LedgerError> {
        let place = if let Some(place) = self.shared.place(height) {
            place
        } else {
            let row = self.index()?.block(height)?;
            let row = row.ok_or_else(|| LedgerError::NotFound(format!("there is no block {height}")))?;
            Place { segment: row.segment, offset: row.offset, length: row.length }
        };
        let bytes = {
            let mut reader = locked(&self.reader);
            if reader.is_none() {
                let tag = identity::tag_of(&self.shared.block_zero());
                *reader = Some(crate::log::LogReader::open(self.blocks.clone(), tag)?);
            }
            match reader.as_ref() {
                Some(reader) => reader.read(&place, height)?,
                None => return Err(LedgerError::Closed),
            }
        };
        let tampered = |message: String| LedgerError::Tampered { height, message };
        let payload = Payload::parse(bytes).map_err(|e| tampered(e.to_string()))?;
        super::refuse_later(height, payload.header())?;
        let header = BlockHeader::parse(payload.header()).map_err(|e| tampered(e.to_string()))?;
        // A block that is still to be sealed is not there, and is read while the state of those before it is hashed.
        let known = (height < self.shared.sealed_blocks()).then(|| self.shared.sealed().blocks.leaf(height)).flatten();
        if known.is_some_and(|known| known != block::block_hash(payload.header())) {
            return Err(tampered("its header is not the one in the block log".into()));
        }
        Ok(Arc::new(StoredBlock { payload, header, place }))
    }

    /// The same, keeping the last one: neighbours are often asked for next.
    pub(super) fn stored_block_cached(&self, height: u64) -> Result<Arc<StoredBlock>, LedgerError> {
        if let Some(block) = locked(&self.cached_block).as_ref().filter(|b| b.header.height == height) {
            return Ok(Arc::clone(block));
        }
        let block = self.stored_block(height)?;
        *locked(&self.cached_block) = Some(Arc::clone(&block));
        Ok(block)
    }

    /// The record with its path in the state after the last block.
    ///
    /// # Errors
    /// There is no such record, or blocks are still on their way.
    pub fn record_at(&self, kind: &str, id: &str) -> Result<RecordAt, LedgerError> {
        self.wait_indexed()?;
        let key = state_map::record_key(self.suite, kind, id);
        let sealed = self.shared.sealed();
        let leaf = sealed.map.get(&key).ok_or_else(|| LedgerError::NotFound(format!("there is no {kind} {id:?}")))?;
        let stored = self.genuine(kind, id, &leaf, self.index()?.record(leaf.number)?)?;
        Ok(RecordAt {
            kind: stored.kind,
            id: stored.id,
            record: stored.record,
            salt: leaf.salt,
            path: sealed.map.prove(&key),
        })
    }

    /// A receipt that the record is now this; `note` is a checkpoint over all blocks.
    ///
    /// # Errors
    /// There is no such record.
    pub fn prove_record(&self, kind: &str, id: &str, note: &[u8]) -> Result<Vec<u8>, LedgerError> {
        let at = self.record_at(kind, id)?;
        let tip = self.tip_header()?;
        let inner = write::record(self.suite.name(), &tip.1, &at.kind, &at.id, &at.record, &at.salt, &at.path.siblings);
        self.receipt(&inner, tip.0, note)
    }

    /// A receipt that there is no such record now.
    ///
    /// # Errors
    /// There is one.
    pub fn prove_absence(&self, kind: &str, id: &str, note: &[u8]) -> Result<Vec<u8>, LedgerError> {
        self.wait_indexed()?;
        let key = state_map::record_key(self.suite, kind, id);
        let path = {
            let sealed = self.shared.sealed();
            if sealed.map.get(&key).is_some() {
                return Err(LedgerError::NotFound(format!("there is a {kind} {id:?}: its absence cannot be proven")));
            }
            sealed.map.prove(&key)
        };
        let tip = self.tip_header()?;
        let inner = write::absence(self.suite.name(), &tip.1, kind, id, &path);
        self.receipt(&inner, tip.0, note)
    }

    /// A receipt for one instruction and its outcome; `before` is the ledger replayed to the block before, for judging
    /// signers.
    ///
    /// # Errors
    /// There is no such instruction, or `before` stands at another height.
    pub fn prove_instruction(
        &self,
        height: u64,
        entry: u32,
        index: u32,
        before: Option<&Self>,
        note: &[u8],
    ) -> Result<Vec<u8>, LedgerError> {
        let stored = self.stored_block_cached(height)?;
        let entered = self.entered(height, entry)?;
        let transaction = &entered.transaction;
        let missing = || {
            LedgerError::NotFound(format!(
                "block {height}, entry {entry} has {} instructions, and no {index}",
                transaction.count()
            ))
        };
        let instruction = transaction.instruction(index as usize).ok_or_else(missing)?;
        let salt = transaction.salts.get(index as usize).ok_or_else(missing)?;
        let path = self.path_of(&transaction.leaves, index as usize)?;
        let entry_path = self.entry_path(&stored, entry)?;
        let signers = match before {
            Some(before) => Some(before.signers_of(height, transaction)?),
            None => None,
        };
        let inner = write::instruction(&write::InstructionParts {
            hash: self.suite.name(),
            block: stored.payload.header(),
            entry: stored.payload.entry(entry as usize).unwrap_or_default(),
            entry_index: entry,
            entry_path: &entry_path,
            index,
            instruction,
            path: &path,
            salt,
            signers: signers.as_deref(),
        });
        self.receipt(&inner, height, note)
    }

    /// Keeps what the block at `height` will write, for [`Ledger::prove_change`]; asked of a replay before that block.
    pub fn keep_writes(&self, height: u64) {
        self.shared.keep_writes(height);
    }

    /// A receipt that a record was this after a transaction; `replay` is the ledger replayed through the block at
    /// `height`, and was asked to keep what that wrote.
    ///
    /// # Errors
    /// There is no such transaction, or it did not write that record.
    pub fn prove_change(
        &self,
        (height, entry): (u64, u32),
        (kind, id): (&str, &str),
        replay: &Self,
        note: &[u8],
    ) -> Result<Vec<u8>, LedgerError> {
        let stored = self.stored_block_cached(height)?;
        let writes = replay.shared.kept_writes(height, entry);
        let index = writes.iter().position(|w| *w.kind == *kind && *w.id == *id).ok_or_else(|| {
            LedgerError::NotFound(format!("the transaction in block {height}, entry {entry} did not write {kind} {id}"))
        })?;
        let changes: Vec<Hash> = writes.iter().map(|write| write.leaf_hash).collect();
        let path = self.path_of(&changes, index)?;
        let inner = write::change(&write::ChangeParts {
            hash: self.suite.name(),
            block: stored.payload.header(),
            entry: stored.payload.entry(entry as usize).unwrap_or_default(),
            entry_index: entry,
            entry_path: &self.entry_path(&stored, entry)?,
            kind,
            id,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            path: &path,
            record: &writes[index].record,
            salt: &writes[index].salt,
        });
        self.receipt(&inner, height, note)
    }

    fn path_of(&self, leaves: &[Hash], index: usize) -> Result<Vec<Hash>, LedgerError> {
        merkle::path(self.suite, leaves, index).map_err(|e| LedgerError::Internal(e.to_string()))
    }

    fn entry_path(&self, stored: &StoredBlock, entry: u32) -> Result<Vec<Hash>, LedgerError> {
        let leaves: Vec<Hash> = stored.payload.entries().map(|text| block::entry_leaf(self.suite, text)).collect();
        self.path_of(&leaves, entry as usize)
    }

    /// The part of a receipt that shows keys and parties as of this ledger's last block, the one before `height`.
    fn signers_of(&self, height: u64, transaction: &Transaction) -> Result<Vec<u8>, LedgerError> {
        let (tip, header) = self.tip_header()?;
        if tip + 1 != height {
            return Err(LedgerError::Internal(format!(
                "signers of block {height} are judged after block {}, not {tip}",
                height.saturating_sub(1)
            )));
        }
        let mut records = Vec::new();
        for signature in &transaction.signatures {
            records.push(self.record_at("key", &signature.key)?);
        }
        let mut parties: Vec<&str> = transaction.by.iter().map(|p| &**p).collect();
        parties.sort_unstable();
        for party in parties {
            records.push(self.record_at("party", party)?);
        }
        let parts: Vec<write::RecordPart<'_>> = records
            .iter()
            .map(|at| write::RecordPart {
                kind: &at.kind,
                id: &at.id,
                record: &at.record,
                salt: &at.salt,
                siblings: &at.path.siblings,
            })
            .collect();
        Ok(write::signers(&header, &parts))
    }

    fn tip_header(&self) -> Result<(u64, Vec<u8>), LedgerError> {
        let sealed = self.shared.sealed();
        let tip = sealed.tip.as_ref().ok_or_else(|| LedgerError::NotFound("the ledger has no block".into()))?;
        Ok((tip.header.height, tip.header_text.clone()))
    }

    /// Number of blocks in the log, and its root.
    #[must_use]
    pub fn log_root(&self) -> (u64, Hash) {
        let sealed = self.shared.sealed();
        (sealed.blocks.size(), sealed.blocks.root_hash())
    }

    /// Root of the block log over the first `size` blocks; `None` where there are fewer.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        self.shared.sealed().blocks.root_at(size).ok()
    }

    /// State root after the last sealed block.
    #[must_use]
    pub fn state_root(&self) -> Hash {
        self.shared.sealed().map.root_hash()
    }

    /// Records in the state map.
    #[must_use]
    pub fn records_count(&self) -> u64 {
        self.shared.sealed().map.len()
    }

    fn receipt(&self, inner: &[u8], height: u64, note: &[u8]) -> Result<Vec<u8>, LedgerError> {
        let sealed = self.shared.sealed();
        let internal = |e: &dyn std::fmt::Display| LedgerError::Internal(e.to_string());
        let parsed = Note::parse(note).map_err(|e| internal(&e))?;
        let size = Checkpoint::parse_text(parsed.text()).map_err(|e| internal(&e))?.size;
        let path = sealed.blocks.inclusion(height, size).map_err(|e| LedgerError::Internal(e.to_string()))?;
        Ok(write::receipt(inner, height, &path, note))
    }
}
