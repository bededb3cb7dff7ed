//! Opening damaged logs: a torn tail is cut and reported, everything else stops with the place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod log_support;
mod sim_io;

use finchain_core::log::{Cut, Damage, Frame, FrameError, LogError, Recovered};
use log_support::{LEDGER, OTHER, SimLog, payload, payloads};
use sim_io::SECTOR;

fn damage<T>(result: Result<T, LogError>) -> (String, u64, u64, Damage) {
    match result.map(|_| ()) {
        Err(LogError::Corrupt { file, offset, height, why }) => (file.display().to_string(), offset, height, why),
        other => panic!("expected damage, found {other:?}"),
    }
}

fn height(recovered: &Recovered) -> Option<u64> {
    recovered.tip.map(|(height, _)| height)
}

/// Blocks 0, 1 and 2, the last one of two pages at offset 8,192, in one file.
fn three() -> SimLog {
    SimLog::with(&payloads(3)).0
}

#[test]
fn a_file_that_ends_at_any_byte_opens_to_a_prefix() {
    let whole = three().bytes(0);
    // The end of each frame's payload with its padding.
    let ends = [4096, 8192, 16384];
    for length in 0..whole.len() {
        let disk = three();
        disk.tamper(0, |file| file.truncate(length));
        let blocks = ends.iter().filter(|end| length >= **end).count();
        let (_, recovered) = disk.copy().open(None).unwrap();
        assert_eq!(height(&recovered), (blocks as u64).checked_sub(1), "length {length}");
        let start = if blocks == 0 { 0 } else { ends[blocks - 1] };
        assert_eq!(recovered.cut.is_some(), length > start, "length {length}");
        // With evidence for the block that was lost, the same file is damaged, and the place is named.
        let (_, offset, lost, _) = damage(disk.open(Some(blocks as u64)));
        assert_eq!((offset, lost), (start as u64, blocks as u64), "length {length}");
    }
}

#[test]
fn an_append_torn_at_any_sector_is_cut() {
    for kept in 0..2 * 4096 / SECTOR {
        for from_the_end in [false, true] {
            let disk = three();
            disk.tamper(0, |file| {
                let frame = &mut file[8192..];
                if from_the_end {
                    frame[..8192 - kept * SECTOR].fill(0);
                } else {
                    frame[kept * SECTOR..].fill(0);
                }
            });
            let (mut log, recovered) = disk.open(Some(1)).unwrap();
            // The payload of block 2 ends one byte into the second page: the sectors after that are padding.
            let whole = if from_the_end { kept == 16 } else { kept > 8 };
            assert_eq!(height(&recovered), Some(if whole { 2 } else { 1 }), "{kept} sectors");
            let left = if from_the_end { kept > 7 } else { kept > 0 };
            assert_eq!(recovered.cut.is_some(), !whole && left, "{kept} sectors");
            if !whole {
                assert!(disk.bytes(0)[8192..].iter().all(|byte| *byte == 0));
                log.append(2, &payload(2)).unwrap();
            }
            assert_eq!(disk.payloads(), payloads(3));
            assert!(disk.open(Some(2)).unwrap().1.cut.is_none());
        }
    }
}

#[test]
fn the_cut_is_reported() {
    let disk = three();
    disk.tamper(0, |file| file[8192 + 4000] ^= 1);
    let (_, recovered) = disk.open(Some(1)).unwrap();
    let Some(Cut { file, offset, bytes, why }) = recovered.cut else { panic!("no cut") };
    assert_eq!((file.to_str().unwrap(), offset, bytes), ("/sim/00000000.blk", 8192, 64 + 4033));
    assert!(matches!(why, Damage::Frame(FrameError::PayloadSum { .. })));
}

#[test]
fn a_bad_frame_that_was_acknowledged_stops_the_log() {
    let disk = three();
    disk.tamper(0, |file| file[8192 + 100] ^= 1);
    let (file, offset, height, why) = damage(disk.open(Some(2)));
    assert_eq!((file.as_str(), offset, height), ("/sim/00000000.blk", 8192, 2));
    assert!(matches!(why, Damage::Frame(FrameError::PayloadSum { .. })));
    // A later frame is evidence too, even if its payload is also bad: its append began after this one's sync.
    let disk = three();
    disk.tamper(0, |file| {
        file[4096 + 100] ^= 1;
        file[8192 + 100] ^= 1;
    });
    assert_eq!(damage(disk.open(None)).1, 4096);
    // Nothing was written: the reader still gives what is before.
    assert_eq!(disk.payloads(), payloads(1));
}

#[test]
fn no_flipped_bit_gives_a_wrong_payload() {
    let (disk, places) = SimLog::with(&payloads(3));
    let good = payloads(3);
    let bytes = disk.bytes(0).len();
    // Every bit of the heads and of the bytes around payload ends, and one bit of every other byte.
    let thorough = |at: usize| [0..64, 4096..4160, 8192..8256, 16320..16384].iter().any(|range| range.contains(&at));
    for at in 0..bytes {
        for bit in (0..8).filter(|bit| thorough(at) || *bit == at % 8) {
            let disk = disk.copy();
            disk.tamper(0, |file| file[at] ^= 1 << bit);
            let frame = [4096, 8192, bytes].iter().position(|end| at < *end).unwrap();
            assert!(disk.reader().read(&places[frame], frame as u64).is_err(), "byte {at} bit {bit}");
            // Reading in order waits a while at a bad end, because a writer may be at it: so only samples of that.
            if at % 499 == 0 {
                assert_eq!(disk.payloads(), good[..frame]);
            }
            let (_, offset, height, _) = damage(disk.open(Some(2)));
            assert_eq!((offset, height), (places[frame].offset, frame as u64));
            // Without evidence only a last frame that a torn write explains is cut.
            match disk.open(None) {
                Ok((_, recovered)) => assert_eq!((frame, recovered.tip.unwrap().0), (2, 1)),
                Err(LogError::Corrupt { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn frames_out_of_place_are_damage() {
    // Blocks 0 and 1 swapped.
    let disk = three();
    disk.tamper(0, |file| file[..8192].rotate_left(4096));
    let (_, offset, height, why) = damage(disk.open(None));
    assert_eq!((offset, height), (0, 0));
    assert_eq!(why, FrameError::Height { expected: 0, found: 1 }.into());
    // Block 1 twice, the second time at the very end: whole, so it is not cut.
    let disk = SimLog::with(&payloads(2)).0;
    disk.tamper(0, |file| file.copy_within(4096..8192, 8192));
    assert_eq!(damage(disk.open(None)).3, FrameError::Height { expected: 2, found: 1 }.into());
    // A whole frame of another ledger at the very end.
    let disk = three();
    let frame = Frame::of(OTHER, 1, b"foreign\n").unwrap();
    disk.tamper(0, |file| {
        file[4096..].fill(0);
        file[4096..4160].copy_from_slice(&frame.encode());
        file[4160..4168].copy_from_slice(b"foreign\n");
    });
    assert_eq!(damage(disk.open(None)).3, FrameError::Ledger { expected: LEDGER, found: OTHER }.into());
}

#[test]
fn a_newer_version_at_the_end_is_not_cut() {
    let disk = three();
    disk.tamper(0, |file| {
        let mut head = [0; 64];
        head.copy_from_slice(&file[8192..8256]);
        head[3] = 2;
        let sum = blake3::hash(&head[..48]);
        head[48..].copy_from_slice(&sum.as_bytes()[..16]);
        file[8192..8256].copy_from_slice(&head);
    });
    assert_eq!(damage(disk.open(None)).3, FrameError::Version { found: 2 }.into());
}

#[test]
fn a_hole_before_a_frame_is_damage() {
    let disk = three();
    disk.tamper(0, |file| file[4096..8192].fill(0));
    let (_, offset, height, why) = damage(disk.open(None));
    assert_eq!((offset, height, why), (4096, 1, Damage::Gap { next: 8192 }));
    // Zeros up to the end are a clean end, unless a block there was acknowledged.
    let disk = three();
    disk.tamper(0, |file| file[4096..].fill(0));
    assert_eq!(height_of(&disk.copy(), None), Some(0));
    assert_eq!(damage(disk.open(Some(2))).3, Damage::Missing { durable: 2 });
}

fn height_of(disk: &SimLog, durable: Option<u64>) -> Option<u64> {
    height(&disk.open(durable).unwrap().1)
}

#[test]
fn block_files_are_all_there_and_whole() {
    let disk = || SimLog::with(&payloads(8)).0;
    // Three files with blocks 0 to 2, 3 to 4 and 5 to 7.
    for missing in [0, 1] {
        let disk = disk();
        disk.remove(missing);
        let (file, _, _, why) = damage(disk.open(None));
        assert_eq!((file, why), (format!("/sim/0000000{missing}.blk"), Damage::NoFile));
    }
    let last_gone = disk();
    last_gone.remove(2);
    assert_eq!(height_of(&last_gone.copy(), Some(4)), Some(4));
    assert_eq!(damage(last_gone.open(Some(7))).3, Damage::Missing { durable: 7 });
    // In a file that has a successor nothing is a torn tail.
    let torn = disk();
    torn.tamper(1, |file| file[3 * 4096 + 70..].fill(1));
    let (file, offset, height, _) = damage(torn.open(None));
    assert_eq!((file.as_str(), offset, height), ("/sim/00000001.blk", 3 * 4096, 4));
    let emptied = disk();
    emptied.tamper(1, |file| file.truncate(0));
    assert_eq!(damage(emptied.open(None)).3, FrameError::Height { expected: 3, found: 5 }.into());
}

#[test]
fn a_known_frame_spares_reading_what_is_before() {
    let (disk, places) = SimLog::with(&payloads(8));
    // Damage before the known frame is found by whoever reads there.
    disk.tamper(0, |file| file[4096] ^= 1);
    let (_, recovered) = disk.open_from(Some((places[4], 4)), Some(4)).unwrap();
    assert_eq!(recovered.tip, Some((7, places[7])));
    assert_eq!(recovered.frames, [(5, places[5]), (6, places[6]), (7, places[7])]);
    let (_, recovered) = disk.open_from(Some((places[7], 7)), Some(7)).unwrap();
    assert_eq!((recovered.tip, recovered.frames.len()), (Some((7, places[7])), 0));
    // A known frame that is not there is damage, never a torn tail.
    let mut wrong = places[7];
    wrong.length += 1;
    assert!(matches!(damage(disk.open_from(Some((wrong, 7)), None)).3, Damage::Frame(FrameError::PlaceLength { .. })));
    wrong.offset += 1;
    assert_eq!(damage(disk.open_from(Some((wrong, 7)), None)).3, Damage::NoFrame);
    disk.tamper(2, |file| file[2 * 4096 + 70] ^= 1);
    assert!(matches!(
        damage(disk.open_from(Some((places[7], 7)), None)).3,
        Damage::Frame(FrameError::PayloadSum { .. })
    ));
    disk.remove(2);
    assert_eq!(damage(disk.open_from(Some((places[7], 7)), None)).3, Damage::NoFile);
}

#[test]
fn a_shortened_last_file_gets_its_length_back() {
    let disk = three();
    disk.tamper(0, |file| file.truncate(8192));
    disk.open(Some(1)).unwrap().0.append(2, &payload(2)).unwrap();
    assert_eq!(disk.bytes(0).len(), 16384);
    assert_eq!(disk.payloads(), payloads(3));
}
