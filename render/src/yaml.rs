//! JSON values as block-style YAML, the way people read and review Kubernetes manifests.
//!
//! A string stands plain only where YAML 1.1 (which Kubernetes' tools read) and YAML 1.2 both
//! give back this very string. Everything else stands in double quotes with JSON's escapes, on
//! one line; nothing is folded.

use serde_json::{Map, Value};

/// Spaces per level.
const STEP: usize = 2;

/// Words that are no strings to a YAML 1.1 or 1.2 reader, in any case.
const RESERVED: [&str; 9] = ["y", "yes", "n", "no", "on", "off", "true", "false", "null"];

/// A value as a YAML document, without a leading `---`, with a final line break.
pub(crate) fn to_yaml(value: &Value) -> String {
    to_yaml_in_order(value, &[])
}

/// The same with these members of mappings first, in this order, and the others behind them.
pub(crate) fn to_yaml_in_order(value: &Value, order: &[&str]) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => {
            mapping(&mut out, members, order, 0, false);
        }
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, order, 0, false),
        scalar_or_empty => {
            scalar(&mut out, scalar_or_empty);
            out.push('\n');
        }
    }
    out
}

/// `inline` says that the first member goes on behind a `- `.
fn mapping(
    out: &mut String,
    members: &Map<String, Value>,
    order: &[&str],
    indent: usize,
    mut inline: bool,
) {
    // The map is sorted unless some other crate of the build asks serde_json to keep the order
    // of insertion; what is compared in reviews must not depend on that.
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    let place = |name: &str| order.iter().position(|known| *known == name).unwrap_or(order.len());
    members.sort_unstable_by_key(|(name, _)| (place(name), *name));
    for (name, value) in members {
        if !core::mem::take(&mut inline) {
            pad(out, indent);
        }
        string(out, name);
        out.push(':');
        match value {
            Value::Object(members) if !members.is_empty() => {
                out.push('\n');
                mapping(out, members, order, indent + STEP, false);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                sequence(out, items, order, indent + STEP, false);
            }
            scalar_or_empty => {
                out.push(' ');
                scalar(out, scalar_or_empty);
                out.push('\n');
            }
        }
    }
}

/// `inline` says that the first item goes on behind another `- `.
fn sequence(out: &mut String, items: &[Value], order: &[&str], indent: usize, mut inline: bool) {
    for item in items {
        if !core::mem::take(&mut inline) {
            pad(out, indent);
        }
        out.push_str("- ");
        match item {
            Value::Object(members) if !members.is_empty() => {
                mapping(out, members, order, indent + STEP, true);
            }
            Value::Array(items) if !items.is_empty() => {
                sequence(out, items, order, indent + STEP, true);
            }
            scalar_or_empty => {
                scalar(out, scalar_or_empty);
                out.push('\n');
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(core::iter::repeat_n(' ', indent));
}

fn scalar(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => string(out, text),
        // `null`, `true`, numbers, `{}` and `[]` read the same in YAML.
        other => out.push_str(&other.to_string()),
    }
}

fn string(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}

/// Deliberately narrow: whatever is not certain gets quotes. A letter or slash at the beginning
/// rules out numbers, dates, indicators and markers; what may follow holds no quote, bracket,
/// `#` or line break; a colon must not end the string or stand before a space.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " /_-.:@+=()*|;%,$".contains(c))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unprintable(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// What YAML does not let stand as it is, or reads as a line break. All of it lies within the
/// first plane, where JSON's and YAML's `\u` mean the same.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_that_mean_only_themselves_stand_plain() {
        for text in [
            "a",
            "GET|HEAD",
            "/payments/*",
            "payments.shop.svc.cluster.local",
            "outbound|9191||postern.postern.svc.cluster.local",
            "istio-system/postern",
            "oci://registry.example.test/postern-bundle:0.1.0",
            "max-age=31536000; includeSubDomains; preload",
            "type.googleapis.com/envoy.config.route.v3.Route",
            "nose",
            "truth",
            "a%%b",
        ] {
            assert_eq!(to_yaml(&json!(text)), format!("{text}\n"));
        }
    }

    #[test]
    fn strings_that_yaml_could_read_as_something_else_are_quoted() {
        for (text, expected) in [
            ("", r#""""#),
            ("true", r#""true""#),
            ("Yes", r#""Yes""#),
            ("NO", r#""NO""#),
            ("on", r#""on""#),
            ("y", r#""y""#),
            ("null", r#""null""#),
            ("~", r#""~""#),
            ("503", r#""503""#),
            ("0.25s", r#""0.25s""#),
            ("1e3", r#""1e3""#),
            ("0x1f", r#""0x1f""#),
            ("-1", r#""-1""#),
            ("+1", r#""+1""#),
            (".5", r#"".5""#),
            (".inf", r#"".inf""#),
            ("12:30:45", r#""12:30:45""#),
            ("2026-01-02", r#""2026-01-02""#),
            ("- a", r#""- a""#),
            ("---", r#""---""#),
            ("<<", r#""<<""#),
            ("=", r#""=""#),
            ("*", r#""*""#),
            ("*.example.test", r#""*.example.test""#),
            ("&a", r#""&a""#),
            ("!tag", r#""!tag""#),
            ("@type", r#""@type""#),
            ("%REQ(X)%", r#""%REQ(X)%""#),
            ("?1", r#""?1""#),
            ("|", r#""|""#),
            (">", r#"">""#),
            ("{a: b}", r#""{a: b}""#),
            ("[a]", r#""[a]""#),
            ("/a/{*}/b", r#""/a/{*}/b""#),
            ("a: b", r#""a: b""#),
            ("a:", r#""a:""#),
            ("a #b", r##""a #b""##),
            ("a#b", r##""a#b""##),
            (" a", r#"" a""#),
            ("a ", r#""a ""#),
            ("it's", r#""it's""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r"a\b", r#""a\\b""#),
            ("two\nlines\n", r#""two\nlines\n""#),
            ("tab\tand\rreturn", r#""tab\tand\rreturn""#),
            ("\u{0}\u{1b}\u{7f}\u{85}", r#""\u0000\u001b\u007f\u0085""#),
            ("\u{2028}\u{feff}", r#""\u2028\ufeff""#),
            ("größe 😀", "\"größe 😀\""),
        ] {
            assert_eq!(to_yaml(&json!(text)), format!("{expected}\n"));
        }
    }

    #[test]
    fn quoted_strings_are_json_strings_too() {
        for text in ["", "a\u{7f}\u{2029}b", "{\"a\":\"b\\n\"}", "'\"'\u{1}", "\u{ffff}😀"] {
            let written = to_yaml(&json!(text));
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }

    #[test]
    fn members_stand_in_the_order_that_is_asked_for_and_then_by_name() {
        let value = json!({"b": 1, "a": [{"z": 1, "y": 2, "x": 3}], "c": {"x": 1, "b": 2}});
        let expected = "c:\n  b: 2\n  x: 1\na:\n  - \"y\": 2\n    x: 3\n    z: 1\nb: 1\n";
        assert_eq!(to_yaml_in_order(&value, &["c", "a", "y"]), expected);
    }

    #[test]
    fn structure_is_indented_by_two_and_sorted() {
        let value = json!({
            "kind": "Gateway",
            "apiVersion": "v1",
            "spec": {
                "servers": [
                    {"port": {"number": 443, "name": "https"}, "hosts": ["*", "a.test"]},
                    {"hosts": []},
                ],
                "matrix": [[1, 2], [{"b": null, "a": {}}]],
                "on": true,
                "share": 0.5,
            },
        });
        let expected = "\
apiVersion: v1
kind: Gateway
spec:
  matrix:
    - - 1
      - 2
    - - a: {}
        b: null
  \"on\": true
  servers:
    - hosts:
        - \"*\"
        - a.test
      port:
        name: https
        number: 443
    - hosts: []
  share: 0.5
";
        assert_eq!(to_yaml(&value), expected);
    }

    #[test]
    fn empty_values_and_scalars_are_documents_too() {
        assert_eq!(to_yaml(&json!({})), "{}\n");
        assert_eq!(to_yaml(&json!([])), "[]\n");
        assert_eq!(to_yaml(&Value::Null), "null\n");
        assert_eq!(to_yaml(&json!(-7)), "-7\n");
    }
}
