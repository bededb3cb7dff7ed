//! What belongs to the process that opened it: a forked child inherits the handle and nothing that the handle is about.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

static LOADED_BY: OnceLock<u32> = OnceLock::new();

/// Notes which process loads the module.
pub(crate) fn note() {
    let _ = LOADED_BY.set(std::process::id());
}

/// Whether this process was forked after the module was loaded.
pub(crate) fn is_forked() -> bool {
    LOADED_BY.get().is_some_and(|process| *process != std::process::id())
}

/// A value that only the process that made it lets go of. In a forked child its threads are not there to be joined, and
/// its locks, its files and its place among the readers of the index are the parent's.
pub(crate) struct OfProcess<T> {
    value: Arc<T>,
    process: u32,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Arc::new(value), process: std::process::id() }
    }

    /// The value, for a thread of this process.
    pub(crate) fn share(&self) -> Arc<T> {
        Arc::clone(&self.value)
    }
}

impl<T> Deref for OfProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            std::mem::forget(Arc::clone(&self.value));
        }
    }
}
