//! What a ledger's folder says about itself: its name, and whether it is a copy that nobody has confirmed
//! (`docs/format.md` section 7).

use std::path::Path;

use super::{FORMAT, LedgerError};
use crate::canonical;
use crate::encoding;
use crate::hash::Hash;
use crate::log::io::Io;
use crate::log::{LedgerTag, durable, read_small};

/// The file that names the ledger.
pub(super) const LEDGER_JSON: &str = "ledger.json";
/// The file that marks a copy.
pub(super) const COPY: &str = "copy";

/// The part of block 0's hash that every frame carries.
pub(super) fn tag_of(zero: &Hash) -> LedgerTag {
    let mut tag = [0; 16];
    tag.copy_from_slice(&zero[..16]);
    tag
}

/// Which ledger a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Origin, `#`, hash of block 0 in hex.
    pub name: String,
    /// The part before `#`.
    pub origin: String,
    /// Hash of block 0.
    pub zero: Hash,
}

impl Identity {
    /// The ledger of that name, or `None` where it is no name.
    pub fn of(name: &str) -> Option<Self> {
        let (origin, zero) = name.split_once('#')?;
        let zero = encoding::unhex(zero)?;
        Some(Self { name: name.to_owned(), origin: origin.to_owned(), zero })
    }

    /// Reads `ledger.json` in the folder `dir`.
    ///
    /// # Errors
    /// There is none, it is of a later version, or it is not what it should be.
    pub fn read(io: &dyn Io, dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join(LEDGER_JSON);
        let text = read_small(io, &path)?.ok_or_else(|| {
            LedgerError::NotFound(format!("{} is not there: no ledger in this folder", path.display()))
        })?;
        let wrong =
            |message: String| LedgerError::Tampered { height: 0, message: format!("{}: {message}", path.display()) };
        let line = text.strip_suffix(b"\n").ok_or_else(|| wrong("does not end with a line feed".into()))?;
        let value = canonical::Value::parse(line, 1).map_err(|e| wrong(e.to_string()))?;
        let format = value.get("format").and_then(canonical::Value::as_integer).unwrap_or_default();
        let kind = value.get("type").and_then(canonical::Value::as_text).unwrap_or_default();
        // The number stands there twice, so that a changed digit is told from a later version.
        if format > i64::try_from(FORMAT).unwrap_or(i64::MAX) && kind == format!("finchain.ledger.{format}") {
            let path = path.display();
            return Err(LedgerError::Version(format!(
                "{path} has format {format}, and this version reads up to {FORMAT}"
            )));
        }
        let name = value.get("ledger").and_then(canonical::Value::as_text).unwrap_or_default();
        Self::of(name)
            .filter(|identity| identity.to_json().as_bytes() == text)
            .ok_or_else(|| wrong("is not as docs/format.md section 7 has it".into()))
    }

    /// The content of `ledger.json`.
    pub fn to_json(&self) -> String {
        format!("{{\"format\":{FORMAT},\"ledger\":\"{}\",\"type\":\"finchain.ledger.1\"}}\n", self.name)
    }

    /// What every frame carries.
    pub fn tag(&self) -> LedgerTag {
        tag_of(&self.zero)
    }

    /// What block headers of this ledger have as `ledger`.
    pub fn in_header(&self, height: u64) -> String {
        if height == 0 { format!("{}#", self.origin) } else { self.name.clone() }
    }

    fn copy_mark(&self) -> String {
        format!("{{\"ledger\":\"{}\",\"type\":\"finchain.copy.1\"}}\n", self.name)
    }

    /// Whether the folder is marked as a copy of this ledger.
    ///
    /// # Errors
    /// The mark cannot be read, or is of another ledger: then it is not known what may be written here.
    pub fn is_copy(&self, io: &dyn Io, dir: &Path) -> Result<bool, LedgerError> {
        let path = dir.join(COPY);
        match read_small(io, &path)? {
            None => Ok(false),
            Some(text) if text == self.copy_mark().as_bytes() => Ok(true),
            Some(_) => Err(LedgerError::Tampered {
                height: 0,
                message: format!("{} is not the mark of a copy of {}", path.display(), self.name),
            }),
        }
    }

    /// Marks the folder as a copy, durably.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn mark_copy(&self, io: &dyn Io, dir: &Path) -> Result<(), LedgerError> {
        Ok(durable::replace(io, &dir.join(COPY), self.copy_mark().as_bytes())?)
    }
}
