//! Canonical JSON: both sides of every limit, every cause of refusal, and that text and tree are one to one.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use finchain_core::canonical::{
    CanonicalError, DEPTH_MAX, DOCUMENT_DEPTH_MAX, INTEGER_MAX, Problem, Value, check, elements, elements_at, integer,
    members, unescape, write_string,
};
use proptest::prelude::*;

fn refused(text: &[u8]) -> (usize, Problem) {
    let CanonicalError { offset, problem } = check(text, DEPTH_MAX).expect_err(&String::from_utf8_lossy(text));
    assert_eq!(Value::parse(text, DEPTH_MAX), Err(CanonicalError { offset, problem: problem.clone() }));
    (offset, problem)
}

#[test]
fn accepts_each_kind_of_value() {
    for text in [
        "true",
        "false",
        "0",
        "-1",
        "42",
        "\"\"",
        "\"a \\\" \\\\ b\"",
        "\"\u{a0}é水𝄞\u{10ffff}\"",
        "[]",
        "{}",
        "[[],{},\"\",0,true]",
        "{\" !#[]~\":{\"A\":1,\"a\":2,\"aa\":3}}",
    ] {
        assert_eq!(check(text.as_bytes(), DEPTH_MAX), Ok(()), "{text}");
        assert_eq!(Value::parse(text.as_bytes(), DEPTH_MAX).unwrap().to_bytes().unwrap(), text.as_bytes());
    }
}

#[test]
fn every_cause_has_its_own_refusal() {
    let end = |expected| Problem::End { expected };
    for (text, offset, problem) in [
        ("", 0, end("a value")),
        ("[", 1, end("a value")),
        ("[1", 2, end("',' or ']'")),
        ("{", 1, end("a name")),
        ("{\"a", 3, end("the name's closing quote")),
        ("{\"a\"", 4, end("':'")),
        ("\"a", 2, end("the string's closing quote")),
        ("\"a\\", 3, end("'\"' or '\\'")),
        ("-", 1, end("a digit")),
        ("[1;2]", 2, Problem::Unexpected { found: b';', expected: "',' or ']'" }),
        ("tru", 0, Problem::Unexpected { found: b't', expected: "a value" }),
        ("[,1]", 1, Problem::Unexpected { found: b',', expected: "a value" }),
        ("[1,]", 3, Problem::Unexpected { found: b']', expected: "a value" }),
        (" 1", 0, Problem::WhiteSpace { expected: "a value" }),
        ("[1 ]", 2, Problem::WhiteSpace { expected: "',' or ']'" }),
        ("{\"a\" :1}", 4, Problem::WhiteSpace { expected: "':'" }),
        ("\u{feff}1", 0, Problem::ByteOrderMark),
        ("[null]", 1, Problem::Null),
        ("1.0", 1, Problem::NotAnInteger),
        ("1e5", 1, Problem::NotAnInteger),
        ("0E1", 1, Problem::NotAnInteger),
        ("01", 0, Problem::LeadingZero),
        ("-01", 1, Problem::LeadingZero),
        ("-0", 0, Problem::MinusZero),
        ("\"a\tb\"", 2, Problem::ControlCharacter { found: 9 }),
        ("\"\u{7f}\"", 1, Problem::ControlCharacter { found: 0x7f }),
        ("\"\u{80}\"", 1, Problem::ControlCharacter { found: 0x80 }),
        ("\"\u{9f}\"", 1, Problem::ControlCharacter { found: 0x9f }),
        ("\"\\n\"", 1, Problem::Escape { found: b'n' }),
        ("\"\\/\"", 1, Problem::Escape { found: b'/' }),
        ("\"\\u0041\"", 1, Problem::Escape { found: b'u' }),
        ("{\"\":1}", 1, Problem::NameEmpty),
        ("{\"é\":1}", 2, Problem::NameCharacter { found: 0xc3 }),
        ("{\"a\\\"\":1}", 3, Problem::NameCharacter { found: b'\\' }),
        ("{\"b\":1,\"a\":2}", 7, Problem::NameOrder),
        ("{\"aa\":1,\"a\":2}", 8, Problem::NameOrder),
        ("{\"a\":1,\"a\":2}", 7, Problem::NameRepeated),
        ("1 ", 1, Problem::Trailing { found: b' ' }),
        ("{}{}", 2, Problem::Trailing { found: b'{' }),
        ("1\n", 1, Problem::Trailing { found: b'\n' }),
    ] {
        assert_eq!(refused(text.as_bytes()), (offset, problem), "{text}");
    }
}

#[test]
fn a_refusal_says_where_and_what_would_be_right() {
    let error = check(b"{\"b\":1,\"a\":2}", DEPTH_MAX).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not canonical JSON at byte 7: found a name out of order, expected names sorted by their bytes"
    );
    let error = check(b"[1 ]", DEPTH_MAX).unwrap_err();
    assert_eq!(error.to_string(), "not canonical JSON at byte 2: found white space, expected ',' or ']' at once");
}

#[test]
fn integers_stop_at_two_to_the_53_minus_one() {
    for text in ["9007199254740991", "-9007199254740991"] {
        assert_eq!(check(text.as_bytes(), 1), Ok(()));
        assert_eq!(integer(text.as_bytes()).unwrap().abs(), INTEGER_MAX);
    }
    for text in ["9007199254740992", "-9007199254740992", "10000000000000000", "99999999999999999999999999"] {
        assert_eq!(refused(text.as_bytes()), (0, Problem::IntegerTooLarge), "{text}");
    }
    assert!(Value::Integer(INTEGER_MAX).to_bytes().is_ok());
    assert!(Value::Integer(INTEGER_MAX + 1).to_bytes().is_err());
    assert!(Value::Integer(-INTEGER_MAX - 1).to_bytes().is_err());
    assert!(Value::Integer(i64::MIN).to_bytes().is_err());
}

#[test]
fn depth_stops_at_its_bound() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert_eq!(check(&nested(DEPTH_MAX), DEPTH_MAX), Ok(()));
    assert_eq!(refused(&nested(DEPTH_MAX + 1)), (DEPTH_MAX, Problem::DepthExceeded { depth_max: DEPTH_MAX }));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes();
    assert_eq!(check(&objects(DOCUMENT_DEPTH_MAX), DOCUMENT_DEPTH_MAX), Ok(()));
    assert!(check(&objects(DOCUMENT_DEPTH_MAX + 1), DOCUMENT_DEPTH_MAX).is_err());
    assert_eq!(check(b"1", 0), Ok(()), "a scalar opens nothing");
    assert!(check(b"[]", 0).is_err());
    // A careless bound does not let a hostile text exhaust the stack.
    let deep = nested(1_000_000);
    assert_eq!(check(&deep, usize::MAX).unwrap_err().problem, Problem::DepthExceeded { depth_max: DOCUMENT_DEPTH_MAX });
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for bytes in [
        &b"\x80"[..],
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3",
        b"\xc3(",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x9d\x84",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
    ] {
        let text = [b"\"", bytes, b"\""].concat();
        assert!(std::str::from_utf8(&text).is_err(), "the sample is meant to be wrong: {bytes:x?}");
        assert_eq!(refused(&text), (1, Problem::NotUtf8), "{bytes:x?}");
    }
}

#[test]
fn every_scalar_value_is_judged_as_the_format_says() {
    for character in '\0'..=char::MAX {
        let text = format!("\"{character}\"");
        let allowed = !character.is_control() && !matches!(character, '"' | '\\');
        assert_eq!(check(text.as_bytes(), 1).is_ok(), allowed, "{character:?}");
    }
}

#[test]
fn ranges_lead_to_the_values() {
    let text = b"[1,\"a,]\",{\"b\":[2]},[]]";
    let found: Vec<_> = elements(text, 3).unwrap().into_iter().map(|range| &text[range]).collect();
    assert_eq!(found, [&b"1"[..], b"\"a,]\"", b"{\"b\":[2]}", b"[]"]);
    let text = b"{\"a\":\"x\\\"y\",\"b\":{\"c\":0}}";
    let found: Vec<_> = members(text, 2).unwrap().into_iter().map(|(name, range)| (name, &text[range])).collect();
    assert_eq!(found, [("a", &b"\"x\\\"y\""[..]), ("b", b"{\"c\":0}")]);
    assert_eq!(unescape(found[0].1).unwrap(), "x\"y");
    assert!(matches!(unescape(b"\"plain\"").unwrap(), Cow::Borrowed("plain")));
    let text = b"xx[1,2]yy";
    assert_eq!(elements_at(text, 2, 1).unwrap(), (vec![3..4, 5..6], 7));
    assert!(elements_at(text, 0, 1).is_err() && elements_at(text, 99, 1).is_err());
    assert_eq!(elements(b"{}", 1).unwrap_err().problem, Problem::Unexpected { found: b'{', expected: "an array" });
    assert_eq!(members(b"[]", 1).unwrap_err().problem, Problem::Unexpected { found: b'[', expected: "an object" });
    assert!(elements(b"[] ", 1).is_err() && members(b"{}x", 1).is_err());
    assert!(unescape(b"\"a\"b").is_err() && unescape(b"a").is_err() && integer(b"1x").is_err());
}

#[test]
fn the_writer_sorts_and_refuses() {
    let value = Value::Object(vec![("b", Value::Bool(true)), ("a", Value::Array(vec![Value::Text("x".into())]))]);
    assert_eq!(value.to_bytes().unwrap(), b"{\"a\":[\"x\"],\"b\":true}");
    for (name, problem) in [
        ("", Problem::NameEmpty),
        ("é", Problem::NameCharacter { found: 0xc3 }),
        ("a\":1,\"b", Problem::NameCharacter { found: b'"' }),
    ] {
        assert_eq!(Value::Object(vec![(name, Value::Bool(true))]).to_bytes().unwrap_err().problem, problem);
    }
    let twice = Value::Object(vec![("a", Value::Bool(true)), ("a", Value::Bool(false))]);
    assert_eq!(twice.to_bytes().unwrap_err().problem, Problem::NameRepeated);
    let mut out = b"kept".to_vec();
    assert!(write_string(&mut out, "a\u{85}").is_err());
    assert_eq!(out, b"kept", "a refused string leaves nothing behind");
    let mut nested = Value::Array(Vec::new());
    for _ in 1..DOCUMENT_DEPTH_MAX {
        nested = Value::Array(vec![nested]);
    }
    assert!(nested.to_bytes().is_ok());
    assert!(Value::Array(vec![nested]).to_bytes().is_err());
}

#[test]
fn accessors_answer_for_their_kind_only() {
    let value = Value::parse(b"{\"a\":[1],\"b\":\"t\",\"c\":-1,\"d\":false}", 2).unwrap();
    assert_eq!(value.get("a").and_then(Value::as_array).map(<[_]>::len), Some(1));
    assert_eq!(value.get("b").and_then(Value::as_text), Some("t"));
    assert_eq!(value.get("c").and_then(Value::as_integer), Some(-1));
    assert_eq!(value.get("c").and_then(Value::as_count), None);
    assert_eq!(value.get("d").and_then(Value::as_bool), Some(false));
    assert_eq!(value.get("e"), None);
    assert_eq!(value.as_text(), None);
}

/// Owned stand-in for `Value`, because names are borrowed there.
#[derive(Clone, Debug)]
enum Tree {
    Bool(bool),
    Integer(i64),
    Text(String),
    Array(Vec<Tree>),
    Object(std::collections::BTreeMap<String, Tree>),
}

impl Tree {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Array(elements) => Value::Array(elements.iter().map(Self::value).collect()),
            Self::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.as_str(), value.value())).collect())
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Tree::Bool),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(Tree::Integer),
        "[\\PC\"\\\\]{0,12}".prop_map(Tree::Text),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::Array),
            prop::collection::btree_map("[ !#-\\[\\]-~]{1,6}", inner, 0..6).prop_map(Tree::Object),
        ]
    })
}

proptest! {
    #[test]
    fn writing_and_parsing_are_inverse(tree in trees()) {
        let bytes = tree.value().to_bytes().unwrap();
        prop_assert_eq!(check(&bytes, DEPTH_MAX), Ok(()));
        prop_assert_eq!(Value::parse(&bytes, DEPTH_MAX).unwrap(), tree.value());
    }

    #[test]
    fn a_changed_byte_is_refused_or_is_another_canonical_text(
        tree in trees(), at in any::<prop::sample::Index>(), byte in any::<u8>(), kind in 0..3,
    ) {
        let mut bytes = tree.value().to_bytes().unwrap();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => { bytes.remove(at); }
        }
        match Value::parse(&bytes, DEPTH_MAX) {
            Ok(value) => prop_assert_eq!(value.to_bytes().unwrap(), bytes),
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]:,\"\\0123-truefalsn"[..])], 0..40,
    )) {
        if let Ok(value) = Value::parse(&bytes, DEPTH_MAX) {
            prop_assert_eq!(value.to_bytes().unwrap(), bytes);
        }
    }
}

/// Strings are scanned eight bytes at a time: each byte is judged alike on every place in a run, and beside every byte.
#[test]
fn a_byte_is_judged_alike_wherever_it_stands_in_a_string() {
    for byte in 0..=u8::MAX {
        for (before, after) in (0..18).flat_map(|at| [(at, 17 - at), (at, 0)]) {
            for around in [b' ', b'!', b'A', b'~'] {
                let mut text = vec![b'"'];
                text.resize(1 + before, around);
                text.push(byte);
                text.resize(text.len() + after, around);
                text.push(b'"');
                let judged = check(&text, DEPTH_MAX);
                match byte {
                    b'"' => assert_eq!(judged.unwrap_err().problem, Problem::Trailing { found: text[before + 2] }),
                    b'\\' if after == 0 => assert!(judged.is_err()),
                    b'\\' => assert_eq!(judged.unwrap_err().problem, Problem::Escape { found: around }),
                    0..0x20 | 0x7f => {
                        let expected =
                            CanonicalError { offset: before + 1, problem: Problem::ControlCharacter { found: byte } };
                        assert_eq!(judged, Err(expected));
                    }
                    0x80.. => assert_eq!(judged.unwrap_err().problem, Problem::NotUtf8),
                    _ => assert_eq!(judged, Ok(())),
                }
            }
        }
    }
}
