//! Keys and signatures.

use finchain_core::key_file;
use finchain_core::note::{KeyKind, VerifierKey};
use finchain_core::signature::{self, Claim, PublicKey};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;

use crate::error::{ConfigError, KeyFileError};

/// A private key; its secret half never leaves Rust but into a key file.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct SecretKey(pub(crate) signature::SecretKey);

#[pymethods]
impl SecretKey {
    #[staticmethod]
    #[pyo3(signature = (suite, identity=None))]
    fn generate(suite: &str, identity: Option<&str>) -> PyResult<Self> {
        signature::SecretKey::generate(suite).and_then(|key| named(key, identity)).map(Self).map_err(config_error)
    }

    #[staticmethod]
    fn from_seed(seed: &[u8]) -> PyResult<Self> {
        let seed: [u8; 32] = seed
            .try_into()
            .map_err(|_| ConfigError::new_err(format!("a seed has 32 bytes, and this has {}", seed.len())))?;
        Ok(Self(signature::SecretKey::from_seed(&seed)))
    }

    #[staticmethod]
    #[pyo3(signature = (path, passphrase=None, identity=None))]
    fn load(py: Python<'_>, path: PathBuf, passphrase: Option<Vec<u8>>, identity: Option<&str>) -> PyResult<Self> {
        let key = py
            .detach(|| key_file::read(&path, passphrase.as_deref()))
            .map_err(|e| KeyFileError::new_err(e.to_string()))?;
        named(key, identity).map(Self).map_err(config_error)
    }

    #[pyo3(signature = (path, passphrase=None))]
    fn save(&self, py: Python<'_>, path: PathBuf, passphrase: Option<Vec<u8>>) -> PyResult<()> {
        py.detach(|| key_file::write_new(&path, &self.0, passphrase.as_deref()))
            .map_err(|e| KeyFileError::new_err(e.to_string()))
    }

    #[getter]
    fn suite(&self) -> &'static str {
        self.0.suite().name()
    }

    #[getter]
    fn identity(&self) -> Option<&str> {
        self.0.identity()
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key())
    }

    /// The verifier key of a log of that name which signs its checkpoints with this key.
    fn verifier_key(&self, name: &str) -> PyResult<String> {
        let verifier = KeyKind::of_log(&self.0).and_then(|kind| VerifierKey::of(name, kind, &self.0));
        verifier.map(|key| key.to_string()).map_err(config_error)
    }

    fn sign<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.0.sign(message).map(|signature| PyBytes::new(py, &signature)).map_err(config_error)
    }
}

fn named(key: signature::SecretKey, identity: Option<&str>) -> Result<signature::SecretKey, signature::SignatureError> {
    match identity {
        Some(identity) => key.with_identity(identity),
        None => Ok(key),
    }
}

fn config_error(error: impl std::fmt::Display) -> PyErr {
    ConfigError::new_err(error.to_string())
}

/// Why a signature does not verify by its suite's rule, or `None`.
#[pyfunction]
#[pyo3(signature = (public_key, signature, message, *, suite="ed25519", identity=None))]
pub(crate) fn verify_signature(
    public_key: &[u8],
    signature: &[u8],
    message: &[u8],
    suite: &str,
    identity: Option<&str>,
) -> Option<String> {
    let judged = PublicKey::new(suite, public_key, identity).and_then(|key| key.verify(signature, message));
    judged.err().map(|e| e.to_string())
}

/// The same for many `(public_key, signature, message)` of one suite, in batches on all cores.
#[pyfunction]
#[pyo3(signature = (claims, *, suite="ed25519"))]
pub(crate) fn verify_batch(
    py: Python<'_>,
    claims: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    suite: &str,
) -> PyResult<Vec<Option<String>>> {
    let suite = signature::suite(suite)
        .ok_or_else(|| config_error(signature::SignatureError::UnknownSuite { name: suite.to_owned() }))?;
    Ok(py.detach(|| {
        let items: Vec<Claim<'_>> = claims
            .iter()
            .map(|(public_key, signature, message)| Claim { public_key, identity: None, signature, message })
            .collect();
        suite.verify_batch(&items).into_iter().map(|verdict| verdict.err().map(|e| e.to_string())).collect()
    }))
}

/// The spelling that the ledger holds of a signature in DER: 64 bytes, in suite `p256` with the lesser `s`.
#[pyfunction]
pub(crate) fn signature_from_der<'py>(py: Python<'py>, suite: &str, der: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let raw = signature::from_der(der).map_err(config_error)?;
    signature_from_raw(py, suite, &raw)
}

/// The spelling that the ledger holds of a signature of 64 bytes: in suite `p256` with the lesser `s`.
#[pyfunction]
pub(crate) fn signature_from_raw<'py>(py: Python<'py>, suite: &str, raw: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    signature::on_the_ledger(suite, raw).map(|bytes| PyBytes::new(py, &bytes)).map_err(config_error)
}

/// A signature of 64 bytes as DER.
#[pyfunction]
pub(crate) fn signature_to_der<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    signature::to_der(raw).map(|der| PyBytes::new(py, &der)).map_err(config_error)
}
