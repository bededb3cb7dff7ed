//! Checkpoints that are signed and cosigned by ML-DSA-44: what such a line covers, and each way to forge one.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::OnceLock;

use finchain_core::checkpoint::{
    Checkpoint, CheckpointError, cosign, sign_checkpoint, verify_cosignature, verify_signed,
};
use finchain_core::encoding::base64;
use finchain_core::note::{KeyKind, NOTE_BYTES_MAX, Note, NoteError, NoteSignature, VerifierKey, sign_note};
use finchain_core::receipt::{ReceiptError, Trust, verify_checkpoint};
use finchain_core::signature::{SecretKey, SignatureError};

const ORIGIN: &str = "acme.example/ledger";
const WITNESS: &str = "witness.example";
const TIME_S: u64 = 1_764_000_000;

fn ed25519() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

/// The log's key and the witness's, made once: nothing here depends on which they are.
fn ml_dsa(of_witness: bool) -> &'static SecretKey {
    static KEYS: OnceLock<[SecretKey; 2]> = OnceLock::new();
    &KEYS.get_or_init(|| [(); 2].map(|()| SecretKey::generate("ml-dsa-44").unwrap()))[usize::from(of_witness)]
}

fn log_key() -> VerifierKey {
    VerifierKey::of(ORIGIN, KeyKind::SubtreeCosignature, ml_dsa(false)).unwrap()
}

fn witness_key() -> VerifierKey {
    VerifierKey::of(WITNESS, KeyKind::SubtreeCosignature, ml_dsa(true)).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 17, root_hash: [0xab; 32] }
}

fn signed() -> Note {
    sign_checkpoint(&checkpoint(), ml_dsa(false)).unwrap()
}

/// The note with another text over the same lines.
fn over(note: &Note, text: &str) -> Note {
    let bytes = String::from_utf8(note.to_bytes()).unwrap();
    let (_, lines) = bytes.split_once("\n\n").unwrap();
    Note::parse(format!("{text}\n{lines}").as_bytes()).unwrap()
}

/// What `cosigned_message` of C2SP tlog-cosignature is, written out once more.
fn message(cosigner: &str, time_s: u64, origin: &str, start: u64, checkpoint: &Checkpoint) -> Vec<u8> {
    let named = |name: &str| [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    let [time, start, end] = [time_s, start, checkpoint.size].map(u64::to_be_bytes);
    let label = b"subtree/v1\n\0".as_slice();
    [label, &named(cosigner), &time, &named(origin), &start, &end, &checkpoint.root_hash].concat()
}

/// A note whose one line is the log's, over `message`, with `time_s` before the signature.
fn signed_over(time_s: u64, message: &[u8]) -> Note {
    let signature = [time_s.to_be_bytes().to_vec(), ml_dsa(false).sign(message).unwrap()].concat();
    let line = NoteSignature { name: ORIGIN.to_owned(), key_id: log_key().key_id(), signature };
    let mut note = sign_note(&checkpoint().to_text().unwrap(), "stranger", &ed25519()).unwrap();
    note.add(line).unwrap();
    note
}

fn believed(note: &Note) -> Result<Option<Checkpoint>, CheckpointError> {
    verify_signed(note, &[log_key()])
}

fn mismatch<T>(found: &Result<T, CheckpointError>) -> bool {
    matches!(found, Err(CheckpointError::Note(NoteError::BadSignature { cause: SignatureError::Mismatch, .. })))
}

#[test]
fn a_checkpoint_is_signed_witnessed_and_believed() {
    let mut note = signed();
    note.add(cosign(&note, WITNESS, ml_dsa(true), TIME_S).unwrap()).unwrap();
    let arrived = Note::parse(&note.to_bytes()).unwrap();
    assert_eq!(believed(&arrived), Ok(Some(checkpoint())));
    assert_eq!(verify_cosignature(&arrived, &witness_key()), Ok(TIME_S));
    let trust =
        Trust { log_keys: vec![log_key()], witnesses: vec![witness_key()], witnesses_needed: 1, ..Trust::default() };
    let expected = (checkpoint(), vec![(WITNESS.to_owned(), TIME_S)]);
    assert_eq!(verify_checkpoint(&note.to_bytes(), &trust), Ok(expected));
    assert_eq!(note.signatures()[0].signature[..8], [0; 8], "a log says nothing of when");
}

#[test]
fn a_verifier_key_survives_its_text_form() {
    let again = VerifierKey::parse(&log_key().to_string()).unwrap();
    assert_eq!(again, log_key());
    assert_eq!(again.to_string().len(), ORIGIN.len() + 1 + 8 + 1 + 1_752);
    assert_eq!(
        (again.kind(), again.public_key()),
        (KeyKind::SubtreeCosignature, ml_dsa(false).public_key().as_slice())
    );
    for key in [SecretKey::generate("p256").unwrap(), SecretKey::generate("sm2").unwrap()] {
        let found = key.suite().name();
        assert_eq!(KeyKind::of_log(&key), Err(NoteError::KeySuite { found }));
        assert_eq!(KeyKind::of_witness(&key), Err(NoteError::KeySuite { found }));
    }
}

#[test]
fn what_is_signed_is_the_message_of_the_standard() {
    let right = message(ORIGIN, 0, ORIGIN, 0, &checkpoint());
    assert_eq!(right.len(), 12 + 1 + ORIGIN.len() + 8 + 1 + ORIGIN.len() + 8 + 8 + 32);
    assert_eq!(believed(&signed_over(0, &right)), Ok(Some(checkpoint())));
    // Another log may state a time in its own line; finchain does not.
    let timed = signed_over(TIME_S, &message(ORIGIN, TIME_S, ORIGIN, 0, &checkpoint()));
    assert_eq!(believed(&timed), Ok(Some(checkpoint())));
    let longer = Checkpoint { size: 18, ..checkpoint() };
    let other = Checkpoint { root_hash: [0xac; 32], ..checkpoint() };
    for (what, wrong) in [
        ("another cosigner", message(WITNESS, 0, ORIGIN, 0, &checkpoint())),
        ("another time", message(ORIGIN, 1, ORIGIN, 0, &checkpoint())),
        ("another origin", message(ORIGIN, 0, WITNESS, 0, &checkpoint())),
        ("a subtree that does not begin at leaf 0", message(ORIGIN, 0, ORIGIN, 1, &checkpoint())),
        ("another size", message(ORIGIN, 0, ORIGIN, 0, &longer)),
        ("another root", message(ORIGIN, 0, ORIGIN, 0, &other)),
        ("a byte more", [right.clone(), vec![0]].concat()),
        ("the text", checkpoint().to_text().unwrap().into_bytes()),
    ] {
        assert!(mismatch(&believed(&signed_over(0, &wrong))), "{what}");
    }
}

#[test]
fn a_line_holds_over_its_own_checkpoint_alone() {
    let note = signed();
    let said = |size: u64, root_hash: [u8; 32]| {
        over(&note, &Checkpoint { size, root_hash, ..checkpoint() }.to_text().unwrap())
    };
    assert_eq!(believed(&said(17, [0xab; 32])), Ok(Some(checkpoint())));
    assert!(mismatch(&believed(&said(16, [0xab; 32]))));
    assert!(mismatch(&believed(&said(18, [0xab; 32]))));
    assert!(mismatch(&believed(&said(17, [0xaa; 32]))));
    let other = Checkpoint { origin: "acme.example/other".to_owned(), ..checkpoint() }.to_text().unwrap();
    assert!(mismatch(&believed(&over(&note, &other))));
    // The signature does not cover the text, so a text that says more than the three lines is no checkpoint.
    let text = checkpoint().to_text().unwrap();
    assert_eq!(believed(&over(&note, &format!("{text}more\n"))), Err(CheckpointError::Lines { found: 4 }));
    assert_eq!(believed(&over(&note, "free text\n")), Err(CheckpointError::Lines { found: 1 }));
}

#[test]
fn a_changed_line_is_refused_by_name() {
    let good = signed().signatures()[0].clone();
    let told = |line: NoteSignature| {
        let mut note = sign_note(&checkpoint().to_text().unwrap(), "stranger", &ed25519()).unwrap();
        note.add(line).unwrap();
        believed(&note)
    };
    assert_eq!(told(good.clone()), Ok(Some(checkpoint())));
    for found in [1, 8, 2_420, 2_427, 2_429] {
        let mut signature = good.signature.clone();
        signature.resize(found, 0);
        let error = told(NoteSignature { signature, ..good.clone() }).unwrap_err().to_string();
        assert!(error.contains(&format!("{found} bytes, expected 2428")), "{error}");
    }
    for at in [7, 8, 1_000, 2_427] {
        let mut line = good.clone();
        line.signature[at] ^= 1;
        assert!(mismatch(&told(line)), "byte {at}");
    }
    let mut late = good.clone();
    late.signature[0] = 0x80;
    assert_eq!(told(late), Err(CheckpointError::Time { found: 1 << 63 }));
    let renamed = NoteSignature { name: "another".to_owned(), ..good };
    assert_eq!(told(renamed), Ok(None), "a line by nobody who is known");
}

#[test]
fn the_last_second_can_be_cosigned_and_none_after_it() {
    let last = u64::try_from(i64::MAX).unwrap();
    let mut note = signed();
    for time_s in [0, last, 7] {
        note.add(cosign(&note, WITNESS, ml_dsa(true), time_s).unwrap()).unwrap();
    }
    assert_eq!(verify_cosignature(&note, &witness_key()), Ok(last), "the latest of several");
    assert_eq!(cosign(&note, WITNESS, ml_dsa(true), last + 1), Err(CheckpointError::Time { found: last + 1 }));
}

#[test]
fn both_kinds_of_lines_stand_under_one_checkpoint() {
    let mut note = sign_note(&checkpoint().to_text().unwrap(), ORIGIN, &ed25519()).unwrap();
    note.add(signed().signatures()[0].clone()).unwrap();
    let young = SecretKey::from_seed(&[2; 32]);
    note.add(cosign(&note, "young.example", &young, TIME_S).unwrap()).unwrap();
    note.add(cosign(&note, WITNESS, ml_dsa(true), TIME_S + 1).unwrap()).unwrap();
    let old_key = VerifierKey::of(ORIGIN, KeyKind::Note, &ed25519()).unwrap();
    let young_key = VerifierKey::of("young.example", KeyKind::Cosignature, &young).unwrap();
    for log_keys in [vec![old_key.clone()], vec![log_key()], vec![old_key.clone(), log_key()]] {
        let witnesses = vec![young_key.clone(), witness_key()];
        let trust = Trust { log_keys, witnesses, witnesses_needed: 2, operator_alone: false };
        let (found, witnessed_by) = verify_checkpoint(&note.to_bytes(), &trust).unwrap();
        assert_eq!(found, checkpoint());
        assert_eq!(witnessed_by, [("young.example".to_owned(), TIME_S), (WITNESS.to_owned(), TIME_S + 1)]);
    }
    // One that does not hold refuses the whole note, whichever of the two it is.
    let bad = over(&note, &Checkpoint { size: 18, ..checkpoint() }.to_text().unwrap());
    for key in [&old_key, &log_key()] {
        assert!(mismatch(&verify_signed(&bad, std::slice::from_ref(key))));
    }
    assert!(mismatch(&verify_cosignature(&bad, &young_key)) && mismatch(&verify_cosignature(&bad, &witness_key())));
    assert_eq!(verify_signed(&note, &[]), Ok(None));
}

#[test]
fn a_log_is_no_witness_of_itself() {
    let mut note = signed();
    let trust = |witness: VerifierKey| Trust {
        log_keys: vec![log_key()],
        witnesses: vec![witness],
        witnesses_needed: 1,
        operator_alone: false,
    };
    let few = Err(ReceiptError::TooFewWitnesses { needed: 1, found: 0 });
    assert_eq!(verify_checkpoint(&note.to_bytes(), &trust(log_key())), few);
    // Nor under another name, nor by another key under its own.
    note.add(cosign(&note, WITNESS, ml_dsa(false), TIME_S).unwrap()).unwrap();
    let renamed = VerifierKey::of(WITNESS, KeyKind::SubtreeCosignature, ml_dsa(false)).unwrap();
    assert_eq!(verify_checkpoint(&note.to_bytes(), &trust(renamed)), few);
    note.add(cosign(&note, ORIGIN, &ed25519(), TIME_S).unwrap()).unwrap();
    let own = VerifierKey::of(ORIGIN, KeyKind::Cosignature, &ed25519()).unwrap();
    assert_eq!(verify_checkpoint(&note.to_bytes(), &trust(own)), few);
}

#[test]
fn a_key_of_another_log_speaks_as_a_witness_at_most() {
    let mut note = sign_note(&checkpoint().to_text().unwrap(), ORIGIN, &ed25519()).unwrap();
    note.add(cosign(&note, WITNESS, ml_dsa(true), TIME_S).unwrap()).unwrap();
    let own = VerifierKey::of(ORIGIN, KeyKind::Note, &ed25519()).unwrap();
    let (expected, found) = (WITNESS.to_owned(), ORIGIN.to_owned());
    let error = CheckpointError::KeyOfAnotherLog { expected, found };
    assert_eq!(verify_signed(&note, &[witness_key()]), Err(error));
    for keys in [[own.clone(), witness_key()], [witness_key(), own]] {
        assert_eq!(verify_signed(&note, &keys), Ok(Some(checkpoint())));
    }
    let of_witness = VerifierKey::of(ORIGIN, KeyKind::Cosignature, &ed25519()).unwrap();
    let refused = verify_signed(&note, &[of_witness]).unwrap_err().to_string();
    assert!(refused.contains("Cosignature, expected one of [Note, SubtreeCosignature]"), "{refused}");
}

#[test]
fn a_name_has_at_most_255_bytes() {
    let (fits, long) = ("n".repeat(255), "n".repeat(256));
    let named = |origin: &str| Checkpoint { origin: origin.to_owned(), ..checkpoint() };
    let note = sign_checkpoint(&named(&fits), ml_dsa(false)).unwrap();
    let key = VerifierKey::of(&fits, KeyKind::SubtreeCosignature, ml_dsa(false)).unwrap();
    assert_eq!(verify_signed(&note, &[VerifierKey::parse(&key.to_string()).unwrap()]), Ok(Some(named(&fits))));
    let too_long = NoteError::KeyNameTooLong { found: 256 };
    assert_eq!(sign_checkpoint(&named(&long), ml_dsa(false)), Err(too_long.clone().into()));
    assert_eq!(VerifierKey::of(&long, KeyKind::SubtreeCosignature, ml_dsa(false)), Err(too_long.clone()));
    assert_eq!(cosign(&note, &long, ml_dsa(true), 1), Err(too_long.into()));
    // The text counts bytes and not letters.
    assert!(VerifierKey::of(&"é".repeat(128), KeyKind::SubtreeCosignature, ml_dsa(false)).is_err());
    assert!(VerifierKey::of(&long, KeyKind::Cosignature, &ed25519()).is_ok(), "Ed25519 signs no names of keys");

    let old = sign_checkpoint(&named(&long), &ed25519()).unwrap();
    let origin_too_long = CheckpointError::OriginTooLong { found: 256 };
    assert_eq!(cosign(&old, WITNESS, ml_dsa(true), 1), Err(origin_too_long.clone()));
    let mut forced = old.clone();
    forced.add(cosign(&note, WITNESS, ml_dsa(true), 1).unwrap()).unwrap();
    assert_eq!(verify_cosignature(&forced, &witness_key()), Err(origin_too_long));
    let mut witnessed = note;
    witnessed.add(cosign(&witnessed, WITNESS, ml_dsa(true), 1).unwrap()).unwrap();
    assert_eq!(verify_cosignature(&witnessed, &witness_key()), Ok(1));
}

#[test]
fn a_note_has_room_for_sixteen_lines_with_the_longest_names() {
    let longest = Checkpoint { origin: "o".repeat(255), size: u64::MAX, root_hash: [0xff; 32] };
    let mut note = sign_checkpoint(&longest, ml_dsa(false)).unwrap();
    let line = cosign(&note, &"w".repeat(255), ml_dsa(true), 1).unwrap();
    for _ in 1..16 {
        note.add(line.clone()).unwrap();
    }
    let arrived = Note::parse(&note.to_bytes()).unwrap();
    assert_eq!(arrived.signatures().len(), 16);
    let width = line.name.len() + base64(&[0; 4 + 8 + 2_420]).len() + "\u{2014}  \n".len();
    let more = (NOTE_BYTES_MAX - note.to_bytes().len()) / width;
    for _ in 0..more {
        note.add(line.clone()).unwrap();
    }
    let found = note.to_bytes().len() + width;
    assert_eq!(note.add(line), Err(NoteError::TooLong { found }));
}
