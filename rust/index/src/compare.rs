//! Comparing an index with one that was made from the same blocks: every row of every table, and what differs by name.
//!
//! Both are made by the same steps, so that they are the same to the byte. Nothing of the compared index is believed:
//! a name comes from the other one, unless only the compared index has the row.

use std::cmp::Ordering;

use finchain_core::encoding::hex;
use heed::{RoTxn, WithoutTls};

use crate::error::IndexError;
use crate::index::Index;
use crate::rows::{decode_record, number_of_key, record_of_key};
use crate::tables::{Table, Tables};

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what the blocks make.
    Changed,
    /// The blocks make it, and it is not there.
    Missing,
    /// The blocks do not make it.
    Added,
}

impl Fault {
    /// One word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Added => "added",
        }
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// What the row is about: kind and id of a record, or a place.
    pub about: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// All rows that differ: their number, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// How many rows differ.
    pub count: u64,
    /// The first ones, in the order of tables and keys; records come first.
    pub first: Vec<Difference>,
}

/// One side of the comparison.
type Side<'a> = (&'a Tables, &'a RoTxn<'a, WithoutTls>);

impl Index {
    /// Compares every row with those of `made`, an index of the same blocks that can be believed. At most `most`
    /// differences are named; all are counted.
    ///
    /// # Errors
    /// As `number_of`: one of the two cannot be read.
    pub fn compare(&self, made: &Self, most: usize) -> Result<Differences, IndexError> {
        self.read(|tables, txn| made.read(|other, other_txn| compare((tables, txn), (other, other_txn), most)))
    }
}

fn compare(found: Side<'_>, made: Side<'_>, most: usize) -> Result<Differences, IndexError> {
    let mut all = Differences::default();
    let pairs = [
        ("records", found.0.records, made.0.records),
        ("touches", found.0.touches, made.0.touches),
        ("lanes", found.0.lanes, made.0.lanes),
        ("blocks", found.0.blocks, made.0.blocks),
        ("keys", found.0.keys, made.0.keys),
        ("meta", found.0.meta, made.0.meta),
    ];
    for (table, one, other) in pairs {
        each_difference((one, found.1), (other, made.1), |key, fault| {
            all.count += 1;
            if all.first.len() < most {
                let side = if fault == Fault::Added { found } else { made };
                all.first.push(Difference { table, about: about(table, key, side), fault });
            }
        })?;
    }
    Ok(all)
}

/// Walks two tables side by side, in the order of their keys.
fn each_difference(
    (found, found_txn): (Table, &RoTxn<WithoutTls>),
    (made, made_txn): (Table, &RoTxn<WithoutTls>),
    mut tell: impl FnMut(&[u8], Fault),
) -> Result<(), IndexError> {
    let fail = IndexError::lmdb("read");
    let mut ours = found.iter(found_txn).map_err(&fail)?;
    let mut theirs = made.iter(made_txn).map_err(&fail)?;
    let (mut one, mut other) = (ours.next().transpose().map_err(&fail)?, theirs.next().transpose().map_err(&fail)?);
    loop {
        let order = match (one, other) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((key, _)), Some((wanted, _))) => key.cmp(wanted),
        };
        match (order, one, other) {
            (Ordering::Equal, Some((key, row)), Some((_, wanted))) if row != wanted => tell(key, Fault::Changed),
            (Ordering::Less, Some((key, _)), _) => tell(key, Fault::Added),
            (Ordering::Greater, _, Some((key, _))) => tell(key, Fault::Missing),
            _ => {}
        }
        if order != Ordering::Greater {
            one = ours.next().transpose().map_err(&fail)?;
        }
        if order != Ordering::Less {
            other = theirs.next().transpose().map_err(&fail)?;
        }
    }
}

/// What a row is about, for people; a key that cannot be read is shown in hex.
fn about(table: &'static str, key: &[u8], side: Side<'_>) -> String {
    let number = |bytes: &[u8]| number_of_key(bytes).ok();
    let place = |at: usize| {
        let (height, entry) = key.split_at_checked(at)?;
        Some((number(height)?, u32::from_be_bytes(entry.try_into().ok()?)))
    };
    let named = match table {
        "records" => record_of_key(key).ok().map(|number| name(number, side)),
        "touches" => place(8).map(|(height, entry)| format!("history at block {height}, entry {entry}")),
        "lanes" => key.split_at_checked(8).and_then(|(lane, sequence)| {
            Some(format!("{}, sequence {}", name(record_of_key(lane).ok()?, side), number(sequence)?))
        }),
        "blocks" => number(key).map(|height| format!("place of block {height}")),
        "keys" => number(key).map(|first| format!("numbers by key from record {first} on")),
        _ => std::str::from_utf8(key).ok().map(ToOwned::to_owned),
    };
    named.unwrap_or_else(|| hex(key))
}

/// Kind and id of a record.
fn name(number: u32, (tables, txn): Side<'_>) -> String {
    let row = tables.record(txn, number).ok().flatten();
    match row.and_then(|row| decode_record(number, row).ok()) {
        Some(view) => format!("{} {}", view.kind, view.id),
        None => format!("record {number}"),
    }
}
