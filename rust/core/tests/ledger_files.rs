//! Every bit and every length of a ledger's small files: what is damaged is found and named, or counts for nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod sim_io;
mod sim_ledger;

use std::path::{Path, PathBuf};

use finchain_core::ledger::LedgerError;
use finchain_core::log::Durability;
use sim_io::SimIo;
use sim_ledger::{World, folder, mark_path, verifier_key};

/// A closed ledger of four blocks, of which a checkpoint covers three.
fn ledger() -> World {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    world.submit(&[1, 1]).unwrap();
    world.checkpoint().unwrap();
    world.submit(&[1]).unwrap();
    world.close();
    world
}

/// Every file that differs from `whole` by one bit, or is cut off somewhere.
fn damaged(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    flipped.chain((0..whole.len()).map(|length| whole[..length].to_vec()))
}

fn put(world: &World, path: &Path, bytes: &[u8]) {
    world.io.tamper(path, |file| *file = bytes.to_vec());
}

#[test]
fn ledger_json_is_as_it_was_or_refused() {
    let mut world = ledger();
    let path = folder().join("ledger.json");
    let whole = world.io.bytes(&path).unwrap();
    for bytes in damaged(&whole) {
        put(&world, &path, &bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match world.open() {
            Err(LedgerError::Tampered { height: 0, message }) => {
                // A changed name makes the blocks those of another ledger.
                let words = ["ledger.json", "the frame is of ledger"];
                assert!(words.iter().any(|word| message.contains(word)), "{text}: {message}");
            }
            other => panic!("{text}: {:?}", other.err()),
        }
    }
    put(&world, &path, &whole);
    world.open().unwrap();
    world.check_promises("ledger.json as it was");
}

#[test]
fn the_signed_mark_is_as_it_was_or_nothing_is_opened() {
    let mut world = ledger();
    let whole = world.io.bytes(&mark_path()).unwrap();
    for bytes in damaged(&whole) {
        put(&world, &mark_path(), &bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match world.open() {
            Err(LedgerError::Tampered { message, .. }) => {
                let words =
                    ["is not a signed mark", "the signed mark is of", "signed over", "was signed", "was acknowledged"];
                assert!(words.iter().any(|word| message.contains(word)), "{text}: {message}");
            }
            other => panic!("{text}: {:?}", other.err()),
        }
    }
    put(&world, &mark_path(), &whole);
    world.open().unwrap();
    world.check_promises("the mark as it was");
}

#[test]
fn a_changed_checkpoint_is_believed_by_nobody() {
    let mut world = ledger();
    let path: PathBuf = folder().join("checkpoint");
    let whole = world.io.bytes(&path).unwrap();
    world.open().unwrap();
    for bytes in damaged(&whole) {
        let judged = world.ledger.as_ref().unwrap().compare_checkpoint(&bytes, &[verifier_key()]);
        assert!(!matches!(judged, Ok(Some(_))), "{}", String::from_utf8_lossy(&bytes));
    }
    // Nor does it keep the ledger from being opened, unless it names blocks that are not there.
    for bytes in damaged(&whole).step_by(7) {
        put(&world, &path, &bytes);
        match world.open() {
            Ok(_) => world.check_promises("a changed checkpoint"),
            Err(LedgerError::Tampered { message, .. }) => assert!(message.contains("was acknowledged"), "{message}"),
            Err(other) => panic!("{other}"),
        }
    }
    put(&world, &path, &whole);
    world.open().unwrap();
    world.checkpoint().unwrap();
}

#[test]
fn a_checkpoint_in_the_folder_is_evidence() {
    let mut world = ledger();
    world.open().unwrap();
    world.checkpoint().unwrap();
    world.close();
    // The key folder is not at hand, the index is gone, and the last block is destroyed.
    world.io.delete(&mark_path());
    world.index_in_doubt = true;
    let blocks = folder().join("blocks/00000000.blk");
    world.io.tamper(&blocks, |bytes| bytes[3 * 4096 + 100] ^= 1);
    match world.open() {
        Err(LedgerError::Tampered { height: 3, message }) => assert!(message.contains("00000000.blk"), "{message}"),
        other => panic!("{:?}", other.err()),
    }
    world.io.delete(&folder().join("checkpoint"));
    assert_eq!(world.open().unwrap().blocks, 3);
}

#[test]
fn an_old_mark_is_true_and_weaker() {
    let mut world = ledger();
    let old = world.io.bytes(&mark_path()).unwrap();
    world.open().unwrap();
    world.checkpoint().unwrap();
    put(&world, &mark_path(), &old);
    world.open().unwrap();
    world.check_contents("an old mark");
    world.checkpoint().unwrap();
    // Of another history with as many blocks it is refused, and nothing is signed over it.
    let text = String::from_utf8(world.io.bytes(&mark_path()).unwrap()).unwrap();
    let (before, rest) = text.split_once("\"root\":\"").unwrap();
    let other = format!("{before}\"root\":\"{}{}", "0".repeat(64), &rest[64..]);
    put(&world, &mark_path(), other.as_bytes());
    match world.checkpoint() {
        Err(LedgerError::Tampered { message, .. }) => assert!(message.contains("is not the root"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(world.open().is_err());
}
