//! The index as the ledger asks for it.

use finchain_core::hash::Hash;
use finchain_core::index::{
    BlockRow, BlockRows, IndexFailure, Kept, Meta as LedgerMeta, RecordIndex, Stored, Touch, Visit,
};
use finchain_core::state_map::{Leaf, Values};

use crate::{Index, IndexError, RecordView};

impl From<IndexError> for IndexFailure {
    fn from(error: IndexError) -> Self {
        Self(error.to_string())
    }
}

impl RecordIndex for Index {
    fn meta(&self) -> Result<Option<LedgerMeta>, IndexFailure> {
        let meta = self.meta()?;
        Ok(meta.map(|m| LedgerMeta { ledger: m.ledger, height: m.height, block_hash: m.block_hash }))
    }

    fn apply(&self, blocks: &[BlockRows]) -> Result<(), IndexFailure> {
        Ok(self.apply(blocks)?)
    }

    fn number_of(&self, key: &Hash) -> Result<Option<u32>, IndexFailure> {
        Ok(self.number_of(key)?)
    }

    fn record(&self, number: u32) -> Result<Option<Stored>, IndexFailure> {
        Ok(self.record(number)?)
    }

    fn records(&self, numbers: &[u32]) -> Result<Vec<Option<Stored>>, IndexFailure> {
        Ok(self.records(numbers)?)
    }

    fn scan(&self, from: u64, limit: usize, kind: Option<&str>) -> Result<(Vec<Stored>, Option<u64>), IndexFailure> {
        Ok(self.scan(from, limit, kind)?)
    }

    fn followed(&self) -> Result<Option<Vec<u32>>, IndexFailure> {
        Ok(self.followed()?)
    }

    fn leaves(&self, first: u8) -> Result<Vec<Leaf>, IndexFailure> {
        Ok(self.leaves(first)?)
    }

    fn for_each_record(&self, visit: &mut Visit<'_>) -> Result<(), IndexFailure> {
        let mut stopped = Ok(());
        self.for_each_record(|view| {
            if stopped.is_ok() {
                let RecordView { number, key, salt, kind, id, record, .. } = *view;
                stopped = visit(&Kept { number, key, salt, kind, id, record });
            }
        })?;
        stopped
    }

    fn check_keys(&self) -> Result<(), IndexFailure> {
        Ok(self.check_keys()?)
    }

    fn history(&self, number: u32, limit: usize) -> Result<Vec<Touch>, IndexFailure> {
        Ok(self.history(number, limit)?)
    }

    fn lane_place(&self, lane: u32, sequence: u64) -> Result<Option<(u64, u32)>, IndexFailure> {
        Ok(self.lane_place(lane, sequence)?)
    }

    fn block(&self, height: u64) -> Result<Option<BlockRow>, IndexFailure> {
        Ok(self.block(height)?)
    }

    fn block_hashes(&self) -> Result<Vec<Hash>, IndexFailure> {
        Ok(self.block_hashes()?)
    }

    fn condemn(&self) -> Result<(), IndexFailure> {
        Ok(self.condemn()?)
    }

    fn mark_open(&self) -> Result<(), IndexFailure> {
        Ok(self.mark_open()?)
    }

    fn mark_clean(&self, state: &Values, followed: &[u32]) -> Result<(), IndexFailure> {
        Ok(self.mark_clean(state, followed)?)
    }
}
