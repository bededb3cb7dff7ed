//! The changes files: what each block wrote, kept beside the blocks so that an index can be made anew without the rules
//! (`docs/format.md` section 7.2).
//!
//! They are a cache like the index. A payload that is given was appended at that height, of this ledger, as far as sums
//! can tell; whether it is what the block commits to is for the caller to compare. Whatever is missing, spoilt or left
//! over from another history is as good as not there. Nothing is synced: what is lost is made again.

use std::path::PathBuf;

use super::file::{Blocks, File, again, numbers_in};
use super::frame::{Frame, HEAD_BYTES};
use super::io::Access;
use super::{LedgerTag, LogError};

/// Digits of the first height in a file's name.
const HEIGHT_DIGITS: usize = 16;

/// The changes files of one ledger, for reading or for appending.
#[derive(Debug)]
pub struct ChangesFiles {
    blocks: Blocks,
    folder: PathBuf,
    at: Option<At>,
}

/// Where a height's frame lies or will lie.
#[derive(Debug)]
struct At {
    file: File,
    offset: u64,
    height: u64,
}

impl ChangesFiles {
    /// The files in `folder`, which need not exist yet, on the machine that the blocks are on.
    #[must_use]
    pub fn new(blocks: Blocks, folder: impl Into<PathBuf>) -> Self {
        Self { blocks, folder: folder.into(), at: None }
    }

    /// What was appended for block `height`, or `None` where nothing whole is found.
    pub fn read(&mut self, ledger: LedgerTag, height: u64) -> Option<Vec<u8>> {
        if let Some(at) = self.at.take().filter(|at| at.height == height)
            && let Some(found) = self.read_at(at, ledger)
        {
            return Some(found);
        }
        let at = self.find(ledger, height, Access::Read).ok().flatten()?;
        self.read_at(at, ledger)
    }

    fn read_at(&mut self, at: At, ledger: LedgerTag) -> Option<Vec<u8>> {
        let frame = head(&at, ledger)?;
        let start = at.offset.saturating_add(HEAD_BYTES as u64);
        let mut payload = vec![0; frame.length as usize];
        let found = at.file.read_at(&mut payload, start).ok()?;
        frame.check_payload(payload.get(..found)?, &[]).ok()?;
        self.at = Some(behind(at, frame.length));
        Some(payload)
    }

    /// Appends what block `height` wrote, where the one before ends, or else in a new file.
    ///
    /// A payload that no frame can hold is left out, and with it the height.
    ///
    /// # Errors
    /// `Io`. What was written may be spoilt, which whoever reads it finds out.
    pub fn append(&mut self, ledger: LedgerTag, height: u64, payload: &[u8]) -> Result<(), LogError> {
        let Some(frame) = Frame::of(ledger, height, payload) else { return Ok(()) };
        let fits = |at: &At| at.height == height && at.offset < self.blocks.sizes().segment_bytes;
        let at = match self.at.take().filter(fits) {
            Some(at) => at,
            None => match self.find(ledger, height, Access::Write)?.filter(fits) {
                Some(at) => at,
                None => self.begin(height)?,
            },
        };
        let bytes = [&frame.encode(), payload].concat();
        at.file.write_at(&bytes, at.offset)?;
        self.at = Some(behind(at, frame.length));
        Ok(())
    }

    fn begin(&self, height: u64) -> Result<At, LogError> {
        again(|| self.blocks.io().make_folder(&self.folder)).map_err(LogError::io("create", &self.folder))?;
        let file = File::open(self.blocks.io(), &self.path(height), Access::Make(0o644))?;
        Ok(At { file, offset: 0, height })
    }

    /// Where block `height` stands or would follow: in the file that begins last at or before it. `None` where there
    /// is no such file, or the frames in it do not lead there.
    fn find(&self, ledger: LedgerTag, height: u64, access: Access) -> Result<Option<At>, LogError> {
        let firsts = numbers_in(self.blocks.io(), &self.folder, HEIGHT_DIGITS, ".chg")?;
        let Some(first) = firsts.into_iter().rfind(|first| *first <= height) else { return Ok(None) };
        let mut at = At { file: File::open(self.blocks.io(), &self.path(first), access)?, offset: 0, height: first };
        while at.height < height {
            let Some(frame) = head(&at, ledger) else { return Ok(None) };
            at = behind(at, frame.length);
        }
        Ok(Some(at))
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:0HEIGHT_DIGITS$}.chg"))
    }
}

/// The head of the frame that stands there, if it is that of this ledger and height.
fn head(at: &At, ledger: LedgerTag) -> Option<Frame> {
    let mut head = [0; HEAD_BYTES];
    if at.file.read_at(&mut head, at.offset).ok()? < HEAD_BYTES {
        return None;
    }
    let frame = Frame::decode(&head).ok()?;
    frame.check_place(ledger, at.height).ok().map(|()| frame)
}

/// The place behind a frame with that many payload bytes; nothing is padded here.
fn behind(at: At, length: u32) -> At {
    let offset = at.offset.saturating_add(HEAD_BYTES as u64).saturating_add(u64::from(length));
    At { offset, height: at.height.saturating_add(1), ..at }
}
