//! Canonical JSON: the one form in which finchain signs, hashes and stores values.
//!
//! `check` accepts exactly the language of `docs/format.md` section 1 and refuses every other text, because a
//! second spelling of one value would be a second hash of one fact. The scanner reads each byte once, allocates
//! nothing, and nests no deeper than its depth bound. Nothing here repairs or reorders a text that came from outside.

mod value;

use std::borrow::Cow;
use std::ops::Range;

pub use value::{Value, write_integer, write_string};

/// How deep an instruction or a record may nest, its own outermost brace included.
pub const DEPTH_MAX: usize = 8;

/// How deep a document that contains instructions may nest. A larger bound given to a function counts as this one,
/// so that no caller can make the scanner exhaust the stack.
pub const DOCUMENT_DEPTH_MAX: usize = 16;

/// The largest integer; the smallest is its negative. Every number up to here is exact in every JSON library.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Digits of `INTEGER_MAX`.
const DIGITS_MAX: usize = 16;

/// Why a text is not canonical, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical JSON at byte {offset}: {problem}")]
pub struct CanonicalError {
    /// Position of the offending byte, from 0.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a text; one variant per cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text stops too early.
    #[error("the text ends, expected {expected}")]
    End {
        /// What should have followed.
        expected: &'static str,
    },
    /// A byte that cannot stand here.
    #[error("found {}, expected {expected}", show(*found))]
    Unexpected {
        /// The byte.
        found: u8,
        /// What could stand here.
        expected: &'static str,
    },
    /// Space, tab, carriage return or line feed outside of a string.
    #[error("found white space, expected {expected} at once")]
    WhiteSpace {
        /// What could stand here.
        expected: &'static str,
    },
    /// The text starts with U+FEFF.
    #[error("found a byte order mark, expected the value at once")]
    ByteOrderMark,
    /// `null`.
    #[error("found null, expected another value or no member at all")]
    Null,
    /// A fraction or an exponent.
    #[error("found a fraction or an exponent, expected an integer")]
    NotAnInteger,
    /// A digit after a leading zero.
    #[error("found a leading zero, expected the integer without it")]
    LeadingZero,
    /// `-0`.
    #[error("found -0, expected 0")]
    MinusZero,
    /// An integer above 2^53-1 or below its negative.
    #[error("the integer is too large, expected -(2^53-1) to 2^53-1")]
    IntegerTooLarge,
    /// U+0000 to U+001F or U+007F to U+009F.
    #[error("found the control character U+{found:04X}, expected text without control characters")]
    ControlCharacter {
        /// The code point.
        found: u8,
    },
    /// Bytes that are not UTF-8.
    #[error("found bytes that are not UTF-8")]
    NotUtf8,
    /// A backslash before anything but a quote or a backslash.
    #[error("found an escape of {}, expected only \\\" or \\\\", show(*found))]
    Escape {
        /// The byte after the backslash.
        found: u8,
    },
    /// A member with no name.
    #[error("found an empty name, expected at least one character")]
    NameEmpty,
    /// A name with a byte outside of %x20-21 / %x23-5B / %x5D-7E.
    #[error("found {} in a name, expected printable ASCII without quote and backslash", show(*found))]
    NameCharacter {
        /// The byte.
        found: u8,
    },
    /// A name that should stand before the one before it.
    #[error("found a name out of order, expected names sorted by their bytes")]
    NameOrder,
    /// A name that is equal to the one before it.
    #[error("found a name for the second time, expected every name once")]
    NameRepeated,
    /// More open braces and brackets than allowed.
    #[error("nested too deep, expected at most {depth_max} open braces and brackets")]
    DepthExceeded {
        /// The bound.
        depth_max: usize,
    },
    /// Something follows the value.
    #[error("found {} after the value, expected nothing", show(*found))]
    Trailing {
        /// The first byte after the value.
        found: u8,
    },
}

/// A byte as a reader wants to see it.
fn show(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("'{}'", byte as char) } else { format!("byte 0x{byte:02x}") }
}

/// Checks that `text` is one canonical value that nests at most `depth_max` deep.
///
/// # Errors
/// The first byte that makes it something else.
pub fn check(text: &[u8], depth_max: usize) -> Result<(), CanonicalError> {
    let scanner = Scanner::new(text, depth_max);
    let ((), end) = scanner.value(0, 0)?;
    scanner.nothing_after(end)
}

/// Checks `text` as one array and gives the byte ranges of its elements.
///
/// # Errors
/// As `check`; another value than an array is `Unexpected`.
pub fn elements(text: &[u8], depth_max: usize) -> Result<Vec<Range<usize>>, CanonicalError> {
    let (ranges, end) = elements_at(text, 0, depth_max)?;
    Scanner::new(text, depth_max).nothing_after(end)?;
    Ok(ranges)
}

/// Checks the array that starts at byte `start` of `text`; gives the ranges of its elements, counted from the
/// beginning of `text`, and the position after the array. What follows there is not looked at.
///
/// # Errors
/// As `elements`.
pub fn elements_at(text: &[u8], start: usize, depth_max: usize) -> Result<(Vec<Range<usize>>, usize), CanonicalError> {
    let scanner = Scanner::new(text, depth_max);
    scanner.expect(start, b'[', "an array")?;
    let mut ranges = Vec::new();
    let end = scanner.array(start, 0, |(), range| ranges.push(range))?;
    Ok((ranges, end))
}

/// Checks `text` as one object and gives its names with the byte ranges of their values, in order.
///
/// # Errors
/// As `check`; another value than an object is `Unexpected`.
pub fn members(text: &[u8], depth_max: usize) -> Result<Vec<(&str, Range<usize>)>, CanonicalError> {
    let scanner = Scanner::new(text, depth_max);
    scanner.expect(0, b'{', "an object")?;
    let mut found = Vec::new();
    let end = scanner.object(0, 0, |name, (), range| found.push((name, range)))?;
    scanner.nothing_after(end)?;
    Ok(found)
}

/// The text that a canonical string stands for; `raw` includes both quotes, as a range of `members` does.
///
/// # Errors
/// `raw` is not one canonical string.
pub fn unescape(raw: &[u8]) -> Result<Cow<'_, str>, CanonicalError> {
    let scanner = Scanner::new(raw, 0);
    scanner.expect(0, b'"', "a string")?;
    let (escaped, end) = scanner.string(0)?;
    scanner.nothing_after(end)?;
    Ok(scanner.text(0, end, escaped))
}

/// The integer that `raw` spells.
///
/// # Errors
/// `raw` is not one canonical integer.
pub fn integer(raw: &[u8]) -> Result<i64, CanonicalError> {
    let scanner = Scanner::new(raw, 0);
    let (number, end) = scanner.integer(0)?;
    scanner.nothing_after(end)?;
    Ok(number)
}

/// What a byte is inside of a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Quote,
    Backslash,
    Control,
    Multibyte,
}

/// The class of every byte; a table because the scanner spends most of its time here.
const CLASS: [Class; 256] = {
    let mut table = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte < 0x20 || byte == 0x7f {
            table[byte] = Class::Control;
        } else if byte >= 0x80 {
            table[byte] = Class::Multibyte;
        }
        byte += 1;
    }
    table[b'"' as usize] = Class::Quote;
    table[b'\\' as usize] = Class::Backslash;
    table
};

/// How many bytes from the start are plain, eight at a time: what is left of fewer than eight is not counted.
///
/// Most bytes of a transaction stand in strings of sixty characters and more. Each term below has the high bit of a
/// byte set where that byte is one of a class; a borrow can set it falsely only above a byte where it is set rightly.
fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let equal =
        |word: u64, byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES) & !(word ^ (ONES * u64::from(byte)));
    let (words, _) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let other = (word | below_space | equal(word, b'"') | equal(word, b'\\') | equal(word, 0x7f)) & HIGHS;
        if other != 0 {
            return index * 8 + other.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8
}

/// What a scan makes of the values it meets: nothing, when it only checks, or a tree.
trait Shape<'a>: Sized {
    /// The elements of one array so far.
    type List: Default;
    /// The members of one object so far.
    type Members: Default;

    fn boolean(value: bool) -> Self;
    fn integer(value: i64) -> Self;
    fn text(scanner: &Scanner<'a>, start: usize, end: usize, escaped: bool) -> Self;
    fn push_element(list: &mut Self::List, element: Self);
    fn push_member(members: &mut Self::Members, name: &'a str, value: Self);
    fn array(list: Self::List) -> Self;
    fn object(members: Self::Members) -> Self;
}

impl Shape<'_> for () {
    type List = ();
    type Members = ();

    fn boolean(_: bool) -> Self {}
    fn integer(_: i64) -> Self {}
    fn text(_: &Scanner<'_>, _: usize, _: usize, _: bool) -> Self {}
    fn push_element((): &mut (), (): Self) {}
    fn push_member((): &mut (), _: &str, (): Self) {}
    fn array((): ()) -> Self {}
    fn object((): ()) -> Self {}
}

/// Reads one text from left to right; every method takes a position and gives the position after what it read.
struct Scanner<'a> {
    text: &'a [u8],
    depth_max: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a [u8], depth_max: usize) -> Self {
        Self { text, depth_max: depth_max.min(DOCUMENT_DEPTH_MAX) }
    }

    fn fail<T>(offset: usize, problem: Problem) -> Result<T, CanonicalError> {
        Err(CanonicalError { offset, problem })
    }

    /// The error for whatever stands at `at`, where `expected` should stand.
    fn unexpected<T>(&self, at: usize, expected: &'static str) -> Result<T, CanonicalError> {
        let problem = match self.text.get(at) {
            None => Problem::End { expected },
            Some(b' ' | b'\t' | b'\n' | b'\r') => Problem::WhiteSpace { expected },
            Some(&found) => Problem::Unexpected { found, expected },
        };
        Self::fail(at, problem)
    }

    fn expect(&self, at: usize, byte: u8, expected: &'static str) -> Result<usize, CanonicalError> {
        if self.text.get(at) == Some(&byte) { Ok(at + 1) } else { self.unexpected(at, expected) }
    }

    fn nothing_after(&self, end: usize) -> Result<(), CanonicalError> {
        match self.text.get(end) {
            None => Ok(()),
            Some(&found) => Self::fail(end, Problem::Trailing { found }),
        }
    }

    /// One value at `at`, inside of `depth` open braces and brackets.
    fn value<S: Shape<'a>>(&self, at: usize, depth: usize) -> Result<(S, usize), CanonicalError> {
        match self.text.get(at) {
            Some(b'"') => {
                let (escaped, end) = self.string(at)?;
                Ok((S::text(self, at, end, escaped), end))
            }
            Some(b'{') => {
                let mut members = S::Members::default();
                let end = self.object(at, depth, |name, value, _| S::push_member(&mut members, name, value))?;
                Ok((S::object(members), end))
            }
            Some(b'[') => {
                let mut list = S::List::default();
                let end = self.array(at, depth, |element, _| S::push_element(&mut list, element))?;
                Ok((S::array(list), end))
            }
            Some(b'-' | b'0'..=b'9') => self.integer(at).map(|(number, end)| (S::integer(number), end)),
            Some(b't') if self.starts(at, b"true") => Ok((S::boolean(true), at + 4)),
            Some(b'f') if self.starts(at, b"false") => Ok((S::boolean(false), at + 5)),
            Some(b'n') if self.starts(at, b"null") => Self::fail(at, Problem::Null),
            Some(0xef) if at == 0 && self.starts(0, b"\xef\xbb\xbf") => Self::fail(0, Problem::ByteOrderMark),
            _ => self.unexpected(at, "a value"),
        }
    }

    fn starts(&self, at: usize, word: &[u8]) -> bool {
        self.text.get(at..).is_some_and(|rest| rest.starts_with(word))
    }

    /// The depth inside of the brace or bracket at `at`.
    fn deeper(&self, at: usize, depth: usize) -> Result<usize, CanonicalError> {
        if depth < self.depth_max {
            Ok(depth + 1)
        } else {
            Self::fail(at, Problem::DepthExceeded { depth_max: self.depth_max })
        }
    }

    /// The array whose bracket stands at `at`.
    fn array<S: Shape<'a>>(
        &self,
        at: usize,
        depth: usize,
        mut each: impl FnMut(S, Range<usize>),
    ) -> Result<usize, CanonicalError> {
        let depth = self.deeper(at, depth)?;
        let mut start = at + 1;
        if self.text.get(start) == Some(&b']') {
            return Ok(start + 1);
        }
        loop {
            let (element, end) = self.value(start, depth)?;
            each(element, start..end);
            match self.text.get(end) {
                Some(b',') => start = end + 1,
                Some(b']') => return Ok(end + 1),
                _ => return self.unexpected(end, "',' or ']'"),
            }
        }
    }

    /// The object whose brace stands at `at`.
    fn object<S: Shape<'a>>(
        &self,
        at: usize,
        depth: usize,
        mut each: impl FnMut(&'a str, S, Range<usize>),
    ) -> Result<usize, CanonicalError> {
        let depth = self.deeper(at, depth)?;
        let mut start = at + 1;
        if self.text.get(start) == Some(&b'}') {
            return Ok(start + 1);
        }
        let mut before: &'a str = "";
        loop {
            let (name, end) = self.name(start)?;
            match before.cmp(name) {
                std::cmp::Ordering::Less => before = name,
                std::cmp::Ordering::Equal => return Self::fail(start, Problem::NameRepeated),
                std::cmp::Ordering::Greater => return Self::fail(start, Problem::NameOrder),
            }
            let value_start = self.expect(end, b':', "':'")?;
            let (value, end) = self.value(value_start, depth)?;
            each(name, value, value_start..end);
            match self.text.get(end) {
                Some(b',') => start = end + 1,
                Some(b'}') => return Ok(end + 1),
                _ => return self.unexpected(end, "',' or '}'"),
            }
        }
    }

    /// The name of a member. The empty name is refused, so it can stand for "no name before this one".
    fn name(&self, at: usize) -> Result<(&'a str, usize), CanonicalError> {
        let start = self.expect(at, b'"', "a name")?;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| CLASS[byte as usize] != Class::Plain) else {
            return Self::fail(self.text.len(), Problem::End { expected: "the name's closing quote" });
        };
        let end = start + length;
        match rest[length] {
            b'"' if length == 0 => Self::fail(at, Problem::NameEmpty),
            b'"' => match std::str::from_utf8(&rest[..length]) {
                Ok(name) => Ok((name, end + 1)),
                Err(_) => Self::fail(at, Problem::NotUtf8),
            },
            found => Self::fail(end, Problem::NameCharacter { found }),
        }
    }

    /// The string whose quote stands at `at`; says whether it holds an escape.
    fn string(&self, at: usize) -> Result<(bool, usize), CanonicalError> {
        let mut escaped = false;
        let mut at = at + 1;
        loop {
            let Some(&byte) = self.text.get(at) else {
                return Self::fail(at, Problem::End { expected: "the string's closing quote" });
            };
            match CLASS[byte as usize] {
                Class::Plain => at += plain_bytes(&self.text[at..]).max(1),
                Class::Quote => return Ok((escaped, at + 1)),
                Class::Backslash => match self.text.get(at + 1) {
                    Some(b'"' | b'\\') => {
                        escaped = true;
                        at += 2;
                    }
                    Some(&found) => return Self::fail(at, Problem::Escape { found }),
                    None => return Self::fail(at + 1, Problem::End { expected: "'\"' or '\\'" }),
                },
                Class::Control => return Self::fail(at, Problem::ControlCharacter { found: byte }),
                Class::Multibyte => at = self.multibyte(at)?,
            }
        }
    }

    /// One character of two to four bytes, by table 3-7 of the Unicode standard: no surrogate, nothing overlong.
    fn multibyte(&self, at: usize) -> Result<usize, CanonicalError> {
        let byte = |index: usize| self.text.get(at + index).copied().unwrap_or_default();
        let follows = |index: usize| byte(index) & 0xc0 == 0x80;
        let second = byte(1);
        let length = match byte(0) {
            0xc2 if (0x80..=0x9f).contains(&second) => {
                return Self::fail(at, Problem::ControlCharacter { found: second });
            }
            0xc2..=0xdf if follows(1) => 2,
            0xe0 if (0xa0..=0xbf).contains(&second) && follows(2) => 3,
            0xed if (0x80..=0x9f).contains(&second) && follows(2) => 3,
            0xe1..=0xec | 0xee..=0xef if follows(1) && follows(2) => 3,
            0xf0 if (0x90..=0xbf).contains(&second) && follows(2) && follows(3) => 4,
            0xf1..=0xf3 if follows(1) && follows(2) && follows(3) => 4,
            0xf4 if (0x80..=0x8f).contains(&second) && follows(2) && follows(3) => 4,
            _ => return Self::fail(at, Problem::NotUtf8),
        };
        Ok(at + length)
    }

    /// What the string in `start..end`, quotes included, stands for.
    fn text(&self, start: usize, end: usize, escaped: bool) -> Cow<'a, str> {
        // The scan has already refused what is not UTF-8, so nothing is ever replaced here.
        let inner = String::from_utf8_lossy(&self.text[start + 1..end - 1]);
        if !escaped {
            return inner;
        }
        let mut text = String::with_capacity(inner.len());
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => text.extend(characters.next()),
                _ => text.push(character),
            }
        }
        Cow::Owned(text)
    }

    /// The integer at `at`.
    fn integer(&self, at: usize) -> Result<(i64, usize), CanonicalError> {
        let negative = self.text.get(at) == Some(&b'-');
        let start = at + usize::from(negative);
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = start + length;
        if length == 0 {
            return self.unexpected(start, if negative { "a digit" } else { "an integer" });
        }
        if let Some(b'.' | b'e' | b'E') = self.text.get(end) {
            return Self::fail(end, Problem::NotAnInteger);
        }
        if rest[0] == b'0' && length > 1 {
            return Self::fail(start, Problem::LeadingZero);
        }
        if rest[0] == b'0' && negative {
            return Self::fail(at, Problem::MinusZero);
        }
        if length > DIGITS_MAX {
            return Self::fail(at, Problem::IntegerTooLarge);
        }
        let number = rest[..length].iter().fold(0_i64, |number, &digit| number * 10 + i64::from(digit - b'0'));
        if number > INTEGER_MAX {
            return Self::fail(at, Problem::IntegerTooLarge);
        }
        Ok((if negative { -number } else { number }, end))
    }
}
