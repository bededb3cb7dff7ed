//! Purpose-separated hashing: the one place that decides how bytes become 32-byte hashes.
//!
//! Three suites stand behind one trait (`docs/format.md` section 2). It refuses to hash without a purpose,
//! so that a record can never be taken for a node, nor a node for an instruction.

use std::marker::PhantomData;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use sm3::Sm3;

/// A 32-byte hash.
pub type Hash = [u8; 32];

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
}

/// A hash suite: `hash(purpose, data)`, with `data` given in parts to spare a copy.
pub trait HashSuite: NodeHash + Send + Sync {
    /// The suite's name in `ledger.create`.
    fn name(&self) -> &'static str;
    /// Hashes the concatenation of `parts` for `purpose`.
    fn hash(&self, purpose: Purpose, parts: &[&[u8]]) -> Hash;
}

/// BLAKE3 in derive-key mode, with the context keys computed once.
///
/// A hasher is made from its context key for each hash: copying one that is ready moves two kilobytes, most of which it
/// never uses, and took 35 of 145 nanoseconds for 64 bytes.
#[derive(Debug)]
pub struct Blake3 {
    context_keys: [ContextKey; 10],
}

impl Blake3 {
    fn new() -> Self {
        Self { context_keys: Purpose::ALL.map(|p| hash_derive_key_context(&format!("finchain v1 {}", p.name()))) }
    }
}

impl NodeHash for Blake3 {
    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        self.hash(Purpose::Node, &[left, right])
    }
}

impl HashSuite for Blake3 {
    fn name(&self) -> &'static str {
        "blake3"
    }

    fn hash(&self, purpose: Purpose, parts: &[&[u8]]) -> Hash {
        let context_key = &self.context_keys[purpose as usize - Purpose::Instruction as usize];
        let mut hasher = blake3::Hasher::new_from_context_key(context_key);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().into()
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
    static BLAKE3: std::sync::LazyLock<Blake3> = std::sync::LazyLock::new(Blake3::new);
    static SHA256: Prefixed<Sha256> = Prefixed::named("sha256");
    static SM3: Prefixed<Sm3> = Prefixed::named("sm3");
    match name {
        "blake3" => Some(&*BLAKE3),
        "sha256" => Some(&SHA256),
        "sm3" => Some(&SM3),
        _ => None,
    }
}
