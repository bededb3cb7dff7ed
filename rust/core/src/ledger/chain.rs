//! The blocks of a ledger one after the other, for who lists what was sent: no rule, no state and no index is needed.
//!
//! Each block is whole by its hashes and names the one before it, from block 0 on, whose hash is the name. That
//! signatures hold and the rules were followed is what a replay shows.

use std::path::Path;

use super::LedgerError;
use super::identity::Identity;
use super::read::Entered;
use super::survey::Content;
use crate::block::Payload;
use crate::hash::Hash;
use crate::log::{Blocks, LogReader, Place, Storage};

/// Payload bytes after which no further block is read at once: what bounds the memory.
const BYTES_MAX: usize = 16 << 20;

/// Where a walk over the blocks of a ledger is.
pub struct Chain {
    identity: Identity,
    log: LogReader,
    content: Content,
    /// Place, height and hash of the last block that was given.
    last: Option<(Place, u64, Hash)>,
}

impl Chain {
    /// Before block 0 of the ledger in the folder `dir`.
    ///
    /// # Errors
    /// There is no ledger, or the system fails.
    pub fn open(storage: &Storage, dir: &Path) -> Result<Self, LedgerError> {
        let identity = Identity::read(storage.io.as_ref(), dir)?;
        let log = LogReader::open(Blocks::new(storage, dir.join("blocks")), identity.tag())?;
        Ok(Self { identity, log, content: Content::default(), last: None })
    }

    /// The transactions of the next blocks below `until`, block by block, of a few blocks at most; none at the end.
    ///
    /// # Errors
    /// A block is damaged, or does not follow the one before it.
    pub fn next_blocks(&mut self, until: u64) -> Result<Vec<Vec<Entered>>, LedgerError> {
        let first = self.last.as_ref().map_or(0, |(_, height, _)| height.saturating_add(1));
        let wanted = usize::try_from(until.saturating_sub(first)).unwrap_or(usize::MAX);
        let from = self.last.as_ref().map(|(place, height, _)| (*place, *height));
        let known = usize::from(from.is_some());
        let (mut found, mut bytes) = (Vec::new(), 0);
        for item in self.log.frames(from).skip(known).take(wanted) {
            let (height, place, payload) = item?;
            bytes += payload.len();
            let tampered = |message: String| LedgerError::Tampered { height, message };
            let (header, hash, payload) = self.content.judge(&self.identity, height, payload).map_err(tampered)?;
            if self.last.as_ref().is_some_and(|(_, _, before)| *before != header.previous) {
                return Err(tampered("it names another block before it".into()));
            }
            self.last = Some((place, height, hash));
            found.push(self.entries(height, header.time_ms, &payload).map_err(tampered)?);
            if bytes >= BYTES_MAX {
                break;
            }
        }
        Ok(found)
    }

    fn entries(&self, height: u64, time_ms: u64, payload: &Payload) -> Result<Vec<Entered>, String> {
        let suite = self.content.suite().ok_or("no hash suite fits it")?;
        let entered = |(index, entry)| {
            let (transaction, view) = payload.transaction(index, suite).map_err(|e| format!("entry {index}: {e}"))?;
            Ok(Entered { height, entry, time_ms, transaction, refused: view.refused })
        };
        (0..payload.count()).zip(0..).map(entered).collect()
    }
}
