//! Suite `sm2`: the signatures of GB/T 32918.2 over the curve of GB/T 32918.5, with SM3.
//!
//! Accepted is exactly: the key is a compressed point of the curve, `r` and `s` are from 1 to the order less 1, and the
//! verification of GB/T 32918.2 section 7 holds for the signer's identity. The identity enters the hash that is signed,
//! together with the curve and the key (`ZA`); it is the one in the key's record, and otherwise that of GM/T 0009.
//! An `s` cannot be replaced by its negative here: the check uses `r + s`. The curve work is that of the crate `sm2`.
//!
//! The sum of two multiples, of the base point and of the key, is most of the work. Of the base point there is a table,
//! and of keys that sign often another each; and the sums of several claims share the one inversion that says where
//! they lie. None of it changes a verdict. All numbers are public, so what they cost in time may show them.

mod comb;
mod known_keys;
#[cfg(test)]
// A failed expectation is how a test reports.
#[allow(clippy::unwrap_used)]
mod tests;

use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, SecretDocument};
use rayon::prelude::*;
use sm2::dsa::signature::Signer as _;
use sm2::dsa::{Signature, SigningKey};
use sm2::elliptic_curve::BatchNormalize as _;
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::point::AffineCoordinates as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, SecretKey};
use zeroize::Zeroizing;

use crate::cores::on_all_cores;

use super::halves::{Halves, PUBLIC_KEY_BYTES, SM2_ORDER};
use super::{Claim, SignatureError, SignatureSuite};
use known_keys::{Found, KnownKey, KnownKeys, point};

/// The identity of who states none (GM/T 0009-2012, 10).
pub const DEFAULT_IDENTITY: &str = "1234567812345678";

/// Claims that share an inversion: so many, and it is a thirtieth of their time.
const CHUNK_MAX: usize = 32;

/// The suite; what it keeps of keys changes no verdict.
#[derive(Clone, Copy, Debug)]
pub struct Sm2;

type Verdict = Result<(), SignatureError>;

impl SignatureSuite for Sm2 {
    fn name(&self) -> &'static str {
        "sm2"
    }

    fn public_key_bytes(&self) -> usize {
        PUBLIC_KEY_BYTES
    }

    fn check_public_key(&self, public_key: &[u8]) -> Verdict {
        point(public_key).map(|_| ())
    }

    fn verify(&self, claim: &Claim<'_>) -> Verdict {
        judged(KnownKeys::shared(), std::slice::from_ref(claim)).into_iter().collect()
    }

    fn verify_batch(&self, claims: &[Claim<'_>]) -> Vec<Verdict> {
        on_all_cores(|| {
            let share = claims.len().div_ceil(rayon::current_num_threads()).clamp(1, CHUNK_MAX);
            claims.par_chunks(share).flat_map_iter(|chunk| judged(KnownKeys::shared(), chunk)).collect()
        })
    }
}

/// The verdicts on claims, on one core.
fn judged(known: &KnownKeys, claims: &[Claim<'_>]) -> Vec<Verdict> {
    let opened: Vec<_> = claims.iter().map(|claim| opened(known, claim)).collect();
    let sums: Vec<_> = opened.iter().flatten().map(|(_, equation)| equation.sum).collect();
    let mut sums = ProjectivePoint::batch_normalize(sums.as_slice()).into_iter();
    let verdict = |opened: Result<(Found, Equation), SignatureError>| {
        let (found, equation) = opened?;
        if !sums.next().is_some_and(|sum| equation.holds(&sum)) {
            return Err(SignatureError::Mismatch);
        }
        known.learn_good(&found);
        Ok(())
    };
    opened.into_iter().map(verdict).collect()
}

/// The key of a claim and its equation, if their encodings pass.
fn opened(known: &KnownKeys, claim: &Claim<'_>) -> Result<(Found, Equation), SignatureError> {
    let identity = claim.identity.unwrap_or(DEFAULT_IDENTITY);
    let found = known.find(claim.public_key, identity)?;
    Halves::read(claim.signature, &SM2_ORDER)?;
    let signature = Signature::from_slice(claim.signature).map_err(|_| SignatureError::Mismatch)?;
    let equation = Equation::new(&found.key, &signature, &found.key.message_hash(identity, claim.message)?)?;
    Ok((found, equation))
}

/// What is left to be seen of a signature: where the sum of `s` base points and `r + s` keys lies.
struct Equation {
    sum: ProjectivePoint,
    /// Its first coordinate, modulo the order, if the signature is good: `r` less the hash.
    x: Scalar,
}

impl Equation {
    fn new(key: &KnownKey, signature: &Signature, hash: &FieldBytes) -> Result<Self, SignatureError> {
        let (r, s) = signature.split_scalars();
        let of_key = *r + *s;
        if of_key == Scalar::ZERO {
            return Err(SignatureError::Mismatch);
        }
        Ok(Self { sum: key.sum(&s, &of_key), x: *r - Scalar::reduce(hash) })
    }

    fn holds(&self, sum: &AffinePoint) -> bool {
        // A sum at infinity has no coordinates, and is refused as the library refuses it.
        !bool::from(sum.is_identity()) && Scalar::reduce(&sum.x()) == self.x
    }
}

/// The secret half, wiped when dropped; the copy that the library makes for a signature is not.
pub(super) struct Secret(SecretKey);

impl Secret {
    pub(super) fn generate() -> Result<Self, SignatureError> {
        let mut scalar = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(scalar.as_mut_slice()).map_err(|_| SignatureError::NoRandomness)?;
            // One draw in 2^32 is not below the order, and is drawn again.
            if let Ok(key) = SecretKey::from_slice(scalar.as_slice()) {
                return Ok(Self(key));
            }
        }
    }

    /// `None` where this is no key of this curve.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        SecretKey::from_pkcs8_der(der).ok().map(Self)
    }

    /// `None` where there is no memory.
    pub(super) fn to_pkcs8(&self) -> Option<SecretDocument> {
        self.0.to_pkcs8_der().ok()
    }

    pub(super) fn public_key(&self) -> Vec<u8> {
        self.0.public_key().to_sec1_point(true).as_bytes().to_vec()
    }

    /// The same message always gives the same signature: the nonce is that of RFC 6979 with SM3.
    pub(super) fn sign(&self, message: &[u8], identity: Option<&str>) -> Result<Vec<u8>, SignatureError> {
        let key = SigningKey::new(identity.unwrap_or(DEFAULT_IDENTITY), &self.0);
        let signature = key.and_then(|key| key.try_sign(message)).map_err(|_| SignatureError::NotSigned)?;
        Ok(signature.to_vec())
    }
}
