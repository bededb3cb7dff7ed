//! One writer: an advisory lock on a file of its own.
//!
//! The system releases it when the process ends, however it ends, so there is nothing stale to clear up. It does not
//! stop a second machine that shares the folder over a network, nor a clone of the whole machine.

use std::path::Path;
use std::time::Duration;

use super::LogError;
use super::file::File;
use super::io::{Access, Io};

/// Between two looks at a lock that is waited for.
const PAUSE: Duration = Duration::from_millis(1);

/// Held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    /// Closing the file releases the lock. Unlocking by name would also release it for the parent of a forked
    /// process, so dropping only closes.
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, waiting for as long as another holds it: for what takes a moment.
    ///
    /// # Errors
    /// `Io`.
    pub fn wait(io: &dyn Io, path: &Path) -> Result<Self, LogError> {
        let file = File::open(io, path, Access::Make(0o640))?;
        while !file.lock()? {
            io.pause(PAUSE);
        }
        Ok(Self { _file: file })
    }

    /// Takes the lock at `path` without waiting, and leaves this process's id in the file for others' messages.
    ///
    /// # Errors
    /// `Locked` if another holds it; `Io`.
    pub fn acquire(io: &dyn Io, path: &Path) -> Result<Self, LogError> {
        let file = File::open(io, path, Access::Make(0o640))?;
        if !file.lock()? {
            return Err(LogError::Locked { path: path.into(), holder: holder(&file) });
        }
        // As wide as the largest id, so that nothing of a longer line before it stays.
        let line = format!("{:<10}\n", std::process::id());
        file.write_at(line.as_bytes(), 0)?;
        Ok(Self { _file: file })
    }
}

/// The process id in a lock file; anything else in it is ignored, because it only serves a message.
fn holder(file: &File) -> Option<u32> {
    let mut line = [0; 32];
    let found = file.read_at(&mut line, 0).ok()?;
    std::str::from_utf8(&line[..found]).ok()?.lines().next()?.trim_end().parse().ok()
}
