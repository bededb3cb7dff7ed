//! Writing blocks: all rows of a batch in one transaction, in the order that suits the trees.

use finchain_core::index::{BlockRows, Write};
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
    key: &'a [u8; 32],
    /// `None` until it is found in the tables, or its first write gives it the next one.
    number: Option<u64>,
    born: bool,
    touched: Option<Place>,
    last: Option<&'a Write>,
}

/// The records that the batch writes, in the order of their keys.
struct Batch<'a> {
    known: Vec<Known<'a>>,
    /// For each write of all blocks, and then for each lane, the place of its record in `known`.
    places: Vec<usize>,
    born: u64,
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
    let next_number = tip.as_ref().map_or(0, |tip| tip.next_number);
    let mut ledger = tip.as_ref().map(|tip| tip.ledger);
    let mut next = tip.map_or(0, |tip| tip.height.saturating_add(1));
    let Batch { mut known, places, born } = gather(tables, txn, blocks, next_number)?;
    let (mut writes, lanes) = places.split_at(blocks.iter().map(|block| block.writes.len()).sum());
    let mut lanes = lanes.iter();
    for block in blocks {
        if block.height != next {
            return Err(IndexError::NotNext { expected: next, found: block.height });
        }
        next = next.saturating_add(1);
        ledger = ledger.or(Some(block.block_hash));
        let (own, rest) = writes.split_at(block.writes.len());
        writes = rest;
        write_touches(tables, txn, block, (own, &mut known))?;
        for (lane, place) in block.lanes.iter().zip(&mut lanes) {
            let number = known.get(*place).and_then(|known| known.number);
            let number = number.ok_or_else(|| unknown_lane(block, lane.entry))?;
            let key = lane_key(number, lane.sequence);
            put(tables.lanes, txn, &key, &encode_lane(&key, (block.height, lane.entry)))?;
        }
        append(tables.blocks, txn, &number_key(block.height), &encode_block(block))?;
    }
    write_records(tables, txn, &known)?;
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
) -> Result<Batch<'a>, IndexError> {
    let writes: Vec<&Write> = blocks.iter().flat_map(|block| &block.writes).collect();
    let lanes = blocks.iter().flat_map(|block| &block.lanes).map(|lane| &lane.key);
    let keys: Vec<&[u8; 32]> = writes.iter().map(|write| &write.key).chain(lanes).collect();
    let mut known: Vec<Known<'_>> = Vec::with_capacity(keys.len());
    let mut places = vec![0; keys.len()];
    for index in in_key_order(&keys) {
        let key = keys[index];
        if known.last().is_none_or(|last| last.key != key) {
            let born = writes.get(index).is_some_and(|write| write.born);
            known.push(if born { new(key) } else { find(tables, txn, key)? });
        }
        places[index] = known.len() - 1;
    }
    let mut born = 0;
    for place in &places[..writes.len()] {
        let known = &mut known[*place];
        if known.number.is_none() {
            (known.number, known.born) = (Some(next_number + born), true);
            born += 1;
        }
    }
    Ok(Batch { known, places, born })
}

/// A record that the tables do not hold.
fn new(key: &[u8; 32]) -> Known<'_> {
    Known { key, number: None, born: false, touched: None, last: None }
}

/// The indices of `keys` in the order of the keys, and of equal ones in their own. Nearly always the first bytes, which
/// lie beside the index, decide.
fn in_key_order(keys: &[&[u8; 32]]) -> impl Iterator<Item = usize> {
    let first_bytes = |key: &[u8; 32]| key.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut order: Vec<(u64, usize)> = keys.iter().map(|key| first_bytes(key)).zip(0..).collect();
    order.sort_unstable_by(|one, other| {
        one.0.cmp(&other.0).then_with(|| (keys[one.1], one.1).cmp(&(keys[other.1], other.1)))
    });
    order.into_iter().map(|(_, index)| index)
}

/// What the tables hold of a record.
fn find<'a>(tables: &Tables, txn: &RoTxn<WithoutTls>, key: &'a [u8; 32]) -> Result<Known<'a>, IndexError> {
    let Some(row) = get(tables.ids, txn, key)? else { return Ok(new(key)) };
    let number = decode_number(key, row)?;
    let row = get(tables.records, txn, &number_key(number))?;
    let row = row.ok_or_else(|| IndexError::damaged(format!("record {number} has an id and no row")))?;
    let touched = Some(decode_record_place(number, row)?);
    Ok(Known { number: Some(number), touched, ..new(key) })
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
                return Err(IndexError::Rows { height: block.height, fault: RowFault::Twice { entry: write.entry } });
            }
            encode_touch(&mut row, known.number.unwrap_or_default(), known.touched, &write.instructions);
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
fn write_records(tables: &Tables, txn: &mut RwTxn, known: &[Known<'_>]) -> Result<(), IndexError> {
    let mut records = Vec::with_capacity(known.len());
    for record in known {
        let (Some(number), Some(write), Some(place)) = (record.number, record.last, record.touched) else { continue };
        if record.born {
            put_new(tables.ids, txn, record.key, &encode_number(record.key, number))?;
        }
        records.push((number, record.born, place, write));
    }
    records.sort_unstable_by_key(|(number, ..)| *number);
    let mut row = Vec::new();
    for (number, born, place, write) in records {
        encode_record(&mut row, number, place, write);
        let key = number_key(number);
        if born { append(tables.records, txn, &key, &row)? } else { put(tables.records, txn, &key, &row)? }
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

/// Puts a row under a key that the table does not have.
fn put_new(table: Table, txn: &mut RwTxn, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    table.put_with_flags(txn, PutFlags::NO_OVERWRITE, key, row).map_err(|error| match error {
        heed::Error::Mdb(MdbError::KeyExist) => IndexError::damaged("a record that was just made has an id already"),
        other => IndexError::lmdb("write")(other),
    })
}

/// Puts a row after all others of the table, which fills pages to the full; LMDB refuses if it is not the last.
fn append(table: Table, txn: &mut RwTxn, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    table.put_with_flags(txn, PutFlags::APPEND, key, row).map_err(IndexError::lmdb("write"))
}
