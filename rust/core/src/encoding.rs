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

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Exactly `N` bytes from lower-case hex, or `None`.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex_vec(text)?.try_into().ok()
}

/// Any number of bytes from lower-case hex, or `None`.
#[must_use]
pub fn unhex_vec(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
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
    use super::{base64, hex, unbase64, unbase64_array, unhex};

    #[test]
    fn hex_has_one_spelling() {
        assert_eq!(hex(&[0x00, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex::<3>("009fff"), Some([0x00, 0x9f, 0xff]));
        for wrong in ["009fFF", "009ff", "009fff0", "009fff00", "", " 09fff", "00 9fff", "009ffg", "0x9fff"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
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
