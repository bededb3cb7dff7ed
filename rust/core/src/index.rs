//! What the ledger asks of an index: everything that can be rebuilt from the blocks, and nothing else.
//!
//! The LMDB implementation is a crate of its own. No truth rests on an index: records that it gives are compared with
//! the state map, and where it is missing, behind or doubtful it is made anew from the blocks.

use std::sync::Arc;

use crate::hash::{Hash, HashSuite};
use crate::merkle;
use crate::state_map::{self, Hashed, Leaf, Values};

/// A record that a block wrote.
#[derive(Clone, Debug)]
pub struct Write {
    /// Key in the state map.
    pub key: Hash,
    /// Kind of the record, at most 255 bytes.
    pub kind: Arc<str>,
    /// Id of the record, at most 255 bytes.
    pub id: Box<str>,
    /// Value in the state map after the write.
    pub value: Hash,
    /// Its hash as a leaf of the state map, to which the entry commits.
    pub leaf_hash: Hash,
    /// Salt of the record after the write.
    pub salt: [u8; 16],
    /// The record's canonical JSON.
    pub record: Vec<u8>,
    /// Entry (transaction) in the block.
    pub entry: u32,
    /// Instructions of that transaction that wrote it; none for a lane.
    pub instructions: Vec<u16>,
    /// How many records were born before it. The state map keeps it, so that the index need not look for a key.
    pub number: u32,
}

impl Write {
    /// Makes the leaf hashes of writes whose values are known.
    pub fn hash_leaves(suite: &dyn HashSuite, writes: &mut [Self]) {
        let hashes = state_map::state_leaves(suite, writes.iter().map(|write| (&write.key, &write.value)));
        for (write, hash) in writes.iter_mut().zip(hashes) {
            write.leaf_hash = hash;
        }
    }

    /// The writes of each entry of a block, of which there is at least one: its lane, the last.
    pub fn by_entry(writes: &[Self]) -> impl Iterator<Item = &[Self]> {
        writes.chunk_by(|one, other| one.entry == other.entry)
    }

    /// What an entry commits to of its writes.
    #[must_use]
    pub fn changes(suite: &dyn HashSuite, of_entry: &[Self]) -> Hash {
        let leaves: Vec<Hash> = of_entry.iter().map(|write| write.leaf_hash).collect();
        merkle::tree_hash(suite, &leaves)
    }

    /// The leaf that it is to the state map, with its hash.
    #[must_use]
    pub fn leaf(&self) -> Hashed {
        let leaf = Leaf { key: self.key, value: self.value, salt: self.salt, number: self.number };
        Hashed { leaf, hash: self.leaf_hash }
    }
}

/// A lane's sequence that a block used.
#[derive(Clone, Debug)]
pub struct LaneRow {
    /// Number of the lane's record, which the same block writes.
    pub number: u32,
    /// The sequence.
    pub sequence: u64,
    /// Entry in the block.
    pub entry: u32,
}

/// Everything that the index keeps of one block.
#[derive(Clone, Debug)]
pub struct BlockRows {
    /// Height of the block.
    pub height: u64,
    /// Its hash.
    pub block_hash: Hash,
    /// Its time in Unix milliseconds.
    pub time_ms: u64,
    /// Block file that holds its frame.
    pub segment: u32,
    /// Offset of the frame in that file.
    pub offset: u64,
    /// Payload bytes.
    pub length: u32,
    /// Lanes that it advanced.
    pub lanes: Vec<LaneRow>,
    /// Records that it wrote, in order; several writes of one key are several touches, and the last is the record.
    pub writes: Vec<Write>,
}

/// A record as the index holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many records were born before it.
    pub number: u32,
    /// Block that last wrote it.
    pub height: u64,
    /// Entry that last wrote it.
    pub entry: u32,
    /// Its salt.
    pub salt: [u8; 16],
    /// Its kind.
    pub kind: Box<str>,
    /// Its id.
    pub id: Box<str>,
    /// Its canonical JSON.
    pub record: Vec<u8>,
}

/// One step in a record's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Block.
    pub height: u64,
    /// Entry in the block.
    pub entry: u32,
    /// Instructions of that transaction that wrote the record.
    pub instructions: Vec<u16>,
}

/// Where a block's frame lies, and the block's hash and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// Its hash.
    pub block_hash: Hash,
    /// Block file.
    pub segment: u32,
    /// Offset in it.
    pub offset: u64,
    /// Payload bytes.
    pub length: u32,
    /// Its time.
    pub time_ms: u64,
}

/// How far the index has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Hash of block 0 of the ledger that it indexes.
    pub ledger: Hash,
    /// Last block indexed.
    pub height: u64,
    /// Hash of that block.
    pub block_hash: Hash,
}

/// The index failed or is damaged; the blocks are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("index: {0}")]
pub struct IndexFailure(pub String);

/// A record as a walk over the index meets it.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// How many records were born before it.
    pub number: u32,
    /// Key in the state map, as it was written.
    pub key: &'a Hash,
    /// Its salt.
    pub salt: &'a [u8; 16],
    /// Its kind.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its canonical JSON.
    pub record: &'a [u8],
}

/// Takes a record, or stops the walk.
pub type Visit<'a> = dyn FnMut(&Kept<'_>) -> Result<(), IndexFailure> + 'a;

/// The index that a ledger writes behind its sealed blocks and reads records from.
pub trait RecordIndex: Send + Sync {
    /// How far it has come; `None` where it is empty.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn meta(&self) -> Result<Option<Meta>, IndexFailure>;
    /// Adds consecutive blocks in one commit; block 0's hash names the ledger that is indexed.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn apply(&self, blocks: &[BlockRows]) -> Result<(), IndexFailure>;
    /// The number of the record with that state-map key, for who has no state map.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn number_of(&self, key: &Hash) -> Result<Option<u32>, IndexFailure>;
    /// The record with that number.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn record(&self, number: u32) -> Result<Option<Stored>, IndexFailure>;
    /// The records with those numbers, in their order and of one state of the index; quickest where numbers rise.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn records(&self, numbers: &[u32]) -> Result<Vec<Option<Stored>>, IndexFailure>;
    /// Up to `limit` records of a kind (or of all) with `number >= from`, and the number to go on from.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn scan(&self, from: u64, limit: usize, kind: Option<&str>) -> Result<(Vec<Stored>, Option<u64>), IndexFailure>;
    /// The numbers that were given to `mark_clean`, in an index of which every byte is as it was then; `None` in any
    /// other.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn followed(&self) -> Result<Option<Vec<u32>>, IndexFailure>;
    /// The leaves whose keys begin with that byte, as `mark_clean` kept them, where `followed` gives something.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn leaves(&self, first: u8) -> Result<Vec<Leaf>, IndexFailure>;
    /// Calls `visit` for every record, in the order of their numbers.
    ///
    /// # Errors
    /// The index failed or is damaged, or `visit` said so.
    fn for_each_record(&self, visit: &mut Visit<'_>) -> Result<(), IndexFailure>;
    /// Checks that every record is found by its key, and nothing else is, for who has no state map.
    ///
    /// # Errors
    /// The index failed or is damaged, or that is not so.
    fn check_keys(&self) -> Result<(), IndexFailure>;
    /// Places that touched a record, newest first.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn history(&self, number: u32, limit: usize) -> Result<Vec<Touch>, IndexFailure>;
    /// Place (height, entry) of a sequence of the lane whose record has that number.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn lane_place(&self, lane: u32, sequence: u64) -> Result<Option<(u64, u32)>, IndexFailure>;
    /// Where a block lies.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn block(&self, height: u64) -> Result<Option<BlockRow>, IndexFailure>;
    /// Every block's hash, from height 0.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn block_hashes(&self) -> Result<Vec<Hash>, IndexFailure>;
    /// Notes that something it gave was never sealed, so that it is made anew when the ledger is opened next.
    ///
    /// # Errors
    /// The note cannot be written.
    fn condemn(&self) -> Result<(), IndexFailure>;
    /// Writes the mark that what follows may be lost with the power.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn mark_open(&self) -> Result<(), IndexFailure>;
    /// Syncs, keeps the leaves of the state after the last block and the numbers of the records that the core follows,
    /// and writes the clean-close mark.
    ///
    /// # Errors
    /// The index failed or is damaged.
    fn mark_clean(&self, state: &Values, followed: &[u32]) -> Result<(), IndexFailure>;
}
