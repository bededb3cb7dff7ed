//! The leaves of the state that a closed index keeps: given back as they were, and never what they were not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod index_support;

use std::fs;
use std::path::Path;

use finchain_core::encoding::hex;
use finchain_core::hash::suite;
use finchain_core::state_map::{Leaf, StateMap};
use finchain_index::{Index, IndexError};
use index_support::{key, plain};
use twox_hash::XxHash3_128;

/// Bytes before the parts, and of a leaf.
const HEAD: usize = 257 * 24;
const LEAF: usize = 84;
const FOLLOWED: [u32; 3] = [0, 7, 0x0102_0304];

fn leaf(number: u32) -> Leaf {
    let mut salt = [0; 16];
    salt[..4].copy_from_slice(&number.to_be_bytes());
    Leaf { key: key(number.into()), value: key(!u64::from(number)), salt, number }
}

fn state(leaves: u32) -> StateMap {
    let mut map = StateMap::new(suite("blake3").unwrap());
    map.apply(&mut (0..leaves).map(leaf).collect::<Vec<_>>());
    map
}

/// An index of one block that was closed with that state.
fn closed(map: &StateMap) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    index.apply(&[plain(0)]).unwrap();
    assert_eq!(index.followed().unwrap(), None);
    index.mark_clean(&map.values(), &FOLLOWED).unwrap();
    folder
}

/// What opening the index and asking it for everything gives.
fn kept(folder: &Path) -> Result<(Option<Vec<u32>>, Vec<Leaf>), IndexError> {
    let index = Index::open(folder)?.index;
    let followed = index.followed()?;
    let mut leaves = Vec::new();
    for first in 0..=u8::MAX {
        leaves.extend(index.leaves(first)?);
    }
    Ok((followed, leaves))
}

fn in_order(leaves: u32) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = (0..leaves).map(leaf).collect();
    leaves.sort_unstable_by_key(|leaf| leaf.key);
    leaves
}

/// XXH3 with 128 bits, which the index writes big-endian.
fn sum(bytes: &[u8]) -> [u8; 16] {
    XxHash3_128::oneshot(bytes).to_be_bytes()
}

#[test]
fn a_state_comes_back_as_it_was() {
    for leaves in [0, 1, 2, 3_000] {
        let map = state(leaves);
        let folder = closed(&map);
        assert_eq!(kept(folder.path()).unwrap(), (Some(FOLLOWED.to_vec()), in_order(leaves)));
        let index = Index::open(folder.path()).unwrap().index;
        let mut filled = StateMap::new(suite("blake3").unwrap());
        filled.fill(|first| index.leaves(first)).unwrap();
        assert_eq!(filled.root_hash(), map.root_hash());
    }
}

#[test]
fn only_an_index_that_is_as_it_was_when_it_was_closed_gives_them() {
    let folder = closed(&state(50));
    let reader = Index::open_reader(folder.path()).unwrap().index;
    assert!(reader.followed().unwrap().is_none() && reader.leaves(0).is_err());
    drop(reader);
    let index = Index::open(folder.path()).unwrap().index;
    index.mark_open().unwrap();
    assert!(index.pin().unwrap().followed().unwrap().is_none());
    assert_eq!(index.followed().unwrap(), Some(FOLLOWED.to_vec()));
    index.apply(&[plain(1)]).unwrap();
    assert!(index.followed().unwrap().is_none() && index.leaves(0).is_err());
    drop(index);
    // Its process ended, and the file with the leaves of one block is still there.
    let index = Index::open(folder.path()).unwrap().index;
    assert_eq!(index.followed().unwrap(), None);
    index.mark_clean(&state(60).values(), &[]).unwrap();
    drop(index);
    assert_eq!(kept(folder.path()).unwrap(), (Some(Vec::new()), in_order(60)));
}

#[test]
fn the_file_has_these_bytes() {
    let folder = closed(&state(2));
    let file = fs::read(folder.path().join("leaves")).unwrap();
    let numbers: Vec<u8> = FOLLOWED.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut parts = vec![numbers];
    parts.resize(257, Vec::new());
    for Leaf { key, value, salt, number } in in_order(2) {
        let leaf = [&key[..], &value, &salt, &number.to_le_bytes()].concat();
        parts[1 + usize::from(key[0])].extend(leaf);
    }
    let row = |part: &Vec<u8>| [&(part.len() as u64).to_le_bytes()[..], &sum(part)].concat();
    let head: Vec<u8> = parts.iter().flat_map(row).collect();
    assert_eq!((head.len(), file.len()), (HEAD, HEAD + 3 * 4 + 2 * LEAF));
    assert_eq!(file, [head.clone(), parts.concat()].concat());
    let pages = fs::read(folder.path().join("data.mdb")).unwrap();
    let pieces: Vec<u8> = pages.chunks(256 << 10).flat_map(sum).collect();
    let (sum, leaves, tip) = (hex(&sum(&pieces)), hex(&sum(&head)), hex(&index_support::hash(0)));
    let mark = format!("finchain-index 6 closed {} {sum} {leaves} 0 {tip}\n", pages.len());
    assert_eq!(fs::read_to_string(folder.path().join("mark")).unwrap(), mark);
}

#[test]
fn a_file_that_is_not_what_was_kept_is_damage() {
    let folder = closed(&state(40));
    let path = folder.path().join("leaves");
    let whole = fs::read(&path).unwrap();
    let damaged = |what: &str| {
        let found = kept(folder.path());
        assert!(matches!(&found, Err(IndexError::Damaged { .. })), "{what}: {found:?}");
    };
    for at in (0..whole.len()).step_by(97).chain([HEAD - 1, HEAD, HEAD + 12, whole.len() - 1]) {
        let mut other = whole.clone();
        other[at] ^= 1 << (at % 8);
        fs::write(&path, &other).unwrap();
        damaged(&format!("a bit of byte {at}"));
    }
    for length in [0, 1, HEAD - 1, HEAD, HEAD + 11, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        damaged(&format!("cut to {length} bytes"));
    }
    fs::remove_file(&path).unwrap();
    damaged("gone");
    // No more room is made than there is content, also where somebody made the sums fit.
    let mut other = whole.clone();
    other[..8].copy_from_slice(&(u64::MAX - 3).to_le_bytes());
    fs::write(&path, &other).unwrap();
    let mark = fs::read_to_string(folder.path().join("mark")).unwrap();
    let sums = [&whole, &other].map(|file| hex(&sum(&file[..HEAD])));
    fs::write(folder.path().join("mark"), mark.replace(&sums[0], &sums[1])).unwrap();
    damaged("a part of 2^64 bytes");
    fs::write(folder.path().join("mark"), &mark).unwrap();
    fs::write(&path, &whole).unwrap();
    assert_eq!(kept(folder.path()).unwrap().1, in_order(40));
    Index::wipe(folder.path()).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_full_disk_costs_the_leaves_and_nothing_else() {
    let folder = closed(&state(40));
    let path = folder.path().join("leaves");
    let index = Index::open(folder.path()).unwrap().index;
    index.apply(&[plain(1)]).unwrap();
    fs::remove_file(&path).unwrap();
    // Whatever is written to this device finds no room.
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    index.mark_clean(&state(41).values(), &FOLLOWED).unwrap();
    assert!(!index.meta().unwrap().unwrap().clean && index.followed().unwrap().is_none());
    assert!(fs::read_to_string(folder.path().join("mark")).unwrap().contains(" open ") && !path.exists());
    drop(index);
    let opened = Index::open(folder.path()).unwrap();
    assert_eq!((opened.meta.as_ref().unwrap().height, opened.index.followed().unwrap()), (1, None));
    opened.index.mark_clean(&state(41).values(), &FOLLOWED).unwrap();
    drop(opened);
    assert_eq!(kept(folder.path()).unwrap().1, in_order(41));
}
