//! Opening a log after anything: finds the tip, tells a torn tail from damage, and leaves only durable bytes.
//!
//! An append may be interrupted anywhere, so one unfinished frame at the very end is no fault: it is cut, and
//! the cut is reported. Everything else that is wrong is damage, and so is an unfinished frame that was
//! acknowledged. The evidence for that: a frame after it, a block file after it, the durable mark, or a height that the
//! caller knows from a signed mark, a checkpoint or the index. Nothing whole is ever cut, and nothing that the page
//! cache and the medium do not show alike.
//!
//! After a failed sync the page cache may show what the medium lost, and reading cannot tell. So nothing is served that
//! was only read: every frame after the newest evidence is written in place once more, synced, and looked for on the
//! medium.

use std::path::PathBuf;

use super::file::Blocks;
use super::frame::{ALIGNMENT, Frame, FrameError};
use super::io::Access;
use super::segment::{OnMedium, Place, ReadError, Segment};
use super::writer::encode;
use super::{Damage, LedgerTag, LogError};

/// What is known from outside the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    /// The greatest height that is known to have been acknowledged.
    pub durable_height: Option<u64>,
}

impl Evidence {
    fn covers(self, height: u64) -> bool {
        self.durable_height.is_some_and(|durable| durable >= height)
    }
}

/// What opening found.
#[derive(Debug)]
pub struct Recovered {
    /// The last block and its place, or `None` in an empty log.
    pub tip: Option<(u64, Place)>,
    /// What was cut away, if anything.
    pub cut: Option<Cut>,
    /// Every block that was read, in order: those after the frame that was known to be good.
    pub frames: Vec<(u64, Place)>,
}

/// An unfinished append that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The block file.
    pub file: PathBuf,
    /// Where the append began, in bytes.
    pub offset: u64,
    /// How many bytes were cleared.
    pub bytes: u64,
    /// Why they were no frame.
    pub why: Damage,
}

/// Where a scan stands: the block file, the offset of the next frame, its height.
struct Scan<'a> {
    blocks: &'a Blocks,
    ledger: LedgerTag,
    segment: Segment,
    offset: u64,
    height: u64,
}

/// Reads the log, repairs its end, and gives the file and offset to go on with.
pub(super) fn recover(
    blocks: &Blocks,
    ledger: LedgerTag,
    from: Option<(Place, u64)>,
    evidence: Evidence,
) -> Result<(Recovered, Segment, u64), LogError> {
    let (first, offset, height) = from.map_or((0, 0, 0), |(place, height)| (place.segment, place.offset, height));
    let last = last_segment(blocks, first, height)?;
    let mut scan = Scan { blocks, ledger, segment: Segment::open(blocks, first, Access::Write)?, offset, height };
    let mut frames = Vec::new();
    if let Some((place, _)) = from {
        scan.pass_known(place)?;
    }
    let mut stop = scan.pass_frames(&mut frames)?;
    while scan.segment.number < last {
        // The next file was made only after everything before it was durable.
        if let Some(error) = stop {
            return Err(scan.corrupt(error.into()));
        }
        scan.segment.file.sync()?;
        scan.segment = Segment::open(blocks, scan.segment.number + 1, Access::Write)?;
        scan.offset = 0;
        stop = scan.pass_frames(&mut frames)?;
    }
    let cut = scan.cut(stop, evidence)?;
    scan.complete()?;
    let known = from.map(|(place, height)| (height, place));
    let doubtful: Vec<_> =
        known.iter().chain(&frames).filter(|(height, _)| !evidence.covers(*height)).copied().collect();
    for in_one_file in doubtful.chunk_by(|(_, one), (_, next)| one.segment == next.segment) {
        write_again(blocks, ledger, in_one_file)?;
    }
    Ok((Recovered { tip: frames.last().copied().or(known), cut, frames }, scan.segment, scan.offset))
}

/// The number of the last block file, after checking that none is missing before it.
fn last_segment(blocks: &Blocks, first: u32, height: u64) -> Result<u32, LogError> {
    let numbers = blocks.segments()?;
    let Some(last) = numbers.last().copied() else { return Err(LogError::Empty { path: blocks.path.clone() }) };
    let gap = (0..).zip(&numbers).find(|(expected, found)| expected != *found).map(|(expected, _)| expected);
    if let Some(missing) = gap.or((first > last).then_some(first)) {
        // A file before the known frame may hold any block up to it: 0 is all that is sure.
        let height = if missing < first { 0 } else { height };
        return Err(LogError::Corrupt { file: blocks.file(missing), offset: 0, height, why: Damage::NoFile });
    }
    Ok(last)
}

/// Writes frames of one file in place once more, syncs them, and sees that the medium has them.
fn write_again(blocks: &Blocks, ledger: LedgerTag, frames: &[(u64, Place)]) -> Result<(), LogError> {
    let Some((_, first)) = frames.first() else { return Ok(()) };
    let segment = Segment::open(blocks, first.segment, Access::Write)?;
    let mut bytes = Vec::new();
    let mut written = Vec::with_capacity(frames.len());
    for (height, place) in frames {
        let found = segment.frame(place.offset, ledger, *height);
        let (frame, payload) = found
            .map_err(|error| segment.failed(place.offset, *height, error))?
            .ok_or_else(|| segment.corrupt(place.offset, *height, Damage::NoFrame))?;
        encode(&mut bytes, &frame, &payload);
        segment.file.write_at(&bytes, place.offset)?;
        written.push((place.offset, frame));
    }
    segment.file.sync()?;
    for (offset, frame) in written {
        match Segment::on_medium(blocks, segment.number, offset, ledger, frame.height)? {
            OnMedium::Frame(found) if found == frame => {}
            OnMedium::Unknown => return Ok(()),
            OnMedium::Frame(_) | OnMedium::NoFrame(_) => {
                return Err(segment.corrupt(offset, frame.height, Damage::NotOnMedium));
            }
        }
    }
    Ok(())
}

impl Scan<'_> {
    fn corrupt(&self, why: Damage) -> LogError {
        self.segment.corrupt(self.offset, self.height, why)
    }

    fn failed(&self, error: ReadError) -> LogError {
        self.segment.failed(self.offset, self.height, error)
    }

    fn step(&mut self, frame: &Frame) -> Place {
        let place = Place { segment: self.segment.number, offset: self.offset, length: frame.length };
        self.offset += frame.padded_bytes();
        self.height = self.height.saturating_add(1);
        place
    }

    /// Passes the frame that the caller knows to be good; if it is not, that is damage.
    fn pass_known(&mut self, place: Place) -> Result<(), LogError> {
        if !place.offset.is_multiple_of(ALIGNMENT) {
            return Err(self.corrupt(Damage::NoFrame));
        }
        let found = self.segment.frame(self.offset, self.ledger, self.height).map_err(|error| self.failed(error))?;
        let Some((frame, _)) = found else { return Err(self.corrupt(Damage::NoFrame)) };
        if frame.length != place.length {
            let why = FrameError::PlaceLength { expected: place.length, found: frame.length };
            return Err(self.corrupt(why.into()));
        }
        self.step(&frame);
        Ok(())
    }

    /// Passes good frames to the end of this file, and gives what is wrong there if it is not a clean end.
    fn pass_frames(&mut self, frames: &mut Vec<(u64, Place)>) -> Result<Option<FrameError>, LogError> {
        loop {
            match self.segment.frame(self.offset, self.ledger, self.height) {
                Ok(Some((frame, _))) => {
                    let height = self.height;
                    frames.push((height, self.step(&frame)));
                }
                Ok(None) => return Ok(None),
                Err(ReadError::Frame(error)) => return Ok(Some(error)),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Clears what an interrupted append left at the end of the last file, unless there is evidence against that.
    fn cut(&self, stop: Option<FrameError>, evidence: Evidence) -> Result<Option<Cut>, LogError> {
        if let Some(error) = stop.clone().filter(|error| !error.may_be_torn()) {
            return Err(self.corrupt(error.into()));
        }
        let search = if stop.is_some() { self.offset.saturating_add(ALIGNMENT) } else { self.offset };
        let next = self.segment.next_head(search, self.ledger).map_err(|error| self.failed(error))?;
        let why = match (stop, evidence.durable_height.filter(|_| evidence.covers(self.height)), next) {
            (Some(error), None, None) => error.into(),
            (Some(error), _, _) => return Err(self.corrupt(error.into())),
            (None, _, Some(next)) => return Err(self.corrupt(Damage::Gap { next })),
            (None, Some(durable), None) => return Err(self.corrupt(Damage::Missing { durable })),
            (None, None, None) => Damage::Residue,
        };
        if let Damage::Frame(error) = &why {
            // After an interrupted append cache and medium are alike. Where they are not, one of them cannot be read.
            match Segment::on_medium(self.blocks, self.segment.number, self.offset, self.ledger, self.height)? {
                OnMedium::NoFrame(Some(found)) if found == *error => {}
                OnMedium::Unknown => {}
                OnMedium::NoFrame(_) | OnMedium::Frame(_) => {
                    return Err(self.corrupt(Damage::CacheDiffers(error.clone())));
                }
            }
        }
        let Some(end) = self.segment.used_end(self.offset).map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        self.segment.zero(self.offset, end)?;
        let file = self.segment.file.path().into();
        Ok(Some(Cut { file, offset: self.offset, bytes: end - self.offset, why }))
    }

    /// Gives the last file its full length again and makes it durable with its name, for files that were copied here
    /// and never synced.
    fn complete(&self) -> Result<(), LogError> {
        if self.segment.file.bytes()? < self.blocks.sizes.segment_bytes {
            self.segment.file.allocate(self.blocks.sizes.segment_bytes)?;
        }
        self.segment.file.sync()?;
        self.blocks.sync()
    }
}
