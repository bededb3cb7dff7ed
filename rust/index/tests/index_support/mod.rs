//! A model of the index made of plain maps, and random blocks to feed both with.

#![allow(dead_code, reason = "each test file uses its own part of this support")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use finchain_core::hash::suite;
use finchain_core::state_map::StateMap;
use finchain_index::{BlockRow, BlockRows, Index, IndexError, LaneRow, Stored, Touch, Write};

/// A small generator of reproducible numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A record key that is as scattered as a hash.
pub fn key(number: u64) -> [u8; 32] {
    let mut random = Random(number);
    let mut key = [0; 32];
    key.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.next().to_be_bytes()));
    key
}

pub fn hash(height: u64) -> [u8; 32] {
    key(height ^ 0xb10c)
}

pub fn kind(object: u64) -> &'static str {
    ["receivable", "account", "lane", "k"][usize::try_from(object % 4).unwrap()]
}

/// A write of the record whose number is that of its object.
pub fn write(object: u64, entry: u32, instructions: Vec<u16>, record: Vec<u8>) -> Write {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&(object ^ u64::from(entry)).to_le_bytes());
    Write {
        key: key(object),
        kind: Arc::from(kind(object)),
        id: format!("shop {object}").into(),
        value: key(!object),
        leaf_hash: key(object ^ 1),
        salt,
        record,
        entry,
        instructions,
        number: u32::try_from(object).unwrap(),
    }
}

pub fn block(height: u64, lanes: Vec<LaneRow>, writes: Vec<Write>) -> BlockRows {
    let segment = u32::try_from(height / 10).unwrap();
    let (offset, length) = (height * 4096, u32::try_from(height).unwrap() + 100);
    BlockRows {
        height,
        block_hash: hash(height),
        time_ms: 1_700_000_000_000 + height,
        segment,
        offset,
        length,
        lanes,
        writes,
    }
}

/// A block whose only purpose is to be there.
pub fn plain(height: u64) -> BlockRows {
    block(height, Vec::new(), vec![write(height, 0, vec![0], b"{}".to_vec())])
}

/// Closes an index with the leaves of a state that holds nothing.
pub fn close(index: &Index) -> Result<(), IndexError> {
    index.mark_clean(&StateMap::new(suite("blake3").unwrap()).values(), &[])
}

/// What the index should hold.
#[derive(Default)]
pub struct Model {
    pub records: HashMap<[u8; 32], Stored>,
    pub history: HashMap<[u8; 32], Vec<Touch>>,
    pub lanes: BTreeMap<(u32, u64), (u64, u32)>,
    pub blocks: Vec<BlockRow>,
    sequences: HashMap<u64, u64>,
}

impl Model {
    /// A random block: up to `entries` transactions over `objects` records, each of one of five lanes.
    pub fn random_block(&mut self, random: &mut Random, entries: u64, objects: u64) -> BlockRows {
        let height = self.blocks.len() as u64;
        let (mut lanes, mut writes) = (Vec::new(), Vec::new());
        for entry in 0..u32::try_from(random.below(entries + 1)).unwrap() {
            let mut written = Vec::new();
            for _ in 0..random.below(4) {
                let object = 4 * random.below(objects) + random.below(2);
                if written.contains(&object) {
                    continue;
                }
                written.push(object);
                let instructions = (0..random.below(3)).map(|_| u16::try_from(random.below(4096)).unwrap()).collect();
                let bytes_end = if random.below(50) == 0 { 16384 } else { 300 };
                let bytes = usize::try_from(random.below(bytes_end)).unwrap();
                writes.push(write(object, entry, instructions, vec![b'r'; bytes]));
            }
            let lane = 4 * random.below(5) + 2;
            let sequence = self.sequences.entry(lane).or_default();
            *sequence += 1;
            lanes.push(LaneRow { number: 0, sequence: *sequence, entry });
            writes.push(write(lane, entry, Vec::new(), format!("{sequence}").into_bytes()));
        }
        let mut block = block(height, lanes, writes);
        self.number(&mut block);
        self.apply(&block);
        block
    }

    /// Numbers the records of a block as a ledger does.
    fn number(&self, block: &mut BlockRows) {
        let mut born = HashMap::new();
        let mut lanes = block.lanes.iter_mut();
        for write in &mut block.writes {
            let next = u32::try_from(self.records.len() + born.len()).unwrap();
            let known = self.records.get(&write.key).map(|stored| stored.number);
            write.number = known.unwrap_or_else(|| *born.entry(write.key).or_insert(next));
            if &*write.kind == "lane" {
                lanes.next().unwrap().number = write.number;
            }
        }
    }

    pub fn apply(&mut self, rows: &BlockRows) {
        for Write { key, kind, id, salt, record, entry, instructions, number, .. } in rows.writes.clone() {
            let height = rows.height;
            let stored = Stored { number, height, entry, salt, kind: (*kind).into(), id, record };
            self.records.insert(key, stored);
            self.history.entry(key).or_default().insert(0, Touch { height, entry, instructions });
        }
        for lane in &rows.lanes {
            self.lanes.insert((lane.number, lane.sequence), (rows.height, lane.entry));
        }
        let BlockRows { block_hash, segment, offset, length, time_ms, .. } = *rows;
        self.blocks.push(BlockRow { block_hash, segment, offset, length, time_ms });
    }

    /// Compares everything that the index can be asked.
    pub fn check(&self, index: &Index) {
        let meta = index.meta().unwrap().unwrap();
        assert_eq!(
            (meta.height + 1, meta.next_number),
            (self.blocks.len() as u64, u32::try_from(self.records.len()).unwrap())
        );
        assert_eq!((meta.ledger, meta.block_hash), (hash(0), hash(meta.height)));
        for (key, stored) in &self.records {
            assert_eq!(index.number_of(key).unwrap(), Some(stored.number));
            assert_eq!(index.record(stored.number).unwrap().as_ref(), Some(stored));
            assert_eq!(index.history(stored.number, usize::MAX).unwrap(), self.history[key]);
        }
        assert_eq!(index.number_of(&[0xee; 32]).unwrap(), None);
        assert_eq!(index.record(meta.next_number).unwrap(), None);
        let alone: Vec<_> = (0..=meta.next_number).map(|number| index.record(number).unwrap()).collect();
        let numbers: Vec<u32> = (0..=meta.next_number).collect();
        assert_eq!(index.records(&numbers).unwrap(), alone);
        let falling: Vec<u32> = numbers.into_iter().rev().collect();
        assert!(index.records(&falling).unwrap().into_iter().rev().eq(alone));
        for ((lane, sequence), place) in &self.lanes {
            assert_eq!(index.lane_place(*lane, *sequence).unwrap(), Some(*place));
        }
        for (height, block) in (0..).zip(&self.blocks) {
            assert_eq!(index.block(height).unwrap().as_ref(), Some(block));
        }
        assert_eq!(index.block_hashes().unwrap(), self.blocks.iter().map(|block| block.block_hash).collect::<Vec<_>>());
        let mut all = Vec::new();
        index.for_each_record(|view| all.push(view.to_stored())).unwrap();
        let mut expected: Vec<Stored> = self.records.values().cloned().collect();
        expected.sort_unstable_by_key(|stored| stored.number);
        assert_eq!(all, expected);
    }
}
