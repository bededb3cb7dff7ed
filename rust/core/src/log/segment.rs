//! Block files: where a frame lies, how one is read with every check, how zeros are written ahead.

use std::io::ErrorKind;

use super::file::{Blocks, File};
use super::frame::{ALIGNMENT, Frame, FrameError, HEAD_BYTES, PAYLOAD_BYTES_MAX, padded_bytes};
use super::io::Access;
use super::{Damage, LedgerTag, LogError};

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Number of the block file.
    pub segment: u32,
    /// Offset of the frame's head in it, in bytes: a multiple of 4,096.
    pub offset: u64,
    /// Payload bytes.
    pub length: u32,
}

impl Place {
    /// Where the writer puts a frame with `length` payload bytes behind the frame at `before`, or first of all.
    #[must_use]
    pub fn after(before: Option<Self>, length: u32, sizes: Sizes) -> Self {
        let (segment, offset) =
            before.map_or((0, 0), |before| (before.segment, before.offset.saturating_add(padded_bytes(before.length))));
        if offset.saturating_add(padded_bytes(length)) > sizes.segment_bytes {
            Self { segment: segment.saturating_add(1), offset: 0, length }
        } else {
            Self { segment, offset, length }
        }
    }
}

/// Sizes of block files. Only tests use others than the default, to reach every edge with few bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes of a block file; a frame longer than that is refused.
    pub segment_bytes: u64,
    /// How far zeros are written and synced ahead of the frames, in bytes.
    pub ahead_bytes: u64,
}

impl Default for Sizes {
    /// 64 MiB, and 4 MiB of zeros ahead.
    ///
    /// Writing over zeros needs no new extent, so an append's `fdatasync` has no journal to wait for. On a virtual
    /// disk with ext4 an append of 4 KiB took 88–95 µs in the median over zeros, 128–134 µs over room that was only
    /// reserved, and 137–171 µs at a growing end of file; one of 352 KiB took 261–293, 331–347 and 363–448 µs. Every
    /// twelfth of the large ones waits for its 4 MiB of zeros (3 to 4 ms); with 16 MiB that wait is 18 ms, with
    /// the whole file 130 ms.
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, ahead_bytes: 4 << 20 }
    }
}

impl Sizes {
    /// The longest payload that a frame in such a file can have.
    pub(super) fn payload_bytes_max(self) -> u64 {
        self.segment_bytes.saturating_sub(HEAD_BYTES as u64).min(u64::from(PAYLOAD_BYTES_MAX))
    }
}

/// An open block file and its number.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u32,
    pub file: File,
}

/// Why a frame could not be read: the system failed, or the bytes are wrong.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(LogError),
    Frame(FrameError),
}

/// What the medium holds where a frame is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OnMedium {
    /// This frame, whole.
    Frame(Frame),
    /// No whole frame of that block, but bytes with this fault, or the end of the log.
    NoFrame(Option<FrameError>),
    /// The file system does not let its cache be passed by; a file system in memory has no medium.
    Unknown,
}

impl From<FrameError> for ReadError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<LogError> for ReadError {
    fn from(error: LogError) -> Self {
        Self::Io(error)
    }
}

impl Segment {
    pub fn open(blocks: &Blocks, number: u32, access: Access) -> Result<Self, LogError> {
        Ok(Self { number, file: File::open(blocks.io.as_ref(), &blocks.file(number), access)? })
    }

    /// Makes the file, with all its room reserved and its name durable.
    pub fn create(blocks: &Blocks, number: u32) -> Result<Self, LogError> {
        let made = Self::open(blocks, number, Access::New(0o640))?;
        made.file.allocate(blocks.sizes.segment_bytes)?;
        made.file.sync()?;
        blocks.sync()?;
        Ok(made)
    }

    /// The frame of block `height` that the medium holds at `offset`, read past the page cache.
    pub fn on_medium(
        blocks: &Blocks,
        number: u32,
        offset: u64,
        ledger: LedgerTag,
        height: u64,
    ) -> Result<OnMedium, LogError> {
        let found = Self::open(blocks, number, Access::PastCache).map_err(ReadError::Io);
        match found.and_then(|segment| segment.frame(offset, ledger, height)) {
            Ok(Some((frame, _))) => Ok(OnMedium::Frame(frame)),
            Ok(None) => Ok(OnMedium::NoFrame(None)),
            Err(ReadError::Frame(error)) => Ok(OnMedium::NoFrame(Some(error))),
            Err(ReadError::Io(LogError::Io { source, .. }))
                if matches!(source.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
            {
                Ok(OnMedium::Unknown)
            }
            Err(ReadError::Io(error)) => Err(error),
        }
    }

    /// The error for bytes at `offset` that are not those of block `height`.
    pub fn corrupt(&self, offset: u64, height: u64, why: Damage) -> LogError {
        LogError::Corrupt { file: self.file.path().into(), offset, height, why }
    }

    /// The error for a frame of block `height` that was looked for at `offset`.
    pub fn failed(&self, offset: u64, height: u64, error: ReadError) -> LogError {
        match error {
            ReadError::Io(error) => error,
            ReadError::Frame(error) => self.corrupt(offset, height, error.into()),
        }
    }

    /// The head at `offset`, or `None` where the file ends or has 64 zeros.
    pub fn head(&self, offset: u64) -> Result<Option<Frame>, ReadError> {
        let mut head = [0; HEAD_BYTES];
        let found = self.file.read_at(&mut head, offset)?;
        if head.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if found < HEAD_BYTES {
            return Err(FrameError::Short { expected: HEAD_BYTES as u64, found: found as u64 }.into());
        }
        Ok(Some(Frame::decode(&head)?))
    }

    /// The frame of block `height` at `offset` and its payload after all checks, or `None` where the log ends.
    pub fn frame(&self, offset: u64, ledger: LedgerTag, height: u64) -> Result<Option<(Frame, Vec<u8>)>, ReadError> {
        let Some(frame) = self.head(offset)? else { return Ok(None) };
        frame.check_place(ledger, height)?;
        self.payload(offset, &frame).map(|payload| Some((frame, payload)))
    }

    /// The payload of the frame at `offset`, checked.
    pub fn payload(&self, offset: u64, frame: &Frame) -> Result<Vec<u8>, ReadError> {
        let expected = frame.padded_bytes();
        // A head allows at most 16 MiB, so hostile bytes cannot ask for more memory than that.
        let mut payload = vec![0; usize::try_from(expected).unwrap_or(usize::MAX).saturating_sub(HEAD_BYTES)];
        let start = offset.saturating_add(HEAD_BYTES as u64);
        let found = self.file.read_at(&mut payload, start)?;
        if found < payload.len() {
            return Err(FrameError::Short { expected, found: (HEAD_BYTES + found) as u64 }.into());
        }
        let (bytes, padding) = payload.split_at(frame.length as usize);
        frame.check_payload(bytes, padding)?;
        payload.truncate(frame.length as usize);
        Ok(payload)
    }

    /// The first offset at or after `from` where a whole head of `ledger` stands.
    ///
    /// A payload is JSON, which has no control character, so it cannot hold the version byte and pass for a head.
    pub fn next_head(&self, from: u64, ledger: LedgerTag) -> Result<Option<u64>, ReadError> {
        let end = self.file.bytes()?;
        let mut offset = from.next_multiple_of(ALIGNMENT);
        while offset < end {
            match self.head(offset) {
                Ok(Some(frame)) if frame.ledger == ledger => return Ok(Some(offset)),
                Err(ReadError::Io(error)) => return Err(ReadError::Io(error)),
                Ok(_) | Err(ReadError::Frame(_)) => offset += ALIGNMENT,
            }
        }
        Ok(None)
    }

    /// The end of the last byte at or after `from` that is not zero, or `None` if all are.
    pub fn used_end(&self, from: u64) -> Result<Option<u64>, ReadError> {
        let (mut chunk, mut offset, mut end) = (vec![0; ZEROS.len()], from, None);
        loop {
            let found = self.file.read_at(&mut chunk, offset)?;
            if found == 0 {
                return Ok(end);
            }
            // Nearly all that is looked at is zeros, and comparing with zeros is the quickest way to see it.
            if chunk[..found] != ZEROS[..found]
                && let Some(last) = chunk[..found].iter().rposition(|byte| *byte != 0)
            {
                end = Some(offset + last as u64 + 1);
            }
            offset += found as u64;
        }
    }

    /// Writes zeros from `start` to `end` without syncing.
    pub fn zero(&self, start: u64, end: u64) -> Result<(), LogError> {
        let mut offset = start;
        while offset < end {
            let bytes = usize::try_from(end - offset).unwrap_or(usize::MAX).min(ZEROS.len());
            self.file.write_at(&ZEROS[..bytes], offset)?;
            offset += bytes as u64;
        }
        Ok(())
    }
}

/// Zeros to write and a unit to read by: large enough that calls cost little, small enough to stay in the cache.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
