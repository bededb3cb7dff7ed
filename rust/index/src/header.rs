//! A look at the data file before LMDB maps it.
//!
//! LMDB believes its two meta pages: a wild page size or a file that is shorter than they say ends the process
//! with a signal. This look refuses such files. It does not see damage inside other pages: whoever will write has a
//! closed file summed (`mark`) and one whose process was killed walked (`pages`). Who only reads has neither, because
//! another may be writing: a damaged index may end a reader's process, until the ledger is opened for writing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::IndexError;

// Offsets in a meta page on 64-bit machines, as `mdb.c` lays them out: the page's head has 16 bytes, and the
// page size stands in the first field of the first of the two trees' descriptions.
const MAGIC_AT: usize = 16;
const VERSION_AT: usize = 20;
const PAGE_BYTES_AT: usize = 40;
const FREE_AT: usize = 40;
const TABLES_AT: usize = 88;
const TREE_BYTES: usize = 48;
const ROOTS_AT: [usize; 2] = [80, 128];
const LAST_PAGE_AT: usize = 136;
const TRANSACTION_AT: usize = 144;
const HEADER_BYTES: usize = 152;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// A tree without pages.
pub(crate) const NO_PAGE: u64 = u64::MAX;
/// LMDB's limits for a page.
const PAGE_BYTES: std::ops::RangeInclusive<u64> = 512..=65536;

/// What a meta page says.
#[derive(Debug)]
pub(crate) struct MetaPage {
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Number of the last page in use.
    pub last_page: u64,
    /// The tree of free pages, as LMDB describes one.
    pub free: [u8; TREE_BYTES],
    /// The tree of tables.
    pub tables: [u8; TREE_BYTES],
    /// Number of the transaction that wrote it.
    pub transaction: u64,
}

/// Checks that the meta pages are LMDB's and speak only of what the file holds; gives both.
pub(crate) fn check(path: &Path) -> Result<[MetaPage; 2], IndexError> {
    let file = File::open(path).map_err(IndexError::io("open", path))?;
    let file_bytes = file.metadata().map_err(IndexError::io("measure", path))?.len();
    let first = meta(&file, path, file_bytes, 0)?;
    let second = meta(&file, path, file_bytes, first.page_bytes as u64)?;
    if first.page_bytes != second.page_bytes {
        return Err(IndexError::damaged("its two meta pages disagree about the page size"));
    }
    Ok([first, second])
}

/// Checks the meta page at `offset`.
fn meta(file: &File, path: &Path, file_bytes: u64, offset: u64) -> Result<MetaPage, IndexError> {
    let mut page = [0; HEADER_BYTES];
    if file_bytes < offset + HEADER_BYTES as u64 {
        return Err(IndexError::damaged("the data file ends within its meta pages"));
    }
    file.read_exact_at(&mut page, offset).map_err(IndexError::io("read", path))?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| page[at + i]));
    let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| page[at + i]));
    if half(MAGIC_AT) != MAGIC || half(VERSION_AT) != VERSION {
        return Err(IndexError::Foreign { path: path.into() });
    }
    let page_bytes = u64::from(half(PAGE_BYTES_AT));
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
    Ok(MetaPage {
        page_bytes: usize::try_from(page_bytes).unwrap_or(usize::MAX),
        last_page,
        free: std::array::from_fn(|i| page[FREE_AT + i]),
        tables: std::array::from_fn(|i| page[TABLES_AT + i]),
        transaction: word(TRANSACTION_AT),
    })
}
