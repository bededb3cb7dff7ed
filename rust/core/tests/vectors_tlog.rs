//! Notes, checkpoints and the block log against a Tessera log, the Go checksum database and the C2SP examples.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::fs;
use std::path::Path;

use finchain_core::checkpoint::Checkpoint;
use finchain_core::hash::Rfc9162;
use finchain_core::merkle::{BlockLog, verify_consistency, verify_inclusion};
use finchain_core::note::{Note, NoteError, VerifierKey};
use serde_json::Value;
use vectors_folder::vectors;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The entries of a bundle: a length of two bytes, most significant first, then the entry.
fn entries(mut bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        found.push(entry.to_vec());
        bundle = rest;
    }
    found
}

#[test]
fn a_tessera_log_is_recomputed_from_its_entries() {
    let Some(folder) = vectors("tlog/tessera_log") else { return };
    let about = read(&folder.join("VKEY.json"));
    let key = VerifierKey::parse(text(&about["vkey"])).unwrap();
    assert_eq!(key.to_string(), text(&about["vkey"]));
    let mut log = BlockLog::new();
    let mut checkpoints = Vec::new();
    for size in 0..=15_u64 {
        let note = Note::parse(&fs::read(folder.join(format!("checkpoint.{size}"))).unwrap()).unwrap();
        note.verify(&key).unwrap();
        let checkpoint = Checkpoint::parse_text(note.text()).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), (text(&about["origin"]), size));
        assert_eq!(checkpoint.to_text().unwrap(), note.text());
        if size > 0 {
            let bundle = entries(&fs::read(folder.join(format!("tile/entries/000.p/{size}"))).unwrap());
            let tile = fs::read(folder.join(format!("tile/0/000.p/{size}"))).unwrap();
            assert_eq!(bundle.len() as u64, size);
            let leaves: Vec<_> = bundle.iter().map(|entry| Rfc9162.leaf(entry)).collect();
            assert_eq!(tile, leaves.concat(), "the tile of size {size} holds the hashes of the entries");
            log.push(*leaves.last().unwrap());
        }
        assert_eq!(log.root_hash(), checkpoint.root_hash, "size {size}");
        checkpoints.push(checkpoint);
    }
    for newer in &checkpoints {
        for older in checkpoints[1..].iter().filter(|older| older.size <= newer.size) {
            let path = log.consistency(older.size, newer.size).unwrap();
            let (root1, root2) = (&older.root_hash, &newer.root_hash);
            verify_consistency(&Rfc9162, older.size, newer.size, root1, root2, &path).unwrap();
        }
        for index in 0..newer.size {
            let (leaf, path) = (log.leaf(index).unwrap(), log.inclusion(index, newer.size).unwrap());
            verify_inclusion(&Rfc9162, &leaf, index, newer.size, &path, &newer.root_hash).unwrap();
        }
    }
}

#[test]
fn go_checksum_database_notes() {
    let Some(path) = vectors("tlog/gosumdb_signed_notes.json") else { return };
    let file = read(&path);
    let good: Vec<_> = file["verifiers"].as_object().unwrap().values().map(text).collect();
    let bad = file["bad_vkeys"].as_array().unwrap().iter().map(|key| text(key).to_owned());
    // The file's rule: every proper substring, and every key with one byte incremented, is refused as well.
    let substrings = good.iter().flat_map(|key| {
        (0..key.len()).flat_map(move |start| (start..=key.len()).map(move |end| key[start..end].to_owned()))
    });
    let incremented = good.iter().flat_map(|key| {
        (0..key.len()).map(move |at| {
            let bytes = key.bytes().enumerate().map(|(index, byte)| byte + u8::from(index == at));
            String::from_utf8(bytes.collect()).unwrap()
        })
    });
    for key in bad.chain(substrings).chain(incremented).filter(|key| !good.contains(&key.as_str())) {
        assert!(VerifierKey::parse(&key).is_err(), "{key}");
    }
    for malformed in file["malformed"].as_array().unwrap() {
        assert!(Note::parse(text(malformed).as_bytes()).is_err(), "{malformed}");
        assert!(Note::parse(&[b"\xff", text(malformed).as_bytes()].concat()).is_err());
    }
    for case in file["open"].as_array().unwrap() {
        let keys = case["keys"].as_array().unwrap().iter();
        let keys: Vec<_> = keys.map(|key| VerifierKey::parse(text(&file["verifiers"][text(key)])).unwrap()).collect();
        let note = Note::parse(text(&case["note"]).as_bytes());
        match case["why"].as_str() {
            None => {
                let note = note.unwrap();
                assert_eq!(note.to_bytes(), text(&case["note"]).as_bytes());
                assert_eq!(keys.len() as u64, case["verified"].as_u64().unwrap());
                assert!(keys.iter().all(|key| note.verify(key).is_ok()));
            }
            Some("invalid signature") => {
                assert!(matches!(note.unwrap().verify(&keys[0]), Err(NoteError::BadSignature { .. })));
            }
            Some("malformed: more than 100 signatures") => {
                assert_eq!(note, Err(NoteError::TooManySignatures { found: 101 }));
            }
            // These two are about a list of keys; here a caller asks for one key at a time.
            Some("no verifiable signatures" | "ambiguous key") => assert!(note.is_ok()),
            Some(other) => panic!("a case of a kind that this test does not know: {other}"),
        }
    }
    let golden = &file["tree_note_golden"];
    let checkpoint = Checkpoint::parse_text(text(&golden["text"])).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root_hash), (123_456_789_012, Rfc9162.leaf(b"hello world")));
    assert_eq!(checkpoint.to_text().unwrap(), text(&golden["text"]));
}

#[test]
fn c2sp_examples() {
    let Some(path) = vectors("tlog/c2sp_spec_examples.json") else { return };
    let file = read(&path);
    let key = VerifierKey::parse(text(&file["signed_note"]["vkey"])).unwrap();
    let note = Note::parse(text(&file["signed_note"]["note"]).as_bytes()).unwrap();
    assert_eq!(note.verify(&key), Ok(()));
    let cosigned = text(&file["cosigned_checkpoint_format_only"]);
    let note = Note::parse(cosigned.as_bytes()).unwrap();
    assert_eq!(note.to_bytes(), cosigned.as_bytes());
    let names: Vec<_> = note.signatures().iter().map(|line| (line.name.as_str(), line.signature.len())).collect();
    assert_eq!(names, [("example.com/behind-the-sofa", 64), ("witness.example.com/w1", 72)]);
    assert_eq!(note.signatures()[1].signature[..8], 1_679_315_147_u64.to_be_bytes());
    assert_eq!(Checkpoint::parse_text(note.text()).unwrap().size, 20_852_163);
}
