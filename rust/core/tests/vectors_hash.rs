//! The hash suites against their definitions in `docs/format.md`, and their primitives against published vectors.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::fs;

use finchain_core::encoding::{hex, unhex_vec};
use finchain_core::hash::{Hash, HashSuite, Purpose, SUITES, pair, suite};
use sha2::{Digest, Sha256};
use sm3::Sm3;
use vectors_folder::vectors;

fn suites() -> [&'static dyn HashSuite; 3] {
    SUITES.map(|name| suite(name).unwrap())
}

#[test]
fn each_purpose_hashes_as_the_format_defines() {
    let [blake3, sha256, sm3] = suites();
    for purpose in Purpose::ALL {
        let context = format!("finchain v1 {}", purpose.name());
        assert_eq!(blake3.hash(purpose, &[b"ab", b"", b"c"]), blake3::derive_key(&context, b"abc"));
        let prefixed = [&[purpose as u8], b"abc".as_slice()].concat();
        assert_eq!(sha256.hash(purpose, &[b"a", b"bc"]), Hash::from(Sha256::digest(&prefixed)));
        assert_eq!(sm3.hash(purpose, &[b"a", b"bc"]), Hash::from(Sm3::digest(&prefixed)));
    }
    for hashes in suites() {
        let node = hashes.hash(Purpose::Node, &[&[1; 32], &[2; 32]]);
        assert_eq!(hashes.node(&[1; 32], &[2; 32]), node);
        let mut all: Vec<_> = Purpose::ALL.map(|purpose| hashes.hash(purpose, &[b"same"])).into();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), Purpose::ALL.len(), "no purpose hashes like another");
    }
    assert!(suite("BLAKE3").is_none() && suite("sha512").is_none() && suite("").is_none());
}

#[test]
fn pairs_hash_together_as_alone() {
    for hashes in suites() {
        let pairs: Vec<_> = (0..70).map(|n| pair(&[n; 32], &[n ^ 0x80; 32])).collect();
        let (mut nodes, mut leaves) = (vec![[1; 32]], Vec::new());
        hashes.nodes(&pairs, &mut nodes);
        hashes.hash_pairs(Purpose::StateLeaf, &pairs, &mut leaves);
        assert_eq!(nodes.remove(0), [1; 32], "what was there stays");
        assert_eq!(nodes, (0..70).map(|n| hashes.node(&[n; 32], &[n ^ 0x80; 32])).collect::<Vec<_>>());
        assert_eq!(leaves, pairs.iter().map(|pair| hashes.hash(Purpose::StateLeaf, &[pair])).collect::<Vec<_>>());
    }
}

#[test]
fn blake3_derives_keys_as_published() {
    let Some(path) = vectors("hash/blake3_test_vectors.json") else { return };
    let file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let context = file["context_string"].as_str().unwrap();
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let length = usize::try_from(case["input_len"].as_u64().unwrap()).unwrap();
        let input: Vec<u8> = (0..=250).cycle().take(length).collect();
        let expected = &case["derive_key"].as_str().unwrap()[..64];
        assert_eq!(hex(&blake3::derive_key(context, &input)), expected, "{length} bytes");
    }
    assert_eq!(cases.len(), 35);
}

#[test]
fn sha256_digests_as_published() {
    compare("hash/openssl_evpmd_sha.txt", "SHA256", |message| Sha256::digest(message).into());
}

#[test]
fn sm3_digests_as_published() {
    compare("sm2_sm3_sm4/openssl_evpmd_sm3.txt", "SM3", |message| Sm3::digest(message).into());
}

fn compare(file: &str, function: &str, digest: impl Fn(&[u8]) -> Hash) {
    let Some(path) = vectors(file) else { return };
    let text = fs::read_to_string(path).unwrap();
    let mut checked = 0;
    for block in text.split("\n\n") {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|line| line.split_once('=').filter(|(found, _)| found.trim() == name))
                .map(|(_, value)| value.trim())
        };
        let (Some(found), Some(input), Some(output)) = (field("Digest"), field("Input"), field("Output")) else {
            continue;
        };
        if found != function {
            continue;
        }
        let message = match input.strip_prefix('"') {
            Some(quoted) => quoted.trim_end_matches('"').as_bytes().to_vec(),
            None => unhex_vec(&input.to_lowercase()).unwrap(),
        };
        // A block with copies feeds a million letters in parts; it tests a way of feeding that is not used here.
        if field("Ncopy").is_some() {
            continue;
        }
        assert_eq!(hex(&digest(&message)), output.to_lowercase());
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} digests");
}
