//! One shard of the state map: the subtree of all keys with the same first byte.
//!
//! A fork stands only where keys part. Between two forks that are not on neighbouring levels the format has a chain
//! of nodes whose other side is empty; the shard keeps none of them and hashes the chain when the lower fork changes.
//! A fork over two leaves keeps no hash: a third of all forks are such pairs, and hashing one again costs three
//! hashes. Records are never removed, so neither is a leaf.
//!
//! A walk that writes asks for hashes, and they are worked out when it is over (`Pending`).

use std::hint::black_box;

use super::arena::Arena;
use super::hashing::{AtOnce, Hashing, Pending, Slot};
use super::leaf::{Hashed, Leaf};
use super::verify::End;
use super::{DEPTH_MAX, bit, shared_bits};
use crate::hash::{EMPTY, Hash, HashSuite};

/// Depth at which a shard begins: the bits of the key that choose it.
pub(super) const SHARD_DEPTH: usize = 8;

/// Records that are written before their hashes are worked out: what is asked for by then stays in the near caches of
/// the processor. All 40,000 records of a shard at once took 1.15 times as long.
const TOGETHER: usize = 1024;

/// Records of a shard for each that is written, from which on what writing reads is fetched beforehand. A shard that
/// has fewer lies in the cache, and a batch that is most of a shard goes along its memory in order.
///
/// It pays even where sealing has just walked the same paths, for the hashes beside them: of ten million records 3,000
/// are written in 4.9 µs each and not 6.0, and of one million in 4.1 and not 4.5.
const SPARSE: usize = 64;

/// Where a subtree is kept: an index, and in its top two bits in which arena.
///
/// Bytes and not `u32`, because alignment would cost three bytes a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link([u8; 4]);

/// A link, read.
enum At {
    Nothing,
    Leaf(u32),
    Pair(u32),
    Branch(u32),
}

impl Link {
    const NOTHING: Self = Self([0xff; 4]);
    const TAG_BITS: u32 = 30;

    fn new(at: &At) -> Self {
        match at {
            At::Nothing => Self::NOTHING,
            At::Leaf(index) => Self(index.to_le_bytes()),
            At::Pair(index) => Self((1 << Self::TAG_BITS | index).to_le_bytes()),
            At::Branch(index) => Self((2 << Self::TAG_BITS | index).to_le_bytes()),
        }
    }

    fn at(self) -> At {
        let number = u32::from_le_bytes(self.0);
        let index = number & ((1 << Self::TAG_BITS) - 1);
        match number >> Self::TAG_BITS {
            0 => At::Leaf(index),
            1 => At::Pair(index),
            2 => At::Branch(index),
            _ => At::Nothing,
        }
    }

    fn is_leaf(self) -> bool {
        matches!(self.at(), At::Leaf(_))
    }
}

/// Where keys part: the keys below agree on the bits before `split`, and that bit says the child.
#[derive(Clone, Copy, Debug)]
struct Fork {
    children: [Link; 2],
    split: u8,
}

/// A fork over three leaves or more, and the hash of the subtree that hangs from the fork above, chain included.
#[derive(Clone, Copy, Debug)]
struct Branch {
    fork: Fork,
    hash: Hash,
}

/// A subtree: where it is and its hash.
type Subtree = (Link, Slot);

/// The subtree of the keys that begin with one byte.
#[derive(Debug)]
pub(super) struct Shard {
    leaves: Arena<Leaf>,
    pairs: Arena<Fork>,
    branches: Arena<Branch>,
    /// Places in `pairs` whose fork has become a branch.
    pairs_free: Vec<u32>,
    top: Link,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            leaves: Arena::new(),
            pairs: Arena::new(),
            branches: Arena::new(),
            pairs_free: Vec::new(),
            top: Link::NOTHING,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.leaves.len()
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.leaves.bytes() + self.pairs.bytes() + self.branches.bytes() + self.pairs_free.capacity() * 4
    }

    /// Writes a batch with rising, distinct keys of this shard, and gives the hash of the shard.
    pub(super) fn apply(&mut self, suite: &dyn HashSuite, pending: &mut Pending, batch: &[Hashed]) -> Hash {
        let mut hash = EMPTY;
        for piece in batch.chunks(TOGETHER) {
            if piece.len() * SPARSE < self.leaves.len() as usize {
                self.fetch(piece);
            }
            let (top, slot) = self.update(pending, self.top, SHARD_DEPTH, piece);
            self.top = top;
            pending.settle(suite);
            for (branch, hash) in pending.kept() {
                self.branches[branch].hash = hash;
            }
            hash = pending.hash(slot);
            pending.clear();
        }
        hash
    }

    /// Brings what writing those keys reads into the cache of the processor: their paths, and the hashes beside these.
    fn fetch(&self, batch: &[Hashed]) {
        let pass = |beside: Link| {
            if let At::Branch(index) = beside.at() {
                black_box(self.branches[index].hash[0]);
            }
        };
        self.ends(batch, |new| &new.leaf.key, pass);
    }

    /// The leaves in the order of their keys.
    pub(super) fn leaves(&self) -> Vec<Leaf> {
        let mut found = Vec::with_capacity(self.leaves.len() as usize);
        let mut ways = vec![self.top];
        while let Some(link) = ways.pop() {
            if let Some(fork) = self.fork(link) {
                let [left, right] = fork.children;
                ways.extend([right, left]);
            } else if let At::Leaf(index) = link.at() {
                found.push(self.leaves[index]);
            }
        }
        found
    }

    pub(super) fn get(&self, key: &Hash) -> Option<Leaf> {
        self.nearest(self.top, key).filter(|leaf| leaf.key == *key).copied()
    }

    /// Adds what is kept of each of those keys, in their order.
    pub(super) fn get_all(&self, keys: &[Hash], found: &mut Vec<Option<Leaf>>) {
        let ends = self.ends(keys, |key| key, |_| {});
        found.extend(
            ends.into_iter().zip(keys).map(|(link, key)| self.leaf(link).filter(|leaf| leaf.key == *key).copied()),
        );
    }

    /// Where walks by the bits of the keys of a batch end; `pass` is shown each subtree that one leaves at its side.
    ///
    /// The walks go down side by side, a fork of each in turn: none needs another's memory, so that the processor
    /// fetches that of several at once, where one walk waits for each of its forks.
    fn ends<T>(&self, batch: &[T], key: impl Fn(&T) -> &Hash, mut pass: impl FnMut(Link)) -> Vec<Link> {
        let mut links = vec![self.top; batch.len()];
        let mut walking = true;
        while walking {
            walking = false;
            for (link, one) in links.iter_mut().zip(batch) {
                if let Some(fork) = self.fork(*link) {
                    let way = usize::from(bit(key(one), usize::from(fork.split)));
                    pass(fork.children[1 - way]);
                    *link = fork.children[way];
                    walking = true;
                }
            }
        }
        links
    }

    /// Adds the siblings from depth `SHARD_DEPTH` down to the end of the walk towards `key`, and gives that end.
    pub(super) fn prove(&self, suite: &dyn HashSuite, key: &Hash, siblings: &mut Vec<Hash>) -> End {
        let mut at_once = AtOnce(suite);
        let (mut link, mut depth) = (self.top, SHARD_DEPTH);
        while let Some(fork) = self.fork(link) {
            let split = usize::from(fork.split);
            if let Some(leaf) = self.nearest(link, key).filter(|_| depth < split) {
                let parted = shared_bits(&leaf.key, key);
                if parted < split {
                    siblings.extend((depth..parted).map(|_| EMPTY));
                    siblings.push(self.hash_at(&mut at_once, fork, &leaf.key, parted + 1));
                    return End::Empty;
                }
            }
            siblings.extend((depth..split).map(|_| EMPTY));
            let [left, right] = fork.children;
            let (next, sibling) = if bit(key, split) { (right, left) } else { (left, right) };
            siblings.push(self.hash(&mut at_once, sibling, split + 1));
            (link, depth) = (next, split + 1);
        }
        match link.at() {
            At::Leaf(index) if self.leaves[index].key == *key => End::Leaf,
            At::Leaf(index) => End::Other { key: self.leaves[index].key, value: self.leaves[index].value },
            _ => End::Empty,
        }
    }

    fn fork(&self, link: Link) -> Option<Fork> {
        match link.at() {
            At::Pair(index) => Some(self.pairs[index]),
            At::Branch(index) => Some(self.branches[index].fork),
            At::Leaf(_) | At::Nothing => None,
        }
    }

    /// The leaf at which a walk by the bits of `key` arrives that skips chains.
    fn nearest(&self, mut link: Link, key: &Hash) -> Option<&Leaf> {
        while let Some(fork) = self.fork(link) {
            link = fork.children[usize::from(bit(key, usize::from(fork.split)))];
        }
        self.leaf(link)
    }

    fn leaf(&self, link: Link) -> Option<&Leaf> {
        match link.at() {
            At::Leaf(index) => Some(&self.leaves[index]),
            _ => None,
        }
    }

    /// The hash of an unchanged subtree that hangs at `depth`.
    fn hash<H: Hashing>(&self, hashing: &mut H, link: Link, depth: usize) -> H::Made {
        match link.at() {
            At::Nothing => H::NOTHING,
            At::Leaf(index) => hashing.leaf(&self.leaves[index].key, &self.leaves[index].value),
            At::Branch(index) => hashing.known(self.branches[index].hash),
            At::Pair(index) => {
                let fork = self.pairs[index];
                match self.nearest(link, &EMPTY) {
                    Some(leaf) => self.hash_at(hashing, fork, &leaf.key, depth),
                    None => H::NOTHING,
                }
            }
        }
    }

    /// The hash of a fork, with the chain up to `depth`, where its children are unchanged; `key` is any below it.
    fn hash_at<H: Hashing>(&self, hashing: &mut H, fork: Fork, key: &Hash, depth: usize) -> H::Made {
        let split = usize::from(fork.split);
        let children = fork.children.map(|child| self.hash(hashing, child, split + 1));
        chain(hashing, children, key, split, depth)
    }

    /// Writes `batch`, whose keys all lie below `depth`, into the subtree there.
    fn update(&mut self, pending: &mut Pending, link: Link, depth: usize, batch: &[Hashed]) -> Subtree {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return (link, self.hash(pending, link, depth));
        };
        let Some(fork) = self.fork(link) else {
            return self.build(pending, link, depth, batch);
        };
        let split = usize::from(fork.split);
        if depth < split
            && let Some(below) = self.nearest(link, &first.leaf.key).map(|leaf| leaf.key)
        {
            let parted = shared_bits(&below, &first.leaf.key).min(shared_bits(&below, &last.leaf.key));
            if parted < split {
                return self.part(pending, link, &below, (depth, parted), batch);
            }
        }
        let (to_left, to_right) = halves(batch, split);
        let left = self.update(pending, fork.children[0], split + 1, to_left);
        let right = self.update(pending, fork.children[1], split + 1, to_right);
        self.store(pending, link, [left, right], (depth, split), &first.leaf.key)
    }

    /// As `update` where some keys leave the chain above the fork at `link` at the bit `parted`: a new fork is there.
    fn part(
        &mut self,
        pending: &mut Pending,
        link: Link,
        below: &Hash,
        (depth, parted): (usize, usize),
        batch: &[Hashed],
    ) -> Subtree {
        let (to_left, to_right) = halves(batch, parted);
        let (old, new) = if bit(below, parted) { (to_right, to_left) } else { (to_left, to_right) };
        let kept = if old.is_empty() {
            self.lower(pending, link, below, parted + 1)
        } else {
            self.update(pending, link, parted + 1, old)
        };
        let added = self.build(pending, Link::NOTHING, parted + 1, new);
        let children = if bit(below, parted) { [added, kept] } else { [kept, added] };
        self.store(pending, Link::NOTHING, children, (depth, parted), below)
    }

    /// Hashes an unchanged subtree that now hangs lower, at `depth`.
    fn lower(&self, pending: &mut Pending, link: Link, below: &Hash, depth: usize) -> Subtree {
        let Some(fork) = self.fork(link) else {
            return (link, self.hash(pending, link, depth));
        };
        let hash = self.hash_at(pending, fork, below, depth);
        if let At::Branch(index) = link.at() {
            pending.keep(index, hash);
        }
        (link, hash)
    }

    /// Makes the subtree at `depth` of a batch, and of one leaf or nothing that stands there already.
    fn build(&mut self, pending: &mut Pending, old: Link, depth: usize, batch: &[Hashed]) -> Subtree {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return (old, self.hash(pending, old, depth));
        };
        let old_key = match old.at() {
            At::Leaf(index) => self.leaves[index].key,
            _ => first.leaf.key,
        };
        let split = shared_bits(&first.leaf.key, &last.leaf.key).min(shared_bits(&first.leaf.key, &old_key));
        if split == DEPTH_MAX {
            return (self.write(old, &first.leaf), pending.known(first.hash));
        }
        let (to_left, to_right) = halves(batch, split);
        let (left, right) = if bit(&old_key, split) { (Link::NOTHING, old) } else { (old, Link::NOTHING) };
        let left = self.build(pending, left, split + 1, to_left);
        let right = self.build(pending, right, split + 1, to_right);
        self.store(pending, Link::NOTHING, [left, right], (depth, split), &first.leaf.key)
    }

    /// Writes one record to the leaf with its key, or to a new leaf where there is nothing.
    fn write(&mut self, old: Link, new: &Leaf) -> Link {
        if let At::Leaf(index) = old.at() {
            self.leaves[index] = *new;
            return old;
        }
        Link::new(&At::Leaf(self.leaves.push(*new)))
    }

    /// Keeps a fork over two changed children, in the place of `old` where that is of the same kind.
    fn store(
        &mut self,
        pending: &mut Pending,
        old: Link,
        children: [Subtree; 2],
        (depth, split): (usize, usize),
        key: &Hash,
    ) -> Subtree {
        let Ok(split_byte) = u8::try_from(split) else {
            return (Link::NOTHING, Pending::NOTHING);
        };
        let hash = chain(pending, children.map(|(_, hash)| hash), key, split, depth);
        let fork = Fork { children: children.map(|(link, _)| link), split: split_byte };
        let both_leaves = fork.children.iter().all(|child| child.is_leaf());
        match old.at() {
            // The leaves of a pair keep their places when they are written again.
            At::Pair(_) if both_leaves => return (old, hash),
            At::Branch(index) => {
                self.branches[index].fork = fork;
                pending.keep(index, hash);
                return (old, hash);
            }
            At::Pair(index) => self.pairs_free.push(index),
            At::Leaf(_) | At::Nothing => {}
        }
        let at = if !both_leaves {
            let index = self.branches.push(Branch { fork, hash: EMPTY });
            pending.keep(index, hash);
            At::Branch(index)
        } else if let Some(index) = self.pairs_free.pop() {
            self.pairs[index] = fork;
            At::Pair(index)
        } else {
            At::Pair(self.pairs.push(fork))
        };
        (Link::new(&at), hash)
    }
}

/// The hash at `depth` of a fork whose two halves meet at `split`, below a chain of nodes with an empty side.
fn chain<H: Hashing>(hashing: &mut H, [left, right]: [H::Made; 2], key: &Hash, split: usize, depth: usize) -> H::Made {
    let mut hash = hashing.node(left, right);
    for level in (depth..split).rev() {
        hash = if bit(key, level) { hashing.node(H::NOTHING, hash) } else { hashing.node(hash, H::NOTHING) };
    }
    hash
}

/// A sorted batch of keys that agree before bit `split`, cut where that bit becomes 1.
fn halves(batch: &[Hashed], split: usize) -> (&[Hashed], &[Hashed]) {
    batch.split_at(batch.partition_point(|new| !bit(&new.leaf.key, split)))
}
