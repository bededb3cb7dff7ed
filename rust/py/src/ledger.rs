//! The ledger machine, as Python drives it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;

use finchain_core::block::Refusal;
use finchain_core::encoding;
use finchain_core::error::Rejection;
use finchain_core::index::{RecordIndex, Stored, Touch};
use finchain_core::ledger::{self, Columns, LedgerError, Options};
use finchain_core::log::Durability;
use finchain_index::Index;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict};

use crate::error::{ConfigError, ledger_error, locked};
use crate::key::SecretKey;
use crate::opened::Opened;
use crate::process::OfProcess;
use crate::receipt::verifier_keys;

/// A chunk of transactions after the check stage.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Checked(Mutex<Arc<ledger::Checked>>);

impl Checked {
    fn chunk(&self) -> Arc<ledger::Checked> {
        Arc::clone(&locked(&self.0))
    }
}

#[pymethods]
impl Checked {
    fn __len__(&self) -> usize {
        self.chunk().items.len()
    }

    /// Every transaction's instructions as one JSON array of arrays; an empty array where it is rejected.
    fn instructions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let chunk = self.chunk();
        let mut out = vec![b'['];
        for item in &chunk.items {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(item.as_ref().map_or(b"[]", |checked| checked.transaction.instructions()));
        }
        out.push(b']');
        PyBytes::new(py, &out)
    }

    /// One transaction's instructions as a JSON array; an empty one where it is rejected.
    fn instructions_of<'py>(&self, py: Python<'py>, index: usize) -> Bound<'py, PyBytes> {
        let chunk = self.chunk();
        let text = chunk
            .items
            .get(index)
            .and_then(|item| item.as_ref().ok())
            .map_or(&b"[]"[..], |c| c.transaction.instructions());
        PyBytes::new(py, text)
    }

    /// Rejects a transaction as malformed, before the chunk is opened.
    fn reject(&self, index: usize, message: String, advice: String) -> PyResult<()> {
        let mut chunk = locked(&self.0);
        let item = Arc::get_mut(&mut chunk).and_then(|chunk| chunk.items.get_mut(index));
        let item = item.ok_or_else(|| ConfigError::new_err("the chunk is in use, or has no such transaction"))?;
        *item = Err(Rejection::malformed(message, advice));
        Ok(())
    }
}

/// A chunk of transactions in the check stage, on a thread of its own.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Checking(Mutex<Option<JoinHandle<ledger::Checked>>>);

#[pymethods]
impl Checking {
    /// Waits for the stage, once.
    fn wait(&self, py: Python<'_>) -> PyResult<Checked> {
        py.detach(|| {
            let thread =
                locked(&self.0).take().ok_or_else(|| ConfigError::new_err("this chunk was waited for before"))?;
            let checked =
                thread.join().map_err(|_| ledger_error(LedgerError::Internal("the check stage failed".into())))?;
            Ok(Checked(Mutex::new(Arc::new(checked))))
        })
    }
}

/// A stored block in the check stage, on a thread of its own.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct CheckingBlock(Mutex<Option<JoinHandle<Result<ledger::CheckedBlock, LedgerError>>>>);

/// The single writer of a ledger, or a reader of its blocks.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Ledger {
    ledger: OfProcess<ledger::Ledger>,
    /// The index that the ledger has open, for who compares it with another one; the ledger alone keeps it open.
    index: Weak<Index>,
}

impl Ledger {
    /// The index, while the ledger is open.
    pub(crate) fn index(&self) -> PyResult<Arc<Index>> {
        self.index.upgrade().ok_or_else(|| ledger_error(LedgerError::Closed))
    }
}

/// A transaction as a block holds it.
pub(crate) fn entered_of<'py>(py: Python<'py>, entered: &ledger::Entered) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("height", entered.height)?;
    out.set_item("entry", entered.entry)?;
    out.set_item("id", encoding::hex(&entered.transaction.id))?;
    out.set_item("time_ms", entered.time_ms)?;
    out.set_item("header", PyBytes::new(py, entered.transaction.header()))?;
    out.set_item("instructions", PyBytes::new(py, entered.transaction.instructions()))?;
    out.set_item("signatures", PyBytes::new(py, entered.transaction.signatures_text()))?;
    let refused: Vec<(u32, String)> = entered.refused.iter().map(|r| (r.instruction, r.code.to_string())).collect();
    out.set_item("refused", refused)?;
    Ok(out)
}

/// A page of records: (kind, JSON) each, and the number to go on from.
pub(crate) type Page<'py> = (Vec<(String, Bound<'py, PyBytes>)>, Option<u64>);

pub(crate) fn page_of(py: Python<'_>, (found, next): (Vec<Stored>, Option<u64>)) -> Page<'_> {
    (found.into_iter().map(|s| (s.kind.into_string(), PyBytes::new(py, &s.record))).collect(), next)
}

/// Places that touched a record: (height, entry, instructions) each.
pub(crate) fn touches_of(touches: Vec<Touch>) -> Vec<(u64, u32, Vec<u16>)> {
    touches.into_iter().map(|t| (t.height, t.entry, t.instructions)).collect()
}

const fn durability(double: bool) -> Durability {
    if double { Durability::Double } else { Durability::Single }
}

fn open_index(dir: &std::path::Path, fresh: bool) -> Result<Arc<Index>, LedgerError> {
    if fresh {
        Index::wipe(dir).map_err(|e| LedgerError::Storage(e.to_string()))?;
    }
    let opened = Index::open(dir).map_err(|e| {
        let text = e.to_string();
        if e.needs_wipe() { LedgerError::IndexStale(text) } else { LedgerError::Storage(text) }
    })?;
    Ok(Arc::new(opened.index))
}

#[pymethods]
impl Ledger {
    /// Begins a ledger in an empty folder; `double` syncs a mark before each acknowledgement.
    #[staticmethod]
    #[pyo3(signature = (dir, origin, hash_suite, rulebook, *, double=false))]
    fn create(
        py: Python<'_>,
        dir: PathBuf,
        origin: &str,
        hash_suite: &str,
        rulebook: u32,
        double: bool,
    ) -> PyResult<Self> {
        let options = Options { durability: Some(durability(double)), ..Options::default() };
        py.detach(|| {
            let index = open_index(&dir.join("index"), true)?;
            let kept = Arc::downgrade(&index);
            let ledger = ledger::Ledger::create(&dir, origin, hash_suite, rulebook, index, &options)?;
            Ok(Self { ledger: OfProcess::new(ledger), index: kept })
        })
        .map_err(ledger_error)
    }

    /// Opens a ledger and says what it found; `index_dir` is wiped first where the index cannot be believed. `double`
    /// begins or ends the mark that is synced before each acknowledgement.
    #[allow(clippy::too_many_arguments)] // Ways to open, each with a name in Python.
    #[staticmethod]
    #[pyo3(signature = (dir, index_dir, *, read_only, durable_height=None, follow=None, double=None, blocks_max=None))]
    fn open(
        py: Python<'_>,
        dir: PathBuf,
        index_dir: PathBuf,
        read_only: bool,
        durable_height: Option<u64>,
        follow: Option<PathBuf>,
        double: Option<bool>,
        blocks_max: Option<u64>,
    ) -> PyResult<(Self, Bound<'_, PyDict>)> {
        let durability = double.map(durability);
        let options = Options { read_only, follow, durable_height, durability, blocks_max, ..Options::default() };
        let mut kept = Weak::new();
        let opening = |fresh: bool| {
            let index = open_index(&index_dir, fresh)?;
            kept = Arc::downgrade(&index);
            Ok(index as Arc<dyn RecordIndex>)
        };
        let (ledger, recovery) = py.detach(|| ledger::Ledger::open(&dir, opening, &options)).map_err(ledger_error)?;
        let found = PyDict::new(py);
        found.set_item("blocks", recovery.blocks)?;
        found.set_item("replay_from", recovery.replay_from)?;
        found.set_item("cut", recovery.cut)?;
        found.set_item("index_rebuilt_because", recovery.index_stale)?;
        found.set_item("copy", recovery.copy)?;
        Ok((Self { ledger: OfProcess::new(ledger), index: kept }, found))
    }

    /// Looks for blocks that were written since; gives how many there are in all.
    fn look_further(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.ledger.look_further()).map_err(ledger_error)
    }

    /// Starts the check stage for a chunk of transactions.
    fn check(&self, texts: Vec<Vec<u8>>) -> Checking {
        let ledger = self.ledger.share();
        Checking(Mutex::new(Some(std::thread::spawn(move || ledger.check(&texts)))))
    }

    /// Opens the next block with transactions of a chunk from `start` on.
    fn open_block(&self, py: Python<'_>, checked: &Checked, start: usize, time_ms: u64) -> PyResult<Opened> {
        let chunk = checked.chunk();
        py.detach(|| self.ledger.open_block(&chunk, start, time_ms)).map(Opened::new).map_err(ledger_error)
    }

    /// Starts the check stage for a stored block.
    fn check_stored(&self, height: u64, verify_signatures: bool) -> CheckingBlock {
        let ledger = self.ledger.share();
        CheckingBlock(Mutex::new(Some(std::thread::spawn(move || ledger.check_stored(height, verify_signatures)))))
    }

    /// Opens a stored block for replay; `ahead` may be its check stage, which is waited for.
    #[pyo3(signature = (height, verify_signatures, ahead=None))]
    fn open_stored(
        &self,
        py: Python<'_>,
        height: u64,
        verify_signatures: bool,
        ahead: Option<&CheckingBlock>,
    ) -> PyResult<Opened> {
        py.detach(|| {
            // What could not be checked ahead is checked now, and what is wrong with it said.
            let checked = ahead.and_then(|ahead| locked(&ahead.0).take()).and_then(|thread| thread.join().ok()?.ok());
            self.ledger.open_stored(height, verify_signatures, checked)
        })
        .map(Opened::new)
        .map_err(ledger_error)
    }

    /// Takes over the next stored blocks below `until` whose changes were kept; gives how many, 0 where one has to be
    /// executed first.
    fn recall(&self, py: Python<'_>, until: u64) -> PyResult<u64> {
        py.detach(|| self.ledger.recall(until)).map_err(ledger_error)
    }

    /// Hands an executed block to the sealing thread.
    ///
    /// `refused` has (transaction, instruction, code); `counts` the number of records that each executed transaction
    /// wrote; `kinds` and `ids` a line a record; `instructions` and `records` are JSON arrays with an item a record.
    #[allow(clippy::too_many_arguments)] // Columns of one table.
    #[pyo3(signature = (opened, *, counts, refused, kinds, ids, instructions, records))]
    fn seal(
        &self,
        py: Python<'_>,
        opened: &Opened,
        counts: Vec<usize>,
        refused: Vec<(usize, u32, String)>,
        kinds: String,
        ids: String,
        instructions: Vec<u8>,
        records: Vec<u8>,
    ) -> PyResult<()> {
        let opened =
            locked(&opened.inner).take().ok_or_else(|| ConfigError::new_err("this block was sealed before"))?;
        py.detach(|| {
            let mut by_transaction: Vec<Vec<Refusal>> = vec![Vec::new(); counts.len()];
            for (position, instruction, code) in refused {
                let list = by_transaction.get_mut(position);
                let list =
                    list.ok_or_else(|| LedgerError::Internal(format!("a refusal for transaction {position}")))?;
                list.push(Refusal { instruction, code: code.into() });
            }
            self.ledger.seal(opened, Columns { counts, refused: by_transaction, kinds, ids, instructions, records })
        })
        .map_err(ledger_error)
    }

    /// Waits until the block at that height is durable.
    fn wait_sealed(&self, py: Python<'_>, height: u64) -> PyResult<()> {
        py.detach(|| self.ledger.wait_sealed(height)).map_err(ledger_error)
    }

    /// Waits until the index has the first so many blocks, or everything that was executed where that is not said.
    #[pyo3(signature = (blocks = None))]
    fn wait_indexed(&self, py: Python<'_>, blocks: Option<u64>) -> PyResult<()> {
        let waited = || self.ledger.wait_indexed_to(blocks.unwrap_or_else(|| self.ledger.height()));
        py.detach(waited).map_err(ledger_error)
    }

    /// Number of blocks in the index.
    #[getter]
    fn indexed_blocks(&self) -> u64 {
        self.ledger.indexed_blocks()
    }

    /// Height of the next block.
    #[getter]
    fn height(&self) -> u64 {
        self.ledger.height()
    }

    /// Number of the rulebook that the next block is executed by.
    #[getter]
    fn rulebook(&self) -> u32 {
        self.ledger.rulebook()
    }

    /// Time of the last block.
    #[getter]
    fn time_ms(&self) -> u64 {
        self.ledger.time_ms()
    }

    /// Origin, `#`, hash of block 0.
    #[getter]
    fn name(&self) -> String {
        self.ledger.name()
    }

    /// Name of the hash suite.
    #[getter]
    fn hash_suite(&self) -> &'static str {
        self.ledger.suite().name()
    }

    /// Number of records in the state.
    #[getter]
    fn records_count(&self) -> u64 {
        self.ledger.records_count()
    }

    /// Root of the state map.
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.ledger.state_root())
    }

    /// Size and root of the block log.
    #[getter]
    fn log_root<'py>(&self, py: Python<'py>) -> (u64, Bound<'py, PyBytes>) {
        let (size, hash) = self.ledger.log_root();
        (size, PyBytes::new(py, &hash))
    }

    /// Root of the block log over so many blocks; `None` where there are fewer.
    fn root_at<'py>(&self, py: Python<'py>, size: u64) -> Option<Bound<'py, PyBytes>> {
        self.ledger.root_at(size).map(|hash| PyBytes::new(py, &hash))
    }

    /// Last sequence of a lane, 0 where it has not begun.
    fn lane_sequence(&self, lane_id: &str) -> u64 {
        self.ledger.lane_sequence(lane_id)
    }

    /// Place (height, entry) of a lane's sequence, `None` where no durable block used it.
    fn lane_place(&self, py: Python<'_>, lane_id: &str, sequence: u64) -> PyResult<Option<(u64, u32)>> {
        py.detach(|| self.ledger.lane_place(lane_id, sequence)).map_err(ledger_error)
    }

    /// A record by kind and id, as JSON or `None`, compared with the state map.
    fn record<'py>(&self, py: Python<'py>, kind: &str, id: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = py.detach(|| self.ledger.record(kind, id)).map_err(ledger_error)?;
        Ok(found.map(|record| PyBytes::new(py, &record)))
    }

    /// Records by (kind, id), in the order of these names, as `record` gives each.
    fn records<'py>(
        &self,
        py: Python<'py>,
        names: Vec<(PyBackedStr, PyBackedStr)>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        let names: Vec<(&str, &str)> = names.iter().map(|(kind, id)| (&**kind, &**id)).collect();
        let found = py.detach(|| self.ledger.records(&names)).map_err(ledger_error)?;
        Ok(found.into_iter().map(|record| record.map(|record| PyBytes::new(py, &record))).collect())
    }

    /// Records of a kind from a number on: (kind, JSON) each, and the number to go on from.
    #[pyo3(signature = (kind, start, limit))]
    fn scan<'py>(&self, py: Python<'py>, kind: Option<&str>, start: u64, limit: usize) -> PyResult<Page<'py>> {
        let page = py.detach(|| self.ledger.scan(kind, start, limit)).map_err(ledger_error)?;
        Ok(page_of(py, page))
    }

    /// Places that touched a record, newest first: (height, entry, instructions).
    fn history(&self, py: Python<'_>, kind: &str, id: &str, limit: usize) -> PyResult<Vec<(u64, u32, Vec<u16>)>> {
        py.detach(|| self.ledger.history(kind, id, limit)).map(touches_of).map_err(ledger_error)
    }

    /// A transaction by its place, with its outcome.
    fn entered<'py>(&self, py: Python<'py>, height: u64, entry: u32) -> PyResult<Bound<'py, PyDict>> {
        let entered = py.detach(|| self.ledger.entered(height, entry)).map_err(ledger_error)?;
        entered_of(py, &entered)
    }

    /// Compares the signed mark at that path with the blocks.
    fn compare_mark(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.ledger.compare_mark_at(&path)).map_err(ledger_error)
    }

    /// Compares a checkpoint with the blocks; gives its size, or `None` where none of the keys signed it.
    fn compare_checkpoint(&self, py: Python<'_>, note: Vec<u8>, keys: Vec<String>) -> PyResult<Option<u64>> {
        let keys = verifier_keys(&keys)?;
        py.detach(|| self.ledger.compare_checkpoint(&note, &keys)).map_err(ledger_error)
    }

    /// Signs a checkpoint over all blocks, after the mark at that path is synced.
    fn sign_checkpoint<'py>(
        &self,
        py: Python<'py>,
        key: &SecretKey,
        mark_path: PathBuf,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let note = py.detach(|| self.ledger.sign_checkpoint(&key.0, &mark_path)).map_err(ledger_error)?;
        Ok(PyBytes::new(py, &note))
    }

    /// A receipt for a record.
    fn prove_record<'py>(&self, py: Python<'py>, kind: &str, id: &str, note: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let receipt = py.detach(|| self.ledger.prove_record(kind, id, note)).map_err(ledger_error)?;
        Ok(PyBytes::new(py, &receipt))
    }

    /// A receipt for a record's absence.
    fn prove_absence<'py>(&self, py: Python<'py>, kind: &str, id: &str, note: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let receipt = py.detach(|| self.ledger.prove_absence(kind, id, note)).map_err(ledger_error)?;
        Ok(PyBytes::new(py, &receipt))
    }

    /// A receipt for an instruction; `before` is the ledger replayed to the block before.
    #[pyo3(signature = (height, entry, index, note, before=None))]
    fn prove_instruction<'py>(
        &self,
        py: Python<'py>,
        height: u64,
        entry: u32,
        index: u32,
        note: &[u8],
        before: Option<&Self>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let before = before.map(|before| &*before.ledger);
        let receipt =
            py.detach(|| self.ledger.prove_instruction(height, entry, index, before, note)).map_err(ledger_error)?;
        Ok(PyBytes::new(py, &receipt))
    }

    /// Keeps what the block at that height will write, for `prove_change`.
    fn keep_writes(&self, height: u64) {
        self.ledger.keep_writes(height);
    }

    /// A receipt for a record as a transaction left it; `replay` kept what that block wrote.
    #[allow(clippy::too_many_arguments)] // A place, a record, and what proves it.
    fn prove_change<'py>(
        &self,
        py: Python<'py>,
        height: u64,
        entry: u32,
        kind: &str,
        id: &str,
        replay: &Self,
        note: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let receipt = py
            .detach(|| self.ledger.prove_change((height, entry), (kind, id), &replay.ledger, note))
            .map_err(ledger_error)?;
        Ok(PyBytes::new(py, &receipt))
    }

    /// Seconds that each stage has worked.
    fn stage_seconds(&self) -> Vec<(&'static str, f64)> {
        self.ledger.stage_seconds()
    }

    /// Closes a forked child's copy of the lock.
    fn abandon_lock(&self) {
        self.ledger.abandon_lock();
    }

    /// Finishes what is on its way and lets go of the lock.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.ledger.close()).map_err(ledger_error)
    }
}
