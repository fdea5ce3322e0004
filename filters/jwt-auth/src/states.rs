//! Claims as filter state: what access logs and policies read of a token.

use postern_jose::{ClaimValue, VerifiedToken};
use postern_request::headers;

/// Every name begins so; Envoy puts `wasm.` before it.
const PREFIX: &str = "postern.claim.";

/// Names and texts of the claims that are wanted: the name behind the prefix, and the claim's
/// place in the rules of the token's issuer. Nothing for a claim that is not there.
pub(crate) fn of(token: &VerifiedToken, wanted: &[(String, usize)]) -> Vec<(String, String)> {
    let state = |(name, kept): &(String, usize)| {
        let text = text_of(token.kept(*kept)?)?;
        Some((format!("{PREFIX}{name}"), text))
    };
    wanted.iter().filter_map(state).collect()
}

/// A claim in one line: a list's items joined by commas. None where that could be read in two
/// ways, or would break a line of a log.
fn text_of(claim: &ClaimValue) -> Option<String> {
    let text = match claim {
        ClaimValue::Text(text) => text.clone(),
        ClaimValue::Integer(number) => number.to_string(),
        ClaimValue::Bool(value) => value.to_string(),
        ClaimValue::List(items) => {
            let texts: Vec<String> = items.iter().map(text_of).collect::<Option<_>>()?;
            // Joined, an item with a comma would read as two.
            if texts.iter().any(|text| text.contains(',')) {
                return None;
            }
            texts.join(",")
        }
    };
    headers::is_safe_value(&text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_one_line_that_reads_one_way() {
        let text = |value: &str| ClaimValue::Text(value.to_owned());
        for (claim, expected) in [
            (text("t, 1"), Some("t, 1")),
            (text(""), Some("")),
            (text("a\nb"), None),
            (ClaimValue::Integer(-7), Some("-7")),
            (ClaimValue::Bool(true), Some("true")),
            (ClaimValue::List(vec![text("a"), ClaimValue::Integer(7)]), Some("a,7")),
            (ClaimValue::List(vec![text("a,b"), text("c")]), None),
            (ClaimValue::List(vec![text("a\r")]), None),
            (ClaimValue::List(Vec::new()), Some("")),
        ] {
            assert_eq!(text_of(&claim).as_deref(), expected, "{claim:?}");
        }
        assert_eq!(text_of(&text(&"a".repeat(headers::MAX_VALUE_BYTES + 1))), None);
    }
}
