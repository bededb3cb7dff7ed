//! The durable mark: which block is durable, synced to a place of its own before the block is acknowledged.
//!
//! The mark is the newest frame's head, in one of two slots that take turns, so that a write of the mark that is
//! interrupted leaves the one before. It is evidence and nothing else: a ledger without it loses no promise but this,
//! that a last frame which was acknowledged and then damaged is told from one that was never finished.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::file::{Blocks, File, again};
use super::frame::{ALIGNMENT, Frame, FrameError, HEAD_BYTES};
use super::io::Access;
use super::{LedgerTag, LogError};

/// A mark that names no block: two slots of a page each, for a torn page must not reach into the other slot.
const EMPTY: [u8; 8192] = [0; 8192];

/// What stands before an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The sync of the block's frame.
    #[default]
    Single,
    /// The sync of the block's frame, and then the sync of the durable mark.
    Double,
}

/// An open durable mark.
#[derive(Debug)]
pub(super) struct DurableMark {
    file: File,
    /// The greatest height that it names.
    pub height: Option<u64>,
}

impl DurableMark {
    /// Where the mark of a log is.
    fn path(blocks: &Blocks) -> PathBuf {
        blocks.path.join("durable")
    }

    /// Makes an empty mark; its name is durable once the folder is synced.
    pub fn create(blocks: &Blocks) -> Result<Self, LogError> {
        let file = File::open(blocks.io.as_ref(), &Self::path(blocks), Access::Make(0o640))?;
        file.write_at(&EMPTY, 0)?;
        file.sync()?;
        Ok(Self { file, height: None })
    }

    /// Opens the mark, or gives `None` where the log has none.
    ///
    /// A slot that does not hold a head of this ledger is not believed: the other one stands. Both cannot come from an
    /// interrupted write.
    pub fn open(blocks: &Blocks, ledger: LedgerTag) -> Result<Option<Self>, LogError> {
        let file = match File::open(blocks.io.as_ref(), &Self::path(blocks), Access::Write) {
            Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut height = None;
        let mut wrong = Vec::new();
        for offset in [0, ALIGNMENT] {
            let mut head = [0; HEAD_BYTES];
            file.read_at(&mut head, offset)?;
            match named(&head, ledger) {
                Ok(found) => height = height.max(found),
                Err(error) => wrong.push(error),
            }
        }
        if let [error, _] = &wrong[..] {
            let (file, why) = (file.path().into(), error.clone().into());
            return Err(LogError::Corrupt { file, offset: 0, height: 0, why });
        }
        Ok(Some(Self { file, height }))
    }

    /// Says durably that the block of this frame is durable.
    pub fn set(&mut self, frame: &Frame) -> Result<(), LogError> {
        self.file.write_at(&frame.encode(), frame.height % 2 * ALIGNMENT)?;
        self.file.sync()?;
        self.height = Some(frame.height);
        Ok(())
    }

    /// Takes the mark away, durably once the folder is synced.
    pub fn remove(blocks: &Blocks) -> Result<(), LogError> {
        let path = Self::path(blocks);
        again(|| blocks.io.remove(&path)).map_err(LogError::io("remove", &path))
    }
}

/// The height that a slot names, or `None` where it was never written.
fn named(head: &[u8; HEAD_BYTES], ledger: LedgerTag) -> Result<Option<u64>, FrameError> {
    if head.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let frame = Frame::decode(head)?;
    frame.check_place(ledger, frame.height)?;
    Ok(Some(frame.height))
}
