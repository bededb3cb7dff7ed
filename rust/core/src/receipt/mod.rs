//! Receipts: one file that shows a stranger, offline, one instruction, one record, one change, or that there is none.
//!
//! The outer half is a C2SP tlog-proof: a block header is in a signed block log. The inner half leads from that
//! header to what is shown (`docs/format.md` section 6). `write` puts a receipt together from pieces that the ledger
//! has; `verify` believes none of them. A receipt shows what the operator committed to, as of one block. It does not
//! show that rules were followed, nor what is so today.

mod inner;
mod outer;
mod signers;
mod verify;
pub mod write;

use crate::authority::AuthorityError;
use crate::canonical::CanonicalError;
use crate::checkpoint::CheckpointError;
use crate::encoding::hex;
use crate::error::Rejection;
use crate::hash::Hash;
use crate::merkle::PathError;
use crate::note::{NoteError, VerifierKey};
use crate::signature::SignatureError;
use crate::state_map::MapPathError;

pub use outer::Receipt;
pub use verify::{verify, verify_all, verify_checkpoint};

/// Most bytes of a receipt: 16 signers' keys and parties with their paths fit, and anyone can afford to parse it.
pub const RECEIPT_BYTES_MAX: usize = 512 << 10;

/// Most hashes of a path in the block log, which numbers its blocks with 64 bits.
pub const PATH_MAX: usize = 64;

/// Most bytes of a record and of an instruction.
pub const CONTENT_BYTES_MAX: usize = 16 << 10;

/// Whom a verifier believes.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys of the log; one of them must have signed the checkpoint.
    pub log_keys: Vec<VerifierKey>,
    /// Keys of witnesses; the log itself is none, whatever stands here.
    pub witnesses: Vec<VerifierKey>,
    /// How many different witnesses must have cosigned.
    pub witnesses_needed: usize,
    /// Whether a checkpoint that no witness cosigned is enough; this must be asked for.
    pub operator_alone: bool,
}

/// What a receipt shows, of when, and on whose word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Origin, `#`, hash of block 0.
    pub ledger: String,
    /// The block that the receipt speaks about.
    pub height: u64,
    /// That block's Unix time in milliseconds.
    pub time_ms: u64,
    /// Blocks under the checkpoint.
    pub size: u64,
    /// Root of the block log over them, as the checkpoint has it.
    pub root_hash: Hash,
    /// Name of each witness that cosigned, and its Unix time in seconds, 0 where it stated none.
    pub witnessed_by: Vec<(String, u64)>,
    /// What is shown.
    pub what: What,
    /// Whether signatures were judged.
    pub signers: Signers,
}

/// What a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// At the end of the block the record was this.
    Record {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
        /// Its canonical JSON.
        record: Vec<u8>,
    },
    /// At the end of the block there was no such record.
    Absence {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
    },
    /// After a transaction of the block the record was this.
    Change {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
        /// Its canonical JSON.
        record: Vec<u8>,
        /// Id of the transaction.
        transaction: Hash,
        /// The transaction's place in the block.
        entry_index: u64,
    },
    /// This instruction is in the block, with this outcome.
    Instruction {
        /// Its canonical JSON.
        instruction: Vec<u8>,
        /// Its place in the transaction.
        index: u32,
        /// Id of the transaction.
        transaction: Hash,
        /// The transaction's place in the block.
        entry_index: u64,
        /// The parties in whose name the transaction was made, the sender first.
        by: Vec<String>,
        /// What became of it.
        outcome: Outcome,
    },
}

/// What became of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Applied,
    /// A rule refused it.
    Refused {
        /// The rule's code.
        code: String,
    },
    /// It does not hold because another instruction of its transaction was refused, and they hold together only.
    HeldBack {
        /// The other's code.
        code: String,
        /// The other's place in the transaction.
        instruction: u32,
    },
}

/// Whether signatures were judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signers {
    /// The receipt does not carry what that needs: the signers are the operator's word.
    NotJudged,
    /// Signatures of these keys satisfy the rule for every party.
    Judged {
        /// Ids of the keys, sorted.
        keys: Vec<String>,
        /// Parties for which only a service key signed.
        service: Vec<String>,
    },
}

/// Why a receipt proves nothing; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The verifier trusts no log.
    #[error("no log key is trusted, expected at least one")]
    NoLogKey,
    /// The verifier asks for no witness and did not say that the operator alone is enough.
    #[error("no witness is asked for: ask for some, or say that the operator alone is enough")]
    NoWitnessPolicy,
    /// The receipt is too long.
    #[error("the receipt has {found} bytes, expected at most {RECEIPT_BYTES_MAX}")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// A line above the checkpoint that cannot stand there.
    #[error("line {line} of the receipt is not {expected}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// Too many lines above the checkpoint.
    #[error("the receipt has more than {PATH_MAX} hashes above the checkpoint")]
    PathTooLong,
    /// The inner half is not canonical.
    #[error("the inner half is {0}")]
    NotCanonical(#[from] CanonicalError),
    /// A member of the inner half is missing, superfluous or wrong.
    #[error("the inner half: {0}")]
    Malformed(#[from] Rejection),
    /// A record or an instruction is too long.
    #[error("the {what} has {found} bytes, expected at most {CONTENT_BYTES_MAX}")]
    ContentTooLong {
        /// `record` or `instruction`.
        what: &'static str,
        /// Bytes found.
        found: usize,
    },
    /// The checkpoint is no note, or a signature under it is bad.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The checkpoint's text is none.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// None of the trusted keys signed.
    #[error("the checkpoint is signed by none of the {trusted} trusted keys")]
    NotSigned {
        /// Keys that are trusted.
        trusted: usize,
    },
    /// Too few witnesses cosigned.
    #[error("{found} known witnesses cosigned, expected {needed}")]
    TooFewWitnesses {
        /// Witnesses asked for.
        needed: usize,
        /// Different witnesses that cosigned.
        found: usize,
    },
    /// The block's ledger is not an origin, `#` and, but for block 0, a hash.
    #[error(
        "the ledger of block {height} is {found:?}, expected an origin, '#', and the hash of block 0 but in itself"
    )]
    LedgerName {
        /// Height of the block.
        height: u64,
        /// Its ledger.
        found: String,
    },
    /// The block is of another ledger than the checkpoint.
    #[error("the block is of {found:?}, expected {expected:?}, the checkpoint's origin")]
    OriginDiffers {
        /// Origin of the checkpoint.
        expected: String,
        /// Ledger of the block.
        found: String,
    },
    /// The index line is not the block's height.
    #[error("the index is {found}, expected the block's height {expected}")]
    IndexDiffers {
        /// Height of the block.
        expected: u64,
        /// The index line.
        found: u64,
    },
    /// The block is not in the block log at that place.
    #[error("the block is not in the block log: {0}")]
    BlockPath(PathError),
    /// The entry is of another ledger than its block.
    #[error("the entry is of {found:?}, expected {expected:?}")]
    EntryLedger {
        /// Ledger of the block.
        expected: String,
        /// Ledger of the entry.
        found: String,
    },
    /// A refused instruction that the transaction does not have.
    #[error("instruction {found} is refused, expected less than {count}")]
    RefusedOutOfRange {
        /// Instructions of the transaction.
        count: u32,
        /// Index of the refused one.
        found: u32,
    },
    /// Several refused instructions of a transaction that holds together or not at all.
    #[error("{found} instructions are refused under mode all, expected at most 1")]
    RefusedUnderAll {
        /// Refused instructions.
        found: usize,
    },
    /// The entry is not in the block at that place.
    #[error("the entry is not in the block: {0}")]
    EntryPath(PathError),
    /// The instruction is not in the transaction at that place.
    #[error("the instruction is not in the transaction: {0}")]
    InstructionPath(PathError),
    /// The record is not among the transaction's changes at that place.
    #[error("the record is not among the changes of the transaction: {0}")]
    ChangePath(PathError),
    /// The record is not in the block's state, or is there although it should be absent.
    #[error("the state does not show this: {0}")]
    State(#[from] MapPathError),
    /// Signers in block 0, which has no block before it.
    #[error("block 0 has signers, expected none: it is judged by the keys that it declares")]
    SignersOfBlockZero,
    /// The signers' block is not the one before.
    #[error("the hash of the signers' block is {}, expected {}", hex(found), hex(expected))]
    SignersBlock {
        /// The block's `previous`.
        expected: Hash,
        /// Hash of the signers' block.
        found: Hash,
    },
    /// The signers' block has another height than the one before.
    #[error("the height of the signers' block is {found}, expected {expected}")]
    SignersHeight {
        /// One less than the block's.
        expected: u64,
        /// The signers' block's.
        found: u64,
    },
    /// Other records than those of the keys that signed and of the parties.
    #[error("the signers' record {place} is {found}, expected {expected}")]
    SignersRecord {
        /// Its place, from 0.
        place: usize,
        /// Kind and id of the record that belongs there, or that none does.
        expected: String,
        /// Kind and id of the record, or that there is none.
        found: String,
    },
    /// A signers' record is not in the state of the block before.
    #[error("the {kind} {id} was not this before the block: {cause}")]
    SignersState {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
        /// Why.
        cause: MapPathError,
    },
    /// A signers' record is not as the format asks, or the signatures do not satisfy the rule.
    #[error("the signatures do not suffice: {0}")]
    Authority(#[from] AuthorityError),
    /// A signature that the key did not make over this header.
    #[error("the signature by {key} is refused: {cause}")]
    Signature {
        /// Id of the key.
        key: String,
        /// Why.
        cause: SignatureError,
    },
}
