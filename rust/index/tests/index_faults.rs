//! Rows that are refused, and files that cannot be trusted: each with its error, none with half an effect.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod index_support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use finchain_core::encoding::hex;
use finchain_index::{Index, IndexError, LaneRow, MapSize, RowFault};
use index_support::{Model, Random, block, close, hash, key, plain, write};

/// An index with `blocks` plain blocks, closed cleanly or just dropped.
fn made(blocks: u64, clean: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    (0..blocks).for_each(|height| index.apply(&[plain(height)]).unwrap());
    if clean {
        close(&index).unwrap();
    }
    folder
}

fn mark(folder: &Path) -> String {
    fs::read_to_string(folder.join("mark")).unwrap()
}

/// Checks that the index is refused in a way that asks for a wipe, and that it works after that.
fn refused(folder: &Path) -> IndexError {
    let error = Index::open(folder).expect_err("the index was to be refused");
    assert!(error.needs_wipe(), "{error}");
    Index::wipe(folder).unwrap();
    let opened = Index::open(folder).unwrap();
    assert_eq!(opened.meta, None);
    opened.index.apply(&[plain(0)]).unwrap();
    error
}

#[test]
fn blocks_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    let gap = |result| matches!(result, Err(IndexError::NotNext { .. }));
    assert!(gap(index.apply(&[plain(1)])));
    assert!(gap(index.apply(&[plain(0), plain(2)])));
    assert_eq!(index.meta().unwrap(), None, "a batch is applied as a whole or not at all");
    index.apply(&[]).unwrap();
    index.apply(&[plain(0), plain(1)]).unwrap();
    assert!(gap(index.apply(&[plain(1)])));
    assert_eq!(index.meta().unwrap().unwrap().height, 1);
}

#[test]
fn rows_that_cannot_be_stored_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    let fault = |rows| match index.apply(&[rows]) {
        Err(IndexError::Rows { height: 0, fault }) => fault,
        other => panic!("{other:?}"),
    };
    let one = || write(0, 0, vec![], vec![]);
    let with = |change: &dyn Fn(&mut finchain_index::Write)| {
        let mut write = one();
        change(&mut write);
        block(0, Vec::new(), vec![write])
    };
    let long = |what, max| RowFault::TooLong { what, max, found: max + 1 };
    assert_eq!(fault(with(&|write| write.kind = "k".repeat(256).into())), long("kind", 255));
    assert_eq!(fault(with(&|write| write.id = "i".repeat(256).into())), long("id", 255));
    assert_eq!(fault(with(&|write| write.instructions = vec![0; 4097])), long("list of instructions", 4096));
    let twice = block(0, Vec::new(), vec![one(), one()]);
    assert_eq!(fault(twice), RowFault::Twice { entry: 0 });
    let disorder = block(0, Vec::new(), vec![write(1, 1, vec![], vec![]), write(2, 0, vec![], vec![])]);
    assert_eq!(fault(disorder), RowFault::Order { before: 1, found: 0 });
    let stray = block(0, vec![LaneRow { number: 1, sequence: 1, entry: 0 }], vec![one()]);
    assert_eq!(fault(stray), RowFault::UnknownLane { entry: 0 });
    // Nothing of all this was kept, and the longest that is allowed is stored.
    assert_eq!(index.meta().unwrap(), None);
    let longest = with(&|write| {
        (write.kind, write.id) = ("k".repeat(255).into(), "é".repeat(127).into());
        write.instructions = (0..4096).collect();
    });
    index.apply(&[longest]).unwrap();
    assert_eq!(index.record(0).unwrap().unwrap().id.len(), 254);
    assert_eq!(index.history(0, 1).unwrap()[0].instructions.len(), 4096);
}

#[test]
fn the_mark_follows_opening_and_closing() {
    let folder = made(3, false);
    assert!(mark(folder.path()).starts_with("finchain-index 6 open "));
    // The process ended without closing, but the machine runs on: nothing is lost.
    let opened = Index::open(folder.path()).unwrap();
    assert_eq!(opened.meta.as_ref().map(|meta| (meta.height, meta.clean)), Some((2, false)));
    close(&opened.index).unwrap();
    assert!(opened.index.meta().unwrap().unwrap().clean);
    assert!(mark(folder.path()).starts_with("finchain-index 6 closed "));
    drop(opened);
    let opened = Index::open(folder.path()).unwrap();
    assert!(opened.meta.unwrap().clean);
    assert!(mark(folder.path()).contains("closed"), "opening alone changes nothing");
    opened.index.apply(&[plain(3)]).unwrap();
    assert!(!opened.index.meta().unwrap().unwrap().clean);
    assert!(mark(folder.path()).contains("open"));
    close(&opened.index).unwrap();
    opened.index.mark_open().unwrap();
    assert!(mark(folder.path()).contains("open"));
}

#[test]
fn an_index_that_was_open_when_the_machine_went_down_is_doubtful() {
    for text in [
        "finchain-index 6 open 00000000-0000-0000-0000-000000000000\n",
        "finchain-index 6 open unknown\n",
        "finchain-index 6 open",
        "finchain-index 6 closed 0\n",
        "finchain-index 6 closed many 00\n",
        "",
        "\u{0}\u{0}\u{0}",
    ] {
        let folder = made(2, true);
        fs::write(folder.path().join("mark"), text).unwrap();
        assert!(matches!(refused(folder.path()), IndexError::Doubtful { .. }), "{text:?}");
    }
    let folder = made(2, true);
    fs::write(folder.path().join("mark"), vec![b'x'; 1 << 20]).unwrap();
    assert!(matches!(refused(folder.path()), IndexError::Doubtful { .. }));
    let folder = made(2, true);
    fs::remove_file(folder.path().join("mark")).unwrap();
    assert!(matches!(refused(folder.path()), IndexError::Doubtful { .. }));
    // Closed before the machine went down is fine, on any run of the machine: a closed mark names none.
    let folder = made(2, true);
    assert!(Index::open(folder.path()).is_ok());
}

#[test]
fn a_shortened_file_is_damaged() {
    for clean in [false, true] {
        let whole = fs::metadata(made(50, clean).path().join("data.mdb")).unwrap().len();
        for length in (1..whole).step_by(4096 / 2).chain([whole - 1]) {
            let folder = made(50, clean);
            let file = OpenOptions::new().write(true).open(folder.path().join("data.mdb")).unwrap();
            file.set_len(length).unwrap();
            let error = refused(folder.path());
            assert!(matches!(error, IndexError::Damaged { .. }), "{length} of {whole}: {error}");
        }
    }
}

#[test]
fn overwritten_meta_pages_are_refused() {
    // Everything that LMDB reads there without checking: magic, page size, roots and last page, on both pages.
    for page in [0, 4096] {
        for (at, bytes) in [(16, 4), (40, 4), (80, 8), (128, 8), (136, 8)] {
            let folder = made(50, true);
            let file = OpenOptions::new().write(true).open(folder.path().join("data.mdb")).unwrap();
            file.write_all_at(&[0x77; 8][..bytes], page + at).unwrap();
            refused(folder.path());
        }
    }
    let folder = made(5, true);
    let bytes = fs::metadata(folder.path().join("data.mdb")).unwrap().len();
    fs::write(folder.path().join("data.mdb"), vec![b'?'; usize::try_from(bytes).unwrap()]).unwrap();
    assert!(matches!(refused(folder.path()), IndexError::Foreign { .. }));
}

#[test]
fn a_changed_bit_in_any_page_of_a_closed_index_is_found_before_lmdb_sees_it() {
    let folder = made(50, true);
    let path = folder.path().join("data.mdb");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(509) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).unwrap();
        let error = Index::open(folder.path()).expect_err("the index was to be refused");
        assert!(error.needs_wipe(), "byte {at}: {error}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(Index::open(folder.path()).unwrap().meta.unwrap().height, 49);
}

#[test]
fn a_changed_row_is_never_given_out() {
    // A file can change under an index that is open; here every row is looked up after each change.
    let folder = made(20, false);
    let path = folder.path().join("data.mdb");
    let (whole, mark_text) = (fs::read(&path).unwrap(), mark(folder.path()));
    let seen = |index: &Index| -> Result<Vec<String>, IndexError> {
        let mut seen = Vec::new();
        for height in 0..20 {
            let number = index.number_of(&key(height))?.unwrap();
            seen.push(format!("{:?}", index.history(number, 9)?));
            seen.push(format!("{:?}", index.block(height)?));
            seen.push(format!("{:?}", index.lane_place(number, 1)?));
        }
        Ok(seen)
    };
    let expected = seen(&Index::open(folder.path()).unwrap().index).unwrap();
    // LMDB writes a changed page elsewhere, so that a row stands in old pages too, which nobody reads; in the first two
    // pages are its own marks, of which it keeps an older one.
    let places = |wanted: &[u8]| -> Vec<usize> {
        whole.windows(wanted.len()).enumerate().filter(|(_, row)| *row == wanted).map(|(at, _)| at).collect()
    };
    let rows: Vec<usize> = (0..20).flat_map(|height| places(&hash(height))).filter(|at| *at >= 8192).collect();
    assert!(rows.len() >= 20, "{}", rows.len());
    let mut noticed = 0;
    for at in rows {
        fs::write(&path, &whole).unwrap();
        fs::write(folder.path().join("mark"), &mark_text).unwrap();
        let index = Index::open(folder.path()).unwrap().index;
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[whole[at] ^ 4], at as u64).unwrap();
        match seen(&index) {
            Ok(found) => assert_eq!(found, expected, "byte {at}"),
            Err(error) => {
                assert!(error.needs_wipe(), "{error}");
                noticed += 1;
                assert!(!folder.path().join("mark").exists(), "the next one to open it must make it anew");
            }
        }
    }
    assert!(noticed >= 20, "{noticed}");
}

#[test]
fn a_condemned_index_is_never_marked_as_closed() {
    let folder = made(3, true);
    let opened = Index::open(folder.path()).unwrap();
    opened.index.condemn().unwrap();
    close(&opened.index).unwrap();
    drop(opened);
    assert!(matches!(refused(folder.path()), IndexError::Doubtful { .. }));
}

#[test]
fn an_index_that_was_only_read_is_closed_with_the_sum_that_it_had() {
    let folder = made(30, true);
    let before = mark(folder.path());
    let opened = Index::open(folder.path()).unwrap();
    opened.index.mark_open().unwrap();
    close(&opened.index).unwrap();
    assert_eq!(mark(folder.path()), before);
    opened.index.apply(&[plain(30)]).unwrap();
    close(&opened.index).unwrap();
    assert_ne!(mark(folder.path()), before);
    drop(opened);
    assert_eq!(Index::open(folder.path()).unwrap().meta.unwrap().height, 30);
}

#[test]
fn a_number_is_of_one_record_and_none_is_left_out() {
    let folder = made(3, true);
    let index = Index::open(folder.path()).unwrap().index;
    let numbered = |number, object| {
        let mut rows = plain(3);
        rows.writes = vec![write(object, 0, vec![], b"{}".to_vec())];
        rows.writes[0].number = number;
        rows
    };
    let fails = |rows, number| {
        let error = index.apply(&[rows]).unwrap_err();
        let fault = RowFault::Number { number };
        assert!(matches!(&error, IndexError::Rows { height: 3, fault: found } if *found == fault), "{error}");
        assert_eq!(index.meta().unwrap().unwrap().height, 2, "nothing is kept of it");
    };
    fails(numbered(4, 9), 4);
    let mut two = numbered(3, 9);
    two.writes.push(write(8, 1, vec![], b"{}".to_vec()));
    two.writes[1].number = 3;
    fails(two, 3);
    index.apply(&[numbered(1, 1)]).unwrap();
    assert_eq!(index.history(1, 9).unwrap().len(), 2);
    assert_eq!(index.meta().unwrap().unwrap().next_number, 3);
    // Numbers come from the index: one that is another record's was not what it kept.
    let mut other = numbered(1, 2);
    other.height = 4;
    let error = index.apply(&[other]).unwrap_err();
    assert!(error.needs_wipe(), "{error}");
    close(&index).unwrap();
    drop(index);
    assert!(matches!(refused(folder.path()), IndexError::Doubtful { .. }));
}

#[test]
fn an_index_of_another_state_does_not_match_its_mark() {
    let (old, new) = (made(2, true), made(5, true));
    for name in ["data.mdb", "leaves"] {
        fs::copy(old.path().join(name), new.path().join(name)).unwrap();
    }
    let sum = mark(old.path()).split(' ').nth(4).unwrap().to_owned();
    let leaves = mark(old.path()).split(' ').nth(5).unwrap().to_owned();
    let bytes = fs::metadata(old.path().join("data.mdb")).unwrap().len();
    let tip = hex(&hash(4));
    fs::write(new.path().join("mark"), format!("finchain-index 6 closed {bytes} {sum} {leaves} 4 {tip}\n")).unwrap();
    assert!(refused(new.path()).to_string().contains("does not end with the block"));
}

#[test]
fn an_index_is_open_once_in_a_process() {
    let folder = made(1, true);
    let opened = Index::open(folder.path()).unwrap();
    assert!(matches!(Index::open(folder.path()), Err(IndexError::AlreadyOpen { .. })));
    drop(opened);
    Index::open(folder.path()).unwrap();
}

#[test]
fn wiping_leaves_other_files_alone() {
    let folder = made(1, true);
    fs::write(folder.path().join("notes"), b"mine").unwrap();
    Index::wipe(folder.path()).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(left, ["notes"]);
    Index::wipe(folder.path()).unwrap();
}

#[test]
fn a_reader_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Index::open_reader(folder.path()), Err(IndexError::Absent { .. })));
    let folder = made(3, true);
    let opened = Index::open_reader(folder.path()).unwrap();
    assert_eq!(opened.meta.unwrap().height, 2);
    assert_eq!(opened.index.number_of(&key(1)).unwrap(), Some(1));
    assert!(opened.index.record(1).unwrap().is_some());
    assert!(matches!(opened.index.apply(&[plain(3)]), Err(IndexError::ReadOnly)));
    assert!(matches!(opened.index.mark_open(), Err(IndexError::ReadOnly)));
    assert!(matches!(close(&opened.index), Err(IndexError::ReadOnly)));
}

#[test]
fn a_pinned_index_stays_as_it_was() {
    let folder = made(2, false);
    let index = Index::open(folder.path()).unwrap().index;
    let pinned = index.pin().unwrap();
    let before = pinned.block_hashes().unwrap();
    for height in 2..40 {
        index.apply(&[plain(height)]).unwrap();
    }
    assert_eq!(pinned.meta().unwrap().unwrap().height, 1);
    assert_eq!(pinned.block_hashes().unwrap(), before);
    assert_eq!(pinned.block(2).unwrap(), None);
    assert!(matches!(pinned.apply(&[plain(2)]), Err(IndexError::ReadOnly)));
    assert_eq!(index.pin().unwrap().meta().unwrap().unwrap().height, 39);
    drop(pinned);
    assert_eq!(index.meta().unwrap().unwrap().height, 39);
}

#[test]
fn an_index_that_was_made_anew_is_another_file() {
    let folder = made(2, true);
    let reader = Index::open_reader(folder.path()).unwrap().index;
    assert!(reader.is_current());
    Index::wipe(folder.path()).unwrap();
    assert!(!reader.is_current());
    assert_eq!(reader.meta().unwrap().unwrap().height, 1, "what is open can still be read");
}

/// Set for the second process of the test below.
const FOLDER: &str = "FINCHAIN_INDEX_TEST_FOLDER";

#[test]
fn a_reader_follows_a_writer_in_another_process() {
    let small = MapSize { bytes: 256 << 10 };
    if let Some(folder) = std::env::var_os(FOLDER) {
        let opened = Index::open_with(Path::new(&folder), small).unwrap();
        let (mut random, mut model) = (Random(5), Model::default());
        model.apply(&plain(0));
        for _ in 0..100 {
            let block = model.random_block(&mut random, 40, 5000);
            opened.index.apply(&[block]).unwrap();
        }
        return;
    }
    let folder = made(1, true);
    let reader = Index::open_reader_with(folder.path(), small).unwrap().index;
    assert_eq!(reader.meta().unwrap().unwrap().height, 0);
    let name = "a_reader_follows_a_writer_in_another_process";
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).args(["--exact", name]).env(FOLDER, folder.path()).status().unwrap();
    assert!(status.success());
    // The other process made the map larger than the reader's.
    assert_eq!(reader.meta().unwrap().unwrap().height, 100);
    assert_eq!(reader.block_hashes().unwrap().len(), 101);
    reader.for_each_record(|view| assert!(!view.id.is_empty())).unwrap();
}

#[test]
fn a_changed_row_of_keys_is_found_when_an_index_that_was_not_closed_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    let writes = (0..1 << 16).map(|object| write(object, 0, vec![], b"{}".to_vec())).collect();
    index.apply(&[block(0, Vec::new(), writes)]).unwrap();
    drop(index);
    let path = folder.path().join("data.mdb");
    let mut bytes = fs::read(&path).unwrap();
    let (least, object) = (0..1_u64 << 16).map(|object| (key(object), object)).min().unwrap();
    let entry = [&least[..8], &u16::try_from(object).unwrap().to_be_bytes()].concat();
    let at = bytes.windows(entry.len()).position(|found| *found == entry).expect("the row begins with the least key");
    bytes[at + 9] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refused(folder.path()), IndexError::Damaged { .. }));
}
