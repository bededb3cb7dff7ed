//! Writes receipts from pieces that are there already: headers, entries, records, salts and paths.
//!
//! Pieces are canonical JSON and are taken as they are. Nothing is verified: pieces that do not fit together give a
//! receipt that no verifier accepts.

use super::Receipt;
use crate::canonical::write_string;
use crate::encoding::hex;
use crate::hash::Hash;
use crate::state_map::{End, MapPath, Salt};

/// A record with its place in a state.
#[derive(Clone, Copy, Debug)]
pub struct RecordPart<'a> {
    /// Kind of the record.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its canonical JSON.
    pub record: &'a [u8],
    /// Its salt.
    pub salt: &'a Salt,
    /// Its path in the state map.
    pub siblings: &'a [Hash],
}

/// The pieces of a receipt for an instruction.
#[derive(Clone, Copy, Debug)]
pub struct InstructionParts<'a> {
    /// Name of the ledger's hash suite.
    pub hash: &'a str,
    /// The block's header.
    pub block: &'a [u8],
    /// The entry.
    pub entry: &'a [u8],
    /// Its place in the block.
    pub entry_index: u32,
    /// Its path in the block.
    pub entry_path: &'a [Hash],
    /// The instruction's place in the transaction.
    pub index: u32,
    /// The instruction.
    pub instruction: &'a [u8],
    /// Its path in the transaction.
    pub path: &'a [Hash],
    /// Its salt.
    pub salt: &'a Salt,
    /// What `signers` wrote, for a receipt whose signatures can be judged.
    pub signers: Option<&'a [u8]>,
}

/// The pieces of a receipt for a change.
#[derive(Clone, Copy, Debug)]
pub struct ChangeParts<'a> {
    /// Name of the ledger's hash suite.
    pub hash: &'a str,
    /// The block's header.
    pub block: &'a [u8],
    /// The entry.
    pub entry: &'a [u8],
    /// Its place in the block.
    pub entry_index: u32,
    /// Its path in the block.
    pub entry_path: &'a [Hash],
    /// Kind of the record.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The record's place among the transaction's changes.
    pub index: u32,
    /// Its path among them.
    pub path: &'a [Hash],
    /// The record after the transaction.
    pub record: &'a [u8],
    /// The record's salt.
    pub salt: &'a Salt,
}

/// An object that is being written; members are added in their order.
struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        Self(vec![b'{'])
    }

    fn name(mut self, name: &str) -> Self {
        let start: &[u8] = if self.0.len() == 1 { b"\"" } else { b",\"" };
        self.0.extend_from_slice(start);
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self
    }

    /// A member that is canonical already.
    fn raw(self, name: &str, value: &[u8]) -> Self {
        let mut object = self.name(name);
        object.0.extend_from_slice(value);
        object
    }

    /// A text. One that canonical JSON cannot say is no record's kind or id; it is left empty, which nobody accepts.
    fn text(self, name: &str, text: &str) -> Self {
        let mut object = self.name(name);
        if write_string(&mut object.0, text).is_err() {
            object.0.extend_from_slice(b"\"\"");
        }
        object
    }

    fn number(self, name: &str, number: u32) -> Self {
        self.raw(name, number.to_string().as_bytes())
    }

    fn hex(self, name: &str, bytes: &[u8]) -> Self {
        self.text(name, &hex(bytes))
    }

    fn hashes(self, name: &str, hashes: &[Hash]) -> Self {
        let quoted: Vec<String> = hashes.iter().map(|hash| format!("\"{}\"", hex(hash))).collect();
        self.raw(name, format!("[{}]", quoted.join(",")).as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn receipt(self, what: &str) -> Vec<u8> {
        self.text("type", "finchain.receipt.1").text("what", what).end()
    }
}

/// The inner half of a receipt that a record was this at the end of a block.
#[must_use]
pub fn record(
    hash: &str,
    block: &[u8],
    kind: &str,
    id: &str,
    record: &[u8],
    salt: &Salt,
    siblings: &[Hash],
) -> Vec<u8> {
    let object = Object::new().raw("block", block).text("hash", hash).text("id", id).text("kind", kind);
    object.raw("record", record).hex("salt", salt).hashes("siblings", siblings).receipt("record")
}

/// The inner half of a receipt that there was no such record at the end of a block.
///
/// A path that ends at the record's own leaf shows no absence; nobody accepts the receipt that comes of it.
#[must_use]
pub fn absence(hash: &str, block: &[u8], kind: &str, id: &str, path: &MapPath) -> Vec<u8> {
    let mut object = Object::new().raw("block", block).text("hash", hash).text("id", id).text("kind", kind);
    if let End::Other { key, value } = &path.end {
        object = object.raw("other", &Object::new().hex("key", key).hex("value", value).end());
    }
    object.hashes("siblings", &path.siblings).receipt("absence")
}

/// The inner half of a receipt for an instruction and its outcome.
#[must_use]
pub fn instruction(parts: &InstructionParts<'_>) -> Vec<u8> {
    let mut object = in_entry(parts.block, parts.entry, parts.entry_index, parts.entry_path)
        .text("hash", parts.hash)
        .number("index", parts.index)
        .raw("instruction", parts.instruction)
        .hashes("path", parts.path)
        .hex("salt", parts.salt);
    if let Some(signers) = parts.signers {
        object = object.raw("signers", signers);
    }
    object.receipt("instruction")
}

/// The inner half of a receipt that a record was this after a transaction.
#[must_use]
pub fn change(parts: &ChangeParts<'_>) -> Vec<u8> {
    in_entry(parts.block, parts.entry, parts.entry_index, parts.entry_path)
        .text("hash", parts.hash)
        .text("id", parts.id)
        .number("index", parts.index)
        .text("kind", parts.kind)
        .hashes("path", parts.path)
        .raw("record", parts.record)
        .hex("salt", parts.salt)
        .receipt("change")
}

fn in_entry(block: &[u8], entry: &[u8], index: u32, path: &[Hash]) -> Object {
    Object::new().raw("block", block).raw("entry", entry).number("entry_index", index).hashes("entry_path", path)
}

/// The part by which signatures are judged: the header of the block before, and the records there of every key that
/// signed and then of every party, each group sorted by id.
#[must_use]
pub fn signers(block: &[u8], records: &[RecordPart<'_>]) -> Vec<u8> {
    let mut list = vec![b'['];
    for (place, part) in records.iter().enumerate() {
        if place > 0 {
            list.push(b',');
        }
        let object = Object::new().text("id", part.id).text("kind", part.kind).raw("record", part.record);
        list.extend_from_slice(&object.hex("salt", part.salt).hashes("siblings", part.siblings).end());
    }
    list.push(b']');
    Object::new().raw("block", block).raw("records", &list).end()
}

/// A receipt from its two halves: the inner one, and the block's place in the log under a checkpoint.
#[must_use]
pub fn receipt(inner: &[u8], height: u64, log_path: &[Hash], note: &[u8]) -> Vec<u8> {
    Receipt { inner: inner.to_vec(), index: height, path: log_path.to_vec(), note: note.to_vec() }.to_bytes()
}
