//! The state map against the text of the format: a reference that is slow and plainly right, proofs that hold, and
//! forgeries that do not.
// A test stops at the first surprise; that is what these do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod counts;

use std::collections::BTreeMap;
use std::convert::Infallible;

use finchain_core::hash::{EMPTY, Hash, HashSuite, suite};
use finchain_core::state_map::{
    End, Leaf, MapPath, MapPathError, Parts, StateMap, record_key, record_salt, record_value, root_from_leaf,
    state_leaf, verify_absence, verify_presence,
};
use proptest::prelude::*;

fn blake3() -> &'static dyn HashSuite {
    suite("blake3").unwrap()
}

fn bit(key: &Hash, depth: usize) -> bool {
    key[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// The hash of a subtree, word for word as section 5.1 has it.
fn reference(suite: &dyn HashSuite, leaves: &[(Hash, Hash)], depth: usize) -> Hash {
    match leaves {
        [] => EMPTY,
        [(key, value)] => state_leaf(suite, key, value),
        _ => {
            let (right, left): (Vec<_>, Vec<_>) = leaves.iter().partition(|(key, _)| bit(key, depth));
            suite.node(&reference(suite, &left, depth + 1), &reference(suite, &right, depth + 1))
        }
    }
}

/// The path to a key, word for word as section 5.1 has it.
fn reference_path(suite: &dyn HashSuite, leaves: &[(Hash, Hash)], key: &Hash) -> MapPath {
    let (mut siblings, mut here) = (Vec::new(), leaves.to_vec());
    while here.len() > 1 {
        let depth = siblings.len();
        let (same, other): (Vec<_>, Vec<_>) = here.iter().partition(|(one, _)| bit(one, depth) == bit(key, depth));
        siblings.push(reference(suite, &other, depth + 1));
        here = same;
    }
    let end = match here.first() {
        None => End::Empty,
        Some((one, _)) if one == key => End::Leaf,
        Some(&(key, value)) => End::Other { key, value },
    };
    MapPath { siblings, end }
}

/// The paths to all keys that are there, from the bottom up, and the hash above them: each subtree is hashed once.
fn reference_paths(suite: &dyn HashSuite, leaves: &[(Hash, Hash)], depth: usize) -> (Hash, BTreeMap<Hash, Vec<Hash>>) {
    if leaves.len() < 2 {
        return (reference(suite, leaves, depth), leaves.iter().map(|(key, _)| (*key, Vec::new())).collect());
    }
    let (right, left): (Vec<_>, Vec<_>) = leaves.iter().partition(|(key, _)| bit(key, depth));
    let (left_hash, mut paths) = reference_paths(suite, &left, depth + 1);
    let (right_hash, mut others) = reference_paths(suite, &right, depth + 1);
    for siblings in paths.values_mut() {
        siblings.push(right_hash);
    }
    for siblings in others.values_mut() {
        siblings.push(left_hash);
    }
    paths.append(&mut others);
    (suite.node(&left_hash, &right_hash), paths)
}

fn update(key: Hash, value: u8) -> Leaf {
    Leaf { key, value: [value; 32], salt: [value ^ 0x5a; 16], number: u32::from(value) }
}

/// Keys as hashes make them, and keys that share long beginnings: the latter stand for the chains that hashes make
/// rarely.
fn keys() -> impl Strategy<Value = Hash> {
    prop_oneof![
        any::<Hash>(),
        (0_usize..256, 0_u8..4).prop_map(|(flipped, low)| {
            let mut key = [0xa5; 32];
            key[flipped / 8] ^= 0x80 >> (flipped % 8);
            key[31] ^= low;
            key
        }),
        (any::<u8>(), any::<u8>()).prop_map(|(first, last)| {
            let mut key = [0; 32];
            (key[0], key[31]) = (first & 0x81, last);
            key
        }),
    ]
}

fn batches() -> impl Strategy<Value = Vec<Vec<Leaf>>> {
    let one = (keys(), any::<u8>()).prop_map(|(key, value)| update(key, value));
    prop::collection::vec(prop::collection::vec(one, 0..40), 1..6)
}

/// What a dictionary would hold after the same batches.
fn model(batches: &[Vec<Leaf>]) -> BTreeMap<Hash, Leaf> {
    batches.iter().flatten().map(|update| (update.key, *update)).collect()
}

/// Each case makes whole maps and a dozen forgeries, so there are fewer than elsewhere.
fn cases() -> u32 {
    u32::try_from(counts::count("PROPTEST_CASES", 1_024) / 16).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_global_rejects: u32::MAX, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_text_after_every_batch(
        batches in batches(),
        sha in any::<bool>(),
        absent in keys(),
    ) {
        let suite = suite(if sha { "sha256" } else { "blake3" }).unwrap();
        let mut map = StateMap::new(suite);
        for (count, batch) in batches.iter().enumerate() {
            map.apply(&mut batch.clone());
            let model = model(&batches[..=count]);
            let leaves: Vec<_> = model.values().map(|update| (update.key, update.value)).collect();
            prop_assert_eq!(map.root_hash(), reference(suite, &leaves, 0));
            prop_assert_eq!(map.len(), leaves.len() as u64);
            let (root, mut paths) = reference_paths(suite, &leaves, 0);
            prop_assert_eq!(map.root_hash(), root);
            for update in model.values() {
                prop_assert_eq!(map.get(&update.key), Some(*update));
                let path = map.prove(&update.key);
                let siblings = paths.remove(&update.key).unwrap().into_iter().rev().collect();
                prop_assert_eq!(&path, &MapPath { siblings, end: End::Leaf });
                verify_presence(suite, &map.root_hash(), &update.key, &update.value, &path.siblings).unwrap();
            }
            let mut asked: Vec<Hash> = model.keys().copied().chain([absent]).collect();
            for _ in 0..2 {
                let alone: Vec<Option<Leaf>> = asked.iter().map(|key| map.get(key)).collect();
                prop_assert_eq!(map.values().get_all(&asked), alone);
                asked.reverse();
            }
            if !model.contains_key(&absent) {
                let path = map.prove(&absent);
                prop_assert_eq!(&path, &reference_path(suite, &leaves, &absent));
                prop_assert_eq!(map.get(&absent), None);
                verify_absence(suite, &map.root_hash(), &absent, &path.siblings, &path.end).unwrap();
            }
        }
    }

    #[test]
    fn order_and_batches_leave_no_trace(batches in batches(), cut in 1_usize..7) {
        let last: Vec<Leaf> = model(&batches).into_values().collect();
        let mut at_once = StateMap::new(blake3());
        at_once.apply(&mut last.clone());
        let mut backwards = StateMap::new(blake3());
        for part in last.rchunks(cut) {
            backwards.apply(&mut part.iter().rev().copied().collect::<Vec<_>>());
        }
        let mut in_one_batch = StateMap::new(blake3());
        in_one_batch.apply(&mut batches.concat());
        prop_assert_eq!(at_once.root_hash(), backwards.root_hash());
        prop_assert_eq!(at_once.root_hash(), in_one_batch.root_hash());
    }

    #[test]
    fn a_changed_path_is_refused(
        batches in batches(),
        at in any::<prop::sample::Index>(),
        flip in 0_usize..256,
        absent in keys(),
    ) {
        let suite = blake3();
        let model = model(&batches);
        prop_assume!(model.len() > 1 && !model.contains_key(&absent));
        let mut map = StateMap::new(suite);
        map.apply(&mut model.values().copied().collect::<Vec<_>>());
        let entries: Vec<_> = model.values().collect();
        let update = entries[at.index(entries.len())];
        for key in [update.key, absent] {
            let path = map.prove(&key);
            let accepted = |siblings: &[Hash], end: &End| match end {
                End::Leaf => verify_presence(suite, &map.root_hash(), &key, &update.value, siblings).is_ok(),
                _ => verify_absence(suite, &map.root_hash(), &key, siblings, end).is_ok(),
            };
            prop_assert!(accepted(&path.siblings, &path.end));
            let place = at.index(path.siblings.len());
            let mut changed = path.siblings.clone();
            changed[place][flip / 8] ^= 1 << (flip % 8);
            prop_assert!(!accepted(&changed, &path.end), "another sibling");
            let mut shorter = path.siblings.clone();
            shorter.remove(place);
            prop_assert!(!accepted(&shorter, &path.end), "a level less");
            let mut longer = path.siblings.clone();
            longer.insert(place, EMPTY);
            prop_assert!(!accepted(&longer, &path.end), "a level more");
            prop_assert!(!accepted(&path.siblings[..place], &path.end), "the lower part missing");
            prop_assert!(!accepted(&path.siblings[place + 1..], &path.end), "the upper part missing");
        }
    }

    #[test]
    fn nothing_that_is_there_can_be_denied(batches in batches(), at in any::<prop::sample::Index>()) {
        let suite = blake3();
        let model = model(&batches);
        prop_assume!(model.len() > 1);
        let mut map = StateMap::new(suite);
        map.apply(&mut model.values().copied().collect::<Vec<_>>());
        let entries: Vec<_> = model.values().collect();
        let update = entries[at.index(entries.len())];
        let own = map.prove(&update.key);
        let denied = |siblings: &[Hash], end: End| verify_absence(suite, &map.root_hash(), &update.key, siblings, &end);
        prop_assert_eq!(denied(&own.siblings, End::Leaf), Err(MapPathError::Present));
        let itself = End::Other { key: update.key, value: update.value };
        prop_assert_eq!(denied(&own.siblings, itself), Err(MapPathError::Present));
        for depth in 0..=own.siblings.len() {
            prop_assert!(denied(&own.siblings[..depth], End::Empty).is_err());
        }
        for other in &entries {
            let path = map.prove(&other.key);
            prop_assert!(denied(&path.siblings, End::Empty).is_err());
            let end = End::Other { key: other.key, value: other.value };
            prop_assert!(denied(&path.siblings, end).is_err(), "a leaf that stands elsewhere");
            prop_assert!(denied(&own.siblings, end).is_err());
        }
    }
}

#[test]
fn an_empty_map_denies_everything_by_an_empty_path() {
    let map = StateMap::new(blake3());
    assert_eq!((map.root_hash(), map.len(), map.is_empty()), (EMPTY, 0, true));
    let path = map.prove(&[7; 32]);
    assert_eq!(path, MapPath { siblings: vec![], end: End::Empty });
    verify_absence(blake3(), &EMPTY, &[7; 32], &[], &End::Empty).unwrap();
    let level = verify_absence(blake3(), &EMPTY, &[7; 32], &[EMPTY], &End::Empty);
    assert!(matches!(level, Err(MapPathError::RootDiffers { .. })));
    assert!(verify_presence(blake3(), &EMPTY, &[7; 32], &[1; 32], &[]).is_err());
}

#[test]
fn an_empty_batch_changes_nothing() {
    let mut map = StateMap::new(blake3());
    map.apply(&mut [update([3; 32], 1)]);
    let before = map.root_hash();
    map.apply(&mut []);
    assert_eq!((map.root_hash(), map.len()), (before, 1));
}

#[test]
fn one_record_is_its_own_leaf() {
    let mut map = StateMap::new(blake3());
    map.apply(&mut [update([3; 32], 1)]);
    assert_eq!(map.root_hash(), state_leaf(blake3(), &[3; 32], &[1; 32]));
    assert_eq!(map.prove(&[3; 32]), MapPath { siblings: vec![], end: End::Leaf });
    assert_eq!(map.prove(&[0xff; 32]).end, End::Other { key: [3; 32], value: [1; 32] });
}

#[test]
fn the_first_and_the_last_key_there_can_be() {
    let mut map = StateMap::new(blake3());
    map.apply(&mut [update([0xff; 32], 2), update([0; 32], 1)]);
    let leaves = [([0; 32], [1; 32]), ([0xff; 32], [2; 32])];
    assert_eq!(map.root_hash(), reference(blake3(), &leaves, 0));
    for (key, value) in leaves {
        let path = map.prove(&key);
        assert_eq!(path.siblings.len(), 1);
        verify_presence(blake3(), &map.root_hash(), &key, &value, &path.siblings).unwrap();
    }
}

#[test]
fn two_keys_that_part_at_the_last_bit_stand_under_a_full_chain() {
    let mut low = [0xee; 32];
    low[31] = 0xef;
    let mut map = StateMap::new(blake3());
    map.apply(&mut [update(low, 1)]);
    map.apply(&mut [update([0xee; 32], 2)]);
    let path = map.prove(&low);
    assert_eq!(path.siblings.len(), 256);
    assert!(path.siblings[..255].iter().all(|sibling| *sibling == EMPTY));
    verify_presence(blake3(), &map.root_hash(), &low, &[1; 32], &path.siblings).unwrap();
    let mut longer = path.siblings;
    longer.push(EMPTY);
    let refused = root_from_leaf(blake3(), &low, &[1; 32], &longer);
    assert_eq!(refused, Err(MapPathError::TooLong { found: 257 }));
}

#[test]
fn of_two_updates_with_one_key_the_last_counts() {
    let mut map = StateMap::new(blake3());
    map.apply(&mut [update([9; 32], 1), update([8; 32], 7), update([9; 32], 2)]);
    assert_eq!(map.get(&[9; 32]), Some(update([9; 32], 2)));
    assert_eq!(map.len(), 2);
}

#[test]
fn a_large_batch_goes_to_all_cores_and_gives_the_same_hash() {
    let suite = blake3();
    let key = |n: u32| record_key(suite, "test", &n.to_string());
    let updates: Vec<Leaf> = (0..40_000).map(|n| update(key(n), n.to_le_bytes()[0])).collect();
    let mut at_once = StateMap::new(suite);
    at_once.apply(&mut updates.clone());
    let mut in_blocks = StateMap::new(suite);
    for block in updates.chunks(999) {
        in_blocks.apply(&mut block.to_vec());
    }
    assert_eq!(at_once.root_hash(), in_blocks.root_hash());
    let (mut filled, mut parts) = (StateMap::new(suite), Parts::default());
    filled.apply(&mut updates[..100].to_vec());
    // Some come twice, and the last counts.
    updates
        .iter()
        .take(9)
        .map(|one| update(one.key, 0xee))
        .chain(updates.iter().copied())
        .for_each(|one| parts.push(one));
    filled.fill(|first| Ok::<_, Infallible>(parts.take(first))).unwrap();
    assert_eq!((filled.root_hash(), filled.len()), (at_once.root_hash(), at_once.len()));
    assert_eq!(filled.get(&updates[7].key), Some(updates[7]));
    let mut in_order: Vec<Leaf> = updates.clone();
    in_order.sort_unstable_by_key(|leaf| leaf.key);
    assert_eq!((0..=u8::MAX).flat_map(|first| filled.values().leaves(first)).collect::<Vec<_>>(), in_order);
    assert_eq!((0..=u8::MAX).map(|first| u64::from(filled.values().count(first))).sum::<u64>(), filled.len());
    assert_eq!(filled.fill(|first| if first == 9 { Err("gone") } else { Ok(Vec::new()) }), Err("gone"));
    let leaves: Vec<_> = updates.iter().map(|update| (update.key, update.value)).collect();
    assert_eq!(at_once.root_hash(), reference(suite, &leaves, 0));
}

#[test]
fn a_shard_hashes_more_than_go_together_as_it_does_fewer() {
    const TOGETHER: u32 = 1_024;
    let suite = suite("sha256").unwrap();
    let leaf = |n: u32| {
        let mut key = record_key(suite, "test", &n.to_string());
        key[0] = 0x5c;
        update(key, n.to_le_bytes()[0])
    };
    for count in [TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER, 2 * TOGETHER + 1] {
        let leaves: Vec<Leaf> = (0..count).map(leaf).collect();
        let by_text = reference(suite, &leaves.iter().map(|leaf| (leaf.key, leaf.value)).collect::<Vec<_>>(), 0);
        for earlier in [0, 700] {
            let mut map = StateMap::new(suite);
            map.apply(&mut (0..earlier).map(|n| Leaf { value: [0xee; 32], ..leaf(n) }).collect::<Vec<_>>());
            map.apply(&mut leaves.clone());
            assert_eq!((map.root_hash(), map.len()), (by_text, count.into()), "{count} after {earlier}");
            for leaf in leaves.iter().step_by(97) {
                let path = map.prove(&leaf.key);
                assert_eq!(verify_presence(suite, &by_text, &leaf.key, &leaf.value, &path.siblings), Ok(()));
            }
        }
    }
}

#[test]
fn few_of_many_records_of_a_shard_are_written_as_many_of_them_are() {
    /// Records of a shard for each that is written, from which on paths are fetched first.
    const SPARSE: u32 = 64;
    let suite = blake3();
    let leaf = |n: u32, value: u8| {
        let mut key = record_key(suite, "test", &n.to_string());
        key[0] = 0x5c;
        update(key, value)
    };
    let (few, count) = (9, 9 * SPARSE);
    for (before, written) in [(count, few), (count + 1, few), (count + 1, few + 1), (count + 1, 1)] {
        let mut map = StateMap::new(suite);
        map.apply(&mut (0..before).map(|n| leaf(n, 1)).collect::<Vec<_>>());
        // Old ones and, every third time, a new one.
        let batch = (0..written).map(|n| leaf(if n % 3 == 2 { before + n } else { n * 50 }, 2));
        let mut model: BTreeMap<Hash, Leaf> = (0..before).map(|n| leaf(n, 1)).map(|leaf| (leaf.key, leaf)).collect();
        model.extend(batch.clone().map(|leaf| (leaf.key, leaf)));
        map.apply(&mut batch.collect::<Vec<_>>());
        let leaves: Vec<_> = model.values().map(|leaf| (leaf.key, leaf.value)).collect();
        assert_eq!(map.root_hash(), reference(suite, &leaves, 0), "{written} after {before}");
        assert_eq!(map.values().leaves(0x5c), model.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn a_record_is_hashed_as_the_format_says() {
    let suite = suite("sha256").unwrap();
    let sha = |prefix: u8, bytes: &[u8]| -> Hash {
        use sha2::Digest;
        sha2::Sha256::new().chain_update([prefix]).chain_update(bytes).finalize().into()
    };
    let key = record_key(suite, "party", "shop");
    assert_eq!(key, sha(0x07, b"party\0shop"));
    let salt = record_salt(suite, None, &[1; 16], &key);
    assert_eq!(salt, sha(0x08, &[&[0; 16][..], &[1; 16], &key].concat())[..16]);
    assert_eq!(record_salt(suite, Some(&salt), &[2; 16], &key), sha(0x08, &[&salt[..], &[2; 16], &key].concat())[..16]);
    let value = record_value(suite, &salt, b"{}");
    assert_eq!(value, sha(0x09, &[&salt[..], b"{}"].concat()));
    assert_eq!(state_leaf(suite, &key, &value), sha(0x0a, &[key, value].concat()));
}

#[test]
#[ignore = "a measurement: cargo test --release -p finchain-core --test state_map -- --ignored --nocapture"]
fn speed_and_memory_of_a_million_records() {
    let suite = blake3();
    let count = 1_000_000_u32;
    let key = |n: u32| record_key(suite, "receivable", &n.to_string());
    let mut all: Vec<Leaf> = (0..count).map(|n| update(key(n), 1)).collect();
    let mut map = StateMap::new(suite);
    let start = std::time::Instant::now();
    map.apply(&mut all);
    println!("build: {:?}", start.elapsed());
    println!("memory: {} bytes a record", map.bytes() as u64 / map.len());
    let batches: Vec<Vec<Leaf>> =
        (0..100_u32).map(|b| (0..1_000).map(|n| update(key((b * 1_000 + n) * 7_919 % count), 2)).collect()).collect();
    let start = std::time::Instant::now();
    for mut batch in batches {
        map.apply(&mut batch);
    }
    println!("update in batches of 1,000: {:?} each", start.elapsed() / 100_000);
    let mut grown = StateMap::new(suite);
    let start = std::time::Instant::now();
    for n in 0..1_000_u32 {
        grown.apply(&mut (0..1_000).map(|m| update(key(n * 1_000 + m), 1)).collect::<Vec<_>>());
    }
    let each = start.elapsed() / count;
    println!("grown in batches of 1,000: {each:?} each, {} bytes a record", grown.bytes() as u64 / grown.len());
    let start = std::time::Instant::now();
    let levels: usize = (0..100_000).map(|n| map.prove(&key(n)).siblings.len()).sum();
    println!("path: {:?} each, {levels} levels", start.elapsed() / 100_000);
}
