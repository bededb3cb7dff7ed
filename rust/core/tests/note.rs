//! Signed notes, checkpoints and cosignatures: both sides of every limit, and every refusal by name.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use finchain_core::checkpoint::{Checkpoint, CheckpointError, cosign, verify_cosignature};
use finchain_core::encoding::base64;
use finchain_core::note::{
    KeyKind, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError, NoteSignature, VerifierKey, sign_note,
};
use finchain_core::signature::{SecretKey, SignatureError};
use proptest::prelude::*;

const ORIGIN: &str = "acme.example/ledger";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn verifier(seed: u8, kind: KeyKind) -> VerifierKey {
    VerifierKey::of(ORIGIN, kind, &key(seed)).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 17, root_hash: [0xab; 32] }
}

fn signed() -> Note {
    sign_note(&checkpoint().to_text().unwrap(), ORIGIN, &key(1)).unwrap()
}

#[test]
fn a_checkpoint_is_signed_witnessed_and_believed() {
    let mut note = signed();
    let line = cosign(&note, "witness.example", &key(2), 1_764_000_000).unwrap();
    note.add(line).unwrap();
    let arrived = Note::parse(&note.to_bytes()).unwrap();
    assert_eq!(arrived, note);
    arrived.verify(&verifier(1, KeyKind::Note)).unwrap();
    let witness = VerifierKey::of("witness.example", KeyKind::Cosignature, &key(2)).unwrap();
    assert_eq!(verify_cosignature(&arrived, &witness), Ok(1_764_000_000));
    assert_eq!(Checkpoint::parse_text(arrived.text()), Ok(checkpoint()));
}

#[test]
fn a_verifier_key_survives_its_text_form() {
    for kind in [KeyKind::Note, KeyKind::Cosignature] {
        let one = verifier(3, kind);
        let again = VerifierKey::parse(&one.to_string()).unwrap();
        assert_eq!(again, one);
        assert_eq!((again.name(), again.kind()), (ORIGIN, kind));
        assert_eq!(again.public_key(), key(3).public_key());
    }
    assert_ne!(verifier(3, KeyKind::Note).key_id(), verifier(3, KeyKind::Cosignature).key_id());
}

#[test]
fn verifier_keys_are_refused_by_name() {
    let good = verifier(3, KeyKind::Note).to_string();
    let [name, id, encoded]: [&str; 3] = good.splitn(3, '+').collect::<Vec<_>>().try_into().unwrap();
    let refused = |text: &str| VerifierKey::parse(text).unwrap_err();
    for text in ["", "a", "a+b", name, &format!("{name}+{id}"), &format!("{name}+{id}+"), &format!("{name}+{id}+!")] {
        assert_eq!(refused(text), NoteError::KeyForm, "{text}");
    }
    let upper = id.to_uppercase();
    assert_ne!(upper, id, "the sample needs a letter in its id");
    assert_eq!(refused(&format!("{name}+{upper}+{encoded}")), NoteError::KeyForm);
    for (kind, expected, found) in [(1, 32, 31), (1, 32, 1_312), (4, 32, 1_312), (6, 1_312, 32), (6, 1_312, 1_313)] {
        let encoded = base64(&[vec![kind], vec![1; found]].concat());
        let wrong = SignatureError::PublicKeyLength { expected, found };
        assert_eq!(refused(&format!("{name}+{id}+{encoded}")), NoteError::PublicKey(wrong), "kind {kind}");
    }
    assert_eq!(refused(&format!("{name}+{id}+{}", base64(&[2; 33]))), NoteError::KeyKind { found: 2 });
    assert!(matches!(refused(&format!("{name}+00000000+{encoded}")), NoteError::KeyIdDiffers { .. }));
    assert!(matches!(refused(&format!("other+{id}+{encoded}")), NoteError::KeyIdDiffers { .. }));
    assert!(matches!(refused(&format!("+{id}+{encoded}")), NoteError::KeyName { .. }));
    let mut identity = [0; 32];
    identity[0] = 1;
    let small = VerifierKey::new(ORIGIN, KeyKind::Note, &identity);
    assert_eq!(small, Err(NoteError::PublicKey(SignatureError::PublicKeySmallOrder)));
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\tb", "a\nb", "a\u{1}b"] {
        let refused = VerifierKey::of(name, KeyKind::Note, &key(1));
        assert_eq!(refused, Err(NoteError::KeyName { name: name.to_owned() }), "{name:?}");
    }
}

#[test]
fn malformed_notes_are_refused_by_name() {
    let good = String::from_utf8(signed().to_bytes()).unwrap();
    let (text, line) = good.split_once("\n\n").unwrap();
    let parse = |note: &str| Note::parse(note.as_bytes()).unwrap_err();
    for note in ["", "\n", "text\n", "text\n\n", &format!("{text}\n{line}"), good.trim_end()] {
        assert_eq!(parse(note), NoteError::NoSignatures, "{note:?}");
    }
    for wrong in [
        "x",
        " ",
        "—",
        "— ",
        "— a",
        "— a ",
        "— a b",
        "— a AAAAAA==",
        "— a  AAAAAAE=",
        "— a+b AAAAAAE=",
        "- a AAAAAAE=",
        "—  AAAAAAE=",
        "—\u{a0}a AAAAAAE=",
        "— a AAAAAAE",
        "— a AAAAAAE= ",
        "— a AAAAAAF=",
        "— a\u{a0}b AAAAAAE=",
    ] {
        assert_eq!(parse(&format!("{good}{wrong}\n")), NoteError::SignatureLine { line: 2 }, "{wrong:?}");
    }
    assert!(Note::parse(format!("{good}— a AAAAAAE=\n").as_bytes()).is_ok(), "4 bytes of id and 1 of signature");
    assert_eq!(parse(&format!("\t{good}")), NoteError::ControlCharacter { offset: 0, found: 9 });
    assert_eq!(parse(&good.replace('\n', "\r\n")), NoteError::ControlCharacter { offset: 19, found: 13 });
    assert_eq!(Note::parse(b"a\xff\n"), Err(NoteError::NotUtf8 { offset: 1 }));
    assert_eq!(sign_note("text", ORIGIN, &key(1)), Err(NoteError::TextEnd));
    assert_eq!(sign_note("", ORIGIN, &key(1)), Err(NoteError::TextEnd));
    assert_eq!(sign_note("a\0\n", ORIGIN, &key(1)), Err(NoteError::ControlCharacter { offset: 1, found: 0 }));
    assert!(matches!(sign_note("a\n", "a b", &key(1)), Err(NoteError::KeyName { .. })));
}

#[test]
fn a_text_may_hold_blank_lines_and_signature_lines_of_its_own() {
    for text in ["\n", "\n\n", "a\n\n\n", "a\n\n— not a signature\n"] {
        let note = sign_note(text, ORIGIN, &key(1)).unwrap();
        let arrived = Note::parse(&note.to_bytes()).unwrap();
        assert_eq!(arrived.text(), text);
        arrived.verify(&verifier(1, KeyKind::Note)).unwrap();
    }
}

#[test]
fn the_size_of_a_note_is_bounded() {
    let line = NoteSignature { name: "w".to_owned(), key_id: [0; 4], signature: vec![1] };
    let mut note = signed();
    for _ in 1..NOTE_SIGNATURES_MAX {
        note.add(line.clone()).unwrap();
    }
    let full = note.to_bytes();
    assert_eq!(Note::parse(&full).unwrap().signatures().len(), NOTE_SIGNATURES_MAX);
    let found = NOTE_SIGNATURES_MAX + 1;
    assert_eq!(note.add(line), Err(NoteError::TooManySignatures { found }));
    assert_eq!(note.to_bytes(), full, "a refused line changes nothing");
    let over = [full, "— w AAAAAAE=\n".as_bytes().to_vec()].concat();
    assert_eq!(Note::parse(&over), Err(NoteError::TooManySignatures { found }));

    let around = sign_note("\n", ORIGIN, &key(1)).unwrap().to_bytes().len() - 1;
    let text = |bytes: usize| format!("{}\n", "x".repeat(bytes - around - 1));
    let longest = sign_note(&text(NOTE_BYTES_MAX), ORIGIN, &key(1)).unwrap().to_bytes();
    assert_eq!(longest.len(), NOTE_BYTES_MAX);
    Note::parse(&longest).unwrap().verify(&verifier(1, KeyKind::Note)).unwrap();
    let found = NOTE_BYTES_MAX + 1;
    assert_eq!(sign_note(&text(found), ORIGIN, &key(1)), Err(NoteError::TooLong { found }));
    let too_long = [b"x".as_slice(), &longest].concat();
    assert_eq!(Note::parse(&too_long), Err(NoteError::TooLong { found }));
}

#[test]
fn only_the_trusted_key_counts_and_it_must_hold() {
    let note = signed();
    assert!(matches!(note.verify(&verifier(2, KeyKind::Note)), Err(NoteError::NotSigned { .. })));
    let renamed = VerifierKey::of("other", KeyKind::Note, &key(1)).unwrap();
    assert!(matches!(note.verify(&renamed), Err(NoteError::NotSigned { .. })));
    let (expected, found) = ([KeyKind::Note].as_slice(), KeyKind::Cosignature);
    assert_eq!(note.verify(&verifier(1, found)), Err(NoteError::KeyKindDiffers { expected, found }));
    let by_key = verifier(1, KeyKind::Note);
    let mut spoilt = note.clone();
    let line = NoteSignature { signature: vec![0; 64], ..note.signatures()[0].clone() };
    spoilt.add(line).unwrap();
    assert!(
        matches!(spoilt.verify(&by_key), Err(NoteError::BadSignature { .. })),
        "one good line does not excuse a bad one"
    );
    let mut twice = note.clone();
    twice.add(note.signatures()[0].clone()).unwrap();
    twice.verify(&by_key).unwrap();
    let mut foreign = note.clone();
    foreign.add(NoteSignature { name: "other".to_owned(), key_id: by_key.key_id(), signature: vec![9] }).unwrap();
    foreign.verify(&by_key).unwrap();
}

#[test]
fn checkpoints_have_three_lines_in_one_spelling() {
    let root_hash = base64(&[0xab; 32]);
    let parse = Checkpoint::parse_text;
    assert_eq!(parse(&checkpoint().to_text().unwrap()), Ok(checkpoint()));
    assert_eq!(parse(&format!("o\n0\n{root_hash}\n")).unwrap().size, 0);
    assert_eq!(parse(&format!("o\n18446744073709551615\n{root_hash}\n")).unwrap().size, u64::MAX);
    for size in ["", "00", "01", "+1", "-1", "1 ", "0x1", "18446744073709551616", "١"] {
        assert_eq!(parse(&format!("o\n{size}\n{root_hash}\n")), Err(CheckpointError::Size { found: size.to_owned() }));
    }
    for hash in ["", "AAAA", &root_hash[1..], &base64(&[0; 31]), &base64(&[0; 33]), root_hash.trim_end_matches('=')] {
        assert_eq!(parse(&format!("o\n1\n{hash}\n")), Err(CheckpointError::RootHash { found: hash.to_owned() }));
    }
    assert_eq!(parse(&format!("\n1\n{root_hash}\n")), Err(CheckpointError::OriginEmpty));
    assert_eq!(parse(&format!("a\tb\n1\n{root_hash}\n")), Err(CheckpointError::OriginControl));
    assert_eq!(parse(&format!("o\n1\n{root_hash}")), Err(CheckpointError::Lines { found: 2 }));
    assert_eq!(parse(&format!("o\n1\n{root_hash}\nextension\n")), Err(CheckpointError::Lines { found: 4 }));
    assert_eq!(parse(""), Err(CheckpointError::Lines { found: 0 }));
    for (origin, expected) in [("", CheckpointError::OriginEmpty), ("a\nb", CheckpointError::OriginControl)] {
        assert_eq!(Checkpoint { origin: origin.to_owned(), ..checkpoint() }.to_text(), Err(expected));
    }
}

#[test]
fn cosignatures_are_refused_by_name() {
    let last = u64::try_from(i64::MAX).unwrap();
    let witness = verifier(2, KeyKind::Cosignature);
    let mut note = signed();
    assert!(matches!(verify_cosignature(&note, &witness), Err(CheckpointError::Note(NoteError::NotSigned { .. }))));
    assert_eq!(cosign(&note, ORIGIN, &key(2), last + 1), Err(CheckpointError::Time { found: last + 1 }));
    for time_s in [5, last, 7] {
        let line = cosign(&note, ORIGIN, &key(2), time_s).unwrap();
        note.add(line).unwrap();
    }
    assert_eq!(verify_cosignature(&note, &witness), Ok(last), "the latest of several");
    assert!(matches!(
        verify_cosignature(&note, &verifier(1, KeyKind::Note)),
        Err(CheckpointError::Note(NoteError::KeyKindDiffers { .. }))
    ));
    let good = cosign(&note, ORIGIN, &key(2), 5).unwrap();
    let mut later = good.clone();
    later.signature[7] += 1;
    let mut too_late = good.clone();
    too_late.signature[0] = 0x80;
    for (line, expected) in [
        (later, "the signature does not belong"),
        (NoteSignature { signature: good.signature[1..].to_vec(), ..good.clone() }, "71 bytes, expected 72"),
        (NoteSignature { signature: good.signature[..7].to_vec(), ..good.clone() }, "7 bytes, expected 72"),
        (too_late, "expected at most 2^63-1"),
    ] {
        let mut note = signed();
        note.add(line).unwrap();
        let error = verify_cosignature(&note, &witness).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let free = sign_note("no checkpoint\n", ORIGIN, &key(1)).unwrap();
    assert_eq!(cosign(&free, ORIGIN, &key(2), 5), Err(CheckpointError::Lines { found: 1 }));
    assert_eq!(verify_cosignature(&free, &witness), Err(CheckpointError::Lines { found: 1 }));
}

proptest! {
    #[test]
    fn a_changed_byte_never_passes(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let good = signed().to_bytes();
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let believed = Note::parse(&bytes).and_then(|note| note.verify(&verifier(1, KeyKind::Note)));
        prop_assert_eq!(believed.is_ok(), bytes == good);
    }

    #[test]
    fn any_bytes_are_judged_without_panic(text in "[a-c\\n— +=A-C]{0,60}") {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_bytes(), text.as_bytes());
        }
        let _ = (VerifierKey::parse(&text), Checkpoint::parse_text(&text));
    }
}
