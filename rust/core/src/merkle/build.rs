//! Trees over complete lists of leaves: instructions of a transaction, entries of a block, changes of an entry.
//!
//! A list is hashed in one go and nothing is kept. An index outside of the list is refused.

use super::{PathError, wide};
use crate::hash::{EMPTY, Hash, NodeHash};

/// The root of the tree over `leaves`: 32 zero bytes for none, the leaf itself for one.
#[must_use]
pub fn tree_hash(suite: &dyn NodeHash, leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY,
        [only] => *only,
        _ => tree_hash(suite, &above(suite, leaves)),
    }
}

/// The inclusion path of leaf `index`, from the leaf upwards.
///
/// # Errors
/// `IndexOutOfRange` unless `index < leaves.len()`.
pub fn path(suite: &dyn NodeHash, leaves: &[Hash], index: usize) -> Result<Vec<Hash>, PathError> {
    if index >= leaves.len() {
        return Err(PathError::IndexOutOfRange { index: wide(index), size: wide(leaves.len()) });
    }
    let mut siblings = Vec::new();
    let mut level = leaves.to_vec();
    let mut index = index;
    while level.len() > 1 {
        // The last node of an odd level has no sibling; it climbs unchanged and adds nothing to the path.
        siblings.extend(level.get(index ^ 1));
        level = above(suite, &level);
        index /= 2;
    }
    Ok(siblings)
}

/// The level above a level. Lifting a last odd node unchanged gives the same tree as splitting at the
/// largest power of two, which is how RFC 9162 defines it.
fn above(suite: &dyn NodeHash, level: &[Hash]) -> Vec<Hash> {
    let (pairs, _) = level.as_flattened().as_chunks();
    let mut above = Vec::with_capacity(level.len().div_ceil(2));
    suite.nodes(pairs, &mut above);
    let (_, odd) = level.as_chunks::<2>();
    above.extend(odd);
    above
}
