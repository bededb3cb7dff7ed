//! An index that has lost a row says so where somebody asks for it: what is lost is not taken for what never was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod sim_io;
mod sim_ledger;

use std::sync::Arc;

use finchain_core::index::{RecordIndex, Touch};
use finchain_core::ledger::{LedgerError, Reader};
use finchain_core::log::Durability;
use sim_io::SimIo;
use sim_ledger::{World, folder};

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
