//! Walking over damaged logs finds every whole frame and every fault; frames are put where the writer would put them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod log_support;
mod sim_io;

use finchain_core::log::{Damage, Depth, Fault, FrameError, LogError, Met, Place, Placer, Walk, durable, last_height};
use log_support::{LEDGER, SMALL, SimLog, payload, payloads};
use sim_io::{Random, SimIo};

/// Heights of the frames, and the faults as (height, until, offset), in the order of the walk.
fn walked(disk: &SimLog, depth: Depth) -> (Vec<u64>, Vec<Fault>) {
    let (mut heights, mut faults) = (Vec::new(), Vec::new());
    let blocks = disk.blocks();
    for met in Walk::new(&blocks, LEDGER, depth).unwrap() {
        match met {
            Met::Frame(height, place, found) => {
                let line = payload(height);
                let first = line.split(|byte| *byte == b'\n').next().unwrap();
                assert!(found == line || found == first, "block {height}");
                assert_eq!(place.length as usize, line.len());
                heights.push(height);
            }
            Met::Fault(fault) => faults.push(fault),
        }
    }
    (heights, faults)
}

fn ranges(faults: &[Fault]) -> Vec<(u64, Option<u64>)> {
    faults.iter().map(|fault| (fault.height, fault.until)).collect()
}

#[test]
fn a_whole_log_has_no_fault() {
    let (disk, _) = SimLog::with(&payloads(40));
    for depth in [Depth::Whole, Depth::Openings] {
        assert_eq!(walked(&disk, depth), ((0..40).collect(), Vec::new()));
    }
}

#[test]
fn one_changed_byte_costs_one_block() {
    let (whole, places) = SimLog::with(&payloads(12));
    for (height, place) in (0..).zip(&places) {
        for at in [0, 4, 9, 20, 40, 50, 64, 64 + place.length as usize - 1] {
            let disk = whole.copy();
            disk.tamper(place.segment, |file| file[usize::try_from(place.offset).unwrap() + at] ^= 0x10);
            let (heights, faults) = walked(&disk, Depth::Whole);
            let until = (height < 11).then_some(height + 1);
            assert_eq!(ranges(&faults), [(height, until)], "byte {at} of block {height}");
            assert_eq!(faults[0].offset, place.offset);
            assert_eq!(heights, (0..12).filter(|met| *met != height).collect::<Vec<_>>());
        }
    }
}

#[test]
fn lost_pages_files_and_ends_are_faults_with_their_place() {
    let (whole, places) = SimLog::with(&payloads(12));
    let last = places[11].segment;
    assert!(last >= 4, "the log has several files");
    let first_of = |segment| (0_u64..).zip(&places).find(|(_, place)| place.segment == segment).unwrap().0;
    for segment in 0..last {
        let disk = whole.copy();
        disk.remove(segment);
        let (_, faults) = walked(&disk, Depth::Whole);
        assert_eq!(ranges(&faults), [(first_of(segment), Some(first_of(segment + 1)))]);
        assert_eq!(faults[0].why, Damage::NoFile);
    }
    let disk = whole.copy();
    disk.tamper(1, |file| file.fill(0));
    let (_, faults) = walked(&disk, Depth::Whole);
    assert_eq!(ranges(&faults), [(first_of(1), Some(first_of(2)))]);
    assert!(matches!(faults[0].why, Damage::Frame(FrameError::Height { .. })), "{}", faults[0].why);
    let disk = whole.copy();
    disk.tamper(last, |file| file.fill(b'x'));
    let (_, faults) = walked(&disk, Depth::Whole);
    assert_eq!(ranges(&faults), [(first_of(last), None)]);
    let disk = whole.copy();
    disk.tamper(last, |file| *file.last_mut().unwrap() = 1);
    let (heights, faults) = walked(&disk, Depth::Whole);
    assert_eq!((heights.len(), ranges(&faults)), (12, vec![(12, None)]));
    assert_eq!(faults[0].why, Damage::Residue);
}

#[test]
fn a_copy_of_an_earlier_block_is_passed_over() {
    let (disk, places) = SimLog::with(&payloads(12));
    let from = usize::try_from(places[1].offset).unwrap();
    let copied = disk.bytes(places[1].segment)[from..from + 4096].to_vec();
    // Blocks 1 and 4 take a page each or more; the page of block 1 stands where block 4 was.
    let at = usize::try_from(places[4].offset).unwrap();
    disk.tamper(places[4].segment, |file| file[at..at + 4096].copy_from_slice(&copied));
    let (heights, faults) = walked(&disk, Depth::Whole);
    assert_eq!(ranges(&faults), [(4, Some(5))]);
    assert_eq!(heights.len(), 11);
}

#[test]
fn openings_are_read_alone_but_in_the_last_file() {
    let (whole, places) = SimLog::with(&payloads(12));
    // The second page of a block of three, which its first line does not reach.
    let early = places[3];
    let disk = whole.copy();
    disk.tamper(early.segment, |file| file[usize::try_from(early.offset).unwrap() + 5000] ^= 1);
    assert_eq!(walked(&disk, Depth::Openings).1, Vec::new());
    assert_eq!(ranges(&walked(&disk, Depth::Whole).1), [(3, Some(4))]);
    let late = places[11];
    whole.tamper(late.segment, |file| file[usize::try_from(late.offset).unwrap() + 70] ^= 1);
    assert_eq!(ranges(&walked(&whole, Depth::Openings).1), [(11, None)]);
}

#[test]
fn the_place_after_a_frame_is_where_the_writer_puts_it() {
    let mut random = Random(7);
    let lengths: Vec<usize> = (0..200).map(|_| usize::try_from(1 + random.below(16_320)).unwrap()).collect();
    let (_, places) = SimLog::with(&lengths.iter().map(|bytes| vec![b'.'; *bytes]).collect::<Vec<_>>());
    let mut before = None;
    for place in places {
        assert_eq!(Place::after(before, place.length, SMALL), place);
        before = Some(place);
    }
}

#[test]
fn frames_that_are_put_in_place_are_those_of_the_writer() {
    let (whole, places) = SimLog::with(&payloads(12));
    let copy = SimLog::on(SimIo::seeded(1));
    let blocks = copy.blocks();
    durable::make_folder(blocks.io(), blocks.path()).unwrap();
    let mut writing = Placer::new(&blocks, LEDGER);
    for (height, place) in (0..).zip(&places) {
        writing.put(*place, height, &payload(height)).unwrap();
    }
    writing.sync().unwrap();
    copy.crash(&mut Random(1));
    for segment in 0..=places[11].segment {
        let (expected, found) = (whole.bytes(segment), copy.bytes(segment));
        assert!(found.len() <= expected.len() && expected.starts_with(&found), "file {segment}");
    }
    assert_eq!(walked(&copy, Depth::Whole).0.len(), 12);
    let wrong = Place { length: 3, ..places[0] };
    assert!(matches!(writing.put(wrong, 0, b"four"), Err(LogError::PayloadLength { max: 3, found: 4 })));
}

#[test]
fn the_last_height_of_a_file_is_read_from_its_heads() {
    let (disk, places) = SimLog::with(&payloads(12));
    for segment in 0..=places[11].segment {
        let last = (0_u64..).zip(&places).filter(|(_, place)| place.segment == segment).last().unwrap().0;
        assert_eq!(last_height(&disk.blocks(), segment).unwrap(), Some(last));
    }
    disk.tamper(9, |file| file.resize(4096, 0));
    assert_eq!(last_height(&disk.blocks(), 9).unwrap(), None);
}
