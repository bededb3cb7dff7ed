//! The inner half of a receipt, taken apart: every member of its form present, no other, each as the format asks.
//!
//! Nothing is hashed here and nothing is believed.

use std::borrow::Cow;

use super::{CONTENT_BYTES_MAX, ReceiptError};
use crate::block::{self, BlockHeader, EntryView};
use crate::canonical::{self, CanonicalError, DEPTH_MAX, DOCUMENT_DEPTH_MAX};
use crate::encoding::unhex;
use crate::error::Rejection;
use crate::hash::{self, Hash, HashSuite};
use crate::state_map::{End, Salt};
use crate::transaction::{self, Header, InOrder, Mode};

/// Largest index of an entry; a block's header bounds it further.
const INDEX_MAX: u64 = canonical::INTEGER_MAX.unsigned_abs();

/// The members of an object, in their order.
type Reader<'a> = InOrder<'a, std::vec::IntoIter<(&'a str, std::ops::Range<usize>)>>;

/// The inner half, borrowed from its bytes.
pub(super) struct Inner<'a> {
    pub(super) block: Block<'a>,
    pub(super) suite: &'static dyn HashSuite,
    pub(super) form: Form<'a>,
}

/// A block header with its bytes.
pub(super) struct Block<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: BlockHeader,
}

/// What is shown.
pub(super) enum Form<'a> {
    Record { record: RecordPart<'a>, siblings: Vec<Hash> },
    Absence { name: Name<'a>, siblings: Vec<Hash>, end: End },
    Change { entry: EntryPart<'a>, record: RecordPart<'a>, index: u64, path: Vec<Hash> },
    Instruction { entry: EntryPart<'a>, instruction: InstructionPart<'a>, signers: Option<SignersPart<'a>> },
}

/// Kind and id of a record.
#[derive(Clone)]
pub(super) struct Name<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) id: &'a str,
}

/// A record.
pub(super) struct RecordPart<'a> {
    pub(super) name: Name<'a>,
    pub(super) record: &'a [u8],
    pub(super) salt: Salt,
}

/// An entry and the way from it to the block's header.
pub(super) struct EntryPart<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) view: EntryView<'a>,
    pub(super) header: Header<'a>,
    pub(super) index: u64,
    pub(super) path: Vec<Hash>,
}

/// An instruction and the way from it to the transaction's header.
pub(super) struct InstructionPart<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) index: u32,
    pub(super) path: Vec<Hash>,
    pub(super) salt: Salt,
}

/// Keys and parties as of the block before.
pub(super) struct SignersPart<'a> {
    pub(super) block: Block<'a>,
    pub(super) records: Vec<(RecordPart<'a>, Vec<Hash>)>,
}

impl<'a> Inner<'a> {
    /// Takes the inner half apart.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ReceiptError> {
        let mut reader = open(bytes, "receipt", DOCUMENT_DEPTH_MAX)?;
        let what = reader.members.as_slice().last().map(|(name, range)| (*name, &bytes[range.clone()]));
        let block = Block::read(reader.next("block")?)?;
        let (suite, form) = match what {
            Some(("what", br#""record""#)) => record_form(&mut reader)?,
            Some(("what", br#""absence""#)) => absence_form(&mut reader)?,
            Some(("what", br#""change""#)) => change_form(&mut reader)?,
            Some(("what", br#""instruction""#)) => instruction_form(&mut reader)?,
            _ => return Err(malformed("receipt.what is none of the forms", "record, absence, change or instruction")),
        };
        reader.plain("type", |text| text == "finchain.receipt.1", "finchain.receipt.1")?;
        reader.next("what")?;
        reader.end()?;
        Ok(Self { block, suite, form })
    }
}

type Read<'a> = (&'static dyn HashSuite, Form<'a>);

fn record_form<'a>(reader: &mut Reader<'a>) -> Result<Read<'a>, ReceiptError> {
    let suite = suite(reader)?;
    let name = name(reader)?;
    let record = record(reader, name)?;
    let siblings = hashes(reader, "siblings")?;
    Ok((suite, Form::Record { record, siblings }))
}

fn absence_form<'a>(reader: &mut Reader<'a>) -> Result<Read<'a>, ReceiptError> {
    let suite = suite(reader)?;
    let name = name(reader)?;
    let mut end = End::Empty;
    if follows(reader, "other") {
        let mut other = open(reader.next("other")?, "receipt.other", 1)?;
        end = End::Other { key: hash(&mut other, "key")?, value: hash(&mut other, "value")? };
        other.end()?;
    }
    let siblings = hashes(reader, "siblings")?;
    Ok((suite, Form::Absence { name, siblings, end }))
}

fn change_form<'a>(reader: &mut Reader<'a>) -> Result<Read<'a>, ReceiptError> {
    let entry = EntryPart::read(reader)?;
    let suite = suite(reader)?;
    let id = id(reader)?;
    let index = reader.integer("index", 0, u64::from(u32::MAX))?;
    let kind = kind(reader)?;
    let path = hashes(reader, "path")?;
    let record = record(reader, Name { kind, id })?;
    Ok((suite, Form::Change { entry, record, index, path }))
}

fn instruction_form<'a>(reader: &mut Reader<'a>) -> Result<Read<'a>, ReceiptError> {
    let entry = EntryPart::read(reader)?;
    let suite = suite(reader)?;
    let index = reader.integer("index", 0, u64::from(u32::MAX))?;
    let bytes = content(reader, "instruction")?;
    let found = canonical::members(bytes, DEPTH_MAX)?.into_iter().find(|(name, _)| *name == "type");
    if found.is_none_or(|(_, range)| bytes.get(range.start) != Some(&b'"')) {
        return Err(malformed("receipt.instruction has no type", "an object with a type, which is a text"));
    }
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let instruction = InstructionPart { bytes, index, path: hashes(reader, "path")?, salt: salt(reader)? };
    let signers = if follows(reader, "signers") { Some(SignersPart::read(reader.next("signers")?)?) } else { None };
    Ok((suite, Form::Instruction { entry, instruction, signers }))
}

impl<'a> Block<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ReceiptError> {
        let header = BlockHeader::parse(bytes)?;
        let (origin, first) = header.ledger.split_once('#').unwrap_or_default();
        let named = !origin.is_empty() && !origin.contains(|c: char| c.is_whitespace() || c == '+' || c == '\\');
        let numbered = if header.height == 0 { first.is_empty() } else { unhex::<32>(first).is_some() };
        if !named || !numbered {
            return Err(ReceiptError::LedgerName { height: header.height, found: header.ledger });
        }
        Ok(Self { bytes, header })
    }

    /// The part of `ledger` before `#`.
    pub(super) fn origin(&self) -> &str {
        self.header.ledger.split('#').next().unwrap_or_default()
    }
}

impl<'a> EntryPart<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReceiptError> {
        let bytes = reader.next("entry")?;
        let index = reader.integer("entry_index", 0, INDEX_MAX)?;
        let path = hashes(reader, "entry_path")?;
        let view = block::parse_entry(bytes)?;
        let header = transaction::parse_header(view.header)?;
        if let Some(last) = view.refused.last().filter(|last| last.instruction >= header.count) {
            return Err(ReceiptError::RefusedOutOfRange { count: header.count, found: last.instruction });
        }
        if header.mode == Mode::All && view.refused.len() > 1 {
            return Err(ReceiptError::RefusedUnderAll { found: view.refused.len() });
        }
        Ok(Self { bytes, view, header, index, path })
    }
}

impl<'a> SignersPart<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ReceiptError> {
        let mut reader = open(bytes, "receipt.signers", DOCUMENT_DEPTH_MAX)?;
        let block = Block::read(reader.next("block")?)?;
        let list = reader.next("records")?;
        reader.end()?;
        let mut records = Vec::new();
        for range in canonical::elements(list, DOCUMENT_DEPTH_MAX)? {
            let mut each = open(&list[range], "receipt.signers.records", DOCUMENT_DEPTH_MAX)?;
            let name = name(&mut each)?;
            let record = record(&mut each, name)?;
            let siblings = hashes(&mut each, "siblings")?;
            each.end()?;
            records.push((record, siblings));
        }
        Ok(Self { block, records })
    }
}

fn malformed(message: &str, advice: &str) -> ReceiptError {
    ReceiptError::Malformed(Rejection::malformed(message, advice))
}

fn open<'a>(text: &'a [u8], of: &'static str, depth_max: usize) -> Result<Reader<'a>, CanonicalError> {
    let members = canonical::members(text, depth_max)?;
    Ok(InOrder { of, members: members.into_iter(), text })
}

/// Whether the next member has that name.
fn follows(reader: &Reader<'_>, name: &str) -> bool {
    reader.members.as_slice().first().is_some_and(|(found, _)| *found == name)
}

/// The suite that the receipt names. Naming another one than the ledger's gains nothing: no hash would fit.
fn suite(reader: &mut Reader<'_>) -> Result<&'static dyn HashSuite, ReceiptError> {
    let name = reader.plain("hash", |name| hash::suite(name).is_some(), hash::SUITE_NAMES)?;
    hash::suite(name).ok_or_else(|| malformed("receipt.hash is not known", hash::SUITE_NAMES))
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<Name<'a>, ReceiptError> {
    let id = id(reader)?;
    Ok(Name { kind: kind(reader)?, id })
}

fn kind<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, ReceiptError> {
    let kind = canonical::unescape(reader.next("kind")?)?;
    if kind.is_empty() { Err(malformed("receipt.kind is empty", "a kind of record")) } else { Ok(kind) }
}

fn id<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ReceiptError> {
    Ok(reader.plain(
        "id",
        is_record_id,
        "parts of 1 to 64 of [A-Za-z0-9._:/-], joined by one space, at most 200 bytes",
    )?)
}

fn is_record_id(text: &str) -> bool {
    text.len() <= 200 && text.split(' ').all(transaction::is_lane_name)
}

fn record<'a>(reader: &mut Reader<'a>, name: Name<'a>) -> Result<RecordPart<'a>, ReceiptError> {
    Ok(RecordPart { name, record: content(reader, "record")?, salt: salt(reader)? })
}

/// A record or an instruction: an object within its own limits of size and depth.
fn content<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], ReceiptError> {
    let bytes = reader.next(what)?;
    if bytes.len() > CONTENT_BYTES_MAX {
        return Err(ReceiptError::ContentTooLong { what, found: bytes.len() });
    }
    canonical::members(bytes, DEPTH_MAX)?;
    Ok(bytes)
}

fn salt(reader: &mut Reader<'_>) -> Result<Salt, ReceiptError> {
    let text = reader.plain("salt", |text| unhex::<16>(text).is_some(), "32 hex digits")?;
    Ok(unhex(text).unwrap_or_default())
}

fn hash(reader: &mut Reader<'_>, name: &str) -> Result<Hash, ReceiptError> {
    let text = reader.plain(name, |text| unhex::<32>(text).is_some(), "64 hex digits")?;
    Ok(unhex(text).unwrap_or_default())
}

fn hashes(reader: &mut Reader<'_>, name: &str) -> Result<Vec<Hash>, ReceiptError> {
    let list = reader.next(name)?;
    let read = |raw: &[u8]| std::str::from_utf8(raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok().and_then(unhex);
    let read: Option<Vec<Hash>> = canonical::elements(list, 1)?.into_iter().map(|range| read(&list[range])).collect();
    read.ok_or_else(|| malformed(&format!("receipt.{name} is not a list of hashes"), "each of 64 hex digits"))
}
