//! The one place that maps errors of the core to the exceptions of `finchain/errors.py`.

use finchain_core::error::Rejection;
use finchain_core::ledger::LedgerError;
use pyo3::prelude::*;

mod python {
    //! The exception classes, imported when first raised.
    use pyo3::import_exception;
    import_exception!(finchain.errors, TamperError);
    import_exception!(finchain.errors, StorageError);
    import_exception!(finchain.errors, LockedError);
    import_exception!(finchain.errors, NotFound);
    import_exception!(finchain.errors, KeyFileError);
    import_exception!(finchain.errors, VersionError);
    import_exception!(finchain.errors, UnconfirmedError);
    import_exception!(finchain.errors, ConfigError);
    import_exception!(finchain.errors, FinchainError);
    import_exception!(finchain.errors, ForkError);
}

pub(crate) use python::{ConfigError, ForkError, KeyFileError, StorageError, TamperError};

/// A rejection as Python gets it: code, message, advice.
pub(crate) type Rejected = (&'static str, String, String);

pub(crate) fn rejected(rejection: &Rejection) -> Rejected {
    (rejection.code.name(), rejection.message.clone(), rejection.advice.clone())
}

/// The exception for a rejection.
pub(crate) fn rejection_error(py: Python<'_>, rejection: &Rejection) -> PyErr {
    let make = || py.import("finchain.errors")?.getattr("rejection")?.call1(rejected(rejection));
    make().map_or_else(|error| error, PyErr::from_value)
}

pub(crate) fn ledger_error(error: LedgerError) -> PyErr {
    let text = error.to_string();
    match error {
        LedgerError::Tampered { .. } | LedgerError::Genesis(_) => TamperError::new_err(text),
        LedgerError::Storage(_) | LedgerError::IndexStale(_) => StorageError::new_err(text),
        LedgerError::Locked(_) => python::LockedError::new_err(text),
        LedgerError::NotFound(_) => python::NotFound::new_err(text),
        LedgerError::Version(_) => python::VersionError::new_err(text),
        LedgerError::Unconfirmed(_) => python::UnconfirmedError::new_err(text),
        LedgerError::ReadOnly | LedgerError::Closed | LedgerError::Conflict(_) => ConfigError::new_err(text),
        LedgerError::Internal(_) => python::FinchainError::new_err(text),
    }
}

/// A lock that a panicking thread held is used all the same: nothing behind it is trusted without its hash.
pub(crate) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
