//! Writing frames where they belong: for copies, and for blocks that are put back in place.
//!
//! It does not append and decides nothing. Nothing that it wrote is durable before `sync`; until then a crash may leave
//! any of it, so its callers read what is there before they go on.

use std::io::ErrorKind;

use super::file::Blocks;
use super::frame::Frame;
use super::io::Access;
use super::segment::{Place, Segment};
use super::writer::encode;
use super::{LedgerTag, LogError};

/// Writes frames to given places, a file at a time.
#[derive(Debug)]
pub struct Placer<'a> {
    blocks: &'a Blocks,
    ledger: LedgerTag,
    segment: Option<Segment>,
    /// Kept between frames to spare an allocation.
    buffer: Vec<u8>,
}

impl<'a> Placer<'a> {
    /// Writes frames of `ledger` to `blocks`.
    #[must_use]
    pub fn new(blocks: &'a Blocks, ledger: LedgerTag) -> Self {
        Self { blocks, ledger, segment: None, buffer: Vec::new() }
    }

    /// Writes the frame of block `height` to `place`, whose length is that of the payload.
    ///
    /// # Errors
    /// `PayloadLength` changes nothing; `Io`.
    pub fn put(&mut self, place: Place, height: u64, payload: &[u8]) -> Result<(), LogError> {
        let frame = Frame::of(self.ledger, height, payload).filter(|frame| frame.length == place.length);
        let (max, found) = (u64::from(place.length), payload.len() as u64);
        let frame = frame.ok_or(LogError::PayloadLength { max, found })?;
        if self.segment.as_ref().is_none_or(|segment| segment.number != place.segment) {
            self.sync()?;
            self.segment = Some(self.open(place.segment)?);
        }
        encode(&mut self.buffer, &frame, payload);
        let Some(segment) = &self.segment else { return Ok(()) };
        segment.file.write_at(&self.buffer, place.offset)
    }

    /// Makes everything durable that was written.
    ///
    /// # Errors
    /// `Io`; then any of it may be lost.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.segment.take().map_or(Ok(()), |segment| segment.file.sync())
    }

    /// Opens the file, or makes it with a durable name.
    fn open(&self, number: u32) -> Result<Segment, LogError> {
        match Segment::open(self.blocks, number, Access::Write) {
            Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let made = Segment::open(self.blocks, number, Access::New(0o640))?;
                self.blocks.sync()?;
                Ok(made)
            }
            other => other,
        }
    }
}
