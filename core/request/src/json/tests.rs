use super::*;

use std::borrow::Cow;

mod agreement;
mod members;

#[test]
fn repeated_members_trailing_text_and_depth_are_refused() {
    for bad in
        [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, "{} {}", "[1,]", "nul", "", "\"\u{1}\""]
    {
        assert!(parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let members = |count: usize, last: &str| {
        let many: String = (0..count).map(|n| format!("\"m{n}\":0,")).collect();
        parse(format!("{{{many}\"{last}\":0}}").as_bytes())
    };
    for count in [15, 16, 17, 18, 1000] {
        assert!(members(count, "other").is_ok(), "{count}");
        assert!(members(count, "m0").is_err(), "{count}");
        assert!(members(count, &format!("m{}", count - 1)).is_err(), "{count}");
    }
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    assert!(parse(nested(100_000).as_bytes()).is_err());
    let beside = |one: &str| parse(format!("[{}{one}]", format!("{one},").repeat(50)).as_bytes());
    assert!(beside("[[]]").is_ok() && beside(r#"{"a":{}}"#).is_ok());
    assert!(parse(b"\"\xff\"").is_err());
}

fn read(text: &str) -> Option<Value> {
    parse(text.as_bytes()).ok()
}

fn number(text: &str) -> Option<Value> {
    Some(Value::Number(text.to_owned()))
}

#[test]
fn numbers_keep_their_kind() {
    for (text, whole) in [
        ("0", 0),
        ("1", 1),
        ("-1", -1),
        ("1200", 1200),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(read(text), Some(Value::Integer(whole)), "{text}");
    }
    for text in [
        "-0",
        "1.0",
        "1.50",
        "-0.0",
        "1e3",
        "1E+3",
        "0e0",
        "12.5e-07",
        "1E400",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
    ] {
        assert_eq!(read(text), number(text), "{text}");
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    for bad in [
        "-", "+1", "00", "01", "-01", "1.", ".5", "-.5", "1.e3", "1e", "1e+", "1e-", "1e1.5",
        "0x1", "1_0", "1,0", "1 0", "--1", "1-", "1e5e", "NaN", "nan", "Infinity", "-inf", "[01]",
        "[1.]", "١",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn numbers_are_bounded() {
    let long = format!("0.{}", "1".repeat(MAX_NUMBER_BYTES - 2));
    assert_eq!(read(&long), number(&long));
    assert_eq!(read(&format!("[{long}]")), Some(Value::Array(vec![number(&long).unwrap()])));
    for longer in [format!("{long}1"), format!("-{long}"), "1".repeat(65), "1".repeat(100_000)] {
        assert_eq!(read(&longer), None, "{longer:.80}");
        assert_eq!(read(&format!("{{\"a\":{longer}}}")), None, "{longer:.80}");
    }
}

#[test]
fn escapes_are_undone_or_refused() {
    for (escaped, plain) in [
        ("", ""),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u20AC\uffff\u0000", "Aé€\u{ffff}\0"),
        (r"\ud83d\ude00", "😀"),
        (r"\uD800\uDC00\udbff\udfff", "\u{10000}\u{10ffff}"),
        (r"a\u0062c é \n 😀", "abc é \n 😀"),
        ("\u{7f}\u{80}\u{2028}", "\u{7f}\u{80}\u{2028}"),
    ] {
        assert_eq!(
            read(&format!("\"{escaped}\"")),
            Some(Value::String(plain.to_owned())),
            "{escaped}"
        );
    }
    for bad in [
        r"\",
        r"\x41",
        r"\'",
        r"\U0041",
        r"\u",
        r"\u004",
        r"\u00g0",
        r"\u+041",
        r"\u 041",
        r"\ud800",
        r"\udc00",
        r"\udfff\ud800",
        r"\ud800\ud800",
        r"\ud800\u0041",
        r"\ud800\ue000",
        r"\ud800\n",
        r"\ud800u\dc00",
        r"\ud800 \udc00",
        r"\u00é0",
    ] {
        assert_eq!(read(&format!("\"{bad}\"")), None, "{bad}");
        // Where the text ends within it, too.
        assert_eq!(read(&format!("\"{bad}")), None, "{bad}");
    }
}

#[test]
fn a_string_ends_where_it_does_wherever_that_is() {
    // With characters of each length in UTF-8, and those beside the ones that matter.
    for length in 0..20 {
        for fill in ["a", "é", "€", "😀", "!", "#", "[", "]", "~", " "] {
            let text = fill.repeat(length);
            let value = Some(Value::String(text.clone()));
            assert_eq!(read(&format!("\"{text}\"")), value);
            assert_eq!(
                read(&format!("[\"{text}\",1]")),
                value.map(|v| Value::Array(vec![v, Value::Integer(1)]))
            );
            let both = Some(Value::String(format!("{text}\n{text}")));
            assert_eq!(read(&format!("\"{text}\\n{text}\"")), both);
            for control in ('\0'..' ').chain(['"']) {
                assert_eq!(read(&format!("\"{text}{control}{text}\"")), None, "{control:?}");
            }
            assert_eq!(read(&format!("\"{text}")), None);
            assert_eq!(read(&format!("{text}\"")), None);
        }
    }
}

#[test]
fn structure_is_read_as_it_is_written() {
    assert_eq!(
        read(" \t\r\n{ \"a\" : [ ] , \"b\":{ } ,\"c\": [ null , true,false ] } \n"),
        Some(Value::Object(vec![
            ("a".to_owned(), Value::Array(vec![])),
            ("b".to_owned(), Value::Object(vec![])),
            (
                "c".to_owned(),
                Value::Array(vec![Value::Null, Value::Bool(true), Value::Bool(false)])
            ),
        ]))
    );
    for bad in [
        "",
        " ",
        "[",
        "]",
        "[1",
        "[1,",
        "[,1]",
        "[1,,2]",
        "[1 2]",
        "[1}",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{1:1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1]",
        "{\"a\":1 \"b\":2}",
        "{\"a\":}",
        "null null",
        "nulL",
        "nul",
        "tru",
        "truee",
        "True",
        "fals",
        "undefined",
        "1;",
        "[]]",
        "{}}",
        "\u{feff}1",
        "1\u{a0}",
        "1\u{b}",
        "1\u{c}",
        "1\0",
        "// x\n1",
        "/**/1",
        "[1]//",
        "\"a\" \"b\"",
        "'a'",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn only_utf_8_is_read() {
    for bad in [
        &b"\"\xff\""[..],
        b"\"\xc3\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"[\"a\\u00\xe9\"]",
        b"1\xff",
        b"\xff1",
        b"\xff\xfe1\x00",
        b"{\"a\":1,\"\xe9\":2}",
    ] {
        assert!(parse(bad).is_err() && parse_members(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn an_error_names_the_place_and_nothing_else() {
    for (text, place) in [
        (&b""[..], "line 1, column 1"),
        (b"secret", "line 1, column 1"),
        (b"[1,\n 2,\n secret]", "line 3, column 2"),
        (b"{\"a\":1}\n secret", "line 2, column 2"),
        (b"{\"a\":1,\n\"a\":2}", "line 2, column 1"),
        (b"{\"a\":01}", "line 1, column 7"),
        (b"\"secret", "line 1, column 8"),
        (b"\"\\ud800\"", "line 1, column 8"),
        (b"\"\\ud800\\u0041\"", "line 1, column 3"),
        (b"{\"a\":\n\"b\xff\"}", "line 2, column 3"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("not strict JSON at {place}"), "{text:?}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let text = r#"{"a":"q\"\\\n\u0001é","b":[1,-2,true,null]}"#;
    let value = parse(text.as_bytes()).unwrap();
    assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
    assert_eq!(value.to_string(), text);
}

fn as_value(item: Item<'_>) -> Value {
    match item {
        Item::String(text) => Value::String(text.into_owned()),
        Item::Other(value) => value,
    }
}
