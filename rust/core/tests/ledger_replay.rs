//! Stored blocks that are checked ahead of those before them: what was found then changes nothing that is found now.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod sim_io;
mod sim_ledger;

use std::sync::Arc;

use finchain_core::index::RecordIndex;
use finchain_core::ledger::{CheckedBlock, Ledger};
use finchain_core::log::Durability;
use sim_io::SimIo;
use sim_ledger::{MemoryIndex, World, execute, folder};

/// A ledger of block 0, which enrols the operator, and four blocks that it signed; closed.
fn closed() -> (World, (u64, [u8; 32])) {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    (1..5).for_each(|orders| world.submit(&[orders]).unwrap());
    let log_root = world.ledger.as_ref().unwrap().log_root();
    world.close();
    (world, log_root)
}

/// Replays all blocks with every signature, each with what `ahead` gives for it before the block before it is sealed.
fn replayed(world: &World, ahead: impl Fn(&Ledger, u64) -> Option<CheckedBlock>) -> (u64, [u8; 32]) {
    let index = |_| Ok(Arc::<MemoryIndex>::default() as Arc<dyn RecordIndex>);
    let (ledger, recovery) = Ledger::open(folder(), index, &world.options()).unwrap();
    assert_eq!((recovery.replay_from, recovery.blocks), (0, 5));
    let mut checked = ahead(&ledger, 0);
    for height in 0..recovery.blocks {
        let opened = ledger.open_stored(height, true, checked.take()).unwrap();
        assert_eq!(opened.height, height);
        checked = ahead(&ledger, height + 1);
        let columns = execute(&opened);
        ledger.seal(opened, columns).unwrap();
        ledger.wait_sealed(height).unwrap();
    }
    let log_root = ledger.log_root();
    ledger.close().unwrap();
    log_root
}

#[test]
fn a_block_is_the_same_whenever_it_was_checked_and_whether_it_was() {
    let (world, log_root) = closed();
    assert_eq!(replayed(&world, |_, _| None), log_root);
    // Block 1 is checked before block 0 has named the ledger and enrolled the key that signs it.
    assert_eq!(replayed(&world, |ledger, height| ledger.check_stored(height, true).ok()), log_root);
    // Signatures that nobody verified, and other blocks.
    assert_eq!(replayed(&world, |ledger, height| ledger.check_stored(height, false).ok()), log_root);
    assert_eq!(replayed(&world, |ledger, height| ledger.check_stored(4 - height % 5, true).ok()), log_root);
}
