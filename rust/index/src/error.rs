//! What can go wrong with an index, one variant for each cause.

use std::io;
use std::path::PathBuf;

use heed::{Error, MdbError};

/// Why an index could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The operating system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// LMDB failed in a way that says nothing about the files.
    #[error("cannot {action} the index: {source}")]
    Lmdb {
        /// What was tried, as a verb.
        action: &'static str,
        /// What LMDB said.
        source: Error,
    },
    /// The disk failed under LMDB, which meets a full one as an error of input and output too.
    #[error("cannot {action} the index: the disk is full, or it fails: {source}")]
    Disk {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The files contradict themselves.
    #[error("the index is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// The files are not an index of finchain.
    #[error("{path} is not an index of finchain")]
    Foreign {
        /// The data file.
        path: PathBuf,
    },
    /// The index has a format that this software does not read.
    #[error("the index has format {found}; this software reads format {expected}")]
    Version {
        /// The format of this software.
        expected: u32,
        /// The format found.
        found: u32,
    },
    /// The machine went down while the index was open, so that any of its pages may be missing.
    #[error("{path} was not closed before the machine went down")]
    Doubtful {
        /// The data file.
        path: PathBuf,
    },
    /// There is no index to read.
    #[error("{path} holds no index")]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// This process already has the index open.
    #[error("{path} is already open in this process")]
    AlreadyOpen {
        /// The folder.
        path: PathBuf,
    },
    /// The index was opened for reading only.
    #[error("the index is open for reading only")]
    ReadOnly,
    /// More threads read at once than there are places for.
    #[error("too many threads read the index at once")]
    ReadersFull,
    /// An earlier attempt to map the index again failed; it must be opened anew.
    #[error("the index was closed by an earlier failure: open it again")]
    Closed,
    /// The blocks to apply do not follow the index.
    #[error("block {expected} is next for the index, not {found}")]
    NotNext {
        /// The next height.
        expected: u64,
        /// The height given.
        found: u64,
    },
    /// The rows of a block cannot be stored.
    #[error("the rows of block {height}: {fault}")]
    Rows {
        /// The block.
        height: u64,
        /// What is wrong with them.
        fault: RowFault,
    },
}

/// What is wrong with the rows of a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// A kind, an id or a list of instructions is too long.
    #[error("a {what} is at most {max} long, not {found}")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// The limit.
        max: usize,
        /// The length given.
        found: usize,
    },
    /// Writes are not in the order of their entries.
    #[error("entry {found} comes after entry {before}")]
    Order {
        /// The entry before.
        before: u32,
        /// The entry that should not follow it.
        found: u32,
    },
    /// An entry writes one record twice.
    #[error("entry {entry} writes a record twice")]
    Twice {
        /// The entry.
        entry: u32,
    },
    /// A record has a number that another one has, or that leaves one out.
    #[error("record {number} is not the one with that number, or the one before it is not there")]
    Number {
        /// The number.
        number: u32,
    },
    /// A lane's row comes without the lane's record.
    #[error("the lane of entry {entry} has no record")]
    UnknownLane {
        /// The entry.
        entry: u32,
    },
}

impl IndexError {
    /// Whether wiping the index and filling it from the blocks is the cure.
    #[must_use]
    pub const fn needs_wipe(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Foreign { .. } | Self::Version { .. } | Self::Doubtful { .. })
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Sorts an error of LMDB into what it says about the index.
    pub(crate) fn lmdb(action: &'static str) -> impl Fn(Error) -> Self {
        move |source| match source {
            Error::Mdb(
                MdbError::PageNotFound
                | MdbError::Corrupted
                | MdbError::Panic
                | MdbError::Invalid
                | MdbError::VersionMismatch
                | MdbError::Incompatible
                | MdbError::CursorFull
                | MdbError::PageFull
                | MdbError::BadTxn
                | MdbError::BadDbi
                | MdbError::BadValSize
                | MdbError::Problem
                // Rows are only ever added after those that are there.
                | MdbError::KeyExist,
            ) => Self::Damaged { what: format!("cannot {action} it: {source}") },
            Error::Mdb(MdbError::ReadersFull) => Self::ReadersFull,
            Error::Io(source) => Self::Disk { action, source },
            source => Self::Lmdb { action, source },
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}
