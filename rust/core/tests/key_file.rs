//! Key files: what other tools write is read, what is written they can read, and careless files are refused.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use finchain_core::encoding::{base64, unbase64};
use finchain_core::key_file::{KEY_FILE_BYTES_MAX, KeyFileError, from_pem, read, to_pem, write_new};
use finchain_core::signature::SecretKey;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf, Salt, ScryptParams};
use proptest::prelude::*;

/// Written by Python's `cryptography` 50 for the seed 00 01 .. 1f; the second under "correct horse", with PBKDF2.
const PLAIN: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
";
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBAP2QMVRPixr4i16405
faMxAgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQszbZrcmX7ronddx/
1hrR1QRAt0njenNYni8/O7WCZ/R5mLRg45ruEHc2TgIu/GhAUx4r+FsqvhcUD2s9
5468hrX/4G8uHXG7UlsXzX7Wnm5OrA==
-----END ENCRYPTED PRIVATE KEY-----
";
const PASSPHRASE: Option<&[u8]> = Some(b"correct horse");

fn seed() -> [u8; 32] {
    std::array::from_fn(|index| u8::try_from(index).unwrap())
}

fn key() -> SecretKey {
    SecretKey::from_seed(&seed())
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("finchain-key-file-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file with that content and mode.
    fn file(&self, content: &[u8], mode: u32) -> PathBuf {
        let path = self.0.join("written");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn der(pem: &str) -> Vec<u8> {
    unbase64(&pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = base64(der);
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the sample holds these bytes");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn keys_of_other_tools_are_read_and_written_alike() {
    assert_eq!(from_pem(PLAIN, None).unwrap().seed(), Some(&seed()));
    assert_eq!(from_pem(ENCRYPTED, PASSPHRASE).unwrap().seed(), Some(&seed()));
    assert_eq!(*to_pem(&key(), None).unwrap(), PLAIN);
    assert_eq!(pem("PRIVATE KEY", &der(PLAIN)), PLAIN, "`pem` writes what the sample holds");
}

#[test]
fn a_written_key_is_read_back_and_guarded() {
    let folder = Folder::new("round-trip");
    for (name, passphrase) in [("plain", None), ("encrypted", PASSPHRASE)] {
        let path = folder.0.join(name);
        write_new(&path, &key(), passphrase).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, passphrase).unwrap().seed(), Some(&seed()));
        let before = fs::read(&path).unwrap();
        let error = write_new(&path, &SecretKey::from_seed(&[1; 32]), passphrase).unwrap_err();
        assert!(matches!(error, KeyFileError::Io { action: "create", .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "a key is never overwritten");
    }
    let encrypted = fs::read_to_string(folder.0.join("encrypted")).unwrap();
    assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert!(!der(&encrypted).windows(8).any(|window| window == &seed()[..8]));
    assert_ne!(*to_pem(&key(), PASSPHRASE).unwrap(), encrypted, "every salt is new");
    let missing = folder.0.join("no/such/folder/key");
    assert!(matches!(write_new(&missing, &key(), None), Err(KeyFileError::Io { .. })));
    assert!(matches!(read(&missing, None), Err(KeyFileError::Io { action: "open", .. })));
}

#[test]
fn careless_files_are_refused() {
    let folder = Folder::new("careless");
    for mode in [0o600, 0o400, 0o700] {
        assert!(read(&folder.file(PLAIN.as_bytes(), mode), None).is_ok(), "{mode:o}");
        fs::remove_file(folder.0.join("written")).unwrap();
    }
    for mode in [0o640, 0o620, 0o604, 0o602, 0o610, 0o601, 0o644, 0o777] {
        let error = read(&folder.file(PLAIN.as_bytes(), mode), None).unwrap_err();
        assert!(matches!(error, KeyFileError::TooOpen { found } if found == mode), "{mode:o}: {error}");
    }
    assert!(matches!(read(&folder.0, None), Err(KeyFileError::NotAFile)));
    let pipe = folder.0.join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(matches!(read(&pipe, None), Err(KeyFileError::NotAFile)), "and without waiting for a writer");
    let link = folder.0.join("link");
    std::os::unix::fs::symlink(folder.file(PLAIN.as_bytes(), 0o600), &link).unwrap();
    assert!(read(&link, None).is_ok(), "a link to a guarded file is followed");

    let max = usize::try_from(KEY_FILE_BYTES_MAX).unwrap();
    let padded = |bytes: usize| vec![b'x'; bytes];
    assert!(matches!(read(&folder.file(&padded(max), 0o600), None), Err(KeyFileError::NotPem)));
    assert!(matches!(read(&folder.file(&padded(max + 1), 0o600), None), Err(KeyFileError::TooLong)));
    assert!(matches!(read(&folder.file(b"\xff", 0o600), None), Err(KeyFileError::NotPem)));
}

#[test]
fn passphrases_are_asked_for_and_checked() {
    assert!(matches!(from_pem(PLAIN, PASSPHRASE), Err(KeyFileError::NotEncrypted)));
    assert!(matches!(from_pem(ENCRYPTED, None), Err(KeyFileError::PassphraseNeeded)));
    assert!(matches!(from_pem(ENCRYPTED, Some(b"")), Err(KeyFileError::PassphraseEmpty)));
    assert!(matches!(to_pem(&key(), Some(b"")), Err(KeyFileError::PassphraseEmpty)));
    // Among so many wrong ones, some decrypt to valid padding by chance and are refused one step later.
    for index in 0..600_u32 {
        let wrong = format!("wrong {index}");
        assert!(matches!(from_pem(ENCRYPTED, Some(wrong.as_bytes())), Err(KeyFileError::PassphraseWrong)), "{wrong}");
    }
}

#[test]
fn other_keys_and_damaged_ones_are_refused_by_name() {
    let good = der(PLAIN);
    let parse = |der: &[u8]| from_pem(&pem("PRIVATE KEY", der), None).map(|key| *key.seed().unwrap());
    assert_eq!(parse(&good).unwrap(), seed());
    let x25519 = replaced(&good, &[0x2b, 0x65, 0x70], &[0x2b, 0x65, 0x6e]);
    assert!(matches!(parse(&x25519), Err(KeyFileError::Algorithm { found }) if found == "1.3.101.110"));
    let unwrapped = replaced(&good, &[0x04, 0x22, 0x04, 0x20], &[0x04, 0x22, 0x05, 0x20]);
    assert!(matches!(parse(&unwrapped), Err(KeyFileError::NotASeed)));
    let short = replaced(&good, &[0x04, 0x22, 0x04, 0x20], &[0x04, 0x22, 0x04, 0x1f]);
    assert!(matches!(parse(&short), Err(KeyFileError::NotASeed)));
    assert!(matches!(parse(&good[..good.len() - 1]), Err(KeyFileError::NotPkcs8 { .. } | KeyFileError::NotPem)));
    assert!(matches!(
        parse(&[good.as_slice(), &[0]].concat()),
        Err(KeyFileError::NotPkcs8 { .. } | KeyFileError::NotPem)
    ));
    for text in ["", "key", &PLAIN.replace("PRIVATE", "PUBLIC"), &PLAIN.replace("PRIVATE KEY", "EC PRIVATE KEY")] {
        assert!(matches!(from_pem(text, None), Err(KeyFileError::NotPem)), "{text}");
    }

    // Version 2 of PKCS#8 adds the public key, which has to be this key's own.
    let with_public = |public_key: &[u8; 32]| {
        let body = [&[0x02, 0x01, 0x01], &good[5..], &[0x81, 0x21, 0x00], public_key].concat();
        [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
    };
    assert_eq!(parse(&with_public(key().public_key().as_slice().try_into().unwrap())).unwrap(), seed());
    assert!(matches!(parse(&with_public(&[7; 32])), Err(KeyFileError::NotASeed)));
}

/// A file under a passphrase with that derivation of its key; what is encrypted in it is nothing.
fn sealed(kdf: Kdf) -> String {
    let content = [0; 16];
    let encrypted = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: Parameters { kdf, encryption: EncryptionScheme::Aes256Cbc { iv: [0; 16] } }.into(),
        encrypted_data: OctetStringRef::new(&content).unwrap(),
    };
    pem("ENCRYPTED PRIVATE KEY", &encrypted.to_der().unwrap())
}

#[test]
fn a_passphrase_may_cost_only_so_much() {
    let salt = Salt::new([0; 16]).unwrap();
    let scrypt = |cost_parameter, block_size, parallelization| {
        sealed(Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None }))
    };
    let rounds =
        |iteration_count, prf| sealed(Kdf::Pbkdf2(Pbkdf2Params { salt, iteration_count, key_length: None, prf }));
    for tried in [
        scrypt(1 << 18, 8, 1),
        scrypt(2, 1, 16),
        rounds(1, Pbkdf2Prf::HmacWithSha256),
        rounds(2_000_000, Pbkdf2Prf::HmacWithSha256),
    ] {
        assert!(matches!(from_pem(&tried, PASSPHRASE), Err(KeyFileError::PassphraseWrong)), "{tried}");
    }
    for refused in [
        scrypt(1 << 19, 8, 1),
        scrypt(1 << 18, 9, 1),
        scrypt(u64::MAX, u16::MAX, 1),
        scrypt(1 << 63, 8, 1),
        scrypt((1 << 14) + 1, 8, 1),
        scrypt(1, 8, 1),
        scrypt(0, 8, 1),
        scrypt(2, 0, 1),
        scrypt(2, 1, 0),
        scrypt(2, 1, 17),
        rounds(0, Pbkdf2Prf::HmacWithSha256),
        rounds(2_000_001, Pbkdf2Prf::HmacWithSha256),
        rounds(1, Pbkdf2Prf::HmacWithSha1),
    ] {
        let error = from_pem(&refused, PASSPHRASE).unwrap_err();
        assert!(matches!(error, KeyFileError::Encryption), "{error}: {refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_are_judged_without_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for (text, passphrase) in [(PLAIN, None), (ENCRYPTED, PASSPHRASE)] {
            let mut bytes = der(text);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let label = text.lines().next().unwrap().trim_matches('-').strip_prefix("BEGIN ").unwrap();
            let _ = from_pem(&pem(label, &bytes), passphrase);
        }
    }
}
