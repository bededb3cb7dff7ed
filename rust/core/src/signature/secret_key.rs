//! The secret half of a key: it signs, never prints itself, and is wiped from memory when dropped.

use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use zeroize::{Zeroize, Zeroizing};

use super::{Ed25519, MlDsa44, P256, PublicKey, SignatureError, SignatureSuite, Sm2, ml_dsa_44, p256, sm2, suite};

/// A secret key of any suite.
pub struct SecretKey {
    half: Half,
    identity: Option<Box<str>>,
}

enum Half {
    Ed25519(Box<Seeded>),
    P256(p256::Secret),
    Sm2(sm2::Secret),
    MlDsa44(ml_dsa_44::Secret),
}

/// An Ed25519 key, wiped when dropped.
struct Seeded(SigningKey);

impl Drop for Seeded {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<Half> for SecretKey {
    fn from(half: Half) -> Self {
        Self { half, identity: None }
    }
}

impl SecretKey {
    /// A new key of that suite, from the operating system's randomness.
    ///
    /// # Errors
    /// `UnknownSuite`, `NoRandomness`.
    pub fn generate(name: &str) -> Result<Self, SignatureError> {
        let half = match suite(name).map(SignatureSuite::name) {
            Some("ed25519") => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(seed.as_mut_slice()).map_err(|_| SignatureError::NoRandomness)?;
                return Ok(Self::from_seed(&seed));
            }
            Some("p256") => Half::P256(p256::Secret::generate()?),
            Some("sm2") => Half::Sm2(sm2::Secret::generate()?),
            Some("ml-dsa-44") => Half::MlDsa44(ml_dsa_44::Secret::generate()?),
            _ => return Err(SignatureError::UnknownSuite { name: name.to_owned() }),
        };
        Ok(half.into())
    }

    /// The Ed25519 key of that seed (RFC 8032).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Half::Ed25519(Box::new(Seeded(SigningKey::from_bytes(seed)))).into()
    }

    /// The key in a PKCS#8 document that is not of an Ed25519 key; `None` where it is of no suite, or not whole.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let p256 = || p256::Secret::from_pkcs8(der).map(Half::P256);
        let sm2 = || sm2::Secret::from_pkcs8(der).map(Half::Sm2);
        let ml_dsa_44 = || ml_dsa_44::Secret::from_pkcs8(der).map(Half::MlDsa44);
        p256().or_else(sm2).or_else(ml_dsa_44).map(Self::from)
    }

    /// The PKCS#8 document of a key that is not of suite `ed25519`.
    pub(crate) fn to_pkcs8(&self) -> Option<pkcs8::SecretDocument> {
        match &self.half {
            Half::Ed25519(_) => None,
            Half::P256(half) => half.to_pkcs8(),
            Half::Sm2(half) => half.to_pkcs8(),
            Half::MlDsa44(half) => half.to_pkcs8(),
        }
    }

    /// The same key of a signer with an identity of his own; a key file does not hold it.
    ///
    /// # Errors
    /// `Identity`: it is not one, or the suite is not `sm2`.
    pub fn with_identity(self, identity: &str) -> Result<Self, SignatureError> {
        PublicKey::new(self.suite().name(), &[], Some(identity))?;
        Ok(Self { identity: Some(identity.into()), ..self })
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> &'static dyn SignatureSuite {
        match &self.half {
            Half::Ed25519(_) => &Ed25519,
            Half::P256(_) => &P256,
            Half::Sm2(_) => &Sm2,
            Half::MlDsa44(_) => &MlDsa44,
        }
    }

    /// The signer's identity, where it is not the one that suite `sm2` supposes.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The seed of an Ed25519 key, which is the whole secret.
    #[must_use]
    pub fn seed(&self) -> Option<&[u8; 32]> {
        match &self.half {
            Half::Ed25519(half) => Some(half.0.as_bytes()),
            _ => None,
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        match &self.half {
            Half::Ed25519(half) => <[u8; 32]>::from(VerificationKeyBytes::from(&half.0)).to_vec(),
            Half::P256(half) => half.public_key(),
            Half::Sm2(half) => half.public_key(),
            Half::MlDsa44(half) => half.public_key(),
        }
    }

    /// The signature over `message`. By suites `ed25519` and `sm2` the same message always gives the same one.
    ///
    /// # Errors
    /// `NotSigned`, which suite `ed25519` never gives.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        match &self.half {
            Half::Ed25519(half) => Ok(half.0.sign(message).to_bytes().to_vec()),
            Half::P256(half) => half.sign(message),
            Half::Sm2(half) => half.sign(message, self.identity()),
            Half::MlDsa44(half) => half.sign(message),
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("SecretKey").field(&crate::encoding::hex(&self.public_key())).finish()
    }
}
