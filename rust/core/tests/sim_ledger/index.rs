//! An index in memory, which a simulated crash may set back or take away as a real one would be.

use std::collections::BTreeMap;
use std::sync::Mutex;

use finchain_core::hash::Hash;
use finchain_core::index::{BlockRow, BlockRows, IndexFailure, Kept, Meta, RecordIndex, Stored, Touch, Visit};
use finchain_core::state_map::{Leaf, Values};

#[derive(Clone, Debug, Default)]
struct Rows {
    ledger: Option<Hash>,
    blocks: Vec<BlockRow>,
    numbers: BTreeMap<Hash, u32>,
    records: Vec<Stored>,
    /// Key and value of each record.
    hashes: Vec<(Hash, Hash)>,
    touches: BTreeMap<u32, Vec<Touch>>,
    lanes: BTreeMap<(u32, u64), (u64, u32)>,
}

#[derive(Debug, Default)]
pub struct MemoryIndex(Mutex<Rows>);

impl MemoryIndex {
    fn rows<T>(&self, act: impl FnOnce(&mut Rows) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// An independent index with the same rows.
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.rows(|rows| rows.clone())))
    }

    /// Loses what was noted of lanes and of every record's history.
    pub fn lose_places(&self) {
        self.rows(|rows| {
            rows.touches.clear();
            rows.lanes.clear();
        });
    }

    /// Changes what is kept of a record: its row, and its key and value.
    pub fn spoil(&self, kind: &str, id: &str, change: impl Fn(&mut Stored, &mut (Hash, Hash))) {
        self.rows(|rows| {
            for (stored, hashes) in rows.records.iter_mut().zip(&mut rows.hashes) {
                if (&*stored.kind, &*stored.id) == (kind, id) {
                    change(stored, hashes);
                }
            }
        });
    }

    /// Whether it has leaves that were kept.
    pub fn is_whole(&self) -> bool {
        self.blocks().is_multiple_of(2)
    }

    pub fn blocks(&self) -> u64 {
        self.rows(|rows| rows.blocks.len() as u64)
    }
}

impl RecordIndex for MemoryIndex {
    fn meta(&self) -> Result<Option<Meta>, IndexFailure> {
        Ok(self.rows(|rows| {
            let last = rows.blocks.last()?;
            let height = rows.blocks.len() as u64 - 1;
            Some(Meta { ledger: rows.ledger?, height, block_hash: last.block_hash })
        }))
    }

    fn apply(&self, blocks: &[BlockRows]) -> Result<(), IndexFailure> {
        self.rows(|rows| {
            for block in blocks {
                if block.height != rows.blocks.len() as u64 {
                    return Err(IndexFailure(format!("block {} where {} follows", block.height, rows.blocks.len())));
                }
                rows.ledger.get_or_insert(block.block_hash);
                rows.add(block)?;
            }
            Ok(())
        })
    }

    fn number_of(&self, key: &Hash) -> Result<Option<u32>, IndexFailure> {
        Ok(self.rows(|rows| rows.numbers.get(key).copied()))
    }

    fn record(&self, number: u32) -> Result<Option<Stored>, IndexFailure> {
        Ok(self.rows(|rows| rows.records.get(place(number)).cloned()))
    }

    fn records(&self, numbers: &[u32]) -> Result<Vec<Option<Stored>>, IndexFailure> {
        numbers.iter().map(|number| self.record(*number)).collect()
    }

    fn scan(&self, from: u64, limit: usize, kind: Option<&str>) -> Result<(Vec<Stored>, Option<u64>), IndexFailure> {
        Ok(self.rows(|rows| {
            let wanted =
                |stored: &&Stored| u64::from(stored.number) >= from && kind.is_none_or(|kind| *kind == *stored.kind);
            let mut found: Vec<Stored> = rows.records.iter().filter(wanted).take(limit + 1).cloned().collect();
            let next = (found.len() > limit).then(|| found.pop().map(|stored| stored.number.into())).flatten();
            (found, next)
        }))
    }

    fn for_each_record(&self, visit: &mut Visit<'_>) -> Result<(), IndexFailure> {
        let (records, hashes) = self.rows(|rows| (rows.records.clone(), rows.hashes.clone()));
        records.iter().zip(&hashes).try_for_each(|(stored, (key, _))| {
            let Stored { number, salt, kind, id, record, .. } = stored;
            visit(&Kept { number: *number, key, salt, kind, id, record })
        })
    }

    /// As if it had been closed after each second block: both ways of opening a ledger are walked.
    fn followed(&self) -> Result<Option<Vec<u32>>, IndexFailure> {
        let core = |stored: &&Stored| ["party", "key", "ledger", "lane"].contains(&&*stored.kind);
        let numbers = |rows: &mut Rows| rows.records.iter().filter(core).map(|stored| stored.number).collect();
        Ok(self.is_whole().then(|| self.rows(numbers)))
    }

    fn leaves(&self, first: u8) -> Result<Vec<Leaf>, IndexFailure> {
        Ok(self.rows(|rows| {
            let leaf = |(stored, (key, value)): (&Stored, &(Hash, Hash))| Leaf {
                key: *key,
                value: *value,
                salt: stored.salt,
                number: stored.number,
            };
            rows.records.iter().zip(&rows.hashes).map(leaf).filter(|leaf| leaf.key[0] == first).collect()
        }))
    }

    /// A dictionary has no other way from a key to a record than the one that it was made with.
    fn check_keys(&self) -> Result<(), IndexFailure> {
        Ok(())
    }

    fn history(&self, number: u32, limit: usize) -> Result<Vec<Touch>, IndexFailure> {
        let touches = self.rows(|rows| rows.touches.get(&number).cloned().unwrap_or_default());
        Ok(touches.into_iter().rev().take(limit).collect())
    }

    fn lane_place(&self, lane: u32, sequence: u64) -> Result<Option<(u64, u32)>, IndexFailure> {
        Ok(self.rows(|rows| rows.lanes.get(&(lane, sequence)).copied()))
    }

    fn block(&self, height: u64) -> Result<Option<BlockRow>, IndexFailure> {
        Ok(self.rows(|rows| rows.blocks.get(usize::try_from(height).ok()?).cloned()))
    }

    fn block_hashes(&self) -> Result<Vec<Hash>, IndexFailure> {
        Ok(self.rows(|rows| rows.blocks.iter().map(|row| row.block_hash).collect()))
    }

    fn condemn(&self) -> Result<(), IndexFailure> {
        Ok(())
    }

    fn mark_open(&self) -> Result<(), IndexFailure> {
        Ok(())
    }

    fn mark_clean(&self, state: &Values, followed: &[u32]) -> Result<(), IndexFailure> {
        if let Some(expected) = self.followed()? {
            assert_eq!(followed, expected);
            for first in 0..=u8::MAX {
                let mut expected = self.leaves(first)?;
                expected.sort_unstable_by_key(|leaf| leaf.key);
                assert_eq!(state.leaves(first), expected);
            }
        }
        Ok(())
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap()
}

impl Rows {
    fn add(&mut self, block: &BlockRows) -> Result<(), IndexFailure> {
        let BlockRows { height, block_hash, time_ms, segment, offset, length, .. } = *block;
        self.blocks.push(BlockRow { block_hash, segment, offset, length, time_ms });
        for lane in &block.lanes {
            let write = block.writes.iter().find(|write| (write.entry, &*write.kind) == (lane.entry, "lane"));
            if write.map(|write| write.number) != Some(lane.number) {
                return Err(IndexFailure(format!(
                    "block {height} gives the lane of entry {} another number",
                    lane.entry
                )));
            }
            self.lanes.insert((lane.number, lane.sequence), (height, lane.entry));
        }
        for write in &block.writes {
            let next = u32::try_from(self.records.len()).unwrap();
            let number = *self.numbers.entry(write.key).or_insert(next);
            if write.number != number {
                return Err(IndexFailure(format!("{} is record {number}, and no {}", write.id, write.number)));
            }
            let stored = Stored {
                number,
                height,
                entry: write.entry,
                salt: write.salt,
                kind: (&*write.kind).into(),
                id: write.id.clone(),
                record: write.record.clone(),
            };
            if number == next {
                self.records.push(stored);
                self.hashes.push((write.key, write.value));
            } else {
                self.records[place(number)] = stored;
                self.hashes[place(number)].1 = write.value;
            }
            let touch = Touch { height, entry: write.entry, instructions: write.instructions.clone() };
            self.touches.entry(number).or_default().push(touch);
        }
        Ok(())
    }
}
