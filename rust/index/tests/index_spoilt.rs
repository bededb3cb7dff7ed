//! Whatever becomes of the file of an index whose process was killed: bits change in rows of every table, in the heads
//! of pages and in what LMDB believes of itself, pages are lost or stand in another's place. Each change is noticed or
//! harmless, an index that is made anew says the same, and no process ends by it.
//!
//! LMDB believes its pages, so the changes are tried in another process, which would end by a signal: before the walk
//! of `pages`, 29 of 4,013 changed bits did that, and 66 more made the index deny what it had.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../core/tests/counts/mod.rs"]
mod counts;
mod index_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use counts::count;
use finchain_index::{BlockRows, Index, IndexError};
use index_support::{Model, Random};

/// Blocks in the index when its process is killed, and those that follow.
const BLOCKS: usize = 30;
const MORE: usize = 2;
/// Bytes of a page, of what LMDB keeps in a meta page, and of a page's head with the first places of its rows.
const PAGE: usize = 4096;
const META: usize = 152;
const HEAD: usize = 48;

/// What happens to the file.
#[derive(Clone, Copy, Debug)]
enum Change {
    Bit {
        at: usize,
        bit: u8,
    },
    Zeros {
        page: usize,
    },
    /// Another page's content under this page's number, as after a write that was lost or went astray.
    Other {
        page: usize,
        from: usize,
    },
}

impl Change {
    fn apply(self, file: &mut [u8]) {
        match self {
            Self::Bit { at, bit } => file[at] ^= bit,
            Self::Zeros { page } => file[page * PAGE..(page + 1) * PAGE].fill(0),
            Self::Other { page, from } => file.copy_within(from * PAGE + 8..(from + 1) * PAGE, page * PAGE + 8),
        }
    }
}

/// Every page in some way, and a bit every so often; more densely where LMDB keeps what it believes.
fn changes(bytes: usize) -> Vec<Change> {
    let step = usize::try_from(count("FINCHAIN_SPOILT_STEP", 1_009)).unwrap();
    let dense = |at: usize| at % PAGE < HEAD && (at / PAGE + at).is_multiple_of(step.min(31));
    let meta = |at: usize| at < 2 * PAGE && at % PAGE < META;
    let chosen = |at: &usize| at.is_multiple_of(step) || dense(*at) || meta(*at);
    let bits = (0..bytes).filter(chosen).map(|at| Change::Bit { at, bit: 1 << ((at * 7 + at / PAGE) % 8) });
    let pages = bytes / PAGE;
    let lost = (2..pages).map(|page| Change::Zeros { page });
    let astray = (2..pages).map(|page| Change::Other { page, from: 2 + (page * 7 + 3) % (pages - 2) });
    bits.chain(lost).chain(astray).collect()
}

/// The blocks of the test, and what an index with all of them holds.
fn blocks() -> (Vec<BlockRows>, Model) {
    let (mut random, mut model) = (Random(11), Model::default());
    let blocks = (0..BLOCKS + MORE).map(|_| model.random_block(&mut random, 30, 400)).collect();
    (blocks, model)
}

/// Everything that the index says. What the state map knows better is compared as the ledger compares it with that: a
/// record that is not what it should be is damage.
fn seen(index: &Index, model: &Model) -> Result<Vec<String>, IndexError> {
    let mut seen = vec![format!("{:?}", index.block_hashes()?)];
    let records: BTreeMap<_, _> = model.records.iter().collect();
    for (key, expected) in records {
        let found = index.number_of(key)?.map(|number| index.record(number)).transpose()?.flatten();
        let found =
            found.filter(|one| (&one.kind, &one.id, &one.salt) == (&expected.kind, &expected.id, &expected.salt));
        let found = found.filter(|one| one.record == expected.record);
        let found = found.ok_or_else(|| IndexError::Damaged { what: "the state map has another record".into() })?;
        seen.push(format!("{} {} {} {:?}", found.number, found.height, found.entry, index.history(found.number, 99)?));
    }
    for (lane, sequence) in model.lanes.keys() {
        seen.push(format!("{:?}", index.lane_place(*lane, *sequence)?));
    }
    for height in 0..=model.blocks.len() as u64 {
        seen.push(format!("{:?}", index.block(height)?));
    }
    let mut numbers = Vec::new();
    index.for_each_record(|view| numbers.push(view.number))?;
    seen.push(format!("{numbers:?}"));
    Ok(seen)
}

/// Opens the index as a ledger does, which reads all records, adds the blocks that it lacks and goes on; gives all that
/// it then says.
fn lived_on(folder: &Path, blocks: &[BlockRows], model: &Model) -> Result<Vec<String>, IndexError> {
    let opened = Index::open(folder)?;
    opened.index.block_hashes()?;
    opened.index.for_each_record(|_| ())?;
    let from = opened.meta.map_or(0, |meta| usize::try_from(meta.height).unwrap() + 1);
    for block in &blocks[from..] {
        opened.index.apply(std::slice::from_ref(block))?;
    }
    seen(&opened.index, model)
}

/// Tries one change after the other, and says before each which it is.
fn try_changes(folder: &Path) {
    let (blocks, model) = blocks();
    let (index, anew) = (folder.join("index"), folder.join("anew"));
    let expected = lived_on(&anew, &blocks, &model).unwrap();
    let (data, mark) = (index.join("data.mdb"), index.join("mark"));
    let (whole, mark_text) = (fs::read(&data).unwrap(), fs::read(&mark).unwrap());
    let (mut noticed, changes) = (0, changes(whole.len()));
    for (number, change) in changes.iter().enumerate() {
        fs::write(folder.join("tried"), format!("{change:?}")).unwrap();
        let mut spoilt = whole.clone();
        change.apply(&mut spoilt);
        Index::wipe(&index).unwrap();
        fs::write(&data, &spoilt).unwrap();
        fs::write(&mark, &mark_text).unwrap();
        match lived_on(&index, &blocks, &model) {
            Ok(found) => assert_eq!(found, expected, "{change:?}"),
            Err(error) => {
                assert!(error.needs_wipe(), "{change:?}: {error}");
                noticed += 1;
                if number % 16 == 0 {
                    Index::wipe(&index).unwrap();
                    assert_eq!(lived_on(&index, &blocks, &model).unwrap(), expected, "{change:?}, made anew");
                }
            }
        }
    }
    // The rest are in pages that are free, in room that is, and in an older meta page.
    assert!(noticed > changes.len() / 5, "{noticed} of {} changes", changes.len());
}

/// Set for the second process.
const FOLDER: &str = "FINCHAIN_INDEX_TEST_SPOILT";

#[test]
fn any_change_of_an_index_that_was_not_closed_is_noticed_or_harmless() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        try_changes(Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(&folder.path().join("index")).unwrap().index;
    // Block by block, so that pages become free; it is never closed.
    blocks().0[..BLOCKS].iter().for_each(|block| index.apply(std::slice::from_ref(block)).unwrap());
    drop(index);
    let name = "any_change_of_an_index_that_was_not_closed_is_noticed_or_harmless";
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).args(["--exact", name]).env(FOLDER, folder.path()).status().unwrap();
    let tried = fs::read_to_string(folder.path().join("tried")).unwrap();
    assert!(status.success(), "{tried}: {status}");
}
