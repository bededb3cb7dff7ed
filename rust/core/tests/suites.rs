//! The suites beside `ed25519`: what each refuses and why, signatures of all suites judged together, and conversions.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use finchain_core::signature::{
    self, IDENTITY_MAX, P256, PublicKey, SecretKey, SignatureError, SignatureSuite, Signed, Sm2, from_der, low_s,
    suite, to_der, verify_signed,
};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["ed25519", "p256", "sm2", "ml-dsa-44"];
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const SM2_ORDER: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";

/// A key, a message and the signature over it.
struct Made {
    key: PublicKey,
    signature: Vec<u8>,
    message: Vec<u8>,
}

impl Made {
    fn new(name: &str, message: &[u8]) -> Self {
        let secret = SecretKey::generate(name).unwrap();
        assert_eq!(secret.suite().name(), name);
        let key = PublicKey::new(name, &secret.public_key(), None).unwrap();
        Self { key, signature: secret.sign(message).unwrap(), message: message.to_vec() }
    }

    fn verify(&self, signature: &[u8]) -> Result<(), SignatureError> {
        self.key.verify(signature, &self.message)
    }
}

/// `32 bytes + 1` of a big-endian number.
fn plus_one(hex: &str) -> [u8; 32] {
    let mut bytes: [u8; 32] = signature_hex(hex);
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    bytes
}

fn signature_hex(hex: &str) -> [u8; 32] {
    finchain_core::encoding::unhex(hex).unwrap()
}

#[test]
fn every_suite_verifies_what_it_signs_and_no_other_bytes() {
    for name in NAMES {
        let made = Made::new(name, b"order");
        assert_eq!(made.verify(&made.signature), Ok(()));
        assert_eq!(made.key.bytes().len(), made.key.suite().public_key_bytes());
        assert_eq!(made.key.suite().check_public_key(made.key.bytes()), Ok(()));
        assert_eq!(made.key.verify(&made.signature, b"orders"), Err(SignatureError::Mismatch));
        let other = Made::new(name, b"order");
        assert_eq!(made.verify(&other.signature), Err(SignatureError::Mismatch));
        for wrong in [&made.signature[1..], &[made.signature.as_slice(), &[0]].concat()] {
            let expected = made.signature.len();
            assert_eq!(made.verify(wrong), Err(SignatureError::SignatureLength { expected, found: wrong.len() }));
        }
        for wrong in [&made.key.bytes()[1..], &[made.key.bytes(), &[0]].concat()] {
            let (key, expected) = (PublicKey::new(name, wrong, None).unwrap(), made.key.bytes().len());
            let refused = SignatureError::PublicKeyLength { expected, found: wrong.len() };
            assert_eq!(key.suite().check_public_key(wrong), Err(refused.clone()));
            assert_eq!(key.verify(&made.signature, &made.message), Err(refused));
        }
    }
}

#[test]
fn a_half_is_from_one_to_the_order_less_one() {
    for (name, order) in [("p256", P256_ORDER), ("sm2", SM2_ORDER)] {
        let made = Made::new(name, b"order");
        for (place, half) in [(0, "r"), (32, "s")] {
            for wrong in [[0; 32], signature_hex(order), plus_one(order), [0xff; 32]] {
                let mut signature = made.signature.clone();
                signature[place..place + 32].copy_from_slice(&wrong);
                assert_eq!(made.verify(&signature), Err(SignatureError::ScalarRange { half }), "{name} {half}");
            }
        }
        let swapped = [&made.signature[32..], &made.signature[..32]].concat();
        assert!(matches!(made.verify(&swapped), Err(SignatureError::Mismatch | SignatureError::HighS)), "{name}");
    }
}

#[test]
fn a_key_is_a_compressed_point_of_its_own_curve() {
    for name in ["p256", "sm2"] {
        let suite = suite(name).unwrap();
        let made = Made::new(name, b"order");
        let mut bytes = made.key.bytes().to_vec();
        // The point at infinity has one byte; first bytes other than 2 and 3 mean other forms; x is below the prime.
        for first in [0, 1, 4, 5, 6, 7, 0xff] {
            bytes[0] = first;
            assert_eq!(suite.check_public_key(&bytes), Err(SignatureError::PublicKeyEncoding), "{name} {first}");
        }
        bytes[0] = 2;
        bytes[1..].fill(0xff);
        assert_eq!(suite.check_public_key(&bytes), Err(SignatureError::PublicKeyEncoding));
        // About half of all x belong to no point of a curve.
        let is_point = |x: u8, suite: &dyn SignatureSuite| {
            suite.check_public_key(&[[2].as_slice(), &[0; 31], &[x]].concat()).is_ok()
        };
        assert!((0..=u8::MAX).any(|x| is_point(x, suite)) && (0..=u8::MAX).any(|x| !is_point(x, suite)));
        assert!((0..=u8::MAX).any(|x| is_point(x, &P256) != is_point(x, &Sm2)));
    }
}

#[test]
fn a_point_of_another_curve_verifies_nothing() {
    let (p256, sm2) = (Made::new("p256", b"order"), Made::new("sm2", b"order"));
    for (name, made, other) in [("p256", &p256, &sm2), ("sm2", &sm2, &p256)] {
        let strange = PublicKey::new(name, other.key.bytes(), None).unwrap();
        let refused = strange.verify(&made.signature, &made.message);
        assert!(matches!(refused, Err(SignatureError::PublicKeyEncoding | SignatureError::Mismatch)), "{refused:?}");
    }
}

#[test]
fn the_greater_s_is_refused_by_name_and_brought_down_by_conversion() {
    for round in 0..16_u8 {
        let made = Made::new("p256", &[round]);
        assert_eq!(low_s(&made.signature).unwrap().as_slice(), made.signature);
        let high = opposite(&made.signature);
        assert_eq!(made.verify(&high), Err(SignatureError::HighS));
        assert_eq!(low_s(&high).unwrap().as_slice(), made.signature);
    }
}

/// The signature with the order less `s` for `s`.
fn opposite(signature: &[u8]) -> Vec<u8> {
    let order = signature_hex(P256_ORDER);
    let (mut out, mut borrow) = (signature.to_vec(), 0_i16);
    for place in (0..32).rev() {
        let difference = i16::from(order[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        out[32 + place] = difference.rem_euclid(256).to_le_bytes()[0];
    }
    out
}

#[test]
fn half_the_order_is_the_last_low_s() {
    // Half of an odd number, rounded down; with the next one begins the upper half.
    let half = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8";
    let made = Made::new("p256", b"order");
    let with = |s: [u8; 32]| [&made.signature[..32], s.as_slice()].concat();
    assert_eq!(made.verify(&with(signature_hex(half))), Err(SignatureError::Mismatch));
    assert_eq!(made.verify(&with(plus_one(half))), Err(SignatureError::HighS));
}

#[test]
fn the_identity_of_sm2_is_part_of_what_is_signed() {
    let usual = SecretKey::generate("sm2").unwrap();
    let bytes = usual.public_key();
    let signature = usual.sign(b"order").unwrap();
    let key = |identity| PublicKey::new("sm2", &bytes, identity).unwrap();
    assert_eq!(key(None).verify(&signature, b"order"), Ok(()));
    assert_eq!(key(Some(signature::DEFAULT_IDENTITY)).verify(&signature, b"order"), Ok(()));
    assert_eq!(key(Some("ALICE123@YAHOO.COM")).verify(&signature, b"order"), Err(SignatureError::Mismatch));
    let named = usual.with_identity("ALICE123@YAHOO.COM").unwrap();
    let signature = named.sign(b"order").unwrap();
    assert_eq!(key(Some("ALICE123@YAHOO.COM")).verify(&signature, b"order"), Ok(()));
    assert_eq!(key(None).verify(&signature, b"order"), Err(SignatureError::Mismatch));
    assert_ne!(key(None), key(Some("ALICE123@YAHOO.COM")));
}

#[test]
fn an_identity_is_short_plain_and_of_sm2_only() {
    let longest = "~".repeat(IDENTITY_MAX);
    for good in [" ", "x", &longest] {
        assert!(PublicKey::new("sm2", &[2; 33], Some(good)).is_ok(), "{good:?}");
    }
    for bad in ["", "tab\t", "\u{7f}", "é", &format!("{longest}~")] {
        assert_eq!(PublicKey::new("sm2", &[2; 33], Some(bad)), Err(SignatureError::Identity), "{bad:?}");
    }
    for name in ["ed25519", "p256", "ml-dsa-44"] {
        assert_eq!(PublicKey::new(name, &[], Some("x")), Err(SignatureError::Identity));
    }
    let unknown = SignatureError::UnknownSuite { name: "rsa".to_owned() };
    assert_eq!(PublicKey::new("rsa", &[], None), Err(unknown.clone()));
    assert_eq!(SecretKey::generate("rsa").map(|_| ()), Err(unknown));
}

#[test]
fn deterministic_suites_sign_one_way_and_no_key_prints_itself() {
    for name in NAMES {
        let secret = SecretKey::generate(name).unwrap();
        let same = secret.sign(b"m").unwrap() == secret.sign(b"m").unwrap();
        assert_eq!(same, ["ed25519", "sm2"].contains(&name), "{name}");
        let shown = format!("{secret:?}");
        assert_eq!(shown, format!("SecretKey({:?})", finchain_core::encoding::hex(&secret.public_key())));
    }
}

#[test]
fn der_is_strict_and_of_two_halves() {
    let raw = [[0x80; 32], [1; 32]].concat();
    let der = to_der(&raw).unwrap();
    assert_eq!(der[..5], [0x30, 0x45, 0x02, 0x21, 0x00]);
    assert_eq!(from_der(&der).unwrap().as_slice(), raw);
    let short = [[0; 31].as_slice(), &[5], &[0; 31], &[7]].concat();
    assert_eq!(to_der(&short).unwrap(), [0x30, 6, 2, 1, 5, 2, 1, 7]);
    assert_eq!(from_der(&[0x30, 6, 2, 1, 5, 2, 1, 7]).unwrap().as_slice(), short);
    for bad in [
        &[0x30, 3, 2, 1, 5][..],                                     // one half
        &[0x30, 9, 2, 1, 5, 2, 1, 7, 2, 1, 9],                       // three
        &[0x30, 7, 2, 2, 0, 5, 2, 1, 7],                             // a zero that is not needed
        &[0x30, 6, 2, 1, 0x85, 2, 1, 7],                             // negative
        &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 7],                          // a length that could be shorter
        &[0x30, 0x80, 2, 1, 5, 2, 1, 7, 0, 0],                       // indefinite length
        &[0x30, 6, 2, 1, 5, 2, 1, 7, 0],                             // something behind
        &[0x31, 6, 2, 1, 5, 2, 1, 7],                                // a set
        &[&[0x30, 38, 2, 33, 1][..], &[0; 32], &[2, 1, 7]].concat(), // a half of 33 bytes
        &[],
    ] {
        assert_eq!(from_der(bad), Err(SignatureError::NotDer), "{bad:02x?}");
    }
    for length in [63, 65] {
        let refused = SignatureError::SignatureLength { expected: 64, found: length };
        assert_eq!(to_der(&vec![1; length]), Err(refused.clone()));
        assert_eq!(low_s(&vec![1; length]), Err(refused));
    }
}

/// Whatever the company, the order and the sizes: the verdict on a signature is the one it gets alone.
#[test]
fn suites_are_judged_together_as_they_are_alone() {
    let mut all: Vec<Made> = (0..40_usize).map(|n| Made::new(NAMES[n * 7 % 4], &n.to_le_bytes())).collect();
    for place in [3, 8, 9, 21, 30, 38] {
        all[place].signature[40] ^= 1;
    }
    let signed: Vec<Signed<'_>> =
        all.iter().map(|one| Signed { key: &one.key, signature: &one.signature, message: &one.message }).collect();
    let alone: Vec<_> = all.iter().map(|one| one.verify(&one.signature)).collect();
    assert_eq!(alone.iter().filter(|verdict| verdict.is_err()).count(), 6);
    assert_eq!(verify_signed(&signed), alone);
    for size in [1, 2, 5, 19] {
        for (chunk, expected) in signed.chunks(size).zip(alone.chunks(size)) {
            assert_eq!(verify_signed(chunk), expected);
        }
    }
    assert_eq!(verify_signed(&[]), []);
}

/// Good signatures make a key known, whichever way it is judged from then on; nothing that was refused is accepted.
#[test]
fn a_key_that_has_signed_often_is_judged_as_it_was_at_first() {
    for name in NAMES {
        let made = Made::new(name, b"order");
        let mut wrong: Vec<_> = (0..made.signature.len()).map(|_| made.signature.clone()).collect();
        wrong.iter_mut().enumerate().for_each(|(at, signature)| signature[at] ^= 0x10);
        let judged = || wrong.iter().map(|signature| made.verify(signature)).collect::<Vec<_>>();
        let at_first = judged();
        assert!(at_first.iter().all(Result::is_err), "{name}");
        for _ in 0..8 {
            assert_eq!(made.verify(&made.signature), Ok(()), "{name}");
            assert_eq!(made.key.verify(&made.signature, b"orders"), Err(SignatureError::Mismatch), "{name}");
        }
        assert_eq!(judged(), at_first, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_refused(
        which in 1..4_usize, message in proptest::collection::vec(any::<u8>(), 0..80), place in any::<usize>(),
    ) {
        let mut made = Made::new(NAMES[which], &message);
        prop_assert_eq!(made.verify(&made.signature), Ok(()));
        let bit = place % (8 * made.signature.len());
        made.signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(made.verify(&made.signature).is_err());
    }

    #[test]
    fn der_and_back(raw in proptest::collection::vec(any::<u8>(), 64)) {
        prop_assert_eq!(from_der(&to_der(&raw).unwrap()).unwrap().to_vec(), raw);
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(
        which in 0..4_usize, key in proptest::collection::vec(any::<u8>(), 0..70),
        signature in proptest::collection::vec(any::<u8>(), 0..70),
    ) {
        let key = PublicKey::new(NAMES[which], &key, None).unwrap();
        prop_assert!(key.verify(&signature, b"m").is_err());
        let _ = from_der(&signature);
    }
}
