//! Files and the folder of block files, on any machine: calls that were interrupted or cut short are made again, and
//! an error names what was tried and where.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::io::{Access, Io, IoFile, System};
use super::segment::Sizes;

/// How often a call that was interrupted is made again. A signal interrupts once; whoever interrupts this often wants
/// the call to end.
const INTERRUPTIONS_MAX: u32 = 100;

/// The longest file that is read as a whole: a checkpoint with all its witnesses is far shorter.
pub const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// Digits of a block file's number in its name.
const SEGMENT_DIGITS: usize = 8;

/// The last number that has a file name of eight digits.
pub const SEGMENT_MAX: u32 = 99_999_999;

/// Makes a call again while it is interrupted.
pub(super) fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..INTERRUPTIONS_MAX {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
    call()
}

/// An open file with its path.
#[derive(Debug)]
pub(super) struct File {
    file: Box<dyn IoFile>,
    path: PathBuf,
}

impl File {
    pub fn open(io: &dyn Io, path: &Path, access: Access) -> Result<Self, LogError> {
        let action = if matches!(access, Access::New(_)) { "create" } else { "open" };
        let file = again(|| io.open(path, access)).map_err(LogError::io(action, path))?;
        Ok(Self { file, path: path.into() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> LogError {
        LogError::io(action, &self.path)
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> Result<u64, LogError> {
        again(|| self.file.bytes()).map_err(self.failed("measure"))
    }

    /// Fills `buffer` from `offset`, less where the file ends, and says how many bytes were read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LogError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = offset.saturating_add(filled as u64);
            match again(|| self.file.read_at(&mut buffer[filled..], rest)).map_err(self.failed("read"))? {
                0 => break,
                found => filled += found,
            }
        }
        Ok(filled)
    }

    /// Writes all of `bytes`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), LogError> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = offset.saturating_add(done as u64);
            match again(|| self.file.write_at(&bytes[done..], rest)).map_err(self.failed("write"))? {
                0 => return Err(self.failed("write")(ErrorKind::WriteZero.into())),
                written => done += written,
            }
        }
        Ok(())
    }

    /// Reserves room, so that the file reads as zeros up to `bytes`.
    pub fn allocate(&self, bytes: u64) -> Result<(), LogError> {
        again(|| self.file.allocate(bytes)).map_err(self.failed("allocate"))
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> Result<(), LogError> {
        again(|| self.file.sync()).map_err(self.failed("sync"))
    }

    /// Locks the file until it is dropped, without waiting; `false` where another has it.
    pub fn lock(&self) -> Result<bool, LogError> {
        again(|| self.file.lock()).map_err(self.failed("lock"))
    }

    /// The permission bits.
    pub fn mode(&self) -> Result<u32, LogError> {
        again(|| self.file.mode()).map_err(self.failed("measure"))
    }

    /// Sets the permission bits.
    pub fn set_mode(&self, mode: u32) -> Result<(), LogError> {
        again(|| self.file.set_mode(mode)).map_err(self.failed("protect"))
    }
}

/// All bytes of a small file, or `None` where there is none.
///
/// # Errors
/// `Io`; also if it is longer than `SMALL_FILE_BYTES_MAX`.
pub fn read_small(io: &dyn Io, path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    let file = match File::open(io, path, Access::Read) {
        Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let length = file.bytes()?;
    if length > SMALL_FILE_BYTES_MAX {
        let found = format!("it has {length} bytes, and at most {SMALL_FILE_BYTES_MAX} are read");
        return Err(file.failed("read")(io::Error::new(ErrorKind::FileTooLarge, found)));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let found = file.read_at(&mut bytes, 0)?;
    bytes.truncate(found);
    Ok(Some(bytes))
}

/// Where a ledger is kept: the machine, and the sizes of block files. The default is the operating system's.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The machine.
    pub io: Arc<dyn Io>,
    /// The sizes.
    pub sizes: Sizes,
}

impl Default for Storage {
    fn default() -> Self {
        Self { io: Arc::new(System), sizes: Sizes::default() }
    }
}

/// The folder of a log's block files, and the machine that it is on.
#[derive(Clone, Debug)]
pub struct Blocks {
    pub(super) io: Arc<dyn Io>,
    pub(super) path: PathBuf,
    pub(super) sizes: Sizes,
}

impl Blocks {
    /// The folder at `path`, which need not exist yet.
    #[must_use]
    pub fn new(storage: &Storage, path: impl Into<PathBuf>) -> Self {
        Self { io: Arc::clone(&storage.io), path: path.into(), sizes: storage.sizes }
    }

    /// The machine.
    #[must_use]
    pub fn io(&self) -> &dyn Io {
        self.io.as_ref()
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sizes of its files.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The block file of that number.
    #[must_use]
    pub fn file(&self, segment: u32) -> PathBuf {
        self.path.join(format!("{segment:0SEGMENT_DIGITS$}.blk"))
    }

    /// The numbers of the block files, in rising order.
    ///
    /// # Errors
    /// `Io`.
    pub fn segments(&self) -> Result<Vec<u32>, LogError> {
        let numbers = numbers_in(self.io(), &self.path, SEGMENT_DIGITS, ".blk")?;
        Ok(numbers.into_iter().filter_map(|number| u32::try_from(number).ok()).collect())
    }

    /// Makes the names of the files durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        super::durable::sync_folder(self.io.as_ref(), &self.path)
    }
}

/// The numbers in names like `00000012.blk`, which have so many digits and that ending, in rising order; other files
/// in the folder are none of the log's business. A folder that is lost holds no file, as its reader has to hear.
pub(super) fn numbers_in(io: &dyn Io, folder: &Path, digits: usize, ending: &str) -> Result<Vec<u64>, LogError> {
    let names = match again(|| io.list(folder)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(LogError::io("list", folder))?,
    };
    let number = |name: &str| {
        let found = name.strip_suffix(ending)?;
        let fits = found.len() == digits && found.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| found.parse().ok()).flatten()
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number(name.to_str()?)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
