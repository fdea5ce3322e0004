//! Members, beside the values that they are.

use super::*;

#[test]
fn members_borrow_what_they_can() {
    let text = br#"{"a":"plain","\u0062":"esc\naped","c":[1,"x"],"d":null,"e":{"f":1.5}}"#;
    let members = parse_members(text).unwrap();
    assert!(matches!(&members[0], (Cow::Borrowed("a"), Item::String(Cow::Borrowed("plain")))));
    assert!(matches!(&members[1], (Cow::Owned(_), Item::String(Cow::Owned(_)))));
    assert_eq!(members[1].1.as_str(), Some("esc\naped"));
    assert_eq!(members[3].1.as_str(), None);
}

/// Objects with few and many members, repeated names, nesting and junk.
fn texts() -> Vec<String> {
    let members = |count: usize, last: &str| {
        let many: String = (0..count).map(|n| format!("\"m{n}\":0,")).collect();
        format!("{{{many}\"{last}\":0}}")
    };
    let nested = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let mut texts: Vec<String> = [15, 16, 17, 18, 500]
        .into_iter()
        .flat_map(|count| [members(count, "other"), members(count, "m0")])
        .chain([nested(MAX_DEPTH - 1), nested(MAX_DEPTH), nested(10_000)])
        .collect();
    for text in [
        "{}",
        " { } ",
        "{} {}",
        "",
        "{",
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":1,}"#,
        r#"{a:1}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\u{1}\"}",
        r#"{"a":99999999999999999999,"b":-1,"c":true,"d":"é\t"}"#,
    ] {
        texts.push(text.to_owned());
    }
    texts
}

#[test]
fn members_are_read_as_strictly_as_values() {
    for text in texts() {
        let members = parse_members(text.as_bytes()).map(|members| {
            let owned = members.into_iter().map(|(name, item)| (name.into_owned(), as_value(item)));
            Value::Object(owned.collect())
        });
        assert_eq!(members.ok(), parse(text.as_bytes()).ok(), "{text:.80}");
    }
    for other in ["[]", "1", "\"{}\"", "null"] {
        assert!(parse_members(other.as_bytes()).is_err(), "{other}");
    }
    assert!(parse_members(b"{\"a\":\"\xff\"}").is_err());
}

proptest::proptest! {
    #[test]
    fn members_and_values_agree_on_any_text(text in r#"\{("[a-c]":("[a-z\\]{0,3}"|[0-9.e-]{1,5}|\[1,\{"a":2\}\]|null),?){0,4}\}"#) {
        let members = parse_members(text.as_bytes()).map(|members| {
            let owned = members.into_iter().map(|(name, item)| (name.into_owned(), as_value(item)));
            Value::Object(owned.collect())
        });
        proptest::prop_assert_eq!(members.ok(), parse(text.as_bytes()).ok());
    }
}
