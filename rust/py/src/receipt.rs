//! Verifying receipts: bytes and trust in, facts out.

use finchain_core::checkpoint::Checkpoint;
use finchain_core::encoding;
use finchain_core::note::{Note, VerifierKey};
use finchain_core::receipt::{self, Outcome, ReceiptError, Signers, Trust, Verified, What};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};

use crate::error::{ConfigError, TamperError};

pub(crate) fn verifier_keys(texts: &[String]) -> PyResult<Vec<VerifierKey>> {
    let wrong = |text: &str, e: &dyn std::fmt::Display| ConfigError::new_err(format!("verifier key {text:?}: {e}"));
    texts.iter().map(|text| VerifierKey::parse(text).map_err(|e| wrong(text, &e))).collect()
}

fn trusted(
    log_keys: &[String],
    witnesses: &[String],
    witnesses_needed: usize,
    operator_alone: bool,
) -> PyResult<Trust> {
    let (log_keys, witnesses) = (verifier_keys(log_keys)?, verifier_keys(witnesses)?);
    Ok(Trust { log_keys, witnesses, witnesses_needed, operator_alone })
}

/// Origin, size and root of a checkpoint, and its witnesses; raises `TamperError` where it is not signed as asked.
#[allow(clippy::type_complexity)] // A row of facts.
#[pyfunction]
#[pyo3(signature = (note, *, log_keys, witnesses, witnesses_needed, operator_alone))]
pub(crate) fn verify_checkpoint<'py>(
    py: Python<'py>,
    note: &[u8],
    log_keys: Vec<String>,
    witnesses: Vec<String>,
    witnesses_needed: usize,
    operator_alone: bool,
) -> PyResult<(String, u64, Bound<'py, PyBytes>, Vec<(String, u64)>)> {
    let trust = trusted(&log_keys, &witnesses, witnesses_needed, operator_alone)?;
    let (checkpoint, witnessed_by) = receipt::verify_checkpoint(note, &trust).map_err(tampered)?;
    Ok((checkpoint.origin, checkpoint.size, PyBytes::new(py, &checkpoint.root_hash), witnessed_by))
}

/// Origin, size and root that a checkpoint states, whoever signed it; raises `TamperError` where it is no checkpoint.
#[pyfunction]
pub(crate) fn checkpoint_parts<'py>(py: Python<'py>, note: &[u8]) -> PyResult<(String, u64, Bound<'py, PyBytes>)> {
    let wrong = |e: &dyn std::fmt::Display| TamperError::new_err(format!("this is no checkpoint: {e}"));
    let note = Note::parse(note).map_err(|e| wrong(&e))?;
    let stated = Checkpoint::parse_text(note.text()).map_err(|e| wrong(&e))?;
    Ok((stated.origin, stated.size, PyBytes::new(py, &stated.root_hash)))
}

/// What a receipt proves, as a dictionary; raises `TamperError` where it proves nothing.
#[pyfunction]
#[pyo3(signature = (bytes, *, log_keys, witnesses, witnesses_needed, operator_alone))]
pub(crate) fn verify_receipt(
    py: Python<'_>,
    bytes: Vec<u8>,
    log_keys: Vec<String>,
    witnesses: Vec<String>,
    witnesses_needed: usize,
    operator_alone: bool,
) -> PyResult<Bound<'_, PyDict>> {
    let trust = trusted(&log_keys, &witnesses, witnesses_needed, operator_alone)?;
    facts(py, py.detach(|| receipt::verify(&bytes, &trust)).map_err(tampered)?)
}

/// For each receipt what it proves, as `verify_receipt` gives it, or why it proves nothing.
#[pyfunction]
#[pyo3(signature = (receipts, *, log_keys, witnesses, witnesses_needed, operator_alone))]
pub(crate) fn verify_receipts(
    py: Python<'_>,
    receipts: Vec<PyBackedBytes>,
    log_keys: Vec<String>,
    witnesses: Vec<String>,
    witnesses_needed: usize,
    operator_alone: bool,
) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let trust = trusted(&log_keys, &witnesses, witnesses_needed, operator_alone)?;
    let verified = py.detach(|| receipt::verify_all(&receipts, &trust)).map_err(tampered)?;
    let answer = |each: Result<Verified, ReceiptError>| match each {
        Ok(verified) => Ok(facts(py, verified)?.into_any()),
        Err(error) => Ok(tampered(error).into_value(py).into_bound(py).into_any()),
    };
    verified.into_iter().map(answer).collect()
}

fn tampered(error: ReceiptError) -> PyErr {
    TamperError::new_err(error.to_string())
}

fn facts(py: Python<'_>, verified: Verified) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("ledger", verified.ledger)?;
    out.set_item("height", verified.height)?;
    out.set_item("time_ms", verified.time_ms)?;
    out.set_item("size", verified.size)?;
    out.set_item("root_hash", encoding::hex(&verified.root_hash))?;
    out.set_item("witnessed_by", verified.witnessed_by)?;
    match verified.what {
        What::Record { kind, id, record } => {
            out.set_item("what", "record")?;
            out.set_item("kind", kind)?;
            out.set_item("id", id)?;
            out.set_item("record", PyBytes::new(py, &record))?;
        }
        What::Absence { kind, id } => {
            out.set_item("what", "absence")?;
            out.set_item("kind", kind)?;
            out.set_item("id", id)?;
        }
        What::Change { kind, id, record, transaction, entry_index } => {
            out.set_item("what", "change")?;
            out.set_item("kind", kind)?;
            out.set_item("id", id)?;
            out.set_item("record", PyBytes::new(py, &record))?;
            out.set_item("transaction", encoding::hex(&transaction))?;
            out.set_item("entry", entry_index)?;
        }
        What::Instruction { instruction, index, transaction, entry_index, by, outcome } => {
            let (word, code) = match outcome {
                Outcome::Applied => ("applied", None),
                Outcome::Refused { code } => ("refused", Some(code)),
                Outcome::HeldBack { code, .. } => ("held_back", Some(code)),
            };
            out.set_item("what", "instruction")?;
            out.set_item("instruction", PyBytes::new(py, &instruction))?;
            out.set_item("index", index)?;
            out.set_item("transaction", encoding::hex(&transaction))?;
            out.set_item("by", by)?;
            out.set_item("outcome", word)?;
            out.set_item("refused", code)?;
            out.set_item("entry", entry_index)?;
        }
    }
    match verified.signers {
        Signers::Judged { keys, .. } => out.set_item("signers", keys)?,
        Signers::NotJudged => out.set_item("signers", py.None())?,
    }
    Ok(out)
}
