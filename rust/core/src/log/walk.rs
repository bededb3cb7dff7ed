//! Walking over block files past any damage: every whole frame that can be found, and every place where one is missing.
//!
//! It only reads, and never takes a frame at its word: whether one block follows another is for who reads the payloads.
//! A bad sector is damage here and no reason to stop, because what lies behind it may be all that is left.

use std::fmt;
use std::path::PathBuf;

use super::file::Blocks;
use super::frame::{ALIGNMENT, Frame, FrameError, HEAD_BYTES};
use super::io::Access;
use super::segment::{Place, ReadError, Segment};
use super::{Damage, LedgerTag, LogError};

/// A place where blocks are missing or damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The block file.
    pub file: PathBuf,
    /// Where the first of them was expected in it, in bytes.
    pub offset: u64,
    /// Height of the first of them.
    pub height: u64,
    /// Height of the first whole block behind it; `None` where the log ends with this fault.
    pub until: Option<u64>,
    /// The head that stands there, where that is whole.
    pub head: Option<Frame>,
    /// What is wrong there.
    pub why: Damage,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, offset, height) = (self.file.display(), self.offset, self.height);
        match self.until {
            Some(until) if until > height + 1 => {
                write!(f, "{file}, offset {offset}, blocks {height} to {}: {}", until - 1, self.why)
            }
            Some(_) => write!(f, "{file}, offset {offset}, block {height}: {}", self.why),
            None => write!(f, "{file}, offset {offset}, from block {height} on: {}", self.why),
        }
    }
}

/// What a walk meets.
#[derive(Debug)]
pub enum Met {
    /// A whole frame: height, place, payload.
    Frame(u64, Place, Vec<u8>),
    /// A place without one.
    Fault(Fault),
}

/// How much of each frame is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All, with every check.
    Whole,
    /// In the files before the last one, the head and the first line of the payload alone, which costs one page a
    /// block; in the last one all.
    Openings,
}

/// The longest first line that is looked for: a block header has at most 600 bytes.
const LINE_BYTES_MAX: u64 = ALIGNMENT - HEAD_BYTES as u64;

/// An iterator over a log and its faults, in order; it ends after an error of the system that no reading can pass.
#[derive(Debug)]
pub struct Walk<'a> {
    blocks: &'a Blocks,
    ledger: LedgerTag,
    depth: Depth,
    last: u32,
    number: u32,
    segment: Option<Segment>,
    offset: u64,
    height: u64,
    /// A fault whose end is not found yet.
    fault: Option<Fault>,
    /// A frame that waits until the fault before it is given.
    frame: Option<(Frame, Vec<u8>)>,
    ended: bool,
}

impl<'a> Walk<'a> {
    /// A walk over the log of `ledger` in `blocks`.
    ///
    /// # Errors
    /// `Empty` if there is no block file; `Io`.
    pub fn new(blocks: &'a Blocks, ledger: LedgerTag, depth: Depth) -> Result<Self, LogError> {
        let last = blocks.segments()?.last().copied();
        let last = last.ok_or_else(|| LogError::Empty { path: blocks.path.clone() })?;
        let (fault, frame) = (None, None);
        Ok(Self {
            blocks,
            ledger,
            depth,
            last,
            number: 0,
            segment: None,
            offset: 0,
            height: 0,
            fault,
            frame,
            ended: false,
        })
    }

    fn begin_fault(&mut self, why: Damage) {
        let (offset, height) = (self.offset, self.height);
        let file = self.blocks.file(self.number);
        let head = self.segment.as_ref().and_then(|segment| segment.head(offset).ok().flatten());
        self.fault.get_or_insert(Fault { file, offset, height, until: None, head, why });
    }

    /// The next frame or fault, or `None` at the end.
    fn step(&mut self) -> Option<Met> {
        loop {
            if let Some((frame, payload)) = self.frame.take() {
                return Some(self.pass(&frame, payload));
            }
            if self.segment.is_none() {
                match Segment::open(self.blocks, self.number, Access::Read) {
                    Ok(segment) => self.segment = Some(segment),
                    Err(error) => {
                        let missing = matches!(&error, LogError::Io { source, .. }
                            if source.kind() == std::io::ErrorKind::NotFound);
                        self.begin_fault(if missing { Damage::NoFile } else { Damage::Unreadable(error.to_string()) });
                        if self.leave() {
                            continue;
                        }
                        return self.fault.take().map(Met::Fault);
                    }
                }
            }
            if !self.look() && !self.leave() {
                return self.fault.take().map(Met::Fault);
            }
            if let Some((frame, _)) = &self.frame
                && let Some(mut fault) = self.fault.take()
            {
                fault.until = Some(frame.height);
                return Some(Met::Fault(fault));
            }
        }
    }

    /// Looks for a frame from here on in this file and keeps it; `false` at the file's end.
    fn look(&mut self) -> bool {
        loop {
            let Some(segment) = &self.segment else { return false };
            match read(segment, self.offset, self.depth == Depth::Whole || self.number == self.last) {
                Ok(Some((frame, payload))) if frame.ledger != self.ledger => {
                    drop(payload);
                    self.begin_fault(FrameError::Ledger { expected: self.ledger, found: frame.ledger }.into());
                }
                Ok(Some((frame, payload))) => {
                    if frame.height != self.height {
                        let why = FrameError::Height { expected: self.height, found: frame.height };
                        self.begin_fault(why.into());
                    }
                    // A block from further back is a copy of one that was met, or damage; it is passed over.
                    if frame.height >= self.height {
                        self.frame = Some((frame, payload));
                        return true;
                    }
                }
                Ok(None) => {
                    let next = seek(segment, self.offset, self.ledger);
                    match (next, segment.used_end(self.offset)) {
                        (Some(next), _) => self.begin_fault(Damage::Gap { next }),
                        (None, Ok(None)) => return false,
                        (None, Ok(Some(_))) => self.begin_fault(Damage::Residue),
                        (None, Err(error)) => self.begin_fault(unreadable(error)),
                    }
                }
                Err(error) => self.begin_fault(unreadable(error)),
            }
            let Some(segment) = &self.segment else { return false };
            match seek(segment, self.offset.saturating_add(ALIGNMENT), self.ledger) {
                Some(next) => self.offset = next,
                None => return false,
            }
        }
    }

    /// Goes to the next file; `false` if this was the last one.
    fn leave(&mut self) -> bool {
        if self.number >= self.last {
            return false;
        }
        (self.number, self.offset, self.segment) = (self.number + 1, 0, None);
        true
    }

    fn pass(&mut self, frame: &Frame, payload: Vec<u8>) -> Met {
        let place = Place { segment: self.number, offset: self.offset, length: frame.length };
        self.offset = self.offset.saturating_add(frame.padded_bytes());
        self.height = frame.height.saturating_add(1);
        Met::Frame(frame.height, place, payload)
    }
}

impl Iterator for Walk<'_> {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        if self.ended {
            return None;
        }
        let met = self.step();
        // A fault without an end is the end: nothing whole lies behind it.
        self.ended = !matches!(&met, Some(Met::Frame(..) | Met::Fault(Fault { until: Some(_), .. })));
        met
    }
}

fn unreadable(error: ReadError) -> Damage {
    match error {
        ReadError::Frame(error) => error.into(),
        ReadError::Io(error) => Damage::Unreadable(error.to_string()),
    }
}

/// Makes a block file durable that another process may have written.
///
/// # Errors
/// `Io`.
pub fn sync_segment(blocks: &Blocks, number: u32) -> Result<(), LogError> {
    Segment::open(blocks, number, Access::Read)?.file.sync()
}

/// Height of the last block in a file, by the heads of its frames; `None` where there is none.
///
/// # Errors
/// `Io`.
pub fn last_height(blocks: &Blocks, number: u32) -> Result<Option<u64>, LogError> {
    let segment = Segment::open(blocks, number, Access::Read)?;
    let (mut offset, mut last) = (0, None);
    while let Ok(Some(frame)) = segment.head(offset) {
        last = Some(frame.height);
        offset = offset.saturating_add(frame.padded_bytes());
    }
    Ok(last)
}

/// The frame at `offset`, whole or only its head and first line; `None` where 64 zeros are, or nothing.
fn read(segment: &Segment, offset: u64, whole: bool) -> Result<Option<(Frame, Vec<u8>)>, ReadError> {
    let Some(frame) = segment.head(offset)? else { return Ok(None) };
    if whole {
        let payload = segment.payload(offset, &frame)?;
        return Ok(Some((frame, payload)));
    }
    let bytes = u64::from(frame.length).min(LINE_BYTES_MAX);
    let mut line = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let found = segment.file.read_at(&mut line, offset.saturating_add(HEAD_BYTES as u64))?;
    if found < line.len() {
        let (expected, found) = (frame.padded_bytes(), (HEAD_BYTES + found) as u64);
        return Err(FrameError::Short { expected, found }.into());
    }
    line.truncate(line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len()));
    Ok(Some((frame, line)))
}

/// The first offset from `from` on with a whole head of `ledger`, passing over what cannot be read.
fn seek(segment: &Segment, from: u64, ledger: LedgerTag) -> Option<u64> {
    let end = segment.file.bytes().ok()?;
    let mut offset = from.next_multiple_of(ALIGNMENT);
    while offset < end {
        if matches!(segment.head(offset), Ok(Some(frame)) if frame.ledger == ledger) {
            return Some(offset);
        }
        offset = offset.saturating_add(ALIGNMENT);
    }
    None
}
