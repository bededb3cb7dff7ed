//! Copies of a ledger: what block files still hold, putting blocks back, backups, and confirming a restored one.

use std::path::PathBuf;
use std::sync::Mutex;

use finchain_core::ledger::{self, Shown, SignedMark};
use finchain_core::log::{Fault, Storage};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::error::{ledger_error, locked};
use crate::ledger::entered_of;

/// A fault as Python gets it: file, offset, height, until, why.
type FaultRow = (PathBuf, u64, u64, Option<u64>, String);

fn row(fault: &Fault) -> FaultRow {
    (fault.file.clone(), fault.offset, fault.height, fault.until, fault.why.to_string())
}

/// Origin, size and root of something that was signed.
type SignedRow = (String, u64, [u8; 32]);

fn mark((origin, size, root_hash): SignedRow) -> SignedMark {
    SignedMark { origin, root: root_hash, size }
}

/// Everything that hashes alone show of a ledger's block files, damaged or not.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Survey(pub(crate) ledger::Survey);

#[pymethods]
impl Survey {
    /// Reads every block of the ledger in that folder.
    #[new]
    fn new(py: Python<'_>, dir: PathBuf) -> PyResult<Self> {
        py.detach(|| ledger::Survey::read(&Storage::default(), &dir)).map(Self).map_err(ledger_error)
    }

    /// Origin, `#`, hash of block 0.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Places where blocks are missing or wrong.
    #[getter]
    fn faults(&self) -> Vec<FaultRow> {
        self.0.faults.iter().map(row).collect()
    }

    /// Blocks from block 0 on without any fault.
    #[getter]
    fn whole(&self) -> u64 {
        self.0.whole()
    }

    /// Heights that are held, as ranges whose end is not in them.
    #[getter]
    fn ranges(&self) -> Vec<(u64, u64)> {
        self.0.ranges()
    }

    /// Root of the block log over so many blocks; `None` where a hash is not known.
    fn root_at<'py>(&self, py: Python<'py>, size: u64) -> Option<Bound<'py, PyBytes>> {
        self.0.root_at(size).map(|hash| PyBytes::new(py, &hash))
    }

    /// Block file and offset of a block that is held.
    fn place(&self, height: u64) -> Option<(PathBuf, u64)> {
        self.0.place(height)
    }
}

/// A walk over the blocks of a ledger, without its index and beside whoever has it open.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Chain(Mutex<ledger::Chain>);

#[pymethods]
impl Chain {
    /// Before block 0 of the ledger in that folder.
    #[new]
    fn new(py: Python<'_>, dir: PathBuf) -> PyResult<Self> {
        let opened = py.detach(|| ledger::Chain::open(&Storage::default(), &dir)).map_err(ledger_error)?;
        Ok(Self(Mutex::new(opened)))
    }

    /// The transactions of the next blocks below `until`, in order; none at the end.
    fn next<'py>(&self, py: Python<'py>, until: u64) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let blocks = py.detach(|| locked(&self.0).next_blocks(until)).map_err(ledger_error)?;
        blocks.iter().flatten().map(|entered| entered_of(py, entered)).collect()
    }
}

/// Puts blocks back from another copy, or with `write=False` says what it would do: what is put back, as (height,
/// until, what shows it, blocks under the signature that does), what is left, as faults with reasons, and the names of
/// small files. `note` is a checkpoint to put into the folder, one of what is `signed`.
#[pyfunction]
#[pyo3(signature = (dir, source, *, signed, note, write))]
pub(crate) fn repair(
    py: Python<'_>,
    dir: PathBuf,
    source: PathBuf,
    signed: Vec<SignedRow>,
    note: Option<Vec<u8>>,
    write: bool,
) -> PyResult<Bound<'_, PyDict>> {
    let signed: Vec<SignedMark> = signed.into_iter().map(mark).collect();
    let done = py
        .detach(|| ledger::repair(&Storage::default(), &dir, &source, &signed, note.as_deref(), write))
        .map_err(ledger_error)?;
    let out = PyDict::new(py);
    let mended = done.mended.iter().map(|mended| {
        let (shown, size) = match mended.shown {
            Shown::Chain => ("chain", None),
            Shown::Sum => ("sum", None),
            Shown::Signed(size) => ("signed", Some(size)),
            Shown::Extends => ("extends", None),
        };
        (mended.height, mended.until, shown, size)
    });
    out.set_item("mended", mended.collect::<Vec<_>>())?;
    let left: Vec<(FaultRow, &str)> = done.left.iter().map(|(fault, why)| (row(fault), why.as_str())).collect();
    out.set_item("left", left)?;
    out.set_item("files", &done.files)?;
    Ok(out)
}

/// Copies a ledger's blocks, or brings a copy up to date; `progress` is called with the blocks so far.
#[pyfunction]
#[pyo3(signature = (dir, to, *, durable=None, progress=None))]
pub(crate) fn backup(
    py: Python<'_>,
    dir: PathBuf,
    to: PathBuf,
    durable: Option<u64>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyDict>> {
    /// Blocks between two calls: a call takes the interpreter lock, which is dearer than copying a small block.
    const STEP: u64 = 64;
    let mut stopped = None;
    let copied = py.detach(|| {
        ledger::backup(&Storage::default(), &dir, &to, durable, &mut |blocks| {
            let Some(call) = progress.as_ref().filter(|_| blocks % STEP == 0 && stopped.is_none()) else {
                return stopped.is_none();
            };
            stopped = Python::attach(|py| call.call1(py, (blocks,)).err());
            stopped.is_none()
        })
    });
    if let Some(error) = stopped {
        return Err(error);
    }
    let copied = copied.map_err(ledger_error)?;
    let out = PyDict::new(py);
    out.set_item("blocks", copied.blocks)?;
    out.set_item("new_blocks", copied.new_blocks)?;
    out.set_item("size_bytes", copied.bytes)?;
    out.set_item("checkpoint_size", copied.checkpoint)?;
    Ok(out)
}

/// Removes the mark of a copy, after the mark beside the checkpoint key says at least what was signed.
#[pyfunction]
pub(crate) fn confirm_copy(py: Python<'_>, dir: PathBuf, mark_path: PathBuf, signed: SignedRow) -> PyResult<()> {
    py.detach(|| ledger::confirm(&Storage::default(), &dir, &mark_path, &mark(signed))).map_err(ledger_error)
}

/// The signed mark at that path: origin, size and root; `None` where nothing was signed.
#[allow(clippy::type_complexity)] // A row of facts.
#[pyfunction]
pub(crate) fn signed_mark(py: Python<'_>, path: PathBuf) -> PyResult<Option<(String, u64, Bound<'_, PyBytes>)>> {
    let found = SignedMark::read(Storage::default().io.as_ref(), &path).map_err(ledger_error)?;
    Ok(found.map(|mark| (mark.origin, mark.size, PyBytes::new(py, &mark.root))))
}
