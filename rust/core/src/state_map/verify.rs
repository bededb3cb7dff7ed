//! Verifies that a record is, or is not, in the state map of a block header.
//!
//! It knows a key, a path and the hash in the header, and no storage. It refuses a path of more than 256 levels, and
//! an absence that rests on the key itself or on a leaf that stands elsewhere.

use super::leaf::state_leaf;
use super::{bit, shared_bits};
use crate::encoding::hex;
use crate::hash::{EMPTY, Hash, HashSuite};

/// Bits of a key, and so the most levels of a path.
pub const DEPTH_MAX: usize = 256;

/// What stands at the end of a walk from the top of the map towards a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The leaf of the key itself: the record is there.
    Leaf,
    /// Nothing: no key begins with the bits walked.
    Empty,
    /// The only leaf whose key begins with the bits walked, and it is another's.
    Other {
        /// Its key.
        key: Hash,
        /// Its value.
        value: Hash,
    },
}

/// The way to a key or to the place where it would stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPath {
    /// The hashes beside the way, from the top down.
    pub siblings: Vec<Hash>,
    /// Where it ends, at depth `siblings.len()`.
    pub end: End,
}

/// Why a path proves nothing; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapPathError {
    /// More levels than a key has bits.
    #[error("the path has {found} siblings, expected at most {DEPTH_MAX}")]
    TooLong {
        /// Siblings given.
        found: usize,
    },
    /// The path leads to another state.
    #[error("the path leads to {}, expected {}", hex(found), hex(expected))]
    RootDiffers {
        /// The hash in the header.
        expected: Hash,
        /// The hash that the path leads to.
        found: Hash,
    },
    /// An absence whose end is the key's own leaf.
    #[error("the end of the path is the key's own leaf, expected nothing or another leaf")]
    Present,
    /// An absence whose other leaf does not stand where the path ends.
    #[error("the other leaf's key shares {found} bits with the key, expected at least {expected}")]
    OtherElsewhere {
        /// Levels of the path.
        expected: usize,
        /// Bits that the two keys share.
        found: usize,
    },
}

/// The hash of the map in which `key` has `value` and stands at the end of `siblings`.
///
/// # Errors
/// `TooLong`.
pub fn root_from_leaf(
    suite: &dyn HashSuite,
    key: &Hash,
    value: &Hash,
    siblings: &[Hash],
) -> Result<Hash, MapPathError> {
    climb(suite, key, state_leaf(suite, key, value), siblings)
}

/// Verifies that `key` has `value` in the map with that `root_hash`.
///
/// # Errors
/// `TooLong`, `RootDiffers`.
pub fn verify_presence(
    suite: &dyn HashSuite,
    root_hash: &Hash,
    key: &Hash,
    value: &Hash,
    siblings: &[Hash],
) -> Result<(), MapPathError> {
    compare(root_hash, root_from_leaf(suite, key, value, siblings)?)
}

/// Verifies that there is no `key` in the map with that `root_hash`.
///
/// # Errors
/// `TooLong`, `Present`, `OtherElsewhere`, `RootDiffers`.
pub fn verify_absence(
    suite: &dyn HashSuite,
    root_hash: &Hash,
    key: &Hash,
    siblings: &[Hash],
    end: &End,
) -> Result<(), MapPathError> {
    let start = match end {
        End::Leaf => return Err(MapPathError::Present),
        End::Empty => EMPTY,
        End::Other { key: other, value } => {
            let found = shared_bits(key, other);
            if found == DEPTH_MAX {
                return Err(MapPathError::Present);
            }
            if found < siblings.len() {
                return Err(MapPathError::OtherElsewhere { expected: siblings.len(), found });
            }
            state_leaf(suite, other, value)
        }
    };
    compare(root_hash, climb(suite, key, start, siblings)?)
}

/// Hashes from the end of a path, at the depth of its length, up to the top.
fn climb(suite: &dyn HashSuite, key: &Hash, mut hash: Hash, siblings: &[Hash]) -> Result<Hash, MapPathError> {
    if siblings.len() > DEPTH_MAX {
        return Err(MapPathError::TooLong { found: siblings.len() });
    }
    for (depth, sibling) in siblings.iter().enumerate().rev() {
        hash = if bit(key, depth) { suite.node(sibling, &hash) } else { suite.node(&hash, sibling) };
    }
    Ok(hash)
}

fn compare(expected: &Hash, found: Hash) -> Result<(), MapPathError> {
    if found == *expected { Ok(()) } else { Err(MapPathError::RootDiffers { expected: *expected, found }) }
}
