//! The state map of what an index holds: from the leaves that it kept when it was closed, or from its records.
//!
//! Kept leaves spare an opening that every record is read and hashed. They are believed only in an index of which every
//! byte is as it was written, and prove nothing: their hash is compared with a header, and a record is compared with
//! the map before it is read or written over. What the core itself goes by is hashed at once.

use rayon::prelude::*;

use super::{CORE_KINDS, Executor, LEDGER_ID, LEDGER_KIND, LedgerError, lanes};
use crate::cores::on_all_cores;
use crate::hash::{Hash, HashSuite};
use crate::index::{IndexFailure, RecordIndex};
use crate::state_map::{self, Leaf, Parts, Salt, StateMap, Values};

/// Takes kind, id and JSON of a record that the core goes by.
pub(super) type Follow<'a> = dyn FnMut(&str, &str, &[u8]) -> Result<(), IndexFailure> + 'a;

/// Puts every record in the index into a map that is empty, and gives those that the core goes by to `follow`: by the
/// leaves that were kept, where that is possible.
pub(super) fn fill(
    map: &mut StateMap,
    index: &dyn RecordIndex,
    suite: &'static dyn HashSuite,
    follow: &mut Follow<'_>,
) -> Result<(), IndexFailure> {
    let Some(followed) = index.followed()? else { return fill_hashed(map, index, suite, follow) };
    map.fill(|first| index.leaves(first))?;
    for number in followed {
        let stored = index.record(number)?.ok_or_else(|| differs(number))?;
        let leaf = hashed(suite, (number, &stored.salt), (&stored.kind, &stored.id), &stored.record);
        if map.get(&leaf.key) != Some(leaf) {
            return Err(differs(number));
        }
        follow(&stored.kind, &stored.id, &stored.record)?;
    }
    Ok(())
}

/// The numbers of the records that the core goes by, in order.
pub(super) fn followed(executor: &Executor, state: &Values, suite: &dyn HashSuite) -> Result<Vec<u32>, LedgerError> {
    let lanes = executor.lanes.ids().map(|id| (lanes::KIND, id));
    let names = executor.authorities.names().chain(lanes);
    let number = |(kind, id): (&str, &str)| state.get(&state_map::record_key(suite, kind, id)).map(|leaf| leaf.number);
    let known = |name: (&str, &str)| {
        number(name).ok_or_else(|| LedgerError::Internal(format!("{} {} is not in the state", name.0, name.1)))
    };
    let mut numbers = names.map(known).collect::<Result<Vec<u32>, _>>()?;
    // A ledger that was closed before its first block has none.
    numbers.extend(number((LEDGER_KIND, LEDGER_ID)));
    numbers.sort_unstable();
    Ok(numbers)
}

/// As `fill`, from the records themselves.
pub(super) fn fill_hashed(
    map: &mut StateMap,
    index: &dyn RecordIndex,
    suite: &'static dyn HashSuite,
    follow: &mut Follow<'_>,
) -> Result<(), IndexFailure> {
    /// Records that are copied before all cores hash them; some ten megabytes.
    const HASHED_TOGETHER: usize = 1 << 15;
    let mut unhashed = Unhashed::default();
    let mut parts = Parts::default();
    index.for_each_record(&mut |kept| {
        unhashed.push((kept.number, kept.key, kept.salt), [kept.kind.as_bytes(), kept.id.as_bytes(), kept.record]);
        if unhashed.rows.len() == HASHED_TOGETHER {
            unhashed.hash(suite, &mut parts)?;
        }
        if kept.kind == lanes::KIND || CORE_KINDS.contains(&kept.kind) {
            follow(kept.kind, kept.id, kept.record)?;
        }
        Ok(())
    })?;
    unhashed.hash(suite, &mut parts)?;
    map.fill(|first| Ok(parts.take(first)))
}

/// The leaf that a record is.
fn hashed(suite: &dyn HashSuite, (number, salt): (u32, &Salt), (kind, id): (&str, &str), record: &[u8]) -> Leaf {
    let key = state_map::record_key(suite, kind, id);
    Leaf { key, value: state_map::record_value(suite, salt, record), salt: *salt, number }
}

fn differs(number: u32) -> IndexFailure {
    IndexFailure(format!("record {number} does not have the hash that is kept of it"))
}

/// Copies of records of the index, so that all cores hash them while nobody reads the index.
#[derive(Default)]
struct Unhashed {
    /// Kind, id and JSON of one record after the other.
    bytes: Vec<u8>,
    /// For each record its number, key and salt, and where in `bytes` its id, its JSON and the next record begin.
    rows: Vec<(u32, Hash, Salt, [usize; 3])>,
}

impl Unhashed {
    fn push(&mut self, (number, key, salt): (u32, &Hash, &Salt), texts: [&[u8]; 3]) {
        let ends = texts.map(|text| {
            self.bytes.extend_from_slice(text);
            self.bytes.len()
        });
        self.rows.push((number, *key, *salt, ends));
    }

    /// Adds the leaves that the records are, whose keys must be those that are kept of them, and forgets the records.
    fn hash(&mut self, suite: &'static dyn HashSuite, parts: &mut Parts) -> Result<(), IndexFailure> {
        let hash = |(at, (number, _, salt, ends)): (usize, &(u32, Hash, Salt, [usize; 3]))| {
            let start = at.checked_sub(1).map_or(0, |before| self.rows[before].3[2]);
            let text = |from: usize, to: usize| std::str::from_utf8(&self.bytes[from..to]).unwrap_or_default();
            let name = (text(start, ends[0]), text(ends[0], ends[1]));
            hashed(suite, (*number, salt), name, &self.bytes[ends[1]..ends[2]])
        };
        let leaves: Vec<Leaf> = on_all_cores(|| self.rows.par_iter().enumerate().map(hash).collect());
        for (leaf, (number, key, ..)) in leaves.into_iter().zip(&self.rows) {
            if leaf.key != *key {
                return Err(differs(*number));
            }
            parts.push(leaf);
        }
        self.bytes.clear();
        self.rows.clear();
        Ok(())
    }
}
