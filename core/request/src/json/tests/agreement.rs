//! The reader beside `serde_json`: what one accepts the other does, and both see the same, but
//! for what is stricter here by design.

use proptest::prelude::*;

use super::*;

/// What a text that `serde_json` accepts has that is refused here, as far as its shape shows it.
#[derive(Default)]
struct Shape {
    members: usize,
    depth: usize,
    longest_number: usize,
    /// Some number has no `f64`: `serde_json` refuses it.
    boundless: bool,
}

fn shape(text: &str) -> Shape {
    let mut shape = Shape::default();
    let (mut open, mut quoted, mut number) = (0_usize, false, String::new());
    let mut chars = text.chars().chain([' ']);
    while let Some(c) = chars.next() {
        if !quoted && (c.is_ascii_digit() || ".-+eE".contains(c)) {
            number.push(c);
            continue;
        }
        // `e` stands in `true` and `false` as well.
        shape.boundless |= number.parse().is_ok_and(f64::is_infinite);
        shape.longest_number = shape.longest_number.max(number.len());
        number.clear();
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => {
                chars.next();
            }
            ':' if !quoted => shape.members += 1,
            '[' | '{' if !quoted => open += 1,
            ']' | '}' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
        shape.depth = shape.depth.max(open);
    }
    shape
}

fn members_in(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => items.iter().map(members_in).sum(),
        serde_json::Value::Object(map) => map.len() + map.values().map(members_in).sum::<usize>(),
        _ => 0,
    }
}

fn is_same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
        (Value::Integer(ours), theirs) => theirs.as_i64() == Some(*ours),
        (Value::Number(text), serde_json::Value::Number(theirs)) => {
            theirs.as_i64().is_none() && serde_json::from_str(text).ok() == theirs.as_f64()
        }
        (Value::String(ours), serde_json::Value::String(theirs)) => ours == theirs,
        (Value::Array(ours), serde_json::Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(o, t)| is_same(o, t))
        }
        (Value::Object(ours), serde_json::Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, o)| theirs.get(name).is_some_and(|t| is_same(o, t)))
        }
        _ => false,
    }
}

/// Fails where the two readers differ for no known reason.
fn compare(text: &[u8]) {
    let theirs: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    match (parse(text).ok(), theirs) {
        (None, None) => {}
        (Some(ours), Some(theirs)) => assert!(is_same(&ours, &theirs), "{ours:?} {theirs:?}"),
        (None, Some(theirs)) => {
            let shape = shape(str::from_utf8(text).unwrap());
            let is_repeated = shape.members > members_in(&theirs);
            assert!(
                is_repeated || shape.depth > MAX_DEPTH || shape.longest_number > MAX_NUMBER_BYTES,
                "only serde_json reads {:?}",
                String::from_utf8_lossy(text)
            );
        }
        (Some(ours), None) => {
            assert!(shape(str::from_utf8(text).unwrap()).boundless, "only here: {ours:?}");
        }
    }
    compare_members(text);
}

/// Members are what the value has, and borrowed unless they are escaped.
fn compare_members(text: &[u8]) {
    let value = match parse(text) {
        Ok(value @ Value::Object(_)) => Some(value),
        _ => None,
    };
    let members = parse_members(text).ok();
    let borrowed = members.iter().flatten().all(|(name, item)| {
        let is_borrowed = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
        is_borrowed(name)
            && match item {
                Item::String(text) => is_borrowed(text),
                Item::Other(value) => !matches!(value, Value::String(_)),
            }
    });
    assert!(borrowed || text.contains(&b'\\'));
    let members = members.map(|members| {
        Value::Object(
            members.into_iter().map(|(name, item)| (name.into_owned(), as_value(item))).collect(),
        )
    });
    assert_eq!(members, value);
}

/// Texts that are JSON, spaced and escaped in ways that no writer would; members may be repeated
/// and numbers too large or too long.
fn json() -> impl Strategy<Value = String> {
    let string =
        r#""([a-d ]|[é€😀]|\\["\\/bfnrt]|\\u0[0-9a-fA-F]{3}|\\ud83d\\ude0[0-9a-f]){0,12}""#;
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| serde_json::Value::from(number).to_string()),
        r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,50})?([eE][+-]?[0-9]{1,3})?",
        string,
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        any::<String>().prop_map(|text| Value::String(text).to_string()),
    ];
    leaf.prop_recursive(18, 48, 6, move |inner| {
        let spaced =
            (r"[ \t\r\n]{0,2}", inner).prop_map(|(space, value)| space.clone() + &value + &space);
        prop_oneof![
            prop::collection::vec(spaced.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((string, spaced), 0..20).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(n, v)| format!("{n}:{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn both_refuse_bytes(bytes in any::<Vec<u8>>()) {
        compare(&bytes);
    }

    #[test]
    fn both_read_what_looks_like_json(text in r#"[\[\]{}:,"\\0-9eE.+\-truefalsn \t\n\u{1}é]{0,24}"#) {
        compare(text.as_bytes());
    }

    #[test]
    fn both_read_tokens_of_json(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "{", "}", ":", ",", "\"a\"", "\"b\"", "\"", "\\", "\\n", "\\ud800", "\\udc00",
            "null", "true", "false", "0", "-", "1", ".", "e", "+", "E", " ", "\n", "\u{1f}", "é",
        ]), 0..16)
    ) {
        compare(tokens.concat().as_bytes());
    }

    #[test]
    fn both_read_numbers(text in r"-?[0-9]{0,3}\.?[0-9]{0,3}[eE]?[+-]?[0-9]{0,3}") {
        compare(text.as_bytes());
        compare(format!("[{text}]").as_bytes());
    }

    #[test]
    fn both_read_strings(text in r#"([a-c]|é|😀|\\["\\/bfnrtux]|\\u[0-9a-fA-F]{4}|\\u[dD][89a-fA-F][0-9]{2}|[\u{0}-\u{30}]){0,9}"#) {
        compare(format!("\"{text}\"").as_bytes());
        compare(format!("{{\"{text}\":1,\"a\":\"{text}\"}}").as_bytes());
    }

    #[test]
    fn what_is_written_is_read_by_both(text in "[\u{0}-\u{100}\"\\\\😀]{0,20}") {
        let written = Value::String(text.clone()).to_string();
        prop_assert!(!written.contains(|c: char| c.is_ascii_control()));
        prop_assert_eq!(serde_json::from_str::<String>(&written).ok(), Some(text.clone()));
        prop_assert_eq!(parse(written.as_bytes()), Ok(Value::String(text)));
    }

    #[test]
    fn both_read_json(text in json()) {
        compare(text.as_bytes());
    }

    #[test]
    fn both_read_json_that_was_tampered_with(
        text in json(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..5), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte, change) in changes {
            let at = at.index(bytes.len() + 1);
            let other = bytes.get(usize::from(byte)).copied().unwrap_or(byte);
            match change {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => bytes.insert(at, other),
                3 if at < bytes.len() => {
                    bytes.remove(at);
                }
                _ if at < bytes.len() => bytes[at] = other,
                _ => {}
            }
            compare(&bytes);
        }
    }
}

#[test]
fn what_differs_is_what_is_meant_to() {
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    for text in [r#"{"a":1,"a":2}"#, &deep, &"1".repeat(65)] {
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        assert!(parse(text.as_bytes()).is_err(), "{text}");
        compare(text.as_bytes());
    }
    assert!(serde_json::from_str::<serde_json::Value>("1e400").is_err());
    assert!(parse(b"1e400").is_ok());
    compare(b"1e400");
}
