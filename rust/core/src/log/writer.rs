//! Appending: one write and one sync a block.
//!
//! A place is given out only after the sync, and where durability is double after the sync of the durable mark. After
//! any failure the writer is dead for good, because the page cache may then show what the medium does not hold; opening
//! again finds out what is there.

use super::durable_mark::{Durability, DurableMark};
use super::file::{Blocks, SEGMENT_MAX, again};
use super::frame::{Frame, HEAD_BYTES, padded_bytes};
use super::io::Access;
use super::recovery::{self, Evidence, Recovered};
use super::segment::{Place, Segment};
use super::{Damage, LedgerTag, LogError, durable};

/// The one that appends. There must be only one for a folder: see `Lock`.
#[derive(Debug)]
pub struct LogWriter {
    blocks: Blocks,
    ledger: LedgerTag,
    segment: Segment,
    /// What is synced before an append is acknowledged, where durability is double.
    mark: Option<DurableMark>,
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
    pub fn create(blocks: Blocks, ledger: LedgerTag, durability: Durability) -> Result<Self, LogError> {
        again(|| blocks.io.make_folder(&blocks.path)).map_err(LogError::io("create", &blocks.path))?;
        durable::sync_folder(blocks.io.as_ref(), durable::folder(&blocks.path))?;
        if !blocks.segments()?.is_empty() {
            return Err(LogError::Exists { path: blocks.path });
        }
        let mark = match durability {
            Durability::Single => None,
            Durability::Double => Some(DurableMark::create(&blocks)?),
        };
        let segment = Segment::create(&blocks, 0)?;
        Ok(Self::at(blocks, ledger, segment, mark, (0, 0)))
    }

    /// Opens the log in `blocks`, brings it to a state that is whole and durable, and says what was found.
    ///
    /// `from` is a frame that is known to be good, so that only what follows is read; without it all is read.
    /// `durability` changes what the log was opened with before; without it that stays.
    ///
    /// # Errors
    /// `Corrupt` if anything is wrong that an interrupted append cannot explain, or that was acknowledged by
    /// `evidence` or by the durable mark; `Empty` if there is no block file; `Io`.
    pub fn open(
        blocks: Blocks,
        ledger: LedgerTag,
        from: Option<(Place, u64)>,
        evidence: Evidence,
        durability: Option<Durability>,
    ) -> Result<(Self, Recovered), LogError> {
        let mut mark = DurableMark::open(&blocks, ledger)?;
        let marked = mark.as_ref().and_then(|mark| mark.height);
        let evidence = Evidence { durable_height: evidence.durable_height.max(marked) };
        let (recovered, segment, end) = recovery::recover(&blocks, ledger, from, evidence)?;
        match (durability, mark.take()) {
            (Some(Durability::Single), Some(_)) => {
                DurableMark::remove(&blocks)?;
                blocks.sync()?;
            }
            (Some(Durability::Double), None) => {
                mark = Some(DurableMark::create(&blocks)?);
                blocks.sync()?;
            }
            (_, kept) => mark = kept,
        }
        if let (Some(mark), Some((height, place))) = (&mut mark, recovered.tip) {
            // What is served from here on counts as acknowledged, so the mark comes first.
            if mark.height.is_none_or(|marked| marked < height) {
                mark.set(&head_at(&blocks, place, height)?)?;
            }
        }
        let next_height = recovered.tip.map_or(0, |(height, _)| height.saturating_add(1));
        Ok((Self::at(blocks, ledger, segment, mark, (end, next_height)), recovered))
    }

    fn at(
        blocks: Blocks,
        ledger: LedgerTag,
        segment: Segment,
        mark: Option<DurableMark>,
        (end, next_height): (u64, u64),
    ) -> Self {
        Self { blocks, ledger, segment, mark, end, zeroed: end, next_height, buffer: Vec::new(), poisoned: false }
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
        let (found, max) = (payload.len() as u64, self.blocks.sizes.payload_bytes_max());
        let frame = Frame::of(self.ledger, height, payload)
            .filter(|_| found <= max)
            .ok_or(LogError::PayloadLength { max, found })?;
        let written = self.write(&frame, payload);
        self.poisoned = written.is_err();
        written
    }

    fn write(&mut self, frame: &Frame, payload: &[u8]) -> Result<Place, LogError> {
        let bytes = padded_bytes(frame.length);
        if self.end.saturating_add(bytes) > self.blocks.sizes.segment_bytes {
            self.roll()?;
        }
        let end = self.end.saturating_add(bytes);
        self.zero_ahead(end)?;
        encode(&mut self.buffer, frame, payload);
        self.segment.file.write_at(&self.buffer, self.end)?;
        self.segment.file.sync()?;
        if let Some(mark) = &mut self.mark {
            mark.set(frame)?;
        }
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
        self.segment = Segment::create(&self.blocks, last + 1)?;
        (self.end, self.zeroed) = (0, 0);
        Ok(())
    }

    /// Makes sure that zeros are on the medium up to `end`, a whole step at a time.
    fn zero_ahead(&mut self, end: u64) -> Result<(), LogError> {
        if end <= self.zeroed {
            return Ok(());
        }
        let until =
            self.zeroed.saturating_add(self.blocks.sizes.ahead_bytes).max(end).min(self.blocks.sizes.segment_bytes);
        self.segment.zero(self.zeroed, until)?;
        self.segment.file.sync()?;
        self.zeroed = until;
        Ok(())
    }
}

/// The head of the frame of block `height`.
fn head_at(blocks: &Blocks, place: Place, height: u64) -> Result<Frame, LogError> {
    let segment = Segment::open(blocks, place.segment, Access::Read)?;
    let head = segment.head(place.offset).map_err(|error| segment.failed(place.offset, height, error))?;
    head.ok_or_else(|| segment.corrupt(place.offset, height, Damage::NoFrame))
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
