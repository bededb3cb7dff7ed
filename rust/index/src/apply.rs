//! Writing blocks: all rows of a batch in one transaction, in the order that suits the trees.

use std::cmp::Ordering;

use finchain_core::index::{BlockRows, Write};
use heed::{MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use crate::error::{IndexError, RowFault};
use crate::index::Index;
use crate::keys;
use crate::rows::{
    Place, Tip, encode_block, encode_lane, encode_record, encode_touch, lane_key, number_key, record_key, seal,
    touch_key,
};
use crate::tables::{Table, Tables, pages_file};

/// The longest kind and id, whose lengths are stored in a byte.
const TEXT_BYTES_MAX: usize = 255;
/// The most instructions of a touch: more than a transaction can have, so that an index fits in 16 bits.
const INSTRUCTIONS_MAX: usize = 4096;

/// A record that the batch writes.
struct Known<'a> {
    number: u32,
    key: &'a [u8; 32],
    touched: Option<Place>,
    last: Option<&'a Write>,
}

/// The records that the batch writes, in the order of their numbers.
struct Batch<'a> {
    known: Vec<Known<'a>>,
    /// For each write of all blocks the place of its record in `known`.
    places: Vec<usize>,
    /// The number of the next record after them.
    next_number: u32,
}

impl Index {
    /// Adds blocks, which must follow those that are there: all of them or, on error, none.
    ///
    /// In calls of eight blocks of 1,000 writes, with records of 250 bytes: 1.8 µs a new record up to 200,000, and
    /// 4.9 µs a write to a random one of them; up to 20,000 records, 1.3 and 2.4 µs. `tests/index_figures.rs` measures.
    ///
    /// # Errors
    /// `NotNext`, `Rows`, `ReadOnly`, `Damaged`, `Io` (also where the disk is full), `Lmdb`.
    pub fn apply(&self, blocks: &[BlockRows]) -> Result<(), IndexError> {
        let _writing = self.lock_to_write()?;
        if blocks.is_empty() {
            return Ok(());
        }
        blocks.iter().try_for_each(check_rows)?;
        self.set_open()?;
        self.written();
        while !self.with(|tables| try_apply(tables, blocks))? {
            self.grow()?;
        }
        self.with(|tables| tables.complete(&pages_file(self.folder()))).map(|_| ())
    }
}

/// Adds the blocks in one transaction, or gives `false` if the map is full and nothing was changed.
fn try_apply(tables: &Tables, blocks: &[BlockRows]) -> Result<bool, IndexError> {
    let full =
        |error: &IndexError| matches!(error, IndexError::Lmdb { source: heed::Error::Mdb(MdbError::MapFull), .. });
    let run = || {
        let mut txn = tables.env.write_txn().map_err(IndexError::lmdb("write"))?;
        write_all(tables, &mut txn, blocks)?;
        txn.commit().map_err(IndexError::lmdb("write"))
    };
    match run() {
        Ok(()) => Ok(true),
        Err(error) if full(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_all(tables: &Tables, txn: &mut RwTxn, blocks: &[BlockRows]) -> Result<(), IndexError> {
    let tip = tables.tip(txn)?;
    let before = tip.as_ref().map_or(0, |tip| tip.next_number);
    let ledger = tip.as_ref().map(|tip| tip.ledger).or(blocks.first().map(|block| block.block_hash));
    let next = tip.map_or(0, |tip| tip.height.saturating_add(1));
    if let Some((expected, block)) = (next..).zip(blocks).find(|(expected, block)| block.height != *expected) {
        return Err(IndexError::NotNext { expected, found: block.height });
    }
    let Batch { mut known, places, next_number } = gather(tables, txn, blocks, before)?;
    let mut places = places.as_slice();
    for block in blocks {
        let (own, rest) = places.split_at(block.writes.len());
        places = rest;
        write_touches(tables, txn, block, (own, &mut known))?;
        for lane in &block.lanes {
            if lane.number >= next_number {
                return Err(fault(block, RowFault::UnknownLane { entry: lane.entry }));
            }
            let key = lane_key(lane.number, lane.sequence);
            put(tables.lanes, txn, &key, &encode_lane(&key, (block.height, lane.entry)))?;
        }
        append(tables.blocks, txn, &number_key(block.height), &encode_block(block))?;
    }
    write_records(tables, txn, &known, before)?;
    for (first, row) in keys::rows_between(tables, txn, before, next_number)? {
        append(tables.keys, txn, &record_key(first), &row)?;
    }
    if let (Some(last), Some(ledger)) = (blocks.last(), ledger) {
        let tip = Tip { ledger, height: last.height, block_hash: last.block_hash, next_number };
        put(tables.meta, txn, b"tip", &tip.encode())?;
    }
    Ok(())
}

/// The records that the blocks write, each once, with what the tables hold of those that are older than the batch.
/// `next` is the number of the first one that is not.
fn gather<'a>(
    tables: &Tables,
    txn: &RoTxn<WithoutTls>,
    blocks: &'a [BlockRows],
    mut next: u32,
) -> Result<Batch<'a>, IndexError> {
    let writes_of = |block: &'a BlockRows| block.writes.iter().map(move |write| (block, write));
    let writes: Vec<(&BlockRows, &Write)> = blocks.iter().flat_map(writes_of).collect();
    let mut order: Vec<(u32, usize)> = writes.iter().map(|(_, write)| write.number).zip(0..).collect();
    order.sort_unstable();
    let mut known: Vec<Known<'_>> = Vec::with_capacity(order.len());
    let mut places = vec![0; order.len()];
    for (number, index) in order {
        let (block, Write { key, .. }) = writes[index];
        let other = || fault(block, RowFault::Number { number });
        if known.last().is_none_or(|last| last.number != number) {
            let touched = match number.cmp(&next) {
                Ordering::Less => Some(last_touch(tables, txn, number, key)?),
                Ordering::Equal => {
                    next = next.checked_add(1).ok_or_else(other)?;
                    None
                }
                Ordering::Greater => return Err(other()),
            };
            known.push(Known { number, key, touched, last: None });
        }
        if known.last().is_some_and(|last| last.key != key) {
            return Err(other());
        }
        places[index] = known.len() - 1;
    }
    Ok(Batch { known, places, next_number: next })
}

/// Where a record that the tables hold was last touched. Another key there is damage, for numbers are the index's own.
fn last_touch(tables: &Tables, txn: &RoTxn<WithoutTls>, number: u32, key: &[u8; 32]) -> Result<Place, IndexError> {
    let (place, stored) = tables.record_head(txn, number)?;
    if stored == key { Ok(place) } else { Err(IndexError::damaged(format!("record {number} has another key"))) }
}

/// Writes one list of touches for each entry, and notes the last write of each record; `places` are those of the
/// block's writes in `known`.
fn write_touches<'a>(
    tables: &Tables,
    txn: &mut RwTxn,
    block: &'a BlockRows,
    (places, known): (&[usize], &mut [Known<'a>]),
) -> Result<(), IndexError> {
    let mut row = Vec::new();
    let mut places = places.iter();
    for writes in block.writes.chunk_by(|one, other| one.entry == other.entry) {
        row.clear();
        let place = (block.height, writes.first().map_or(0, |write| write.entry));
        for (write, known_at) in writes.iter().zip(&mut places) {
            let known = &mut known[*known_at];
            if known.touched == Some(place) {
                return Err(fault(block, RowFault::Twice { entry: write.entry }));
            }
            encode_touch(&mut row, known.number, known.touched, &write.instructions);
            known.touched = Some(place);
            known.last = Some(write);
        }
        let key = touch_key(place);
        seal("touches", &key, &mut row);
        append(tables.touches, txn, &key, &row)?;
    }
    Ok(())
}

/// Writes each record once, as it is at the end of the batch; those from number `born` on are new.
fn write_records(tables: &Tables, txn: &mut RwTxn, known: &[Known<'_>], born: u32) -> Result<(), IndexError> {
    let mut row = Vec::new();
    for record in known {
        let (Some(write), Some(place)) = (record.last, record.touched) else { continue };
        encode_record(&mut row, place, write);
        let key = record_key(record.number);
        if record.number < born {
            put(tables.records, txn, &key, &row)?;
        } else {
            append(tables.records, txn, &key, &row)?;
        }
    }
    Ok(())
}

/// Checks what can be checked without the tables.
fn check_rows(block: &BlockRows) -> Result<(), IndexError> {
    for write in &block.writes {
        let lengths = [
            ("kind", write.kind.len(), TEXT_BYTES_MAX),
            ("id", write.id.len(), TEXT_BYTES_MAX),
            ("list of instructions", write.instructions.len(), INSTRUCTIONS_MAX),
        ];
        if let Some((what, found, max)) = lengths.into_iter().find(|(_, found, max)| found > max) {
            return Err(fault(block, RowFault::TooLong { what, max, found }));
        }
    }
    let disorder = block.writes.windows(2).find(|pair| pair[0].entry > pair[1].entry);
    disorder.map_or(Ok(()), |pair| Err(fault(block, RowFault::Order { before: pair[0].entry, found: pair[1].entry })))
}

fn fault(block: &BlockRows, fault: RowFault) -> IndexError {
    IndexError::Rows { height: block.height, fault }
}

fn put(table: Table, txn: &mut RwTxn, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    table.put(txn, key, row).map_err(IndexError::lmdb("write"))
}

/// Puts a row after all others of the table, which fills pages to the full; LMDB refuses if it is not the last.
fn append(table: Table, txn: &mut RwTxn, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    table.put_with_flags(txn, PutFlags::APPEND, key, row).map_err(IndexError::lmdb("write"))
}
