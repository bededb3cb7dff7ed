//! Appending and reading on a real folder, and the edges of block files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod log_support;
mod sim_io;

use std::fs;

use std::path::Path;
use std::sync::Arc;

use finchain_core::log::io::System;
use finchain_core::log::{
    Blocks, Damage, Durability, Evidence, FrameError, LogError, LogReader, LogWriter, Place, Recovered, Sizes, Storage,
};
use log_support::{LEDGER, OTHER, SMALL, SimLog, payload, payloads};

fn on_disk(path: &Path) -> Blocks {
    Blocks::new(&Storage::default(), path)
}

fn create(path: &Path) -> Result<LogWriter, LogError> {
    LogWriter::create(on_disk(path), LEDGER, Durability::Single)
}

fn open(path: &Path) -> Result<(LogWriter, Recovered), LogError> {
    LogWriter::open(on_disk(path), LEDGER, None, Evidence::default(), None)
}

#[test]
fn what_was_appended_is_read_back_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = folder.path().join("blocks");
    let mut log = create(&blocks).unwrap();
    let mut places: Vec<Place> = (0..5).map(|height| log.append(height, &payload(height)).unwrap()).collect();
    drop(log);
    assert_eq!(fs::metadata(blocks.join("00000000.blk")).unwrap().len(), 64 << 20);

    let (mut log, recovered) = open(&blocks).unwrap();
    assert_eq!(recovered.tip, Some((4, places[4])));
    assert_eq!(recovered.cut, None);
    assert_eq!(recovered.frames, (0..).zip(places.clone()).collect::<Vec<_>>());
    assert_eq!(log.next_height(), 5);
    places.push(log.append(5, &payload(5)).unwrap());

    let reader = LogReader::open(on_disk(&blocks), LEDGER).unwrap();
    for (height, place) in (0..).zip(&places) {
        assert_eq!(reader.read(place, height).unwrap(), payload(height));
    }
    let all: Vec<_> = reader.frames(None).map(Result::unwrap).collect();
    assert_eq!(all, (0..).zip(&places).map(|(h, p)| (h, *p, payload(h))).collect::<Vec<_>>());
    let late: Vec<_> = reader.frames(Some((places[3], 3))).map(|item| item.unwrap().0).collect();
    assert_eq!(late, [3, 4, 5]);
}

#[test]
fn a_log_is_made_once_and_opened_only_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open(folder.path());
    assert!(matches!(missing, Err(LogError::Empty { .. })));
    assert!(matches!(LogReader::open(on_disk(folder.path()), LEDGER), Err(LogError::Empty { .. })));
    create(folder.path()).unwrap();
    assert!(matches!(create(folder.path()), Err(LogError::Exists { .. })));
}

#[test]
fn other_files_in_the_folder_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path()).unwrap().append(0, b"first\n").unwrap();
    for name in ["00000001.blk.new", "1.blk", "+0000001.blk", "notes", "000000001.blk"] {
        fs::write(folder.path().join(name), b"x").unwrap();
    }
    let (_, recovered) = open(folder.path()).unwrap();
    assert_eq!(recovered.tip.unwrap().0, 0);
}

#[test]
fn a_frame_that_does_not_fit_goes_to_the_next_file() {
    // Four pages a file: 1 + 1 + 2 pages fill the first to the byte, then 3 + 1, and so on.
    let (disk, places) = SimLog::with(&payloads(8));
    let seen: Vec<_> = places.iter().map(|place| (place.segment, place.offset / 4096)).collect();
    assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 1), (2, 2)]);
    assert_eq!(disk.payloads(), payloads(8));
    let (mut log, recovered) = disk.open(None).unwrap();
    assert_eq!(recovered.tip, Some((7, places[7])));
    log.append(8, &payload(8)).unwrap();
    assert_eq!(disk.payloads(), payloads(9));
}

#[test]
fn an_empty_next_file_is_gone_on_with() {
    // A crash after the next file was made and before its first frame leaves it empty, of any length.
    for bytes in [0, 100, 4 * 4096] {
        let (disk, _) = SimLog::with(&payloads(2));
        disk.tamper(1, |file| file.resize(bytes, 0));
        let (mut log, recovered) = disk.open(Some(1)).unwrap();
        assert_eq!(recovered.tip.unwrap().0, 1);
        assert_eq!(log.append(2, b"small\n").unwrap(), Place { segment: 1, offset: 0, length: 6 });
        assert_eq!(disk.payloads().len(), 3);
        assert_eq!(disk.open(Some(2)).unwrap().1.tip.unwrap().0, 2);
    }
}

#[test]
fn appends_are_in_order_and_within_the_limits() {
    let disk = SimLog::default();
    let mut log = disk.create();
    assert!(matches!(log.append(1, b"x"), Err(LogError::NotNext { expected: 0, found: 1 })));
    let max = SMALL.segment_bytes - 64;
    let big = vec![b'x'; usize::try_from(max).unwrap() + 1];
    assert!(
        matches!(log.append(0, &big), Err(LogError::PayloadLength { max: m, found }) if m == max && found == m + 1)
    );
    assert!(matches!(log.append(0, b""), Err(LogError::PayloadLength { found: 0, .. })));
    // None of these hurt the writer.
    log.append(0, &big[1..]).unwrap();
    assert!(matches!(log.append(0, b"x"), Err(LogError::NotNext { expected: 1, found: 0 })));
    log.append(1, b"x").unwrap();
}

#[test]
fn a_writer_that_failed_once_stays_dead() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = create(folder.path()).unwrap();
    log.append(0, &payload(0)).unwrap();
    // A folder in place of the next block file makes going on to it fail.
    fs::create_dir(folder.path().join("00000001.blk")).unwrap();
    let big = vec![b'x'; 16 << 20];
    let failure = (1..9).find_map(|height| log.append(height, &big).err()).unwrap();
    assert!(matches!(failure, LogError::Io { action: "create", .. }), "{failure}");
    fs::remove_dir(folder.path().join("00000001.blk")).unwrap();
    let height = log.next_height();
    assert!(matches!(log.append(height, b"small"), Err(LogError::Poisoned)));
    let (mut log, _) = open(folder.path()).unwrap();
    log.append(height, b"small").unwrap();
}

#[test]
fn a_reader_follows_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = Sizes { segment_bytes: 1 << 20, ahead_bytes: 64 << 10 };
    let blocks = Blocks::new(&Storage { io: Arc::new(System), sizes }, folder.path());
    let mut log = LogWriter::create(blocks.clone(), LEDGER, Durability::Single).unwrap();
    let reader = LogReader::open(blocks, LEDGER).unwrap();
    let big = |height: u64| payload(height).repeat(20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for height in 0..100 {
                log.append(height, &big(height)).unwrap();
            }
        });
        let (mut from, mut next) = (None, 0);
        while next < 100 {
            for item in reader.frames(from).skip(usize::from(from.is_some())) {
                let (height, place, found) = item.unwrap();
                assert_eq!((height, found), (next, big(next)));
                (from, next) = (Some((place, height)), next + 1);
            }
        }
    });
}

#[test]
fn a_wrong_place_gives_an_error_and_no_payload() {
    let (disk, places) = SimLog::with(&payloads(4));
    let reader = disk.reader();
    let why = |place: Place, height| match reader.read(&place, height) {
        Err(LogError::Corrupt { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let good = places[1];
    assert_eq!(why(good, 2), FrameError::Height { expected: 2, found: 1 }.into());
    assert_eq!(why(Place { length: 9, ..good }, 1), FrameError::PlaceLength { expected: 9, found: 4032 }.into());
    assert_eq!(why(Place { offset: 1, ..good }, 1), Damage::NoFrame);
    assert_eq!(why(Place { segment: 9, ..good }, 1), Damage::NoFile);
    assert_eq!(why(Place { offset: 1 << 40, ..good }, 1), Damage::NoFrame);
    assert!(matches!(why(Place { offset: 3 * 4096, ..good }, 1), Damage::Frame(FrameError::Magic { .. })));
    let foreign = LogReader::open(disk.blocks(), OTHER).unwrap().read(&good, 1);
    assert!(matches!(foreign, Err(LogError::Corrupt { why: Damage::Frame(FrameError::Ledger { .. }), .. })));
}
