//! C2SP tlog-checkpoint: what a log commits to, in exactly three lines, and what witnesses add to it.
//!
//! Lines after the third are refused: nobody could audit what they say. A cosignature is only believed over a text
//! that is a checkpoint.

use crate::encoding::{base64, unbase64_array};
use crate::hash::Hash;
use crate::note::{KeyKind, Note, NoteError, NoteSignature, VerifierKey, verify_line};
use crate::signature::{SecretKey, SignatureError};

/// Bytes of a cosignature: a timestamp, then an Ed25519 signature.
const COSIGNATURE_BYTES: usize = 8 + 64;

/// Why a checkpoint or a cosignature is refused; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text has more or fewer lines.
    #[error("the checkpoint has {found} lines, expected 3, each ended by a line feed")]
    Lines {
        /// Lines that a line feed ends.
        found: usize,
    },
    /// The first line is empty.
    #[error("the checkpoint's origin is empty")]
    OriginEmpty,
    /// The origin has a control character, and so would not be one line of a note.
    #[error("the checkpoint's origin has a control character")]
    OriginControl,
    /// The second line is not a number of blocks.
    #[error("the checkpoint's size is {found:?}, expected a decimal number below 2^64 without leading zeros")]
    Size {
        /// The line.
        found: String,
    },
    /// The third line is not a hash.
    #[error("the checkpoint's root hash is {found:?}, expected Base64 of 32 bytes")]
    RootHash {
        /// The line.
        found: String,
    },
    /// A time above 2^63-1 seconds.
    #[error("the cosignature's time is {found} s, expected at most 2^63-1")]
    Time {
        /// The time.
        found: u64,
    },
    /// The note or the key is refused.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// The state of a log: its name, its size, and the root hash of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Who the log is.
    pub origin: String,
    /// Number of leaves; in finchain, of blocks.
    pub size: u64,
    /// Root of the block log over that many leaves.
    pub root_hash: Hash,
}

impl Checkpoint {
    /// Reads the text of a note.
    ///
    /// # Errors
    /// `Lines`, `OriginEmpty`, `OriginControl`, `Size`, `RootHash`.
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.split('\n').collect();
        let [origin, size, root_hash, ""] = lines[..] else {
            return Err(CheckpointError::Lines { found: lines.len() - 1 });
        };
        check_origin(origin)?;
        let decimal = size.bytes().all(|byte| byte.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let number = size.parse().ok().filter(|_| decimal);
        Ok(Self {
            origin: origin.to_owned(),
            size: number.ok_or_else(|| CheckpointError::Size { found: size.to_owned() })?,
            root_hash: unbase64_array(root_hash)
                .ok_or_else(|| CheckpointError::RootHash { found: root_hash.to_owned() })?,
        })
    }

    /// The text of a note.
    ///
    /// # Errors
    /// `OriginEmpty`, `OriginControl`.
    pub fn to_text(&self) -> Result<String, CheckpointError> {
        check_origin(&self.origin)?;
        Ok(format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root_hash)))
    }
}

fn check_origin(origin: &str) -> Result<(), CheckpointError> {
    if origin.is_empty() {
        Err(CheckpointError::OriginEmpty)
    } else if origin.bytes().any(|byte| byte < b' ') {
        Err(CheckpointError::OriginControl)
    } else {
        Ok(())
    }
}

/// Verifies that a witness, whose key is of kind `Cosignature`, cosigned the checkpoint in `note`; gives the time of
/// that in Unix seconds. Where it has several lines, each must hold, and the latest time counts.
///
/// # Errors
/// Those of `Checkpoint::parse_text`; `Time`; and `Note` with `KeyKindDiffers`, `NotSigned` or `BadSignature`.
pub fn verify_cosignature(note: &Note, witness: &VerifierKey) -> Result<u64, CheckpointError> {
    Checkpoint::parse_text(note.text())?;
    let mut latest = 0;
    for line in note.lines_by(witness, KeyKind::Cosignature)? {
        let time_s = verify_cosignature_line(note.text(), &line.signature, witness)?;
        latest = latest.max(time_s);
    }
    Ok(latest)
}

fn verify_cosignature_line(text: &str, bytes: &[u8], witness: &VerifierKey) -> Result<u64, CheckpointError> {
    let (time, signature) = match bytes.split_first_chunk() {
        Some((time, signature)) if bytes.len() == COSIGNATURE_BYTES => (time, signature),
        _ => {
            let cause = SignatureError::SignatureLength { expected: COSIGNATURE_BYTES, found: bytes.len() };
            return Err(NoteError::BadSignature { key: witness.to_string(), cause }.into());
        }
    };
    let time_s = u64::from_be_bytes(*time);
    check_time(time_s)?;
    verify_line(witness, signature, &cosigned_message(text, time_s))?;
    Ok(time_s)
}

/// The line with which a witness of that name says: at `time_s` (Unix seconds) this was the largest consistent state
/// of the log that it had seen. Whether that is so is the caller's to know.
///
/// # Errors
/// Those of `Checkpoint::parse_text`; `Time`; and `Note` with `KeyName`.
pub fn cosign(note: &Note, name: &str, key: &SecretKey, time_s: u64) -> Result<NoteSignature, CheckpointError> {
    Checkpoint::parse_text(note.text())?;
    check_time(time_s)?;
    let verifier = VerifierKey::of(name, KeyKind::Cosignature, key)?;
    let signature = key.sign(&cosigned_message(note.text(), time_s)).map_err(NoteError::PublicKey)?;
    let signature = [time_s.to_be_bytes().as_slice(), &signature].concat();
    Ok(NoteSignature { name: name.to_owned(), key_id: verifier.key_id(), signature })
}

fn check_time(time_s: u64) -> Result<(), CheckpointError> {
    if i64::try_from(time_s).is_ok() { Ok(()) } else { Err(CheckpointError::Time { found: time_s }) }
}

fn cosigned_message(text: &str, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}
