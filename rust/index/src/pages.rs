//! Whether the trees in LMDB's file are whole, before LMDB maps it.
//!
//! LMDB believes its pages: a wrong offset or page number ends the process with a signal, and a key that changed hides
//! its row without a word. A file that was closed has a sum. One whose process was killed has none, so its trees are
//! walked here, from the newest meta page: each page is of its kind and reached once, its rows fill it without a gap,
//! keys ascend, counts are those that LMDB keeps, pages in use are not free, and each row has its sum. What a record
//! says is left to the state map, which is made from all of them next. It only reads, and nobody may write meanwhile.
//!
//! It takes about four times as long as the sum of the same file (`tests/index_figures.rs`). To open the index in a
//! process of its own first would show what crashes, and not what lies.

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::IndexError;
use crate::header::{MetaPage, NO_PAGE};
use crate::rows;
use crate::tables::NAMES;

/// Bytes of a page's head, and of a row's.
const PAGE_HEAD: usize = 16;
const NODE_HEAD: usize = 8;
/// Flags of a page.
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
/// Flags of a row: its value is on pages of its own; its value describes a tree.
const BIG: u16 = 1;
const TREE: u16 = 2;
/// A tree's flag: its keys are numbers. Only the tree of free pages has it.
const NUMBER_KEYS: u16 = 8;
/// The two meta pages come first.
const FIRST_PAGE: u64 = 2;
/// LMDB's own limits.
const DEPTH_MAX: u16 = 32;
const KEY_BYTES_MAX: usize = 511;

/// What a meta page, or a row of the tree of tables, says of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tree {
    flags: u16,
    depth: u16,
    branches: u64,
    leaves: u64,
    overflow: u64,
    rows: u64,
    top: u64,
}

/// What the rows of a tree are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Lists of free pages.
    Free,
    /// The tables.
    Tables,
    /// Rows of that table.
    Rows(&'static str),
}

/// A row as it stands in a page.
struct Node<'p> {
    flags: u16,
    key: &'p [u8],
    /// Bytes of the value; in a branch the lower part of a page's number.
    size: usize,
    /// The value, or the number of its first page; in a branch nothing.
    value: &'p [u8],
}

/// Checks every tree of the file at `path`, as the newer of its two meta pages has them.
///
/// # Errors
/// `Damaged`: the index is to be made anew; `Io`.
pub(crate) fn check(path: &Path, [first, second]: &[MetaPage; 2]) -> Result<(), IndexError> {
    // Each transaction writes the one that the one before did not write.
    if first.transaction.abs_diff(second.transaction) > 1 {
        return Err(IndexError::damaged("its two meta pages are not of transactions that follow each other"));
    }
    let newest = if first.transaction < second.transaction { second } else { first };
    let file = File::open(path).map_err(IndexError::io("open", path))?;
    let words = usize::try_from(newest.last_page / 64).unwrap_or(usize::MAX).saturating_add(1);
    let mut pages = Pages { file, path, newest, reached: vec![0; words] };
    let mut tables = Vec::new();
    pages.tree(Kind::Tables, &newest.tables, &mut tables)?;
    if !tables.is_empty() && tables.len() != NAMES.len() {
        return Err(broken(FIRST_PAGE, "tables are missing"));
    }
    for (name, tree) in tables {
        pages.tree(Kind::Rows(name), &tree, &mut Vec::new())?;
    }
    pages.tree(Kind::Free, &newest.free, &mut Vec::new())
}

fn broken(page: u64, what: &str) -> IndexError {
    IndexError::damaged(format!("page {page} of its file: {what}"))
}

/// The file, and which of its pages were met.
struct Pages<'a> {
    file: File,
    path: &'a Path,
    newest: &'a MetaPage,
    reached: Vec<u64>,
}

/// How far the walk over a tree has come.
struct Walked<'t> {
    kind: Kind,
    found: Tree,
    /// The last key, or the one above the next page, which the next key may be equal to.
    before: Option<(Vec<u8>, bool)>,
    tables: &'t mut Vec<(&'static str, Vec<u8>)>,
}

impl Pages<'_> {
    fn tree(
        &mut self,
        kind: Kind,
        described: &[u8],
        tables: &mut Vec<(&'static str, Vec<u8>)>,
    ) -> Result<(), IndexError> {
        let expected = Tree::parse(described).ok_or_else(|| broken(0, "it describes no tree"))?;
        let flags = if kind == Kind::Free { NUMBER_KEYS } else { 0 };
        let found = Tree { flags, depth: expected.depth, top: expected.top, ..Tree::default() };
        let mut walked = Walked { kind, found, before: None, tables };
        if expected.top == NO_PAGE {
            walked.found.depth = 0;
        } else {
            self.page(&mut walked, expected.top, 1)?;
        }
        if walked.found == expected { Ok(()) } else { Err(broken(expected.top, "its tree has other pages or rows")) }
    }

    /// Walks what is below a page; pages of the tree's first level have `level` 1.
    fn page(&mut self, walked: &mut Walked, number: u64, level: u16) -> Result<(), IndexError> {
        let page = self.read(number, 1)?;
        let depth = walked.found.depth;
        let wrong = |what| broken(number, what);
        let flags = head(&page, number).ok_or_else(|| wrong("it has another number"))?;
        if depth > DEPTH_MAX || level > depth || flags != if level == depth { LEAF } else { BRANCH } {
            return Err(wrong("it is of another kind"));
        }
        let nodes = nodes(&page, flags).ok_or_else(|| wrong("its rows do not fill it"))?;
        if flags == LEAF {
            walked.found.leaves += 1;
            return nodes.iter().try_for_each(|node| self.row(walked, number, node));
        }
        walked.found.branches += 1;
        // Only the tree of free pages may have a branch of one: LMDB aborts at any other.
        if nodes.len() < 2 && walked.kind != Kind::Free {
            return Err(wrong("it leads to one page only"));
        }
        for (position, node) in nodes.iter().enumerate() {
            if position > 0 {
                walked.follow(number, node.key, true)?;
            }
            self.page(walked, node.size as u64 | u64::from(node.flags) << 32, level + 1)?;
        }
        Ok(())
    }

    fn row(&mut self, walked: &mut Walked, number: u64, node: &Node) -> Result<(), IndexError> {
        let wrong = |what| broken(number, what);
        walked.follow(number, node.key, false)?;
        walked.found.rows += 1;
        let kept;
        let value = if node.flags & BIG == 0 {
            node.value
        } else {
            let first = node.value.try_into().map(u64::from_le_bytes).map_err(|_| wrong("a value has no page"))?;
            let (count, bytes) = self.overflow(first, node.size)?;
            walked.found.overflow += count;
            kept = bytes;
            kept.get(PAGE_HEAD..PAGE_HEAD + node.size).ok_or_else(|| wrong("a value ends outside of its pages"))?
        };
        match (walked.kind, node.flags) {
            (Kind::Rows(table), 0 | BIG) => rows::check_row(table, node.key, value),
            (Kind::Free, 0 | BIG) => self.free(number, value),
            (Kind::Tables, TREE) => {
                let name = NAMES.iter().find(|name| name.as_bytes() == node.key);
                walked.tables.push((name.ok_or_else(|| wrong("it names another table"))?, value.to_vec()));
                Ok(())
            }
            _ => Err(wrong("a row is of another kind")),
        }
    }

    /// The pages of a value that has its own: how many, and their bytes.
    fn overflow(&mut self, first: u64, size: usize) -> Result<(u64, Vec<u8>), IndexError> {
        let count = (PAGE_HEAD + size).div_ceil(self.newest.page_bytes) as u64;
        let bytes = self.read(first, count)?;
        let whole = head(&bytes, first) == Some(OVERFLOW) && u32_at(&bytes, 12).map(u64::from) == Some(count);
        if whole { Ok((count, bytes)) } else { Err(broken(first, "it is not the page of a value")) }
    }

    /// A list of free pages: their count, and their numbers, the greatest first.
    fn free(&mut self, number: u64, list: &[u8]) -> Result<(), IndexError> {
        let wrong = || broken(number, "it is no list of free pages");
        let (numbers, rest) = list.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let count = numbers.next().and_then(|count| usize::try_from(count).ok());
        if count != Some(numbers.len()) || !rest.is_empty() {
            return Err(wrong());
        }
        let mut before = NO_PAGE;
        for free in numbers {
            if free >= before {
                return Err(wrong());
            }
            self.reach(free, 1)?;
            before = free;
        }
        Ok(())
    }

    /// Reads pages that nothing else may use.
    fn read(&mut self, first: u64, count: u64) -> Result<Vec<u8>, IndexError> {
        self.reach(first, count)?;
        let bytes = self.newest.page_bytes;
        let mut pages = vec![0; usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(bytes)];
        let read = self.file.read_exact_at(&mut pages, first * bytes as u64);
        read.map_err(IndexError::io("read", self.path))?;
        Ok(pages)
    }

    fn reach(&mut self, first: u64, count: u64) -> Result<(), IndexError> {
        let until = first.checked_add(count).filter(|until| first >= FIRST_PAGE && until - 1 <= self.newest.last_page);
        for page in first..until.ok_or_else(|| broken(first, "it is not in the file"))? {
            let word = usize::try_from(page / 64).ok().and_then(|at| self.reached.get_mut(at));
            let word = word.ok_or_else(|| broken(page, "it is not in the file"))?;
            if *word & 1 << (page % 64) != 0 {
                return Err(broken(page, "it is used twice"));
            }
            *word |= 1 << (page % 64);
        }
        Ok(())
    }
}

impl Walked<'_> {
    /// Goes on to a key, which must come after the one before.
    fn follow(&mut self, number: u64, key: &[u8], above: bool) -> Result<(), IndexError> {
        let order = |before: &[u8]| match (self.kind, before.try_into(), key.try_into()) {
            (Kind::Free, Ok(before), Ok(key)) => u64::from_le_bytes(before).cmp(&u64::from_le_bytes(key)),
            _ => before.cmp(key),
        };
        let follows = self.before.as_ref().is_none_or(|(before, or_equal)| match order(before) {
            Ordering::Less => true,
            Ordering::Equal => *or_equal && !above,
            Ordering::Greater => false,
        });
        let fits = if self.kind == Kind::Free { key.len() == 8 } else { (1..=KEY_BYTES_MAX).contains(&key.len()) };
        if !follows || !fits {
            return Err(broken(number, "its keys are not in order"));
        }
        let (before, or_equal) = self.before.get_or_insert_default();
        before.clear();
        before.extend_from_slice(key);
        *or_equal = above;
        Ok(())
    }
}

impl Tree {
    /// The 48 bytes with which LMDB describes a tree. The first four are the page's size in the first of them, else 0.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        Some(Self {
            flags: u16_at(bytes, 4)?,
            depth: u16_at(bytes, 6)?,
            branches: word(8)?,
            leaves: word(16)?,
            overflow: word(24)?,
            rows: word(32)?,
            top: word(40).filter(|_| bytes.len() == 48)?,
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// The flags in a page's head, if that is of the page with this number.
fn head(page: &[u8], number: u64) -> Option<u16> {
    let found = page.get(..8)?.try_into().ok().map(u64::from_le_bytes)?;
    u16_at(page, 10).filter(|_| found == number)
}

/// The rows of a leaf or a branch, in the order of their keys, if they fill the page's end without a gap.
fn nodes(page: &[u8], flags: u16) -> Option<Vec<Node<'_>>> {
    let (lower, upper) = (usize::from(u16_at(page, 12)?), usize::from(u16_at(page, 14)?));
    if lower <= PAGE_HEAD || lower % 2 != 0 || lower > upper {
        return None;
    }
    let mut nodes = Vec::with_capacity((lower - PAGE_HEAD) / 2);
    let mut places = Vec::with_capacity(nodes.capacity());
    for at in (PAGE_HEAD..lower).step_by(2) {
        let start = usize::from(u16_at(page, at)?);
        let size = usize::try_from(u32_at(page, start)?).ok()?;
        let (node_flags, key_bytes) = (u16_at(page, start + 4)?, usize::from(u16_at(page, start + 6)?));
        let value_bytes = match flags {
            BRANCH => 0,
            _ if node_flags & BIG != 0 => 8,
            _ => size,
        };
        let value_at = start + NODE_HEAD + key_bytes;
        let key = page.get(start + NODE_HEAD..value_at)?;
        let value = page.get(value_at..value_at.checked_add(value_bytes)?)?;
        places.push((start, (value_at + value_bytes).next_multiple_of(2)));
        nodes.push(Node { flags: node_flags, key, size, value });
    }
    places.sort_unstable();
    let end = places.into_iter().try_fold(upper, |at, (start, end)| (start == at).then_some(end));
    (end == Some(page.len())).then_some(nodes)
}
