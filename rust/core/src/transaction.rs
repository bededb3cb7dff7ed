//! A transaction: what several parties sign at once (`docs/format.md` section 3).
//!
//! It takes a transaction apart, checks its one spelling and every limit, and computes its id and its instructions'
//! leaves. It does not know who may sign: that is `authority`. It refuses anything it would not write itself.

use std::ops::Range;

use crate::canonical::{self, CanonicalError, Problem};
use crate::encoding;
use crate::error::{Code, Rejection};
use crate::hash::{Hash, HashSuite, Purpose};
use crate::merkle;

/// Most bytes of a transaction: what a replica's consensus engine still passes on in one piece.
pub const TRANSACTION_BYTES_MAX: usize = 4 << 20;
/// Most instructions of a transaction.
pub const INSTRUCTIONS_MAX: usize = 4_096;
/// Most bytes of one instruction.
pub const INSTRUCTION_BYTES_MAX: usize = 16 << 10;
/// Most signatures of a transaction, and most parties that sign it.
pub const SIGNATURES_MAX: usize = 16;
/// Most characters of a lane or a party's id.
pub const NAME_MAX: usize = 64;
/// Longest that an unsent transaction stays valid: 30 days.
pub const EXPIRY_MAX_MS: u64 = 30 * 24 * 3_600_000;
/// The `i` of a record that no instruction writes.
pub const NO_INSTRUCTION: u32 = u32::MAX;
const TYPE: &str = "finchain.transaction.1";

/// Whether the instructions hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All hold, or none.
    All,
    /// Each stands alone.
    Each,
}

/// The signed header, borrowed from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Parties that sign; the first is the sender.
    pub by: Vec<&'a str>,
    /// Number of instructions.
    pub count: u32,
    /// Last block time that may hold it, in Unix milliseconds.
    pub expires_ms: u64,
    /// The sender's series.
    pub lane: &'a str,
    /// Origin, `#`, hash of block 0.
    pub ledger: &'a str,
    /// Together, or each for itself.
    pub mode: Mode,
    /// Tree over the instructions' leaves.
    pub root: Hash,
    /// Rulebook that the signers mean.
    pub rulebook: u32,
    /// Place in the lane, from 1.
    pub sequence: u64,
}

/// One signature of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Key id: party, `/`, number.
    pub key: Box<str>,
    /// The signature's bytes; their number depends on the key's suite.
    pub bytes: Box<[u8]>,
}

/// A transaction that is well formed, with its hashes.
#[derive(Clone, Debug)]
pub struct Transaction {
    text: Box<[u8]>,
    header: Range<usize>,
    instructions: Range<usize>,
    signatures_text: Range<usize>,
    elements: Vec<Range<usize>>,
    /// Parties that sign; the first is the sender.
    pub by: Vec<Box<str>>,
    /// Last block time that may hold it.
    pub expires_ms: u64,
    /// The sender's series.
    pub lane: Box<str>,
    /// Name of the ledger that it was made for.
    pub ledger: Box<str>,
    /// Together, or each for itself.
    pub mode: Mode,
    /// Rulebook number.
    pub rulebook: u32,
    /// Place in the lane.
    pub sequence: u64,
    /// Signatures, sorted by key.
    pub signatures: Vec<Signature>,
    /// The builder's salt.
    pub salt: [u8; 16],
    /// Salt of each instruction.
    pub salts: Vec<[u8; 16]>,
    /// Leaf of each instruction.
    pub leaves: Vec<Hash>,
    /// Id of the transaction.
    pub id: Hash,
}

impl Transaction {
    /// Takes a transaction apart and checks everything about it that needs no state.
    ///
    /// # Errors
    /// A [`Rejection`] as malformed or over a limit; its message names the member and the byte.
    pub fn parse(text: &[u8], suite: &dyn HashSuite) -> Result<Self, Rejection> {
        Self::take_apart(text, suite, false)
    }

    /// The same for a transaction that waits for its first signature.
    ///
    /// # Errors
    /// As [`Transaction::parse`], but for a missing signature.
    pub fn parse_unsigned(text: &[u8], suite: &dyn HashSuite) -> Result<Self, Rejection> {
        Self::take_apart(text, suite, true)
    }

    fn take_apart(text: &[u8], suite: &dyn HashSuite, unsigned_allowed: bool) -> Result<Self, Rejection> {
        limit("transaction", text.len(), TRANSACTION_BYTES_MAX, "bytes")?;
        let members =
            canonical::members(text, canonical::DOCUMENT_DEPTH_MAX).map_err(|e| spelling("transaction", &e))?;
        let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        if names != ["header", "instructions", "salt", "signatures"] {
            return Err(Rejection::malformed(
                format!("a transaction with the members {names:?}"),
                "it has header, instructions, salt and signatures, and no others",
            ));
        }
        let salt = text_value(&text[members[2].1.clone()]).and_then(|s| encoding::unhex::<16>(&s));
        let salt = salt.ok_or_else(|| {
            Rejection::malformed("the salt is not a string of 32 hex digits", "use 16 random bytes in lower-case hex")
        })?;
        let signatures = members[3].1.clone();
        if !unsigned_allowed && text[signatures.clone()] == *b"[]" {
            return Err(Rejection::new(
                Code::MissingSignature,
                "there is no signature",
                "every party in header.by signs",
            ));
        }
        Self::assemble(text.into(), members[0].1.clone(), members[1].1.clone(), signatures, salt, suite)
    }

    /// Puts a transaction together again from what a block keeps of it.
    ///
    /// # Errors
    /// As [`Transaction::parse`].
    pub fn from_parts(
        header: &[u8],
        instructions: &[u8],
        salt: [u8; 16],
        signatures: &[u8],
        suite: &dyn HashSuite,
    ) -> Result<Self, Rejection> {
        let mut text = Vec::with_capacity(header.len() + instructions.len() + signatures.len());
        text.extend_from_slice(header);
        text.extend_from_slice(instructions);
        text.extend_from_slice(signatures);
        let (a, b) = (header.len(), header.len() + instructions.len());
        let end = text.len();
        Self::assemble(text.into(), 0..a, a..b, b..end, salt, suite)
    }

    fn assemble(
        text: Box<[u8]>,
        header: Range<usize>,
        instructions: Range<usize>,
        signatures_text: Range<usize>,
        salt: [u8; 16],
        suite: &dyn HashSuite,
    ) -> Result<Self, Rejection> {
        let head = parse_header(&text[header.clone()])?;
        let start = instructions.start;
        let elements: Vec<Range<usize>> = canonical::elements(&text[instructions.clone()], canonical::DEPTH_MAX + 1)
            .map_err(|e| spelling("instructions", &e))?
            .into_iter()
            .map(|r| r.start + start..r.end + start)
            .collect();
        limit("instructions", elements.len(), INSTRUCTIONS_MAX, "instructions")?;
        if elements.len() as u64 != u64::from(head.count) || elements.is_empty() {
            return Err(Rejection::malformed(
                format!("header.count is {} and there are {} instructions", head.count, elements.len()),
                "count is the number of instructions, at least 1",
            ));
        }
        for (index, element) in elements.iter().enumerate() {
            check_instruction(index, &text[element.clone()])?;
        }
        let salts: Vec<[u8; 16]> = (0..head.count).map(|i| instruction_salt(suite, &salt, i)).collect();
        let leaves: Vec<Hash> = elements
            .iter()
            .zip(&salts)
            .map(|(range, salt)| suite.hash(Purpose::Instruction, &[salt, &text[range.clone()]]))
            .collect();
        if merkle::tree_hash(suite, &leaves) != head.root {
            return Err(Rejection::malformed(
                "header.root is not the tree of these instructions under this salt",
                "build the header after the instructions, and change neither afterwards",
            ));
        }
        let signatures = parse_signatures(&text[signatures_text.clone()])?;
        let id = suite.hash(Purpose::Transaction, &[&text[header.clone()]]);
        Ok(Self {
            by: head.by.iter().map(|&p| p.into()).collect(),
            expires_ms: head.expires_ms,
            lane: head.lane.into(),
            ledger: head.ledger.into(),
            mode: head.mode,
            rulebook: head.rulebook,
            sequence: head.sequence,
            signatures,
            salt,
            salts,
            leaves,
            id,
            elements,
            header,
            instructions,
            signatures_text,
            text,
        })
    }

    /// The bytes that were signed.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.text[self.header.clone()]
    }

    /// The instructions as one array.
    #[must_use]
    pub fn instructions(&self) -> &[u8] {
        &self.text[self.instructions.clone()]
    }

    /// The bytes of one instruction, `index < count`.
    #[must_use]
    pub fn instruction(&self, index: usize) -> Option<&[u8]> {
        self.elements.get(index).map(|r| &self.text[r.clone()])
    }

    /// Number of instructions.
    #[must_use]
    pub fn count(&self) -> usize {
        self.elements.len()
    }

    /// The signatures as one array.
    #[must_use]
    pub fn signatures_text(&self) -> &[u8] {
        &self.text[self.signatures_text.clone()]
    }

    /// The first of `by`.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.by.first().map_or("", |s| s)
    }

    /// Whether its lane holds no other one.
    #[must_use]
    pub fn is_once(&self) -> bool {
        self.lane.starts_with(ONCE)
    }

    /// Id of the lane's record.
    #[must_use]
    pub fn lane_id(&self) -> String {
        format!("{} {}", self.sender(), self.lane)
    }

    /// Whether the other transaction says the same: salt, expiry and signatures do not count (section 3.5).
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.by == other.by
            && self.mode == other.mode
            && self.rulebook == other.rulebook
            && self.instructions() == other.instructions()
    }
}

/// Salt of instruction `index` (section 3.2).
#[must_use]
pub fn instruction_salt(suite: &dyn HashSuite, salt: &[u8; 16], index: u32) -> [u8; 16] {
    let hash = suite.hash(Purpose::Salt, &[salt, &index.to_le_bytes()]);
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    first
}

/// Checks what holds for every instruction, whatever the rulebook: its size, and that it is an object.
///
/// # Errors
/// As malformed or over the limit, with its `index`.
pub fn check_instruction(index: usize, text: &[u8]) -> Result<(), Rejection> {
    limit(&format!("instruction {index}"), text.len(), INSTRUCTION_BYTES_MAX, "bytes")?;
    if text.first() != Some(&b'{') {
        return Err(Rejection::malformed(
            format!("instruction {index} is not an object"),
            "an instruction is an object with a type",
        ));
    }
    Ok(())
}

fn limit(what: &str, found: usize, max: usize, unit: &str) -> Result<(), Rejection> {
    if found > max {
        return Err(Rejection::new(Code::Limit, format!("{what}: {found} {unit}"), format!("at most {max} {unit}")));
    }
    Ok(())
}

fn spelling(what: &str, error: &CanonicalError) -> Rejection {
    let code = if matches!(error.problem, Problem::DepthExceeded { .. }) { Code::Limit } else { Code::Malformed };
    Rejection::new(code, format!("{what}: {error}"), "write canonical JSON as docs/format.md section 1 has it")
}

fn text_value(raw: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    match canonical::Value::parse(raw, 1).ok()? {
        canonical::Value::Text(text) => Some(text),
        _ => None,
    }
}

/// What the name of a lane that holds one transaction begins with (`docs/format.md` 3.5).
pub const ONCE: &str = "once/";

/// Whether a text may name a lane: 1 to 64 of `[A-Za-z0-9._:/-]`.
#[must_use]
pub fn is_lane_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b))
}

/// Whether a text may be a party's id: 1 to 64 of `[A-Za-z0-9._:-]`.
#[must_use]
pub fn is_party_id(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

/// Reads and checks a header.
///
/// # Errors
/// A [`Rejection`] that names the member.
pub fn parse_header(text: &[u8]) -> Result<Header<'_>, Rejection> {
    let members = canonical::members(text, 2).map_err(|e| spelling("header", &e))?;
    let mut reader = InOrder { of: "header", members: members.into_iter(), text };
    let by_text = reader.next("by")?;
    let by = canonical::elements(by_text, 1).map_err(|e| spelling("header.by", &e))?;
    let by = by.into_iter().map(|r| plain(&by_text[r])).collect::<Option<Vec<&str>>>();
    let by = by.filter(|by| by.iter().all(|p| is_party_id(p)));
    let by = by.ok_or_else(|| {
        Rejection::malformed("header.by is not a list of party ids", "party ids are 1 to 64 of [A-Za-z0-9._:-]")
    })?;
    limit("header.by", by.len(), SIGNATURES_MAX, "parties")?;
    let sorted = by.get(1..).unwrap_or_default();
    if by.is_empty() || sorted.windows(2).any(|w| w[0] >= w[1]) || sorted.contains(&by[0]) {
        return Err(Rejection::malformed(
            format!("header.by is {by:?}"),
            "the sender first, then the other parties sorted, none twice",
        ));
    }
    let count = reader.integer("count", 1, INSTRUCTIONS_MAX as u64)?;
    let expires_ms = reader.integer("expires_ms", 0, canonical::INTEGER_MAX.unsigned_abs())?;
    let lane = reader.plain("lane", is_lane_name, "1 to 64 of [A-Za-z0-9._:/-]")?;
    let ledger = reader.plain("ledger", |s| s.contains('#'), "origin, #, hash of block 0")?;
    let mode = match reader.plain("mode", |s| matches!(s, "all" | "each"), "all or each")? {
        "all" => Mode::All,
        _ => Mode::Each,
    };
    let root_text = reader.plain("root", |s| encoding::unhex::<32>(s).is_some(), "64 lower-case hex digits")?;
    let tree = encoding::unhex::<32>(root_text).unwrap_or_default();
    let rulebook = reader.integer("rulebook", 1, u64::from(u32::MAX))?;
    let sequence = reader.integer("sequence", 1, canonical::INTEGER_MAX.unsigned_abs())?;
    if lane.starts_with(ONCE) && sequence != 1 {
        return Err(Rejection::malformed(
            format!("header.sequence is {sequence} in the lane {lane}"),
            "a lane whose name begins with once/ has the sequence 1 alone",
        ));
    }
    reader.plain("type", |s| s == TYPE, TYPE)?;
    reader.end()?;
    Ok(Header {
        by,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        expires_ms,
        lane,
        ledger,
        mode,
        root: tree,
        rulebook: u32::try_from(rulebook).unwrap_or(u32::MAX),
        sequence,
    })
}

fn parse_signatures(text: &[u8]) -> Result<Vec<Signature>, Rejection> {
    let ranges = canonical::elements(text, 2).map_err(|e| spelling("signatures", &e))?;
    limit("signatures", ranges.len(), SIGNATURES_MAX, "signatures")?;
    let mut signatures: Vec<Signature> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let element = &text[range];
        let members = canonical::members(element, 1).map_err(|e| spelling("signatures", &e))?;
        let mut reader = InOrder { of: "signature", members: members.into_iter(), text: element };
        let key = reader.plain("key", |s| s.contains('/'), "party, / and the key's number")?;
        let signature = reader.plain("signature", |_| true, "Base64")?;
        reader.end()?;
        let bytes = encoding::unbase64(signature).ok_or_else(|| {
            Rejection::malformed(
                format!("the signature of {key} is not strict Base64"),
                "padded, with zero trailing bits",
            )
        })?;
        if signatures.last().is_some_and(|last| *last.key >= *key) {
            return Err(Rejection::malformed("the signatures are not sorted by key", "sorted by key, none twice"));
        }
        signatures.push(Signature { key: key.into(), bytes: bytes.into() });
    }
    Ok(signatures)
}

/// A string without escapes: identifiers, hex and Base64 have none.
fn plain(raw: &[u8]) -> Option<&str> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return None;
    }
    std::str::from_utf8(inner).ok()
}

/// Reads the members of an object in their order, and says which one is missing or wrong.
pub(crate) struct InOrder<'a, I: Iterator<Item = (&'a str, Range<usize>)>> {
    pub(crate) of: &'static str,
    pub(crate) members: I,
    pub(crate) text: &'a [u8],
}

impl<'a, I: Iterator<Item = (&'a str, Range<usize>)>> InOrder<'a, I> {
    pub(crate) fn next(&mut self, name: &str) -> Result<&'a [u8], Rejection> {
        match self.members.next() {
            Some((found, range)) if found == name => Ok(&self.text[range]),
            Some((found, _)) => Err(Rejection::malformed(
                format!("{}: found member {found:?} where {name:?} belongs", self.of),
                "the members of docs/format.md, sorted, all of them and no others",
            )),
            None => Err(Rejection::malformed(
                format!("{}: member {name:?} is missing", self.of),
                "no member may be left out",
            )),
        }
    }

    pub(crate) fn plain(&mut self, name: &str, is: impl Fn(&str) -> bool, asked: &str) -> Result<&'a str, Rejection> {
        let raw = self.next(name)?;
        plain(raw).filter(|s| is(s)).ok_or_else(|| {
            let found = String::from_utf8_lossy(&raw[..raw.len().min(80)]);
            Rejection::malformed(format!("{}.{name} is {found}", self.of), asked.to_owned())
        })
    }

    pub(crate) fn integer(&mut self, name: &str, min: u64, max: u64) -> Result<u64, Rejection> {
        let raw = self.next(name)?;
        let value = std::str::from_utf8(raw).ok().and_then(|s| s.parse::<u64>().ok());
        match value {
            Some(n) if n >= min && n <= max => Ok(n),
            Some(n) if n > max => {
                Err(Rejection::new(Code::Limit, format!("{}.{name} is {n}", self.of), format!("at most {max}")))
            }
            _ => {
                let found = String::from_utf8_lossy(&raw[..raw.len().min(80)]);
                Err(Rejection::malformed(
                    format!("{}.{name} is {found}", self.of),
                    format!("an integer from {min} to {max}"),
                ))
            }
        }
    }

    pub(crate) fn end(mut self) -> Result<(), Rejection> {
        match self.members.next() {
            None => Ok(()),
            Some((name, _)) => {
                Err(Rejection::malformed(format!("{}: superfluous member {name:?}", self.of), "no other members"))
            }
        }
    }
}
