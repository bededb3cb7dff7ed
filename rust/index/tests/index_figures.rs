//! Prints how fast the index is on this machine; asserts nothing about it.
//!
//! `cargo test --release -p finchain-index --test index_figures -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod index_support;

use std::fs;
use std::time::Instant;

use finchain_index::{BlockRows, Index, MapSize};
use index_support::{Random, block, close, key, write};

const RECORDS: u64 = 200_000;
const PER_BLOCK: u64 = 1000;
const BLOCKS_A_CALL: usize = 8;

/// Blocks from `height` on whose writes are to these objects, one entry for each write.
fn blocks(height: u64, objects: &[u64]) -> Vec<BlockRows> {
    let chunks = objects.chunks(usize::try_from(PER_BLOCK).unwrap());
    let rows = |objects: &[u64]| {
        (0..).zip(objects).map(|(entry, object)| write(*object, entry, vec![0], vec![b'r'; 250])).collect()
    };
    (height..).zip(chunks).map(|(height, objects)| block(height, Vec::new(), rows(objects))).collect()
}

fn timed<T>(what: &str, count: u64, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = act();
    let nanos = start.elapsed().as_nanos() / u128::from(count);
    println!("{what:<44} {:>3}.{:02} µs", nanos / 1000, nanos % 1000 / 10);
    done
}

#[test]
#[ignore = "prints figures"]
fn figures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.mdb");
    let index = Index::open(folder.path()).unwrap().index;
    println!("a new index has {} bytes", fs::metadata(&path).unwrap().len());
    let new = blocks(0, &(0..RECORDS).collect::<Vec<_>>());
    timed("apply, a new record", RECORDS, || new.chunks(BLOCKS_A_CALL).for_each(|part| index.apply(part).unwrap()));
    println!("{} bytes on disk", fs::metadata(&path).unwrap().len());
    let mut random = Random(1);
    let objects: Vec<u64> = (0..RECORDS).map(|_| random.below(RECORDS)).collect();
    let known = blocks(RECORDS / PER_BLOCK, &objects);
    timed("apply, a known record", RECORDS, || known.chunks(BLOCKS_A_CALL).for_each(|part| index.apply(part).unwrap()));
    drop(index);
    let mebibytes = fs::metadata(&path).unwrap().len() >> 20;
    let index = timed("open after a kill, a MiB of the file", mebibytes, || Index::open(folder.path()).unwrap().index);
    let keys: Vec<[u8; 32]> = objects.iter().map(|object| key(*object)).collect();
    timed("number_of, the first call", 1, || index.number_of(&keys[0]).unwrap());
    timed("number_of, a key", RECORDS, || {
        for key in &keys {
            assert!(index.number_of(key).unwrap().is_some());
        }
    });
    let numbers: Vec<u32> = objects.iter().map(|object| u32::try_from(*object).unwrap()).collect();
    timed("record, a random one", RECORDS, || {
        for number in &numbers {
            assert!(index.record(*number).unwrap().is_some());
        }
    });
    let mut bytes = 0;
    timed("for_each_record, a record", RECORDS, || index.for_each_record(|view| bytes += view.record.len()).unwrap());
    timed("history of ten, a call", RECORDS / 10, || {
        numbers
            .iter()
            .take(numbers.len() / 10)
            .for_each(|number| assert!(!index.history(*number, 10).unwrap().is_empty()));
    });
    timed("mark_clean", 1, || close(&index).unwrap());
    drop(index);
    timed("open after a close, a MiB of the file", mebibytes, || Index::open(folder.path()).unwrap());
    println!("{} bytes on disk for {bytes} bytes of records", fs::metadata(&path).unwrap().len());

    let folder = tempfile::tempdir().unwrap();
    let index = Index::open_with(folder.path(), MapSize { bytes: 1 << 20 }).unwrap().index;
    timed("apply, a new record, map grown from 1 MiB", RECORDS, || {
        new.chunks(BLOCKS_A_CALL).for_each(|part| index.apply(part).unwrap());
    });
}
