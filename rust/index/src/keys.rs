//! Numbers of records by their keys, for who has no state map.
//!
//! Of every 65,536 records in the order of birth there is one row, written when the last of them is born: for each the
//! first bytes of its key and how far it is from the first of them, in the order of keys. No such row ever changes, so
//! that a record costs ten bytes here and a place in a sort, whatever its key, and a search looks into one row after
//! the other: half a microsecond each, 150 of them at ten million records. The last records have no row yet and are
//! looked at one by one, which an open index does once.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use heed::{RoTxn, WithoutTls};

use crate::error::IndexError;
use crate::rows::{decode_record_key, record_key, record_of_key, seal};
use crate::tables::{Table, Tables};

/// Records of a row.
const RUN: u32 = 1 << 16;
/// Bytes of a key that are kept.
const PREFIX: usize = 8;
/// Bytes of an entry: those of the key, and how far its record is from the first, big-endian.
const ENTRY: usize = PREFIX + 2;

type Entry = [u8; ENTRY];

/// The numbers of the records that no row has, by their keys; as many of them as were asked for yet.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    first: u32,
    numbers: HashMap<[u8; 32], u32>,
}

impl Tail {
    /// The number of the record with that key, where it is `first` or a later one, of `next` records in all.
    fn number_of(
        &self,
        tables: &Tables,
        txn: &RoTxn<WithoutTls>,
        (first, next): (u32, u32),
        key: &[u8; 32],
    ) -> Result<Option<u32>, IndexError> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.first != first {
            *latest = Latest { first, numbers: HashMap::new() };
        }
        let seen = u32::try_from(latest.numbers.len()).unwrap_or(u32::MAX);
        for number in first.saturating_add(seen)..next {
            latest.numbers.insert(*tables.record_head(txn, number)?.1, number);
        }
        // Who pinned the index earlier shares what was found, and has fewer records.
        Ok(latest.numbers.get(key).copied().filter(|number| *number < next))
    }
}

/// The number of the record with that key.
pub(crate) fn number_of(
    tables: &Tables,
    txn: &RoTxn<WithoutTls>,
    tail: &Tail,
    key: &[u8; 32],
) -> Result<Option<u32>, IndexError> {
    let next = tables.tip(txn)?.map_or(0, |tip| tip.next_number);
    let mut first = 0;
    for item in tables.keys.iter(txn).map_err(IndexError::lmdb("read"))? {
        let (run, row) = item.map_err(IndexError::lmdb("read"))?;
        if record_of_key(run)? != first || next - first < RUN {
            return Err(IndexError::damaged("a row of keys stands for other records than it should"));
        }
        for offset in offsets_of(row, key) {
            let number = first + u32::from(offset);
            if tables.record_head(txn, number)?.1 == key {
                return Ok(Some(number));
            }
        }
        first += RUN;
    }
    if next - first >= RUN {
        return Err(IndexError::damaged("a row of keys is missing"));
    }
    tail.number_of(tables, txn, (first, next), key)
}

/// The rows that `next` records need and fewer than `before` did not: the first number of each, and its bytes.
pub(crate) fn rows_between(
    tables: &Tables,
    txn: &RoTxn<WithoutTls>,
    before: u32,
    next: u32,
) -> Result<Vec<(u32, Vec<u8>)>, IndexError> {
    let row = |run: u32| {
        let first = run * RUN;
        let mut entries = Vec::with_capacity(RUN as usize);
        let range = (Bound::Included(&record_key(first)[..]), Bound::Unbounded);
        let mut records = tables.records.range(txn, &range).map_err(IndexError::lmdb("read"))?;
        for offset in 0..=u16::MAX {
            let number = first + u32::from(offset);
            let missing = || IndexError::damaged(format!("record {number} is missing"));
            let (found, record) = records.next().ok_or_else(missing)?.map_err(IndexError::lmdb("read"))?;
            if record_of_key(found)? != number {
                return Err(missing());
            }
            let mut entry = Entry::default();
            entry[..PREFIX].copy_from_slice(&decode_record_key(record)?[..PREFIX]);
            entry[PREFIX..].copy_from_slice(&offset.to_be_bytes());
            entries.push(entry);
        }
        entries.sort_unstable();
        let mut row = entries.into_flattened();
        seal("keys", &record_key(first), &mut row);
        Ok((first, row))
    };
    (before / RUN..next / RUN).map(row).collect()
}

/// Checks that records are numbered without a gap, and that what finds them by their keys is what their rows give.
pub(crate) fn check(tables: &Tables, txn: &RoTxn<WithoutTls>) -> Result<(), IndexError> {
    let next = tables.tip(txn)?.map_or(0, |tip| tip.next_number);
    let count = |table: &Table| table.len(txn).map_err(IndexError::lmdb("read"));
    if count(&tables.records)? != u64::from(next) {
        return Err(IndexError::damaged(format!("it has another number of records than the {next} that it states")));
    }
    if count(&tables.keys)? != u64::from(next / RUN) {
        return Err(IndexError::damaged("a row of keys is missing, or one too many is there"));
    }
    for run in 0..next / RUN {
        for (first, row) in rows_between(tables, txn, run * RUN, (run + 1) * RUN)? {
            if tables.keys.get(txn, &record_key(first)).map_err(IndexError::lmdb("read"))? != Some(&row[..]) {
                return Err(IndexError::damaged(format!("the row of keys from record {first} on is not theirs")));
            }
        }
    }
    Ok(())
}

/// How far from the first of a row's records those are whose keys begin as this one does.
fn offsets_of<'a>(row: &'a [u8], key: &'a [u8; 32]) -> impl Iterator<Item = u16> + 'a {
    let (entries, _sum) = row.as_chunks::<ENTRY>();
    let begins = |entry: &&Entry| entry[..PREFIX] == key[..PREFIX];
    entries[lower_bound(entries, key)..].iter().take_while(begins).map(|entry| u16::from_be_bytes([entry[8], entry[9]]))
}

/// The first of the entries that is not below the key. Keys are hashes, so that it is near where their share says.
fn lower_bound(entries: &[Entry], key: &[u8; 32]) -> usize {
    let below = |entry: &Entry| entry[..PREFIX] < key[..PREFIX];
    let share = key.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    let guess = (u128::from(share) * entries.len() as u128) >> 64;
    let guess = usize::try_from(guess).unwrap_or(0);
    // The deviation of a guess is up to half the root of the count.
    let (mut low, mut step) = (guess, 128);
    while low > 0 && !below(&entries[low - 1]) {
        low = low.saturating_sub(step);
        step *= 2;
    }
    let (mut high, mut step) = (guess, 128);
    while high < entries.len() && below(&entries[high]) {
        low = high + 1;
        high = entries.len().min(high + step);
        step *= 2;
    }
    low + entries[low..high].partition_point(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries with these first bytes of keys.
    fn entries(keys: &[u64]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, offset) in keys.iter().zip(0_u16..) {
            let mut entry = Entry::default();
            entry[..PREFIX].copy_from_slice(&key.to_be_bytes());
            entry[PREFIX..].copy_from_slice(&offset.to_be_bytes());
            entries.push(entry);
        }
        entries.sort_unstable();
        entries
    }

    #[test]
    fn a_search_finds_what_a_walk_finds_however_keys_lie() {
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let even: Vec<u64> = (0..5_000).map(spread).collect();
        let low: Vec<u64> = (0..5_000).collect();
        let high: Vec<u64> = (0..5_000).map(|n| u64::MAX - n).collect();
        let same = vec![7; 5_000];
        for keys in [even, low, high, same, vec![3], vec![]] {
            let entries = entries(&keys);
            let near = keys.iter().flat_map(|key| [key.saturating_sub(1), *key, key.saturating_add(1)]);
            for wanted in near.chain([0, u64::MAX, 1 << 63]) {
                let mut key = [0xaa; 32];
                key[..PREFIX].copy_from_slice(&wanted.to_be_bytes());
                let walked = entries.iter().take_while(|entry| entry[..PREFIX] < key[..PREFIX]).count();
                assert_eq!(lower_bound(&entries, &key), walked, "{wanted} of {} keys", keys.len());
                let mut found: Vec<u16> = offsets_of(entries.as_flattened(), &key).collect();
                found.sort_unstable();
                let expected: Vec<u16> =
                    keys.iter().zip(0..).filter(|(key, _)| **key == wanted).map(|(_, offset)| offset).collect();
                assert_eq!(found, expected);
            }
        }
    }
}
