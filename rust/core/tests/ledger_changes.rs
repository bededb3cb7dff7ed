//! An index that is lost is made anew from what was kept of each block's changes, and whatever was done to the files
//! that keep them, it comes out the same: what does not fit the blocks is executed again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counts;
mod sim_io;
mod sim_ledger;

use std::path::PathBuf;
use std::sync::Arc;

use counts::count;
use finchain_core::encoding::hex;
use finchain_core::ledger::LedgerError;
use finchain_core::log::{Blocks, ChangesFiles, Durability, Frame, Storage};
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use sim_io::SimIo;
use sim_ledger::{World, folder};

/// Blocks of the ledger: the founding, and then one, two and three orders a block in turn.
const BLOCKS: u64 = 13;

fn ledger() -> World {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    for _ in 0..4 {
        world.submit(&[1, 2, 3]).unwrap();
    }
    world.close();
    world
}

fn changes() -> PathBuf {
    folder().join("changes")
}

fn first_file() -> PathBuf {
    changes().join("0000000000000000.chg")
}

/// Opens the ledger without its index and says how many blocks had to be executed; the index is the one that was there.
fn executed_without_index(world: &mut World, what: &str) -> u64 {
    world.close();
    let before = world.index.copy();
    world.index = Arc::default();
    world.executed = 0;
    world.open().unwrap_or_else(|e| panic!("{what}: {e}"));
    world.check_records().unwrap_or_else(|e| panic!("{what}: {e}"));
    world.close();
    assert_eq!(format!("{:?}", world.index), format!("{before:?}"), "{what}");
    world.executed
}

#[test]
fn nothing_is_executed_but_block_0() {
    let mut world = ledger();
    assert_eq!(executed_without_index(&mut world, "all is there"), 1);
    // And it goes on from there.
    world.open().unwrap();
    world.submit(&[2]).unwrap();
    world.checkpoint().unwrap();
    world.check_promises("afterwards");
    assert_eq!(executed_without_index(&mut world, "with one block more"), 1);
}

#[test]
fn without_the_files_everything_is_executed_and_kept_again() {
    let mut world = ledger();
    world.io.delete(&first_file());
    assert_eq!(executed_without_index(&mut world, "no file"), BLOCKS);
    assert_eq!(executed_without_index(&mut world, "once more"), 1);
}

#[test]
fn an_index_that_lags_is_brought_up_from_where_it_is() {
    let mut world = ledger();
    let lagging = world.index.copy();
    world.open().unwrap();
    world.submit(&[1, 1, 1]).unwrap();
    world.close();
    let whole = format!("{:?}", world.index);
    world.index = Arc::new(lagging);
    world.executed = 0;
    let recovery = world.open().unwrap();
    assert_eq!((recovery.replay_from, recovery.blocks, world.executed), (BLOCKS, BLOCKS + 3, 0));
    assert_eq!(format!("{:?}", world.index), whole);
}

#[test]
fn a_block_that_was_not_kept_is_executed_between_others() {
    let mut world = ledger();
    // The frame of block 5 is cut out, so that 6 and those behind it are not found where they should be.
    let bytes = world.io.bytes(&first_file()).unwrap();
    let mut at = 0;
    let mut frames = Vec::new();
    while at < bytes.len() {
        let head = Frame::decode(bytes[at..at + 64].try_into().unwrap()).unwrap();
        let end = at + 64 + head.length as usize;
        frames.push(bytes[at..end].to_vec());
        at = end;
    }
    assert_eq!(frames.len() as u64, BLOCKS);
    world.io.tamper(&first_file(), |file| *file = frames[..5].concat());
    world.io.tamper(&changes().join("0000000000000006.chg"), |file| *file = frames[6..].concat());
    assert_eq!(executed_without_index(&mut world, "without block 5"), 2);
    assert_eq!(executed_without_index(&mut world, "with all of them"), 1);
}

#[test]
fn every_bit_is_found() {
    let mut world = ledger();
    let whole = world.io.bytes(&first_file()).unwrap();
    let step = usize::try_from(count("FINCHAIN_BIT_STEP", 17)).unwrap();
    for bit in (0..whole.len() * 8).step_by(step) {
        world.io.tamper(&first_file(), |file| {
            file.clone_from(&whole);
            file[bit / 8] ^= 1 << (bit % 8);
        });
        // Block 0 is executed in any case, and what is written over the spoilt frame is the frame that was there.
        let executed = executed_without_index(&mut world, &format!("bit {bit}"));
        assert!(executed <= 2, "bit {bit}: {executed}");
        assert_eq!(world.io.bytes(&first_file()).unwrap(), whole, "bit {bit}");
    }
}

#[test]
fn what_the_block_does_not_commit_to_is_not_believed() {
    let mut world = ledger();
    let whole = world.io.bytes(&first_file()).unwrap();
    let blocks = Blocks::new(&Storage { io: Arc::new(world.io.clone()), ..Storage::default() }, "/ledger/blocks");
    let tag = Frame::decode(whole[..64].try_into().unwrap()).unwrap().ledger;
    let mut files = ChangesFiles::new(blocks, changes());
    let content = decompress_size_prepended(&files.read(tag, 7).unwrap()).unwrap();
    let advice = instruction_indices(&content);
    assert_eq!(advice.len(), 2);
    let mut is_not_believed = |kept: &[u8], what: &str| {
        files.append(tag, 7, kept).unwrap();
        // The next blocks are executed as well where a frame of another length has moved theirs.
        assert!(executed_without_index(&mut world, what) >= 2);
        assert_eq!(files.read(tag, 7).map(|kept| decompress_size_prepended(&kept).unwrap()).unwrap(), content);
        world.io.tamper(&first_file(), |file| file.clone_from(&whole));
    };
    // Any byte of the content may be another, under a sum that holds: counts, texts, salts and records.
    for at in (0..content.len()).filter(|at| !advice.contains(at)) {
        for bit in [0x01, 0x80] {
            let mut forged = content.clone();
            forged[at] ^= bit;
            is_not_believed(&compress_prepend_size(&forged), &format!("byte {at}"));
        }
    }
    for length in 0..content.len() {
        is_not_believed(&compress_prepend_size(&content[..length]), &format!("{length} bytes"));
    }
    is_not_believed(&compress_prepend_size(&[&content[..], b"0"].concat()), "a byte more");
    // Bytes that are no compressed text, or that ask for more memory than any block may have.
    let mut kept = compress_prepend_size(&content);
    is_not_believed(&kept[..kept.len() - 1], "cut off");
    for stated in [0, u32::try_from(content.len()).unwrap() - 1, (64 << 20) + 1, u32::MAX] {
        kept[..4].copy_from_slice(&stated.to_le_bytes());
        is_not_believed(&kept, &format!("{stated} bytes stated"));
    }
}

/// The content as `docs/format.md` section 7.2 lays it out.
#[test]
fn what_is_kept_is_what_the_format_says() {
    let mut world = ledger();
    let file = world.io.bytes(&first_file()).unwrap();
    let first = 64 + Frame::decode(file[..64].try_into().unwrap()).unwrap().length as usize;
    let end = first + 64 + Frame::decode(file[first..first + 64].try_into().unwrap()).unwrap().length as usize;
    let content = decompress_size_prepended(&file[first + 64..end]).unwrap();
    // Block 1 has the first order, which wrote one record; then comes its lane's.
    let salt = |at: usize| content[at..at + 16].to_vec();
    let thing = b"{\"id\":\"t-1\",\"value\":1}";
    let transaction = hex(&world.transaction_id(1, 0));
    let lane = format!("{{\"id\":\"operator orders\",\"sequence\":1,\"transaction\":\"{transaction}\"}}");
    let expected = [
        b"\x02\0\0\0".to_vec(),
        b"\x05thing\x03t-1\x01\0\0\0".to_vec(),
        salt(18),
        [&[22, 0, 0, 0], &thing[..]].concat(),
        b"\x04lane\x0foperator orders\0\0".to_vec(),
        salt(83),
        [&u32::try_from(lane.len()).unwrap().to_le_bytes(), lane.as_bytes()].concat(),
    ];
    assert_eq!(String::from_utf8_lossy(&content), String::from_utf8_lossy(&expected.concat()));
    assert_eq!(content, expected.concat());
}

/// Where the bytes of instructions' indices are, which no hash covers: they are advice, as history is.
fn instruction_indices(kept: &[u8]) -> Vec<usize> {
    let number =
        |at: usize, bytes: usize| kept[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let (mut at, mut found) = (0, Vec::new());
    while at < kept.len() {
        let writes = number(at, 4);
        at += 4;
        for _ in 0..writes {
            at += 1 + number(at, 1);
            at += 1 + number(at, 1);
            let end = at + 2 + 2 * number(at, 2);
            found.extend(at + 2..end);
            at = end + 16;
            at += 4 + number(at, 4);
        }
    }
    found
}

#[test]
fn the_changes_of_another_history_are_not_believed() {
    let mut world = ledger();
    let mut other = World::new(SimIo::default(), Durability::Single);
    other.found().unwrap();
    for _ in 0..4 {
        other.submit(&[1, 1, 4]).unwrap();
    }
    other.close();
    let theirs = other.io.bytes(&first_file()).unwrap();
    world.io.tamper(&first_file(), |file| *file = theirs);
    // The first order is the same in both, and then every fourth block begins with another one.
    let executed = executed_without_index(&mut world, "another history");
    assert!((2..=BLOCKS).contains(&executed), "{executed}");
    assert_eq!(executed_without_index(&mut world, "once more"), 1);
}

#[test]
fn a_last_block_that_contradicts_itself_is_tampering() {
    for (member, said) in [("state", "does not give the state"), ("previous", "does not name the block before")] {
        let mut world = ledger();
        let path = folder().join("blocks/00000003.blk");
        world.io.tamper(&path, |file| {
            let head = Frame::decode(file[..64].try_into().unwrap()).unwrap();
            assert_eq!(head.height, BLOCKS - 1, "the last block stands alone in its file");
            let length = head.length as usize;
            let text = String::from_utf8(file[64..64 + length].to_vec()).unwrap();
            let at = text.find(&format!("\"{member}\":\"")).unwrap() + member.len() + 4;
            let other = if &text[at..=at] == "0" { "1" } else { "0" };
            let forged = [&text[..at], other, &text[at + 1..]].concat().into_bytes();
            file[..64].copy_from_slice(&Frame::of(head.ledger, head.height, &forged).unwrap().encode());
            file[64..64 + length].copy_from_slice(&forged);
        });
        world.io.delete(&folder().join("checkpoint"));
        world.index = Arc::default();
        match world.open() {
            Err(LedgerError::Tampered { message, .. }) => assert!(message.contains(said), "{member}: {message}"),
            other => panic!("{member}: {:?}", other.err()),
        }
    }
}
