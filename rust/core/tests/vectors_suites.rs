//! Suites `p256` and `sm2` against Wycheproof, RFC 6979, GB/T 32918.5 and OpenSSL.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::fs;

use finchain_core::encoding::{unhex, unhex_vec};
use finchain_core::signature::{PublicKey, SignatureError, from_der, low_s};
use sm2::dsa::signature::hazmat::PrehashVerifier as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use vectors_folder::vectors;

fn json(path: &str) -> Option<serde_json::Value> {
    vectors(path).map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

fn bytes(value: &serde_json::Value) -> Vec<u8> {
    unhex_vec(value.as_str().unwrap()).unwrap()
}

/// A point as the ledger spells it.
fn compressed(uncompressed: &[u8]) -> Vec<u8> {
    assert_eq!((uncompressed.len(), uncompressed[0]), (65, 4));
    [&[2 + (uncompressed[64] & 1)], &uncompressed[1..33]].concat()
}

fn p256(uncompressed: &[u8]) -> PublicKey {
    PublicKey::new("p256", &compressed(uncompressed), None).unwrap()
}

/// Every valid signature holds once its `s` is the lesser one, and before that only if it was; no other ever holds.
#[test]
fn wycheproof_p256() {
    let Some(file) = json("ecdsa_p256/wycheproof_ecdsa_secp256r1_sha256_p1363_test.json") else { return };
    let (mut cases, mut low, mut high) = (0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let key = p256(&bytes(&group["publicKey"]["uncompressed"]));
        for test in group["tests"].as_array().unwrap() {
            let (signature, message) = (bytes(&test["sig"]), bytes(&test["msg"]));
            let strict = key.verify(&signature, &message);
            let foreign = low_s(&signature).and_then(|signature| key.verify(&signature, &message));
            assert_eq!(foreign.is_ok(), test["result"] == "valid", "tcId {}: {foreign:?}", test["tcId"]);
            match (foreign.is_ok(), &strict) {
                (true, Ok(())) => low += 1,
                (true, _) => {
                    assert_eq!(strict, Err(SignatureError::HighS), "tcId {}", test["tcId"]);
                    high += 1;
                }
                (false, _) => assert!(strict.is_err(), "tcId {}", test["tcId"]),
            }
            cases += 1;
        }
    }
    assert_eq!((cases, low, high), (262, 103, 70));
}

/// RFC 6979 A.2.5: the signatures over `sample` and `test` by P-256 with SHA-256, under the key that stands there.
#[test]
fn rfc_6979_p256() {
    let Some(path) = vectors("ecdsa_p256/botan_ecdsa_rfc6979.vec") else { return };
    let text = fs::read_to_string(path).unwrap();
    let key = p256(
        &unhex_vec(concat!(
            "04",
            "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        ))
        .unwrap(),
    );
    let (mut group, mut hash, mut message, mut found) = ("", "", Vec::new(), 0);
    for (name, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
        match name {
            "Group" => group = value,
            "Hash" => hash = value,
            "Msg" => message = unhex_vec(&value.to_lowercase()).unwrap(),
            "Signature" if (group, hash) == ("secp256r1", "SHA-256") => {
                let signature = low_s(&unhex_vec(&value.to_lowercase()).unwrap()).unwrap();
                assert_eq!(key.verify(&signature, &message), Ok(()));
                found += 1;
            }
            _ => {}
        }
    }
    assert_eq!(found, 2);
}

fn sm2_key(secret: &str, identity: Option<&str>) -> PublicKey {
    let secret = sm2::SecretKey::from_slice(&unhex_vec(&secret.to_lowercase()).unwrap()).unwrap();
    PublicKey::new("sm2", secret.public_key().to_sec1_point(true).as_bytes(), identity).unwrap()
}

/// GB/T 32918.5 Annex A holds, and nothing that is derived from it by a small change does.
#[test]
fn gbt_32918_annex_a() {
    let Some(file) = json("sm2_sm3_sm4/gbt32918_annex_a_sign.json") else { return };
    let cases: Vec<_> = file.as_array().unwrap().iter().filter(|case| case["curve"] == "sm2p256v1").collect();
    assert_eq!(cases.len(), 1);
    let text = |member: &str| cases[0][member].as_str().unwrap();
    let half = |member: &str| unhex::<32>(&text(member).to_lowercase()).unwrap();
    let (r, s, message) = (half("r"), half("s"), text("message_ascii").as_bytes());
    let key = sm2_key(text("private_key"), None);
    let verify = |r: [u8; 32], s: [u8; 32]| key.verify(&[r, s].concat(), message);
    assert_eq!(verify(r, s), Ok(()));
    let named = |identity| sm2_key(text("private_key"), Some(identity)).verify(&[r, s].concat(), message);
    assert_eq!(named(text("user_id_ascii")), Ok(()));
    for other in ["1234567812345679", "123456781234567", "12345678123456781", "ALICE123@YAHOO.COM"] {
        assert_eq!(named(other), Err(SignatureError::Mismatch), "{other}");
    }
    let order = unhex::<32>("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123").unwrap();
    let mut beyond = order;
    beyond[31] += 1;
    for wrong in [[0; 32], order, beyond] {
        assert_eq!(verify(wrong, s), Err(SignatureError::ScalarRange { half: "r" }));
        assert_eq!(verify(r, wrong), Err(SignatureError::ScalarRange { half: "s" }));
    }
    assert_eq!(verify(s, r), Err(SignatureError::Mismatch));
    // r + s = order: the verification has nothing to multiply the key by.
    let mut rest = order;
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i16::from(order[place]) - i16::from(r[place]) - borrow;
        borrow = i16::from(difference < 0);
        rest[place] = difference.rem_euclid(256).to_le_bytes()[0];
    }
    assert_eq!(verify(r, rest), Err(SignatureError::Mismatch));
    assert_eq!(key.verify(&[r, s].concat(), b"message digest."), Err(SignatureError::Mismatch));
    let p256 = PublicKey::new("p256", key.bytes(), None).unwrap();
    assert!(p256.verify(&[r, s].concat(), message).is_err());
}

/// The signatures of OpenSSL's file are over digests without an identity, so that only the curve's part is compared.
#[test]
fn openssl_sm2() {
    let Some(path) = vectors("sm2_sm3_sm4/openssl_evppkey_sm2.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    let mut verified = 0;
    for block in text.split("\n\n").filter(|block| block.contains("Verify = SM2_key1") && block.contains("digest:SM3"))
    {
        let value = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            unhex_vec(&line.to_lowercase()).unwrap()
        };
        let (digest, signature) = (value("Input = "), from_der(&value("Output = ")).unwrap());
        let key = public_of(&text);
        let signature = sm2::dsa::Signature::from_slice(&signature).unwrap();
        key.verify_prehash(&digest, &signature).unwrap();
        verified += 1;
    }
    assert_eq!(verified, 2);
}

/// The public half of the first key in OpenSSL's file.
fn public_of(text: &str) -> sm2::dsa::VerifyingKey {
    let start = text.find("-----BEGIN PRIVATE KEY-----").unwrap();
    let end = text.find("-----END PRIVATE KEY-----\n").unwrap() + "-----END PRIVATE KEY-----\n".len();
    let key = finchain_core::key_file::from_pem(&text[start..end], None).unwrap();
    assert_eq!(key.suite().name(), "sm2");
    sm2::dsa::VerifyingKey::from_sec1_bytes("", &key.public_key()).unwrap()
}
