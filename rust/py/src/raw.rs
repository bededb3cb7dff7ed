//! Hashes, trees and canonical JSON on their own, for tests that hold the core against another implementation.

use finchain_core::hash::{Hash, Purpose};
use finchain_core::state_map::{Leaf, StateMap, record_key, record_value};
use finchain_core::{canonical, merkle};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::ConfigError;
use crate::transaction::suite;

/// Raises where `text` is not one canonical JSON value of at most that depth.
#[pyfunction]
pub(crate) fn canonical_check(text: &[u8], depth_max: usize) -> PyResult<()> {
    canonical::check(text, depth_max).map_err(|e| ConfigError::new_err(e.to_string()))
}

/// `hash(purpose, data)` of `docs/format.md` section 2.
#[pyfunction]
pub(crate) fn hash<'py>(
    py: Python<'py>,
    hash_suite: &str,
    purpose: &str,
    content: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let purpose = Purpose::ALL.into_iter().find(|p| p.name() == purpose);
    let purpose = purpose.ok_or_else(|| ConfigError::new_err("there is no such purpose"))?;
    Ok(PyBytes::new(py, &suite(hash_suite)?.hash(purpose, &[content])))
}

/// Root of the tree over leaves of 32 bytes.
#[pyfunction]
pub(crate) fn tree_root<'py>(py: Python<'py>, hash_suite: &str, leaves: Vec<Hash>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &merkle::tree_hash(suite(hash_suite)?, &leaves)))
}

/// Path of one leaf, from the leaf upwards.
#[pyfunction]
pub(crate) fn tree_path<'py>(
    py: Python<'py>,
    hash_suite: &str,
    leaves: Vec<Hash>,
    index: usize,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let path = merkle::path(suite(hash_suite)?, &leaves, index).map_err(|e| ConfigError::new_err(e.to_string()))?;
    Ok(path.iter().map(|h| PyBytes::new(py, h)).collect())
}

/// Root of a state map over `(kind, id, salt, record)`.
#[pyfunction]
pub(crate) fn state_root<'py>(
    py: Python<'py>,
    hash_suite: &str,
    records: Vec<(String, String, [u8; 16], Vec<u8>)>,
) -> PyResult<Bound<'py, PyBytes>> {
    let suite = suite(hash_suite)?;
    let mut map = StateMap::new(suite);
    let mut leaves: Vec<Leaf> = records
        .iter()
        .zip(0..)
        .map(|((kind, id, salt, record), number)| Leaf {
            key: record_key(suite, kind, id),
            value: record_value(suite, salt, record),
            salt: *salt,
            number,
        })
        .collect();
    map.apply(&mut leaves);
    Ok(PyBytes::new(py, &map.root_hash()))
}
