//! A ledger as other processes read it, beside whoever writes it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use finchain_core::index::RecordIndex;
use finchain_core::ledger::{self, LedgerError};
use finchain_core::log::Storage;
use finchain_index::{Edition, Index, IndexError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::copies::Survey;
use crate::error::{ConfigError, ForkError, StorageError, ledger_error, locked};
use crate::ledger::{Ledger, Page, entered_of, page_of, touches_of};
use crate::process::{OfProcess, is_forked};

/// Name, blocks and index of a ledger, for reading only.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Reader {
    blocks: Arc<ledger::Reader>,
    index_dir: PathBuf,
    index: OfProcess<Mutex<Slot>>,
}

/// The index that a reader has open.
enum Slot {
    Open(Box<Index>),
    /// It was made anew by whoever writes, and could not be opened again yet.
    Lost,
    Closed,
}

/// A ledger as of one height. It holds a place among the readers of the index until it is closed.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct View(OfProcess<Mutex<Option<Pinned>>>);

/// The view, and the index that it is a view of.
#[derive(Clone)]
struct Pinned {
    view: Arc<ledger::View>,
    index: Arc<Index>,
}

/// A row of an index that differs: its table, what it is about, what is wrong with it.
type DifferenceRow = (&'static str, String, &'static str);

fn index_error(error: IndexError) -> PyErr {
    let text = error.to_string();
    match error {
        IndexError::AlreadyOpen { .. } if is_forked() => {
            ForkError::new_err(format!("{text}, or was in the process that this one was forked from: use spawn"))
        }
        IndexError::AlreadyOpen { .. } => {
            ConfigError::new_err(format!("{text}: use the ledger or the reader that has it open"))
        }
        IndexError::Absent { .. } => StorageError::new_err(format!("{text}: open the ledger once, to have it made")),
        error if error.needs_wipe() => ledger_error(LedgerError::IndexStale(text)),
        _ => StorageError::new_err(text),
    }
}

fn open_index(dir: &Path) -> PyResult<Box<Index>> {
    Index::open_reader(dir).map(|opened| Box::new(opened.index)).map_err(index_error)
}

#[pymethods]
impl Reader {
    /// Opens a ledger for reading only.
    #[staticmethod]
    fn open(py: Python<'_>, dir: PathBuf, index_dir: PathBuf) -> PyResult<Self> {
        py.detach(|| {
            let blocks = Arc::new(ledger::Reader::open(&Storage::default(), &dir).map_err(ledger_error)?);
            let index = OfProcess::new(Mutex::new(Slot::Open(open_index(&index_dir)?)));
            Ok(Self { blocks, index_dir, index })
        })
    }

    /// The ledger as the index has it now.
    fn view(&self, py: Python<'_>) -> PyResult<View> {
        py.detach(|| {
            let mut slot = locked(&self.index);
            if !matches!(&*slot, Slot::Closed) && !matches!(&*slot, Slot::Open(index) if index.is_current()) {
                // The old one is closed first: one environment is opened once in a process.
                *slot = Slot::Lost;
                *slot = Slot::Open(open_index(&self.index_dir)?);
            }
            let Slot::Open(index) = &*slot else { return Err(ledger_error(LedgerError::Closed)) };
            let index = Arc::new(index.pin().map_err(index_error)?);
            let view = self.blocks.view(Arc::clone(&index) as Arc<dyn RecordIndex>).map_err(ledger_error)?;
            Ok(View(OfProcess::new(Mutex::new(Some(Pinned { view: Arc::new(view), index })))))
        })
    }

    /// Lets go of the index, once every view is closed.
    fn close(&self, py: Python<'_>) {
        py.detach(|| *locked(&self.index) = Slot::Closed);
    }
}

impl View {
    fn pinned(&self) -> PyResult<Pinned> {
        locked(&self.0).clone().ok_or_else(|| ledger_error(LedgerError::Closed))
    }

    fn of(&self) -> PyResult<Arc<ledger::View>> {
        Ok(self.pinned()?.view)
    }

    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl Send + FnOnce(&ledger::View) -> Result<T, LedgerError>,
    ) -> PyResult<T> {
        let view = self.of()?;
        py.detach(|| question(&view)).map_err(ledger_error)
    }
}

#[pymethods]
impl View {
    /// Origin, `#`, hash of block 0.
    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(self.of()?.name().to_owned())
    }

    /// Name of the hash suite.
    #[getter]
    fn hash_suite(&self) -> PyResult<&'static str> {
        Ok(self.of()?.suite().name())
    }

    /// Number of blocks.
    #[getter]
    fn height(&self) -> PyResult<u64> {
        Ok(self.of()?.height())
    }

    /// Time of the last block.
    #[getter]
    fn time_ms(&self, py: Python<'_>) -> PyResult<u64> {
        self.ask(py, |view| Ok(view.tip()?.time_ms))
    }

    /// State root that the last block's header has.
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let header = self.ask(py, ledger::View::tip)?;
        Ok(PyBytes::new(py, &header.state))
    }

    /// Which state of which data file this is: device and number of the file, and the state's own number.
    #[getter]
    fn edition(&self) -> PyResult<(u64, u64, usize)> {
        let Edition { file: (device, number), transaction } = self.pinned()?.index.edition().map_err(index_error)?;
        Ok((device, number, transaction))
    }

    /// Whether whole blocks follow that the index has not.
    fn is_behind(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, ledger::View::is_behind)
    }

    /// Hashes every record and compares the root with the last block's header.
    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, ledger::View::verify)
    }

    /// Compares the hash that the index has of each block with the blocks that a survey read.
    fn compare_blocks(&self, py: Python<'_>, survey: &Survey) -> PyResult<()> {
        self.ask(py, |view| view.compare_blocks(&survey.0))
    }

    /// Compares every row of the index with those that a ledger of the same blocks has made: how many differ, and for
    /// the first `most` of them the table, what the row is about, and what is wrong with it.
    fn compare(&self, py: Python<'_>, made: &Ledger, most: usize) -> PyResult<(u64, Vec<DifferenceRow>)> {
        let (found, made) = (self.pinned()?.index, made.index()?);
        let all = py.detach(|| found.compare(&made, most)).map_err(index_error)?;
        Ok((all.count, all.first.into_iter().map(|row| (row.table, row.about, row.fault.name())).collect()))
    }

    /// A record by kind and id, as JSON or `None`.
    fn record<'py>(&self, py: Python<'py>, kind: &str, id: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.ask(py, |view| view.record(kind, id))?;
        Ok(found.map(|record| PyBytes::new(py, &record)))
    }

    /// Records of a kind from a number on: (kind, JSON) each, and the number to go on from.
    #[pyo3(signature = (kind, start, limit))]
    fn scan<'py>(&self, py: Python<'py>, kind: Option<&str>, start: u64, limit: usize) -> PyResult<Page<'py>> {
        let page = self.ask(py, |view| view.scan(kind, start, limit))?;
        Ok(page_of(py, page))
    }

    /// Places that touched a record, newest first: (height, entry, instructions).
    fn history(&self, py: Python<'_>, kind: &str, id: &str, limit: usize) -> PyResult<Vec<(u64, u32, Vec<u16>)>> {
        self.ask(py, |view| view.history(kind, id, limit)).map(touches_of)
    }

    /// A transaction by its place, with its outcome.
    fn entered<'py>(&self, py: Python<'py>, height: u64, entry: u32) -> PyResult<Bound<'py, PyDict>> {
        let entered = self.ask(py, |view| view.entered(height, entry))?;
        entered_of(py, &entered)
    }

    /// Last sequence of a lane, 0 where it has not begun.
    fn lane_sequence(&self, py: Python<'_>, lane_id: &str) -> PyResult<u64> {
        Ok(self.ask(py, |view| view.lane(lane_id))?.map_or(0, |position| position.sequence))
    }

    /// Place (height, entry) of a lane's sequence.
    fn lane_place(&self, py: Python<'_>, lane_id: &str, sequence: u64) -> PyResult<Option<(u64, u32)>> {
        self.ask(py, |view| view.lane_place(lane_id, sequence))
    }

    /// Gives the place among the readers of the index back.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(locked(&self.0).take()));
    }
}
