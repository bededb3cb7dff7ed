//! Records by their names, as the rules read them: one, or many at once, each compared with the state map.
//!
//! None of it waits until a block that is being sealed is hashed, so it must not be asked for what that block wrote.

use super::by_key::ByKey;
use super::{Ledger, LedgerError};
use crate::index::Stored;
use crate::state_map::{self, Leaf};

impl Ledger {
    /// A record by kind and id, as of the last indexed block.
    ///
    /// # Errors
    /// [`LedgerError::IndexStale`] where the index gives something that was never sealed.
    pub fn record(&self, kind: &str, id: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let key = state_map::record_key(self.suite, kind, id);
        let Some(leaf) = self.shared.values.get(&key) else { return Ok(None) };
        Ok(Some(self.genuine(kind, id, &leaf, self.index()?.record(leaf.number)?)?.record))
    }

    /// Records by kind and id, in the order of their names, as [`Ledger::record`] gives each.
    ///
    /// The state map is walked in the order of its keys, and the index in the order of its numbers and in one state.
    ///
    /// # Errors
    /// As [`Ledger::record`], for any of them.
    pub fn records(&self, names: &[(&str, &str)]) -> Result<Vec<Option<Vec<u8>>>, LedgerError> {
        let keys = names.iter().map(|(kind, id)| state_map::record_key(self.suite, kind, id));
        let by_key = ByKey::new(keys, &self.shared.values);
        let mut there: Vec<(&Leaf, usize)> =
            by_key.each().flat_map(|(places, leaf)| places.filter_map(move |place| Some((leaf?, place)))).collect();
        there.sort_unstable_by_key(|(leaf, _)| leaf.number);
        let numbers: Vec<u32> = there.iter().map(|(leaf, _)| leaf.number).collect();
        let mut found = vec![None; names.len()];
        for ((leaf, place), stored) in there.into_iter().zip(self.index()?.records(&numbers)?) {
            let (kind, id) = names[place];
            found[place] = Some(self.genuine(kind, id, leaf, stored)?.record);
        }
        Ok(found)
    }

    /// Refuses a record that the state map does not hold.
    pub(super) fn genuine(
        &self,
        kind: &str,
        id: &str,
        leaf: &Leaf,
        stored: Option<Stored>,
    ) -> Result<Stored, LedgerError> {
        match stored {
            Some(stored) if state_map::record_value(self.suite, &stored.salt, &stored.record) == leaf.value => {
                Ok(stored)
            }
            _ => Err(self.condemned(format!("record {kind} {id} in the index is not the one in the state"))),
        }
    }
}
