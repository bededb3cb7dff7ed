//! Keys, salts, values and leaves of the state map: how a record becomes 64 bytes.

use crate::hash::{Hash, HashSuite, Pair, Purpose, pair};

/// What keeps a record from being guessed from its value.
pub type Salt = [u8; 16];

/// What the map keeps of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The record's key.
    pub key: Hash,
    /// Its value, as `record_value` makes it with the salt.
    pub value: Hash,
    /// Its salt, which enters no hash but through the value.
    pub salt: Salt,
    /// How many records were born before it: where the index keeps it. It enters no hash.
    pub number: u32,
}

/// A leaf that is to be written, and its hash, which whoever wrote the record has already.
#[derive(Clone, Copy, Debug)]
pub struct Hashed {
    /// The leaf.
    pub leaf: Leaf,
    /// What `state_leaf` makes of it.
    pub hash: Hash,
}

impl Hashed {
    /// Leaves with their hashes.
    #[must_use]
    pub fn all(suite: &dyn HashSuite, leaves: &[Leaf]) -> Vec<Self> {
        let hashes = state_leaves(suite, leaves.iter().map(|leaf| (&leaf.key, &leaf.value)));
        leaves.iter().zip(hashes).map(|(&leaf, hash)| Self { leaf, hash }).collect()
    }
}

/// The key of the record `id` of that `kind`.
///
/// No kind holds a zero byte, so no two pairs of kind and id are hashed as the same bytes.
#[must_use]
pub fn record_key(suite: &dyn HashSuite, kind: &str, id: &str) -> Hash {
    suite.hash(Purpose::RecordKey, &[kind.as_bytes(), &[0], id.as_bytes()])
}

/// The salt of a record after a transaction.
///
/// `before` is the record's salt before that transaction, if there was such a record; `salt_i` is the salt of the
/// last instruction of the transaction that wrote it.
#[must_use]
pub fn record_salt(suite: &dyn HashSuite, before: Option<&Salt>, salt_i: &Salt, key: &Hash) -> Salt {
    let mut salt = Salt::default();
    let hash = suite.hash(Purpose::RecordSalt, &[before.unwrap_or(&Salt::default()), salt_i, key]);
    salt.copy_from_slice(&hash[..16]);
    salt
}

/// The value of a record: a salted hash of its canonical JSON.
#[must_use]
pub fn record_value(suite: &dyn HashSuite, salt: &Salt, record: &[u8]) -> Hash {
    suite.hash(Purpose::Record, &[salt, record])
}

/// The leaf that stands for a record, in the map and in the tree of a transaction's changes.
#[must_use]
pub fn state_leaf(suite: &dyn HashSuite, key: &Hash, value: &Hash) -> Hash {
    suite.hash(Purpose::StateLeaf, &[key, value])
}

/// What `state_leaf` makes of each of those keys and values, in their order.
#[must_use]
pub fn state_leaves<'a>(suite: &dyn HashSuite, records: impl Iterator<Item = (&'a Hash, &'a Hash)>) -> Vec<Hash> {
    let pairs: Vec<Pair> = records.map(|(key, value)| pair(key, value)).collect();
    let mut hashes = Vec::with_capacity(pairs.len());
    suite.hash_pairs(Purpose::StateLeaf, &pairs, &mut hashes);
    hashes
}
