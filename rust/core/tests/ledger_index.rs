//! An index that has lost a row says so where somebody asks for it: what is lost is not taken for what never was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod sim_io;
mod sim_ledger;

use std::sync::Arc;

use finchain_core::hash::Hash;
use finchain_core::index::{RecordIndex, Stored, Touch};
use finchain_core::ledger::{Ledger, LedgerError, Reader};
use finchain_core::log::Durability;
use sim_io::SimIo;
use sim_ledger::{ORIGIN, World, folder};

const LANE: &str = "operator orders";

fn ledger() -> World {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    world.submit(&[1, 2]).unwrap();
    world
}

fn stale<T>(found: &Result<T, LedgerError>) -> bool {
    matches!(found, Err(LedgerError::IndexStale(why)) if why.contains("no history of") || why.contains("does not know"))
}

#[test]
fn a_lost_place_is_not_one_that_was_never_used() {
    let world = ledger();
    let ledger = world.ledger.as_ref().unwrap();
    assert_eq!([0, 1, 3, 4].map(|n| ledger.lane_place(LANE, n).unwrap()), [None, Some((1, 0)), Some((2, 1)), None]);
    world.index.lose_places();
    assert!([1, 3].into_iter().all(|n| stale(&ledger.lane_place(LANE, n))));
    assert_eq!([0, 4].map(|n| ledger.lane_place(LANE, n).unwrap()), [None, None]);
    assert_eq!(ledger.lane_place("operator other", 1).unwrap(), None);
}

#[test]
fn a_lost_history_is_not_that_of_a_record_that_never_was() {
    let world = ledger();
    let ledger = world.ledger.as_ref().unwrap();
    let touch = Touch { height: 1, entry: 0, instructions: vec![0] };
    assert_eq!(ledger.history("thing", "t-1", 9).unwrap(), [touch]);
    world.index.lose_places();
    assert!(stale(&ledger.history("thing", "t-1", 9)));
    assert_eq!(ledger.history("thing", "t-1", 0).unwrap(), []);
    assert_eq!(ledger.history("thing", "t-6", 9).unwrap(), []);
}

#[test]
fn a_reader_says_the_same() {
    let world = ledger();
    let index: Arc<dyn RecordIndex> = Arc::clone(&world.index) as _;
    let view = Arc::new(Reader::open(&world.options().storage, folder()).unwrap()).view(index).unwrap();
    assert_eq!(view.lane_place(LANE, 3).unwrap(), Some((2, 1)));
    assert_eq!(view.history("thing", "t-1", 9).unwrap().len(), 1);
    world.index.lose_places();
    assert!(stale(&view.lane_place(LANE, 3)) && stale(&view.history("thing", "t-1", 9)));
    assert_eq!((view.lane_place(LANE, 4).unwrap(), view.history("thing", "t-6", 9).unwrap()), (None, vec![]));
}

/// A ledger of so many blocks, closed, and then opened with an index of which a record is spoilt.
fn reopened(blocks: u64, kind: &str, id: &str, change: impl Fn(&mut Stored, &mut (Hash, Hash))) -> (World, bool) {
    let mut world = ledger();
    while world.index.blocks() < blocks {
        world.submit(&[1]).unwrap();
        world.close();
        world.open().unwrap();
    }
    world.close();
    assert_eq!(world.index.is_whole(), blocks.is_multiple_of(2));
    world.index.spoil(kind, id, change);
    let before = Arc::clone(&world.index);
    world.open().unwrap();
    let anew = !Arc::ptr_eq(&before, &world.index);
    (world, anew)
}

#[test]
fn kept_hashes_that_do_not_give_the_root_are_not_believed() {
    type Change = fn(&mut Stored, &mut (Hash, Hash));
    let (key, value): (Change, Change) = (|_, hashes| hashes.0[5] ^= 1, |_, hashes| hashes.1[5] ^= 1);
    // An index that was not closed keeps no value.
    for (blocks, change) in [(4, key), (5, key), (4, value)] {
        let (world, anew) = reopened(blocks, "thing", "t-1", change);
        assert!(anew);
        world.check_records().unwrap();
    }
}

#[test]
fn a_record_that_does_not_have_its_kept_hash_is_found_before_it_is_used() {
    type Change = fn(&mut Stored, &mut (Hash, Hash));
    let changes: [Change; 3] =
        [|stored, _| stored.salt[0] ^= 1, |stored, _| stored.record[8] ^= 1, |stored, _| stored.record.clear()];
    for change in changes {
        let (world, anew) = reopened(4, "thing", "t-1", change);
        assert!(!anew);
        let found = world.ledger.as_ref().unwrap().record("thing", "t-1");
        assert!(matches!(found, Err(LedgerError::IndexStale(_))), "{found:?}");
        let (world, anew) = reopened(5, "thing", "t-1", change);
        assert!(anew);
        world.check_records().unwrap();
    }
}

#[test]
fn many_records_are_those_that_each_is_alone() {
    let world = ledger();
    let ledger = world.ledger.as_ref().unwrap();
    let ids: Vec<String> = (0..2_000).rev().map(|n| format!("t-{}", n % 1_500)).collect();
    for count in [0, 1, 2, ids.len()] {
        let names: Vec<(&str, &str)> = ids[ids.len() - count..].iter().map(|id| ("thing", id.as_str())).collect();
        let alone: Vec<_> = names.iter().map(|(kind, id)| ledger.record(kind, id).unwrap()).collect();
        assert_eq!(ledger.records(&names).unwrap(), alone);
    }
    let there = ledger.records(&[("thing", "t-2"), ("other", "t-2"), ("party", "operator"), ("thing", "t-2")]).unwrap();
    assert!(there[0].is_some() && there[2].is_some() && there[0] != there[2]);
    assert_eq!((&there[1], &there[3]), (&None, &there[0]));
}

#[test]
fn one_record_that_is_spoilt_is_found_among_many() {
    let (world, _) = reopened(4, "thing", "t-1", |stored, _| stored.record[8] ^= 1);
    let ledger = world.ledger.as_ref().unwrap();
    let ids: Vec<String> = (0..1_000).map(|n| format!("t-{n}")).collect();
    let names: Vec<(&str, &str)> = ids.iter().map(|id| ("thing", id.as_str())).collect();
    let others: Vec<(&str, &str)> = names.iter().filter(|(_, id)| *id != "t-1").copied().collect();
    assert!(ledger.records(&others).unwrap().iter().any(Option::is_some));
    let found = ledger.records(&names).unwrap_err();
    assert_eq!(found.to_string(), ledger.record("thing", "t-1").unwrap_err().to_string());
    assert!(matches!(found, LedgerError::IndexStale(why) if why.contains("record thing t-1 in the index")));
}

#[test]
fn what_the_core_goes_by_is_hashed_however_whole_the_index_is() {
    for blocks in [4, 5] {
        let (mut world, anew) = reopened(blocks, "lane", LANE, |stored, _| {
            let text = String::from_utf8(std::mem::take(&mut stored.record)).unwrap();
            stored.record = text.replacen("\"sequence\":", "\"sequence\":1", 1).into_bytes();
        });
        assert!(anew);
        world.submit(&[1]).unwrap();
        world.check_contents("a lane that was moved on in the index");
    }
}

#[test]
fn a_ledger_without_a_block_is_closed_like_any_other() {
    let world = World::new(SimIo::default(), Durability::Single);
    let options = world.options();
    options.storage.io.make_folder(folder()).unwrap();
    let index: Arc<dyn RecordIndex> = Arc::clone(&world.index) as _;
    let ledger = Ledger::create(folder(), ORIGIN, "blake3", 1, index, &options).unwrap();
    ledger.close().unwrap();
    assert!(world.index.is_whole());
}
