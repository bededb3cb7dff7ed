//! An open block, as the executor sees it.

use finchain_core::encoding;
use finchain_core::ledger;
use finchain_core::transaction::Mode;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::collections::HashMap;
use std::sync::Mutex;

use crate::error::{Rejected, locked, rejected};

/// Transactions that were taken into an open block, in columns.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct Opened {
    /// Taken by `seal`.
    pub(crate) inner: Mutex<Option<ledger::Opened>>,
    height: u64,
    time_ms: u64,
    rulebook: u32,
    next: usize,
    taken: Vec<u32>,
}

impl Opened {
    pub(crate) fn new(opened: ledger::Opened) -> Self {
        Self {
            height: opened.height,
            time_ms: opened.time_ms,
            rulebook: opened.rulebook,
            next: opened.next,
            taken: opened.taken.clone(),
            inner: Mutex::new(Some(opened)),
        }
    }
}

#[pymethods]
impl Opened {
    /// Height of the block.
    #[getter]
    fn height(&self) -> u64 {
        self.height
    }

    /// Its time in Unix milliseconds.
    #[getter]
    fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Number of the rulebook that it is executed by.
    #[getter]
    fn rulebook(&self) -> u32 {
        self.rulebook
    }

    /// Index of the first transaction of the chunk that was not looked at.
    #[getter]
    fn next(&self) -> usize {
        self.next
    }

    /// Indices in the chunk of the transactions taken.
    #[getter]
    fn taken(&self) -> Vec<u32> {
        self.taken.clone()
    }

    /// Every taken transaction's instructions, as one JSON array of arrays.
    #[getter]
    fn instructions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let guard = locked(&self.inner);
        let mut out = vec![b'['];
        for transaction in guard.iter().flat_map(ledger::Opened::transactions) {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(transaction.instructions());
        }
        out.push(b']');
        PyBytes::new(py, &out)
    }

    /// For each taken transaction the parties that sign; equal ones are one tuple.
    #[getter]
    fn by<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let guard = locked(&self.inner);
        let mut known: HashMap<Vec<Box<str>>, Bound<'py, PyTuple>> = HashMap::new();
        let mut column = Vec::with_capacity(self.taken.len());
        for transaction in guard.iter().flat_map(ledger::Opened::transactions) {
            if let Some(tuple) = known.get(&transaction.by) {
                column.push(tuple.clone());
                continue;
            }
            let tuple = PyTuple::new(py, transaction.by.iter().map(|p| &**p))?;
            known.insert(transaction.by.clone(), tuple.clone());
            column.push(tuple);
        }
        Ok(column)
    }

    /// For each taken transaction whether its instructions stand alone.
    #[getter]
    fn each(&self) -> Vec<bool> {
        let guard = locked(&self.inner);
        guard.iter().flat_map(ledger::Opened::transactions).map(|t| t.mode == Mode::Each).collect()
    }

    /// Positions of taken transactions with parties for which only a service key signed, and those parties.
    #[getter]
    fn service(&self) -> HashMap<usize, Vec<String>> {
        let guard = locked(&self.inner);
        let mut out = HashMap::new();
        let Some(opened) = guard.as_ref() else { return out };
        for (position, (transaction, flags)) in opened.transactions().zip(&opened.service).enumerate() {
            if flags.contains(&true) {
                let parties =
                    transaction.by.iter().zip(flags).filter(|(_, service)| **service).map(|(p, _)| p.to_string());
                out.insert(position, parties.collect());
            }
        }
        out
    }

    /// Hex ids of the taken transactions.
    #[getter]
    fn ids(&self) -> Vec<String> {
        let guard = locked(&self.inner);
        guard.iter().flat_map(ledger::Opened::transactions).map(|t| encoding::hex(&t.id)).collect()
    }

    /// Transactions that are not kept: index in the chunk, code, message, advice.
    #[getter]
    fn rejected(&self) -> Vec<(u32, Rejected)> {
        let guard = locked(&self.inner);
        guard.iter().flat_map(|o| &o.rejected).map(|(index, rejection)| (*index, rejected(rejection))).collect()
    }

    /// Transactions that were applied before: index in the chunk, height, entry, hex id, refused with codes.
    #[getter]
    #[allow(clippy::type_complexity)] // One row of a table that Python takes apart at once.
    fn repeated(&self) -> Vec<(u32, u64, u32, String, Vec<(u32, String)>)> {
        let guard = locked(&self.inner);
        guard
            .iter()
            .flat_map(|o| &o.repeated)
            .map(|r| {
                let refused = r.refused.iter().map(|x| (x.instruction, x.code.to_string())).collect();
                (r.index, r.height, r.entry, encoding::hex(&r.id), refused)
            })
            .collect()
    }
}
