//! Every call of a ledger's life fails, one after the other and in every way; then it is opened again, and every
//! promise holds: nothing acknowledged is lost, nothing else is believed, and no size has two roots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counts;
mod sim_io;
mod sim_ledger;

use counts::count;
use finchain_core::ledger::LedgerError;
use finchain_core::log::Durability;
use sim_io::{Calls, Effect, Failure, Fault, PAGE, Random, SECTOR, SimIo};
use sim_ledger::World;

/// A ledger's life in short: it is founded, goes from one block file to the next, signs, is closed and opened.
fn live(world: &mut World) -> Result<(), LedgerError> {
    world.found()?;
    world.submit(&[1, 2])?;
    world.checkpoint()?;
    world.submit(&[1])?;
    world.submit(&[1, 1])?;
    world.checkpoint()?;
    world.submit(&[3])?;
    world.open()?;
    world.submit(&[1])?;
    world.checkpoint()?;
    Ok(())
}

/// Opens the ledger once more where it was founded, compares it with every promise, and lets it live on.
fn survive(world: &mut World, what: &str) {
    if let Err(error) = world.open() {
        assert_eq!(world.promises.blocks(), 0, "{what}: {error}");
        return;
    }
    world.check_promises(what);
    world.submit(&[1]).unwrap_or_else(|e| panic!("{what}: {e}"));
    world.checkpoint().unwrap_or_else(|e| panic!("{what}: {e}"));
    world.io.lose_power(&mut Random(1), SECTOR);
    world.index_in_doubt = true;
    world.open().unwrap_or_else(|e| panic!("{what}, at the end: {e}"));
    world.check_promises(what);
}

/// Lets every call fail so, in as many rounds as are asked for, and gives how many calls there were.
fn every_call(fault: Fault, durability: Durability, power_cut: bool) -> u64 {
    let rounds = count("FINCHAIN_FAULT_ROUNDS", 1);
    (0..rounds).map(|round| every_call_once(fault, durability, power_cut, round)).max().unwrap()
}

/// Lets every call fail so; `round` decides what is done in part.
fn every_call_once(fault: Fault, durability: Durability, power_cut: bool, round: u64) -> u64 {
    for at in 1.. {
        let what = format!("{fault:?} at {at}, {durability:?}, power cut {power_cut}, round {round}");
        let mut random = Random(round << 32 | at);
        let mut world = World::new(SimIo::default(), durability);
        world.io.fail(Fault { at, ..fault }, random.next());
        let lived = live(&mut world);
        if world.io.heal() {
            world.close();
        } else {
            lived.unwrap_or_else(|e| panic!("{what}: {e}"));
            return at - 1;
        }
        if power_cut {
            let unit = if random.coin() { SECTOR } else { PAGE };
            world.io.lose_power(&mut random, unit);
            world.index_in_doubt = true;
        }
        survive(&mut world, &what);
    }
    unreachable!()
}

#[test]
fn every_change_fails_with_and_without_effect() {
    for durability in [Durability::Single, Durability::Double] {
        for (failure, effect) in [
            (Failure::Device, Effect::Nothing),
            (Failure::Device, Effect::Part),
            (Failure::Device, Effect::Whole),
            (Failure::NoSpace, Effect::Nothing),
        ] {
            for (lasting, power_cut) in [(false, false), (false, true), (true, false), (true, true)] {
                let fault = Fault { calls: Calls::Changes, at: 0, lasting, failure, effect };
                let calls = every_call(fault, durability, power_cut);
                assert!(calls > 50, "{calls} calls are too few to say anything");
            }
        }
    }
}

#[test]
fn power_is_cut_at_every_change() {
    for durability in [Durability::Single, Durability::Double] {
        for effect in [Effect::Nothing, Effect::Part, Effect::Whole] {
            let fault = Fault { failure: Failure::PowerCut, effect, ..Fault::step(0) };
            assert!(every_call(fault, durability, true) > 50);
        }
    }
}

#[test]
fn every_change_is_interrupted_or_cut_short() {
    for failure in [Failure::Interrupted, Failure::Short] {
        for lasting in [false, true] {
            let fault = Fault { lasting, failure, ..Fault::step(0) };
            assert!(every_call(fault, Durability::Double, false) > 50);
        }
    }
}

#[test]
fn every_read_fails() {
    for failure in [Failure::Device, Failure::NoSpace, Failure::Interrupted, Failure::Short] {
        for lasting in [false, true] {
            let fault = Fault { calls: Calls::Reads, lasting, failure, ..Fault::step(0) };
            assert!(every_call(fault, Durability::Single, false) > 20);
        }
    }
}

#[test]
fn the_disk_is_full_at_every_boundary() {
    let whole = {
        let mut world = World::new(SimIo::default(), Durability::Double);
        live(&mut world).unwrap();
        world.io.used()
    };
    let mut stopped = 0;
    for room in (0..=whole).step_by(SECTOR) {
        let what = format!("room for {room} of {whole} bytes");
        let mut world = World::new(SimIo::default(), Durability::Double);
        world.io.set_room(Some(room));
        let lived = live(&mut world);
        stopped += u64::from(lived.is_err());
        world.io.set_room(None);
        survive(&mut world, &what);
    }
    assert!(stopped > whole / SECTOR as u64 / 2, "the disk was full {stopped} times");
}
