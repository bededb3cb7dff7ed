//! The verdicts of the suite beside those of the library's own verifier, with tables and without, and what is kept.

use std::iter::repeat_n;

use proptest::prelude::*;
use sm2::dsa::VerifyingKey;
use sm2::dsa::signature::Verifier as _;
use sm2::dsa::signature::hazmat::PrehashVerifier as _;
use sm2::elliptic_curve::PrimeField as _;

use super::known_keys::{KEPT_MAX, TABLE_FROM};
use super::*;

/// A key, and what the library makes of it.
struct Holder {
    secret: Scalar,
    public_key: Vec<u8>,
    library: VerifyingKey,
}

impl Holder {
    fn new(secret: Scalar) -> Self {
        let key = SecretKey::from_slice(&secret.to_repr()).unwrap();
        let public_key = Secret(key).public_key();
        let library = VerifyingKey::from_sec1_bytes(DEFAULT_IDENTITY, &public_key).unwrap();
        Self { secret, public_key, library }
    }

    fn numbered(number: u64) -> Self {
        Self::new(scalar(blake3::hash(&number.to_le_bytes()).into()))
    }

    /// The key as it is known without a table, and with one.
    fn known(&self) -> [KnownKey; 2] {
        let known = || KnownKey::new(self.public_key.as_slice().try_into().unwrap(), DEFAULT_IDENTITY).unwrap();
        let with_table = known();
        with_table.make_table();
        [known(), with_table]
    }

    fn sign(&self, message: &[u8], identity: Option<&str>) -> Vec<u8> {
        Secret(SecretKey::from_slice(&self.secret.to_repr()).unwrap()).sign(message, identity).unwrap()
    }

    fn claim<'a>(&'a self, signature: &'a [u8], message: &'a [u8]) -> Claim<'a> {
        Claim { public_key: &self.public_key, identity: None, signature, message }
    }

    /// Whether the library accepts a signature over a hash; both ways here must say the same.
    fn accepts(&self, signature: &Signature, hash: &FieldBytes) -> bool {
        let accepted = self.library.verify_prehash(hash, signature).is_ok();
        for known in self.known() {
            let ours = Equation::new(&known, signature, hash).is_ok_and(|it| it.holds(&it.sum.to_affine()));
            assert_eq!(ours, accepted, "{signature:?} {hash:02x?}");
        }
        accepted
    }
}

fn scalar(bytes: [u8; 32]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(bytes))
}

/// The verdict of the library alone, as the suite gave it before there were tables.
fn library(claim: &Claim<'_>) -> bool {
    let identity = claim.identity.unwrap_or(DEFAULT_IDENTITY);
    let key = super::super::halves::compressed(claim.public_key)
        .ok()
        .and_then(|bytes| VerifyingKey::from_sec1_bytes(identity, &bytes).ok());
    let signature = Signature::from_slice(claim.signature);
    key.zip(signature.ok()).is_some_and(|(key, signature)| key.verify(claim.message, &signature).is_ok())
}

fn accepted(verdicts: &[Verdict]) -> Vec<bool> {
    verdicts.iter().map(Result::is_ok).collect()
}

/// The signature whose equation has these factors, over the hash that makes it good, where there is one.
fn crafted(holder: &Holder, s: Scalar, of_key: Scalar) -> Option<(Signature, FieldBytes)> {
    let sum = ProjectivePoint::GENERATOR * (s + of_key * holder.secret);
    let r = of_key - s;
    let hash = r - Scalar::reduce(&sum.to_affine().x());
    Signature::from_scalars(r.to_repr(), s.to_repr()).ok().map(|signature| (signature, hash.to_repr()))
}

/// Both factors at the ends of their range, and where the sum adds equal points, opposite ones and infinity.
#[test]
fn the_ends_of_the_range_are_judged_as_the_library_judges_them() {
    let holders = [Scalar::ONE, -Scalar::ONE, Scalar::from(2_u64), -Scalar::from(2_u64), scalar([0x5a; 32])];
    let (mut good, mut infinite) = (0, 0);
    for holder in holders.map(Holder::new) {
        let secret = holder.secret;
        let ends = [Scalar::ONE, -Scalar::ONE, Scalar::from(2_u64), Scalar::TWO_INV, scalar([0xa7; 32])];
        for end in ends {
            // Where the key times `of_key` is the base point times `s` the sum doubles; its opposite is infinity.
            let doubles = [(secret * end, end), (-(secret * end), end)];
            for (s, of_key) in ends.map(|of_key| (end, of_key)).into_iter().chain(doubles) {
                let Some((signature, hash)) = crafted(&holder, s, of_key) else { continue };
                let is_infinite = s + of_key * secret == Scalar::ZERO;
                assert_eq!(holder.accepts(&signature, &hash), !is_infinite);
                let next = scalar(hash.into()) + Scalar::ONE;
                assert!(!holder.accepts(&signature, &next.to_repr()));
                good += u32::from(!is_infinite);
                infinite += u32::from(is_infinite);
            }
        }
    }
    assert!(good > 100 && infinite > 10, "{good} {infinite}");
}

/// `r + s` is the order: nothing is left to multiply the key by, and the sum is a good-looking one of base points.
#[test]
fn nothing_times_the_key_is_refused() {
    let holder = Holder::numbered(1);
    for s in [Scalar::ONE, -Scalar::ONE, scalar([0x33; 32])] {
        let (signature, hash) = crafted(&holder, s, Scalar::ZERO).unwrap();
        assert!(!holder.accepts(&signature, &hash));
    }
}

/// A hash is any 256 bits, and taken modulo the order.
#[test]
fn a_hash_above_the_order_counts_as_what_is_left_of_it() {
    let holder = Holder::numbered(2);
    for hash in [[0xff; 32], SM2_ORDER.to_be_bytes().into(), [0; 32]] {
        // With its sum chosen, r follows from the hash, and s from both and the key: s (1 + d) = k - r d.
        let nonce = scalar([0x77; 32]);
        let r = scalar(hash) + Scalar::reduce(&(ProjectivePoint::GENERATOR * nonce).to_affine().x());
        let s = (nonce - r * holder.secret) * (Scalar::ONE + holder.secret).invert().unwrap();
        let signature = Signature::from_scalars(r.to_repr(), s.to_repr()).unwrap();
        assert!(holder.accepts(&signature, &hash.into()));
    }
}

/// One inversion serves a whole chunk, and whoever puts infinity into it changes no verdict but his own.
#[test]
fn sums_at_infinity_leave_their_neighbours_alone() {
    let holder = Holder::numbered(3);
    let [known, _] = holder.known();
    let (good, hash) = crafted(&holder, scalar([1; 32]), scalar([2; 32])).unwrap();
    let factor = scalar([3; 32]);
    let (bad, bad_hash) = crafted(&holder, -(holder.secret * factor), factor).unwrap();
    let equations: Vec<_> = [(&bad, &bad_hash), (&good, &hash), (&bad, &bad_hash), (&good, &hash), (&bad, &bad_hash)]
        .map(|(signature, hash)| Equation::new(&known, signature, hash).unwrap())
        .into();
    let sums: Vec<_> = equations.iter().map(|equation| equation.sum).collect();
    let sums = ProjectivePoint::batch_normalize(sums.as_slice());
    let held: Vec<_> = equations.iter().zip(&sums).map(|(equation, sum)| equation.holds(sum)).collect();
    assert_eq!(held, [false, true, false, true, false]);
}

/// Good and bad claims of few keys, some with an identity of their own, once before there are tables, and again after.
#[test]
fn what_is_known_of_keys_changes_no_verdict() {
    let known = KnownKeys::new(KEPT_MAX);
    let holders: Vec<_> = (10..15).map(Holder::numbered).collect();
    let identity = |at: usize| [None, Some("ALICE123@YAHOO.COM"), Some(DEFAULT_IDENTITY), Some("")][at % 4];
    let made: Vec<_> = (0..60_usize)
        .map(|at| {
            let message = at.to_le_bytes();
            let mut signature = holders[at % 5].sign(&message, identity(at));
            match at % 7 {
                1 => signature[at] ^= 1,
                4 => signature[32..].copy_from_slice(&[0; 32]),
                _ => {}
            }
            (signature, message)
        })
        .collect();
    let claim = |(at, (signature, message)): (usize, &'static (Vec<u8>, [u8; 8]))| Claim {
        identity: identity(if at % 11 == 5 { at + 1 } else { at }),
        ..holders[at % 5].claim(signature, message)
    };
    let made: &'static Vec<(Vec<u8>, [u8; 8])> = Box::leak(Box::new(made));
    let claims: Vec<_> = made.iter().enumerate().map(claim).collect();
    let expected: Vec<_> = claims.iter().map(library).collect();
    assert!(expected.iter().filter(|good| **good).count() > 20 && expected.iter().filter(|good| !**good).count() > 10);
    for size in [1, 7, 60] {
        let verdicts: Vec<_> = claims.chunks(size).flat_map(|chunk| judged(&known, chunk)).collect();
        assert_eq!(accepted(&verdicts), expected);
    }
    assert!(holders.iter().all(|holder| known.has_table(&holder.public_key)));
    assert_eq!(accepted(&Sm2.verify_batch(&claims)), expected);
    assert_eq!(claims.iter().map(|claim| Sm2.verify(claim).is_ok()).collect::<Vec<_>>(), expected);
}

#[test]
fn the_third_good_claim_makes_the_table_and_bad_ones_leave_no_trace() {
    let known = KnownKeys::new(KEPT_MAX);
    let holder = Holder::numbered(20);
    let good = holder.sign(b"order", None);
    let (good, bad) = (holder.claim(&good, b"order"), holder.claim(&good, b"orders"));
    judged(&known, &repeat_n(bad, 9).collect::<Vec<_>>());
    assert!(!known.has(&holder.public_key));
    judged(&known, &repeat_n(good, TABLE_FROM as usize - 1).collect::<Vec<_>>());
    assert!(known.has(&holder.public_key) && !known.has_table(&holder.public_key));
    judged(&known, &repeat_n(bad, 9).collect::<Vec<_>>());
    assert!(!known.has_table(&holder.public_key));
    assert_eq!(judged(&known, &[bad, good, bad]).iter().filter(|verdict| verdict.is_ok()).count(), 1);
    assert!(known.has_table(&holder.public_key));
}

/// Somebody signs with ever new keys, each often enough for a table; whoever signs in between keeps his own.
#[test]
fn a_sender_of_ever_new_keys_costs_others_no_table() {
    let known = KnownKeys::new(32);
    let regular = Holder::numbered(30);
    let signature = regular.sign(b"order", None);
    let claims: Vec<_> = repeat_n(regular.claim(&signature, b"order"), TABLE_FROM as usize).collect();
    judged(&known, &claims);
    for number in 31..131 {
        let new = Holder::numbered(number);
        let signature = new.sign(b"order", None);
        let new = new.claim(&signature, b"order");
        assert!((0..TABLE_FROM).all(|_| judged(&known, &[new]) == [Ok(())]));
        assert!(known.has_table(&regular.public_key), "{number}");
        assert_eq!(judged(&known, &claims[..1]), [Ok(())]);
    }
}

#[test]
fn an_identity_is_hashed_if_its_bits_fit_two_bytes() {
    let holder = Holder::numbered(60);
    let [known, _] = holder.known();
    assert!(known.message_hash(&"x".repeat(8_191), b"").is_ok());
    assert_eq!(known.message_hash(&"x".repeat(8_192), b""), Err(SignatureError::Identity));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_those_of_the_library(secret in any::<[u8; 32]>(), s in any::<[u8; 32]>(), t in any::<[u8; 32]>()) {
        prop_assume!(scalar(secret) != Scalar::ZERO);
        let holder = Holder::new(scalar(secret));
        let expected = ProjectivePoint::GENERATOR * scalar(s) + *holder.library.as_affine() * scalar(t);
        for known in holder.known() {
            prop_assert_eq!(known.sum(&scalar(s), &scalar(t)), expected);
        }
    }

    #[test]
    fn any_signature_over_any_hash_is_judged_as_the_library_judges_it(
        r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), hash in any::<[u8; 32]>(), number in 0..8_u64,
    ) {
        let holder = Holder::numbered(number);
        let random = Signature::from_scalars(scalar(r).to_repr(), scalar(s).to_repr()).unwrap();
        prop_assert!(!holder.accepts(&random, &hash.into()));
        let (good, hash) = crafted(&holder, scalar(r), scalar(s)).unwrap();
        prop_assert!(holder.accepts(&good, &hash));
    }
}
