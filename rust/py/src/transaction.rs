//! Building a transaction's header, and taking a transaction apart.

use finchain_core::encoding;
use finchain_core::error::{Code, Rejection};
use finchain_core::hash::{self, HashSuite, Purpose};
use finchain_core::transaction::{self, Transaction};
use finchain_core::{canonical, merkle};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{ConfigError, rejection_error};

pub(crate) fn suite(name: &str) -> PyResult<&'static dyn HashSuite> {
    hash::suite(name).ok_or_else(|| {
        ConfigError::new_err(format!("there is no hash suite {name:?}; there are {}", hash::SUITE_NAMES))
    })
}

/// The header's bytes and the transaction's id for instructions given as one canonical array.
#[pyfunction]
#[pyo3(signature = (*, by, expires_ms, hash_suite, instructions, lane, ledger, mode, rulebook, salt, sequence))]
#[allow(clippy::too_many_arguments)] // The members of a header, by name only.
pub(crate) fn transaction_header<'py>(
    py: Python<'py>,
    by: Vec<String>,
    expires_ms: u64,
    hash_suite: &str,
    instructions: &[u8],
    lane: &str,
    ledger: &str,
    mode: &str,
    rulebook: u32,
    salt: [u8; 16],
    sequence: u64,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let suite = suite(hash_suite)?;
    let built = (|| {
        let ranges = canonical::elements(instructions, canonical::DEPTH_MAX + 1)
            .map_err(|e| Rejection::malformed(format!("instructions: {e}"), "canonical JSON"))?;
        let mut leaves = Vec::with_capacity(ranges.len());
        for (index, range) in (0u32..).zip(&ranges) {
            transaction::check_instruction(index as usize, &instructions[range.clone()])?;
            let salt = transaction::instruction_salt(suite, &salt, index);
            leaves.push(suite.hash(Purpose::Instruction, &[&salt, &instructions[range.clone()]]));
        }
        let root_hex = encoding::hex(&merkle::tree_hash(suite, &leaves));
        let by = by.iter().map(|p| format!("\"{p}\"")).collect::<Vec<_>>().join(",");
        let header = format!(
            "{{\"by\":[{by}],\"count\":{},\"expires_ms\":{expires_ms},\"lane\":\"{lane}\",\
             \"ledger\":\"{ledger}\",\"mode\":\"{mode}\",\"root\":\"{root_hex}\",\
             \"rulebook\":{rulebook},\"sequence\":{sequence},\"type\":\"finchain.transaction.1\"}}",
            ranges.len()
        );
        transaction::parse_header(header.as_bytes())?;
        Ok::<_, Rejection>(header)
    })();
    let header = built.map_err(|e| rejection_error(py, &e))?;
    let id = suite.hash(Purpose::Transaction, &[header.as_bytes()]);
    Ok((PyBytes::new(py, header.as_bytes()), PyBytes::new(py, &id)))
}

type Parts<'py> =
    (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// A transaction's header, instructions, salt, signatures and id, once all of it that needs no state is checked.
///
/// A transaction that nobody has signed yet is taken apart too.
#[pyfunction]
pub(crate) fn transaction_parts<'py>(py: Python<'py>, text: &[u8], hash_suite: &str) -> PyResult<Parts<'py>> {
    let suite = suite(hash_suite)?;
    let t = match Transaction::parse(text, suite) {
        Err(error) if error.code == Code::MissingSignature => Transaction::parse_unsigned(text, suite),
        other => other,
    }
    .map_err(|e| rejection_error(py, &e))?;
    Ok((
        PyBytes::new(py, t.header()),
        PyBytes::new(py, t.instructions()),
        PyBytes::new(py, &t.salt),
        PyBytes::new(py, t.signatures_text()),
        PyBytes::new(py, &t.id),
    ))
}
