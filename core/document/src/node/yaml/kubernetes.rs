//! What plain scalars mean to Kubernetes, whose tools read YAML 1.1. A text that is none there must
//! be told from text here, or a file would be read that the API server refuses.

use crate::node::Kind;

pub(super) fn plain(text: &str) -> Kind {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Kind::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Kind::Bool(false),
        _ => match super::plain(text) {
            Kind::Text(text) if is_number(&text) => Kind::Number(text),
            kind => kind,
        },
    }
}

/// As go-yaml tells numbers: underscores count for nothing, a sign may come first, and then a
/// decimal number, one with a base, infinity or none at all.
fn is_number(text: &str) -> bool {
    let text = text.replace('_', "");
    if matches!(text.as_str(), ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || with_base(unsigned) || decimal(unsigned)
}

fn with_base(text: &str) -> bool {
    let Some((prefix, digits)) = text.split_at_checked(2) else { return false };
    let base = match prefix {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return false,
    };
    !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base))
}

fn decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_mantissa = digits(whole)
        && fraction.is_none_or(digits)
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
    let is_exponent = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    is_mantissa && is_exponent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Position, Problems};
    use crate::yaml::{Node, parse_all};

    #[test]
    fn plain_scalars_mean_what_they_mean_in_kubernetes() {
        for text in ["yes", "on", "Y", "true", "TRUE"] {
            assert_eq!(plain(text), Kind::Bool(true), "{text}");
        }
        for text in ["no", "Off", "n", "false"] {
            assert_eq!(plain(text), Kind::Bool(false), "{text}");
        }
        for text in
            ["1.5", "-1", "+1", "1e3", ".5", "5.", "0x1F", "0o17", "-0b1", "1_000", ".inf", ".nan"]
        {
            assert_eq!(plain(text), Kind::Number(text.to_owned()), "{text}");
        }
        for text in
            ["10.0.0.1", "1.2.3", "v1", "-", ".", "+", "e3", "0x", "0b2", "1e", "yEs", "2026-01-01"]
        {
            assert_eq!(plain(text), Kind::Text(text.to_owned()), "{text}");
        }
        assert_eq!(plain("8080"), Kind::Whole(8080));
        assert_eq!(plain("~"), Kind::Null);
    }

    fn read(text: &str) -> (Vec<Node>, usize) {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        let nodes = parse_all(text, 0, &mut problems);
        (nodes, problems.into_sorted().len())
    }

    #[test]
    fn there_may_be_several_documents() {
        let (nodes, problems) = read("# Only a comment.\n---\na: 1\n---\n---\nb: 'on'\n...\n");
        assert_eq!((nodes.len(), problems), (2, 0), "{nodes:?}");
        assert_eq!(nodes[0].at, Position { file: 0, line: 3 });
        assert_eq!(nodes[1].at, Position { file: 0, line: 6 });
        assert!(
            matches!(&nodes[1].kind, Kind::Map(m) if m[0].2.kind == Kind::Text("on".to_owned()))
        );
        assert_eq!(read(""), (Vec::new(), 0));
    }

    #[test]
    fn what_comes_after_an_error_is_not_read() {
        let (nodes, problems) = read("a: 1\n---\nb: !x 1\n---\nc: [\n");
        assert_eq!((nodes.len(), problems), (1, 1), "{nodes:?}");
    }
}
