//! The canonical scanner against `JSONTestSuite` and the RFC 8785 samples, with `serde_json` as the second opinion.
// A failed expectation is how a test reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors_folder;

use std::fs;

use finchain_core::canonical::{DOCUMENT_DEPTH_MAX, Value, check};
use finchain_core::encoding::unhex_vec;
use vectors_folder::vectors;

/// The canonical text of what `serde_json` read, or `None` for what lies outside of the subset.
fn reference(value: &serde_json::Value) -> Option<String> {
    let quoted = |text: &str| {
        let plain = !text.chars().any(char::is_control);
        plain.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
    };
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => flag.to_string(),
        serde_json::Value::Number(number) => {
            number.as_i64().filter(|number| number.unsigned_abs() < 1 << 53)?.to_string()
        }
        serde_json::Value::String(text) => quoted(text)?,
        serde_json::Value::Array(elements) => {
            let elements: Option<Vec<_>> = elements.iter().map(reference).collect();
            format!("[{}]", elements?.join(","))
        }
        serde_json::Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let mut parts = Vec::new();
            for (name, value) in sorted {
                let fits = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                if name.is_empty() || !name.bytes().all(fits) {
                    return None;
                }
                parts.push(format!("\"{name}\":{}", reference(value)?));
            }
            format!("{{{}}}", parts.join(","))
        }
    })
}

#[test]
fn json_test_suite_is_accepted_exactly_where_canonical() {
    let Some(folder) = vectors("json/jsontestsuite") else { return };
    let (mut accepted, mut refused) = (0, 0);
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let text = fs::read(file.path()).unwrap();
        let verdict = check(&text, DOCUMENT_DEPTH_MAX);
        if name.starts_with("n_") {
            let error = verdict.expect_err(&name);
            assert!(error.offset <= text.len(), "{name}: {error}");
            refused += 1;
            continue;
        }
        let canonical = serde_json::from_slice(&text).ok().and_then(|value| reference(&value));
        assert_eq!(verdict.is_ok(), canonical.as_deref().map(str::as_bytes) == Some(&text), "{name}: {verdict:?}");
        if verdict.is_ok() {
            accepted += 1;
            assert_eq!(Value::parse(&text, DOCUMENT_DEPTH_MAX).unwrap().to_bytes().unwrap(), text, "{name}");
        }
    }
    assert!(accepted > 10 && refused > 100, "accepted {accepted}, refused {refused}");
}

#[test]
fn rfc_8785_samples_are_accepted_where_they_lie_in_the_subset() {
    let Some(folder) = vectors("json/jcs") else { return };
    for (name, why_refused) in [
        ("arrays", Some("null")),
        ("french", Some("names outside of ASCII")),
        ("structures", Some("an empty name")),
        ("unicode", None),
        ("values", Some("fractions and null")),
        ("weird", Some("control characters and names outside of ASCII")),
    ] {
        let text = fs::read(folder.join(format!("output/{name}.json"))).unwrap();
        let in_hex = fs::read_to_string(folder.join(format!("outhex/{name}.txt"))).unwrap();
        let bytes = unhex_vec(&in_hex.split_whitespace().collect::<String>()).unwrap();
        assert_eq!(text, bytes, "{name}: the two spellings of the sample differ");
        let canonical = serde_json::from_slice(&text).ok().and_then(|value| reference(&value));
        assert_eq!(canonical.is_none(), why_refused.is_some(), "{name}: {why_refused:?}");
        let verdict = check(&text, DOCUMENT_DEPTH_MAX);
        assert_eq!(verdict.is_err(), why_refused.is_some(), "{name}: {why_refused:?}, {verdict:?}");
        let input = fs::read(folder.join(format!("input/{name}.json"))).unwrap();
        assert!(check(&input, DOCUMENT_DEPTH_MAX).is_err(), "{name}: the input has white space");
    }
}
