//! Reading: single blocks by their place, or all of them in order, while a writer may be appending.
//!
//! Every payload given was checked against both sums, the ledger and the height. The reader sees what the writer has
//! written, which may be one block more than it has acknowledged: callers stop at the height that they know.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::file::Blocks;
use super::frame::{ALIGNMENT, FrameError};
use super::io::Access;
use super::segment::{Place, ReadError, Segment};
use super::{Damage, LedgerTag, LogError};

/// How many block files stay open: 4 GiB of blocks, and far below the usual limit of 1,024 descriptors.
const OPEN_FILES_MAX: usize = 64;
/// How often the end of the log is read again when a writer may be in the middle of it, and the pause between.
/// Copying the longest frame into the page cache takes a few milliseconds.
const RETRIES: u32 = 20;
const RETRY_PAUSE: Duration = Duration::from_millis(2);

/// Reads a log without writing to it.
#[derive(Debug)]
pub struct LogReader {
    blocks: Blocks,
    ledger: LedgerTag,
    open: Mutex<BTreeMap<u32, Arc<Segment>>>,
}

impl LogReader {
    /// Opens the log of `ledger` in the folder `blocks`.
    ///
    /// # Errors
    /// `Empty` if there is no block file; `Io`.
    pub fn open(blocks: Blocks, ledger: LedgerTag) -> Result<Self, LogError> {
        if blocks.segments()?.is_empty() {
            return Err(LogError::Empty { path: blocks.path });
        }
        Ok(Self { blocks, ledger, open: Mutex::default() })
    }

    /// The payload of block `height`, which lies at `place`.
    ///
    /// # Errors
    /// `Corrupt` if no such frame is there, or any check fails; `Io`.
    pub fn read(&self, place: &Place, height: u64) -> Result<Vec<u8>, LogError> {
        let file = || self.blocks.file(place.segment);
        let wrong = |why: Damage| LogError::Corrupt { file: file(), offset: place.offset, height, why };
        if !place.offset.is_multiple_of(ALIGNMENT) {
            return Err(wrong(Damage::NoFrame));
        }
        let segment = self.segment(place.segment)?.ok_or_else(|| wrong(Damage::NoFile))?;
        let failed = |error: ReadError| segment.failed(place.offset, height, error);
        let frame = segment.head(place.offset).map_err(failed)?.ok_or_else(|| wrong(Damage::NoFrame))?;
        frame.check_place(self.ledger, height).map_err(|error| wrong(error.into()))?;
        if frame.length != place.length {
            return Err(wrong(FrameError::PlaceLength { expected: place.length, found: frame.length }.into()));
        }
        segment.payload(place.offset, &frame).map_err(failed)
    }

    /// All blocks in order, or those from a known place and height on, that one included.
    ///
    /// It ends where the log ends at that moment, or after the first error.
    #[must_use]
    pub fn frames(&self, from: Option<(Place, u64)>) -> Frames<'_> {
        let (segment, offset, height) = from.map_or((0, 0, 0), |(place, height)| (place.segment, place.offset, height));
        Frames { log: self, segment, offset, height, ended: false, so_far: false }
    }

    /// `frames` of a log that somebody is still writing or copying: one that is not whole yet ends them, as if it were
    /// not there. With a frame after it, it is damage as ever.
    #[must_use]
    pub fn frames_so_far(&self, from: Option<(Place, u64)>) -> Frames<'_> {
        Frames { so_far: true, ..self.frames(from) }
    }

    /// The block file, or `None` if there is none with that number.
    fn segment(&self, number: u32) -> Result<Option<Arc<Segment>>, LogError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = open.get(&number) {
            return Ok(Some(Arc::clone(segment)));
        }
        let segment = match Segment::open(&self.blocks, number, Access::Read) {
            Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
            other => Arc::new(other?),
        };
        if open.len() >= OPEN_FILES_MAX {
            open.pop_first();
        }
        open.insert(number, Arc::clone(&segment));
        Ok(Some(segment))
    }
}

/// Iterator over the blocks of a log: height, place and payload.
#[derive(Debug)]
pub struct Frames<'a> {
    log: &'a LogReader,
    segment: u32,
    offset: u64,
    height: u64,
    ended: bool,
    /// Whether a last frame that is not whole is none.
    so_far: bool,
}

impl Iterator for Frames<'_> {
    type Item = Result<(u64, Place, Vec<u8>), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.step().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

impl Frames<'_> {
    fn step(&mut self) -> Result<Option<(u64, Place, Vec<u8>)>, LogError> {
        loop {
            let Some(segment) = self.log.segment(self.segment)? else {
                let (file, offset, height) = (self.log.blocks.file(self.segment), self.offset, self.height);
                return Err(LogError::Corrupt { file, offset, height, why: Damage::NoFile });
            };
            if let Some(found) = self.frame(&segment)? {
                return Ok(Some(found));
            }
            if !self.goes_on()? {
                return Ok(None);
            }
            // A writer may have ended this file between the look at its end and the look for the next file.
            if let Some(found) = self.frame(&segment)? {
                return Ok(Some(found));
            }
            (self.segment, self.offset) = (self.segment.saturating_add(1), 0);
        }
    }

    /// The next frame of this file, or `None` at its end.
    fn frame(&mut self, segment: &Segment) -> Result<Option<(u64, Place, Vec<u8>)>, LogError> {
        let mut retries = 0;
        loop {
            match segment.frame(self.offset, self.log.ledger, self.height) {
                Ok(None) => return Ok(None),
                Ok(Some((frame, payload))) => {
                    let found = (
                        self.height,
                        Place { segment: self.segment, offset: self.offset, length: frame.length },
                        payload,
                    );
                    self.offset += frame.padded_bytes();
                    self.height = self.height.saturating_add(1);
                    return Ok(Some(found));
                }
                Err(ReadError::Frame(error)) if self.so_far && error.may_be_torn() && self.is_last(segment)? => {
                    return Ok(None);
                }
                Err(ReadError::Frame(error)) if error.may_be_torn() && retries < RETRIES && !self.goes_on()? => {
                    retries += 1;
                    self.log.blocks.io.pause(RETRY_PAUSE);
                }
                Err(error) => return Err(segment.failed(self.offset, self.height, error)),
            }
        }
    }

    /// Whether there is a block file after this one, or any later one, so that a missing file is not taken for the end.
    fn goes_on(&self) -> Result<bool, LogError> {
        Ok(self.log.blocks.segments()?.last().is_some_and(|last| *last > self.segment))
    }

    /// Whether nothing of this log follows the frame at the present offset.
    fn is_last(&self, segment: &Segment) -> Result<bool, LogError> {
        let next = segment.next_head(self.offset.saturating_add(ALIGNMENT), self.log.ledger);
        let next = next.map_err(|error| segment.failed(self.offset, self.height, error))?;
        Ok(next.is_none() && !self.goes_on()?)
    }
}
