//! Purpose-separated hashing: the one place that decides how bytes become 32-byte hashes.
//!
//! Three suites stand behind one trait (`docs/format.md` section 2). It refuses to hash without a purpose,
//! so that a record can never be taken for a node, nor a node for an instruction.

use std::marker::PhantomData;

use blake3::IncrementCounter;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use blake3::platform::Platform;
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use sm3::Sm3;

/// A 32-byte hash.
pub type Hash = [u8; 32];

/// Two hashes one after the other: what a node is made of, and a leaf of the state map.
pub type Pair = [u8; 64];

/// The pair of two hashes.
#[must_use]
pub fn pair(left: &Hash, right: &Hash) -> Pair {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    pair
}

/// The root of an empty tree and of an empty subtree of the state map.
pub const EMPTY: Hash = [0; 32];

/// What a hash is for; the number is the prefix byte of the suites `sha256` and `sm3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Leaf of the tree over a transaction's instructions.
    Instruction = 0x02,
    /// Salt of one instruction, from the transaction's salt.
    Salt = 0x03,
    /// Leaf of the tree over a block's entries.
    Entry = 0x04,
    /// Inner node of every tree but the block log.
    Node = 0x05,
    /// Id of a transaction.
    Transaction = 0x06,
    /// Key of a record in the state map.
    RecordKey = 0x07,
    /// Salt of a record.
    RecordSalt = 0x08,
    /// Value of a record in the state map.
    Record = 0x09,
    /// Leaf of the state map.
    StateLeaf = 0x0a,
    /// Field of a document that is disclosed in part.
    Field = 0x0b,
}

impl Purpose {
    /// Every purpose, in the order of its byte.
    pub const ALL: [Self; 10] = [
        Self::Instruction,
        Self::Salt,
        Self::Entry,
        Self::Node,
        Self::Transaction,
        Self::RecordKey,
        Self::RecordSalt,
        Self::Record,
        Self::StateLeaf,
        Self::Field,
    ];

    /// The name that stands in the context of the `blake3` suite.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Salt => "salt",
            Self::Entry => "entry",
            Self::Node => "node",
            Self::Transaction => "transaction",
            Self::RecordKey => "record key",
            Self::RecordSalt => "record salt",
            Self::Record => "record",
            Self::StateLeaf => "state leaf",
            Self::Field => "field",
        }
    }
}

/// Something that hashes two children into their parent.
pub trait NodeHash: Sync {
    /// The hash of an inner node.
    fn node(&self, left: &Hash, right: &Hash) -> Hash;

    /// Adds the hashes of the inner nodes over those pairs, in their order.
    fn nodes(&self, pairs: &[Pair], hashes: &mut Vec<Hash>) {
        hashes.extend(pairs.iter().map(|pair| {
            let [left, right] = halves(pair);
            self.node(left, right)
        }));
    }
}

/// The two hashes of a pair.
fn halves(pair: &Pair) -> [&Hash; 2] {
    let (hashes, _) = pair.as_chunks();
    [&hashes[0], &hashes[1]]
}

/// A hash suite: `hash(purpose, data)`, with `data` given in parts to spare a copy.
pub trait HashSuite: NodeHash + Send + Sync {
    /// The suite's name in `ledger.create`.
    fn name(&self) -> &'static str;
    /// Hashes the concatenation of `parts` for `purpose`.
    fn hash(&self, purpose: Purpose, parts: &[&[u8]]) -> Hash;

    /// Adds what `hash` makes of each of those pairs, in their order.
    fn hash_pairs(&self, purpose: Purpose, pairs: &[Pair], hashes: &mut Vec<Hash>) {
        hashes.extend(pairs.iter().map(|pair| self.hash(purpose, &[pair])));
    }
}

/// BLAKE3 in derive-key mode, with the context keys computed once.
///
/// A hasher is made from its context key for each hash: copying one that is ready moves two kilobytes, most of which it
/// never uses, and took 35 of 145 nanoseconds for 64 bytes.
///
/// Many pairs at once go side by side through the registers of the processor, by a function that the crate `blake3` has
/// for its own trees and leaves out of its documentation: the version is pinned, and tests compare.
#[derive(Debug)]
pub struct Blake3 {
    context_keys: [ContextKey; 10],
    platform: Platform,
}

/// The flags (table 3 of the BLAKE3 paper) of key material that is one block: the first of its chunk, the last, the
/// root, and key material.
const ONLY_BLOCK: u8 = 1 | 1 << 1 | 1 << 3 | 1 << 6;

/// Pairs that are handed to the vector code at once: at most sixteen go side by side.
const PAIRS_TOGETHER: usize = 64;

impl Blake3 {
    fn on(platform: Platform) -> Self {
        let context_keys = Purpose::ALL.map(|p| hash_derive_key_context(&format!("finchain v1 {}", p.name())));
        Self { context_keys, platform }
    }

    fn context_key(&self, purpose: Purpose) -> &ContextKey {
        &self.context_keys[purpose as usize - Purpose::Instruction as usize]
    }
}

impl NodeHash for Blake3 {
    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        self.hash(Purpose::Node, &[left, right])
    }

    fn nodes(&self, pairs: &[Pair], hashes: &mut Vec<Hash>) {
        self.hash_pairs(Purpose::Node, pairs, hashes);
    }
}

impl HashSuite for Blake3 {
    fn name(&self) -> &'static str {
        "blake3"
    }

    fn hash(&self, purpose: Purpose, parts: &[&[u8]]) -> Hash {
        let mut hasher = blake3::Hasher::new_from_context_key(self.context_key(purpose));
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn hash_pairs(&self, purpose: Purpose, pairs: &[Pair], hashes: &mut Vec<Hash>) {
        let (words, _) = self.context_key(purpose).as_chunks();
        let key = std::array::from_fn(|word| u32::from_le_bytes(words[word]));
        let start = hashes.len();
        hashes.resize(start + pairs.len(), EMPTY);
        for (pairs, hashes) in pairs.chunks(PAIRS_TOGETHER).zip(hashes[start..].chunks_mut(PAIRS_TOGETHER)) {
            let mut inputs = [&[0; 64]; PAIRS_TOGETHER];
            for (input, pair) in inputs.iter_mut().zip(pairs) {
                *input = pair;
            }
            let inputs = &inputs[..pairs.len()];
            let counter = IncrementCounter::No;
            self.platform.hash_many(inputs, &key, 0, counter, ONLY_BLOCK, 0, 0, hashes.as_flattened_mut());
        }
    }
}

/// A plain hash function of 32 bytes, with the purpose's byte before the data.
#[derive(Debug)]
pub struct Prefixed<D> {
    name: &'static str,
    function: PhantomData<fn() -> D>,
}

impl<D> Prefixed<D> {
    const fn named(name: &'static str) -> Self {
        Self { name, function: PhantomData }
    }
}

impl<D: Digest> NodeHash for Prefixed<D>
where
    Hash: From<Output<D>>,
{
    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        self.hash(Purpose::Node, &[left, right])
    }
}

impl<D: Digest> HashSuite for Prefixed<D>
where
    Hash: From<Output<D>>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn hash(&self, purpose: Purpose, parts: &[&[u8]]) -> Hash {
        let mut hasher = D::new_with_prefix([purpose as u8]);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// The node hash of RFC 9162 section 2.1.1: SHA-256 with prefix 0x01.
#[derive(Clone, Copy, Debug)]
pub struct Rfc9162;

impl Rfc9162 {
    /// The leaf hash of RFC 9162 section 2.1.1: SHA-256 with prefix 0x00.
    #[must_use]
    pub fn leaf(self, bytes: &[u8]) -> Hash {
        Sha256::new_with_prefix([0x00]).chain_update(bytes).finalize().into()
    }

    /// The root of the empty tree: SHA-256 of nothing.
    #[must_use]
    pub fn empty(self) -> Hash {
        Sha256::digest([]).into()
    }
}

impl NodeHash for Rfc9162 {
    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        Sha256::new_with_prefix([0x01]).chain_update(left).chain_update(right).finalize().into()
    }
}

/// Names of the suites; block 0 of every ledger has one of them.
pub const SUITES: [&str; 3] = ["blake3", "sha256", "sm3"];

/// The names, for messages.
pub const SUITE_NAMES: &str = "blake3, sha256 and sm3";

/// The suite of that name, or `None`: the known names are `SUITES`.
#[must_use]
pub fn suite(name: &str) -> Option<&'static dyn HashSuite> {
    static BLAKE3: std::sync::LazyLock<Blake3> = std::sync::LazyLock::new(|| Blake3::on(Platform::detect()));
    static SHA256: Prefixed<Sha256> = Prefixed::named("sha256");
    static SM3: Prefixed<Sm3> = Prefixed::named("sm3");
    match name {
        "blake3" => Some(&*BLAKE3),
        "sha256" => Some(&SHA256),
        "sm3" => Some(&SM3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_code_of_this_processor_hashes_pairs_as_the_library_does() {
        let mut platforms = vec![Platform::portable(), Platform::detect()];
        #[cfg(target_arch = "x86_64")]
        platforms.extend([Platform::sse2(), Platform::sse41(), Platform::avx2()].into_iter().flatten());
        let hash = |bytes: &[u8]| Hash::from(blake3::hash(bytes));
        let pairs: Vec<Pair> = (0..137).map(|n| pair(&hash(&[n]), &hash(&[n, n]))).collect();
        assert!(pairs.len() > 2 * PAIRS_TOGETHER);
        for suite in platforms.into_iter().map(Blake3::on) {
            for purpose in Purpose::ALL {
                let context = format!("finchain v1 {}", purpose.name());
                let alone: Vec<Hash> = pairs.iter().map(|pair| blake3::derive_key(&context, pair)).collect();
                for count in 0..=pairs.len() {
                    let mut hashes = vec![[9; 32]];
                    suite.hash_pairs(purpose, &pairs[..count], &mut hashes);
                    assert_eq!(hashes[0], [9; 32]);
                    assert_eq!(hashes[1..], alone[..count], "{count} of {purpose:?}, {:?}", suite.platform);
                }
            }
        }
    }
}
