//! The state map of what an index holds: from its records, or from the hashes that it keeps of them.
//!
//! Kept hashes spare an opening most of its time. They are believed only in an index of which every byte is as it was
//! written, and prove nothing: their root is compared with a header, and a record is compared with the map before it is
//! read or written over. What the core itself goes by is hashed at once.

use rayon::prelude::*;

use super::{CORE_KINDS, lanes};
use crate::hash::HashSuite;
use crate::index::{IndexFailure, Kept, RecordIndex, Visit};
use crate::state_map::{self, Salt, StateMap, Update};

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
    /// Records that the map takes at once; some eighty megabytes. The more, the less often a node above several is
    /// hashed again.
    const WRITTEN_TOGETHER: usize = 1 << 20;
    let mut unhashed = Unhashed::default();
    let mut updates = Vec::new();
    index.for_each_record(&mut |kept| {
        match hashes {
            Hashes::Kept => updates.push(believed(suite, kept)?),
            Hashes::Made => unhashed.push(kept),
        }
        if unhashed.rows.len() == HASHED_TOGETHER {
            unhashed.hash(suite, &mut updates);
        }
        if updates.len() == WRITTEN_TOGETHER {
            map.apply(&mut updates);
            updates.clear();
        }
        visit(kept)
    })?;
    unhashed.hash(suite, &mut updates);
    map.apply(&mut updates);
    Ok(())
}

/// The update that a record is by its kept hashes.
fn believed(suite: &'static dyn HashSuite, kept: &Kept<'_>) -> Result<Update, IndexFailure> {
    let Kept { key, value, salt, kind, id, record } = *kept;
    let core = kind == lanes::KIND || CORE_KINDS.contains(&kind);
    if core && (state_map::record_key(suite, kind, id), state_map::record_value(suite, salt, record)) != (*key, *value)
    {
        return Err(IndexFailure(format!("{kind} {id} does not have the hash that is kept of it")));
    }
    Ok(Update { key: *key, value: *value, salt: *salt })
}

/// Copies of records of the index, so that all cores hash them while nobody reads the index.
#[derive(Default)]
struct Unhashed {
    /// Kind, id and JSON of one record after the other.
    bytes: Vec<u8>,
    /// For each record its salt, and where in `bytes` its id, its JSON and the next record begin.
    rows: Vec<(Salt, [usize; 3])>,
}

impl Unhashed {
    fn push(&mut self, kept: &Kept<'_>) {
        let ends = [kept.kind.as_bytes(), kept.id.as_bytes(), kept.record].map(|part| {
            self.bytes.extend_from_slice(part);
            self.bytes.len()
        });
        self.rows.push((*kept.salt, ends));
    }

    /// Adds the updates that the records are, and forgets the records.
    fn hash(&mut self, suite: &'static dyn HashSuite, updates: &mut Vec<Update>) {
        let hash = |(at, (salt, ends)): (usize, &(Salt, [usize; 3]))| {
            let start = at.checked_sub(1).map_or(0, |before| self.rows[before].1[2]);
            let text = |from: usize, to: usize| std::str::from_utf8(&self.bytes[from..to]).unwrap_or_default();
            let key = state_map::record_key(suite, text(start, ends[0]), text(ends[0], ends[1]));
            Update { key, value: state_map::record_value(suite, salt, &self.bytes[ends[1]..ends[2]]), salt: *salt }
        };
        updates.par_extend(self.rows.par_iter().enumerate().map(hash));
        self.bytes.clear();
        self.rows.clear();
    }
}
