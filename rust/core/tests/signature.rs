//! Suite `ed25519`: crafted signatures, the rule written a second time, and batches that hide bad claims.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use finchain_core::signature::{Claim, SecretKey, SignatureError, suite, verify, verify_batch};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

/// The group order L and the field prime p, least significant byte first.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
const PRIME: &str = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";

fn number(hex: &str) -> [u8; 32] {
    finchain_core::encoding::unhex(hex).unwrap()
}

fn plus(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    std::array::from_fn(|index| {
        let sum = u16::from(left[index]) + u16::from(right[index]) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    })
}

#[derive(Clone, Debug)]
struct Case {
    name: &'static str,
    public_key: Vec<u8>,
    signature: Vec<u8>,
    message: Vec<u8>,
    expected: Result<(), SignatureError>,
}

impl Case {
    fn claim(&self) -> Claim<'_> {
        Claim { public_key: &self.public_key, identity: None, signature: &self.signature, message: &self.message }
    }
}

fn challenge(nonce: &[u8], public_key: &[u8], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(nonce).chain_update(public_key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// A signature that a holder of the scalar could make with points of his choice added to R and A.
fn crafted(name: &'static str, nonce: u64, key_offset: EdwardsPoint, nonce_offset: EdwardsPoint) -> Case {
    let (a, r) = (Scalar::from(0x1234_5678_9abc_u64), Scalar::from(nonce));
    let message = format!("finchain {name}").into_bytes();
    let public_key = (a * B + key_offset).compress().0;
    let nonce = (r * B + nonce_offset).compress().0;
    let s = r + challenge(&nonce, &public_key, &message) * a;
    let signature = [nonce, s.to_bytes()].concat();
    Case { name, public_key: public_key.to_vec(), signature, message, expected: Ok(()) }
}

fn good(seed: u8) -> Case {
    let key = SecretKey::from_seed(&[seed; 32]);
    let message = vec![seed; usize::from(seed)];
    let (public_key, signature) = (key.public_key(), key.sign(&message).unwrap());
    Case { name: "good", public_key, signature, message, expected: Ok(()) }
}

/// Every way to be right or wrong that the rule tells apart.
fn cases() -> Vec<Case> {
    let none = EIGHT_TORSION[0];
    let torsion = EIGHT_TORSION[1];
    let not_a_point = (2..=u8::MAX)
        .map(|byte| [vec![byte], vec![0; 31]].concat())
        .find(|bytes| CompressedEdwardsY::from_slice(bytes).unwrap().decompress().is_none())
        .unwrap();
    let minus_zero = [vec![1], vec![0; 30], vec![0x80]].concat();
    let changed = |name, expected, change: &dyn Fn(&mut Case)| {
        let mut case = Case { name, expected: Err(expected), ..good(7) };
        change(&mut case);
        case
    };
    let mut cases = vec![
        good(1),
        crafted("plain", 5, none, none),
        crafted("R of mixed order", 6, none, torsion),
        crafted("A of mixed order", 7, torsion, none),
        crafted("both of mixed order", 8, EIGHT_TORSION[3], EIGHT_TORSION[2]),
        crafted("R of small order", 0, none, torsion),
        crafted("R is the identity", 0, none, none),
        changed("message", SignatureError::Mismatch, &|case| case.message.push(0)),
        changed("R changed", SignatureError::Mismatch, &|case| {
            case.signature[..32].copy_from_slice(&(Scalar::from(3_u64) * B).compress().0);
        }),
        changed("S changed", SignatureError::Mismatch, &|case| case.signature[32] ^= 1),
        changed("another key", SignatureError::Mismatch, &|case| case.public_key = good(8).public_key),
        changed("key length 31", SignatureError::PublicKeyLength { expected: 32, found: 31 }, &|case| {
            case.public_key.truncate(31);
        }),
        changed("key length 33", SignatureError::PublicKeyLength { expected: 32, found: 33 }, &|case| {
            case.public_key.push(0);
        }),
        changed("signature length 63", SignatureError::SignatureLength { expected: 64, found: 63 }, &|case| {
            case.signature.truncate(63);
        }),
        changed("signature length 65", SignatureError::SignatureLength { expected: 64, found: 65 }, &|case| {
            case.signature.push(0);
        }),
        changed("S + L", SignatureError::ScalarTooLarge, &|case| {
            let s = plus(case.signature[32..].try_into().unwrap(), number(ORDER));
            case.signature[32..].copy_from_slice(&s);
        }),
        changed("S = L", SignatureError::ScalarTooLarge, &|case| case.signature[32..].copy_from_slice(&number(ORDER))),
        changed("S is all ones", SignatureError::ScalarTooLarge, &|case| case.signature[32..].fill(0xff)),
        changed("A is no point", SignatureError::PublicKeyEncoding, &|case| case.public_key.clone_from(&not_a_point)),
        changed("R is no point", SignatureError::NonceEncoding, &|case| {
            case.signature[..32].copy_from_slice(&not_a_point);
        }),
        changed("A is -0", SignatureError::PublicKeyEncoding, &|case| case.public_key.clone_from(&minus_zero)),
        changed("R is -0", SignatureError::NonceEncoding, &|case| case.signature[..32].copy_from_slice(&minus_zero)),
    ];
    // y = 3 + p is a second encoding of a point that is not of small order; y = p is one of y = 0.
    for y in [0, 1, 3] {
        let y = plus(number(PRIME), [vec![y], vec![0; 31]].concat().try_into().unwrap());
        cases.push(changed("A >= p", SignatureError::PublicKeyEncoding, &|case| case.public_key = y.to_vec()));
        cases.push(changed("R >= p", SignatureError::NonceEncoding, &|case| case.signature[..32].copy_from_slice(&y)));
    }
    for point in EIGHT_TORSION {
        // With S = 0 and R = -[k]A the equation would hold for any of these keys.
        let small = point.compress().0.to_vec();
        let signature = [EIGHT_TORSION[0].compress().0, [0; 32]].concat();
        let expected = Err(SignatureError::PublicKeySmallOrder);
        cases.push(Case { name: "A of small order", public_key: small, signature, message: b"m".to_vec(), expected });
    }
    cases
}

/// The rule a second time, straight from its definition.
fn by_definition(claim: &Claim<'_>) -> bool {
    let canonical = |bytes: &[u8]| {
        let point = CompressedEdwardsY::from_slice(bytes).ok()?.decompress()?;
        (point.compress().as_bytes() == bytes).then_some(point)
    };
    let judge = || {
        let public_key = canonical(claim.public_key)?;
        let (nonce, s) = claim.signature.split_at_checked(32)?;
        let s: Option<Scalar> = Scalar::from_canonical_bytes(s.try_into().ok()?).into();
        let k = challenge(nonce, claim.public_key, claim.message);
        let difference = s? * B - canonical(nonce)? - k * public_key;
        Some(!public_key.is_small_order() && difference.mul_by_cofactor().is_identity())
    };
    judge().unwrap_or(false)
}

#[test]
fn every_crafted_case_is_judged_by_its_cause() {
    for case in cases() {
        assert_eq!(verify(&case.claim()), case.expected, "{}", case.name);
        assert_eq!(by_definition(&case.claim()), case.expected.is_ok(), "{}", case.name);
        assert_eq!(verify_batch(&[case.claim()]), std::slice::from_ref(&case.expected), "{}", case.name);
    }
}

#[test]
fn a_bad_claim_is_found_at_every_place_of_a_batch() {
    let goods: Vec<_> = (0..64).map(good).collect();
    for case in cases() {
        for size in [1, 2, 3, 15, 16, 17, 64] {
            for position in 0..size {
                let mut claims: Vec<_> = goods[..size].iter().map(Case::claim).collect();
                claims[position] = case.claim();
                let mut expected = vec![Ok(()); size];
                expected[position].clone_from(&case.expected);
                assert_eq!(verify_batch(&claims), expected, "{} at {position} of {size}", case.name);
            }
        }
    }
}

#[test]
fn large_batches_over_several_chunks_keep_their_order() {
    let (cases, goods): (Vec<_>, Vec<_>) = (cases(), (0..50).map(good).collect());
    let mixed: Vec<_> =
        (0..2_500).map(|index| if index % 97 == 0 { &cases[index / 97] } else { &goods[index % 50] }).collect();
    let claims: Vec<_> = mixed.iter().map(|case| case.claim()).collect();
    let expected: Vec<_> = mixed.iter().map(|case| case.expected.clone()).collect();
    assert_eq!(verify_batch(&claims), expected);
    assert_eq!(verify_batch(&[]), []);
}

/// As many claims by few keys as a chunk has, of which those are bad that `is_bad` names; each verdict is that alone.
fn judged_as_alone(seed: u8, keys: u8, count: usize, is_bad: impl Fn(usize) -> bool) {
    let mut all: Vec<_> = (0..count).map(|at| good(seed + u8::try_from(at % usize::from(keys)).unwrap())).collect();
    all.iter_mut().enumerate().filter(|(at, _)| is_bad(*at)).for_each(|(_, case)| case.message.push(1));
    let claims: Vec<_> = all.iter().map(Case::claim).collect();
    let verdicts = verify_batch(&claims);
    for (at, (claim, verdict)) in claims.iter().zip(&verdicts).enumerate() {
        assert_eq!(verdict.is_err(), is_bad(at), "{at} of {count} by {keys} keys");
        assert_eq!(*verdict, verify(claim), "{at} of {count} by {keys} keys");
    }
}

#[test]
fn the_bad_ones_are_named_whether_one_all_or_some_are() {
    for count in [16, 17, 33, 300] {
        judged_as_alone(100, 5, count, |at| at == count / 2);
        judged_as_alone(105, 5, count, |at| at % 5 == 3);
        judged_as_alone(110, 5, count, |at| at % 7 != 3);
        judged_as_alone(115, 5, count, |_| true);
        judged_as_alone(120, 1, count, |at| at + 1 == count);
    }
}

#[test]
fn a_key_whose_claims_were_bad_is_judged_by_the_same_rule_until_it_is_forgiven() {
    judged_as_alone(130, 4, 200, |at| at % 4 == 0);
    // The first of the keys is on watch now, and its claims stand apart; then one of the others joins it.
    judged_as_alone(130, 4, 200, |_| false);
    judged_as_alone(130, 4, 200, |at| at == 101 || at == 104);
    // More than a thousand good claims later it is with the others again.
    judged_as_alone(130, 4, 5_000, |_| false);
    judged_as_alone(130, 4, 200, |at| at == 100);
}

#[test]
fn a_key_whose_claims_were_often_bad_is_judged_by_the_same_rule() {
    judged_as_alone(160, 4, 200, |at| at % 4 == 0 && at % 12 != 0);
    // Each of its claims is judged alone now, in company of the others; then most are good again.
    judged_as_alone(160, 4, 200, |at| at % 4 == 0 && at % 20 != 0);
    judged_as_alone(160, 4, 200, |at| at == 100);
    judged_as_alone(160, 4, 200, |_| false);
}

#[test]
fn keys_that_begin_alike_are_told_apart() {
    let start = number("ddffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00");
    // Three keys of 32 bytes that are no points or another's, a shorter one and none, all with the same first bytes.
    let keys: Vec<Vec<u8>> = (1..=3)
        .map(|last| [&start[..31], &[last]].concat())
        .chain([start[..7].to_vec(), start[..9].to_vec(), Vec::new()])
        .collect();
    let cases: Vec<_> = (0..60).map(|at| Case { public_key: keys[at % keys.len()].clone(), ..good(9) }).collect();
    let claims: Vec<_> = cases.iter().map(Case::claim).collect();
    assert_eq!(verify_batch(&claims), claims.iter().map(verify).collect::<Vec<_>>());
}

#[test]
fn batches_at_the_same_time_do_not_disturb_each_other() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..4).for_each(|_| judged_as_alone(140 + thread, 8, 64, |at| at % 8 == 1)));
        }
    });
}

#[test]
fn more_keys_than_are_kept_are_judged_like_few() {
    // One good claim beside 20,000 keys that are points and made nothing of what they are said to have signed.
    let honest = good(150);
    let strangers: Vec<_> = (1..=20_000_u64)
        .map(|key| Case { public_key: (Scalar::from(key) * B).compress().0.to_vec(), ..good(151) })
        .collect();
    let claims: Vec<_> = strangers.iter().chain([&honest]).map(Case::claim).collect();
    let verdicts = verify_batch(&claims);
    let (last, others) = verdicts.split_last().unwrap();
    assert_eq!(*last, Ok(()));
    assert!(others.iter().all(|verdict| *verdict == Err(SignatureError::Mismatch)));
    assert_eq!(verify(&honest.claim()), Ok(()));
}

/// The case with a signature whose second half is moved, so that what the equation lacks is that multiple of B.
fn shifted(mut case: Case, shift: Scalar) -> Case {
    let s: [u8; 32] = case.signature[32..].try_into().unwrap();
    let s = Scalar::from_canonical_bytes(s).unwrap() + shift;
    case.signature[32..].copy_from_slice(s.as_bytes());
    case
}

#[test]
fn errors_that_add_up_do_not_pass_a_batch_wherever_they_stand() {
    let (one, three) = (Scalar::ONE, Scalar::from(3_u64));
    let mismatch = Err(SignatureError::Mismatch);
    // Equal ones, ones that cancel each other out, and ones that do so when each counts as often as its position says.
    for shifts in [[one, one], [one, -one], [three, -one], [-one, three]] {
        for (size, first) in [20, 6, 5, 4].into_iter().flat_map(|size| (0..size).map(move |first| (size, first))) {
            for second in first + 1..size {
                let mut all: Vec<_> = (0..size).map(|at| good(if at % 3 == 0 { 169 } else { 170 })).collect();
                for (at, shift) in [first, second].into_iter().zip(shifts) {
                    all[at] = shifted(all[at].clone(), shift);
                }
                let mut expected = vec![Ok(()); size];
                expected[first].clone_from(&mismatch);
                expected[second].clone_from(&mismatch);
                let claims: Vec<_> = all.iter().map(Case::claim).collect();
                assert_eq!(verify_batch(&claims), expected, "{first} and {second} of {size}");
            }
        }
    }
}

#[test]
fn a_bad_claim_is_named_at_the_ends_of_sets_of_every_size() {
    // Sums are searched in other ways from 5 claims on and from 65 on; a key on watch has 32 in a sum.
    for (seed, size) in (171..).zip([4, 5, 8, 31, 32, 33, 63, 64, 65, 66, 128, 129]) {
        for position in [0, 1, size / 2 - 1, size / 2, size - 2, size - 1] {
            judged_as_alone(seed, 1, size, |at| at == position);
        }
    }
}

#[test]
fn a_key_is_judged_before_it_is_enrolled() {
    let ed25519 = suite("ed25519").unwrap();
    assert_eq!(ed25519.name(), "ed25519");
    assert!(suite("ED25519").is_none() && suite("").is_none());
    for case in cases() {
        let about_key = matches!(
            case.expected,
            Err(SignatureError::PublicKeyLength { .. }
                | SignatureError::PublicKeyEncoding
                | SignatureError::PublicKeySmallOrder)
        );
        let verdict = ed25519.check_public_key(&case.public_key);
        assert_eq!(verdict.is_err(), about_key, "{}", case.name);
        if about_key {
            assert_eq!(verdict, case.expected, "{}", case.name);
        }
    }
}

#[test]
fn a_secret_key_is_its_seed_and_does_not_print_itself() {
    let key = SecretKey::from_seed(&[0x5a; 32]);
    assert_eq!(key.seed(), Some(&[0x5a; 32]));
    assert!(!format!("{key:?}").contains("5a5a"));
    let (one, other) = (SecretKey::generate("ed25519").unwrap(), SecretKey::generate("ed25519").unwrap());
    assert_ne!(one.seed(), other.seed());
    let signature = one.sign(b"m").unwrap();
    let claim = Claim { public_key: &one.public_key(), identity: None, signature: &signature, message: b"m" };
    assert_eq!(verify(&claim), Ok(()));
    assert_eq!(verify(&Claim { public_key: &other.public_key(), ..claim }), Err(SignatureError::Mismatch));
}

proptest! {
    #[test]
    fn any_encoding_is_judged_as_by_definition(
        public_key in encodings(), nonce in encodings(), s in encodings(),
        message in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let signature = [nonce, s].concat();
        let claim = Claim { public_key: &public_key, identity: None, signature: &signature, message: &message };
        prop_assert_eq!(verify(&claim).is_ok(), by_definition(&claim));
        let about_encoding = CompressedEdwardsY(public_key).decompress().is_none_or(|point| {
            point.compress().0 != public_key || point.is_small_order()
        });
        prop_assert_eq!(suite("ed25519").unwrap().check_public_key(&public_key).is_err(), about_encoding);
    }

    #[test]
    fn a_changed_bit_is_refused(seed in any::<u8>(), bit in 0..768_usize) {
        let mut case = good(seed);
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        match byte.checked_sub(32) {
            None => case.public_key[byte] ^= mask,
            Some(byte) => case.signature[byte] ^= mask,
        }
        prop_assert!(verify(&case.claim()).is_err());
        let others = [good(1), case, good(2), good(3)];
        let claims: Vec<_> = others.iter().map(Case::claim).collect();
        prop_assert_eq!(verify_batch(&claims), claims.iter().map(verify).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_of_anything_is_judged_as_its_claims_are_alone(
        drawn in prop::collection::vec((0..144_usize, 0..9_u8), 0..80),
    ) {
        let cases = cases();
        // One in four is a crafted case, the others are good and by few keys.
        let all: Vec<_> = drawn.iter().map(|&(at, key)| cases.get(at).cloned().unwrap_or_else(|| good(key))).collect();
        let claims: Vec<_> = all.iter().map(Case::claim).collect();
        prop_assert_eq!(verify_batch(&claims), claims.iter().map(verify).collect::<Vec<_>>());
    }
}

/// 32 bytes of the kinds that encodings differ in: any, near 0, near p, points, torsion points.
fn encodings() -> impl Strategy<Value = [u8; 32]> {
    let near = |start: [u8; 32], sign: bool, step: u8| {
        let mut bytes = plus(start, [vec![step], vec![0; 31]].concat().try_into().unwrap());
        bytes[31] |= u8::from(sign) << 7;
        bytes
    };
    let below_prime = number("ddffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    prop_oneof![
        any::<[u8; 32]>(),
        (any::<bool>(), 0..40_u8).prop_map(move |(sign, step)| near([0; 32], sign, step)),
        (any::<bool>(), 0..34_u8).prop_map(move |(sign, step)| near(below_prime, sign, step)),
        any::<u64>().prop_map(|scalar| (Scalar::from(scalar) * B).compress().0),
        (0..8_usize).prop_map(|index| EIGHT_TORSION[index].compress().0),
    ]
}
