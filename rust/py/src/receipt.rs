//! Verifying receipts: bytes and trust in, facts out.

use finchain_core::note::VerifierKey;
use pyo3::prelude::*;

use crate::error::ConfigError;

pub(crate) fn verifier_keys(texts: &[String]) -> PyResult<Vec<VerifierKey>> {
    texts
        .iter()
        .map(|text| VerifierKey::parse(text).map_err(|e| ConfigError::new_err(format!("verifier key {text:?}: {e}"))))
        .collect()
}
