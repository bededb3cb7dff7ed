//! Taking stored blocks over with what the changes files kept of them, instead of executing them again.
//!
//! Nothing kept is believed: each record is hashed and compared with what its block's entries commit to, and the state
//! after them with the header. What is missing or differs is left to the rules.

use std::sync::Arc;

use rayon::prelude::*;

use super::columns::Names;
use super::lanes::{self, Position};
use super::open::{self, StoredBlock};
use super::seal::Job;
use super::{Ledger, LedgerError, identity, locked};
use crate::block::{self, EntryView};
use crate::cores::on_all_cores;
use crate::hash::{EMPTY, HashSuite};
use crate::index::{BlockRows, LaneRow, Write};
use crate::merkle;
use crate::state_map;

/// Blocks that are taken over together at most: enough to hash the state once for many, and few enough that the stages
/// work at the same time.
const BLOCKS_MAX: usize = 16;
/// Bytes of changes after which no further block is added: what bounds the memory.
const BYTES_MAX: usize = 32 << 20;
/// Most bytes of one block's changes: four times what a block has, which rules never came near. One with more is
/// executed again.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A stored block with all that it wrote; the numbers of its records are for whoever has the state to say.
pub(super) struct Recalled {
    pub stored: Arc<StoredBlock>,
    pub rows: BlockRows,
    lanes: Vec<(Box<str>, Position)>,
}

impl Ledger {
    /// Takes over the next blocks below `until` whose changes were kept, some dozens at most, and gives how many. From
    /// the first one on that it leaves out the caller executes, and may ask again after that.
    ///
    /// Block 0 is always executed.
    ///
    /// # Errors
    /// The blocks are not what they commit to, or the ledger has failed or is closed.
    pub fn recall(&self, until: u64) -> Result<u64, LedgerError> {
        self.shared.failure()?;
        let first = self.executor().height;
        let found = if first == 0 { Vec::new() } else { self.kept_changes(first, until) };
        // The cores are shared with the sealing thread, which hashes on them with the state locked: what runs there
        // must not wait for any lock, so the blocks are read here.
        let found: Vec<(Arc<StoredBlock>, Vec<u8>)> = found
            .into_iter()
            .map(|(height, kept)| Ok((self.stored_block(height)?, kept)))
            .collect::<Result<_, LedgerError>>()?;
        let recalled: Vec<Option<Recalled>> =
            on_all_cores(|| found.into_par_iter().map(|(stored, kept)| recalled(self.suite, stored, &kept)).collect());
        let blocks: Vec<Recalled> = recalled.into_iter().map_while(|block| block).collect();
        let count = blocks.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        let mut executor = self.executor();
        for block in &blocks {
            let tampered = |message| LedgerError::Tampered { height: block.rows.height, message };
            open::judge_header(&block.stored.header, executor.height, &self.name(), &executor).map_err(tampered)?;
            for write in &block.rows.writes {
                if super::CORE_KINDS.contains(&&*write.kind) {
                    executor.note(&write.kind, &write.id, &write.record).map_err(tampered)?;
                }
            }
            for (lane, position) in &block.lanes {
                executor.lanes.set(lane, *position, block.rows.height);
            }
            executor.height += 1;
            executor.time_ms = block.rows.time_ms;
        }
        executor.lanes.settle(self.shared.sealed_blocks());
        drop(executor);
        let jobs = locked(&self.jobs).clone().ok_or(LedgerError::Closed)?;
        jobs.send(Job::Recalled(blocks)).map_err(|_| LedgerError::Closed)?;
        Ok(count)
    }

    /// Heights from `first` on with what was kept of them.
    fn kept_changes(&self, first: u64, until: u64) -> Vec<(u64, Vec<u8>)> {
        let tag = identity::tag_of(&self.shared.block_zero());
        let mut files = locked(&self.changes);
        let mut found = Vec::new();
        let mut bytes = 0;
        for height in first..until {
            if found.len() == BLOCKS_MAX || bytes >= BYTES_MAX {
                break;
            }
            let Some(kept) = files.read(tag, height) else { break };
            bytes = bytes.saturating_add(uncompressed_bytes(&kept));
            found.push((height, kept));
        }
        found
    }
}

/// What is kept of a block (`docs/format.md` section 7.2); nothing where that would be too long.
pub(super) fn encode(writes: &[Write]) -> Vec<u8> {
    let text_bytes = |write: &Write| write.record.len() + write.id.len() + write.kind.len();
    let bytes: usize = writes.iter().map(|write| text_bytes(write) + 2 * write.instructions.len() + 28).sum();
    if bytes > KEPT_BYTES_MAX {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(bytes);
    for of_entry in Write::by_entry(writes) {
        out.extend_from_slice(&u32::try_from(of_entry.len()).unwrap_or(u32::MAX).to_le_bytes());
        for write in of_entry {
            for text in [&*write.kind, &*write.id] {
                out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(text.as_bytes());
            }
            out.extend_from_slice(&u16::try_from(write.instructions.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend(write.instructions.iter().flat_map(|index| index.to_le_bytes()));
            out.extend_from_slice(&write.salt);
            out.extend_from_slice(&u32::try_from(write.record.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(&write.record);
        }
    }
    lz4_flex::block::compress_prepend_size(&out)
}

/// How many bytes something kept says that it has, as far as memory is given for them.
fn uncompressed_bytes(kept: &[u8]) -> usize {
    let stated = kept.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    usize::try_from(stated).unwrap_or(usize::MAX)
}

/// The block with what `kept` says that it wrote, if its entries commit to exactly that.
fn recalled(suite: &'static dyn HashSuite, stored: Arc<StoredBlock>, kept: &[u8]) -> Option<Recalled> {
    if uncompressed_bytes(kept) > KEPT_BYTES_MAX {
        return None;
    }
    let kept = lz4_flex::block::decompress_size_prepended(kept).ok()?;
    let mut rest = Rest(&kept);
    let mut names = Names::default();
    let (mut writes, mut lanes, mut lane_rows) = (Vec::<Write>::new(), Vec::new(), Vec::new());
    let mut committed = Vec::with_capacity(stored.payload.count());
    let mut entry_leaves = Vec::with_capacity(stored.payload.count());
    for (entry, text) in (0..).zip(stored.payload.entries()) {
        let EntryView { writes: count, changes, .. } = block::parse_entry(text).ok()?;
        if rest.u32()? != count {
            return None;
        }
        for _ in 0..count {
            writes.push(rest.write(suite, &mut names, entry)?);
        }
        let lane = writes.last().filter(|write| write.entry == entry && &*write.kind == lanes::KIND)?;
        let position = lanes::parse(&lane.record)?;
        lanes.push((lane.id.clone(), position));
        lane_rows.push(LaneRow { number: 0, sequence: position.sequence, entry });
        committed.push(changes);
        entry_leaves.push(block::entry_leaf(suite, text));
    }
    Write::hash_leaves(suite, &mut writes);
    if !Write::by_entry(&writes).map(|of_entry| Write::changes(suite, of_entry)).eq(committed) {
        return None;
    }
    if !rest.0.is_empty() || merkle::tree_hash(suite, &entry_leaves) != stored.header.root {
        return None;
    }
    let rows = BlockRows {
        height: stored.header.height,
        block_hash: block::block_hash(stored.payload.header()),
        time_ms: stored.header.time_ms,
        segment: stored.place.segment,
        offset: stored.place.offset,
        length: stored.place.length,
        lanes: lane_rows,
        writes,
    };
    Some(Recalled { stored, rows, lanes })
}

/// What is still to be read; every read gives `None` where the bytes do not suffice.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let bytes = self.take(1)?.first()?;
        std::str::from_utf8(self.take(usize::from(*bytes))?).ok()
    }

    fn write(&mut self, suite: &dyn HashSuite, names: &mut Names, entry: u32) -> Option<Write> {
        let kind = self.text()?;
        let id = self.text()?;
        let count = self.u16()?;
        let instructions = (0..count).map(|_| self.u16()).collect::<Option<_>>()?;
        let salt = self.take(16)?.try_into().ok()?;
        let length = usize::try_from(self.u32()?).ok()?;
        let record = self.take(length)?.to_vec();
        let key = state_map::record_key(suite, kind, id);
        let value = state_map::record_value(suite, &salt, &record);
        let (kind, id) = (names.shared(kind), id.into());
        Some(Write { key, kind, id, value, leaf_hash: EMPTY, salt, record, entry, instructions, number: 0 })
    }
}
