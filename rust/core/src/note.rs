//! C2SP signed notes: a text, a blank line, and one line for every signature under it.
//!
//! Parsing accepts one spelling only, at most 64 KiB and 100 signatures, and judges no signature: a text means
//! nothing before `verify` with a key that the caller trusts. Signatures by other keys are kept and ignored, as the
//! specification asks, so that witnesses can add theirs; a bad signature by the trusted key refuses the whole note.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::encoding::{base64, hex, unbase64, unhex};
use crate::signature::{Claim, Ed25519, MlDsa44, SecretKey, SignatureError, SignatureSuite};

/// The longest note, in bytes: room for the most Ed25519 signatures with long names, or for the 16 ML-DSA-44 signatures
/// with names of `SIGNED_NAME_BYTES_MAX` that C2SP asks every verifier to take, and small enough to parse for anyone.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The most signatures under a note.
pub const NOTE_SIGNATURES_MAX: usize = 100;

/// The longest name, in bytes, of a key and of a log in a subtree cosignature, which counts them with one byte.
pub const SIGNED_NAME_BYTES_MAX: usize = 255;

/// What a signature line starts with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Why a note or a verifier key is refused; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note is too long.
    #[error("the note has {found} bytes, expected at most {NOTE_BYTES_MAX}")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// The note is not UTF-8.
    #[error("the note is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Position of the first bad byte.
        offset: usize,
    },
    /// A control character other than a line feed.
    #[error("the note has control character 0x{found:02x} at byte {offset}, expected only line feeds")]
    ControlCharacter {
        /// Position of the byte.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// The text does not end with a line feed.
    #[error("the note's text is empty or does not end with a line feed")]
    TextEnd,
    /// No blank line, or nothing below it.
    #[error("the note has no signatures, expected a blank line and at least one signature line below it")]
    NoSignatures,
    /// More signatures than a verifier should have to look at.
    #[error("the note has {found} signatures, expected at most {NOTE_SIGNATURES_MAX}")]
    TooManySignatures {
        /// Signature lines found.
        found: usize,
    },
    /// A line below the blank line that is no signature line.
    #[error("line {line} below the blank line is not an em dash, a key name and a signature in Base64")]
    SignatureLine {
        /// Number of the line, from 1.
        line: usize,
    },
    /// An empty key name, or one with a space or a plus.
    #[error("{name:?} is no key name, expected text without spaces and '+'")]
    KeyName {
        /// The name.
        name: String,
    },
    /// A key name for which a subtree cosignature has no room.
    #[error("the key's name has {found} bytes, expected at most {SIGNED_NAME_BYTES_MAX} for an ML-DSA-44 key")]
    KeyNameTooLong {
        /// Bytes found.
        found: usize,
    },
    /// A verifier key that is not `<name>+<8 hex>+<Base64>`.
    #[error("the verifier key is not <name>+<8 hex digits>+<Base64 of a kind and a public key>")]
    KeyForm,
    /// A verifier key of a kind that is not known here.
    #[error(
        "the verifier key is of kind 0x{found:02x}, expected 0x01 (Ed25519), 0x04 (cosignature/v1) or 0x06 (ML-DSA-44)"
    )]
    KeyKind {
        /// The kind byte.
        found: u8,
    },
    /// A key of one kind where another is needed.
    #[error("the verifier key is of kind {found:?}, expected one of {expected:?}")]
    KeyKindDiffers {
        /// The kinds this verification is for.
        expected: &'static [KeyKind],
        /// The kind of the key.
        found: KeyKind,
    },
    /// A secret key of a suite for which notes have no kind of key.
    #[error("a key of suite {found} signs no notes, expected ed25519 or ml-dsa-44")]
    KeySuite {
        /// The suite of the key.
        found: &'static str,
    },
    /// A verifier key whose id is not the hash of its name and key.
    #[error("the verifier key says its id is {}, expected {}", hex(found), hex(expected))]
    KeyIdDiffers {
        /// The id that name and key give.
        expected: [u8; 4],
        /// The id that is written there.
        found: [u8; 4],
    },
    /// A public key that no signature could ever satisfy, or any could.
    #[error("the verifier key is refused: {0}")]
    PublicKey(SignatureError),
    /// No signature by the key.
    #[error("the note has no signature by {key}")]
    NotSigned {
        /// The verifier key.
        key: String,
    },
    /// A signature by the key that does not hold.
    #[error("the signature by {key} is refused: {cause}")]
    BadSignature {
        /// The verifier key.
        key: String,
        /// Why.
        cause: SignatureError,
    },
}

/// What a key signs: the signature types of C2SP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// Ed25519 over the text of a note.
    Note = 0x01,
    /// Ed25519 over a timestamp and the text of a checkpoint: C2SP tlog-cosignature, `cosignature/v1`.
    Cosignature = 0x04,
    /// ML-DSA-44 over a timestamp, two names and what a checkpoint says: C2SP tlog-cosignature, `subtree/v1`.
    SubtreeCosignature = 0x06,
}

impl KeyKind {
    /// The kind by which a log signs its own checkpoints with such a key. C2SP has no plain kind for ML-DSA-44: there
    /// the log is a cosigner whose name is the origin.
    ///
    /// # Errors
    /// `KeySuite`.
    pub fn of_log(key: &SecretKey) -> Result<Self, NoteError> {
        Self::by_suite(key, Self::Note)
    }

    /// The kind by which a witness cosigns with such a key.
    ///
    /// # Errors
    /// `KeySuite`.
    pub fn of_witness(key: &SecretKey) -> Result<Self, NoteError> {
        Self::by_suite(key, Self::Cosignature)
    }

    fn by_suite(key: &SecretKey, of_ed25519: Self) -> Result<Self, NoteError> {
        match key.suite().name() {
            "ed25519" => Ok(of_ed25519),
            "ml-dsa-44" => Ok(Self::SubtreeCosignature),
            found => Err(NoteError::KeySuite { found }),
        }
    }

    fn suite(self) -> &'static dyn SignatureSuite {
        match self {
            Self::Note | Self::Cosignature => &Ed25519,
            Self::SubtreeCosignature => &MlDsa44,
        }
    }
}

/// A named public key, as users configure it: `<name>+<8 hex of the key id>+<Base64 of the kind and the public key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    public_key: Box<[u8]>,
}

impl VerifierKey {
    /// A key of that name, kind and public half.
    ///
    /// # Errors
    /// `KeyName`, `KeyNameTooLong`, `PublicKey`.
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8]) -> Result<Self, NoteError> {
        check_name(name)?;
        if kind == KeyKind::SubtreeCosignature && name.len() > SIGNED_NAME_BYTES_MAX {
            return Err(NoteError::KeyNameTooLong { found: name.len() });
        }
        kind.suite().check_public_key(public_key).map_err(NoteError::PublicKey)?;
        Ok(Self { name: name.to_owned(), kind, public_key: public_key.into() })
    }

    /// The key that verifies what a secret key signs.
    ///
    /// # Errors
    /// `KeyName`, `KeyNameTooLong`; `PublicKey` where the key is not of the kind's suite.
    pub fn of(name: &str, kind: KeyKind, key: &SecretKey) -> Result<Self, NoteError> {
        Self::new(name, kind, &key.public_key())
    }

    /// Reads the form that `to_string` writes.
    ///
    /// # Errors
    /// `KeyForm`, `KeyName`, `KeyNameTooLong`, `KeyKind`, `KeyIdDiffers`, `PublicKey`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        // Base64 may hold a plus of its own, so only the first two divide.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::KeyForm);
        };
        let found = unhex::<4>(id).ok_or(NoteError::KeyForm)?;
        let key = unbase64(key).ok_or(NoteError::KeyForm)?;
        let (&kind, public_key) = key.split_first().ok_or(NoteError::KeyForm)?;
        let kind = match kind {
            0x01 => KeyKind::Note,
            0x04 => KeyKind::Cosignature,
            0x06 => KeyKind::SubtreeCosignature,
            found => return Err(NoteError::KeyKind { found }),
        };
        let parsed = Self::new(name, kind, public_key)?;
        let expected = parsed.key_id();
        if found == expected { Ok(parsed) } else { Err(NoteError::KeyIdDiffers { expected, found }) }
    }

    /// The key's name; for a log it is the origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The first 4 bytes of `SHA-256(name || 0x0a || kind || public key)`.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', self.kind as u8])
            .chain_update(&self.public_key)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind as u8], &*self.public_key].concat();
        write!(formatter, "{}+{}+{}", self.name, hex(&self.key_id()), base64(&key))
    }
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let fits = |character: char| !character.is_whitespace() && character != '+' && character >= ' ';
    if !name.is_empty() && name.chars().all(fits) { Ok(()) } else { Err(NoteError::KeyName { name: name.to_owned() }) }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Id of the key, which with the name says which key and which kind of signature this is.
    pub key_id: [u8; 4],
    /// What follows the id; its form is the kind's.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        check_name(name).ok()?;
        let bytes = unbase64(encoded)?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        let found = Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() };
        (!signature.is_empty()).then_some(found)
    }
}

/// A text with signatures under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// A note without signatures, to which they are added.
    ///
    /// # Errors
    /// `TextEnd`, `ControlCharacter`.
    pub(crate) fn unsigned(text: &str) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::TextEnd);
        }
        check_controls(text)?;
        Ok(Self { text: text.to_owned(), signatures: Vec::new() })
    }

    /// Reads a note; no signature is verified by that.
    ///
    /// # Errors
    /// `TooLong`, `NotUtf8`, `ControlCharacter`, `NoSignatures`, `TooManySignatures`, `SignatureLine`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { found: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| NoteError::NotUtf8 { offset: error.valid_up_to() })?;
        check_controls(text)?;
        let (before, below) = text.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let lines = below.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let found = lines.split('\n').count();
        if found > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { found });
        }
        let signatures: Result<_, _> = (1..)
            .zip(lines.split('\n'))
            .map(|(line, text)| NoteSignature::parse(text).ok_or(NoteError::SignatureLine { line }))
            .collect();
        Ok(Self { text: format!("{before}\n"), signatures: signatures? })
    }

    /// The note as it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\n", self.text);
        for line in &self.signatures {
            let encoded = base64(&[line.key_id.as_slice(), &line.signature].concat());
            out.extend([LINE_START, &line.name, " ", &encoded, "\n"]);
        }
        out.into_bytes()
    }

    /// The text, which ends with a line feed. It says nothing before a signature by a trusted key is verified.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signature lines, by whatever keys.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Verifies that the key, of kind `Note`, signed the text. Where it has several lines, each must hold.
    ///
    /// # Errors
    /// `KeyKindDiffers`, `NotSigned`, `BadSignature`.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        for line in self.lines_by(key, &[KeyKind::Note])? {
            verify_line(key, &line.signature, self.text.as_bytes())?;
        }
        Ok(())
    }

    /// Adds a signature line, as a witness does.
    ///
    /// # Errors
    /// `KeyName`; `SignatureLine` for an empty signature; `TooManySignatures`, `TooLong`. The note stays as it was.
    pub fn add(&mut self, line: NoteSignature) -> Result<(), NoteError> {
        check_name(&line.name)?;
        if line.signature.is_empty() {
            return Err(NoteError::SignatureLine { line: self.signatures.len() + 1 });
        }
        self.signatures.push(line);
        let (lines, bytes) = (self.signatures.len(), self.to_bytes().len());
        if lines <= NOTE_SIGNATURES_MAX && bytes <= NOTE_BYTES_MAX {
            return Ok(());
        }
        self.signatures.pop();
        Err(if lines > NOTE_SIGNATURES_MAX {
            NoteError::TooManySignatures { found: lines }
        } else {
            NoteError::TooLong { found: bytes }
        })
    }

    /// The lines with the key's name and id, at least one, if the key is of one of these kinds.
    pub(crate) fn lines_by(
        &self,
        key: &VerifierKey,
        expected: &'static [KeyKind],
    ) -> Result<Vec<&NoteSignature>, NoteError> {
        if !expected.contains(&key.kind) {
            return Err(NoteError::KeyKindDiffers { expected, found: key.kind });
        }
        let key_id = key.key_id();
        let by_key = |line: &&NoteSignature| line.key_id == key_id && line.name == key.name;
        let lines: Vec<_> = self.signatures.iter().filter(by_key).collect();
        if lines.is_empty() { Err(NoteError::NotSigned { key: key.to_string() }) } else { Ok(lines) }
    }
}

/// Verifies one signature by `key` over `message`.
pub(crate) fn verify_line(key: &VerifierKey, signature: &[u8], message: &[u8]) -> Result<(), NoteError> {
    let claim = Claim { public_key: &key.public_key, identity: None, signature, message };
    key.kind.suite().verify(&claim).map_err(|cause| NoteError::BadSignature { key: key.to_string(), cause })
}

/// A new note with one signature of kind `Note`. Nothing is checked about what the text says.
///
/// # Errors
/// `TextEnd`, `ControlCharacter`, `KeyName`, `TooLong`; `PublicKey` where it is not an Ed25519 key.
pub fn sign_note(text: &str, name: &str, key: &SecretKey) -> Result<Note, NoteError> {
    let mut note = Note::unsigned(text)?;
    let verifier = VerifierKey::of(name, KeyKind::Note, key)?;
    let signature = key.sign(text.as_bytes()).map_err(NoteError::PublicKey)?;
    note.add(NoteSignature { name: name.to_owned(), key_id: verifier.key_id(), signature })?;
    Ok(note)
}

fn check_controls(text: &str) -> Result<(), NoteError> {
    match text.bytes().enumerate().find(|&(_, byte)| byte < b' ' && byte != b'\n') {
        Some((offset, found)) => Err(NoteError::ControlCharacter { offset, found }),
        None => Ok(()),
    }
}
