//! C2SP tlog-checkpoint: what a log commits to, in exactly three lines, who signed it, and what witnesses add to it.
//!
//! Lines after the third are refused: nobody could audit what they say, and an ML-DSA-44 signature does not even cover
//! them. So a signature is only believed over a text that is a checkpoint.

use crate::encoding::{base64, unbase64_array};
use crate::hash::Hash;
use crate::note::{KeyKind, Note, NoteError, NoteSignature, SIGNED_NAME_BYTES_MAX, VerifierKey, verify_line};
use crate::signature::{SecretKey, SignatureError};

/// The kinds of keys that a log signs its own checkpoints with.
const LOG_KINDS: &[KeyKind] = &[KeyKind::Note, KeyKind::SubtreeCosignature];

/// The kinds of keys that witnesses cosign with.
const WITNESS_KINDS: &[KeyKind] = &[KeyKind::Cosignature, KeyKind::SubtreeCosignature];

/// Bytes of a cosignature by Ed25519: a timestamp, then the signature.
const COSIGNATURE_BYTES: usize = 8 + 64;

/// Bytes of a cosignature by ML-DSA-44.
const SUBTREE_COSIGNATURE_BYTES: usize = 8 + 2_420;

/// What an ML-DSA-44 cosigner signs begins with this.
const SUBTREE_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// The time in a log's own subtree cosignature, which by C2SP says nothing about the largest tree that was seen. A log
/// needs no clock for that: the mark beside its key keeps it from signing anything smaller, and a clock that was put
/// back would make it contradict itself.
const NO_TIME: u64 = 0;

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
    /// The origin is too long for a subtree cosignature.
    #[error("the checkpoint's origin has {found} bytes, expected at most {SIGNED_NAME_BYTES_MAX} for an ML-DSA-44 key")]
    OriginTooLong {
        /// Bytes found.
        found: usize,
    },
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
    /// The checkpoint is of another log than the key that signed it.
    #[error("the checkpoint's origin is {found:?}, expected {expected:?}, the name of the key that signed it")]
    KeyOfAnotherLog {
        /// Name of the key.
        expected: String,
        /// Origin of the checkpoint.
        found: String,
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

/// The checkpoint in `note`, if one of the keys of its log signed it; `None` where there is no line by any of them.
/// Each line by one of the keys must hold.
///
/// # Errors
/// Those of `Checkpoint::parse_text`; `KeyOfAnotherLog` where only a key with another name signed; `OriginTooLong`,
/// `Time`; and `Note` with `KeyKindDiffers` or `BadSignature`.
pub fn verify_signed(note: &Note, log_keys: &[VerifierKey]) -> Result<Option<Checkpoint>, CheckpointError> {
    let checkpoint = Checkpoint::parse_text(note.text())?;
    let mut signed_by: Option<&VerifierKey> = None;
    for key in log_keys {
        match verify_lines(note, &checkpoint, key, LOG_KINDS) {
            // A key speaks for its own log alone; what it says of another it says as a witness.
            Ok(_) => signed_by = signed_by.filter(|before| before.name() == checkpoint.origin).or(Some(key)),
            Err(CheckpointError::Note(NoteError::NotSigned { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    match signed_by {
        Some(key) if key.name() != checkpoint.origin => {
            Err(CheckpointError::KeyOfAnotherLog { expected: key.name().to_owned(), found: checkpoint.origin })
        }
        Some(_) => Ok(Some(checkpoint)),
        None => Ok(None),
    }
}

/// Verifies that a witness cosigned the checkpoint in `note`; gives the time of that in Unix seconds, or 0 where an
/// ML-DSA-44 witness says nothing about the largest tree it had seen. Where it has several lines, each must hold, and
/// the latest time counts.
///
/// # Errors
/// Those of `Checkpoint::parse_text`; `OriginTooLong`, `Time`; and `Note` with `KeyKindDiffers`, `NotSigned` or
/// `BadSignature`.
pub fn verify_cosignature(note: &Note, witness: &VerifierKey) -> Result<u64, CheckpointError> {
    verify_lines(note, &Checkpoint::parse_text(note.text())?, witness, WITNESS_KINDS)
}

/// Verifies every line by the key, of which there is at least one, and gives their latest time.
fn verify_lines(
    note: &Note,
    checkpoint: &Checkpoint,
    key: &VerifierKey,
    kinds: &'static [KeyKind],
) -> Result<u64, CheckpointError> {
    let mut latest = NO_TIME;
    for line in note.lines_by(key, kinds)? {
        let (time_s, signature) = match key.kind() {
            KeyKind::Note => (NO_TIME, line.signature.as_slice()),
            KeyKind::Cosignature => timed(&line.signature, COSIGNATURE_BYTES, key)?,
            KeyKind::SubtreeCosignature => timed(&line.signature, SUBTREE_COSIGNATURE_BYTES, key)?,
        };
        verify_line(key, signature, &signed_message(note, checkpoint, key, time_s)?)?;
        latest = latest.max(time_s);
    }
    Ok(latest)
}

/// The time of a cosignature of so many bytes, and the signature behind it.
fn timed<'a>(bytes: &'a [u8], expected: usize, key: &VerifierKey) -> Result<(u64, &'a [u8]), CheckpointError> {
    match bytes.split_first_chunk() {
        Some((time, signature)) if bytes.len() == expected => {
            let time_s = u64::from_be_bytes(*time);
            check_time(time_s)?;
            Ok((time_s, signature))
        }
        _ => {
            let cause = SignatureError::SignatureLength { expected, found: bytes.len() };
            Err(NoteError::BadSignature { key: key.to_string(), cause }.into())
        }
    }
}

/// A note with the checkpoint, signed by its log with an Ed25519 or an ML-DSA-44 key.
///
/// # Errors
/// Those of `Checkpoint::to_text`; and `Note` with `KeySuite`, `KeyName`, `KeyNameTooLong` or `PublicKey`.
pub fn sign_checkpoint(checkpoint: &Checkpoint, key: &SecretKey) -> Result<Note, CheckpointError> {
    let mut note = Note::unsigned(&checkpoint.to_text()?)?;
    let line = sign_line(&note, checkpoint, &checkpoint.origin, KeyKind::of_log(key)?, key, NO_TIME)?;
    note.add(line)?;
    Ok(note)
}

/// The line with which a witness of that name says: at `time_s` (Unix seconds) this was the largest consistent state
/// of the log that it had seen. Whether that is so is the caller's to know. A witness with an ML-DSA-44 key may say 0:
/// that the state is consistent with all it had seen, and nothing about the largest.
///
/// # Errors
/// Those of `Checkpoint::parse_text`; `OriginTooLong`, `Time`; and `Note` with `KeySuite`, `KeyName`,
/// `KeyNameTooLong` or `PublicKey`.
pub fn cosign(note: &Note, name: &str, key: &SecretKey, time_s: u64) -> Result<NoteSignature, CheckpointError> {
    let checkpoint = Checkpoint::parse_text(note.text())?;
    check_time(time_s)?;
    sign_line(note, &checkpoint, name, KeyKind::of_witness(key)?, key, time_s)
}

fn sign_line(
    note: &Note,
    checkpoint: &Checkpoint,
    name: &str,
    kind: KeyKind,
    key: &SecretKey,
    time_s: u64,
) -> Result<NoteSignature, CheckpointError> {
    let verifier = VerifierKey::of(name, kind, key)?;
    let message = signed_message(note, checkpoint, &verifier, time_s)?;
    let signature = key.sign(&message).map_err(NoteError::PublicKey)?;
    let time = if kind == KeyKind::Note { Vec::new() } else { time_s.to_be_bytes().to_vec() };
    Ok(NoteSignature { name: name.to_owned(), key_id: verifier.key_id(), signature: [time, signature].concat() })
}

fn check_time(time_s: u64) -> Result<(), CheckpointError> {
    if i64::try_from(time_s).is_ok() { Ok(()) } else { Err(CheckpointError::Time { found: time_s }) }
}

/// What a key of that kind signs of the checkpoint in a note.
fn signed_message(
    note: &Note,
    checkpoint: &Checkpoint,
    key: &VerifierKey,
    time_s: u64,
) -> Result<Vec<u8>, CheckpointError> {
    match key.kind() {
        KeyKind::Note => Ok(note.text().as_bytes().to_vec()),
        KeyKind::Cosignature => Ok(format!("cosignature/v1\ntime {time_s}\n{}", note.text()).into_bytes()),
        KeyKind::SubtreeCosignature => subtree_message(key.name(), time_s, checkpoint),
    }
}

/// The `cosigned_message` of C2SP tlog-cosignature: the subtree from leaf 0 up to the size, which is the whole tree.
fn subtree_message(cosigner: &str, time_s: u64, checkpoint: &Checkpoint) -> Result<Vec<u8>, CheckpointError> {
    let (start, end) = (0_u64.to_be_bytes(), checkpoint.size.to_be_bytes());
    let mut out = SUBTREE_LABEL.to_vec();
    let length = |name: &str| u8::try_from(name.len()).map_err(|_| name.len());
    out.push(length(cosigner).map_err(|found| NoteError::KeyNameTooLong { found })?);
    out.extend_from_slice(cosigner.as_bytes());
    out.extend_from_slice(&time_s.to_be_bytes());
    out.push(length(&checkpoint.origin).map_err(|found| CheckpointError::OriginTooLong { found })?);
    out.extend_from_slice(checkpoint.origin.as_bytes());
    for part in [start.as_slice(), &end, &checkpoint.root_hash] {
        out.extend_from_slice(part);
    }
    Ok(out)
}
