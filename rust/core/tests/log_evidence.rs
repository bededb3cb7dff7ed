//! What recovery believes: not the page cache alone, not the medium alone, and the durable mark where there is one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod log_support;
mod sim_io;

use std::path::Path;

use finchain_core::log::{Damage, Durability, Evidence, Frame, FrameError, LogError, LogWriter, Recovered};
use log_support::{LEDGER, OTHER, SimLog, payload, payloads};
use sim_io::{Calls, Effect, Failure, Fault, Random, Rates};

fn why<T>(result: Result<T, LogError>) -> (String, u64, Damage) {
    match result.map(|_| ()) {
        Err(LogError::Corrupt { file, height, why, .. }) => (file.display().to_string(), height, why),
        other => panic!("expected damage, found {other:?}"),
    }
}

fn open_with(disk: &SimLog, durability: Durability) -> Result<(LogWriter, Recovered), LogError> {
    LogWriter::open(disk.blocks(), LEDGER, None, Evidence::default(), Some(durability))
}

/// A log of that many blocks with a durable mark.
fn marked(blocks: u64) -> SimLog {
    let disk = SimLog::default();
    let mut log = disk.create_with(Durability::Double).unwrap();
    for height in 0..blocks {
        log.append(height, &payload(height)).unwrap();
    }
    disk
}

fn mark() -> &'static Path {
    Path::new("/sim/durable")
}

// ---- the page cache and the medium

#[test]
fn every_frame_after_the_evidence_is_written_again() {
    // The medium lost blocks 1 to 7 of three files, and the page cache goes on showing them.
    for evidence in [None, Some(0), Some(3), Some(7)] {
        let disk = SimLog::with(&payloads(8)).0;
        for (segment, start) in [(0, 4096), (1, 0), (2, 0)] {
            disk.io.tamper_medium(&SimLog::file(segment), |bytes| bytes[start..].fill(0));
        }
        let (_, recovered) = disk.open(evidence).unwrap();
        assert_eq!(recovered.tip.unwrap().0, 7);
        disk.crash(&mut Random(1));
        let held = disk.payloads();
        let expected = match evidence {
            // Nothing tells that any block was acknowledged, or only that the first was: all else is brought back.
            None | Some(0) => 8,
            // What evidence covers was synced once, so it is not written again, and here the disk had lied.
            _ => 1,
        };
        assert_eq!(held, payloads(expected), "evidence {evidence:?}");
    }
}

#[test]
fn a_disk_that_does_not_hold_what_it_synced_is_found_out() {
    let disk = SimLog::with(&payloads(3)).0;
    disk.io.tamper_medium(&SimLog::file(0), |bytes| bytes[8192..].fill(0));
    disk.io.set_rates(Rates { dropped: 1_000, ..Rates::default() });
    let (file, height, damage) = why(disk.open(Some(1)));
    assert_eq!((file.as_str(), height, damage), ("/sim/00000000.blk", 2, Damage::NotOnMedium));
    disk.heal();
    disk.open(Some(1)).unwrap();
    disk.crash(&mut Random(1));
    assert_eq!(disk.payloads(), payloads(3));
}

#[test]
fn nothing_is_cut_that_the_medium_holds_whole() {
    let disk = SimLog::with(&payloads(3)).0;
    disk.io.tamper_cache(&SimLog::file(0), |bytes| bytes[8192 + 100] ^= 1);
    let (_, height, damage) = why(disk.open(Some(1)));
    assert_eq!(height, 2);
    assert!(matches!(damage, Damage::CacheDiffers(FrameError::PayloadSum { .. })));
    assert!(damage.to_string().contains("open it again"), "{damage}");
    // Nothing was written; once the cache is gone the block is there.
    disk.crash(&mut Random(1));
    assert_eq!(disk.open(Some(2)).unwrap().1.tip.unwrap().0, 2);
}

#[test]
fn one_wrong_bit_while_reading_cuts_nothing() {
    // Every read gives a wrong bit now and then: opening fails or succeeds, and block 2 stays.
    let mut failed = 0;
    for seed in 0..200 {
        let disk = SimLog::on(sim_io::SimIo::seeded(seed));
        let mut log = disk.create();
        for height in 0..3 {
            log.append(height, &payload(height)).unwrap();
        }
        disk.io.set_rates(Rates { flipped: 100, ..Rates::default() });
        let opened = disk.open(Some(1));
        disk.heal();
        match opened {
            Ok((_, recovered)) => assert_eq!(recovered.cut, None, "seed {seed}"),
            Err(LogError::Corrupt { .. }) => failed += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
        assert_eq!(disk.payloads(), payloads(3), "seed {seed}");
    }
    assert!(failed > 20, "only {failed} openings met a wrong bit");
}

// ---- the durable mark

#[test]
fn the_mark_tells_a_damaged_last_block_from_an_unfinished_one() {
    let damaged = |disk: SimLog| {
        disk.tamper(0, |file| file[8192 + 100] ^= 1);
        disk
    };
    // Under a single sync the damaged block looks like one that was never finished.
    assert_eq!(damaged(SimLog::with(&payloads(3)).0).open(None).unwrap().1.tip.unwrap().0, 1);
    let (file, height, damage) = why(damaged(marked(3)).open(None));
    assert_eq!((file.as_str(), height), ("/sim/00000000.blk", 2));
    assert!(matches!(damage, Damage::Frame(FrameError::PayloadSum { .. })));
    let gone = marked(3);
    gone.tamper(0, |file| file[8192..].fill(0));
    assert_eq!(why(gone.open(None)).2, Damage::Missing { durable: 2 });
    // A block that was never acknowledged is cut as before.
    let disk = marked(3);
    disk.tamper(0, |file| file[8192..].fill(0));
    disk.io.tamper(mark(), |slots| slots[..64].fill(0));
    assert_eq!(disk.open(None).unwrap().1.tip.unwrap().0, 1);
}

#[test]
fn the_mark_stays_until_it_is_asked_away() {
    let disk = marked(2);
    let slots = disk.io.bytes(mark()).unwrap();
    assert_eq!(slots.len(), 8192);
    assert_eq!(&slots[..64], Frame::of(LEDGER, 0, &payload(0)).unwrap().encode());
    assert_eq!(&slots[4096..4160], Frame::of(LEDGER, 1, &payload(1)).unwrap().encode());
    disk.open(None).unwrap().0.append(2, &payload(2)).unwrap();
    assert_eq!(&disk.io.bytes(mark()).unwrap()[..64], Frame::of(LEDGER, 2, &payload(2)).unwrap().encode());
    open_with(&disk, Durability::Single).unwrap().0.append(3, &payload(3)).unwrap();
    assert_eq!(disk.io.bytes(mark()), None);
    // It begins with the block that is there, because that is served from then on.
    open_with(&disk, Durability::Double).unwrap();
    disk.crash(&mut Random(3));
    assert_eq!(&disk.io.bytes(mark()).unwrap()[4096..4160], Frame::of(LEDGER, 3, &payload(3)).unwrap().encode());
    open_with(&disk, Durability::Double).unwrap();
}

#[test]
fn a_mark_without_its_newest_slot_gives_the_one_before() {
    // Zeros, their sync, the frame, its sync; then the mark and its sync. Nobody is answered where one of the last two
    // fails, and the block is there all the same.
    for (at, effect) in
        [(5, Effect::Nothing), (5, Effect::Part), (5, Effect::Whole), (6, Effect::Nothing), (6, Effect::Whole)]
    {
        for seed in 0..20 {
            let disk = marked(2);
            let mut log = disk.open(None).unwrap().0;
            disk.io.fail(Fault { effect, ..Fault::step(at) }, seed);
            let failed = log.append(2, &payload(2)).unwrap_err();
            assert!(failed.to_string().contains("/sim/durable"), "{failed}");
            assert!(matches!(log.append(2, &payload(2)), Err(LogError::Poisoned)));
            disk.heal();
            disk.crash(&mut Random(seed));
            let (log, recovered) = disk.open(None).unwrap();
            assert_eq!((log.next_height(), recovered.cut), (3, None));
        }
    }
}

#[test]
fn no_bit_of_the_mark_loses_a_block_or_makes_one() {
    let disk = marked(3);
    for at in (0..64).chain(4096..4160) {
        for bit in 0..8 {
            let disk = disk.copy();
            disk.io.tamper(mark(), |slots| slots[at] ^= 1 << bit);
            assert_eq!(disk.open(None).unwrap().1.tip.unwrap().0, 2, "byte {at} bit {bit}");
        }
    }
    // Both slots cannot come from an interrupted write.
    for act in [(|slots: &mut Vec<u8>| (slots[20], slots[4100]) = (1, 1)) as fn(&mut Vec<u8>), |slots| {
        slots[..4160].fill(0xff);
    }] {
        let disk = disk.copy();
        disk.io.tamper(mark(), act);
        let (file, _, damage) = why(disk.open(None));
        assert_eq!(file, "/sim/durable");
        assert!(matches!(damage, Damage::Frame(_)));
    }
    let foreign = disk.copy();
    foreign.io.tamper(mark(), |slots| {
        slots[..64].copy_from_slice(&Frame::of(OTHER, 0, b"x").unwrap().encode());
        slots[4096..4160].copy_from_slice(&Frame::of(OTHER, 1, b"x").unwrap().encode());
    });
    assert_eq!(why(foreign.open(None)).2, FrameError::Ledger { expected: LEDGER, found: OTHER }.into());
}

#[test]
fn an_old_or_shortened_mark_is_only_weaker() {
    for length in [0, 10, 64, 4096, 4159, 4160] {
        let disk = marked(3);
        disk.io.tamper(mark(), |slots| slots.truncate(length));
        let (mut log, recovered) = disk.open(None).unwrap();
        assert_eq!(recovered.tip.unwrap().0, 2, "length {length}");
        log.append(3, &payload(3)).unwrap();
        assert_eq!(
            why({
                disk.tamper(1, |file| file[100] ^= 1);
                disk.open(None)
            })
            .1,
            3,
            "length {length}"
        );
    }
    let disk = marked(3);
    let old = disk.io.bytes(mark()).unwrap();
    let mut log = disk.open(None).unwrap().0;
    log.append(3, &payload(3)).unwrap();
    disk.io.tamper(mark(), |slots| slots.copy_from_slice(&old));
    assert_eq!(disk.open(None).unwrap().1.tip.unwrap().0, 3);
}

#[test]
fn a_call_that_is_interrupted_for_ever_ends() {
    let disk = SimLog::with(&payloads(2)).0;
    let mut log = disk.open(None).unwrap().0;
    let interrupted = Fault { lasting: true, failure: Failure::Interrupted, ..Fault::step(1) };
    disk.io.fail(interrupted, 1);
    let error = log.append(2, &payload(2)).unwrap_err();
    assert!(matches!(&error, LogError::Io { source, .. } if source.raw_os_error() == Some(4)), "{error}");
    disk.heal();
    disk.io.fail(Fault { calls: Calls::Reads, ..interrupted }, 1);
    assert!(matches!(disk.open(None), Err(LogError::Io { action: "open" | "list", .. })));
    disk.heal();
    // Now and then is no fault at all.
    for at in 1..30 {
        let disk = SimLog::with(&payloads(2)).0;
        disk.io.fail(Fault { lasting: false, at, ..interrupted }, 1);
        disk.open(None).unwrap().0.append(2, &payload(2)).unwrap();
    }
}
