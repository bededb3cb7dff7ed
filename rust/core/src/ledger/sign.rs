//! Signing checkpoints so that no two roots are ever signed for one size: the mark beside the key comes first.

use std::path::Path;

use super::{Ledger, LedgerError};
use crate::canonical;
use crate::checkpoint::{self, Checkpoint};
use crate::encoding;
use crate::hash::Hash;
use crate::log::io::Io;
use crate::log::{self, Lock};
use crate::note::{KeyKind, Note, VerifierKey};
use crate::signature::SecretKey;

/// The largest tree that a key has signed (`docs/format.md` section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMark {
    /// Origin of the log.
    pub origin: String,
    /// Root at that size.
    pub root: Hash,
    /// Blocks.
    pub size: u64,
}

impl SignedMark {
    /// Takes the lock of the mark at `path`: two ledgers may share a key, and read and write its mark in turn.
    fn lock(io: &dyn Io, path: &Path) -> Result<Lock, LedgerError> {
        Ok(Lock::wait(io, &path.with_extension("lock"))?)
    }

    /// Makes the mark at `path` say at least this.
    ///
    /// # Errors
    /// As `read`, or it cannot be written.
    pub(super) fn raise(&self, io: &dyn Io, path: &Path) -> Result<(), LedgerError> {
        let _lock = Self::lock(io, path)?;
        if Self::read(io, path)?.is_none_or(|mark| mark.size < self.size) {
            log::durable::replace(io, path, &self.to_bytes())?;
        }
        Ok(())
    }

    /// Reads a mark; `None` where nothing was signed yet.
    ///
    /// # Errors
    /// The file cannot be read, or is not a mark: then nothing may be signed.
    pub fn read(io: &dyn Io, path: &Path) -> Result<Option<Self>, LedgerError> {
        let Some(text) = log::read_small(io, path)? else { return Ok(None) };
        let mark = Self::parse(&text);
        mark.map(Some).ok_or_else(|| LedgerError::Tampered {
            height: 0,
            message: format!("{} is not a signed mark", path.display()),
        })
    }

    /// What a checkpoint says, or `None` where none of `keys` has signed it.
    ///
    /// # Errors
    /// It is no checkpoint, or a line by one of the keys does not hold.
    pub fn of_note(note: &[u8], keys: &[VerifierKey]) -> Result<Option<Self>, LedgerError> {
        let note = Note::parse(note).map_err(|e| no_checkpoint(&e))?;
        let signed = checkpoint::verify_signed(&note, keys).map_err(|e| no_checkpoint(&e))?;
        Ok(signed.map(|Checkpoint { origin, size, root_hash }| Self { origin, root: root_hash, size }))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let value = canonical::Value::parse(text.strip_suffix(b"\n")?, 1).ok()?;
        let mark = Self {
            origin: value.get("origin")?.as_text()?.to_owned(),
            root: encoding::unhex(value.get("root")?.as_text()?)?,
            size: u64::try_from(value.get("size")?.as_integer()?).ok()?,
        };
        (mark.to_bytes() == text).then_some(mark)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let root_hex = encoding::hex(&self.root);
        format!(
            "{{\"origin\":\"{}\",\"root\":\"{root_hex}\",\"size\":{},\"type\":\"finchain.signed.1\"}}\n",
            self.origin, self.size
        )
        .into_bytes()
    }
}

fn no_checkpoint(error: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Tampered { height: 0, message: format!("this is no checkpoint: {error}") }
}

impl Ledger {
    /// Compares the mark at that path, if there is one, with the blocks.
    ///
    /// # Errors
    /// Those of [`SignedMark::read`] and [`Ledger::compare_mark`].
    pub fn compare_mark_at(&self, path: &Path) -> Result<(), LedgerError> {
        SignedMark::read(self.blocks.io(), path)?.map_or(Ok(()), |mark| self.compare_mark(&mark))
    }

    /// Compares a mark with the blocks.
    ///
    /// # Errors
    /// Blocks below it are missing or different: this folder is an old copy, or another history.
    pub fn compare_mark(&self, mark: &SignedMark) -> Result<(), LedgerError> {
        let sealed = self.shared.sealed();
        let (size, tampered) = (sealed.blocks.size(), |message: String| LedgerError::Tampered {
            height: mark.size.saturating_sub(1),
            message,
        });
        if mark.origin != self.origin {
            return Err(tampered(format!("the signed mark is of {}, and this ledger is {}", mark.origin, self.origin)));
        }
        if mark.size > size {
            return Err(tampered(format!(
                "a checkpoint over {} blocks was signed, and there are {size}: blocks are missing",
                mark.size
            )));
        }
        match sealed.blocks.root_at(mark.size) {
            Ok(found) if found == mark.root => Ok(()),
            _ => Err(tampered(format!("the root signed over {} blocks is not the root of these blocks", mark.size))),
        }
    }

    /// Signs a checkpoint over all sealed blocks, after the mark at `mark_path` is synced, and keeps it in the folder.
    ///
    /// # Errors
    /// The mark or the key's suite forbids it, a file cannot be written, or the ledger is closed and another may be
    /// writing.
    pub fn sign_checkpoint(&self, key: &SecretKey, mark_path: &Path) -> Result<Vec<u8>, LedgerError> {
        self.index()?;
        self.refuse_for_copy("signed")?;
        self.wait_indexed()?;
        // Before the mark: a key that cannot sign must not raise it.
        KeyKind::of_log(key)
            .and_then(|kind| VerifierKey::of(&self.origin, kind, key))
            .map_err(|e| LedgerError::Conflict(format!("the checkpoint key: {e}")))?;
        let _lock = SignedMark::lock(self.blocks.io(), mark_path)?;
        self.compare_mark_at(mark_path)?;
        let (size, root_hash) = self.log_root();
        let mark = SignedMark { origin: self.origin.clone(), root: root_hash, size };
        log::durable::replace(self.blocks.io(), mark_path, &mark.to_bytes())?;
        let signed = checkpoint::sign_checkpoint(&Checkpoint { origin: self.origin.clone(), size, root_hash }, key);
        let note = signed.map_err(|e| LedgerError::Internal(e.to_string()))?.to_bytes();
        log::durable::replace(self.blocks.io(), &self.dir.join("checkpoint"), &note)?;
        Ok(note)
    }

    /// Compares a checkpoint with the blocks; gives its size, or `None` where none of `keys` has signed it.
    ///
    /// # Errors
    /// It is no checkpoint, a line by one of the keys does not hold, or its root is not that of these blocks.
    pub fn compare_checkpoint(&self, note: &[u8], keys: &[VerifierKey]) -> Result<Option<u64>, LedgerError> {
        let Some(mark) = SignedMark::of_note(note, keys)? else { return Ok(None) };
        self.compare_mark(&mark)?;
        Ok(Some(mark.size))
    }
}
