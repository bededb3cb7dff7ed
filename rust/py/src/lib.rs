//! The Python binding of finchain's core: it registers classes and functions, and converts; it decides nothing.
//!
//! Long work releases the interpreter lock. Every failure is one of the classes of `finchain/errors.py`.

// Arguments that come from Python arrive owned.
#![allow(clippy::needless_pass_by_value)]

mod copies;
mod error;
mod key;
mod ledger;
mod opened;
mod process;
mod raw;
mod reader;
mod receipt;
mod transaction;

use pyo3::prelude::*;

/// The compiled core of finchain.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::copies::{Chain, Survey, backup, confirm_copy, repair, signed_mark};
    #[pymodule_export]
    use crate::key::{
        SecretKey, signature_from_der, signature_from_raw, signature_to_der, verify_batch, verify_signature,
    };
    #[pymodule_export]
    use crate::ledger::{Checked, Checking, CheckingBlock, Ledger};
    #[pymodule_export]
    use crate::opened::Opened;
    #[pymodule_export]
    use crate::raw::{canonical_check, hash, state_root, tree_path, tree_root};
    #[pymodule_export]
    use crate::reader::{Reader, View};
    #[pymodule_export]
    use crate::receipt::{checkpoint_parts, verify_checkpoint, verify_receipt, verify_receipts};
    #[pymodule_export]
    use crate::transaction::{transaction_header, transaction_parts};

    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    /// Version of the compiled core, compared with the package's at import.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::process::note();
        module.add("vector_code", finchain_core::signature::VECTOR_CODE)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
