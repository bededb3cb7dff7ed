//! The rebuildable index of a ledger: LMDB behind one small interface.
//!
//! It is a cache of the blocks, and no truth rests on it: what it gives is compared with the state map before a
//! rule reads it, and it can be wiped and filled again from the blocks at any time. So it writes without syncing,
//! and says at open whether it can be trusted: `IndexError::needs_wipe` is the answer of an index that is damaged,
//! foreign, of another version, or was open when the machine went down.
//!
//! Tables; keys are big-endian, so that their order is that of time, and values are little-endian. A sum is the first 8
//! bytes of BLAKE3 over the table's name, the key and what stands before it in the row:
//!
//! | table | key | value |
//! |---|---|---|
//! | `keys` | number u64 of the first of 65,536 records | an entry for each; sum |
//! | `records` | number u64 | height u64, entry u32; sum; key 32, salt 16, kind, id, record |
//! | `touches` | height u64, entry u32 | a row for each record; sum |
//! | `lanes` | number of the lane's record u64, sequence u64 | height u64, entry u32; sum |
//! | `blocks` | height u64 | hash 32, segment u32, offset u64, length u32, time in ms u64; sum |
//! | `meta` | `format` | u32 |
//! | `meta` | `tip` | hash of block 0 32, height u64, block hash 32, next number u64; sum |
//!
//! A record's number is how many were born before it; kind and id have a length u8 before them. An entry of `keys`,
//! which are in the order of keys: the first 8 bytes of the record's key, and how far the record is from the first, u16
//! big-endian. A row of `touches`: number u64, height u64 and entry u32 of the touch before (all ones if none), count
//! u16, instructions u16 each.
//!
//! No table has scattered keys, which are what slows such a tree down: each write copies a page, and of many records
//! nearly each write another one. Who writes knows numbers from the state map; who only reads finds them in `keys`,
//! whose rows are written when their last record is born, and never again. Later records are looked for one by one.
//!
//! Beside LMDB's two files stand `mark`, which says whether the index was closed, and `leaves`: the state map's own
//! leaves as they were then, so that who opens the ledger need not read every record to make the map again.
#![deny(unsafe_code)]

mod apply;
mod compare;
mod error;
mod header;
mod index;
mod keys;
mod leaves;
mod mark;
mod pages;
mod read;
mod record_index;
mod rows;
mod sum;
mod tables;

pub use compare::{Difference, Differences, Fault};
pub use error::{IndexError, RowFault};
pub use finchain_core::index::{BlockRow, BlockRows, LaneRow, Stored, Touch, Write};
pub use index::{Edition, Index, MapSize, Meta, Opened};
pub use rows::RecordView;
