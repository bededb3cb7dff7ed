//! What the core asks of the machine for its files, one method a system call, and nothing more.
//!
//! Everything that the core reads or writes of a ledger goes through these two traits, so that tests can put a machine
//! under it that tears writes, forgets what was not synced, runs out of room and fails at any step. `System` is the
//! real one. A method does what the call does: it may be interrupted, and may move fewer bytes than it was given; the
//! loops around that are in `file`, once.
//!
//! There is no clock here but a pause, and no randomness: the time of a block is an argument of the ledger machine, and
//! nothing that the machine writes is drawn by chance.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;

/// What a read past the page cache is aligned to, in memory and in the file: no device has larger sectors.
const DIRECT_ALIGNMENT: usize = 4096;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For reading what the medium holds, past the page cache; some file systems refuse that as invalid.
    PastCache,
    /// For reading and writing.
    Write,
    /// For reading and writing, made with these permissions where it is missing.
    Make(u32),
    /// For reading and writing, made with these permissions; it must be missing.
    New(u32),
}

/// A machine's files.
///
/// # Errors
/// Every method gives what the system says.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Io: Send + Sync + Debug {
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn IoFile>>;
    /// The names in a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;
    /// Makes a folder and those above it, as far as they are missing.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Gives a file another name, in place of the file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, which must be free.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits.
    fn pause(&self, time: Duration);
}

/// An open file. Dropping it closes it.
///
/// # Errors
/// Every method gives what the system says.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
pub trait IoFile: Send + Sync + Debug {
    /// Bytes in the file.
    fn bytes(&self) -> io::Result<u64>;
    /// Reads from `offset` into `buffer` and says how many bytes; 0 at the file's end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes the first bytes of `bytes` at `offset` and says how many.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Reserves room, so that the file reads as zeros up to `bytes` and a full disk is met here.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`). After a failure what was written since the last success may be
    /// lost, and reads may go on showing it.
    fn sync(&self) -> io::Result<()>;
    /// Locks the file until it is closed, without waiting; `false` where another has it.
    fn lock(&self) -> io::Result<bool>;
    /// The permission bits.
    fn mode(&self) -> io::Result<u32>;
    /// Sets the permission bits.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
}

/// The operating system.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Io for System {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn IoFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(!matches!(access, Access::Read | Access::PastCache));
        match access {
            Access::Read | Access::Write => {}
            Access::PastCache => {
                let flags = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
                options.custom_flags(flags);
            }
            Access::Make(mode) => {
                options.create(true).mode(mode);
            }
            Access::New(mode) => {
                options.create_new(true).mode(mode);
            }
        }
        let file = options.open(path)?;
        Ok(Box::new(SystemFile { file, past_cache: access == Access::PastCache }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|item| Ok(item?.file_name())).collect()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn pause(&self, time: Duration) {
        thread::sleep(time);
    }
}

#[derive(Debug)]
struct SystemFile {
    file: File,
    past_cache: bool,
}

impl SystemFile {
    /// Reads whole sectors into aligned memory, as the device asks, and copies the wanted part.
    fn read_past_cache(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let before = offset % DIRECT_ALIGNMENT as u64;
        let lead = usize::try_from(before).map_err(io::Error::other)?;
        let whole = lead.saturating_add(buffer.len()).next_multiple_of(DIRECT_ALIGNMENT);
        let mut room = vec![0; whole.saturating_add(DIRECT_ALIGNMENT)];
        let start = room.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let aligned = room.get_mut(start..start.saturating_add(whole)).ok_or(io::ErrorKind::InvalidInput)?;
        let found = self.file.read_at(aligned, offset - before)?.saturating_sub(lead).min(buffer.len());
        buffer[..found].copy_from_slice(&aligned[lead..lead + found]);
        Ok(found)
    }
}

impl IoFile for SystemFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.past_cache { self.read_past_cache(buffer, offset) } else { self.file.read_at(buffer, offset) }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // Some file systems reserve nothing. The zeros written ahead then meet a full disk, still before any
            // block does; here only the length is set.
            Err(Errno::OPNOTSUPP) => self.file.set_len(bytes.max(self.bytes()?)),
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn mode(&self) -> io::Result<u32> {
        Ok(self.file.metadata()?.permissions().mode())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))
    }
}
