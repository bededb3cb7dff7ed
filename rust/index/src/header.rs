//! A look at the data file before LMDB maps it.
//!
//! LMDB believes its two meta pages: a wild page size or a file that is shorter than they say ends the process
//! with a signal. This look refuses such files. What it cannot see is damage inside other pages, where LMDB keeps no
//! checksums. A look-up that meets a page of zeros or of a wrong kind gives an error, but a walk over all rows that
//! meets one makes LMDB abort the process, and wrong offsets within a page may do anything. The mark guards against
//! loss of power, and by its sum against a disk that changes bytes of a closed index. What is left: bytes of an index
//! that change between the end of a process that was killed and the next open in the same boot. If a process ends
//! with a signal while it opens a ledger, the index is to be removed by hand.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::IndexError;

// Offsets in a meta page on 64-bit machines, as `mdb.c` lays them out: the page's head has 16 bytes, and the
// page size stands in the first field of the first of the two trees' descriptions.
const MAGIC_AT: usize = 16;
const PAGE_BYTES_AT: usize = 40;
const ROOTS_AT: [usize; 2] = [80, 128];
const LAST_PAGE_AT: usize = 136;
const HEADER_BYTES: usize = 152;

const MAGIC: u32 = 0xBEEF_C0DE;
/// A tree without pages.
const NO_PAGE: u64 = u64::MAX;
/// LMDB's limits for a page.
const PAGE_BYTES: std::ops::RangeInclusive<u64> = 512..=65536;

/// Checks that the meta pages are LMDB's and speak only of what the file holds.
pub(crate) fn check(path: &Path) -> Result<(), IndexError> {
    let file = File::open(path).map_err(IndexError::io("open", path))?;
    let file_bytes = file.metadata().map_err(IndexError::io("measure", path))?.len();
    let first = page_bytes(&file, path, file_bytes, 0)?;
    let second = page_bytes(&file, path, file_bytes, first)?;
    if first != second {
        return Err(IndexError::damaged("its two meta pages disagree about the page size"));
    }
    Ok(())
}

/// Checks the meta page at `offset` and gives the size of pages.
fn page_bytes(file: &File, path: &Path, file_bytes: u64, offset: u64) -> Result<u64, IndexError> {
    let mut page = [0; HEADER_BYTES];
    if file_bytes < offset + HEADER_BYTES as u64 {
        return Err(IndexError::damaged("the data file ends within its meta pages"));
    }
    file.read_exact_at(&mut page, offset).map_err(IndexError::io("read", path))?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| page[at + i]));
    let magic = word(MAGIC_AT) & u64::from(u32::MAX);
    if magic != u64::from(MAGIC) {
        return Err(IndexError::Foreign { path: path.into() });
    }
    let page_bytes = word(PAGE_BYTES_AT) & u64::from(u32::MAX);
    if !PAGE_BYTES.contains(&page_bytes) || !page_bytes.is_power_of_two() {
        return Err(IndexError::damaged(format!("a page of {page_bytes} bytes")));
    }
    let last_page = word(LAST_PAGE_AT);
    let expected = last_page.checked_add(1).and_then(|pages| pages.checked_mul(page_bytes));
    if expected.is_none_or(|expected| expected > file_bytes) {
        return Err(IndexError::damaged(format!("the data file has {file_bytes} bytes and should have more")));
    }
    if ROOTS_AT.map(word).into_iter().any(|page| page != NO_PAGE && page > last_page) {
        return Err(IndexError::damaged("a tree begins outside of the data file"));
    }
    Ok(page_bytes)
}
