//! Receipts that somebody tampered with: none that still verifies says anything else than before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counts;
mod sim_io;
mod sim_ledger;

use counts::{count, every_seed};
use finchain_core::encoding::{base64, unbase64};
use finchain_core::log::Durability;
use finchain_core::receipt::{Trust, Verified, What, verify};
use sim_io::{Random, SimIo};
use sim_ledger::{World, verifier_key};

/// Mutants that one seed draws.
const MUTANTS_A_SEED: u64 = 1_000;

/// A ledger of that many blocks; all that are made so are the same as far as they go.
fn ledger(blocks: u64) -> World {
    let mut world = World::new(SimIo::default(), Durability::Single);
    world.found().unwrap();
    for _ in 1..blocks {
        world.submit(&[5]).unwrap();
    }
    world
}

/// The ledger, a receipt of every kind, and what each shows.
fn receipts() -> (World, Vec<(Vec<u8>, Verified)>) {
    let mut world = ledger(6);
    let note = world.checkpoint().unwrap();
    let before = ledger(4);
    let mut replay = ledger(4);
    replay.ledger.as_ref().unwrap().keep_writes(4);
    replay.submit(&[5]).unwrap();
    let ledger = world.ledger.as_ref().unwrap();
    let (before, replay) = (before.ledger.as_ref().unwrap(), replay.ledger.as_ref().unwrap());
    let made = [
        ledger.prove_record("thing", "t-3", &note),
        ledger.prove_absence("thing", "t-8", &note),
        ledger.prove_absence("receivable", "R-1", &note),
        ledger.prove_instruction(4, 2, 0, None, &note),
        ledger.prove_instruction(4, 3, 0, Some(before), &note),
        ledger.prove_change((4, 1), ("thing", "t-3"), replay, &note),
    ];
    let shown = made.map(|receipt| {
        let receipt = receipt.unwrap();
        let shown = verify(&receipt, &trust()).unwrap();
        (receipt, shown)
    });
    (world, shown.into())
}

fn trust() -> Trust {
    Trust { log_keys: vec![verifier_key()], operator_alone: true, ..Trust::default() }
}

/// The inner half of a receipt as JSON, and what stands before and after its line.
fn opened(receipt: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let text = String::from_utf8(receipt.to_vec()).unwrap();
    let (before, rest) = text.split_once("extra ").unwrap();
    let (inner, after) = rest.split_once('\n').unwrap();
    (format!("{before}extra ").into_bytes(), unbase64(inner).unwrap(), format!("\n{after}").into_bytes())
}

/// The bytes with one change: a bit, a byte, a stretch or two stretches that change places.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    let at = random.index(bytes.len());
    match random.below(7) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = b"0123456789abcdef\"{}[],:\n "[random.index(25)],
        3 => bytes.insert(at, b"0f\n =\"\\,\0\xc3"[random.index(10)]),
        4 => {
            let end = (at + 1 + random.index(80)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let end = (at + 1 + random.index(80)).min(bytes.len());
            let doubled = bytes[at..end].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => {
            // Hashes stand 67 bytes apart in a list of hex: two of them change places.
            if at + 131 < bytes.len() {
                for offset in at..at + 64 {
                    bytes.swap(offset, offset + 67);
                }
            }
        }
    }
    bytes
}

/// Another value for a member of the inner half, spelt as it should be.
fn other_value(inner: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = inner.to_vec();
    let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_hexdigit()).collect();
    let at = digits[random.index(digits.len())];
    bytes[at] = if bytes[at].is_ascii_digit() { b'0' + (bytes[at] - b'0' + 1) % 10 } else { bytes[at] ^ 1 };
    bytes
}

fn mutant(receipt: &[u8], others: &[(Vec<u8>, Verified)], random: &mut Random) -> Vec<u8> {
    let (before, inner, after) = opened(receipt);
    let inner = match random.below(6) {
        0 | 1 => return changed(receipt, random),
        2 | 3 => other_value(&inner, random),
        // The inner half of another receipt under the same checkpoint.
        4 => opened(&others[random.index(others.len())].0).1,
        _ => changed(&inner, random),
    };
    [before, base64(&inner).into_bytes(), after].concat()
}

#[test]
fn no_mutant_says_anything_else() {
    let (world, receipts) = receipts();
    let ledger = world.ledger.as_ref().unwrap();
    let mutants = count("FINCHAIN_MUTANTS", 20_000);
    every_seed("receipt_mutants", "FINCHAIN_MUTANTS", mutants.div_ceil(MUTANTS_A_SEED), |seed| {
        let mut random = Random(seed);
        for number in 0..MUTANTS_A_SEED {
            let (receipt, shown) = &receipts[random.index(receipts.len())];
            let forged = mutant(receipt, &receipts, &mut random);
            if let Ok(found) = verify(&forged, &trust()) {
                // It says the same, or what another receipt says; and a path may show that several ids are absent.
                let true_one = match &found.what {
                    What::Absence { kind, id } => ledger.record(kind, id).unwrap().is_none(),
                    _ => &found == shown || receipts.iter().any(|(_, other)| *other == found),
                };
                let text = String::from_utf8_lossy(&forged);
                assert!(true_one, "mutant {number} is accepted and shows {found:?}:\n{text}");
            }
        }
    });
}

#[test]
fn nothing_that_is_there_is_denied_by_the_proof_for_another_place() {
    // The absence of a record that exists, claimed with every path that the ledger gives for other ids.
    let (_, receipts) = receipts();
    let absences = receipts.iter().filter(|(_, shown)| matches!(shown.what, What::Absence { .. }));
    for (receipt, _) in absences {
        let (before, inner, after) = opened(receipt);
        let text = String::from_utf8(inner).unwrap();
        for there in ["t-0", "t-1", "t-2", "t-3", "t-4", "t-5", "t-6"] {
            for (kind, id) in [("\"thing\"", "\"t-8\""), ("\"receivable\"", "\"R-1\"")] {
                let claimed = text.replace(kind, "\"thing\"").replace(id, &format!("\"{there}\""));
                if claimed != text {
                    let forged = [before.clone(), base64(claimed.as_bytes()).into_bytes(), after.clone()].concat();
                    assert!(verify(&forged, &trust()).is_err(), "{there} is denied: {claimed}");
                }
            }
        }
    }
}
