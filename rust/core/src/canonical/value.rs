//! A canonical value as a tree, and its writer.
//!
//! The writer gives canonical bytes or an error: it sorts members, and refuses what the format cannot say
//! (control characters, large integers, names outside of printable ASCII, too deep nesting).

use std::borrow::Cow;

use super::{CanonicalError, Class, DOCUMENT_DEPTH_MAX, INTEGER_MAX, Problem, Scanner, Shape};

/// One value of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// An integer within `-INTEGER_MAX ..= INTEGER_MAX`.
    Integer(i64),
    /// A string, without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object; parsing gives its members sorted, writing sorts them.
    Object(Vec<(&'a str, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Reads `text` as one canonical value that nests at most `depth_max` deep.
    ///
    /// # Errors
    /// As `canonical::check`.
    pub fn parse(text: &'a [u8], depth_max: usize) -> Result<Self, CanonicalError> {
        let scanner = Scanner::new(text, depth_max);
        let (value, end) = scanner.value(0, 0)?;
        scanner.nothing_after(end)?;
        Ok(value)
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one and not negative.
    #[must_use]
    pub fn as_count(&self) -> Option<u64> {
        self.as_integer().and_then(|value| u64::try_from(value).ok())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(&'a str, Self)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The member of that name, if it is an object that has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(member, _)| *member == name).map(|(_, value)| value)
    }

    /// The canonical bytes of this value.
    ///
    /// # Errors
    /// The value holds something that canonical JSON cannot say, or nests deeper than `DOCUMENT_DEPTH_MAX`.
    /// The offset of the error counts the bytes written before it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        let mut out = Vec::new();
        self.write(&mut out, 0)?;
        Ok(out)
    }

    fn write(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CanonicalError> {
        match self {
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Integer(value) => write_integer(out, *value)?,
            Self::Text(text) => write_string(out, text)?,
            Self::Array(elements) => {
                let depth = deeper(out, depth)?;
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    element.write(out, depth)?;
                }
                out.push(b']');
            }
            Self::Object(members) => write_object(out, members, deeper(out, depth)?)?,
        }
        Ok(())
    }
}

fn fail<T>(out: &[u8], problem: Problem) -> Result<T, CanonicalError> {
    Err(CanonicalError { offset: out.len(), problem })
}

fn deeper(out: &[u8], depth: usize) -> Result<usize, CanonicalError> {
    if depth < DOCUMENT_DEPTH_MAX {
        Ok(depth + 1)
    } else {
        fail(out, Problem::DepthExceeded { depth_max: DOCUMENT_DEPTH_MAX })
    }
}

fn write_object(out: &mut Vec<u8>, members: &[(&str, Value<'_>)], depth: usize) -> Result<(), CanonicalError> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    out.push(b'{');
    let mut before = "";
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if name.is_empty() {
            return fail(out, Problem::NameEmpty);
        }
        if *name == before {
            return fail(out, Problem::NameRepeated);
        }
        if let Some(found) = name.bytes().find(|&byte| super::CLASS[byte as usize] != Class::Plain) {
            return fail(out, Problem::NameCharacter { found });
        }
        before = name;
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        value.write(out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends `text` as a canonical string, quotes included.
///
/// # Errors
/// `ControlCharacter`; nothing is appended then.
pub fn write_string(out: &mut Vec<u8>, text: &str) -> Result<(), CanonicalError> {
    if let Some(found) = text.chars().find(|character| character.is_control()) {
        // Every control character is below U+00A0.
        let found = u8::try_from(u32::from(found)).unwrap_or(u8::MAX);
        return fail(out, Problem::ControlCharacter { found });
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}

/// Appends `number` as a canonical integer.
///
/// # Errors
/// `IntegerTooLarge`; nothing is appended then.
pub fn write_integer(out: &mut Vec<u8>, number: i64) -> Result<(), CanonicalError> {
    if !(-INTEGER_MAX..=INTEGER_MAX).contains(&number) {
        return fail(out, Problem::IntegerTooLarge);
    }
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

impl<'a> Shape<'a> for Value<'a> {
    type List = Vec<Value<'a>>;
    type Members = Vec<(&'a str, Value<'a>)>;

    fn boolean(value: bool) -> Self {
        Self::Bool(value)
    }

    fn integer(value: i64) -> Self {
        Self::Integer(value)
    }

    fn text(scanner: &Scanner<'a>, start: usize, end: usize, escaped: bool) -> Self {
        Self::Text(scanner.text(start, end, escaped))
    }

    fn push_element(list: &mut Self::List, element: Self) {
        list.push(element);
    }

    fn push_member(members: &mut Self::Members, name: &'a str, value: Self) {
        members.push((name, value));
    }

    fn array(list: Self::List) -> Self {
        Self::Array(list)
    }

    fn object(members: Self::Members) -> Self {
        Self::Object(members)
    }
}
