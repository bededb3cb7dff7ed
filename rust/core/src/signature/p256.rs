//! Suite `p256`: ECDSA over P-256 with SHA-256 (FIPS 186-5), which most hardware modules have.
//!
//! Accepted is exactly: the key is a compressed point of the curve, `r` and `s` are from 1 to the order less 1, `s` is
//! at most half the order, and the equation of FIPS 186-5 6.4.2 holds. ECDSA alone accepts two values of `s` for every
//! `r`; the ledger accepts the lesser, so that nobody can give a signature a second spelling. Signatures of others are
//! brought to it by `low_s` before they are sent. The curve work is that of aws-lc-rs.
//!
//! A key's second coordinate is a square root, which takes a quarter of a verification: keys whose signatures were good
//! are kept as the library has read them.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use pkcs8::SecretDocument;

use super::halves::{Halves, P256_ORDER, PUBLIC_KEY_BYTES, compressed};
use super::kept_keys::KeptKeys;
use super::{Claim, SignatureError, SignatureSuite, low_s};

/// Keys kept, in 3 MB at most.
const KEPT_MAX: usize = 4_096;

static KEPT: LazyLock<KeptKeys<[u8; PUBLIC_KEY_BYTES], Arc<ParsedPublicKey>>> =
    LazyLock::new(|| KeptKeys::new(KEPT_MAX));

/// The suite; what it keeps of keys changes no verdict.
#[derive(Clone, Copy, Debug)]
pub struct P256;

impl SignatureSuite for P256 {
    fn name(&self) -> &'static str {
        "p256"
    }

    fn public_key_bytes(&self) -> usize {
        PUBLIC_KEY_BYTES
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), SignatureError> {
        parsed(&compressed(public_key)?).map(|_| ())
    }

    fn verify(&self, claim: &Claim<'_>) -> Result<(), SignatureError> {
        let bytes = compressed(claim.public_key)?;
        let kept = KEPT.find(&bytes);
        let is_new = kept.is_none();
        let key = kept.map_or_else(|| parsed(&bytes).map(Arc::new), Ok)?;
        if Halves::read(claim.signature, &P256_ORDER)?.is_high() {
            return Err(SignatureError::HighS);
        }
        key.verify_sig(claim.message, claim.signature).map_err(|_| SignatureError::Mismatch)?;
        if is_new {
            KEPT.keep(bytes, key);
        }
        Ok(())
    }
}

fn parsed(public_key: &[u8; PUBLIC_KEY_BYTES]) -> Result<ParsedPublicKey, SignatureError> {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key).map_err(|_| SignatureError::PublicKeyEncoding)
}

/// The secret half; the library wipes it.
pub(super) struct Secret(EcdsaKeyPair);

impl Secret {
    pub(super) fn generate() -> Result<Self, SignatureError> {
        let made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        made.map(Self).map_err(|_| SignatureError::NoRandomness)
    }

    /// `None` where this is no key of this curve.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok().map(Self)
    }

    /// `None` where there is no memory.
    pub(super) fn to_pkcs8(&self) -> Option<SecretDocument> {
        SecretDocument::try_from(self.0.to_pkcs8v1().ok()?.as_ref()).ok()
    }

    pub(super) fn public_key(&self) -> Vec<u8> {
        // The library gives 0x04 || x || y; compressed, the first byte says whether y is odd.
        let point = self.0.public_key().as_ref();
        let odd = point.last().is_some_and(|last| last & 1 == 1);
        [&[if odd { 0x03 } else { 0x02 }], &point[1..PUBLIC_KEY_BYTES]].concat()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| SignatureError::NotSigned)?;
        low_s(signature.as_ref()).map(|bytes| bytes.to_vec())
    }
}
