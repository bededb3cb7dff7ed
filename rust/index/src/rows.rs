//! The rows: what callers give and get, and their bytes.
//!
//! Decoding refuses a row that is too short, too long or not text where text should be, and never reads outside it.
//! A row whose content nothing else can verify ends with a sum over its table, its key and itself, so that a changed
//! bit, or a row in another's place, is noticed where it is read.

use finchain_core::index::{BlockRow, BlockRows, Stored, Write};

use crate::error::IndexError;

/// A record as it is now, borrowed from the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// As in `Stored`.
    pub number: u32,
    /// As in `Stored`.
    pub height: u64,
    /// As in `Stored`.
    pub entry: u32,
    /// As in `Write`.
    pub key: &'a [u8; 32],
    /// As in `Stored`.
    pub salt: &'a [u8; 16],
    /// As in `Stored`.
    pub kind: &'a str,
    /// As in `Stored`.
    pub id: &'a str,
    /// As in `Stored`.
    pub record: &'a [u8],
}

/// Height and entry: the place of a transaction.
pub(crate) type Place = (u64, u32);

const PLACE_BYTES: usize = 12;
/// Stands for "no touch before". No block has this height.
const NO_PLACE: Place = (u64::MAX, u32::MAX);

/// The index's tip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub ledger: [u8; 32],
    pub height: u64,
    pub block_hash: [u8; 32],
    pub next_number: u32,
}

/// What a list of touches says of one record.
#[derive(Debug)]
pub(crate) struct TouchRow {
    pub before: Option<Place>,
    pub instructions: Vec<u16>,
}

/// Bytes of a row's sum: against accidents, at a tenth of a microsecond.
const SUM_BYTES: usize = 8;

fn sum(table: &str, key: &[u8], row: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.as_bytes()).update(key).update(row);
    let mut first = [0; SUM_BYTES];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_BYTES]);
    first
}

/// Ends a row with its sum.
pub(crate) fn seal(table: &str, key: &[u8], row: &mut Vec<u8>) {
    let sum = sum(table, key, row);
    row.extend_from_slice(&sum);
}

/// A row without its sum, once that holds.
fn unseal<'a>(table: &'static str, key: &[u8], row: &'a [u8]) -> Result<Fields<'a>, IndexError> {
    let (rest, found) = row.split_at_checked(row.len().saturating_sub(SUM_BYTES)).unwrap_or((&[], &[]));
    if sum(table, key, rest) == found {
        Ok(Fields { table, rest })
    } else {
        Err(IndexError::damaged(format!("a row of {table} is not what was written")))
    }
}

/// Whether a row stands under its key as it was written, as far as the row itself can say.
pub(crate) fn check_row(table: &'static str, key: &[u8], row: &[u8]) -> Result<(), IndexError> {
    match (table, key) {
        ("meta", b"format") => decode_format(row).map(|_| ()),
        ("records", key) => decode_record(record_of_key(key)?, row).map(|_| ()),
        _ => unseal(table, key, row).map(|_| ()),
    }
}

/// Reads fields from the front of a row.
struct Fields<'a> {
    table: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn wrong(&self) -> IndexError {
        IndexError::damaged(format!("a row of {} has a wrong length or is not text", self.table))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], IndexError> {
        let (front, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.wrong())?;
        self.rest = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], IndexError> {
        let (front, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong())?;
        self.rest = rest;
        Ok(front)
    }

    fn u16(&mut self) -> Result<u16, IndexError> {
        Ok(u16::from_le_bytes(*self.array()?))
    }

    fn u32(&mut self) -> Result<u32, IndexError> {
        Ok(u32::from_le_bytes(*self.array()?))
    }

    fn u64(&mut self) -> Result<u64, IndexError> {
        Ok(u64::from_le_bytes(*self.array()?))
    }

    fn place(&mut self) -> Result<Place, IndexError> {
        Ok((self.u64()?, self.u32()?))
    }

    fn text(&mut self) -> Result<&'a str, IndexError> {
        let [length] = *self.array()?;
        std::str::from_utf8(self.bytes(length.into())?).map_err(|_| self.wrong())
    }

    fn end<T>(&self, found: T) -> Result<T, IndexError> {
        if self.rest.is_empty() { Ok(found) } else { Err(self.wrong()) }
    }
}

/// The number of a record as a key.
pub(crate) fn record_key(number: u32) -> [u8; 8] {
    number_key(number.into())
}

pub(crate) fn record_of_key(key: &[u8]) -> Result<u32, IndexError> {
    u32::try_from(number_of_key(key)?).map_err(|_| IndexError::damaged("a record has too large a number"))
}

/// A number or height as a key.
pub(crate) fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(crate) fn number_of_key(key: &[u8]) -> Result<u64, IndexError> {
    let key = key.try_into().map_err(|_| IndexError::damaged("a key is not a number"))?;
    Ok(u64::from_be_bytes(key))
}

pub(crate) fn touch_key((height, entry): Place) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&height.to_be_bytes());
    key[8..].copy_from_slice(&entry.to_be_bytes());
    key
}

pub(crate) fn lane_key(number: u32, sequence: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&record_key(number));
    key[8..].copy_from_slice(&sequence.to_be_bytes());
    key
}

pub(crate) fn encode_lane(key: &[u8], place: Place) -> Vec<u8> {
    let mut row = encode_place(place).to_vec();
    seal("lanes", key, &mut row);
    row
}

fn encode_place((height, entry): Place) -> [u8; 12] {
    let mut row = [0; 12];
    row[..8].copy_from_slice(&height.to_le_bytes());
    row[8..].copy_from_slice(&entry.to_le_bytes());
    row
}

pub(crate) fn decode_lane(key: &[u8], row: &[u8]) -> Result<Place, IndexError> {
    let mut fields = unseal("lanes", key, row)?;
    let place = fields.place()?;
    fields.end(place)
}

/// Puts a record's row into `row`; the lengths of kind and id were checked before.
///
/// Only the place has a sum: the rest is compared with the state map by whoever reads it.
pub(crate) fn encode_record(row: &mut Vec<u8>, place: Place, write: &Write) {
    row.clear();
    row.extend_from_slice(&encode_place(place));
    seal("records", &record_key(write.number), row);
    row.extend_from_slice(&write.key);
    row.extend_from_slice(&write.salt);
    for text in [&*write.kind, &*write.id] {
        row.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        row.extend_from_slice(text.as_bytes());
    }
    row.extend_from_slice(&write.record);
}

/// The place of a record's last touch, and its key: all that a write needs of the row.
pub(crate) fn decode_record_head(number: u32, row: &[u8]) -> Result<(Place, &[u8; 32]), IndexError> {
    let place = row.get(..PLACE_BYTES + SUM_BYTES).unwrap_or_default();
    let place = unseal("records", &record_key(number), place)?.place()?;
    Ok((place, decode_record_key(row)?))
}

/// The record's key, which no sum covers: whoever goes by it compares it with the state map.
pub(crate) fn decode_record_key(row: &[u8]) -> Result<&[u8; 32], IndexError> {
    Fields { table: "records", rest: row.get(PLACE_BYTES + SUM_BYTES..).unwrap_or_default() }.array()
}

pub(crate) fn decode_record(number: u32, row: &[u8]) -> Result<RecordView<'_>, IndexError> {
    let ((height, entry), _) = decode_record_head(number, row)?;
    let mut fields = Fields { table: "records", rest: row.get(PLACE_BYTES + SUM_BYTES..).unwrap_or_default() };
    let (key, salt) = (fields.array()?, fields.array()?);
    let (kind, id) = (fields.text()?, fields.text()?);
    Ok(RecordView { number, height, entry, key, salt, kind, id, record: fields.rest })
}

impl RecordView<'_> {
    /// A copy of it that outlives the index's lock.
    #[must_use]
    pub fn to_stored(&self) -> Stored {
        let Self { number, height, entry, salt, kind, id, record, .. } = *self;
        Stored { number, height, entry, salt: *salt, kind: kind.into(), id: id.into(), record: record.to_vec() }
    }
}

/// Appends one record's touch to the list of its entry; the count was checked before.
pub(crate) fn encode_touch(row: &mut Vec<u8>, number: u32, before: Option<Place>, instructions: &[u16]) {
    row.extend_from_slice(&u64::from(number).to_le_bytes());
    row.extend_from_slice(&encode_place(before.unwrap_or(NO_PLACE)));
    row.extend_from_slice(&u16::try_from(instructions.len()).unwrap_or(u16::MAX).to_le_bytes());
    row.extend(instructions.iter().flat_map(|index| index.to_le_bytes()));
}

/// The touch of record `number` in the list of touches at `place`.
pub(crate) fn find_touch(place: Place, row: &[u8], number: u32) -> Result<Option<TouchRow>, IndexError> {
    let mut fields = unseal("touches", &touch_key(place), row)?;
    while !fields.rest.is_empty() {
        let found = fields.u64()?;
        let before = Some(fields.place()?).filter(|place| *place != NO_PLACE);
        let count = fields.u16()?;
        let instructions = fields.bytes(usize::from(count) * 2)?;
        if found == u64::from(number) {
            let instructions =
                instructions.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            return Ok(Some(TouchRow { before, instructions }));
        }
    }
    Ok(None)
}

pub(crate) fn encode_block(block: &BlockRows) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.extend_from_slice(&block.block_hash);
    row.extend_from_slice(&block.segment.to_le_bytes());
    row.extend_from_slice(&block.offset.to_le_bytes());
    row.extend_from_slice(&block.length.to_le_bytes());
    row.extend_from_slice(&block.time_ms.to_le_bytes());
    seal("blocks", &number_key(block.height), &mut row);
    row
}

pub(crate) fn decode_block(height: u64, row: &[u8]) -> Result<BlockRow, IndexError> {
    let mut fields = unseal("blocks", &number_key(height), row)?;
    let block = BlockRow {
        block_hash: *fields.array()?,
        segment: fields.u32()?,
        offset: fields.u64()?,
        length: fields.u32()?,
        time_ms: fields.u64()?,
    };
    fields.end(block)
}

impl Tip {
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(88);
        row.extend_from_slice(&self.ledger);
        row.extend_from_slice(&self.height.to_le_bytes());
        row.extend_from_slice(&self.block_hash);
        row.extend_from_slice(&u64::from(self.next_number).to_le_bytes());
        seal("meta", b"tip", &mut row);
        row
    }

    pub fn decode(row: &[u8]) -> Result<Self, IndexError> {
        let mut fields = unseal("meta", b"tip", row)?;
        let tip = Self {
            ledger: *fields.array()?,
            height: fields.u64()?,
            block_hash: *fields.array()?,
            next_number: u32::try_from(fields.u64()?).map_err(|_| fields.wrong())?,
        };
        fields.end(tip)
    }
}

pub(crate) fn decode_format(row: &[u8]) -> Result<u32, IndexError> {
    let mut fields = Fields { table: "meta", rest: row };
    let format = fields.u32()?;
    fields.end(format)
}
