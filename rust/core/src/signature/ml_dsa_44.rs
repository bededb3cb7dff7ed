//! Suite `ml-dsa-44`: ML-DSA-44 of FIPS 204, which a quantum computer is not known to break.
//!
//! Accepted is what `ML-DSA.Verify` accepts with the empty context string: the standard itself leaves one encoding of
//! each signature. Keys have 1,312 bytes and signatures 2,420. The lattice work is that of aws-lc-rs.

use aws_lc_rs::signature::{KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ParsedPublicKey, PqdsaKeyPair};
use pkcs8::SecretDocument;

use super::{Claim, SignatureError, SignatureSuite, key_length, of_length, signature_length};

const PUBLIC_KEY_BYTES: usize = 1_312;
const SIGNATURE_BYTES: usize = 2_420;

/// The suite; it has no state.
#[derive(Clone, Copy, Debug)]
pub struct MlDsa44;

impl SignatureSuite for MlDsa44 {
    fn name(&self) -> &'static str {
        "ml-dsa-44"
    }

    fn public_key_bytes(&self) -> usize {
        PUBLIC_KEY_BYTES
    }

    fn check_public_key(&self, public_key: &[u8]) -> Result<(), SignatureError> {
        parsed(public_key).map(|_| ())
    }

    fn verify(&self, claim: &Claim<'_>) -> Result<(), SignatureError> {
        let key = parsed(claim.public_key)?;
        let signature = of_length::<SIGNATURE_BYTES>(claim.signature, signature_length)?;
        key.verify_sig(claim.message, &signature).map_err(|_| SignatureError::Mismatch)
    }
}

fn parsed(public_key: &[u8]) -> Result<ParsedPublicKey, SignatureError> {
    // The library reads other encodings of a key as well; the length leaves only this one.
    let bytes = of_length::<PUBLIC_KEY_BYTES>(public_key, key_length)?;
    ParsedPublicKey::new(&ML_DSA_44, bytes).map_err(|_| SignatureError::PublicKeyEncoding)
}

/// The secret half; the library wipes it.
pub(super) struct Secret(PqdsaKeyPair);

impl Secret {
    pub(super) fn generate() -> Result<Self, SignatureError> {
        PqdsaKeyPair::generate(&ML_DSA_44_SIGNING).map(Self).map_err(|_| SignatureError::NoRandomness)
    }

    /// `None` where this is no key of this suite.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        PqdsaKeyPair::from_pkcs8(&ML_DSA_44_SIGNING, der).ok().map(Self)
    }

    /// The seed, as RFC 9881 has it; `None` where only the expanded key is known.
    pub(super) fn to_pkcs8(&self) -> Option<SecretDocument> {
        SecretDocument::try_from(self.0.to_pkcs8v1().ok()?.as_ref()).ok()
    }

    pub(super) fn public_key(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let mut signature = vec![0; SIGNATURE_BYTES];
        let length = self.0.sign(message, &mut signature).map_err(|_| SignatureError::NotSigned)?;
        if length == SIGNATURE_BYTES { Ok(signature) } else { Err(SignatureError::NotSigned) }
    }
}
