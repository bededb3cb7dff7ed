//! Verification of paths, from hashes alone: this is what a stranger runs, and it never sees storage.
//!
//! Sizes always come from a signed place, never from the prover; with them the length of a path is fixed, and a path
//! that is longer or shorter is refused before anything is hashed.

use super::PathError;
use crate::hash::{Hash, NodeHash};

/// The root of the tree of `size` leaves in which `leaf` stands at `index` with this `path`.
///
/// # Errors
/// `IndexOutOfRange` unless `index < size`; `PathLength` unless the path is exactly as long as RFC 9162 asks.
pub fn root_from_path(
    suite: &dyn NodeHash,
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
) -> Result<Hash, PathError> {
    if index >= size {
        return Err(PathError::IndexOutOfRange { index, size });
    }
    let (inner, border) = lengths(index, size);
    check_length(inner + border, path)?;
    let mut hash = *leaf;
    for (level, sibling) in path.iter().enumerate() {
        // Up to the level where the leaf's branch and the last leaf's meet, the index says the side; above it, every
        // sibling is a complete subtree on the left.
        let right = level >= inner || index >> level & 1 == 1;
        hash = if right { suite.node(sibling, &hash) } else { suite.node(&hash, sibling) };
    }
    Ok(hash)
}

/// Verifies that `leaf` is leaf `index` of the tree of `size` leaves with that `root_hash`.
///
/// # Errors
/// As `root_from_path`, and `RootDiffers`.
pub fn verify_inclusion(
    suite: &dyn NodeHash,
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root_hash: &Hash,
) -> Result<(), PathError> {
    let found = root_from_path(suite, leaf, index, size, path)?;
    if found == *root_hash { Ok(()) } else { Err(PathError::RootDiffers { expected: *root_hash, found }) }
}

/// Verifies that the tree of `size2` leaves with `root2` continues the tree of `size1` leaves with `root1`.
///
/// Equal sizes need equal roots and an empty path. The empty tree is refused as a start: every tree continues it, so
/// such a path would read as an assurance and be none. A caller who has seen no tree yet has nothing to compare.
///
/// # Errors
/// `FromEmpty` for `size1 = 0`; `SizesSwapped` unless `size1 <= size2`; `PathLength` unless the path is exactly as
/// long as RFC 9162 asks; `OlderRootDiffers` or `RootDiffers` where the path leads elsewhere.
pub fn verify_consistency(
    suite: &dyn NodeHash,
    size1: u64,
    size2: u64,
    root1: &Hash,
    root2: &Hash,
    path: &[Hash],
) -> Result<(), PathError> {
    if size1 == 0 {
        return Err(PathError::FromEmpty);
    }
    if size1 > size2 {
        return Err(PathError::SizesSwapped { size1, size2 });
    }
    if size1 == size2 {
        check_length(0, path)?;
        return if root1 == root2 { Ok(()) } else { Err(PathError::RootDiffers { expected: *root2, found: *root1 }) };
    }
    // The path climbs from the last complete subtree of the older tree. Where that is the older tree as a whole, its
    // root is known already; else the path starts with it.
    let skipped = size1.trailing_zeros() as usize;
    let (inner, border) = lengths(size1 - 1, size2);
    let climb = inner - skipped + border;
    let (seed, siblings) = if size1.is_power_of_two() {
        check_length(climb, path)?;
        (root1, path)
    } else {
        check_length(climb + 1, path)?;
        let [seed, siblings @ ..] = path else {
            return Err(PathError::PathLength { expected: climb + 1, found: path.len() });
        };
        (seed, siblings)
    };
    let (mut older, mut newer) = (*seed, *seed);
    for (level, sibling) in (skipped..).zip(siblings) {
        if level >= inner || (size1 - 1) >> level & 1 == 1 {
            older = suite.node(sibling, &older);
            newer = suite.node(sibling, &newer);
        } else {
            newer = suite.node(&newer, sibling);
        }
    }
    if older != *root1 {
        return Err(PathError::OlderRootDiffers { expected: *root1, found: older });
    }
    if newer == *root2 { Ok(()) } else { Err(PathError::RootDiffers { expected: *root2, found: newer }) }
}

/// Hashes of the path of leaf `index < size`: below the level where its branch meets the last leaf's, and above it.
fn lengths(index: u64, size: u64) -> (usize, usize) {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner as usize, border as usize)
}

fn check_length(expected: usize, path: &[Hash]) -> Result<(), PathError> {
    if path.len() == expected { Ok(()) } else { Err(PathError::PathLength { expected, found: path.len() }) }
}
