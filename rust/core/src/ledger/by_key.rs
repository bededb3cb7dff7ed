//! What blocks write and what rules ask for, in the order of its keys, beside what the state map has under them: how
//! new records get their numbers, and where the index keeps the others.

use crate::hash::Hash;
use crate::index::Write;
use crate::state_map::{Leaf, Values};

/// Writes, or names to be read, in the order of their keys. Each is known by its place in the order it came in.
///
/// The map is asked for all at once and in the order in which it is written next: the walks wait for memory side by
/// side, and what they bring into the processor's cache is found there again.
pub(super) struct ByKey {
    /// Those with one key stand together, in the order they came in.
    order: Vec<(Hash, usize)>,
    /// What the map has under each key, in their order.
    before: Vec<Option<Leaf>>,
}

impl ByKey {
    pub(super) fn new(keys: impl Iterator<Item = Hash>, values: &Values) -> Self {
        let mut order: Vec<(Hash, usize)> = keys.zip(0..).collect();
        order.sort_unstable();
        let mut keys: Vec<Hash> = order.iter().map(|(key, _)| *key).collect();
        keys.dedup();
        Self { before: values.get_all(&keys), order }
    }

    /// The places of each key, and what the map has under it.
    pub(super) fn each(&self) -> impl Iterator<Item = (impl Iterator<Item = usize>, Option<&Leaf>)> {
        let same = self.order.chunk_by(|one, other| one.0 == other.0);
        same.map(|writes| writes.iter().map(|(_, place)| *place)).zip(self.before.iter().map(Option::as_ref))
    }

    /// Numbers the record of each write, which come in the order of writing: by that which the map has, or where it has
    /// none by the next one from `next` on.
    pub(super) fn number<'a>(&self, writes: impl Iterator<Item = &'a mut Write>, mut next: u32) {
        // For each write the first one with its key, and for that the number where the map has one.
        let mut firsts = vec![0; self.order.len()];
        let mut numbers = vec![None; self.order.len()];
        for (mut places, before) in self.each() {
            let Some(first) = places.next() else { continue };
            (firsts[first], numbers[first]) = (first, before.map(|leaf| leaf.number));
            places.for_each(|place| firsts[place] = first);
        }
        for (write, first) in writes.zip(firsts) {
            write.number = *numbers[first].get_or_insert_with(|| {
                next += 1;
                next - 1
            });
        }
    }

    /// The last write of each key, in the order of keys.
    pub(super) fn last(&self) -> impl Iterator<Item = usize> {
        self.each().filter_map(|(writes, _)| writes.last())
    }
}
