//! The changes files: what was appended is read, whatever else stands in the folder; what is not whole is not there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod log_support;
mod sim_io;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use finchain_core::log::{Blocks, ChangesFiles, Frame, Sizes, Storage};
use log_support::{LEDGER, OTHER};
use sim_io::SimIo;

/// Bytes of a file after which the next one begins.
const FILE_BYTES: u64 = 1_000;

fn files(io: &SimIo) -> ChangesFiles {
    let sizes = Sizes { segment_bytes: FILE_BYTES, ahead_bytes: 4096 };
    let blocks = Blocks::new(&Storage { io: Arc::new(io.clone()), sizes }, "/ledger/blocks");
    ChangesFiles::new(blocks, "/ledger/changes")
}

/// What is kept of a block: some dozen bytes, as many as no other block has.
fn payload(height: u64) -> Vec<u8> {
    format!("block {height} wrote ").repeat(usize::try_from(height).unwrap() + 1).into_bytes()
}

fn path(first: u64) -> PathBuf {
    PathBuf::from(format!("/ledger/changes/{first:016}.chg"))
}

fn names(io: &SimIo) -> Vec<String> {
    let mut names = io.names(Path::new("/ledger/changes"));
    names.sort();
    names
}

/// Which of the heights below `end` are read, each of them as it was appended.
fn read(io: &SimIo, end: u64) -> Vec<u64> {
    let mut files = files(io);
    (0..end)
        .filter(|height| files.read(LEDGER, *height).inspect(|found| assert_eq!(*found, payload(*height))).is_some())
        .collect()
}

fn append(io: &SimIo, heights: impl IntoIterator<Item = u64>) {
    let mut files = files(io);
    for height in heights {
        files.append(LEDGER, height, &payload(height)).unwrap();
    }
}

#[test]
fn frames_follow_each_other_without_padding() {
    let io = SimIo::default();
    append(&io, 3..6);
    let frame =
        |height| [&Frame::of(LEDGER, height, &payload(height)).unwrap().encode()[..], &payload(height)].concat();
    assert_eq!(names(&io), ["0000000000000003.chg"]);
    assert_eq!(io.bytes(&path(3)).unwrap(), [frame(3), frame(4), frame(5)].concat());
    assert_eq!(read(&io, 8), [3, 4, 5]);
}

#[test]
fn a_file_that_is_long_enough_is_followed_by_another() {
    let io = SimIo::default();
    let mut changes = files(&io);
    let head = 64;
    // One byte less than a whole file, and then the frame that goes beyond it; after that it is full.
    let almost = vec![7; usize::try_from(FILE_BYTES).unwrap() - head - 1];
    changes.append(LEDGER, 0, &almost).unwrap();
    changes.append(LEDGER, 1, &payload(1)).unwrap();
    changes.append(LEDGER, 2, &payload(2)).unwrap();
    assert_eq!(names(&io), ["0000000000000000.chg", "0000000000000002.chg"]);
    assert_eq!(changes.read(LEDGER, 0).unwrap(), almost);
    assert_eq!(changes.read(LEDGER, 1).unwrap(), payload(1));
    assert_eq!(changes.read(LEDGER, 2).unwrap(), payload(2));
}

#[test]
fn who_comes_later_goes_on_where_the_file_ends() {
    let io = SimIo::default();
    append(&io, 0..2);
    append(&io, 2..4);
    assert_eq!(names(&io), ["0000000000000000.chg"]);
    assert_eq!(read(&io, 5), [0, 1, 2, 3]);
    // What is written once more takes the place of what was there.
    append(&io, 1..3);
    assert_eq!(names(&io), ["0000000000000000.chg"]);
    assert_eq!(read(&io, 5), [0, 1, 2, 3]);
}

#[test]
fn heights_that_were_never_kept_leave_a_gap_and_another_file() {
    let io = SimIo::default();
    append(&io, [1, 2, 5, 6]);
    assert_eq!(names(&io), ["0000000000000001.chg", "0000000000000005.chg"]);
    assert_eq!(read(&io, 8), [1, 2, 5, 6]);
    // The gap is filled later, as far as it is.
    append(&io, [3]);
    assert_eq!(read(&io, 8), [1, 2, 3, 5, 6]);
    append(&io, [0]);
    assert_eq!(read(&io, 8), [0, 1, 2, 3, 5, 6]);
}

#[test]
fn a_payload_that_no_frame_holds_is_left_out() {
    let io = SimIo::default();
    let mut changes = files(&io);
    changes.append(LEDGER, 0, &payload(0)).unwrap();
    changes.append(LEDGER, 1, &vec![1; (16 << 20) + 1]).unwrap();
    changes.append(LEDGER, 2, &vec![1; 16 << 20]).unwrap();
    assert_eq!((changes.read(LEDGER, 0), changes.read(LEDGER, 1)), (Some(payload(0)), None));
    assert_eq!(changes.read(LEDGER, 2).unwrap().len(), 16 << 20);
}

#[test]
fn another_ledgers_frames_are_not_there() {
    let io = SimIo::default();
    append(&io, 0..3);
    assert_eq!(files(&io).read(OTHER, 0), None);
    // They are written over.
    let mut changes = files(&io);
    changes.append(OTHER, 0, &payload(9)).unwrap();
    assert_eq!(changes.read(OTHER, 0), Some(payload(9)));
    assert_eq!(read(&io, 3), []);
}

#[test]
fn every_bit_and_every_length_hide_what_they_spoil_and_can_be_mended() {
    let io = SimIo::default();
    append(&io, 0..3);
    let whole = io.bytes(&path(0)).unwrap();
    let starts: Vec<usize> = (0..3)
        .scan(0, |at, height| {
            let start = *at;
            *at += 64 + payload(height).len();
            Some(start)
        })
        .collect();
    for bit in 0..whole.len() * 8 {
        io.tamper(&path(0), |bytes| {
            bytes.clone_from(&whole);
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
        let spoilt = starts.iter().filter(|start| **start <= bit / 8).count() as u64 - 1;
        let found = read(&io, 3);
        assert!(!found.contains(&spoilt), "bit {bit}: {found:?}");
        assert!((0..spoilt).all(|height| found.contains(&height)), "bit {bit}: {found:?}");
        append(&io, [spoilt]);
        assert_eq!(read(&io, 3), [0, 1, 2], "bit {bit}");
    }
    for length in 0..whole.len() {
        io.tamper(&path(0), |bytes| *bytes = whole[..length].to_vec());
        let kept = starts.iter().skip(1).filter(|start| **start <= length).count() as u64;
        assert_eq!(read(&io, 3), (0..kept).collect::<Vec<_>>(), "{length} bytes");
    }
}
