//! Merkle trees in the shape of RFC 9162 section 2.1.1: building, proving and verifying.
//!
//! `build` hashes the small trees inside of a block; `block_log` is the one tree that grows; `verify` is what a
//! stranger with a receipt runs, and never sees storage. Leaves are always hashes already. A path is the list of
//! sibling hashes from the leaf upwards, and its length follows from index and size: no other length is accepted.

pub mod block_log;
pub mod build;
pub mod verify;

use crate::encoding::hex;
use crate::hash::Hash;

pub use block_log::BlockLog;
pub use build::{path, tree_hash};
pub use verify::{root_from_path, verify_consistency, verify_inclusion};

/// Why a path cannot be made or is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A leaf that the tree does not have.
    #[error("leaf index {index} lies outside of a tree of {size} leaves")]
    IndexOutOfRange {
        /// The index asked for, from 0.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// A tree larger than the log.
    #[error("a tree of {size} leaves was asked of a log that holds {held}")]
    SizeOutOfRange {
        /// The size asked for.
        size: u64,
        /// Leaves in the log.
        held: u64,
    },
    /// A consistency proof from the empty tree, which would say nothing.
    #[error("consistency was asked from an empty tree, expected at least 1 leaf")]
    FromEmpty,
    /// A consistency proof from a larger tree to a smaller one.
    #[error("consistency was asked from {size1} leaves back to {size2}, expected the smaller tree first")]
    SizesSwapped {
        /// Leaves of the tree that should be older.
        size1: u64,
        /// Leaves of the tree that should be newer.
        size2: u64,
    },
    /// A path that is too long or too short.
    #[error("the path has {found} hashes, expected exactly {expected}")]
    PathLength {
        /// Hashes that index and size ask for.
        expected: usize,
        /// Hashes in the path.
        found: usize,
    },
    /// The path leads to another root.
    #[error("the path leads to root {}, expected {}", hex(found), hex(expected))]
    RootDiffers {
        /// The root that was to be reached.
        expected: Hash,
        /// The root that the path gives.
        found: Hash,
    },
    /// A consistency path that does not lead to the older root.
    #[error("the path leads to older root {}, expected {}", hex(found), hex(expected))]
    OlderRootDiffers {
        /// The older root that was to be reached.
        expected: Hash,
        /// The root that the path gives.
        found: Hash,
    },
}

/// The width of an index as a count. No supported platform has addresses of more than 64 bits.
fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
