//! Writing blocks: all rows of a batch in one transaction, in the order that suits the trees.

use finchain_core::index::{BlockRows, Write};
use std::collections::HashMap;

use heed::{MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use crate::error::{IndexError, RowFault};
use crate::index::Index;
use crate::rows::{
    Place, Tip, decode_number, decode_record_place, encode_block, encode_lane, encode_number, encode_record,
    encode_touch, lane_key, number_key, seal, touch_key,
};
use crate::tables::{Table, Tables, pages_file};

/// The longest kind and id, whose lengths are stored in a byte.
const TEXT_BYTES_MAX: usize = 255;
/// The most instructions of a touch: more than a transaction can have, so that an index fits in 16 bits.
const INSTRUCTIONS_MAX: usize = 4096;

/// A record that the batch writes.
struct Known<'a> {
    number: u64,
    born: bool,
    touched: Option<Place>,
    last: Option<&'a Write>,
}

type Batch<'a> = HashMap<&'a [u8; 32], Known<'a>>;

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
    let next_number = tip.as_ref().map_or(0, |tip| tip.next_number);
    let mut ledger = tip.as_ref().map(|tip| tip.ledger);
    let mut next = tip.map_or(0, |tip| tip.height.saturating_add(1));
    let (mut batch, born) = gather(tables, txn, blocks, next_number)?;
    for block in blocks {
        if block.height != next {
            return Err(IndexError::NotNext { expected: next, found: block.height });
        }
        next = next.saturating_add(1);
        ledger = ledger.or(Some(block.block_hash));
        write_touches(tables, txn, block, &mut batch)?;
        for lane in &block.lanes {
            let number = batch.get(&lane.key).map(|known| known.number);
            let number = number.ok_or_else(|| unknown_lane(block, lane.entry))?;
            let key = lane_key(number, lane.sequence);
            put(tables.lanes, txn, &key, &encode_lane(&key, (block.height, lane.entry)))?;
        }
        append(tables.blocks, txn, &number_key(block.height), &encode_block(block))?;
    }
    write_records(tables, txn, batch)?;
    if let (Some(last), Some(ledger)) = (blocks.last(), ledger) {
        let tip = Tip { ledger, height: last.height, block_hash: last.block_hash, next_number: next_number + born };
        put(tables.meta, txn, b"tip", &tip.encode())?;
    }
    Ok(())
}

/// Finds or gives the number of every record that the blocks write, and counts the new ones.
///
/// Keys are looked up in their order, so that neighbours in the tree of ids are met together; numbers are given
/// in the order of writing, so that what is born together lies together.
fn gather<'a>(
    tables: &Tables,
    txn: &RoTxn<WithoutTls>,
    blocks: &'a [BlockRows],
    next_number: u64,
) -> Result<(Batch<'a>, u64), IndexError> {
    let writes = blocks.iter().flat_map(|block| &block.writes);
    let lanes = blocks.iter().flat_map(|block| &block.lanes);
    let mut keys: Vec<&[u8; 32]> = writes.clone().map(|write| &write.key).chain(lanes.map(|lane| &lane.key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut batch = Batch::with_capacity(keys.len());
    for key in keys {
        let Some(row) = get(tables.ids, txn, key)? else { continue };
        let number = decode_number(key, row)?;
        let row = get(tables.records, txn, &number_key(number))?;
        let row = row.ok_or_else(|| IndexError::damaged(format!("record {number} has an id and no row")))?;
        let touched = Some(decode_record_place(number, row)?);
        batch.insert(key, Known { number, born: false, touched, last: None });
    }
    let mut born = 0;
    for write in writes {
        batch.entry(&write.key).or_insert_with(|| {
            born += 1;
            Known { number: next_number + born - 1, born: true, touched: None, last: None }
        });
    }
    Ok((batch, born))
}

/// Writes one list of touches for each entry, and notes the last write of each record.
fn write_touches<'a>(
    tables: &Tables,
    txn: &mut RwTxn,
    block: &'a BlockRows,
    batch: &mut Batch<'a>,
) -> Result<(), IndexError> {
    let mut row = Vec::new();
    for writes in block.writes.chunk_by(|one, other| one.entry == other.entry) {
        row.clear();
        let place = (block.height, writes.first().map_or(0, |write| write.entry));
        for write in writes {
            let Some(known) = batch.get_mut(&write.key) else { continue };
            if known.touched == Some(place) {
                return Err(IndexError::Rows { height: block.height, fault: RowFault::Twice { entry: write.entry } });
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

/// Writes each record once, as it is at the end of the batch.
fn write_records(tables: &Tables, txn: &mut RwTxn, batch: Batch<'_>) -> Result<(), IndexError> {
    let mut records: Vec<_> = batch.into_iter().collect();
    records.sort_unstable_by_key(|(key, _)| *key);
    for (key, known) in records.iter().filter(|(_, known)| known.born) {
        put(tables.ids, txn, *key, &encode_number(*key, known.number))?;
    }
    records.sort_unstable_by_key(|(_, known)| known.number);
    let mut row = Vec::new();
    for (_, known) in records {
        let (Some(write), Some(place)) = (known.last, known.touched) else { continue };
        encode_record(&mut row, known.number, place, write);
        let key = number_key(known.number);
        if known.born { append(tables.records, txn, &key, &row)? } else { put(tables.records, txn, &key, &row)? }
    }
    Ok(())
}

/// Checks what can be checked without the tables.
fn check_rows(block: &BlockRows) -> Result<(), IndexError> {
    let fault = |fault| IndexError::Rows { height: block.height, fault };
    for write in &block.writes {
        let lengths = [
            ("kind", write.kind.len(), TEXT_BYTES_MAX),
            ("id", write.id.len(), TEXT_BYTES_MAX),
            ("list of instructions", write.instructions.len(), INSTRUCTIONS_MAX),
        ];
        if let Some((what, found, max)) = lengths.into_iter().find(|(_, found, max)| found > max) {
            return Err(fault(RowFault::TooLong { what, max, found }));
        }
    }
    let disorder = block.writes.windows(2).find(|pair| pair[0].entry > pair[1].entry);
    disorder.map_or(Ok(()), |pair| Err(fault(RowFault::Order { before: pair[0].entry, found: pair[1].entry })))
}

fn unknown_lane(block: &BlockRows, entry: u32) -> IndexError {
    IndexError::Rows { height: block.height, fault: RowFault::UnknownLane { entry } }
}

fn get<'t>(table: Table, txn: &'t RoTxn<WithoutTls>, key: &[u8]) -> Result<Option<&'t [u8]>, IndexError> {
    table.get(txn, key).map_err(IndexError::lmdb("read"))
}

fn put(table: Table, txn: &mut RwTxn, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    table.put(txn, key, row).map_err(IndexError::lmdb("write"))
}

/// Puts a row after all others of the table, which fills pages to the full; LMDB refuses if it is not the last.
fn append(table: Table, txn: &mut RwTxn, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    table.put_with_flags(txn, PutFlags::APPEND, key, row).map_err(IndexError::lmdb("write"))
}
