//! Hashes that a walk through a shard asks for: worked out at once, or together when it is over.
//!
//! A node waits for its children and for nothing else, so that all nodes of one height go side by side through the
//! vector code of the suite: eight of BLAKE3's take little more than one.

use super::leaf::state_leaf;
use crate::hash::{EMPTY, Hash, HashSuite, Pair, Purpose, pair};

/// What works out hashes.
pub(super) trait Hashing {
    /// What stands for a hash.
    type Made: Copy;

    /// The hash of nothing.
    const NOTHING: Self::Made;

    /// Takes in a hash that is known.
    fn known(&mut self, hash: Hash) -> Self::Made;

    /// Asks for the hash of a leaf.
    fn leaf(&mut self, key: &Hash, value: &Hash) -> Self::Made;

    /// Asks for the hash of a node.
    fn node(&mut self, left: Self::Made, right: Self::Made) -> Self::Made;
}

/// Works out each hash at once: where a walk asks for few, on the way to a proof.
pub(super) struct AtOnce<'a>(pub &'a dyn HashSuite);

impl Hashing for AtOnce<'_> {
    type Made = Hash;

    const NOTHING: Hash = EMPTY;

    fn known(&mut self, hash: Hash) -> Hash {
        hash
    }

    fn leaf(&mut self, key: &Hash, value: &Hash) -> Hash {
        state_leaf(self.0, key, value)
    }

    fn node(&mut self, left: Hash, right: Hash) -> Hash {
        self.0.node(&left, &right)
    }
}

/// A hash that is known, or will be when the walk is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(usize);

/// A node that is to be hashed.
#[derive(Clone, Copy, Debug)]
struct Node {
    children: [Slot; 2],
    to: Slot,
}

/// Works out the hashes of a walk together; it keeps its memory for the next.
#[derive(Debug)]
pub(super) struct Pending {
    /// That of nothing first.
    hashes: Vec<Hash>,
    /// Of each hash, how many nodes stand below it that are to be hashed before.
    heights: Vec<u16>,
    leaves: Vec<Pair>,
    leaf_slots: Vec<Slot>,
    /// The nodes of each height, from one up.
    levels: Vec<Vec<Node>>,
    /// The branches that keep a hash, and which.
    kept: Vec<(u32, Slot)>,
    /// What is put together for one call of the suite, and what it answers.
    pairs: Vec<Pair>,
    answers: Vec<Hash>,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self {
            hashes: vec![EMPTY],
            heights: vec![0],
            leaves: Vec::new(),
            leaf_slots: Vec::new(),
            levels: Vec::new(),
            kept: Vec::new(),
            pairs: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Says that the branch at that place is to keep that hash.
    pub(super) fn keep(&mut self, branch: u32, hash: Slot) {
        self.kept.push((branch, hash));
    }

    fn slot(&mut self, hash: Hash, height: u16) -> Slot {
        let slot = Slot(self.hashes.len());
        self.hashes.push(hash);
        self.heights.push(height);
        slot
    }

    /// Works out what was asked for.
    pub(super) fn settle(&mut self, suite: &dyn HashSuite) {
        self.answers.clear();
        suite.hash_pairs(Purpose::StateLeaf, &self.leaves, &mut self.answers);
        for (slot, hash) in self.leaf_slots.iter().zip(&self.answers) {
            self.hashes[slot.0] = *hash;
        }
        for level in &mut self.levels {
            self.pairs.clear();
            self.answers.clear();
            let hashes = &self.hashes;
            self.pairs.extend(level.iter().map(|node| {
                let [left, right] = node.children;
                pair(&hashes[left.0], &hashes[right.0])
            }));
            suite.nodes(&self.pairs, &mut self.answers);
            for (node, hash) in level.iter().zip(&self.answers) {
                self.hashes[node.to.0] = *hash;
            }
            level.clear();
        }
        self.leaves.clear();
        self.leaf_slots.clear();
    }

    /// A hash that was known, or that the last settling has worked out.
    pub(super) fn hash(&self, slot: Slot) -> Hash {
        self.hashes[slot.0]
    }

    /// The branches that keep hashes, and these.
    pub(super) fn kept(&self) -> impl Iterator<Item = (u32, Hash)> {
        self.kept.iter().map(|&(branch, slot)| (branch, self.hash(slot)))
    }

    /// Forgets all hashes.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.hashes.truncate(1);
        self.heights.truncate(1);
    }
}

impl Hashing for Pending {
    type Made = Slot;

    const NOTHING: Slot = Slot(0);

    fn known(&mut self, hash: Hash) -> Slot {
        self.slot(hash, 0)
    }

    fn leaf(&mut self, key: &Hash, value: &Hash) -> Slot {
        self.leaves.push(pair(key, value));
        let slot = self.slot(EMPTY, 0);
        self.leaf_slots.push(slot);
        slot
    }

    fn node(&mut self, left: Slot, right: Slot) -> Slot {
        let below = self.heights[left.0].max(self.heights[right.0]);
        let to = self.slot(EMPTY, below + 1);
        let level = usize::from(below);
        if level == self.levels.len() {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(Node { children: [left, right], to });
        to
    }
}
