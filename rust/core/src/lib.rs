//! The core of finchain: bytes, hashes, signatures, trees and the durable log on disk.
//!
//! It knows no Python, no C and no unsafe code, reads no clock except through its callers, and
//! never panics on input. `docs/format.md` is the authority for every byte it reads or writes.
#![forbid(unsafe_code)]

pub mod authority;
pub mod block;
pub mod canonical;
pub mod checkpoint;
pub mod cores;
pub mod encoding;
pub mod error;
pub mod hash;
pub mod index;
pub mod key_file;
pub mod ledger;
pub mod log;
pub mod merkle;
pub mod note;
pub mod receipt;
pub mod signature;
pub mod state_map;
pub mod transaction;
