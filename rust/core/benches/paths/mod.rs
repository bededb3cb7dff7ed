//! The hot paths of the core, each as it is used: what `suite.rs` times and `counted.rs` counts.

use std::hint::black_box;

use finchain_core::hash::{Hash, Purpose, pair};
use finchain_core::log::Durability;
use finchain_core::receipt::{Trust, verify};
use finchain_core::signature::{self, Sm2};
use finchain_core::state_map::{Leaf, StateMap};
use finchain_core::transaction::Transaction;

use crate::sim_io::SimIo;
use crate::sim_ledger::{self, World, suite, verifier_key};
use crate::support::{Signed, accepted, accepted_by, drawn, signed, signed_in};

/// A path made ready: calling it goes along it once.
pub type Run = Box<dyn FnMut()>;

/// A hot path.
pub struct Path {
    /// What it is called in tables.
    pub name: &'static str,
    /// How many things it does each time.
    pub units: u64,
    /// Makes it ready.
    pub ready: fn() -> Run,
}

/// Signatures in one batch.
const BATCH: usize = 1_024;
/// Signatures in one batch of a suite that is slower.
const SUITE_BATCH: usize = 128;
/// Hashes in one run.
const HASHES: u64 = 100;
/// Records in the state map, and how many of them a block writes.
const RECORDS: u64 = 20_000;
const WRITTEN: u64 = 1_000;

/// Every path.
pub const PATHS: [Path; 11] = [
    Path { name: "Ed25519 alone", units: 1, ready: alone },
    Path { name: "Ed25519, 32 keys", units: BATCH as u64, ready: || batch(32, 0) },
    Path { name: "Ed25519, a key each", units: BATCH as u64, ready: || batch(BATCH, 0) },
    Path { name: "Ed25519, 32 keys, 1 % bad", units: BATCH as u64, ready: || batch(32, 100) },
    Path { name: "SM2, 32 keys", units: SUITE_BATCH as u64, ready: sm2 },
    Path { name: "transaction parsed", units: 1, ready: transaction },
    Path { name: "leaf of 230 bytes", units: HASHES, ready: leaves },
    Path { name: "node", units: HASHES, ready: nodes },
    Path { name: "node, 100 together", units: HASHES, ready: nodes_together },
    Path { name: "state map, 1,000 of 20,000 records", units: WRITTEN, ready: state_map },
    Path { name: "receipt made and verified", units: 1, ready: receipt },
];

fn alone() -> Run {
    let one = signed(1, 0, 1);
    Box::new(move || signature::verify(&one[0].claim()).unwrap())
}

/// A batch by so many keys, which were seen before, with so many bad ones in 10,000.
fn batch(keys: usize, bad: u32) -> Run {
    let mut signed = signed(BATCH, 10 * keys, keys);
    signed.iter_mut().enumerate().filter(|(at, _)| drawn(*at, bad)).for_each(|(_, one)| Signed::spoil(one));
    let good = accepted(&signed);
    Box::new(move || assert_eq!(accepted(&signed), good))
}

/// A batch by keys that have tables.
fn sm2() -> Run {
    let signed = signed_in("sm2", SUITE_BATCH, 32);
    Box::new(move || assert_eq!(accepted_by(&Sm2, &signed), SUITE_BATCH))
}

fn transaction() -> Run {
    let instruction = "{\"amount_minor\":125000,\"creditor\":\"shop\",\"currency\":\"CNY\",\"debtor\":\"mill\",\
                       \"due\":\"2026-12-31\",\"id\":\"r-7f3a91\",\"invoice\":\"INV-2026-001142\",\
                       \"issued\":\"2026-09-30\",\"type\":\"receivable.submit\"}";
    let text = sim_ledger::signed(instruction, &format!("example.com/ledger#{}", "0".repeat(64)), "main", 1);
    Box::new(move || drop(black_box(Transaction::parse(&text, suite()).unwrap())))
}

fn leaves() -> Run {
    let record = [7; 230];
    Box::new(move || {
        for _ in 0..HASHES {
            black_box(suite().hash(Purpose::Record, &[&black_box(record)]));
        }
    })
}

fn nodes() -> Run {
    let mut hash = [7; 32];
    Box::new(move || {
        for _ in 0..HASHES {
            hash = suite().node(&hash, &black_box(hash));
        }
    })
}

fn nodes_together() -> Run {
    let mut hashes = vec![[7; 32]; 100];
    Box::new(move || {
        let pairs: Vec<_> = hashes.iter().map(|hash| pair(hash, &black_box(*hash))).collect();
        hashes.clear();
        suite().nodes(&pairs, &mut hashes);
    })
}

fn update(number: u64, value: u8) -> Leaf {
    let key: Hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
    Leaf { key, value: [value; 32], salt: [value; 16], number: 0 }
}

fn state_map() -> Run {
    let mut map = StateMap::new(suite());
    map.apply(&mut (0..RECORDS).map(|number| update(number, 1)).collect::<Vec<_>>());
    let mut value = 1;
    Box::new(move || {
        value ^= 0xff;
        let mut written: Vec<_> = (0..WRITTEN).map(|n| update(n * (RECORDS / WRITTEN), value)).collect();
        map.apply(&mut written);
        black_box(map.root_hash());
    })
}

fn receipt() -> Run {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    (0..8).for_each(|_| world.submit(&[5]).unwrap());
    let note = world.checkpoint().unwrap();
    let trust = Trust { log_keys: vec![verifier_key()], operator_alone: true, ..Trust::default() };
    Box::new(move || {
        let receipt = world.ledger.as_ref().unwrap().prove_instruction(4, 2, 0, None, &note).unwrap();
        black_box(verify(&receipt, &trust).unwrap());
    })
}
