//! Appending: one write and one sync a block.
//!
//! A place is given out only after the sync. After any failure the writer is dead for good, because the page cache
//! may then show what the medium does not hold; opening again finds out what is there.

use std::fs;
use std::path::Path;

use super::disk::{Disk, Folder, SEGMENT_MAX};
use super::frame::{Frame, HEAD_BYTES, padded_bytes};
use super::recovery::{self, Evidence, Recovered};
use super::segment::{Place, Segment, Sizes};
use super::{LedgerTag, LogError, durable};

/// The one that appends. There must be only one for a folder: see `Lock`.
#[derive(Debug)]
pub struct LogWriter {
    disk: Box<dyn Disk>,
    sizes: Sizes,
    ledger: LedgerTag,
    segment: Segment,
    /// Where the next frame goes.
    end: u64,
    /// Up to where zeros are known to be on the medium; never less than `end`.
    zeroed: u64,
    next_height: u64,
    /// Kept between appends to spare an allocation; at most one frame.
    buffer: Vec<u8>,
    poisoned: bool,
}

impl LogWriter {
    /// Starts the log of `ledger` in `blocks`, which is made if need be.
    ///
    /// # Errors
    /// `Exists` if there are block files; `Io`.
    pub fn create(blocks: &Path, ledger: LedgerTag) -> Result<Self, LogError> {
        fs::create_dir_all(blocks).map_err(LogError::io("create", blocks))?;
        if let Some(parent) = blocks.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            durable::sync_folder(parent)?;
        }
        Self::create_on(Box::new(Folder::new(blocks)), ledger, Sizes::default())
    }

    /// `create` on any disk and with any sizes.
    ///
    /// # Errors
    /// As `create`.
    pub fn create_on(disk: Box<dyn Disk>, ledger: LedgerTag, sizes: Sizes) -> Result<Self, LogError> {
        let found = disk.segments().map_err(LogError::io("list", disk.path(None)))?;
        if !found.is_empty() {
            return Err(LogError::Exists { path: disk.path(None) });
        }
        let segment = Segment::create(disk.as_ref(), 0, sizes)?;
        Ok(Self::at(disk, sizes, ledger, segment, 0, 0))
    }

    /// Opens the log in `blocks`, brings it to a state that is whole and durable, and says what was found.
    ///
    /// `from` is a frame that is known to be good, so that only what follows is read; without it all is read.
    ///
    /// # Errors
    /// `Corrupt` if anything is wrong that an interrupted append cannot explain, or that was acknowledged by
    /// `evidence`; `Empty` if there is no block file; `Io`.
    pub fn open(
        blocks: &Path,
        ledger: LedgerTag,
        from: Option<(Place, u64)>,
        evidence: Evidence,
    ) -> Result<(Self, Recovered), LogError> {
        Self::open_on(Box::new(Folder::new(blocks)), ledger, Sizes::default(), from, evidence)
    }

    /// `open` on any disk and with any sizes.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_on(
        disk: Box<dyn Disk>,
        ledger: LedgerTag,
        sizes: Sizes,
        from: Option<(Place, u64)>,
        evidence: Evidence,
    ) -> Result<(Self, Recovered), LogError> {
        let (recovered, segment, end) = recovery::recover(disk.as_ref(), ledger, sizes, from, evidence)?;
        let next_height = recovered.tip.map_or(0, |(height, _)| height.saturating_add(1));
        Ok((Self::at(disk, sizes, ledger, segment, end, next_height), recovered))
    }

    fn at(disk: Box<dyn Disk>, sizes: Sizes, ledger: LedgerTag, segment: Segment, end: u64, next_height: u64) -> Self {
        Self { disk, sizes, ledger, segment, end, zeroed: end, next_height, buffer: Vec::new(), poisoned: false }
    }

    /// The height that the next append must have.
    #[must_use]
    pub fn next_height(&self) -> u64 {
        self.next_height
    }

    /// Appends a block. When this returns a place, the block is on the medium.
    ///
    /// # Errors
    /// `NotNext` and `PayloadLength` change nothing. After `Io` or `Full` it is open whether the block is there, and
    /// every further call gives `Poisoned`.
    pub fn append(&mut self, height: u64, payload: &[u8]) -> Result<Place, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if height != self.next_height {
            return Err(LogError::NotNext { expected: self.next_height, found: height });
        }
        let (found, max) = (payload.len() as u64, self.sizes.payload_bytes_max());
        let frame = Frame::of(self.ledger, height, payload)
            .filter(|_| found <= max)
            .ok_or(LogError::PayloadLength { max, found })?;
        let written = self.write(&frame, payload);
        self.poisoned = written.is_err();
        written
    }

    fn write(&mut self, frame: &Frame, payload: &[u8]) -> Result<Place, LogError> {
        let bytes = padded_bytes(frame.length);
        if self.end.saturating_add(bytes) > self.sizes.segment_bytes {
            self.roll()?;
        }
        let end = self.end.saturating_add(bytes);
        self.zero_ahead(end)?;
        encode(&mut self.buffer, frame, payload);
        let path = || self.disk.path(Some(self.segment.number));
        self.segment.file.write_at(&self.buffer, self.end).map_err(LogError::io("write", path()))?;
        self.segment.file.sync().map_err(LogError::io("sync", path()))?;
        let place = Place { segment: self.segment.number, offset: self.end, length: frame.length };
        self.end = end;
        self.next_height = self.next_height.saturating_add(1);
        Ok(place)
    }

    /// Goes on in the next block file. It exists only once every frame before it is durable, which recovery relies on.
    fn roll(&mut self) -> Result<(), LogError> {
        let last = self.segment.number;
        if last >= SEGMENT_MAX {
            return Err(LogError::Full { last });
        }
        self.segment = Segment::create(self.disk.as_ref(), last + 1, self.sizes)?;
        (self.end, self.zeroed) = (0, 0);
        Ok(())
    }

    /// Makes sure that zeros are on the medium up to `end`, a whole step at a time.
    fn zero_ahead(&mut self, end: u64) -> Result<(), LogError> {
        if end <= self.zeroed {
            return Ok(());
        }
        let until = self.zeroed.saturating_add(self.sizes.ahead_bytes).max(end).min(self.sizes.segment_bytes);
        let path = || self.disk.path(Some(self.segment.number));
        self.segment.zero(self.zeroed, until).map_err(LogError::io("write", path()))?;
        self.segment.file.sync().map_err(LogError::io("sync", path()))?;
        self.zeroed = until;
        Ok(())
    }
}

/// Puts the frame's bytes, padding included, into `buffer`.
pub(super) fn encode(buffer: &mut Vec<u8>, frame: &Frame, payload: &[u8]) {
    let bytes = usize::try_from(frame.padded_bytes()).unwrap_or(usize::MAX);
    buffer.clear();
    buffer.reserve(bytes.max(HEAD_BYTES));
    buffer.extend_from_slice(&frame.encode());
    buffer.extend_from_slice(payload);
    buffer.resize(bytes, 0);
}
