//! The state map of what an index holds: from its records, or from the hashes that it keeps of them.
//!
//! Kept hashes spare an opening most of its time. They are believed only in an index of which every byte is as it was
//! written, and prove nothing: their root is compared with a header, and a record is compared with the map before it is
//! read or written over. What the core itself goes by is hashed at once. Where every record is hashed, the hashes that
//! are kept must be those.

use rayon::prelude::*;

use super::{CORE_KINDS, lanes};
use crate::hash::HashSuite;
use crate::index::{IndexFailure, Kept, RecordIndex, Visit};
use crate::state_map::{self, Leaf, Parts, StateMap};

/// Where the hashes of records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hashes {
    /// Every record is hashed.
    Made,
    /// The index kept them.
    Kept,
}

/// Puts every record in the index into a map that is empty, and gives each to `visit` too.
pub(super) fn fill(
    map: &mut StateMap,
    index: &dyn RecordIndex,
    suite: &'static dyn HashSuite,
    hashes: Hashes,
    visit: &mut Visit<'_>,
) -> Result<(), IndexFailure> {
    /// Records that are copied before all cores hash them; some ten megabytes.
    const HASHED_TOGETHER: usize = 1 << 15;
    let mut unhashed = Unhashed::default();
    let mut parts = Parts::default();
    index.for_each_record(&mut |kept| {
        match hashes {
            Hashes::Kept => parts.push(believed(suite, kept)?),
            Hashes::Made => unhashed.push(kept),
        }
        if unhashed.rows.len() == HASHED_TOGETHER {
            unhashed.hash(suite, &mut parts)?;
        }
        visit(kept)
    })?;
    unhashed.hash(suite, &mut parts)?;
    map.fill(parts);
    Ok(())
}

/// The leaf that a record is by its kept hashes.
fn believed(suite: &'static dyn HashSuite, kept: &Kept<'_>) -> Result<Leaf, IndexFailure> {
    let Kept { kind, id, record, .. } = *kept;
    let (leaf, core) = (leaf_of(kept), kind == lanes::KIND || CORE_KINDS.contains(&kind));
    if core && hashed(suite, &leaf, (kind, id), record) != leaf {
        return Err(differs(leaf.number));
    }
    Ok(leaf)
}

fn leaf_of(kept: &Kept<'_>) -> Leaf {
    Leaf { key: *kept.key, value: *kept.value, salt: *kept.salt, number: kept.number }
}

/// The leaf with the hashes that these make.
fn hashed(suite: &dyn HashSuite, leaf: &Leaf, (kind, id): (&str, &str), record: &[u8]) -> Leaf {
    let key = state_map::record_key(suite, kind, id);
    Leaf { key, value: state_map::record_value(suite, &leaf.salt, record), ..*leaf }
}

fn differs(number: u32) -> IndexFailure {
    IndexFailure(format!("record {number} does not have the hash that is kept of it"))
}

/// Copies of records of the index, so that all cores hash them while nobody reads the index.
#[derive(Default)]
struct Unhashed {
    /// Kind, id and JSON of one record after the other.
    bytes: Vec<u8>,
    /// For each record what is kept of it, and where in `bytes` its id, its JSON and the next record begin.
    rows: Vec<(Leaf, [usize; 3])>,
}

impl Unhashed {
    fn push(&mut self, kept: &Kept<'_>) {
        let ends = [kept.kind.as_bytes(), kept.id.as_bytes(), kept.record].map(|part| {
            self.bytes.extend_from_slice(part);
            self.bytes.len()
        });
        self.rows.push((leaf_of(kept), ends));
    }

    /// Adds the leaves that the records are, which must be those that are kept of them, and forgets the records.
    fn hash(&mut self, suite: &'static dyn HashSuite, parts: &mut Parts) -> Result<(), IndexFailure> {
        let hash = |(at, (leaf, ends)): (usize, &(Leaf, [usize; 3]))| {
            let start = at.checked_sub(1).map_or(0, |before| self.rows[before].1[2]);
            let text = |from: usize, to: usize| std::str::from_utf8(&self.bytes[from..to]).unwrap_or_default();
            let name = (text(start, ends[0]), text(ends[0], ends[1]));
            hashed(suite, leaf, name, &self.bytes[ends[1]..ends[2]])
        };
        let leaves: Vec<Leaf> = self.rows.par_iter().enumerate().map(hash).collect();
        for (leaf, (kept, _)) in leaves.into_iter().zip(&self.rows) {
            if leaf != *kept {
                return Err(differs(leaf.number));
            }
            parts.push(leaf);
        }
        self.bytes.clear();
        self.rows.clear();
        Ok(())
    }
}
