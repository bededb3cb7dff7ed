//! Signatures: who claims to have signed which bytes, and whether that is so.
//!
//! A suite has a name, which the record of a key carries. Each suite fixes its rule of acceptance to the last byte,
//! and gives the same verdict for a claim alone and in a batch, because two verifiers that disagree about one
//! signature disagree about the whole history that follows. No suite ever accepts "either way".

mod ed25519;
mod secret_key;

pub use ed25519::Ed25519;
pub use secret_key::SecretKey;

/// The claim that a key signed a message; lengths are judged by the suite.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The public key, as its record holds it.
    pub public_key: &'a [u8],
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
    /// Everything is well formed, but this key did not sign this message.
    #[error("the signature does not belong to this key and message")]
    Mismatch,
    /// A key was asked for and the system gave no randomness.
    #[error("the operating system gave no randomness, expected 32 bytes of it")]
    NoRandomness,
}

/// One way to sign, named in the records of keys.
pub trait SignatureSuite: Send + Sync {
    /// The name in a key's record.
    fn name(&self) -> &'static str;

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
    fn verify_batch(&self, claims: &[Claim<'_>]) -> Vec<Result<(), SignatureError>>;
}

/// The suite of that name, or `None`: the only known name is `ed25519`.
#[must_use]
pub fn suite(name: &str) -> Option<&'static dyn SignatureSuite> {
    match name {
        "ed25519" => Some(&Ed25519),
        _ => None,
    }
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
