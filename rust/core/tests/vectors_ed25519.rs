//! Suite `ed25519` against Wycheproof, the 196 small-order cases, and the signatures of OpenSSL and Botan.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::collections::HashMap;
use std::fs;

use finchain_core::encoding::{unbase64, unhex_vec};
use finchain_core::signature::{Claim, SecretKey, SignatureError, verify, verify_batch};
use vectors_folder::vectors;

struct Vector {
    public_key: Vec<u8>,
    signature: Vec<u8>,
    message: Vec<u8>,
    valid: bool,
}

impl Vector {
    fn claim(&self) -> Claim<'_> {
        Claim { public_key: &self.public_key, identity: None, signature: &self.signature, message: &self.message }
    }
}

fn bytes(value: &serde_json::Value) -> Vec<u8> {
    unhex_vec(value.as_str().unwrap()).unwrap()
}

fn read(path: &str) -> Option<serde_json::Value> {
    vectors(path).map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

/// All in one batch, backwards, and in odd chunks: the verdict on a claim never depends on its company.
fn judge_in_company(all: &[Vector]) {
    let alone: Vec<_> = all.iter().map(|vector| verify(&vector.claim())).collect();
    let claims: Vec<_> = all.iter().map(Vector::claim).collect();
    assert_eq!(verify_batch(&claims), alone);
    let backwards: Vec<_> = claims.iter().rev().copied().collect();
    assert_eq!(verify_batch(&backwards), alone.iter().rev().cloned().collect::<Vec<_>>());
    for size in [2, 5, 19, 64] {
        for (chunk, expected) in claims.chunks(size).zip(alone.chunks(size)) {
            assert_eq!(verify_batch(chunk), expected);
        }
    }
}

#[test]
fn wycheproof() {
    let Some(file) = read("ed25519/wycheproof_ed25519_test.json") else { return };
    let mut all = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let vector = Vector {
                public_key: bytes(&group["publicKey"]["pk"]),
                signature: bytes(&test["sig"]),
                message: bytes(&test["msg"]),
                valid: test["result"] == "valid",
            };
            assert_eq!(verify(&vector.claim()).is_ok(), vector.valid, "tcId {}", test["tcId"]);
            if test["tcId"] == 151 {
                assert_eq!(verify(&vector.claim()), Err(SignatureError::NonceEncoding));
            }
            all.push(vector);
        }
    }
    assert_eq!(all.len(), 151);
    judge_in_company(&all);
}

#[test]
fn the_196_small_order_cases_are_refused_alone_and_in_company() {
    let Some(file) = read("ed25519/zip215_196_cases.json") else { return };
    let message = bytes(&file["msg_hex"]);
    let mut all = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let vector = Vector {
            public_key: bytes(&case["vk"]),
            signature: bytes(&case["sig"]),
            message: message.clone(),
            valid: false,
        };
        let verdict = verify(&vector.claim());
        let expected = [Err(SignatureError::PublicKeySmallOrder), Err(SignatureError::PublicKeyEncoding)];
        assert!(expected.contains(&verdict), "case {}: {verdict:?}", case["i"]);
        all.push(vector);
    }
    assert_eq!(all.len(), 196);
    judge_in_company(&all);
    let key = SecretKey::from_seed(&[9; 32]);
    for index in (0..all.len()).step_by(7) {
        let (public_key, signature) = (key.public_key(), key.sign(&message).unwrap());
        all.insert(index, Vector { public_key, signature, message: message.clone(), valid: true });
    }
    let verdicts = verify_batch(&all.iter().map(Vector::claim).collect::<Vec<_>>());
    for (vector, verdict) in all.iter().zip(verdicts) {
        assert_eq!(verdict.is_ok(), vector.valid);
    }
    judge_in_company(&all);
}

/// Signing gives the very bytes, and they verify.
fn signs_the_same(seed: &[u8], message: &[u8], expected: &[u8]) -> Vector {
    let key = SecretKey::from_seed(seed.try_into().unwrap());
    assert_eq!(key.sign(message).unwrap(), expected);
    let vector =
        Vector { public_key: key.public_key(), signature: expected.to_vec(), message: message.to_vec(), valid: true };
    assert_eq!(verify(&vector.claim()), Ok(()));
    vector
}

#[test]
fn botan_signatures_are_reproduced() {
    let Some(path) = vectors("ed25519/botan_ed25519.vec") else { return };
    let text = fs::read_to_string(path).unwrap();
    let (mut pure, mut fields, mut all) = (false, HashMap::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            pure = section == "Pure]";
        }
        let Some((name, value)) = line.split_once('=').filter(|_| pure) else { continue };
        fields.insert(name.trim(), unhex_vec(&value.trim().to_lowercase()).unwrap_or_default());
        if name.trim() == "Signature" {
            let vector = signs_the_same(&fields["Privkey"], &fields["Msg"], &fields["Signature"]);
            assert_eq!(vector.public_key, fields["Pubkey"]);
            all.push(vector);
        }
    }
    assert!(all.len() > 700, "only {} vectors", all.len());
    let verdicts = verify_batch(&all.iter().map(Vector::claim).collect::<Vec<_>>());
    assert!(verdicts.iter().all(Result::is_ok));
}

#[test]
fn openssl_signatures_are_reproduced() {
    let Some(path) = vectors("ed25519/openssl_evppkey_ecx.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    let (mut seeds, mut signed) = (HashMap::new(), 0);
    // Blocks are separated by empty lines; a key is PEM or raw, and a `OneShotDigestSign` block uses it by name.
    for block in text.split("\n\n") {
        let lines: Vec<_> = block.lines().filter(|line| !line.starts_with('#')).collect();
        let field = |name: &str| {
            lines.iter().find_map(|line| {
                let (found, value) = line.split_once('=')?;
                (found.trim() == name).then(|| value.trim().trim_matches('"'))
            })
        };
        if let Some((name, seed)) = field("PrivateKeyRaw").and_then(|raw| raw.split_once(":ED25519:")) {
            seeds.insert(name.to_owned(), unhex_vec(seed).unwrap());
        } else if let Some(name) = field("PrivateKey").filter(|name| name.starts_with("ED25519-")) {
            let der = unbase64(lines.iter().find(|line| line.starts_with("MC4")).unwrap()).unwrap();
            seeds.insert(name.to_owned(), der[16..].to_vec());
        }
        let plain = field("Ctrl").is_none_or(|ctrl| ctrl == "instance:Ed25519");
        let Some(seed) = field("Key").and_then(|name| seeds.get(name)).filter(|_| plain) else { continue };
        if let (Some("NULL"), Some(message), Some(output)) =
            (field("OneShotDigestSign"), field("Input"), field("Output"))
        {
            signs_the_same(seed, &unhex_vec(message).unwrap(), &unhex_vec(output).unwrap());
            signed += 1;
        }
    }
    assert!(signed >= 6, "only {signed} signatures");
}
