//! Hex and Base64, in exactly one spelling each.
//!
//! Hex is lower case. Base64 is RFC 4648 section 4 with padding and zero trailing bits, so that two different texts
//! never stand for the same bytes.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Decoding asks for what encoding writes: full padding and no stray bits.
const STRICT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(true)
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The two digits of every byte.
const DIGITS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// What every digit stands for; above 15 where a byte is none.
const VALUES: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        table[DIGITS[value as usize][1] as usize] = value;
        value += 1;
    }
    table
};

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend_from_slice(&DIGITS[usize::from(*byte)]);
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Exactly `N` bytes from lower-case hex, or `None`.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (text.len() == 2 * N && unhex_into(text, &mut bytes)).then_some(bytes)
}

/// Any number of bytes from lower-case hex, or `None`.
#[must_use]
pub fn unhex_vec(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    (text.len().is_multiple_of(2) && unhex_into(text, &mut bytes)).then_some(bytes)
}

/// Whether the text is hex of as many bytes, which are then in `bytes`.
///
/// All digits are looked at before one answer is given: hex is read for each key and signature of a transaction, and
/// with an answer for each digit it was an eighth of parsing one.
fn unhex_into(text: &str, bytes: &mut [u8]) -> bool {
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(text.as_bytes().as_chunks().0) {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    seen < 16
}

/// `bytes` in Base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STRICT.encode(bytes)
}

/// The bytes that `text` stands for, or `None` where it is not the one spelling of any bytes.
#[must_use]
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    STRICT.decode(text).ok()
}

/// Exactly `N` bytes from Base64, or `None`.
#[must_use]
pub fn unbase64_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    unbase64(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{base64, hex, unbase64, unbase64_array, unhex, unhex_vec};

    #[test]
    fn hex_has_one_spelling() {
        assert_eq!(hex(&[0x00, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex::<3>("009fff"), Some([0x00, 0x9f, 0xff]));
        for wrong in ["009fFF", "009ff", "009fff0", "009fff00", "", " 09fff", "00 9fff", "009ffg", "0x9fff"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hex_stands_for_every_byte_and_no_other_character_is_a_digit() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex_vec(&hex(&all)), Some(all));
        assert_eq!((unhex_vec(""), unhex_vec("0"), unhex_vec("é")), (Some(Vec::new()), None, None));
        for character in '\0'..='\u{ff}' {
            let value = character.to_digit(16).filter(|_| !character.is_ascii_uppercase());
            let expected = |shift| value.and_then(|value| u8::try_from(value << shift).ok()).map(|byte| [byte]);
            assert_eq!(unhex(&format!("{character}0")), expected(4), "{character}");
            assert_eq!(unhex(&format!("0{character}")), expected(0), "{character}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(unbase64("Zm8=").as_deref(), Some(b"fo".as_slice()));
        assert_eq!(unbase64_array::<2>("Zm8="), Some(*b"fo"));
        assert_eq!(unbase64_array::<3>("Zm8="), None);
        for wrong in ["Zm8", "Zm9=", "Zm8=\n", " Zm8=", "Zm8==", "Zm8=Zm8=", "_m8=", "Z", "===="] {
            assert_eq!(unbase64(wrong), None, "{wrong}");
        }
    }
}
