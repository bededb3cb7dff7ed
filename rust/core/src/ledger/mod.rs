//! The ledger machine: check → execute → seal → index, with the execution left to the caller.
//!
//! One path serves ingest, recovery and audit: a caller's transactions or a stored block are opened, the caller runs
//! the rules and hands back records, and the sealing thread hashes, compares or appends, and passes on to the index.
//! The machine knows no rule about money; it refuses whatever has not the right signatures, lane, time or spelling.

mod authorities;
mod backup;
mod by_key;
mod chain;
mod check;
mod columns;
mod fill;
mod identity;
mod lanes;
mod open;
mod read;
mod recall;
mod records;
mod recover;
mod repair;
mod seal;
mod shared;
mod sign;
mod survey;
mod view;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

pub use backup::{Copied, backup, confirm};
pub use chain::Chain;
pub use check::{Checked, CheckedBlock, CheckedTransaction};
pub use columns::{Columns, RECORD_BYTES_MAX};
pub use lanes::Position;
pub use open::{ENTRIES_MAX, Opened, Repeated, StoredBlock};
pub use read::{Entered, RecordAt};
pub use repair::{Mended, Repair, Shown, repair};
pub use sign::SignedMark;
pub use survey::{Held, Survey};
pub use view::{Reader, View};

use authorities::Authorities;
use identity::Identity;
use lanes::Lanes;
use seal::{Executed, Job, Sealer};
use shared::{Shared, Tip};

use crate::block;
use crate::canonical;
use crate::encoding;
use crate::error::Rejection;
use crate::hash::{self, EMPTY, Hash, HashSuite};
use crate::index::{IndexFailure, RecordIndex};
use crate::log::{
    self, Blocks, ChangesFiles, Damage, Durability, FrameError, Lock, LogError, LogReader, LogWriter, Storage,
};
use crate::state_map;

/// Format version in `ledger.json`.
const FORMAT: u64 = 1;
/// The folder of the changes files.
const CHANGES: &str = "changes";
/// Sealed blocks that may wait for the index: enough that one commit takes several, and a bound for their memory, some
/// seven megabytes for a block of ten thousand instructions.
const BLOCKS_TO_INDEX: usize = 8;

/// Why the ledger machine cannot go on, or a reader cannot have what it asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Bytes that are not what was signed, sealed or committed to.
    #[error("block {height}: {message}")]
    Tampered {
        /// Block at fault.
        height: u64,
        /// What was found.
        message: String,
    },
    /// The disk or the file system failed.
    #[error("{0}")]
    Storage(String),
    /// Another process has the ledger open for writing.
    #[error("{0}")]
    Locked(String),
    /// The index cannot be believed and must be made anew.
    #[error("the index must be made anew: {0}")]
    IndexStale(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It was written by a later version.
    #[error("{0}")]
    Version(String),
    /// The folder is not what the caller takes it for.
    #[error("{0}")]
    Conflict(String),
    /// The folder is a copy that nobody has confirmed.
    #[error("{0}")]
    Unconfirmed(String),
    /// The handle was opened for reading only.
    #[error("the ledger is open for reading only")]
    ReadOnly,
    /// The handle was closed.
    #[error("the ledger is closed")]
    Closed,
    /// The caller broke the machine's contract.
    #[error("internal error: {0}")]
    Internal(String),
    /// Block 0 is not signed as it declares.
    #[error("block 0: {0}")]
    Genesis(Rejection),
}

impl LedgerError {
    fn at(height: u64, error: Self) -> Self {
        match error {
            Self::Storage(message) => Self::Storage(format!("block {height}: {message}")),
            other => other,
        }
    }
}

/// Refuses a block that a later version wrote, which is no damage.
fn refuse_later(height: u64, header: &[u8]) -> Result<(), LedgerError> {
    block::later_type(header).map_or(Ok(()), |found| {
        Err(LedgerError::Version(format!("block {height} is of type {found}, and this version reads finchain.block.1")))
    })
}

impl From<LogError> for LedgerError {
    fn from(error: LogError) -> Self {
        match &error {
            LogError::Corrupt { why: Damage::Frame(FrameError::Version { .. }), .. } => {
                Self::Version(error.to_string())
            }
            LogError::Locked { .. } => Self::Locked(error.to_string()),
            LogError::Empty { .. } => Self::Tampered { height: 0, message: error.to_string() },
            LogError::Corrupt { height, .. } => Self::Tampered { height: *height, message: error.to_string() },
            _ => Self::Storage(error.to_string()),
        }
    }
}

impl From<IndexFailure> for LedgerError {
    fn from(error: IndexFailure) -> Self {
        Self::IndexStale(error.0)
    }
}

/// What begins a ledger's folder once block 0's hash is known.
#[derive(Debug)]
pub(crate) struct Genesis {
    dir: PathBuf,
    origin: String,
    blocks: Blocks,
    durability: Durability,
}

impl Genesis {
    fn begin(self, hash: &Hash, shared: &Shared) -> Result<LogWriter, LedgerError> {
        let writer = LogWriter::create(self.blocks.clone(), identity::tag_of(hash), self.durability)?;
        let name = format!("{}#{}", self.origin, encoding::hex(hash));
        let identity = Identity { name, origin: self.origin, zero: *hash };
        let path = self.dir.join(identity::LEDGER_JSON);
        log::durable::create_new(self.blocks.io(), &path, identity.to_json().as_bytes(), 0o644)?;
        shared.name_block_zero(hash);
        Ok(writer)
    }
}

/// The executor's side: what is true at the end of the last executed block.
#[derive(Debug)]
pub(crate) struct Executor {
    /// Height of the block that comes next.
    pub height: u64,
    /// Time of the last executed block.
    pub time_ms: u64,
    /// Rulebook in force for the next block.
    pub rulebook: u32,
    /// Who may sign.
    pub authorities: Authorities,
    /// Where every lane stands.
    pub lanes: Lanes,
}

/// Kinds of the records that the core itself goes by (`docs/format.md` section 5.2).
const CORE_KINDS: [&str; 3] = ["party", "key", LEDGER_KIND];
const LEDGER_KIND: &str = "ledger";
/// Id of the only record of that kind.
const LEDGER_ID: &str = "ledger";

impl Executor {
    /// Takes note of a record that was written, if the core goes by it.
    ///
    /// # Errors
    /// The record is not as `docs/format.md` section 5.2 says.
    pub fn note(&mut self, kind: &str, id: &str, record: &[u8]) -> Result<(), String> {
        if kind != LEDGER_KIND {
            return self.authorities.note(kind, id, record);
        }
        let value = canonical::Value::parse(record, canonical::DEPTH_MAX).map_err(|e| format!("ledger {id}: {e}"))?;
        let number = value.get("rulebook").and_then(canonical::Value::as_integer);
        self.rulebook = number
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| format!("ledger {id}: rulebook is {number:?}, expected a number from 0 to 2^32-1"))?;
        Ok(())
    }
}

/// How a ledger is created or opened.
#[derive(Debug, Default)]
pub struct Options {
    /// No lock and no writing of blocks: for audit and for following a writer, with an index of one's own.
    pub read_only: bool,
    /// For a follower, which only reads: the lock of its own folder. Its index is kept to go on from, and blocks that
    /// differ from those that it was made from are tampering.
    pub follow: Option<PathBuf>,
    /// Height below which every block was acknowledged, from a signed mark or a checkpoint kept outside.
    pub durable_height: Option<u64>,
    /// What stands before an acknowledgement from now on; where absent, what stood there before, or one sync at first.
    pub durability: Option<Durability>,
    /// Where the ledger is kept.
    pub storage: Storage,
    /// Most blocks that are looked at, where it is open for reading only: what stands before damage.
    pub blocks_max: Option<u64>,
}

/// What opening found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Blocks in the log.
    pub blocks: u64,
    /// First block that the caller has to replay; equal to `blocks` where there is none.
    pub replay_from: u64,
    /// A torn last frame that was cut off, in words.
    pub cut: Option<String>,
    /// Why the index was made anew, where it was.
    pub index_stale: Option<String>,
    /// Whether the folder is a copy that nobody has confirmed: it can be read, and nothing else.
    pub copy: bool,
}

/// A ledger that is open.
pub struct Ledger {
    dir: PathBuf,
    blocks: Blocks,
    /// For reading; the sealing thread appends.
    changes: Mutex<ChangesFiles>,
    origin: String,
    suite: &'static dyn HashSuite,
    /// Gone once the ledger is closed, so that its folder can be opened again.
    index: Mutex<Option<Arc<dyn RecordIndex>>>,
    shared: Arc<Shared>,
    executor: Mutex<Executor>,
    reader: Mutex<Option<LogReader>>,
    cached_block: Mutex<Option<Arc<StoredBlock>>>,
    jobs: Mutex<Option<SyncSender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    read_only: bool,
    keeps_index: bool,
    copy: bool,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.dir).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A lock that a panicking thread held is still a lock: the state behind it is checked by hashes, not by trust.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Begins a ledger in the empty folder `dir`; block 0 is still to be opened, executed and sealed.
    ///
    /// # Errors
    /// The hash suite is unknown, or the folder cannot be written.
    pub fn create(
        dir: &Path,
        origin: &str,
        suite: &str,
        rulebook: u32,
        index: Arc<dyn RecordIndex>,
        options: &Options,
    ) -> Result<Self, LedgerError> {
        let suite = hash::suite(suite).ok_or_else(|| {
            LedgerError::NotFound(format!("there is no hash suite {suite:?}; there are {}", hash::SUITE_NAMES))
        })?;
        let blocks = Blocks::new(&options.storage, dir.join("blocks"));
        let durability = options.durability.unwrap_or_default();
        let genesis = Genesis { dir: dir.to_owned(), origin: origin.to_owned(), blocks: blocks.clone(), durability };
        let shared = Arc::new(Shared::new(suite, None));
        let executor =
            Executor { height: 0, time_ms: 0, rulebook, authorities: Authorities::default(), lanes: Lanes::default() };
        index.mark_open()?;
        Ok(Self::start((dir, blocks), origin, suite, index, shared, executor, (None, Some(genesis)), None, options))
    }

    #[allow(clippy::too_many_arguments)] // One private constructor; a struct for its arguments would name them twice.
    fn start(
        (dir, blocks): (&Path, Blocks),
        origin: &str,
        suite: &'static dyn HashSuite,
        index: Arc<dyn RecordIndex>,
        shared: Arc<Shared>,
        executor: Executor,
        (writer, genesis): (Option<LogWriter>, Option<Genesis>),
        reader: Option<LogReader>,
        options: &Options,
    ) -> Self {
        // One block waits while one is sealed: so the executor is never more than two blocks ahead of the disk.
        let (jobs, job_queue) = sync_channel::<Job>(1);
        let (rows, row_queue) = sync_channel(BLOCKS_TO_INDEX);
        let changes = || ChangesFiles::new(blocks.clone(), dir.join(CHANGES));
        let kept = (!options.read_only).then(changes);
        let sealer = Sealer { suite, writer, genesis, shared: Arc::clone(&shared), index: rows, changes: kept };
        let seal_thread = std::thread::spawn(move || sealer.run(&job_queue));
        let (index_shared, index_writer) = (Arc::clone(&shared), Arc::clone(&index));
        let index_thread =
            std::thread::spawn(move || seal::index_blocks(&row_queue, index_writer.as_ref(), &index_shared));
        Self {
            dir: dir.to_owned(),
            changes: Mutex::new(changes()),
            blocks,
            origin: origin.to_owned(),
            suite,
            index: Mutex::new(Some(index)),
            shared,
            executor: Mutex::new(executor),
            reader: Mutex::new(reader),
            cached_block: Mutex::new(None),
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(vec![seal_thread, index_thread]),
            lock: Mutex::new(None),
            read_only: options.read_only,
            keeps_index: options.follow.is_some() || !options.read_only,
            copy: false,
        }
    }

    pub(crate) fn executor(&self) -> MutexGuard<'_, Executor> {
        locked(&self.executor)
    }

    /// Origin, `#` and block 0's hash; before block 0 is sealed nothing follows `#`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.shared.named() {
            Some(zero) => format!("{}#{}", self.origin, encoding::hex(&zero)),
            None => self.origin_name(),
        }
    }

    /// Refuses what a copy must not do.
    fn refuse_for_copy(&self, what: &str) -> Result<(), LedgerError> {
        if self.copy {
            let dir = self.dir.display();
            return Err(LedgerError::Unconfirmed(format!(
                "{dir} is a copy that was not confirmed: nothing is {what} here"
            )));
        }
        Ok(())
    }

    fn index(&self) -> Result<Arc<dyn RecordIndex>, LedgerError> {
        locked(&self.index).clone().ok_or(LedgerError::Closed)
    }

    fn origin_name(&self) -> String {
        format!("{}#", self.origin)
    }

    /// The hash suite of everything inside blocks.
    #[must_use]
    pub fn suite(&self) -> &'static dyn HashSuite {
        self.suite
    }

    /// Checks a chunk of transactions: spelling, limits, ledger, signatures by the keys known now. Uses all cores.
    #[must_use]
    pub fn check(&self, texts: &[Vec<u8>]) -> Checked {
        let started = Instant::now();
        let transactions = check::parse(texts, &self.name(), self.suite);
        let parsed = Instant::now();
        let keys = check::known_keys(&transactions, &self.executor().authorities);
        let checked = check::verify(transactions, keys);
        self.shared.add_times(&[("parse", parsed - started), ("verify", parsed.elapsed())]);
        checked
    }

    /// Hands the first `columns.counts.len()` transactions of an open block to the sealing thread.
    ///
    /// Waits while two blocks are on their way. The block is durable once [`Ledger::wait_sealed`] says so; columns that
    /// break the format fail there, and end the ledger's handle.
    ///
    /// # Errors
    /// The ledger has failed or is closed, or a party or a key is not as the format says.
    pub fn seal(&self, mut opened: Opened, columns: Columns) -> Result<(), LedgerError> {
        self.shared.failure()?;
        if self.read_only && opened.stored.is_none() {
            return Err(LedgerError::ReadOnly);
        }
        let count = columns.counts.len();
        if count == 0 || count > opened.taken.len() {
            return Err(LedgerError::Internal(format!("{count} executed of {} open transactions", opened.taken.len())));
        }
        opened.taken.truncate(count);
        let mut executor = self.executor();
        if opened.height != executor.height {
            return Err(LedgerError::Internal(format!(
                "block {} sealed where {} follows",
                opened.height, executor.height
            )));
        }
        if columns.has_kind(&CORE_KINDS) {
            for write in columns.rows()?.iter().flatten() {
                executor.note(&write.kind, &write.id, &write.record).map_err(LedgerError::Internal)?;
            }
        }
        if opened.height == 0 {
            for index in &opened.taken {
                if let Some(Ok(checked)) = opened.checked.items.get(*index as usize) {
                    open::judge_rulebook(&checked.transaction, executor.rulebook).map_err(LedgerError::Genesis)?;
                    open::judge_signatures(checked, &executor).map_err(LedgerError::Genesis)?;
                }
            }
        }
        for transaction in opened.transactions() {
            executor.lanes.set(
                &transaction.lane_id(),
                Position { sequence: transaction.sequence, transaction: transaction.id },
                opened.height,
            );
        }
        executor.lanes.settle(self.shared.sealed_blocks());
        executor.height += 1;
        executor.time_ms = opened.time_ms;
        let ledger = if opened.height == 0 { self.origin_name() } else { self.name() };
        let job = Job::Executed(Box::new(Executed { opened, columns, ledger }));
        drop(executor);
        let jobs = locked(&self.jobs).clone().ok_or(LedgerError::Closed)?;
        jobs.send(job).map_err(|_| LedgerError::Closed)
    }

    /// Waits until the block at `height` is durable.
    ///
    /// # Errors
    /// It, or one before it, could not be sealed.
    pub fn wait_sealed(&self, height: u64) -> Result<(), LedgerError> {
        self.shared.wait_sealed(height)
    }

    /// Waits until everything that was sealed is in the index.
    ///
    /// # Errors
    /// The index failed.
    pub fn wait_indexed(&self) -> Result<(), LedgerError> {
        let height = self.executor().height;
        self.wait_indexed_to(height)
    }

    /// Waits until the first `blocks` blocks are in the index.
    ///
    /// # Errors
    /// The index failed.
    pub fn wait_indexed_to(&self, blocks: u64) -> Result<(), LedgerError> {
        self.shared.wait_indexed(blocks)
    }

    /// Blocks that the index holds; records written later must come from the caller's memory.
    #[must_use]
    pub fn indexed_blocks(&self) -> u64 {
        self.shared.indexed_blocks()
    }

    /// Blocks executed so far, which is the height of the next one.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.executor().height
    }

    /// Number of the rulebook that the next block is executed by.
    #[must_use]
    pub fn rulebook(&self) -> u32 {
        self.executor().rulebook
    }

    /// Time of the last executed block.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.executor().time_ms
    }

    /// Last sequence of a lane as of the last executed block, 0 where it has not begun.
    #[must_use]
    pub fn lane_sequence(&self, lane_id: &str) -> u64 {
        self.lane_position(lane_id, &self.executor()).map_or(0, |position| position.sequence)
    }

    /// Where a lane stands; `None` where it has not begun.
    ///
    /// A once lane that was used stands in the state map, unless its block is still on its way there.
    fn lane_position(&self, lane_id: &str, executor: &Executor) -> Option<Position> {
        if !lanes::is_once(lane_id) {
            return executor.lanes.get(lane_id);
        }
        let in_state = || self.shared.values.get(&state_map::record_key(self.suite, lanes::KIND, lane_id)).is_some();
        (executor.lanes.is_underway(lane_id) || in_state()).then_some(Position { sequence: 1, transaction: EMPTY })
    }

    /// Seconds that each stage has worked since the ledger was opened.
    #[must_use]
    pub fn stage_seconds(&self) -> Vec<(&'static str, f64)> {
        self.shared.stage_seconds()
    }

    /// Closes a forked child's copy of the lock: the parent holds it on, and it ends with the parent.
    ///
    /// Nothing is waited for, because the thread that has what one would wait for is not there.
    pub fn abandon_lock(&self) {
        if let Ok(mut lock) = self.lock.try_lock() {
            drop(lock.take());
        }
    }

    /// Finishes what is on its way, marks the index as closed cleanly and lets go of the lock.
    ///
    /// # Errors
    /// What was on its way could not be sealed, or the index could not be synced.
    pub fn close(&self) -> Result<(), LedgerError> {
        let open = locked(&self.jobs).take().is_some();
        let threads = std::mem::take(&mut *locked(&self.threads));
        for thread in threads {
            // A panic there was already reported as a failure, or is a bug that the next open repairs from the blocks.
            let _ = thread.join();
        }
        let result = self.shared.failure();
        let index = locked(&self.index).take();
        let marked = match index {
            Some(index) if open && result.is_ok() && self.keeps_index => {
                fill::followed(&self.executor(), &self.shared.values, self.suite)
                    .and_then(|followed| Ok(index.mark_clean(&self.shared.values, &followed)?))
            }
            _ => Ok(()),
        };
        drop(locked(&self.lock).take());
        result.and(marked)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`; dropping must not fail.
        let _ = self.close();
    }
}
