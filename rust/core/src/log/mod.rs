//! The durable block log: append-only files of checksummed frames (`docs/format.md` section 7).
//!
//! It promises that a frame whose place `LogWriter::append` gave is on the medium; that what was not
//! acknowledged is wholly there or wholly absent after recovery; and that whatever the bytes on disk are, a
//! reader gives either the payload that was appended at that height or an error that names the place.
//! It refuses to guess: a bad frame that evidence shows to have been acknowledged stops the log.
//!
//! What it cannot tell: with nothing after it and no evidence from outside, a last frame that was
//! acknowledged and then damaged looks like one that was never finished. A mark that is synced before the
//! acknowledgement (`Durability::Double`, or a height that the caller knows) closes this gap.

mod changes;
pub mod durable;
mod durable_mark;
mod file;
pub mod frame;
pub mod io;
mod lock;
mod placer;
mod reader;
mod recovery;
mod segment;
mod walk;
mod writer;

use std::path::PathBuf;

pub use changes::ChangesFiles;
pub use durable_mark::Durability;
pub use file::{Blocks, SMALL_FILE_BYTES_MAX, Storage, read_small};
pub use frame::{Frame, FrameError};
pub use lock::Lock;
pub use placer::Placer;
pub use reader::{Frames, LogReader};
pub use recovery::{Cut, Evidence, Recovered};
pub use segment::{Place, Sizes};
pub use walk::{Depth, Fault, Met, Walk, last_height, sync_segment};
pub use writer::LogWriter;

/// The part of block 0's hash that every frame carries, so that no frame of another ledger is taken for ours.
pub type LedgerTag = [u8; 16];

/// Why a log could not be opened, read or extended.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Bytes that were acknowledged, or that this log never wrote, are not what they should be.
    #[error("{file} is damaged at offset {offset}, where block {height} is expected: {why}")]
    Corrupt {
        /// The block file.
        file: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// The height expected there; for a missing file a lower bound of it.
        height: u64,
        /// What is wrong.
        why: Damage,
    },
    /// Another process has the ledger open for writing.
    #[error("{path} is locked{}", holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that wrote its id into the file, where it can be read.
        holder: Option<u32>,
    },
    /// An earlier write or sync failed. The page cache may lie after that, so only opening again helps.
    #[error("an earlier write to this log failed: open it again")]
    Poisoned,
    /// The block to append is not the next one.
    #[error("block {expected} is next, not {found}")]
    NotNext {
        /// The next height.
        expected: u64,
        /// The height given.
        found: u64,
    },
    /// The payload is empty or too long for a frame.
    #[error("a payload has 1 to {max} bytes, not {found}")]
    PayloadLength {
        /// The longest payload.
        max: u64,
        /// The length given.
        found: u64,
    },
    /// Something new was asked for where something is; nothing was overwritten.
    #[error("{path} exists already")]
    Exists {
        /// The file, or the folder of block files.
        path: PathBuf,
    },
    /// There is no block file at all.
    #[error("{path} holds no blocks")]
    Empty {
        /// The folder of block files.
        path: PathBuf,
    },
    /// All block file names are used.
    #[error("no block file can follow number {last}")]
    Full {
        /// The last number.
        last: u32,
    },
}

/// What is wrong at a place of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The frame there fails a check.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The log ends here, although a later block was acknowledged.
    #[error("the log ends, but block {durable} was acknowledged")]
    Missing {
        /// The height that the evidence names.
        durable: u64,
    },
    /// The log ends here, but whole frames follow further on.
    #[error("no frame, but one follows at offset {next}")]
    Gap {
        /// Offset of the next frame in the same file.
        next: u64,
    },
    /// The log ends here and bytes follow that belong to no frame.
    #[error("bytes that belong to no frame")]
    Residue,
    /// The block file is missing although later ones exist.
    #[error("the file is missing")]
    NoFile,
    /// No frame stands at a place where one was promised.
    #[error("no frame stands here")]
    NoFrame,
    /// The page cache shows an unfinished frame where the medium holds something else.
    #[error(
        "{0}, but past the page cache it reads otherwise: open it again; if that repeats, memory or disk is failing"
    )]
    CacheDiffers(FrameError),
    /// A frame was written and synced, and the medium does not hold it.
    #[error("the frame was synced, but the medium does not hold it: the disk is failing")]
    NotOnMedium,
    /// The system cannot read what is there.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A frame is whole, and what it holds is not what a block is made of, or does not follow the block before.
    #[error("{0}")]
    Content(String),
}

impl LogError {
    /// Wraps an error of the operating system.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
