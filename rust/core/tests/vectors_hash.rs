//! The hash suites against their definitions in `docs/format.md`, and their primitives against published vectors.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::fs;

use finchain_core::encoding::{hex, unhex_vec};
use finchain_core::hash::{Hash, HashSuite, Purpose, suite};
use sha2::{Digest, Sha256};
use vectors_folder::vectors;

fn suites() -> [&'static dyn HashSuite; 2] {
    ["blake3", "sha256"].map(|name| suite(name).unwrap())
}

#[test]
fn each_purpose_hashes_as_the_format_defines() {
    let [blake3, sha256] = suites();
    for purpose in Purpose::ALL {
        let context = format!("finchain v1 {}", purpose.name());
        assert_eq!(blake3.hash(purpose, &[b"ab", b"", b"c"]), blake3::derive_key(&context, b"abc"));
        let prefixed: Hash = Sha256::digest([&[purpose as u8], b"abc".as_slice()].concat()).into();
        assert_eq!(sha256.hash(purpose, &[b"a", b"bc"]), prefixed);
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
    let Some(path) = vectors("hash/openssl_evpmd_sha.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    let mut checked = 0;
    for block in text.split("\n\n") {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|line| line.split_once('=').filter(|(found, _)| found.trim() == name))
                .map(|(_, value)| value.trim())
        };
        let (Some("SHA256"), Some(input), Some(output)) = (field("Digest"), field("Input"), field("Output")) else {
            continue;
        };
        let message = match input.strip_prefix('"') {
            Some(quoted) => quoted.trim_end_matches('"').as_bytes().to_vec(),
            None => unhex_vec(input).unwrap(),
        };
        // A block with copies feeds a million letters in parts; it tests a way of feeding that is not used here.
        if field("Ncopy").is_some() {
            continue;
        }
        let digest: Hash = Sha256::digest(message).into();
        assert_eq!(hex(&digest), output);
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} digests");
}
