//! What the executor, the sealing thread, the index thread and readers share, and how they wait for each other.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::{LedgerError, locked};
use crate::block::BlockHeader;
use crate::hash::{Hash, HashSuite};
use crate::index::Write;
use crate::log::Place;
use crate::merkle::BlockLog;
use crate::state_map::{StateMap, Values};

/// The last sealed block.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub header: BlockHeader,
    pub header_text: Vec<u8>,
    pub hash: Hash,
}

/// The sealed state: what proofs are made from.
pub(crate) struct Sealed {
    pub map: StateMap,
    pub blocks: BlockLog,
    pub tip: Option<Tip>,
}

#[derive(Default)]
struct Progress {
    /// Blocks that are durable.
    sealed: u64,
    /// Blocks that the index has committed.
    indexed: u64,
    failure: Option<LedgerError>,
}

/// State behind locks, and the progress of the stages.
pub(crate) struct Shared {
    sealed: RwLock<Sealed>,
    /// The values of the sealed map, for who need not wait until a block is hashed.
    pub values: Values,
    /// Places of blocks that the index may not have yet, of which nobody waits for a block that is hashed.
    recent: Mutex<BTreeMap<u64, Place>>,
    progress: Mutex<Progress>,
    moved: Condvar,
    zero: OnceLock<Hash>,
    times: Mutex<Vec<(&'static str, Duration)>>,
    kept: Mutex<Option<(u64, Vec<Write>)>>,
}

impl Shared {
    pub fn new(suite: &'static dyn HashSuite, zero: Option<Hash>) -> Self {
        let named = OnceLock::new();
        if let Some(hash) = zero {
            let _ = named.set(hash);
        }
        let map = StateMap::new(suite);
        Self {
            values: map.values(),
            sealed: RwLock::new(Sealed { map, blocks: BlockLog::new(), tip: None }),
            recent: Mutex::default(),
            progress: Mutex::new(Progress::default()),
            moved: Condvar::new(),
            zero: named,
            times: Mutex::new(Vec::new()),
            kept: Mutex::new(None),
        }
    }

    pub fn sealed(&self) -> RwLockReadGuard<'_, Sealed> {
        self.sealed.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn sealed_mut(&self) -> RwLockWriteGuard<'_, Sealed> {
        self.sealed.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Asks for what the block at `height` will write.
    pub fn keep_writes(&self, height: u64) {
        *locked(&self.kept) = Some((height, Vec::new()));
    }

    /// Takes what a block wrote, if somebody asked for it.
    pub fn offer_writes(&self, height: u64, writes: &[Write]) {
        if let Some((_, kept)) = locked(&self.kept).as_mut().filter(|(wanted, _)| *wanted == height) {
            *kept = writes.to_vec();
        }
    }

    /// What the block at `height` wrote in that entry, in the order of the entry's changes.
    pub fn kept_writes(&self, height: u64, entry: u32) -> Vec<Write> {
        match locked(&self.kept).as_ref() {
            Some((kept, writes)) if *kept == height => writes.iter().filter(|w| w.entry == entry).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Hash of block 0, once it is known.
    pub fn named(&self) -> Option<Hash> {
        self.zero.get().copied()
    }

    pub fn block_zero(&self) -> Hash {
        self.named().unwrap_or_default()
    }

    pub fn name_block_zero(&self, hash: &Hash) {
        let _ = self.zero.set(*hash);
    }

    /// Where a block is that the index may not have yet.
    pub fn place(&self, height: u64) -> Option<Place> {
        locked(&self.recent).get(&height).copied()
    }

    /// The newest of these blocks.
    pub fn last_place(&self) -> Option<(u64, Place)> {
        locked(&self.recent).last_key_value().map(|(height, place)| (*height, *place))
    }

    /// Notes where blocks are.
    pub fn placed(&self, blocks: impl IntoIterator<Item = (u64, Place)>) {
        locked(&self.recent).extend(blocks);
    }

    pub fn start_at(&self, blocks: u64) {
        let mut progress = locked(&self.progress);
        progress.sealed = blocks;
        progress.indexed = blocks;
    }

    pub fn sealed_to(&self, height: u64) {
        locked(&self.progress).sealed = height + 1;
        self.moved.notify_all();
    }

    pub fn indexed_to(&self, height: u64) {
        locked(&self.progress).indexed = height + 1;
        // The index now answers for these; the newest stays, for the tip's receipts.
        let mut recent = locked(&self.recent);
        *recent = recent.split_off(&height);
        drop(recent);
        self.moved.notify_all();
    }

    /// Blocks whose hashes the block log has.
    pub fn sealed_blocks(&self) -> u64 {
        locked(&self.progress).sealed
    }

    pub fn indexed_blocks(&self) -> u64 {
        locked(&self.progress).indexed
    }

    pub fn fail(&self, error: LedgerError) {
        locked(&self.progress).failure.get_or_insert(error);
        self.moved.notify_all();
    }

    /// The failure that ended the handle, if any.
    pub fn failure(&self) -> Result<(), LedgerError> {
        locked(&self.progress).failure.clone().map_or(Ok(()), Err)
    }

    pub fn wait_sealed(&self, height: u64) -> Result<(), LedgerError> {
        self.wait(|progress| progress.sealed > height)
    }

    pub fn wait_indexed(&self, blocks: u64) -> Result<(), LedgerError> {
        self.wait(|progress| progress.indexed >= blocks)
    }

    fn wait(&self, done: impl Fn(&Progress) -> bool) -> Result<(), LedgerError> {
        let mut progress = locked(&self.progress);
        loop {
            if done(&progress) {
                return Ok(());
            }
            if let Some(failure) = &progress.failure {
                return Err(failure.clone());
            }
            progress = self.moved.wait(progress).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    pub fn add_times(&self, spent: &[(&'static str, Duration)]) {
        let mut times = locked(&self.times);
        for (stage, more) in spent {
            match times.iter_mut().find(|(known, _)| known == stage) {
                Some((_, total)) => *total += *more,
                None => times.push((stage, *more)),
            }
        }
    }

    pub fn stage_seconds(&self) -> Vec<(&'static str, f64)> {
        locked(&self.times).iter().map(|(stage, spent)| (*stage, spent.as_secs_f64())).collect()
    }
}
