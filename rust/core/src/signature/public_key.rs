//! A public key with its suite, as the record of a key has them, and signatures by keys of any suites together.

use std::fmt;

use super::{Claim, SUITES, SignatureError, SignatureSuite, Sm2, suite};

/// The longest identity of a signer, in characters.
pub const IDENTITY_MAX: usize = 64;

/// A public key, and all that verifying under it asks for.
#[derive(Clone)]
pub struct PublicKey {
    suite: &'static dyn SignatureSuite,
    bytes: Box<[u8]>,
    identity: Option<Box<str>>,
}

impl PublicKey {
    /// A key of that suite. Whether the bytes are a key is judged with each signature.
    ///
    /// # Errors
    /// `UnknownSuite`; `Identity` unless it is 1 to 64 printable ASCII characters of a key of suite `sm2`.
    pub fn new(name: &str, bytes: &[u8], identity: Option<&str>) -> Result<Self, SignatureError> {
        let suite = suite(name).ok_or_else(|| SignatureError::UnknownSuite { name: name.to_owned() })?;
        let fits = |identity: &str| {
            suite.name() == Sm2.name()
                && (1..=IDENTITY_MAX).contains(&identity.len())
                && identity.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        match identity {
            Some(identity) if !fits(identity) => Err(SignatureError::Identity),
            _ => Ok(Self { suite, bytes: bytes.into(), identity: identity.map(Into::into) }),
        }
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> &'static dyn SignatureSuite {
        self.suite
    }

    /// The key's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The claim that this key made a signature.
    #[must_use]
    pub fn claim<'a>(&'a self, signature: &'a [u8], message: &'a [u8]) -> Claim<'a> {
        Claim { public_key: &self.bytes, identity: self.identity.as_deref(), signature, message }
    }

    /// Judges one signature.
    ///
    /// # Errors
    /// As `SignatureSuite::verify`.
    pub fn verify(&self, signature: &[u8], message: &[u8]) -> Result<(), SignatureError> {
        self.suite.verify(&self.claim(signature, message))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.suite.name() == other.suite.name() && self.bytes == other.bytes && self.identity == other.identity
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = crate::encoding::hex(&self.bytes);
        formatter
            .debug_struct("PublicKey")
            .field("suite", &self.suite.name())
            .field("bytes", &hex)
            .field("identity", &self.identity)
            .finish()
    }
}

/// A signature and the key that is said to have made it.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// The signature.
    pub signature: &'a [u8],
    /// The bytes that were signed.
    pub message: &'a [u8],
}

/// Judges signatures by keys of any suites, on all cores; each verdict is that of `PublicKey::verify`, in their order.
#[must_use]
pub fn verify_signed(signed: &[Signed<'_>]) -> Vec<Result<(), SignatureError>> {
    let mut verdicts = vec![Ok(()); signed.len()];
    for suite in SUITES {
        let name = suite.name();
        let (places, claims): (Vec<usize>, Vec<Claim<'_>>) = signed
            .iter()
            .enumerate()
            .filter(|(_, one)| one.key.suite.name() == name)
            .map(|(place, one)| (place, one.key.claim(one.signature, one.message)))
            .unzip();
        for (place, verdict) in places.into_iter().zip(suite.verify_batch(&claims)) {
            verdicts[place] = verdict;
        }
    }
    verdicts
}
