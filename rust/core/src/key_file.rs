//! A secret key in a file: PKCS#8 in PEM (RFC 8410, RFC 5915, RFC 9881), in the clear or under a passphrase, as other
//! tools read it.
//!
//! Writing never replaces a file, and returns once file and folder are on disk. Reading refuses a file that its group
//! or others may touch, that is no regular file, or that is larger than any key; and costs of a passphrase that would
//! exhaust the machine. Under a passphrase the key is encrypted by PBES2 with scrypt and AES-256-CBC.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{SecretDocument, pem::LineEnding, pem::PemLabel as _};
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef, pkcs5};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::signature::SecretKey;

/// The largest file that is read; a key under a passphrase takes about 500 bytes.
pub const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Ed25519 of RFC 8410 section 3, which has no parameters.
const ALGORITHM: AlgorithmIdentifierRef<'_> =
    AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };

/// Keys of elliptic curves (RFC 5480), whose parameters name the curve, and of ML-DSA-44 (RFC 9881).
const OTHER_ALGORITHMS: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.2.840.10045.2.1"), ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17")];

/// An OCTET STRING of 32 bytes: RFC 8410 wraps the seed in one more than PKCS#8 does.
const SEED_PREFIX: [u8; 2] = [0x04, 0x20];

/// The cost of scrypt when writing: 16 MiB and some tens of milliseconds for each guess. It is as much as OpenSSL
/// is willing to spend on reading.
const SCRYPT_COST: u64 = 1 << 14;
const SCRYPT_BLOCK_SIZE: u16 = 8;
/// The most memory that reading spends on scrypt, in bytes.
const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
const SCRYPT_PARALLELIZATION_MAX: u16 = 16;
/// The most rounds that reading spends on PBKDF2, which other tools write: a second or so.
const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;

/// Why a key file is not written or not read; one variant per cause.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder, pipe or device.
    #[error("the key file is not a regular file")]
    NotAFile,
    /// Group or others may read, write or execute the file.
    #[error("the key file has mode {found:03o}, expected no rights for group and others, such as 600")]
    TooOpen {
        /// Permission bits of the file.
        found: u32,
    },
    /// The file is larger than any key.
    #[error("the key file has more than {KEY_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// The text is not PEM of a PKCS#8 key.
    #[error("the key file is not PEM with label PRIVATE KEY or ENCRYPTED PRIVATE KEY")]
    NotPem,
    /// The content is not a private key by PKCS#8.
    #[error("the key file does not hold PKCS#8: {cause}")]
    NotPkcs8 {
        /// What is wrong.
        cause: pkcs8::Error,
    },
    /// A key for another algorithm.
    #[error(
        "the key is for algorithm {found}, expected Ed25519 (1.3.101.112), an elliptic curve (1.2.840.10045.2.1) \
         or ML-DSA-44 (2.16.840.1.101.3.4.3.17)"
    )]
    Algorithm {
        /// The object identifier found.
        found: String,
    },
    /// A key of another curve, or one whose parts do not fit together.
    #[error("the key is not a whole one on the curve P-256 or SM2, nor the seed or expanded key of ML-DSA-44")]
    NotWhole,
    /// The key is not a seed of 32 bytes, or its public half is that of another.
    #[error("the key is not an Ed25519 seed of 32 bytes with its own public key")]
    NotASeed,
    /// A passphrase of no bytes.
    #[error("the passphrase is empty, expected at least one byte, or no passphrase at all")]
    PassphraseEmpty,
    /// The key is encrypted and no passphrase was given.
    #[error("the key is under a passphrase, which was not given")]
    PassphraseNeeded,
    /// A passphrase was given for a key that is in the clear.
    #[error("a passphrase was given, but the key is not encrypted")]
    NotEncrypted,
    /// The passphrase is wrong, or the encrypted bytes are damaged; the two cannot be told apart.
    #[error("the passphrase is wrong or the key file is damaged")]
    PassphraseWrong,
    /// The file asks for more work than a key is worth, or for a scheme that is not known here.
    #[error("the key is encrypted by a scheme or at a cost that is not accepted, expected scrypt or PBKDF2 with AES")]
    Encryption,
    /// The system gave no randomness for a salt.
    #[error("the operating system gave no randomness, expected 32 bytes of it")]
    NoRandomness,
}

/// Writes `key` to a new file at `path` with mode 600, encrypted if there is a passphrase.
///
/// # Errors
/// `Io`, also where the file exists; `PassphraseEmpty`; `NoRandomness`. A file that this call began is removed.
pub fn write_new(path: &Path, key: &SecretKey, passphrase: Option<&[u8]>) -> Result<(), KeyFileError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| KeyFileError::Io { action, path, source }
    };
    let pem = to_pem(key, passphrase)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io("create", path))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = file
        .write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io("write", path))
        .and_then(|()| File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder)));
    if written.is_err() {
        // What failed is reported; that half a file also could not be removed adds nothing to it.
        let _ = fs::remove_file(path);
    }
    written
}

/// Reads the key in the file at `path`; links are followed.
///
/// # Errors
/// `Io`, `NotAFile`, `TooOpen`, `TooLong`, and those of `from_pem`.
pub fn read(path: &Path, passphrase: Option<&[u8]>) -> Result<SecretKey, KeyFileError> {
    let io = |action| move |source| KeyFileError::Io { action, path: path.to_owned(), source };
    // Without NONBLOCK, opening a pipe would wait for a writer before its kind could be seen.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io("open"))?;
    let about = file.metadata().map_err(io("inspect"))?;
    if !about.is_file() {
        return Err(KeyFileError::NotAFile);
    }
    if about.mode() & 0o077 != 0 {
        return Err(KeyFileError::TooOpen { found: about.mode() & 0o777 });
    }
    if about.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::TooLong);
    }
    // Reserved at once, so that no growing leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(KEY_FILE_BYTES_MAX).unwrap_or_default()));
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io("read"))?;
    from_pem(std::str::from_utf8(&bytes).map_err(|_| KeyFileError::NotPem)?, passphrase)
}

/// The key as PEM, encrypted if there is a passphrase.
///
/// # Errors
/// `PassphraseEmpty`, `NoRandomness`.
pub fn to_pem(key: &SecretKey, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, KeyFileError> {
    let not_pkcs8 = |cause| KeyFileError::NotPkcs8 { cause };
    let document = to_pkcs8(key)?;
    let plain = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(not_pkcs8)?;
    let (label, document) = match passphrase {
        None => (PrivateKeyInfoRef::PEM_LABEL, document),
        Some([]) => return Err(KeyFileError::PassphraseEmpty),
        Some(passphrase) => {
            let encrypted = plain.encrypt_with_params(new_encryption()?, passphrase).map_err(not_pkcs8)?;
            (EncryptedPrivateKeyInfoRef::PEM_LABEL, encrypted)
        }
    };
    document.to_pem(label, LineEnding::LF).map_err(|cause| not_pkcs8(cause.into()))
}

fn to_pkcs8(key: &SecretKey) -> Result<SecretDocument, KeyFileError> {
    let Some(seed) = key.seed() else { return key.to_pkcs8().ok_or(KeyFileError::NotWhole) };
    let not_pkcs8 = |cause| KeyFileError::NotPkcs8 { cause };
    let seed = Zeroizing::new([SEED_PREFIX.as_slice(), seed].concat());
    let seed = OctetStringRef::new(&seed).map_err(|cause| not_pkcs8(cause.into()))?;
    SecretDocument::try_from(PrivateKeyInfoRef::new(ALGORITHM, seed)).map_err(not_pkcs8)
}

/// scrypt and AES-256-CBC with a new salt and a new initialization vector.
fn new_encryption() -> Result<Parameters, KeyFileError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut iv)).map_err(|_| KeyFileError::NoRandomness)?;
    let scrypt = ScryptParams {
        salt: Salt::new(salt).map_err(|_| KeyFileError::Encryption)?,
        cost_parameter: SCRYPT_COST,
        block_size: SCRYPT_BLOCK_SIZE,
        parallelization: 1,
        key_length: None,
    };
    Ok(Parameters { kdf: Kdf::Scrypt(scrypt), encryption: EncryptionScheme::Aes256Cbc { iv } })
}

/// The key in a PEM text.
///
/// # Errors
/// `NotPem`, `NotPkcs8`, `Algorithm`, `NotASeed`, `NotWhole`; `PassphraseNeeded`, `NotEncrypted`, `PassphraseEmpty`,
/// `PassphraseWrong`, `Encryption`.
pub fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<SecretKey, KeyFileError> {
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| KeyFileError::NotPem)?;
    match (label, passphrase) {
        (PrivateKeyInfoRef::PEM_LABEL, None) => from_pkcs8(document.as_bytes()),
        (PrivateKeyInfoRef::PEM_LABEL, Some(_)) => Err(KeyFileError::NotEncrypted),
        (EncryptedPrivateKeyInfoRef::PEM_LABEL, None) => Err(KeyFileError::PassphraseNeeded),
        (EncryptedPrivateKeyInfoRef::PEM_LABEL, Some([])) => Err(KeyFileError::PassphraseEmpty),
        (EncryptedPrivateKeyInfoRef::PEM_LABEL, Some(passphrase)) => {
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                .map_err(|cause| KeyFileError::NotPkcs8 { cause })?;
            check_encryption(&encrypted)?;
            let plain = encrypted.decrypt(passphrase).map_err(|cause| match cause {
                pkcs8::Error::EncryptedPrivateKey(
                    pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::AlgorithmParametersInvalid { .. },
                ) => KeyFileError::Encryption,
                _ => KeyFileError::PassphraseWrong,
            })?;
            from_pkcs8(plain.as_bytes()).map_err(|error| match error {
                KeyFileError::NotPkcs8 { .. } => KeyFileError::PassphraseWrong,
                other => other,
            })
        }
        _ => Err(KeyFileError::NotPem),
    }
}

/// Refuses a cost that would exhaust the machine, and parameters outside of what their definition allows.
fn check_encryption(encrypted: &EncryptedPrivateKeyInfoRef<'_>) -> Result<(), KeyFileError> {
    let parameters = encrypted.encryption_algorithm.pbes2().ok_or(KeyFileError::Encryption)?;
    let accepted = match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let bytes = scrypt.cost_parameter.saturating_mul(u64::from(scrypt.block_size)).saturating_mul(128);
            scrypt.cost_parameter > 1
                && scrypt.cost_parameter.is_power_of_two()
                && (1..=SCRYPT_BYTES_MAX).contains(&bytes)
                && (1..=SCRYPT_PARALLELIZATION_MAX).contains(&scrypt.parallelization)
        }
        Kdf::Pbkdf2(pbkdf2) => (1..=PBKDF2_ROUNDS_MAX).contains(&pbkdf2.iteration_count),
        _ => false,
    };
    if accepted { Ok(()) } else { Err(KeyFileError::Encryption) }
}

fn from_pkcs8(bytes: &[u8]) -> Result<SecretKey, KeyFileError> {
    let parsed = PrivateKeyInfoRef::try_from(bytes).map_err(|cause| KeyFileError::NotPkcs8 { cause })?;
    if OTHER_ALGORITHMS.contains(&parsed.algorithm.oid) {
        return SecretKey::from_pkcs8(bytes).ok_or(KeyFileError::NotWhole);
    }
    if parsed.algorithm != ALGORITHM {
        return Err(KeyFileError::Algorithm { found: parsed.algorithm.oid.to_string() });
    }
    let seed = parsed.private_key.as_bytes().strip_prefix(&SEED_PREFIX).and_then(|seed| seed.try_into().ok());
    let key = SecretKey::from_seed(seed.ok_or(KeyFileError::NotASeed)?);
    match parsed.public_key {
        Some(public_key) if public_key.as_bytes() != Some(key.public_key().as_slice()) => Err(KeyFileError::NotASeed),
        _ => Ok(key),
    }
}
