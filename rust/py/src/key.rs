//! Keys and signatures.

use finchain_core::key_file;
use finchain_core::signature::{self, Claim};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;

use crate::error::{ConfigError, KeyFileError};

/// An Ed25519 private key; its seed never leaves Rust but into a key file.
#[pyclass(frozen, module = "finchain._core")]
pub(crate) struct SecretKey(pub(crate) signature::SecretKey);

#[pymethods]
impl SecretKey {
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        signature::SecretKey::generate().map(Self).map_err(|e| ConfigError::new_err(e.to_string()))
    }

    #[staticmethod]
    fn from_seed(seed: &[u8]) -> PyResult<Self> {
        let seed: [u8; 32] = seed
            .try_into()
            .map_err(|_| ConfigError::new_err(format!("a seed has 32 bytes, and this has {}", seed.len())))?;
        Ok(Self(signature::SecretKey::from_seed(&seed)))
    }

    #[staticmethod]
    #[pyo3(signature = (path, passphrase=None))]
    fn load(py: Python<'_>, path: PathBuf, passphrase: Option<Vec<u8>>) -> PyResult<Self> {
        py.detach(|| key_file::read(&path, passphrase.as_deref()))
            .map(Self)
            .map_err(|e| KeyFileError::new_err(e.to_string()))
    }

    #[pyo3(signature = (path, passphrase=None))]
    fn save(&self, py: Python<'_>, path: PathBuf, passphrase: Option<Vec<u8>>) -> PyResult<()> {
        py.detach(|| key_file::write_new(&path, &self.0, passphrase.as_deref()))
            .map_err(|e| KeyFileError::new_err(e.to_string()))
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key())
    }

    fn sign<'py>(&self, py: Python<'py>, message: &[u8]) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.sign(message))
    }
}

/// Why an Ed25519 signature does not verify by Algorithm 2, or `None`.
#[pyfunction]
pub(crate) fn verify_signature(public_key: &[u8], signature: &[u8], message: &[u8]) -> Option<String> {
    signature::verify(&Claim { public_key, signature, message }).err().map(|e| e.to_string())
}

/// The same for many `(public_key, signature, message)`, in batches on all cores.
#[pyfunction]
pub(crate) fn verify_batch(py: Python<'_>, claims: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>) -> Vec<Option<String>> {
    py.detach(|| {
        let items: Vec<Claim<'_>> =
            claims.iter().map(|(public_key, signature, message)| Claim { public_key, signature, message }).collect();
        signature::verify_batch(&items).into_iter().map(|verdict| verdict.err().map(|e| e.to_string())).collect()
    })
}
