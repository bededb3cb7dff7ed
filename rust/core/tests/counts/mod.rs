//! How much of a long test is run: a number from the environment, or what fits into `cargo test`.

#![allow(dead_code, reason = "each test file uses its own part of this support")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The number that a variable names, or `default`.
pub fn count(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, expected a number")),
        Err(_) => default,
    }
}

/// Runs `act` for every seed from `FINCHAIN_SEED` on, on all cores, `seeds` in all; one that fails is named with the
/// command that shows it again.
pub fn every_seed(test_file: &str, variable: &str, seeds: u64, act: impl Fn(u64) + Sync) {
    let first = count("FINCHAIN_SEED", 0);
    let next = AtomicU64::new(first);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| act(seed))) {
                eprintln!(
                    "seed {seed} fails; again: FINCHAIN_SEED={seed} {variable}=1 cargo test --release \
                     -p finchain-core --test {test_file}"
                );
                next.fetch_add(seeds, Ordering::Relaxed);
                resume_unwind(panic);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}
