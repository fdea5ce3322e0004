//! Where a rule looks for tokens (Envoy's `jwt_authn/extractor.cc`).

use std::collections::BTreeSet;

use crate::request::{Token, TokenPlace};
use crate::resources::JwtRule;

/// The header of which an Envoy never sees several.
const JOINED: &str = "authorization";

/// The tokens that stand where a rule looks, in Envoy's order: headers by name and prefix, then
/// parameters, then cookies. With each, whether it stands there alone: what is left in front of it
/// would be taken for a part of it.
pub(super) fn find<'t>(rule: &JwtRule, tokens: &[&'t Token]) -> Vec<(&'t Token, bool)> {
    let mut found = Vec::new();
    for (name, prefix) in headers(rule) {
        let here = tokens.iter().filter_map(|token| match &token.place {
            TokenPlace::Header { name: other, prefix: sent } => {
                let is_clean = behind(prefix, sent).filter(|_| other.eq_ignore_ascii_case(name))?;
                Some((*token, is_clean))
            }
            TokenPlace::Param(_) | TokenPlace::Cookie(_) => None,
        });
        let mut here: Vec<(&'t Token, bool)> = here.collect();
        // Each line of a header has a token of its own. Lines of this one are joined, and what
        // stands behind its first token is taken for a part of it.
        if name.eq_ignore_ascii_case(JOINED) && here.len() > 1 {
            here = here.first().map(|(token, _)| (*token, false)).into_iter().collect();
        }
        found.extend(here);
    }
    for name in params(rule) {
        let is_it = |token: &&&Token| matches!(&token.place, TokenPlace::Param(n) if n == name);
        found.extend(tokens.iter().find(is_it).map(|token| (*token, true)));
    }
    for name in rule.from_cookies.iter().collect::<BTreeSet<&String>>() {
        let is_it = |token: &&&Token| matches!(&token.place, TokenPlace::Cookie(n) if n == name);
        found.extend(tokens.iter().find(is_it).map(|token| (*token, true)));
    }
    found
}

/// Without places of its own, a rule looks where everybody does.
const fn has_places(rule: &JwtRule) -> bool {
    !(rule.from_headers.is_empty() && rule.from_params.is_empty() && rule.from_cookies.is_empty())
}

fn headers(rule: &JwtRule) -> Vec<(&str, &str)> {
    if !has_places(rule) {
        return vec![("authorization", "Bearer ")];
    }
    let mut headers: Vec<(&str, &str)> = rule
        .from_headers
        .iter()
        .map(|header| (header.name.as_str(), header.prefix.as_str()))
        .collect();
    let key = |(name, prefix): &(&str, &str)| format!("{}{prefix}", name.to_ascii_lowercase());
    headers.sort_by_key(key);
    headers.dedup_by_key(|header| key(header));
    headers
}

fn params(rule: &JwtRule) -> BTreeSet<&str> {
    if !has_places(rule) {
        return BTreeSet::from(["access_token"]);
    }
    rule.from_params.iter().map(String::as_str).collect()
}

/// Whether a prefix is found in what was sent in front of the token, and if so, whether it leaves
/// nothing that could be part of a token.
fn behind(prefix: &str, sent: &str) -> Option<bool> {
    if prefix.is_empty() {
        return Some(sent.is_empty());
    }
    let (_, rest) = sent.split_once(prefix)?;
    let of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    Some(!rest.contains(of_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_anywhere() {
        for (prefix, sent, expected) in [
            ("Bearer ", "Bearer ", Some(true)),
            ("Bearer", "Bearer ", Some(true)),
            ("Bearer ", "x, Bearer ", Some(true)),
            ("Bearer ", "bearer ", None),
            ("Bearer ", "", None),
            ("B", "Bearer ", Some(false)),
            ("", "", Some(true)),
            ("", "Bearer ", Some(false)),
        ] {
            assert_eq!(behind(prefix, sent), expected, "{prefix} {sent}");
        }
    }
}
