//! Signatures of two halves, `r` and `s`, each a number below the order of a group: suites `p256` and `sm2`.
//!
//! On the ledger they are 64 bytes, `r || s`, big-endian. Hardware and other libraries write DER, and whoever sees an
//! ECDSA signature can put the order less `s` for `s`. Both are settled here, before a transaction is sent, and never
//! while one is judged: what the ledger holds has one spelling.

use pkcs8::der::asn1::UintRef;
use pkcs8::der::{Decode as _, Encode as _};
use sm2::U256;

use super::{SignatureError, key_length, of_length, signature_length};

const HALF_BYTES: usize = 32;
/// Bytes of a signature in its spelling on the ledger.
pub(super) const SIGNATURE_BYTES: usize = 2 * HALF_BYTES;

/// The order of the group of P-256 (NIST SP 800-186, 3.2.1.3).
pub(super) const P256_ORDER: U256 =
    U256::from_be_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
/// The order of the group of SM2 (GB/T 32918.5, 2).
pub(super) const SM2_ORDER: U256 =
    U256::from_be_hex("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123");

/// Bytes of a compressed point (SEC 1, 2.3.3).
pub(super) const PUBLIC_KEY_BYTES: usize = 33;

/// The bytes of a compressed point, if they have its form; whether there is such a point is not yet asked.
///
/// The libraries read other forms of a key as well, one of them of 33 bytes too (its first byte is 5).
pub(super) fn compressed(public_key: &[u8]) -> Result<[u8; PUBLIC_KEY_BYTES], SignatureError> {
    let bytes = of_length::<PUBLIC_KEY_BYTES>(public_key, key_length)?;
    if [2, 3].contains(&bytes[0]) { Ok(bytes) } else { Err(SignatureError::PublicKeyEncoding) }
}

/// A signature taken apart.
pub(super) struct Halves {
    r: U256,
    s: U256,
}

impl Halves {
    /// Reads 64 bytes of a signature of a group of that order.
    pub(super) fn read(signature: &[u8], order: &U256) -> Result<Self, SignatureError> {
        let bytes = of_length::<SIGNATURE_BYTES>(signature, signature_length)?;
        let (r, s) = bytes.split_at(HALF_BYTES);
        let found = Self { r: U256::from_be_slice(r), s: U256::from_be_slice(s) };
        for (half, value) in [("r", &found.r), ("s", &found.s)] {
            if *value == U256::ZERO || value >= order {
                return Err(SignatureError::ScalarRange { half });
            }
        }
        Ok(found)
    }

    /// Whether `s` is above half the order of P-256, which is odd, so that no `s` is its own counterpart.
    pub(super) fn is_high(&self) -> bool {
        self.s > P256_ORDER.shr_vartime(1)
    }

    /// The signature with the lesser of the two values of `s`.
    pub(super) fn lowered(self) -> [u8; SIGNATURE_BYTES] {
        let s = if self.is_high() { P256_ORDER.wrapping_sub(&self.s) } else { self.s };
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes[..HALF_BYTES].copy_from_slice(self.r.to_be_bytes().as_ref());
        bytes[HALF_BYTES..].copy_from_slice(s.to_be_bytes().as_ref());
        bytes
    }
}

/// A signature of 64 bytes as the ledger holds those of that suite: in `p256` with the lesser `s`.
///
/// # Errors
/// `NoHalves`: signatures of the suite are not made of two halves. `SignatureLength`, `ScalarRange`.
pub fn on_the_ledger(suite: &str, signature: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignatureError> {
    match suite {
        "p256" => low_s(signature),
        "sm2" => {
            Halves::read(signature, &SM2_ORDER)?;
            of_length(signature, signature_length)
        }
        other => Err(SignatureError::NoHalves { name: other.to_owned() }),
    }
}

/// An ECDSA signature over P-256 with the lesser of the two values of `s`, as the ledger asks it: it holds exactly when
/// the given one does by the plain rule of FIPS 186-5.
///
/// # Errors
/// `SignatureLength`, `ScalarRange`.
pub fn low_s(signature: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignatureError> {
    Halves::read(signature, &P256_ORDER).map(Halves::lowered)
}

/// The 64 bytes of a signature in DER (RFC 3279, 2.2.3); the value of `s` stays what it is.
///
/// # Errors
/// `NotDer`: the DER is not strict, or a half has more than 32 bytes.
pub fn from_der(der: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignatureError> {
    let halves = Vec::<UintRef<'_>>::from_der(der).map_err(|_| SignatureError::NotDer)?;
    let [r, s] = halves.as_slice() else { return Err(SignatureError::NotDer) };
    let mut bytes = [0; SIGNATURE_BYTES];
    for (half, out) in [r, s].into_iter().zip(bytes.chunks_exact_mut(HALF_BYTES)) {
        let half = half.as_bytes();
        let start = HALF_BYTES.checked_sub(half.len()).ok_or(SignatureError::NotDer)?;
        out[start..].copy_from_slice(half);
    }
    Ok(bytes)
}

/// A signature of 64 bytes as DER, for programs that ask for it.
///
/// # Errors
/// `SignatureLength`.
pub fn to_der(signature: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let bytes = of_length::<SIGNATURE_BYTES>(signature, signature_length)?;
    let (r, s) = bytes.split_at(HALF_BYTES);
    let halves: Result<Vec<_>, _> = [r, s].into_iter().map(UintRef::new).collect();
    halves.and_then(|halves| halves.to_der()).map_err(|_| SignatureError::NotDer)
}
