//! Opening, trusting, growing, closing and wiping an index.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use finchain_core::encoding::hex;
use finchain_core::state_map::{Leaf, Values};
use heed::{MdbError, RoTxn, WithoutTls};

use crate::error::IndexError;
use crate::header;
use crate::keys::Tail;
use crate::leaves::{self, Leaves};
use crate::mark::{self, Mark, boot_id, is_this_boot};
use crate::pages;
use crate::rows::Tip;
use crate::sum::file_sum;
use crate::tables::{Access, LOCK_FILE, Tables, pages_file};

/// How large the memory map is to begin with. Only tests use another size than the default.
#[derive(Clone, Copy, Debug)]
pub struct MapSize {
    /// Bytes; rounded up to a multiple of 64 KiB.
    pub bytes: usize,
}

impl Default for MapSize {
    /// 1 GiB of addresses, doubled whenever it is full. It takes no room on disk: the file has only pages that were
    /// written, 16 KiB when new. Growing from 1 MiB to 256 MiB on the way to 200,000 records cost 0.3 µs a record.
    fn default() -> Self {
        Self { bytes: 1 << 30 }
    }
}

impl MapSize {
    /// For a reader: more than an index can have whose records' hashes fit into a machine's memory. The map takes
    /// addresses and nothing else, and so large a one need never be mapped anew under a state that is being read.
    pub const READER: Self = Self { bytes: 256 << 30 };
}

/// Any multiple of this is a multiple of the system's page size, which a map must be.
const MAP_STEP: usize = 64 << 10;

/// The index of one ledger. It can be shared by threads: one applies while others read.
pub struct Index {
    folder: PathBuf,
    access: Access,
    /// Read for every use of the environment, written to replace it by one with a larger map; `None` if that failed.
    tables: RwLock<Option<Tables>>,
    /// Whether the mark on disk says that the index is closed.
    closed: AtomicBool,
    /// What it was when it was last closed, as long as nothing was written since.
    whole: Mutex<Option<Whole>>,
    /// Whether something that was read cannot be what was written, so that the mark must never say "closed" again.
    condemned: AtomicBool,
    /// Held by whoever writes rows or the mark.
    writing: Mutex<()>,
    /// The latest records by their keys.
    pub(crate) tail: Arc<Tail>,
    /// The one read transaction of a pinned index.
    pinned: Option<Mutex<RoTxn<'static, WithoutTls>>>,
    /// Device and number of the data file that was opened.
    file: (u64, u64),
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("folder", &self.folder).field("access", &self.access).finish_non_exhaustive()
    }
}

/// What an index was when it was closed.
#[derive(Debug)]
struct Whole {
    /// Bytes of the data file.
    bytes: u64,
    /// Their sum.
    sum: String,
    leaves: Arc<Leaves>,
}

/// An index that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The index.
    pub index: Index,
    /// Up to where it goes, or `None` if it is empty.
    pub meta: Option<Meta>,
}

/// Up to where an index goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Hash of block 0.
    pub ledger: [u8; 32],
    /// Height of the last block.
    pub height: u64,
    /// Hash of the last block.
    pub block_hash: [u8; 32],
    /// The number of records ever born, which is the next one's number.
    pub next_number: u32,
    /// Whether it is marked as closed: synced, and not written since.
    pub clean: bool,
}

/// Which state of which data file is read: another one is another edition, whatever height it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Device and number of the data file.
    pub file: (u64, u64),
    /// LMDB's number of the transaction that made the state.
    pub transaction: usize,
}

impl Index {
    /// Opens the index in `folder`, or makes a new one.
    ///
    /// # Errors
    /// Where `needs_wipe` holds: `Damaged`, `Foreign`, `Version`, `Doubtful`. Else `AlreadyOpen`, `Io`, `Lmdb`.
    pub fn open(folder: &Path) -> Result<Opened, IndexError> {
        Self::open_with(folder, MapSize::default())
    }

    /// `open` with another size of the map to begin with.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(folder: &Path, map: MapSize) -> Result<Opened, IndexError> {
        fs::create_dir_all(folder).map_err(IndexError::io("create", folder))?;
        let mark = if let Some(mark) = trusted_mark(folder, Access::Write)? {
            mark
        } else {
            // The mark comes first, so that a new index is as good as an old one after a crash of the process.
            let mark = Mark::Open { boot: boot_id() };
            mark.write(folder)?;
            mark
        };
        Self::open_trusted(folder, map, Access::Write, &mark)
    }

    /// Opens an index that another process writes, for reading only.
    ///
    /// # Errors
    /// As `open`, and `Absent` if there is no index. Wiping is then up to the process that writes.
    pub fn open_reader(folder: &Path) -> Result<Opened, IndexError> {
        Self::open_reader_with(folder, MapSize::READER)
    }

    /// `open_reader` with another size of the map to begin with.
    ///
    /// # Errors
    /// As `open_reader`.
    pub fn open_reader_with(folder: &Path, map: MapSize) -> Result<Opened, IndexError> {
        let mark = trusted_mark(folder, Access::Read)?.ok_or_else(|| IndexError::Absent { path: folder.into() })?;
        Self::open_trusted(folder, map, Access::Read, &mark)
    }

    fn open_trusted(folder: &Path, map: MapSize, access: Access, mark: &Mark) -> Result<Opened, IndexError> {
        let bytes = map.bytes.max(1).next_multiple_of(MAP_STEP);
        let tables = Tables::open(folder, bytes, access)?;
        let file = file_identity(folder)?;
        let txn = tables.env.read_txn().map_err(IndexError::lmdb("read"))?;
        let tip = tables.tip(&txn)?;
        drop(txn);
        // A reader may come between the writer's last commit and its mark.
        let clean = matches!(mark, Mark::Closed { .. });
        if access == Access::Write && clean && !mark.names(tip.as_ref()) {
            return Err(IndexError::damaged("it does not end with the block that its mark names"));
        }
        let meta = tip.map(|tip| Meta::of(&tip, clean));
        let whole = match mark {
            Mark::Closed { bytes, sum, leaves, .. } if access == Access::Write => {
                Some(Whole { bytes: *bytes, sum: sum.clone(), leaves: Arc::new(leaves::open(folder, leaves)?) })
            }
            _ => None,
        };
        let index = Self {
            folder: folder.into(),
            access,
            tables: RwLock::new(Some(tables)),
            closed: AtomicBool::new(clean),
            whole: Mutex::new(whole),
            condemned: AtomicBool::new(false),
            writing: Mutex::default(),
            tail: Arc::default(),
            pinned: None,
            file,
        };
        Ok(Opened { index, meta })
    }

    /// The index as it is now, for reading: each call on what this gives sees the same state, whatever is applied
    /// meanwhile. LMDB keeps every page of that state until this is dropped, so it is not to be held for long.
    ///
    /// # Errors
    /// `ReadersFull`, `Closed`, `Lmdb`.
    pub fn pin(&self) -> Result<Self, IndexError> {
        self.with(|tables| {
            let begun = match tables.env.clone().static_read_txn() {
                Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                    // Processes that were killed in a read left their places taken.
                    tables.env.clear_stale_readers().map_err(IndexError::lmdb("read"))?;
                    tables.env.clone().static_read_txn()
                }
                begun => begun,
            };
            let txn = begun.map_err(IndexError::lmdb("read"))?;
            Ok(Self {
                folder: self.folder.clone(),
                access: Access::Read,
                tables: RwLock::new(Some(tables.clone())),
                closed: AtomicBool::new(self.closed.load(Ordering::Acquire)),
                whole: Mutex::default(),
                condemned: AtomicBool::new(false),
                writing: Mutex::default(),
                tail: Arc::clone(&self.tail),
                pinned: Some(Mutex::new(txn)),
                file: self.file,
            })
        })
    }

    /// Whether the data file that was opened is still the one in the folder: one that cannot be believed is wiped and
    /// made anew by whoever writes, under readers that go on seeing what was there.
    #[must_use]
    pub fn is_current(&self) -> bool {
        file_identity(&self.folder).is_ok_and(|file| file == self.file)
    }

    /// Removes the index in `folder`, which must not be open in this process. Other files there stay.
    ///
    /// # Errors
    /// `Io`.
    pub fn wipe(folder: &Path) -> Result<(), IndexError> {
        // The mark goes first: without it nobody trusts what is left if this is interrupted.
        for path in [mark::path(folder), pages_file(folder), folder.join(LOCK_FILE), leaves::path(folder)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(IndexError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Up to where the index goes, or `None` if it is empty.
    ///
    /// # Errors
    /// `Damaged`, `Lmdb`.
    pub fn meta(&self) -> Result<Option<Meta>, IndexError> {
        let clean = self.closed.load(Ordering::Acquire);
        Ok(self.read(Tables::tip)?.map(|tip| Meta::of(&tip, clean)))
    }

    /// Which state is read.
    ///
    /// # Errors
    /// `ReadersFull`, `Closed`, `Disk`, `Lmdb`.
    pub fn edition(&self) -> Result<Edition, IndexError> {
        self.read(|_, txn| Ok(Edition { file: self.file, transaction: txn.id() }))
    }

    /// The numbers that were given to `mark_clean`, where every byte is as it was then: it was opened for writing, with
    /// a sum that held, and nothing was written since. `None` where that is not so.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub fn followed(&self) -> Result<Option<Vec<u32>>, IndexError> {
        self.whole().as_ref().map(|whole| whole.leaves.followed()).transpose()
    }

    /// The leaves that `mark_clean` kept of the keys that begin with that byte, where `followed` gives something.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub fn leaves(&self, first: u8) -> Result<Vec<Leaf>, IndexError> {
        let leaves = self.whole().as_ref().map(|whole| Arc::clone(&whole.leaves));
        leaves.ok_or_else(|| IndexError::damaged("no leaves were kept, or it was written since"))?.of(first)
    }

    fn whole(&self) -> MutexGuard<'_, Option<Whole>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the index as one that may be written, durably. `apply` does so by itself where need be.
    ///
    /// # Errors
    /// `ReadOnly`, `Io`.
    pub fn mark_open(&self) -> Result<(), IndexError> {
        let _writing = self.lock_to_write()?;
        self.set_open()
    }

    /// Forgets what a data file was that is about to change.
    pub(crate) fn written(&self) {
        *self.whole() = None;
    }

    /// `mark_open` for those who hold the lock.
    pub(crate) fn set_open(&self) -> Result<(), IndexError> {
        if self.closed.load(Ordering::Acquire) {
            Mark::Open { boot: boot_id() }.write(&self.folder)?;
            self.closed.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Notes that the index is not to be believed: whoever opens it next wipes it and fills it again.
    ///
    /// # Errors
    /// `Io`.
    pub fn condemn(&self) -> Result<(), IndexError> {
        if self.access == Access::Read || self.condemned.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let path = mark::path(&self.folder);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(IndexError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Syncs the index, keeps beside it the leaves of the state after its last block and the numbers of the records
    /// that the core follows, and marks it as closed, so that it can be trusted after a restart of the machine.
    ///
    /// An index that was condemned stays without a mark, and one for whose leaves the disk has no room as it is.
    ///
    /// # Errors
    /// `ReadOnly`, `Closed`, `Io`, `Lmdb`.
    pub fn mark_clean(&self, state: &Values, followed: &[u32]) -> Result<(), IndexError> {
        let _writing = self.lock_to_write()?;
        if self.condemned.load(Ordering::Acquire) {
            return Ok(());
        }
        let path = pages_file(&self.folder);
        let closed = self.read(|tables, txn| {
            let bytes = tables.complete(&path)?;
            tables.env.force_sync().map_err(IndexError::lmdb("sync"))?;
            let mut whole = self.whole();
            let known = if let Some(known) = whole.take().filter(|known| known.bytes == bytes) {
                known
            } else {
                let Some(leaves) = leaves::write(&self.folder, state, followed)? else { return Ok(None) };
                Whole { bytes, sum: hex(&file_sum(&path, bytes)?), leaves: Arc::new(leaves) }
            };
            let mark = Mark::closed(bytes, known.sum.clone(), known.leaves.sum.clone(), tables.tip(txn)?.as_ref());
            *whole = Some(known);
            Ok(Some(mark))
        })?;
        if let Some(closed) = closed {
            closed.write(&self.folder)?;
            self.closed.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The lock of those who write; it also holds off a mark while rows are written.
    pub(crate) fn lock_to_write(&self) -> Result<MutexGuard<'_, ()>, IndexError> {
        if self.access == Access::Read {
            return Err(IndexError::ReadOnly);
        }
        Ok(self.writing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `act` on the environment, which cannot be replaced meanwhile. Damage that it meets condemns the index.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Tables) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let guard = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let done = act(guard.as_ref().ok_or(IndexError::Closed)?);
        if matches!(&done, Err(IndexError::Damaged { .. })) {
            self.condemn()?;
        }
        done
    }

    /// Runs `act` in a read transaction: it sees one state, whatever is applied meanwhile.
    pub(crate) fn read<T>(
        &self,
        mut act: impl FnMut(&Tables, &RoTxn<WithoutTls>) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        if let Some(pinned) = &self.pinned {
            let txn = pinned.lock().unwrap_or_else(PoisonError::into_inner);
            return self.with(|tables| act(tables, &txn));
        }
        loop {
            let found = self.with(|tables| match tables.env.read_txn() {
                Ok(txn) => act(tables, &txn).map(Some),
                Err(heed::Error::Mdb(MdbError::MapResized)) => Ok(None),
                Err(error) => Err(IndexError::lmdb("read")(error)),
            });
            match found? {
                Some(found) => return Ok(found),
                // Another process has made the map larger than ours.
                None => self.grow()?,
            }
        }
    }

    /// Closes the environment and opens it with twice the map, once nobody uses it.
    pub(crate) fn grow(&self) -> Result<(), IndexError> {
        let mut guard = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let tables = guard.take().ok_or(IndexError::Closed)?;
        let map = tables.env.info();
        let used = map.last_page_number.saturating_add(1).saturating_mul(tables.env.stat().page_size as usize);
        drop(tables);
        let bytes = map.map_size.max(used).saturating_mul(2);
        *guard = Some(Tables::open(&self.folder, bytes, self.access)?);
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn file_identity(folder: &Path) -> Result<(u64, u64), IndexError> {
    let path = pages_file(folder);
    let found = fs::metadata(&path).map_err(IndexError::io("measure", &path))?;
    Ok((found.dev(), found.ino()))
}

impl Meta {
    fn of(tip: &Tip, clean: bool) -> Self {
        let Tip { ledger, height, block_hash, next_number } = *tip;
        Self { ledger, height, block_hash, next_number, clean }
    }
}

/// The mark of an index whose files can be given to LMDB, or `None` if there are no files yet.
///
/// Whoever will write also has the file of a closed index summed, and that of another one walked.
fn trusted_mark(folder: &Path, access: Access) -> Result<Option<Mark>, IndexError> {
    let path = pages_file(folder);
    let bytes = match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(IndexError::io("measure", &path))?.len(),
    };
    let mark = Mark::read(folder)?.filter(|mark| !matches!(mark, Mark::Open { boot } if !is_this_boot(boot)));
    let Some(mark) = mark else { return Err(IndexError::Doubtful { path }) };
    match &mark {
        Mark::Closed { bytes: expected, .. } if bytes < *expected => {
            let what = format!("the data file has {bytes} bytes and had {expected} when it was closed");
            return Err(IndexError::damaged(what));
        }
        // A process that ended just after it made the file leaves it empty.
        Mark::Open { .. } if bytes == 0 => {}
        Mark::Open { .. } if access == Access::Write => pages::check(&path, &header::check(&path)?)?,
        _ => {
            header::check(&path)?;
        }
    }
    if let Mark::Closed { bytes, sum, .. } = &mark
        && access == Access::Write
        && hex(&file_sum(&path, *bytes)?) != *sum
    {
        return Err(IndexError::damaged("the data file is not what it was when it was closed"));
    }
    Ok(Some(mark))
}
