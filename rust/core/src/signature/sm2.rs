//! Suite `sm2`: the signatures of GB/T 32918.2 over the curve of GB/T 32918.5, with SM3.
//!
//! Accepted is exactly: the key is a compressed point of the curve, `r` and `s` are from 1 to the order less 1, and the
//! verification of GB/T 32918.2 section 7 holds for the signer's identity. The identity enters the hash that is signed,
//! together with the curve and the key (`ZA`); it is the one in the key's record, and otherwise that of GM/T 0009.
//! An `s` cannot be replaced by its negative here: the check uses `r + s`. The curve work is that of the crate `sm2`.

use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, SecretDocument};
use sm2::SecretKey;
use sm2::dsa::signature::{Signer as _, Verifier as _};
use sm2::dsa::{Signature, SigningKey, VerifyingKey};
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use zeroize::Zeroizing;

use super::halves::{Halves, PUBLIC_KEY_BYTES, SM2_ORDER, compressed};
use super::{Claim, SignatureError, SignatureSuite};

/// The identity of who states none (GM/T 0009-2012, 10).
pub const DEFAULT_IDENTITY: &str = "1234567812345678";

/// The suite; it has no state.
#[derive(Clone, Copy, Debug)]
pub struct Sm2;

impl SignatureSuite for Sm2 {
    fn name(&self) -> &'static str {
        "sm2"
    }

    fn public_key_bytes(&self) -> usize {
        PUBLIC_KEY_BYTES
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), SignatureError> {
        parsed(public_key, None).map(|_| ())
    }

    fn verify(&self, claim: &Claim<'_>) -> Result<(), SignatureError> {
        let key = parsed(claim.public_key, claim.identity)?;
        Halves::read(claim.signature, &SM2_ORDER)?;
        let signature = Signature::from_slice(claim.signature).map_err(|_| SignatureError::Mismatch)?;
        key.verify(claim.message, &signature).map_err(|_| SignatureError::Mismatch)
    }
}

fn parsed(public_key: &[u8], identity: Option<&str>) -> Result<VerifyingKey, SignatureError> {
    let bytes = compressed(public_key)?;
    VerifyingKey::from_sec1_bytes(identity.unwrap_or(DEFAULT_IDENTITY), &bytes)
        .map_err(|_| SignatureError::PublicKeyEncoding)
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
