//! What the log needs of a file system, and nothing more.
//!
//! The log speaks to these two traits so that tests can put a disk under it that tears writes, forgets what was
//! not synced and fails at any step. `Folder` is the real one.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::FallocateFlags;

/// The last number that has a file name of eight digits.
pub const SEGMENT_MAX: u32 = 99_999_999;

/// A folder of block files.
pub trait Disk: Send + Sync + Debug {
    /// The numbers of the block files, in rising order.
    ///
    /// # Errors
    /// What the system says.
    fn segments(&self) -> io::Result<Vec<u32>>;
    /// Makes a new, empty block file.
    ///
    /// # Errors
    /// What the system says; also if the file exists.
    fn create(&self, segment: u32) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a block file, for writing too if `write`.
    ///
    /// # Errors
    /// What the system says; `NotFound` if there is no such file.
    fn open(&self, segment: u32, write: bool) -> io::Result<Box<dyn SegmentFile>>;
    /// Makes the creation of files durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;
    /// The folder, or with a number the block file, for messages.
    fn path(&self, segment: Option<u32>) -> PathBuf;
}

/// A block file.
pub trait SegmentFile: Send + Sync + Debug {
    /// Bytes in the file.
    ///
    /// # Errors
    /// What the system says.
    fn bytes(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`, less where the file ends, and says how many bytes were read.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reserves room, so that the file reads as zeros up to `bytes` and a full disk is met here.
    ///
    /// # Errors
    /// What the system says.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`).
    ///
    /// # Errors
    /// What the system says; what was written since the last success may be lost.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Disk for Folder {
    fn segments(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for item in fs::read_dir(&self.path)? {
            numbers.extend(item?.file_name().to_str().and_then(segment_number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn create(&self, segment: u32) -> io::Result<Box<dyn SegmentFile>> {
        let path = self.path(Some(segment));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(path)?;
        Ok(Box::new(BlockFile(file)))
    }

    fn open(&self, segment: u32, write: bool) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().read(true).write(write).open(self.path(Some(segment)))?;
        Ok(Box::new(BlockFile(file)))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn path(&self, segment: Option<u32>) -> PathBuf {
        segment.map_or_else(|| self.path.clone(), |number| self.path.join(format!("{number:08}.blk")))
    }
}

/// The number in a name like `00000012.blk`; other files in the folder are none of the log's business.
fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".blk")?;
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[derive(Debug)]
struct BlockFile(File);

impl SegmentFile for BlockFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                // Some file systems reserve nothing. The zeros written ahead then meet a full disk, still before
                // any block does; here only the length is set.
                Err(rustix::io::Errno::OPNOTSUPP) => return self.0.set_len(bytes.max(self.bytes()?)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
