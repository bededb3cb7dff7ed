//! The outer half of a receipt: the lines of a C2SP tlog-proof.
//!
//! One spelling is accepted. What the lines say is not judged here.

use super::{PATH_MAX, RECEIPT_BYTES_MAX, ReceiptError};
use crate::encoding::{base64, unbase64, unbase64_array};
use crate::hash::Hash;

/// The first line.
const HEADING: &str = "c2sp.org/tlog-proof@v1";

/// A receipt, taken apart; nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The inner half.
    pub inner: Vec<u8>,
    /// Place of the block in the block log.
    pub index: u64,
    /// Inclusion path of the block, from the leaf upwards.
    pub path: Vec<Hash>,
    /// The checkpoint, a signed note.
    pub note: Vec<u8>,
}

impl Receipt {
    /// Takes a receipt apart.
    ///
    /// # Errors
    /// `TooLong`; `Line` for a line that cannot stand where it stands; `PathTooLong`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong { found: bytes.len() });
        }
        let mut lines = Lines { rest: bytes, number: 0 };
        lines.next(|line| (line == HEADING).then_some(()), "the heading of a tlog-proof, c2sp.org/tlog-proof@v1")?;
        let inner = lines.next(|line| unbase64(line.strip_prefix("extra ")?), "'extra ' and Base64")?;
        let index = lines.next(|line| decimal(line.strip_prefix("index ")?), "'index ' and a number")?;
        let mut path = Vec::new();
        while let Some(hash) = lines.next(hash_or_end, "Base64 of 32 bytes, or an empty line")? {
            if path.len() == PATH_MAX {
                return Err(ReceiptError::PathTooLong);
            }
            path.push(hash);
        }
        Ok(Self { inner, index, path, note: lines.rest.to_vec() })
    }

    /// The receipt as it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{HEADING}\nextra {}\nindex {}\n", base64(&self.inner), self.index);
        for hash in &self.path {
            out.push_str(&base64(hash));
            out.push('\n');
        }
        out.push('\n');
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.note);
        out
    }
}

/// A number in its one spelling.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| digits)
}

/// A hash, or `None` inside for the empty line that ends the path.
#[allow(clippy::option_option, reason = "the outer None is a line that is neither")]
fn hash_or_end(line: &str) -> Option<Option<Hash>> {
    if line.is_empty() { Some(None) } else { unbase64_array(line).map(Some) }
}

/// Lines from the top, each ended by a line feed.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn next<T>(&mut self, read: impl Fn(&'a str) -> Option<T>, expected: &'static str) -> Result<T, ReceiptError> {
        self.number += 1;
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let split = end.and_then(|end| Some((self.rest.get(..end)?, self.rest.get(end + 1..)?)));
        let read = split.and_then(|(line, rest)| Some((read(std::str::from_utf8(line).ok()?)?, rest)));
        let (value, rest) = read.ok_or(ReceiptError::Line { line: self.number, expected })?;
        self.rest = rest;
        Ok(value)
    }
}
