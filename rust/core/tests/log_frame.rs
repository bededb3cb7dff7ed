//! Frames: their exact bytes, and one error for each thing that can be wrong with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use finchain_core::log::frame::{HEAD_BYTES, PAYLOAD_BYTES_MAX, padded_bytes};
use finchain_core::log::{Frame, FrameError};

const LEDGER: [u8; 16] = *b"this ledger here";

fn frame() -> Frame {
    Frame::of(LEDGER, 258, b"{\"height\":258}\n").unwrap()
}

/// The head again, with `act` done to it and its own sum made right.
fn resealed(act: impl FnOnce(&mut [u8; HEAD_BYTES])) -> [u8; HEAD_BYTES] {
    let mut head = frame().encode();
    act(&mut head);
    let sum = blake3::hash(&head[..48]);
    head[48..].copy_from_slice(&sum.as_bytes()[..16]);
    head
}

#[test]
fn a_head_is_these_64_bytes() {
    let hex: String = frame().encode().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(
        hex,
        concat!(
            "46434201",
            "0f000000",
            "0201000000000000",
            "74686973206c65646765722068657265",
            "5f05937d903fbe2e5d67e83af08fd9ab",
            "c087110d216ece7eb94bfd6208b96f30"
        )
    );
    assert_eq!(Frame::decode(&frame().encode()), Ok(frame()));
}

#[test]
fn frames_fill_whole_pages() {
    let cases = [(1, 4096), (4032, 4096), (4033, 8192), (PAYLOAD_BYTES_MAX, (16 << 20) + 4096)];
    for (length, bytes) in cases {
        assert_eq!(padded_bytes(length), bytes, "payload of {length}");
    }
}

#[test]
fn a_payload_has_one_byte_to_16_mib() {
    let longest = vec![b'x'; PAYLOAD_BYTES_MAX as usize];
    assert!(Frame::of(LEDGER, 0, b"").is_none());
    assert!(Frame::of(LEDGER, 0, b"x").is_some());
    assert!(Frame::of(LEDGER, 0, &longest).is_some());
    assert!(Frame::of(LEDGER, 0, &[longest, vec![b'x']].concat()).is_none());
    for (length, good) in [(0, false), (1, true), (PAYLOAD_BYTES_MAX, true), (PAYLOAD_BYTES_MAX + 1, false)] {
        let head = resealed(|head| head[4..8].copy_from_slice(&length.to_le_bytes()));
        let expected = if good { None } else { Some(FrameError::Length { found: length }) };
        assert_eq!(Frame::decode(&head).err(), expected);
    }
}

#[test]
fn each_fault_of_a_head_has_its_error() {
    let mut head = frame().encode();
    head[0] = b'f';
    assert_eq!(Frame::decode(&head), Err(FrameError::Magic { found: *b"fCB" }));
    assert_eq!(Frame::decode(&resealed(|head| head[3] = 2)), Err(FrameError::Version { found: 2 }));
    // Every bit from the version on stands under the sum, the sum included.
    for bit in 24..HEAD_BYTES * 8 {
        let mut head = frame().encode();
        head[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(Frame::decode(&head), Err(FrameError::HeadSum { .. })), "bit {bit}");
    }
    let found = *b"another one here";
    assert_eq!(frame().check_place(found, 258), Err(FrameError::Ledger { expected: found, found: LEDGER }));
    assert_eq!(frame().check_place(LEDGER, 259), Err(FrameError::Height { expected: 259, found: 258 }));
    assert_eq!(frame().check_place(LEDGER, 258), Ok(()));
}

#[test]
fn payload_and_padding_are_checked() {
    assert_eq!(frame().check_payload(b"{\"height\":258}\n", &[0; 9]), Ok(()));
    let wrong = frame().check_payload(b"{\"height\":259}\n", &[0; 9]);
    assert!(matches!(wrong, Err(FrameError::PayloadSum { .. })));
    let wrong = frame().check_payload(b"{\"height\":258}\n", &[0, 0, 7]);
    assert_eq!(wrong, Err(FrameError::Padding { found: 7 }));
}

#[test]
fn only_what_an_interrupted_write_leaves_may_be_cut() {
    let sum = [0; 16];
    let torn = [
        FrameError::Short { expected: 64, found: 3 },
        FrameError::Magic { found: [0; 3] },
        FrameError::HeadSum { expected: sum, found: sum },
        FrameError::PayloadSum { expected: sum, found: sum },
    ];
    let meant = [
        FrameError::Version { found: 2 },
        FrameError::Length { found: 0 },
        FrameError::Ledger { expected: sum, found: sum },
        FrameError::Height { expected: 1, found: 2 },
        FrameError::Padding { found: 1 },
    ];
    assert!(torn.iter().all(FrameError::may_be_torn));
    assert!(!meant.iter().any(FrameError::may_be_torn));
}

#[test]
fn messages_say_what_was_expected_and_found() {
    let message = FrameError::Height { expected: 7, found: 9 }.to_string();
    assert_eq!(message, "the frame holds block 9, not 7");
    let message = FrameError::Magic { found: [0, 1, 255] }.to_string();
    assert_eq!(message, "a frame starts with 464342, not 0001ff");
}
