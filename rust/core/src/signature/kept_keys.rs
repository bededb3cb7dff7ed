//! What was found out about keys, so that it is found out once: bounded, and shared by all threads.
//!
//! Verdicts do not depend on what is kept here, only the time they take. So nobody ever waits for it: whoever comes
//! while another one writes finds nothing, and what he learnt is forgotten.
//!
//! Where every place is taken a new key has a hand go on by a few places. A key that nobody asked for since the hand
//! came by the last time makes room; where there is none among them the new one is not kept, and may come again. So a
//! key that is asked for once while the hand goes round stays, and going round takes thousands of new keys, or hundreds
//! where little room was made: whoever sends ever new ones drives out his own.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Places at which the hand looks for one new key.
const LOOKS: usize = 4;

/// Keys and what is kept of each.
pub(super) struct KeptKeys<K, V>(RwLock<Ring<K, V>>);

impl<K: Copy + Eq + Hash, V> KeptKeys<K, V> {
    /// Room for so many keys, at least one.
    pub(super) fn new(keys_max: usize) -> Self {
        Self(RwLock::new(Ring { keys_max, places: HashMap::new(), kept: Vec::new(), hand: 0 }))
    }

    /// To look for several keys at once; `None` while somebody writes.
    pub(super) fn try_read(&self) -> Option<RwLockReadGuard<'_, Ring<K, V>>> {
        self.0.try_read().ok()
    }

    /// To keep several keys at once; `None` while somebody reads or writes.
    pub(super) fn try_write(&self) -> Option<RwLockWriteGuard<'_, Ring<K, V>>> {
        self.0.try_write().ok()
    }
}

impl<K: Copy + Eq + Hash, V: Clone> KeptKeys<K, V> {
    /// What is kept of one key.
    pub(super) fn find(&self, key: &K) -> Option<V> {
        self.try_read()?.get(key).cloned()
    }

    /// Keeps `new` of a key, and gives what is kept of it, which is older where another one was first.
    pub(super) fn keep(&self, key: K, new: V) -> Option<V> {
        self.try_write()?.get_or_insert(key, new).cloned()
    }
}

/// The places, and the hand that goes round them.
pub(super) struct Ring<K, V> {
    keys_max: usize,
    places: HashMap<K, usize>,
    kept: Vec<Kept<K, V>>,
    /// The place at which the hand looks next.
    hand: usize,
}

struct Kept<K, V> {
    key: K,
    value: V,
    /// Whether somebody asked for it since the hand came by.
    asked: AtomicBool,
}

impl<K: Copy + Eq + Hash, V> Ring<K, V> {
    /// What is kept of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let kept = &self.kept[*self.places.get(key)?];
        // Written only where it changes, because a write takes the line of memory from the other cores.
        if !kept.asked.load(Ordering::Relaxed) {
            kept.asked.store(true, Ordering::Relaxed);
        }
        Some(&kept.value)
    }

    /// What is kept of a key, which is `new` where nothing was; `None` where there is no room for it.
    pub(super) fn get_or_insert(&mut self, key: K, new: V) -> Option<&mut V> {
        let place = match self.places.get(&key) {
            Some(&place) => place,
            None => self.insert(Kept { key, value: new, asked: AtomicBool::new(false) })?,
        };
        Some(&mut self.kept[place].value)
    }

    fn insert(&mut self, kept: Kept<K, V>) -> Option<usize> {
        let key = kept.key;
        let place = if self.kept.len() < self.keys_max {
            self.kept.push(kept);
            self.kept.len() - 1
        } else {
            let place = self.place_of_who_goes()?;
            let gone = std::mem::replace(&mut self.kept[place], kept);
            self.places.remove(&gone.key);
            place
        };
        self.places.insert(key, place);
        Some(place)
    }

    fn place_of_who_goes(&mut self) -> Option<usize> {
        for _ in 0..LOOKS.min(self.kept.len()) {
            let place = self.hand;
            self.hand = (place + 1) % self.kept.len();
            if !std::mem::take(self.kept[place].asked.get_mut()) {
                return Some(place);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    // A failed expectation is how a test reports.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// So many places, and the new keys with which the hand goes round them.
    const MAX: u32 = 8;
    const ROUND: u32 = 2;

    fn full() -> KeptKeys<u32, u32> {
        let kept = KeptKeys::new(MAX as usize);
        (0..MAX).for_each(|key| assert_eq!(kept.keep(key, 10 * key), Some(10 * key)));
        kept
    }

    fn keys(kept: &KeptKeys<u32, u32>) -> Vec<u32> {
        let mut keys: Vec<_> = kept.try_read().unwrap().places.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_last_place_drives_nobody_out_and_the_next_key_one() {
        let kept = full();
        assert_eq!(keys(&kept), (0..MAX).collect::<Vec<_>>());
        kept.keep(MAX, 0);
        assert_eq!(keys(&kept), (1..=MAX).collect::<Vec<_>>());
        assert_eq!((kept.find(&0), kept.find(&1), kept.find(&MAX)), (None, Some(10), Some(0)));
    }

    #[test]
    fn who_came_first_stays_and_drives_nobody_out() {
        let kept = full();
        assert_eq!(kept.keep(3, 99), Some(30));
        assert_eq!(keys(&kept), (0..MAX).collect::<Vec<_>>());
    }

    /// The sender of ever new keys gets the places that nobody asks for, whatever he sends and however often he asks.
    #[test]
    fn a_key_that_is_asked_for_in_each_round_outlives_any_number_of_new_ones() {
        let kept = full();
        for new in MAX..100 * MAX {
            if new % ROUND == 0 {
                assert_eq!((kept.find(&2), kept.find(&5)), (Some(20), Some(50)), "{new}");
            }
            kept.keep(new, 0);
            kept.find(&new);
        }
        assert_eq!(keys(&kept).len(), MAX as usize);
        // When nobody asks for them any more they are gone.
        for new in 0..2 * MAX {
            kept.keep(1_000 + new, 0);
        }
        assert_eq!((kept.find(&2), kept.find(&5)), (None, None));
    }

    #[test]
    fn where_all_were_asked_for_the_new_key_comes_again_after_a_round() {
        let kept = full();
        (0..MAX).for_each(|key| assert!(kept.find(&key).is_some()));
        for _ in 0..ROUND {
            assert_eq!(kept.keep(MAX, 0), None);
        }
        assert_eq!(keys(&kept), (0..MAX).collect::<Vec<_>>());
        assert_eq!(kept.keep(MAX, 0), Some(0));
        assert_eq!(keys(&kept), (1..=MAX).collect::<Vec<_>>());
    }

    #[test]
    fn a_single_place_is_taken_by_the_newest() {
        let kept = KeptKeys::new(1);
        assert_eq!([0, 1, 2].map(|key| kept.keep(key, key)), [0, 1, 2].map(Some));
        assert_eq!((kept.find(&1), kept.find(&2)), (None, Some(2)));
    }

    #[test]
    fn nobody_waits_for_who_reads_or_writes() {
        let kept = full();
        let reading = kept.try_read().unwrap();
        assert_eq!((kept.find(&1), kept.keep(MAX, 0)), (Some(10), None));
        drop(reading);
        let writing = kept.try_write().unwrap();
        assert_eq!((kept.find(&1), kept.keep(MAX, 0)), (None, None));
        drop(writing);
        assert_eq!(kept.keep(MAX, 0), Some(0));
    }
}
