//! A ledger as of one height, read beside whoever writes it: from the index and the blocks, without lock and without
//! the state map.
//!
//! Blocks are checked against the hashes that the index has of them. Records are what the index says: to know that they
//! are those that the last header commits to, [`View::verify`] hashes every one of them. A history is what the index
//! says: which instruction wrote a record is known by executing it alone.

use std::path::Path;
use std::sync::Arc;

use super::fill::fill_hashed;
use super::identity::Identity;
use super::lanes::{self, Position};
use super::recover::read_suite;
use super::survey::Survey;
use super::{Entered, LedgerError};
use crate::block::{self, BlockHeader, Payload};
use crate::hash::{Hash, HashSuite};
use crate::index::{Meta, RecordIndex, Stored, Touch};
use crate::log::{Blocks, LogReader, Place, Storage};
use crate::merkle;
use crate::state_map::{self, StateMap};

/// What all views of one ledger share: its name, its hash suite and its block files.
pub struct Reader {
    name: String,
    zero: Hash,
    suite: &'static dyn HashSuite,
    log: LogReader,
}

/// A ledger after the last block that an index had when it was pinned.
pub struct View {
    reader: Arc<Reader>,
    index: Arc<dyn RecordIndex>,
    meta: Meta,
}

impl Reader {
    /// Opens name and blocks of the ledger in `dir` of that storage.
    ///
    /// # Errors
    /// There is no ledger, or its first block is not the one that its name has the hash of.
    pub fn open(storage: &Storage, dir: &Path) -> Result<Self, LedgerError> {
        let identity = Identity::read(storage.io.as_ref(), dir)?;
        let log = LogReader::open(Blocks::new(storage, dir.join("blocks")), identity.tag())?;
        let suite = read_suite(&log, &identity.origin, &identity.zero)?;
        Ok(Self { name: identity.name, zero: identity.zero, suite, log })
    }

    /// The ledger as `index` has it, which must not move on meanwhile.
    ///
    /// # Errors
    /// The index is empty or of another ledger, or failed.
    pub fn view(self: &Arc<Self>, index: Arc<dyn RecordIndex>) -> Result<View, LedgerError> {
        let meta = index.meta()?.ok_or_else(|| LedgerError::IndexStale("it has no block yet".into()))?;
        if meta.ledger != self.zero {
            return Err(LedgerError::IndexStale("it belongs to another ledger".into()));
        }
        Ok(View { reader: Arc::clone(self), index, meta })
    }
}

impl View {
    /// Origin, `#` and block 0's hash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.reader.name
    }

    /// The hash suite of everything inside blocks.
    #[must_use]
    pub fn suite(&self) -> &'static dyn HashSuite {
        self.reader.suite
    }

    /// Number of blocks that this view has.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.meta.height.saturating_add(1)
    }

    /// Compares the hash that the index has of each block with the blocks that were read one after the other.
    ///
    /// A block is found by the place that the index has of it. Whoever writes the folder could let that lead to a block
    /// of another history, which lies in the files beside the ledger's own.
    ///
    /// # Errors
    /// [`LedgerError::Tampered`] where the index has another hash, or the block was not found whole.
    pub fn compare_blocks(&self, survey: &Survey) -> Result<(), LedgerError> {
        let tip = self.meta.height;
        for height in 0..=tip {
            let found = Some(height).filter(|height| *height < survey.whole()).and_then(|height| survey.hash(height));
            let known = self.index.block(height)?.map(|row| row.block_hash);
            if found.is_none() || known != found || (height == tip && found != Some(self.meta.block_hash)) {
                let message = "the index has the hash of another block than the one that follows those before it";
                return Err(LedgerError::Tampered { height, message: message.into() });
            }
        }
        Ok(())
    }

    /// Header of the last block.
    ///
    /// # Errors
    /// The block is damaged, or not the one that the index was made from.
    pub fn tip(&self) -> Result<BlockHeader, LedgerError> {
        Ok(self.block(self.meta.height)?.1)
    }

    /// Whether whole blocks follow that this view has not: the index lags, or was left behind by a crash.
    ///
    /// # Errors
    /// The index failed.
    pub fn is_behind(&self) -> Result<bool, LedgerError> {
        let place = self.place(self.meta.height)?;
        Ok(self.reader.log.frames(Some((place, self.meta.height))).nth(1).is_some_and(|next| next.is_ok()))
    }

    /// A record by kind and id, as the index has it.
    ///
    /// # Errors
    /// The index failed or is damaged.
    pub fn record(&self, kind: &str, id: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some(number) = self.number_of(kind, id)? else { return Ok(None) };
        match self.index.record(number)? {
            Some(stored) if (&*stored.kind, &*stored.id) != (kind, id) => {
                Err(LedgerError::IndexStale(format!("it gives {} {} for {kind} {id}", stored.kind, stored.id)))
            }
            other => Ok(other.map(|stored| stored.record)),
        }
    }

    /// Up to `limit` records of a kind with number >= `from`, and where to go on.
    ///
    /// # Errors
    /// The index failed or is damaged.
    pub fn scan(&self, kind: Option<&str>, from: u64, limit: usize) -> Result<(Vec<Stored>, Option<u64>), LedgerError> {
        Ok(self.index.scan(from, limit, kind)?)
    }

    /// Places that touched a record, newest first.
    ///
    /// # Errors
    /// The index failed or is damaged.
    pub fn history(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<Touch>, LedgerError> {
        let Some(number) = self.number_of(kind, id)? else { return Ok(Vec::new()) };
        let touches = self.index.history(number, limit)?;
        if touches.is_empty() && limit > 0 {
            return Err(LedgerError::IndexStale(format!("it has no history of {kind} {id}")));
        }
        Ok(touches)
    }

    /// Where a lane stands; `None` where it has not begun.
    ///
    /// # Errors
    /// The index failed or is damaged.
    pub fn lane(&self, lane_id: &str) -> Result<Option<Position>, LedgerError> {
        let Some(record) = self.record(lanes::KIND, lane_id)? else { return Ok(None) };
        let position = lanes::parse(&record);
        Ok(Some(position.ok_or_else(|| LedgerError::IndexStale(format!("lane {lane_id} cannot be read")))?))
    }

    /// Place (height, entry) of a lane's sequence.
    ///
    /// # Errors
    /// The index failed or is damaged.
    pub fn lane_place(&self, lane_id: &str, sequence: u64) -> Result<Option<(u64, u32)>, LedgerError> {
        let Some(number) = self.number_of(lanes::KIND, lane_id)? else { return Ok(None) };
        let place = self.index.lane_place(number, sequence)?;
        if place.is_none() && self.lane(lane_id)?.is_some_and(|now| (1..=now.sequence).contains(&sequence)) {
            return Err(LedgerError::IndexStale(lanes::unplaced(lane_id, sequence)));
        }
        Ok(place)
    }

    /// A transaction by its place; its block is the one that the index has the hash of.
    ///
    /// # Errors
    /// There is no such place, or the block is damaged.
    pub fn entered(&self, height: u64, entry: u32) -> Result<Entered, LedgerError> {
        let (payload, header) = self.block(height)?;
        if entry as usize >= payload.count() {
            return Err(LedgerError::NotFound(format!(
                "block {height} has {} entries, and no entry {entry}",
                payload.count()
            )));
        }
        let (transaction, view) = payload
            .transaction(entry as usize, self.reader.suite)
            .map_err(|e| LedgerError::Tampered { height, message: e.to_string() })?;
        Ok(Entered { height, entry, time_ms: header.time_ms, transaction, refused: view.refused })
    }

    /// Hashes every record and compares the state's root with the last block's header; and sees that each of them is
    /// found by its key, so that none passes for absent.
    ///
    /// # Errors
    /// [`LedgerError::Tampered`] where the index does not hold what the header commits to.
    pub fn verify(&self) -> Result<(), LedgerError> {
        let header = self.tip()?;
        let tampered = |message| LedgerError::Tampered { height: self.meta.height, message };
        let mut map = StateMap::new(self.reader.suite);
        fill_hashed(&mut map, self.index.as_ref(), self.reader.suite, &mut |_, _, _| Ok(()))
            .map_err(|failure| tampered(failure.to_string()))?;
        if map.root_hash() != header.state {
            return Err(tampered("the records in the index do not give the state root of its header".to_owned()));
        }
        self.index.check_keys().map_err(|failure| tampered(failure.to_string()))
    }

    fn number_of(&self, kind: &str, id: &str) -> Result<Option<u32>, LedgerError> {
        Ok(self.index.number_of(&state_map::record_key(self.reader.suite, kind, id))?)
    }

    fn place(&self, height: u64) -> Result<Place, LedgerError> {
        let row = self.index.block(height)?.filter(|_| height <= self.meta.height);
        let row = row.ok_or_else(|| LedgerError::NotFound(format!("there is no block {height}")))?;
        Ok(Place { segment: row.segment, offset: row.offset, length: row.length })
    }

    fn block(&self, height: u64) -> Result<(Payload, BlockHeader), LedgerError> {
        let tampered = |message: String| LedgerError::Tampered { height, message };
        let payload = self.reader.log.read(&self.place(height)?, height)?;
        let payload = Payload::parse(payload).map_err(|e| tampered(e.to_string()))?;
        let header = BlockHeader::parse(payload.header()).map_err(|e| tampered(e.to_string()))?;
        let known = self.index.block(height)?.map(|row| row.block_hash);
        if known != Some(block::block_hash(payload.header())) {
            return Err(tampered("its header is not the one that the index has the hash of".into()));
        }
        let leaves: Vec<Hash> = payload.entries().map(|text| block::entry_leaf(self.reader.suite, text)).collect();
        if merkle::tree_hash(self.reader.suite, &leaves) != header.root {
            return Err(tampered("its entries are not those of its header".into()));
        }
        Ok((payload, header))
    }
}
