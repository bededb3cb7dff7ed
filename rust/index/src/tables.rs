//! The open LMDB environment and its tables; the one place with unsafe code.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls};

use crate::error::IndexError;
use crate::rows::{Place, Tip, decode_format, decode_record_head, record_key};

/// The format of the tables; another one is another index.
pub(crate) const FORMAT: u32 = 6;
/// Threads and processes that may read at once: LMDB's own default, and more than any machine here has cores.
const READERS_MAX: u32 = 126;
/// The file that LMDB keeps its pages in.
pub(crate) const FILE: &str = "data.mdb";
/// The file that LMDB coordinates processes with.
pub(crate) const LOCK_FILE: &str = "lock.mdb";

/// The tables, which are made together.
pub(crate) const NAMES: [&str; 6] = ["keys", "records", "touches", "lanes", "blocks", "meta"];

pub(crate) type Table = Database<Bytes, Bytes>;

/// An open environment.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub env: Env<WithoutTls>,
    pub keys: Table,
    pub records: Table,
    pub touches: Table,
    pub lanes: Table,
    pub blocks: Table,
    pub meta: Table,
}

/// What an environment is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading and writing; missing tables are made.
    Write,
    /// Reading what another process writes.
    Read,
}

impl Tables {
    /// Opens the environment in `folder` with a map of `map_bytes`, or as large as the file if that is larger.
    pub fn open(folder: &Path, map_bytes: usize, access: Access) -> Result<Self, IndexError> {
        let env = open_env(folder, map_bytes, access)?;
        let tables = match access {
            Access::Write => Self::create(env)?,
            Access::Read => Self::existing(env, folder)?,
        };
        tables.check_format()?;
        Ok(tables)
    }

    fn create(env: Env<WithoutTls>) -> Result<Self, IndexError> {
        let fail = IndexError::lmdb("open");
        // A process that was killed in a read leaves its place taken and its pages unused.
        env.clear_stale_readers().map_err(&fail)?;
        let mut txn = env.write_txn().map_err(&fail)?;
        let mut table = |name| env.create_database(&mut txn, Some(name)).map_err(&fail);
        let (keys, records, touches) = (table("keys")?, table("records")?, table("touches")?);
        let (lanes, blocks, meta): (_, _, Table) = (table("lanes")?, table("blocks")?, table("meta")?);
        if meta.is_empty(&txn).map_err(&fail)? {
            meta.put(&mut txn, b"format", &FORMAT.to_le_bytes()).map_err(&fail)?;
        }
        txn.commit().map_err(&fail)?;
        Ok(Self { env, keys, records, touches, lanes, blocks, meta })
    }

    fn existing(env: Env<WithoutTls>, folder: &Path) -> Result<Self, IndexError> {
        let fail = IndexError::lmdb("open");
        let txn = env.read_txn().map_err(&fail)?;
        let table = |name| {
            env.open_database(&txn, Some(name))
                .map_err(&fail)?
                .ok_or_else(|| IndexError::Foreign { path: folder.join(FILE) })
        };
        let (keys, records, touches) = (table("keys")?, table("records")?, table("touches")?);
        let (lanes, blocks, meta) = (table("lanes")?, table("blocks")?, table("meta")?);
        // Committing keeps the tables open beyond this transaction.
        txn.commit().map_err(&fail)?;
        Ok(Self { env, keys, records, touches, lanes, blocks, meta })
    }

    fn check_format(&self) -> Result<(), IndexError> {
        let fail = IndexError::lmdb("read");
        let txn = self.env.read_txn().map_err(&fail)?;
        let row = self.meta.get(&txn, b"format").map_err(&fail)?;
        let found = decode_format(row.ok_or_else(|| IndexError::damaged("it states no format"))?)?;
        if found == FORMAT { Ok(()) } else { Err(IndexError::Version { expected: FORMAT, found }) }
    }

    /// The row of a record.
    pub fn record<'t>(&self, txn: &'t RoTxn<WithoutTls>, number: u32) -> Result<Option<&'t [u8]>, IndexError> {
        self.records.get(txn, &record_key(number)).map_err(IndexError::lmdb("read"))
    }

    /// Where a record that was born was last touched, and its key.
    pub fn record_head<'t>(
        &self,
        txn: &'t RoTxn<WithoutTls>,
        number: u32,
    ) -> Result<(Place, &'t [u8; 32]), IndexError> {
        let row = self.record(txn, number)?;
        decode_record_head(number, row.ok_or_else(|| IndexError::damaged(format!("record {number} is missing")))?)
    }

    pub fn tip(&self, txn: &RoTxn<WithoutTls>) -> Result<Option<Tip>, IndexError> {
        self.meta.get(txn, b"tip").map_err(IndexError::lmdb("read"))?.map(Tip::decode).transpose()
    }

    /// Makes the data file as long as its pages say, which LMDB leaves open when a transaction's last pages are
    /// free again before they are written. So a file that is shorter was cut by something else.
    pub fn complete(&self, path: &Path) -> Result<u64, IndexError> {
        let pages = u64::try_from(self.env.info().last_page_number).unwrap_or(u64::MAX).saturating_add(1);
        let needed = pages.saturating_mul(u64::from(self.env.stat().page_size));
        let found = std::fs::metadata(path).map_err(IndexError::io("measure", path))?.len();
        if found < needed {
            let file = OpenOptions::new().write(true).open(path).map_err(IndexError::io("open", path))?;
            file.set_len(needed).map_err(IndexError::io("extend", path))?;
        }
        Ok(found.max(needed))
    }
}

/// Opens the environment.
///
/// Without syncs: after a crash of the process the pages are in the system's cache, and after a loss of power the mark
/// says that the index is to be rebuilt.
fn open_env(folder: &Path, map_bytes: usize, access: Access) -> Result<Env<WithoutTls>, IndexError> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_readers(READERS_MAX).max_dbs(6);
    let flags = match access {
        Access::Write => EnvFlags::NO_SYNC,
        Access::Read => EnvFlags::READ_ONLY,
    };
    // SAFETY: The map must not be changed but by LMDB. The folder belongs to this crate alone; the ledger's lock
    // admits one writing process; other processes come through this function too, and LMDB's own lock file, which
    // is not disabled, orders them. `wipe` unlinks files and never shortens one that may be mapped. The environment
    // is closed and opened, never resized, so no transaction can outlive a map. NO_SYNC puts only durability
    // at risk: the order of writes in the page cache is kept, and the mark covers the rest.
    #[allow(unsafe_code, reason = "opening a memory map is unsafe whatever one does; everything else here is safe")]
    let opened = unsafe { options.flags(flags).open(folder) };
    opened.map_err(|error| match error {
        heed::Error::EnvAlreadyOpened => IndexError::AlreadyOpen { path: folder.into() },
        heed::Error::Io(source) => IndexError::Io { action: "open", path: folder.join(FILE), source },
        other => IndexError::lmdb("open")(other),
    })
}

/// The data file in `folder`.
pub(crate) fn pages_file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
