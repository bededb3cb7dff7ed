//! State map: what every record is now, as one hash.
//!
//! A compact sparse Merkle trie over hashed keys (`docs/format.md` section 5). `StateMap` holds it in memory and
//! makes paths; `verify` judges paths and never sees a map, so that whoever holds a block header and a path needs
//! nothing else. The map keeps hashes and salts, no record: what a record says stands in the blocks and the index.

mod arena;
mod hashing;
mod leaf;
mod map;
mod shard;
mod verify;

pub use leaf::{Hashed, Leaf, Salt, record_key, record_salt, record_value, state_leaf, state_leaves};
pub use map::{Parts, StateMap, Values};
pub use verify::{DEPTH_MAX, End, MapPath, MapPathError, root_from_leaf, verify_absence, verify_presence};

use crate::hash::Hash;

/// Bit `depth` of a key, most significant bit of byte 0 first.
fn bit(key: &Hash, depth: usize) -> bool {
    key.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}

/// How many bits two keys share from the start, 256 where they are equal.
fn shared_bits(one: &Hash, other: &Hash) -> usize {
    let words = one.as_chunks().0.iter().zip(other.as_chunks().0);
    for (index, (a, b)) in words.enumerate() {
        let differing = u64::from_be_bytes(*a) ^ u64::from_be_bytes(*b);
        if differing != 0 {
            return index * 64 + differing.leading_zeros() as usize;
        }
    }
    DEPTH_MAX
}
