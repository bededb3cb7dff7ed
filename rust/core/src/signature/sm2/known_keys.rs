//! Keys whose signatures were good: their points, the hash of their identity, and a table for those who sign often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use sm2::elliptic_curve::ops::MulVartime as _;
use sm2::elliptic_curve::point::AffineCoordinates as _;
use sm2::{AffinePoint, ProjectivePoint, PublicKey, Scalar, U256};
use sm3::{Digest as _, Sm3};

use super::super::SignatureError;
use super::super::halves::{PUBLIC_KEY_BYTES, compressed};
use super::super::kept_keys::KeptKeys;
use super::comb::{Comb, sum};

/// Keys kept, which are 20 MB where all have tables.
pub(super) const KEPT_MAX: usize = 1_024;
/// The good claim with which a key gets its table. Making one costs what it saves on two to three claims, so that less
/// than twice as much is done as would have been, had it been known how many are to come.
pub(super) const TABLE_FROM: u32 = 3;

/// The constants of the curve that are hashed with an identity: a, b, and x and y of the base point (GB/T 32918.5, 2).
const CURVE: [U256; 4] = [
    U256::from_be_hex("fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc"),
    U256::from_be_hex("28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93"),
    U256::from_be_hex("32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"),
    U256::from_be_hex("bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"),
];

static KNOWN: LazyLock<KnownKeys> = LazyLock::new(|| KnownKeys::new(KEPT_MAX));
static BASE_POINT: LazyLock<Comb> = LazyLock::new(|| Comb::new(&AffinePoint::GENERATOR));

/// What is kept of keys: nothing of those that never signed, so that nobody has a place who is not the holder of a key.
pub(super) struct KnownKeys(KeptKeys<[u8; PUBLIC_KEY_BYTES], Arc<KnownKey>>);

impl KnownKeys {
    /// Room for so many keys.
    pub(super) fn new(keys_max: usize) -> Self {
        Self(KeptKeys::new(keys_max))
    }

    /// The ones of this process.
    pub(super) fn shared() -> &'static Self {
        &KNOWN
    }

    /// A key, known or not, of a signer who has that identity if it is not known.
    pub(super) fn find(&self, public_key: &[u8], identity: &str) -> Result<Found, SignatureError> {
        let bytes = compressed(public_key)?;
        let kept = self.0.find(&bytes);
        let is_new = kept.is_none();
        let key = kept.map_or_else(|| KnownKey::new(&bytes, identity).map(Arc::new), Ok)?;
        Ok(Found { bytes, key, is_new })
    }

    /// Keeps a key of which a claim was good, and makes its table when there were enough.
    pub(super) fn learn_good(&self, found: &Found) {
        if found.is_new {
            // Whoever came first has kept it already, and the claims of all are counted there.
            if let Some(key) = self.0.keep(found.bytes, Arc::clone(&found.key)) {
                key.count_good();
            }
        } else {
            found.key.count_good();
        }
    }
}

#[cfg(test)]
impl KnownKeys {
    pub(super) fn has(&self, public_key: &[u8]) -> bool {
        public_key.try_into().is_ok_and(|key| self.0.find(key).is_some())
    }

    pub(super) fn has_table(&self, public_key: &[u8]) -> bool {
        let kept = public_key.try_into().ok().and_then(|key| self.0.find(key));
        kept.is_some_and(|key| key.table.get().is_some())
    }
}

/// A key that was looked for.
pub(super) struct Found {
    bytes: [u8; PUBLIC_KEY_BYTES],
    /// All that is known of it.
    pub(super) key: Arc<KnownKey>,
    is_new: bool,
}

/// What is known of a key.
pub(super) struct KnownKey {
    point: AffinePoint,
    /// The identity with which it was first seen, and the hash of that; a key has another one seldom.
    identity: Box<str>,
    identity_hash: [u8; 32],
    /// Good claims before there was a table.
    good: AtomicU32,
    table: OnceLock<Comb>,
}

impl KnownKey {
    pub(super) fn new(public_key: &[u8; PUBLIC_KEY_BYTES], identity: &str) -> Result<Self, SignatureError> {
        let point = point(public_key)?;
        let identity_hash = identity_hash(identity, &point)?;
        Ok(Self { point, identity: identity.into(), identity_hash, good: AtomicU32::new(0), table: OnceLock::new() })
    }

    /// The hash of a message that is said to be signed by a signer of that identity.
    pub(super) fn message_hash(&self, identity: &str, message: &[u8]) -> Result<sm2::FieldBytes, SignatureError> {
        let identity_hash =
            if identity == &*self.identity { self.identity_hash } else { identity_hash(identity, &self.point)? };
        Ok(Sm3::new().chain_update(identity_hash).chain_update(message).finalize())
    }

    /// The sum of so many base points and so many times this key.
    pub(super) fn sum(&self, of_base_point: &Scalar, of_key: &Scalar) -> ProjectivePoint {
        let base_point = (&*BASE_POINT, of_base_point);
        match self.table.get() {
            Some(table) => sum([base_point, (table, of_key)]),
            None => sum([base_point]) + ProjectivePoint::from(self.point).mul_vartime(of_key),
        }
    }

    fn count_good(&self) {
        // Exactly one thread counts to that number, and no other waits while it makes the table.
        if self.table.get().is_none() && self.good.fetch_add(1, Ordering::Relaxed) + 1 == TABLE_FROM {
            self.make_table();
        }
    }

    pub(super) fn make_table(&self) {
        self.table.get_or_init(|| Comb::new(&self.point));
    }
}

/// The point that is a key.
pub(super) fn point(public_key: &[u8]) -> Result<AffinePoint, SignatureError> {
    let key = PublicKey::from_sec1_bytes(&compressed(public_key)?);
    key.map(|key| *key.as_affine()).map_err(|_| SignatureError::PublicKeyEncoding)
}

/// `ZA` of GB/T 32918.2, 5.5: what the signature says of its signer.
fn identity_hash(identity: &str, key: &AffinePoint) -> Result<[u8; 32], SignatureError> {
    let bits = identity.len().checked_mul(8).and_then(|bits| u16::try_from(bits).ok());
    let mut hash = Sm3::new().chain_update(bits.ok_or(SignatureError::Identity)?.to_be_bytes()).chain_update(identity);
    for number in CURVE {
        hash.update(number.to_be_bytes());
    }
    Ok(hash.chain_update(key.x()).chain_update(key.y()).finalize().into())
}
