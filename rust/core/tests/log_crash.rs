//! Crashes: power is lost and the disk fails at every step, and nothing acknowledged is ever lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod log_support;
mod sim_io;

use finchain_core::log::{Durability, LogError, LogWriter};
use log_support::{SimLog, payload, payloads};
use sim_io::Random;

/// Appends until the log has `count` blocks or a step fails, and gives the number of acknowledged blocks.
fn append(log: &mut LogWriter, count: u64) -> u64 {
    while log.next_height() < count {
        let height = log.next_height();
        if log.append(height, &payload(height)).is_err() {
            assert!(matches!(log.append(height, &payload(height)), Err(LogError::Poisoned)));
            return height;
        }
    }
    count
}

/// Opens without outside evidence, which after a mere crash must always succeed, and checks what is there.
fn recover(disk: &SimLog, acknowledged: u64, what: &str) -> LogWriter {
    let (log, recovered) = disk.open(None).unwrap_or_else(|error| panic!("{what}: {error}"));
    let blocks = log.next_height();
    assert!(
        blocks == acknowledged || blocks == acknowledged + 1,
        "{what}: {blocks} blocks, {acknowledged} acknowledged"
    );
    assert_eq!(recovered.frames.len() as u64, blocks, "{what}");
    assert_eq!(disk.payloads(), payloads(blocks), "{what}");
    log
}

#[test]
fn a_fault_at_any_step_then_a_loss_of_power() {
    for seed in 0..40 {
        let mut random = Random(seed);
        for step in 1.. {
            let what = format!("seed {seed}, step {step}");
            let disk = SimLog::default();
            let mut log = disk.create();
            disk.fail_at(step, seed);
            let acknowledged = append(&mut log, 9);
            let struck = disk.heal();
            disk.crash(&mut random);
            let mut log = recover(&disk, acknowledged, &what);
            // It goes on as if nothing had been, and this too is durable.
            assert_eq!(append(&mut log, 12), 12, "{what}");
            disk.crash(&mut random);
            recover(&disk, 12, &what);
            if !struck {
                assert!(step > 20, "the fault was to strike at least every append");
                break;
            }
        }
    }
}

#[test]
fn a_fault_at_any_step_of_recovery() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let disk = SimLog::default();
        let mut log = disk.create();
        disk.fail_at(1 + random.below(40), seed);
        let acknowledged = append(&mut log, 9);
        disk.heal();
        disk.crash(&mut random);
        for step in 1.. {
            disk.fail_at(step, seed);
            let opened = disk.open(None).is_ok();
            if !disk.heal() {
                assert!(opened);
                break;
            }
            disk.crash(&mut random);
            let what = format!("seed {seed}, step {step}");
            recover(&disk.copy(), acknowledged, &what);
        }
    }
}

#[test]
fn what_recovery_serves_survives_a_loss_of_power() {
    // The sync of block 1 fails and the medium loses all of it, but the cache goes on showing it. Recovery serves
    // it, so recovery must have written it again: a loss of power right after must not take it back.
    let mut lost = 0;
    for seed in 0..64 {
        let disk = SimLog::default();
        let mut log = disk.create();
        log.append(0, &payload(0)).unwrap();
        disk.fail_at(4, seed);
        let failed = log.append(1, &payload(1));
        assert!(matches!(failed, Err(LogError::Io { action: "sync", .. })));
        disk.heal();
        // Without the recovery the block may be gone.
        let without = disk.copy();
        without.crash(&mut Random(seed));
        lost += u64::from(recover(&without, 1, "without").next_height() == 1);

        assert_eq!(recover(&disk, 1, "cache").next_height(), 2);
        disk.crash(&mut Random(seed));
        assert_eq!(recover(&disk, 1, "medium").next_height(), 2, "seed {seed}");
    }
    assert!(lost > 0, "the disk was to lose the block at least once");
}

#[test]
fn a_log_whose_making_was_interrupted_is_empty_or_absent() {
    for step in 1..=7 {
        let disk = SimLog::default();
        disk.fail_at(step, step);
        let made = disk.create_with(Durability::Single);
        assert_eq!(made.is_ok(), step == 7, "the folder's sync is the sixth step and the last");
        disk.heal();
        disk.crash(&mut Random(step));
        match disk.open(None) {
            Ok((mut log, recovered)) => {
                assert_eq!(recovered.tip, None);
                log.append(0, &payload(0)).unwrap();
            }
            // Of a folder whose name was lost nothing is left.
            Err(LogError::Empty { .. } | LogError::Io { action: "list", .. }) => {
                disk.create();
            }
            Err(other) => panic!("{other}"),
        }
    }
}
