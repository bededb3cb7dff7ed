//! The log of 200 blocks loses power at every step and in ten thousand ways, and loses every bit of a whole block file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counts;
mod log_support;
mod sim_io;

use counts::count;
use finchain_core::log::{Damage, Durability, Frame, FrameError, LogError, Place, Sizes};
use log_support::{LEDGER, OTHER, SimLog, payload, payloads};
use sim_io::{PAGE, Random, SECTOR, SimIo};

const BLOCKS: u64 = 200;
/// Sixteen pages, 64 KiB, with zeros two pages ahead.
const SIZES: Sizes = Sizes { segment_bytes: 16 * 4096, ahead_bytes: 2 * 4096 };

/// Opens a log of which that many blocks were acknowledged, from a block that is known to be good or from the first.
fn judge(disk: &SimLog, places: &[Place], acknowledged: u64, from: Option<u64>, what: &str) {
    let known = from.map(|height| (places[usize::try_from(height).unwrap()], height));
    let (log, recovered) = disk.open_from(known, None).unwrap_or_else(|e| panic!("{what}: {e}"));
    let blocks = log.next_height();
    assert!(
        blocks == acknowledged || blocks == acknowledged + 1,
        "{what}: {blocks} blocks, {acknowledged} acknowledged"
    );
    drop(log);
    // What is served was made durable first.
    disk.io.lose_all_unsynced();
    let mut height = from.unwrap_or(0);
    for item in disk.reader().frames(known) {
        let (found, place, bytes) = item.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!((found, bytes), (height, payload(height)), "{what}");
        assert_eq!(places.get(usize::try_from(height).unwrap()).unwrap_or(&place), &place, "{what}");
        height += 1;
    }
    assert_eq!(height, blocks, "{what}");
    assert_eq!(recovered.tip.map(|(height, _)| height), blocks.checked_sub(1), "{what}");
}

/// The machine before each step of a log's first 200 blocks, with the number of acknowledged blocks, and the places.
fn history(durability: Durability) -> (Vec<(SimIo, u64)>, Vec<Place>) {
    let disk = SimLog { sizes: SIZES, ..SimLog::default() };
    let mut log = disk.create_with(durability).unwrap();
    disk.io.keep_history();
    let mut places = Vec::new();
    for height in 0..BLOCKS {
        places.push(log.append(height, &payload(height)).unwrap());
        disk.io.note(height + 1);
    }
    (disk.io.history(), places)
}

#[test]
fn every_prefix_and_any_part_of_what_was_not_synced_may_be_lost() {
    let crashes = count("FINCHAIN_CRASHES", 2_000);
    for durability in [Durability::Single, Durability::Double] {
        let (moments, places) = history(durability);
        assert!(moments.len() > 500, "{} steps", moments.len());
        let each = crashes.div_ceil(moments.len() as u64);
        let mut random = Random(17);
        for (step, (io, acknowledged)) in moments.into_iter().enumerate() {
            // Reading all blocks each time would only read the same ones again.
            let from = (step % 64 > 0).then_some(acknowledged.saturating_sub(3)).filter(|from| *from > 0);
            for number in 0..each + 2 {
                let disk = SimLog { io: io.copy(), sizes: SIZES };
                let what = format!("{durability:?}, step {step}, loss {number}");
                match number {
                    // The process ends, the power loses everything, or any part of it.
                    0 => {}
                    1 => disk.io.lose_all_unsynced(),
                    _ => disk.io.lose_power(&mut random, if number % 2 == 0 { SECTOR } else { PAGE }),
                }
                judge(&disk, &places, acknowledged, from, &what);
            }
        }
    }
}

/// A block file of 64 KiB that is full to the byte, and the places of its blocks.
fn full_file() -> (SimLog, Vec<Place>) {
    let disk = SimLog { sizes: SIZES, ..SimLog::default() };
    let mut log = disk.create_with(Durability::Single).unwrap();
    let mut places = Vec::new();
    let mut pages = 0;
    for height in 0.. {
        let bytes = payload(height);
        pages += (bytes.len() + 64).div_ceil(PAGE);
        if pages > 16 {
            break;
        }
        places.push(log.append(height, &bytes).unwrap());
    }
    let rest = 16 * PAGE as u64 - places.iter().map(|place| frame_bytes(*place)).sum::<u64>();
    if rest > 0 {
        let bytes = vec![b'x'; usize::try_from(rest).unwrap() - 64];
        places.push(log.append(places.len() as u64, &bytes).unwrap());
    }
    assert_eq!(places.last().map(|place| place.offset + frame_bytes(*place)), Some(16 * PAGE as u64));
    (disk, places)
}

fn frame_bytes(place: Place) -> u64 {
    finchain_core::log::frame::padded_bytes(place.length)
}

/// Asserts that the damage in block `height` is met there, by who reads it and by who opens the log.
fn found(disk: &SimLog, places: &[Place], height: usize, what: &str) {
    let place = places[height];
    let reader = disk.reader();
    let at = |error: Option<LogError>| match error {
        Some(LogError::Corrupt { offset, height, .. }) => (offset, height),
        other => panic!("{what}: {other:?}"),
    };
    assert_eq!(at(reader.read(&place, height as u64).err()), (place.offset, height as u64), "{what}");
    let from = height.checked_sub(1).map(|before| (places[before], before as u64));
    let opened = disk.open_from(from, Some(places.len() as u64 - 1));
    assert_eq!(at(opened.err()), (place.offset, height as u64), "{what}");
}

#[test]
fn every_bit_of_a_block_file_is_found_and_located() {
    let (disk, places) = full_file();
    // In `cargo test` every so many bits only; the step has no factor of 8, so that all bits of a byte get their turn.
    let step = usize::try_from(count("FINCHAIN_BIT_STEP", 101)).unwrap();
    for bit in (0..16 * PAGE * 8).step_by(step) {
        let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
        disk.tamper(0, flip);
        let height = places.iter().rposition(|place| place.offset <= bit as u64 / 8).unwrap();
        found(&disk, &places, height, &format!("bit {bit}"));
        disk.tamper(0, flip);
    }
    assert_eq!(disk.payloads().len(), places.len());
}

#[test]
fn a_page_of_zeros_is_found_and_located() {
    let (disk, places) = full_file();
    for page in 0..16 {
        let whole = disk.bytes(0);
        let before = &whole[page * PAGE..(page + 1) * PAGE];
        if before.iter().all(|byte| *byte == 0) {
            continue;
        }
        disk.tamper(0, |bytes| bytes[page * PAGE..(page + 1) * PAGE].fill(0));
        let height = places.iter().rposition(|place| place.offset <= (page * PAGE) as u64).unwrap();
        found(&disk, &places, height, &format!("page {page}"));
        disk.tamper(0, |bytes| bytes.clone_from(&whole));
    }
}

#[test]
fn any_two_frames_that_change_places_are_found() {
    let (disk, places) = full_file();
    let whole = disk.bytes(0);
    let range = |place: Place| {
        let start = usize::try_from(place.offset).unwrap();
        start..start + usize::try_from(frame_bytes(place)).unwrap()
    };
    let mut swapped = 0;
    for first in 0..places.len() {
        for second in first + 1..places.len() {
            let (one, two) = (range(places[first]), range(places[second]));
            if one.len() != two.len() {
                continue;
            }
            disk.tamper(0, |bytes| {
                bytes[one.clone()].copy_from_slice(&whole[two.clone()]);
                bytes[two].copy_from_slice(&whole[one]);
            });
            let from = first.checked_sub(1).map(|before| (places[before], before as u64));
            match disk.open_from(from, None) {
                Err(LogError::Corrupt { offset, why: Damage::Frame(FrameError::Height { .. }), .. }) => {
                    assert_eq!(offset, places[first].offset);
                }
                other => panic!("{first} and {second}: {other:?}"),
            }
            disk.tamper(0, |bytes| bytes.clone_from(&whole));
            swapped += 1;
        }
    }
    assert!(swapped > 5, "{swapped} pairs");
}

#[test]
fn a_frame_of_another_ledger_is_found_wherever_it_stands() {
    let (disk, places) = full_file();
    let whole = disk.bytes(0);
    let payloads = payloads(places.len() as u64);
    for (height, place) in places.iter().enumerate() {
        let bytes = if place.length as usize == payloads[height].len() { payloads[height].clone() } else { continue };
        let head = Frame::of(OTHER, height as u64, &bytes).unwrap().encode();
        let start = usize::try_from(place.offset).unwrap();
        disk.tamper(0, |bytes| bytes[start..start + 64].copy_from_slice(&head));
        found(&disk, &places, height, &format!("block {height}"));
        // Nor is it cut off as unfinished, even where nothing tells that a block stood there.
        let from = height.checked_sub(1).map(|before| (places[before], before as u64));
        match disk.open_from(from, None) {
            Err(LogError::Corrupt { why: Damage::Frame(FrameError::Ledger { expected, found }), .. }) => {
                assert_eq!((expected, found), (LEDGER, OTHER));
            }
            other => panic!("block {height}: {other:?}"),
        }
        disk.tamper(0, |bytes| bytes.clone_from(&whole));
    }
}
