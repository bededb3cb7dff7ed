//! Trees of RFC 9162: the fast code against the definitions of the RFC, and mutants that must not pass.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use finchain_core::hash::{EMPTY, Hash, NodeHash, Rfc9162, suite};
use finchain_core::merkle::{
    BlockLog, PathError, path, root_from_path, tree_hash, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

const SIZES: usize = 70;

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| Rfc9162.leaf(&index.to_le_bytes())).collect()
}

fn log(leaves: &[Hash]) -> BlockLog {
    let mut log = BlockLog::new();
    for leaf in leaves {
        log.push(*leaf);
    }
    log
}

/// The largest power of two below `count`.
fn k(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// MTH of section 2.1.1, over leaf hashes.
fn mth(suite: &dyn NodeHash, leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(k(leaves.len()));
            suite.node(&mth(suite, left), &mth(suite, right))
        }
    }
}

/// PATH of section 2.1.3.1.
fn inclusion(suite: &dyn NodeHash, index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(k(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (inclusion(suite, index, left), right)
    } else {
        (inclusion(suite, index - left.len(), right), left)
    };
    path.push(mth(suite, sibling));
    path
}

/// SUBPROOF of section 2.1.4.1.
fn subproof(size1: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if size1 == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(&Rfc9162, leaves)] };
    }
    let (left, right) = leaves.split_at(k(leaves.len()));
    let (mut path, sibling) = if size1 <= left.len() {
        (subproof(size1, left, whole), right)
    } else {
        (subproof(size1 - left.len(), right, false), left)
    };
    path.push(mth(&Rfc9162, sibling));
    path
}

#[test]
fn every_small_tree_is_that_of_the_definition() {
    for name in ["blake3", "sha256"] {
        let hashes = suite(name).unwrap();
        for size in 0..SIZES {
            let leaves = leaves(size);
            let root_hash = tree_hash(hashes, &leaves);
            assert_eq!(root_hash, mth(hashes, &leaves), "{name} {size}");
            for index in 0..size {
                let siblings = path(hashes, &leaves, index).unwrap();
                assert_eq!(siblings, inclusion(hashes, index, &leaves), "{name} {index} of {size}");
                verify_inclusion(hashes, &leaves[index], index as u64, size as u64, &siblings, &root_hash).unwrap();
            }
            let beyond = PathError::IndexOutOfRange { index: size as u64, size: size as u64 };
            assert_eq!(path(hashes, &leaves, size), Err(beyond));
        }
    }
    assert_eq!(tree_hash(&Rfc9162, &[]), [0; 32]);
}

#[test]
fn the_block_log_proves_every_size_and_pair() {
    let leaves = leaves(SIZES);
    let log = log(&leaves);
    assert_eq!(log.size(), SIZES as u64);
    assert_eq!(BlockLog::new().root_hash(), Rfc9162.empty());
    assert_eq!(log.root_at(0).unwrap(), Rfc9162.empty());
    for size in 1..=SIZES {
        let (held, wide) = (&leaves[..size], size as u64);
        assert_eq!(log.root_at(wide).unwrap(), mth(&Rfc9162, held));
        assert_eq!(log.leaf(wide - 1), held.last().copied());
        for index in 0..size {
            assert_eq!(log.inclusion(index as u64, wide).unwrap(), inclusion(&Rfc9162, index, held));
        }
        for older in 1..=size {
            let path = log.consistency(older as u64, wide).unwrap();
            assert_eq!(path, subproof(older, held, true), "{older} to {size}");
            let (root1, root2) = (log.root_at(older as u64).unwrap(), log.root_at(wide).unwrap());
            verify_consistency(&Rfc9162, older as u64, wide, &root1, &root2, &path).unwrap();
        }
    }
    assert_eq!(log.root_hash(), mth(&Rfc9162, &leaves));
}

#[test]
fn requests_outside_of_the_log_are_named() {
    let log = log(&leaves(5));
    assert_eq!(log.root_at(6), Err(PathError::SizeOutOfRange { size: 6, held: 5 }));
    assert_eq!(log.inclusion(0, 6), Err(PathError::SizeOutOfRange { size: 6, held: 5 }));
    assert_eq!(log.inclusion(5, 5), Err(PathError::IndexOutOfRange { index: 5, size: 5 }));
    assert_eq!(log.inclusion(0, 0), Err(PathError::IndexOutOfRange { index: 0, size: 0 }));
    assert_eq!(log.consistency(0, 5), Err(PathError::FromEmpty));
    assert_eq!(log.consistency(4, 3), Err(PathError::SizesSwapped { size1: 4, size2: 3 }));
    assert_eq!(log.consistency(4, 6), Err(PathError::SizeOutOfRange { size: 6, held: 5 }));
    assert_eq!(log.leaf(5), None);
}

#[test]
fn verification_refuses_by_name() {
    let leaves = leaves(5);
    let log = log(&leaves);
    let (root, path) = (log.root_hash(), log.inclusion(2, 5).unwrap());
    let verify = |index, size, path: &[Hash]| verify_inclusion(&Rfc9162, &leaves[2], index, size, path, &root);
    assert_eq!(verify(2, 5, &path), Ok(()));
    assert_eq!(verify(5, 5, &path), Err(PathError::IndexOutOfRange { index: 5, size: 5 }));
    assert_eq!(verify(2, 5, &path[1..]), Err(PathError::PathLength { expected: 3, found: 2 }));
    assert_eq!(
        verify(2, 5, &[path.clone(), vec![EMPTY]].concat()),
        Err(PathError::PathLength { expected: 3, found: 4 })
    );
    assert!(matches!(verify(3, 5, &path), Err(PathError::RootDiffers { .. })));
    let error = verify(2, u64::MAX, &path).unwrap_err();
    assert_eq!(error, PathError::PathLength { expected: 64, found: 3 });
    assert_eq!(error.to_string(), "the path has 3 hashes, expected exactly 64");

    let (root2, path) = (log.root_hash(), log.consistency(3, 5).unwrap());
    let root1 = log.root_at(3).unwrap();
    let verify = |size1, size2, root1: &Hash, root2: &Hash, path: &[Hash]| {
        verify_consistency(&Rfc9162, size1, size2, root1, root2, path)
    };
    assert_eq!(verify(3, 5, &root1, &root2, &path), Ok(()));
    assert_eq!(verify(0, 5, &Rfc9162.empty(), &root2, &[]), Err(PathError::FromEmpty));
    assert_eq!(verify(5, 3, &root2, &root1, &path), Err(PathError::SizesSwapped { size1: 5, size2: 3 }));
    assert!(matches!(verify(3, 5, &EMPTY, &root2, &path), Err(PathError::OlderRootDiffers { .. })));
    assert!(matches!(verify(3, 5, &root1, &EMPTY, &path), Err(PathError::RootDiffers { .. })));
    assert_eq!(verify(5, 5, &root2, &root2, &[]), Ok(()));
    assert!(matches!(verify(5, 5, &root1, &root2, &[]), Err(PathError::RootDiffers { .. })));
    assert_eq!(verify(5, 5, &root2, &root2, &[EMPTY]), Err(PathError::PathLength { expected: 0, found: 1 }));
    assert!(matches!(verify(3, 5, &root1, &root2, &[]), Err(PathError::PathLength { found: 0, .. })));
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX), (u64::MAX, u64::MAX)] {
        for length in [0, 1, 63, 64, 65, 128] {
            let _ = root_from_path(&Rfc9162, &EMPTY, index, size, &vec![EMPTY; length]);
            let _ = verify_consistency(&Rfc9162, index, size, &EMPTY, &EMPTY, &vec![EMPTY; length]);
        }
    }
}

/// The verification loop as section 2.1.3.2 words it.
fn rfc_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    let (mut first, mut second) = (index, size.checked_sub(1).filter(|last| index <= *last)?);
    let mut hash = leaf;
    for sibling in path {
        if second == 0 {
            return None;
        }
        if first & 1 == 1 || first == second {
            hash = Rfc9162.node(sibling, &hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                second >>= 1;
            }
        } else {
            hash = Rfc9162.node(&hash, sibling);
        }
        first >>= 1;
        second >>= 1;
    }
    (second == 0).then_some(hash)
}

proptest! {
    #[test]
    fn paths_of_any_shape_are_judged_as_the_rfc_words_it(
        index in prop_oneof![0..100_u64, any::<u64>()], size in prop_oneof![0..100_u64, any::<u64>()],
        path in prop::collection::vec(any::<[u8; 32]>(), 0..9), leaf in any::<[u8; 32]>(),
    ) {
        let found = root_from_path(&Rfc9162, &leaf, index, size, &path);
        prop_assert_eq!(found.ok(), rfc_inclusion(leaf, index, size, &path));
    }

    #[test]
    fn an_inclusion_mutant_is_refused(
        size in 1..200_usize, index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
        byte in 0..32_usize, change in 0..6,
    ) {
        let leaves = leaves(size);
        let log = log(&leaves);
        let index = index.index(size);
        let (mut leaf, mut root, mut at_index) = (leaves[index], log.root_hash(), index as u64);
        let mut path = log.inclusion(at_index, size as u64).unwrap();
        match change {
            0 => leaf[byte] ^= 1 << bit,
            1 => root[byte] ^= 1 << bit,
            2 => path.push(EMPTY),
            _ if path.is_empty() => at_index += 1,
            3 => { path.remove(at.index(path.len())); }
            4 => { let at = at.index(path.len()); path[at][byte] ^= 1 << bit; }
            _ => at_index = (at_index + 1) % size as u64,
        }
        prop_assert!(verify_inclusion(&Rfc9162, &leaf, at_index, size as u64, &path, &root).is_err());
    }

    #[test]
    fn a_consistency_mutant_is_refused(
        size2 in 2..200_usize, size1 in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
        bit in 0..8_u8, byte in 0..32_usize, change in 0..6,
    ) {
        let log = log(&leaves(size2));
        let mut size1 = size1.index(size2 - 1) as u64 + 1;
        let size2 = size2 as u64;
        let (mut root1, mut root2) = (log.root_at(size1).unwrap(), log.root_hash());
        let mut path = log.consistency(size1, size2).unwrap();
        let at = at.index(path.len());
        match change {
            0 => root1[byte] ^= 1 << bit,
            1 => root2[byte] ^= 1 << bit,
            2 => path.insert(at, EMPTY),
            3 => { path.remove(at); }
            4 => path[at][byte] ^= 1 << bit,
            _ => size1 = size1 % size2 + 1,
        }
        prop_assert!(verify_consistency(&Rfc9162, size1, size2, &root1, &root2, &path).is_err());
    }
}
