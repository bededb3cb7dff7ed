//! One writer: an advisory lock on a file of its own.
//!
//! The system releases it when the process ends, however it ends, so there is nothing stale to clear up. It does not
//! stop a second machine that shares the folder over a network, nor a clone of the whole machine.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::LogError;

/// Held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    /// Closing the file releases the lock. Unlocking by name would also release it for the parent of a forked
    /// process, so dropping only closes.
    _file: File,
}

impl Lock {
    /// Takes the lock at `path` without waiting, and leaves this process's id in the file for others' messages.
    ///
    /// # Errors
    /// `Locked` if another holds it; `Io`.
    pub fn acquire(path: &Path) -> Result<Self, LogError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path)
            .map_err(LogError::io("open", path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LogError::Locked { path: path.into(), holder: holder(&mut file) }),
            Err(error) => return Err(LogError::io("lock", path)(error.into())),
        }
        let line = format!("{}\n", std::process::id());
        file.set_len(0).map_err(LogError::io("write", path))?;
        file.write_all_at(line.as_bytes(), 0).map_err(LogError::io("write", path))?;
        Ok(Self { _file: file })
    }
}

/// The process id in a lock file; anything else in it is ignored, because it only serves a message.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}
