//! The block log: the append-only tree over all block headers, with SHA-256 as RFC 9162 prescribes.
//!
//! It keeps every complete subtree (64 bytes a block), so that the root and every path for any earlier size is
//! a walk over a few hashes. It refuses to prove anything about leaves it does not hold.

use super::{PathError, wide};
use crate::hash::{Hash, NodeHash, Rfc9162};

/// A growing tree whose leaves are `Rfc9162.leaf(header)`.
#[derive(Clone, Debug, Default)]
pub struct BlockLog {
    /// `levels[k][i]` is the root over the `2^k` leaves from `i * 2^k` on; only complete subtrees are kept.
    levels: Vec<Vec<Hash>>,
}

impl BlockLog {
    /// The empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the hash of one leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut carried = leaf;
        for level in &mut self.levels {
            level.push(carried);
            // An even count has just completed a pair, whose parent goes one level up.
            let [.., left, right] = level.as_slice() else { return };
            if level.len() % 2 == 1 {
                return;
            }
            carried = Rfc9162.node(left, right);
        }
        self.levels.push(vec![carried]);
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| wide(leaves.len()))
    }

    /// The leaf hash at `index`, or `None` beyond the end.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.levels.first()?.get(usize::try_from(index).ok()?).copied()
    }

    /// The root over all leaves; for none, SHA-256 of nothing.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.subtree(0, self.size())
    }

    /// The root over the first `size` leaves.
    ///
    /// # Errors
    /// `SizeOutOfRange` unless `size <= self.size()`.
    pub fn root_at(&self, size: u64) -> Result<Hash, PathError> {
        self.check_size(size)?;
        Ok(self.subtree(0, size))
    }

    /// The inclusion path of leaf `index` in the tree of the first `size` leaves.
    ///
    /// # Errors
    /// `SizeOutOfRange` unless `size <= self.size()`, `IndexOutOfRange` unless `index < size`.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, PathError> {
        self.check_size(size)?;
        if index >= size {
            return Err(PathError::IndexOutOfRange { index, size });
        }
        let mut siblings = Vec::new();
        let (mut start, mut length) = (0, size);
        while length > 1 {
            let left = split(length);
            if index < start + left {
                siblings.push(self.subtree(start + left, length - left));
                length = left;
            } else {
                siblings.push(self.subtree(start, left));
                start += left;
                length -= left;
            }
        }
        siblings.reverse();
        Ok(siblings)
    }

    /// The consistency path of RFC 9162 section 2.1.4.1 from the first `size1` leaves to the first `size2`.
    ///
    /// # Errors
    /// `FromEmpty` for `size1 = 0`, `SizesSwapped` unless `size1 <= size2`, `SizeOutOfRange` unless
    /// `size2 <= self.size()`.
    pub fn consistency(&self, size1: u64, size2: u64) -> Result<Vec<Hash>, PathError> {
        if size1 == 0 {
            return Err(PathError::FromEmpty);
        }
        if size1 > size2 {
            return Err(PathError::SizesSwapped { size1, size2 });
        }
        self.check_size(size2)?;
        let mut siblings = Vec::new();
        let (mut start, mut length) = (0, size2);
        while start + length != size1 {
            let left = split(length);
            if size1 <= start + left {
                siblings.push(self.subtree(start + left, length - left));
                length = left;
            } else {
                siblings.push(self.subtree(start, left));
                start += left;
                length -= left;
            }
        }
        if start > 0 {
            // The older tree does not end at its own root here, so the verifier has to be told this subtree.
            siblings.push(self.subtree(start, length));
        }
        siblings.reverse();
        Ok(siblings)
    }

    fn check_size(&self, size: u64) -> Result<(), PathError> {
        let held = self.size();
        if size <= held { Ok(()) } else { Err(PathError::SizeOutOfRange { size, held }) }
    }

    /// The root over `length` leaves from `start` on, which the callers keep inside of the log and which starts at a
    /// multiple of the largest power of two in `length`.
    fn subtree(&self, start: u64, length: u64) -> Hash {
        if length == 0 {
            return Rfc9162.empty();
        }
        if length.is_power_of_two() {
            let level = length.trailing_zeros();
            return self.complete(level, start >> level);
        }
        let left = split(length);
        Rfc9162.node(&self.subtree(start, left), &self.subtree(start + left, length - left))
    }

    fn complete(&self, level: u32, index: u64) -> Hash {
        let kept = usize::try_from(level).ok().and_then(|level| self.levels.get(level));
        let found = kept.zip(usize::try_from(index).ok()).and_then(|(level, index)| level.get(index));
        debug_assert!(found.is_some(), "callers stay inside of the log");
        found.copied().unwrap_or_default()
    }
}

/// The largest power of two below `length`, which is at least 2: the size of a tree's left half.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}
