//! The index against a model of plain maps, over many blocks, reopenings and growths.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod index_support;

use std::sync::atomic::{AtomicBool, Ordering};

use finchain_index::{BlockRows, Index, MapSize, Touch};
use index_support::{Model, Random, block, close, key, kind, plain, write};

#[test]
fn it_says_what_the_model_says() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut model = Model::default();
        let mut index = Index::open(folder.path()).unwrap().index;
        for round in 0..12 {
            let batch: Vec<BlockRows> =
                (0..=random.below(5)).map(|_| model.random_block(&mut random, 20, 40 << (round / 3))).collect();
            index.apply(&batch).unwrap();
            model.check(&index);
            if random.below(3) == 0 {
                if random.below(2) == 0 {
                    close(&index).unwrap();
                }
                drop(index);
                let opened = Index::open(folder.path()).unwrap();
                assert_eq!(opened.meta.unwrap().height + 1, model.blocks.len() as u64);
                index = opened.index;
                model.check(&index);
            }
        }
    }
}

#[test]
fn a_batch_and_its_blocks_one_by_one_give_the_same() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [together, single] = [&folders[0], &folders[1]].map(|folder| Index::open(folder.path()).unwrap().index);
    let (mut random, mut model) = (Random(7), Model::default());
    let blocks: Vec<_> = (0..30).map(|_| model.random_block(&mut random, 20, 30)).collect();
    together.apply(&blocks).unwrap();
    for block in &blocks {
        single.apply(std::slice::from_ref(block)).unwrap();
    }
    model.check(&together);
    model.check(&single);
}

#[test]
fn it_grows_past_its_first_map() {
    let folder = tempfile::tempdir().unwrap();
    let map = MapSize { bytes: 256 << 10 };
    let index = Index::open_with(folder.path(), map).unwrap().index;
    let (mut random, mut model) = (Random(1), Model::default());
    for _ in 0..10 {
        let batch: Vec<_> = (0..10).map(|_| model.random_block(&mut random, 40, 5000)).collect();
        index.apply(&batch).unwrap();
    }
    model.check(&index);
    let bytes = std::fs::metadata(folder.path().join("data.mdb")).unwrap().len();
    assert!(bytes > 4 * map.bytes as u64, "{bytes} bytes");
    // Opening with the small map again finds a file that is larger.
    drop(index);
    let index = Index::open_with(folder.path(), map).unwrap().index;
    index.apply(&[model.random_block(&mut random, 40, 5000)]).unwrap();
    model.check(&index);
}

#[test]
fn threads_read_while_one_applies_and_the_map_grows() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open_with(folder.path(), MapSize { bytes: 256 << 10 }).unwrap().index;
    index.apply(&[plain(0)]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let height = index.meta().unwrap().unwrap().height;
                    let found = [0, height, u64::MAX].map(|object| index.number_of(&key(object)).unwrap());
                    assert_eq!(found, [Some(0), Some(u32::try_from(height).unwrap()), None]);
                    assert!(index.record(0).unwrap().is_some());
                    let history = index.history(0, 3).unwrap();
                    assert!(!history.is_empty() && history[0].height >= height);
                    assert!(index.block_hashes().unwrap().len() as u64 > height);
                }
            });
        }
        for height in 1..300 {
            let mut rows = plain(height);
            rows.writes.push(write(0, 1, vec![1], vec![b'x'; 12_000]));
            index.apply(&[rows]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(index.history(0, 1000).unwrap().len(), 300);
}

#[test]
fn scanning_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    let (mut random, mut model) = (Random(3), Model::default());
    let blocks: Vec<_> = (0..20).map(|_| model.random_block(&mut random, 20, 100)).collect();
    index.apply(&blocks).unwrap();
    for wanted in [None, Some(kind(0)), Some(kind(1)), Some("lane"), Some("no such kind")] {
        for limit in [1, 7, 1000] {
            let (mut found, mut next) = (Vec::new(), Some(0));
            while let Some(from) = next {
                let (page, after) = index.scan(from, limit, wanted).unwrap();
                assert!(page.len() <= limit);
                assert!(after.is_none_or(|after| after > from));
                found.extend(page);
                next = after;
            }
            let mut expected: Vec<_> = model.records.values().cloned().collect();
            expected.retain(|stored| wanted.is_none_or(|kind| kind == &*stored.kind));
            expected.sort_unstable_by_key(|stored| stored.number);
            assert_eq!(found, expected);
        }
    }
    assert_eq!(index.scan(0, 0, None).unwrap(), (Vec::new(), Some(0)));
    assert_eq!(index.scan(u64::MAX, 9, None).unwrap(), (Vec::new(), None));
}

#[test]
fn a_record_written_twice_in_a_block_has_two_touches() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    let writes = vec![write(0, 0, vec![0, 3], b"old".to_vec()), write(0, 2, vec![4095], b"new".to_vec())];
    index.apply(&[block(0, Vec::new(), writes), plain(1)]).unwrap();
    let stored = index.record(0).unwrap().unwrap();
    assert_eq!((stored.number, stored.height, stored.entry, &stored.record[..]), (0, 0, 2, &b"new"[..]));
    let touches = vec![
        Touch { height: 0, entry: 2, instructions: vec![4095] },
        Touch { height: 0, entry: 0, instructions: vec![0, 3] },
    ];
    assert_eq!(index.history(0, 9).unwrap(), touches);
    assert_eq!(index.history(0, 1).unwrap(), touches[..1]);
    assert_eq!(index.history(0, 0).unwrap(), []);
    assert_eq!(index.history(2, 9).unwrap(), []);
}

#[test]
fn keys_of_old_and_of_new_records_are_found() {
    const RUN: u64 = 1 << 16;
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap().index;
    let rows = |height, objects: std::ops::Range<u64>| {
        block(height, Vec::new(), objects.map(|object| write(object, 0, vec![], b"{}".to_vec())).collect())
    };
    let found = |index: &Index, object| index.number_of(&key(object)).unwrap().map(u64::from);
    let ends = [0, RUN - 1, RUN, 3 * RUN + 9];
    let mut pinned = Vec::new();
    for (height, between) in (0..).zip(ends.windows(2)) {
        index.apply(&[rows(height, between[0]..between[1])]).unwrap();
        // One of these begins with what the index finds next, and goes on as it was.
        pinned.push((between[1], index.pin().unwrap()));
        for (end, index) in pinned.iter().map(|(end, pinned)| (*end, pinned)).chain([(between[1], &index)]) {
            for object in (0..end).step_by(4_099).chain([end - 1]) {
                assert_eq!(found(index, object), Some(object), "of {end}");
            }
            assert_eq!([end, end + 1, u64::MAX].map(|object| found(index, object)), [None; 3], "of {end}");
        }
    }
}
