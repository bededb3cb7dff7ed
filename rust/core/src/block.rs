//! Entries, block headers and block payloads (`docs/format.md` section 4 and 7.1): their bytes, written and read.
//!
//! It neither executes nor stores. What it writes it also reads, and it refuses every other spelling.

use std::fmt::Write as _;
use std::ops::Range;

use crate::canonical;
use crate::encoding;
use crate::error::Rejection;
use crate::hash::{Hash, HashSuite, Purpose, Rfc9162};
use crate::transaction::{InOrder, Transaction};

/// Most bytes of a block's payload: the largest transaction four times over, and a bounded read at recovery.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;
const TYPE: &str = "finchain.block.1";

/// A refused instruction: its index in the transaction and the code that a rule raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the instruction.
    pub instruction: u32,
    /// For example `receivable.over_confirm`.
    pub code: Box<str>,
}

/// Writes an entry: what a block keeps of a transaction and its outcome.
#[must_use]
pub fn entry(transaction: &Transaction, refused: &[Refusal], changes: &Hash, writes: usize) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(transaction.header().len() + transaction.signatures_text().len() + 140 + refused.len() * 60);
    out.extend_from_slice(b"{\"changes\":\"");
    out.extend_from_slice(encoding::hex(changes).as_bytes());
    out.extend_from_slice(b"\",\"header\":");
    out.extend_from_slice(transaction.header());
    out.extend_from_slice(b",\"refused\":[");
    for (index, refusal) in refused.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let text = format!("{comma}{{\"code\":\"{}\",\"instruction\":{}}}", refusal.code, refusal.instruction);
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b"],\"signatures\":");
    out.extend_from_slice(transaction.signatures_text());
    out.extend_from_slice(format!(",\"writes\":{writes}}}").as_bytes());
    out
}

/// The parts of an entry, borrowed from its bytes.
#[derive(Clone, Debug)]
pub struct EntryView<'a> {
    /// Tree over the state leaves that the transaction wrote.
    pub changes: Hash,
    /// The signed header.
    pub header: &'a [u8],
    /// Refused instructions, in rising order.
    pub refused: Vec<Refusal>,
    /// The signatures as one array.
    pub signatures: &'a [u8],
    /// Number of leaves under `changes`.
    pub writes: u32,
}

/// Whether a text may be a refusal's code: `<kind>.<cause>` in lower case.
#[must_use]
pub fn is_refusal_code(text: &str) -> bool {
    text.len() <= 64
        && text.split_once('.').is_some_and(|(kind, cause)| {
            [kind, cause].iter().all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            })
        })
}

/// Reads an entry.
///
/// # Errors
/// A [`Rejection`] as malformed, naming the member.
pub fn parse_entry(text: &[u8]) -> Result<EntryView<'_>, Rejection> {
    let members = canonical::members(text, canonical::DOCUMENT_DEPTH_MAX)
        .map_err(|e| Rejection::malformed(format!("entry: {e}"), "an entry is canonical JSON"))?;
    let mut reader = InOrder { of: "entry", members: members.into_iter(), text };
    let changes = read_hash(reader.plain("changes", |s| encoding::unhex::<32>(s).is_some(), "64 hex digits")?);
    let header = reader.next("header")?;
    let list = reader.next("refused")?;
    let mut refused: Vec<Refusal> = Vec::new();
    let ranges = canonical::elements(list, 2)
        .map_err(|e| Rejection::malformed(format!("entry.refused: {e}"), "a list of refusals"))?;
    for range in ranges {
        let element = &list[range];
        let members = canonical::members(element, 1)
            .map_err(|e| Rejection::malformed(format!("entry.refused: {e}"), "code and instruction"))?;
        let mut each = InOrder { of: "refusal", members: members.into_iter(), text: element };
        let code = each.plain("code", is_refusal_code, "<kind>.<cause> in lower case")?.into();
        let instruction = u32::try_from(each.integer("instruction", 0, 4_095)?).unwrap_or(u32::MAX);
        each.end()?;
        if refused.last().is_some_and(|last: &Refusal| last.instruction >= instruction) {
            return Err(Rejection::malformed(
                "entry.refused is not in rising order",
                "sorted by instruction, none twice",
            ));
        }
        refused.push(Refusal { instruction, code });
    }
    let signatures = reader.next("signatures")?;
    let writes = u32::try_from(reader.integer("writes", 0, u64::from(u32::MAX))?).unwrap_or(u32::MAX);
    reader.end()?;
    Ok(EntryView { changes, header, refused, signatures, writes })
}

/// Leaf of an entry.
#[must_use]
pub fn entry_leaf(suite: &dyn HashSuite, entry: &[u8]) -> Hash {
    suite.hash(Purpose::Entry, &[entry])
}

/// A block header's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Number of entries.
    pub entries: u64,
    /// Number of blocks before it.
    pub height: u64,
    /// Origin, `#`, hash of block 0 (nothing after `#` in block 0).
    pub ledger: String,
    /// Hash of the block before.
    pub previous: Hash,
    /// Tree over the entries.
    pub root: Hash,
    /// Rulebook in force.
    pub rulebook: u32,
    /// Root of the state map after it.
    pub state: Hash,
    /// Unix time in milliseconds.
    pub time_ms: u64,
}

impl BlockHeader {
    /// The header's one spelling.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(512);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{{\"entries\":{},\"height\":{},\"ledger\":\"{}\",\"previous\":\"{}\",\"root\":\"{}\",\
             \"rulebook\":{},\"state\":\"{}\",\"time_ms\":{},\"type\":\"{TYPE}\"}}",
            self.entries,
            self.height,
            self.ledger,
            encoding::hex(&self.previous),
            encoding::hex(&self.root),
            self.rulebook,
            encoding::hex(&self.state),
            self.time_ms,
        );
        out.into_bytes()
    }

    /// Reads a header.
    ///
    /// # Errors
    /// A [`Rejection`] as malformed, naming the member.
    pub fn parse(text: &[u8]) -> Result<Self, Rejection> {
        let members = canonical::members(text, 1)
            .map_err(|e| Rejection::malformed(format!("block header: {e}"), "canonical JSON"))?;
        let mut reader = InOrder { of: "block header", members: members.into_iter(), text };
        let is_hash = |s: &str| encoding::unhex::<32>(s).is_some();
        let max = canonical::INTEGER_MAX.unsigned_abs();
        let header = Self {
            entries: reader.integer("entries", 1, max)?,
            height: reader.integer("height", 0, max)?,
            ledger: reader.plain("ledger", |s| s.contains('#'), "origin, #, hash of block 0")?.to_owned(),
            previous: read_hash(reader.plain("previous", is_hash, "64 hex digits")?),
            root: read_hash(reader.plain("root", is_hash, "64 hex digits")?),
            rulebook: u32::try_from(reader.integer("rulebook", 1, u64::from(u32::MAX))?).unwrap_or(u32::MAX),
            state: read_hash(reader.plain("state", is_hash, "64 hex digits")?),
            time_ms: reader.integer("time_ms", 0, max)?,
        };
        reader.plain("type", |s| s == TYPE, TYPE)?;
        reader.end()?;
        Ok(header)
    }
}

/// The `type` of a header, where it is that of a later version of the format.
#[must_use]
pub fn later_type(header: &[u8]) -> Option<String> {
    let value = canonical::Value::parse(header, canonical::DOCUMENT_DEPTH_MAX).ok()?;
    let found = value.get("type")?.as_text()?;
    let version: u32 = found.strip_prefix("finchain.block.")?.parse().ok()?;
    (version > 1).then(|| found.to_owned())
}

/// Hash of a block: the leaf hash of its header in the block log.
#[must_use]
pub fn block_hash(header: &[u8]) -> Hash {
    Rfc9162.leaf(header)
}

fn read_hash(text: &str) -> Hash {
    encoding::unhex::<32>(text).unwrap_or_default()
}

/// Adds one transaction's three lines to a payload.
pub fn push_transaction(payload: &mut Vec<u8>, entry: &[u8], transaction: &Transaction) {
    payload.extend_from_slice(entry);
    payload.push(b'\n');
    payload.extend_from_slice(encoding::hex(&transaction.salt).as_bytes());
    payload.push(b'\n');
    payload.extend_from_slice(transaction.instructions());
    payload.push(b'\n');
}

/// A block's payload, taken apart into its lines.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    header: Range<usize>,
    lines: Vec<[Range<usize>; 3]>,
}

impl Payload {
    /// Splits a payload into the header and three lines a transaction.
    ///
    /// # Errors
    /// A [`Rejection`] as malformed, where the lines do not come out even.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Rejection> {
        let mut ranges = Vec::new();
        let mut start = 0;
        for (at, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'\n') {
            ranges.push(start..at);
            start = at + 1;
        }
        if start != bytes.len() || ranges.len() < 4 || (ranges.len() - 1) % 3 != 0 {
            return Err(Rejection::malformed(
                format!("a block's payload of {} lines", ranges.len()),
                "a header line, then three lines for each transaction, each ended by a line feed",
            ));
        }
        let mut rest = ranges.into_iter();
        let header = rest.next().unwrap_or(0..0);
        let mut lines = Vec::new();
        while let (Some(entry), Some(salt), Some(instructions)) = (rest.next(), rest.next(), rest.next()) {
            lines.push([entry, salt, instructions]);
        }
        Ok(Self { bytes, header, lines })
    }

    /// The block header's bytes.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.bytes[self.header.clone()]
    }

    /// Number of transactions.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Every entry's bytes, in order.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.lines.iter().map(|[entry, _, _]| &self.bytes[entry.clone()])
    }

    /// The bytes of one entry.
    #[must_use]
    pub fn entry(&self, index: usize) -> Option<&[u8]> {
        self.lines.get(index).map(|[entry, _, _]| &self.bytes[entry.clone()])
    }

    /// The transaction of one entry, put together again and checked as when it came in.
    ///
    /// # Errors
    /// A [`Rejection`] that says what does not fit, or that there is no such entry.
    pub fn transaction(&self, index: usize, suite: &dyn HashSuite) -> Result<(Transaction, EntryView<'_>), Rejection> {
        let Some([entry, salt, instructions]) = self.lines.get(index) else {
            return Err(Rejection::malformed(
                format!("there is no entry {index}"),
                format!("less than {}", self.lines.len()),
            ));
        };
        let view = parse_entry(&self.bytes[entry.clone()])?;
        let salt = std::str::from_utf8(&self.bytes[salt.clone()]).ok().and_then(encoding::unhex::<16>);
        let salt = salt.ok_or_else(|| {
            Rejection::malformed(format!("the salt of entry {index} is not hex"), "32 lower-case hex digits")
        })?;
        let transaction =
            Transaction::from_parts(view.header, &self.bytes[instructions.clone()], salt, view.signatures, suite)?;
        Ok((transaction, view))
    }
}
