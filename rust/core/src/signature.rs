//! Signatures: who claims to have signed which bytes, and whether that is so.
//!
//! A suite has a name, which the record of a key carries. Each suite fixes its rule of acceptance to the last byte,
//! and gives the same verdict for a claim alone and in a batch, because two verifiers that disagree about one
//! signature disagree about the whole history that follows. No suite ever accepts "either way".

mod ed25519;
mod halves;
mod kept_keys;
mod ml_dsa_44;
mod p256;
mod public_key;
mod secret_key;
mod sm2;

pub use ed25519::Ed25519;
pub use halves::{from_der, low_s, on_the_ledger, to_der};
pub use ml_dsa_44::MlDsa44;
pub use p256::P256;
pub use public_key::{IDENTITY_MAX, PublicKey, Signed, verify_signed};
pub use secret_key::SecretKey;
pub use sm2::{DEFAULT_IDENTITY, Sm2};

use rayon::prelude::*;

use crate::cores::on_all_cores;

/// Which code for points the curve library has: it chooses among them when it runs, and offers what was built in.
pub const VECTOR_CODE: &str = if cfg!(curve25519_dalek_backend = "serial") || !cfg!(target_arch = "x86_64") {
    "serial code"
} else if cfg!(curve25519_dalek_backend = "avx512") {
    "AVX-512, AVX2 and serial code"
} else {
    "AVX2 and serial code"
};

/// The claim that a key signed a message; lengths are judged by the suite.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The public key, as its record holds it.
    pub public_key: &'a [u8],
    /// The signer's distinguishing identity where the key's record has one, which only suite `sm2` looks at.
    pub identity: Option<&'a str>,
    /// The signature.
    pub signature: &'a [u8],
    /// The bytes that were signed, with no prefix.
    pub message: &'a [u8],
}

/// Why a signature is not accepted; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The public key has the wrong length.
    #[error("the public key has {found} bytes, expected {expected}")]
    PublicKeyLength {
        /// Bytes of a key of this suite.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The signature has the wrong length.
    #[error("the signature has {found} bytes, expected {expected}")]
    SignatureLength {
        /// Bytes of a signature of this suite.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The public key is not the canonical encoding of a point.
    #[error("the public key is not the canonical encoding of a curve point")]
    PublicKeyEncoding,
    /// The public key is one of the points for which a signature proves nothing.
    #[error("the public key is of small order: anyone could sign for it")]
    PublicKeySmallOrder,
    /// The first half of the signature is not the canonical encoding of a point.
    #[error("the signature's first half R is not the canonical encoding of a curve point")]
    NonceEncoding,
    /// The second half of the signature is not below the group order.
    #[error("the signature's second half S is not below the group order")]
    ScalarTooLarge,
    /// A half of the signature that no signature has.
    #[error("the signature's half {half} is not from 1 to the group order less 1")]
    ScalarRange {
        /// `r` or `s`.
        half: &'static str,
    },
    /// The greater of the two values of `s` with which a signature would hold.
    #[error("the signature's half s is above half the group order: send the group order less s instead")]
    HighS,
    /// The signature is not the DER that two integers have.
    #[error("the signature is not strict DER of two integers from 0 to 2^256-1")]
    NotDer,
    /// A suite whose signatures have one spelling, or that is not known here.
    #[error("signatures of suite {name:?} are not two halves, expected p256 or sm2")]
    NoHalves {
        /// The name.
        name: String,
    },
    /// An identity that the suite has no use for, or one that it cannot bind.
    #[error("the identity is refused, expected 1 to {IDENTITY_MAX} printable ASCII characters, and suite sm2")]
    Identity,
    /// A suite that is not known here.
    #[error("there is no signature suite {name:?}; there are {SUITE_NAMES}")]
    UnknownSuite {
        /// The name.
        name: String,
    },
    /// Everything is well formed, but this key did not sign this message.
    #[error("the signature does not belong to this key and message")]
    Mismatch,
    /// A key was asked for and the system gave no randomness.
    #[error("the operating system gave no randomness, expected 32 bytes of it")]
    NoRandomness,
    /// The library that signs refused to, which it does only where it gets neither memory nor randomness.
    #[error("the key did not sign: the system gave too little memory or randomness")]
    NotSigned,
}

/// One way to sign, named in the records of keys.
pub trait SignatureSuite: Send + Sync {
    /// The name in a key's record.
    fn name(&self) -> &'static str;

    /// Bytes of a public key.
    fn public_key_bytes(&self) -> usize;

    /// Judges the public key alone, as enrolling a key asks.
    ///
    /// # Errors
    /// No signature by this key would ever be accepted.
    fn check_public_key(&self, public_key: &[u8]) -> Result<(), SignatureError>;

    /// Judges one claim.
    ///
    /// # Errors
    /// Always the same cause for the same claim; where several apply, one of them.
    fn verify(&self, claim: &Claim<'_>) -> Result<(), SignatureError>;

    /// Judges many claims, on all cores; each verdict, and its order, is that of `verify`.
    fn verify_batch(&self, claims: &[Claim<'_>]) -> Vec<Result<(), SignatureError>> {
        on_all_cores(|| claims.par_iter().with_min_len(ONE_BY_ONE_MIN).map(|claim| self.verify(claim)).collect())
    }
}

/// Claims that one core takes at a time where a suite knows no batch: each costs far more than handing it over.
const ONE_BY_ONE_MIN: usize = 2;

/// Every suite. Their names are in the records of keys for ever.
const SUITES: [&dyn SignatureSuite; 4] = [&Ed25519, &P256, &Sm2, &MlDsa44];

/// The names, for messages.
pub const SUITE_NAMES: &str = "ed25519, p256, sm2 and ml-dsa-44";

/// The suite of that name, or `None`.
#[must_use]
pub fn suite(name: &str) -> Option<&'static dyn SignatureSuite> {
    SUITES.into_iter().find(|suite| suite.name() == name)
}

/// The bytes as an array, or how many there should have been.
fn of_length<const N: usize>(
    bytes: &[u8],
    wrong: impl Fn(usize, usize) -> SignatureError,
) -> Result<[u8; N], SignatureError> {
    bytes.try_into().map_err(|_| wrong(N, bytes.len()))
}

/// `PublicKeyLength`.
fn key_length(expected: usize, found: usize) -> SignatureError {
    SignatureError::PublicKeyLength { expected, found }
}

/// `SignatureLength`.
fn signature_length(expected: usize, found: usize) -> SignatureError {
    SignatureError::SignatureLength { expected, found }
}

/// Judges one claim by suite `ed25519`.
///
/// # Errors
/// As `SignatureSuite::verify`.
pub fn verify(claim: &Claim<'_>) -> Result<(), SignatureError> {
    Ed25519.verify(claim)
}

/// Judges many claims by suite `ed25519`.
#[must_use]
pub fn verify_batch(claims: &[Claim<'_>]) -> Vec<Result<(), SignatureError>> {
    Ed25519.verify_batch(claims)
}
