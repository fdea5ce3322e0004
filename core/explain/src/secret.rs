//! What is not shown, because it may be a credential.

use std::borrow::Cow;

use postern_document::{Document, TokenPlace};
use postern_request::api_key;

/// Stands where something is not shown.
pub(crate) const HIDDEN: &str = "(not shown)";

/// Query parameters in which credentials stand by convention, wherever a document takes them from:
/// a token where nobody looks for one is a token all the same.
const PARAMETERS: [&str; 8] =
    ["auth", "authorization", "code", "key", "otp", "sid", "sig", "ticket"];

/// The same, also at the end of a name: `id_token`, `X-Amz-Signature`.
const ENDS: [&str; 12] = [
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "credential",
    "jwt",
    "passwd",
    "password",
    "secret",
    "session",
    "signature",
    "token",
];

/// Path and query, without what may be a credential.
pub(crate) fn target(document: &Document, target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs: Vec<Cow<'_, str>> = query.split('&').map(|pair| shown(document, pair)).collect();
    [path, "?", &pairs.join("&")].concat()
}

/// Some read `;` as `&`. What follows a credential may be the rest of it.
fn shown<'p>(document: &Document, pair: &'p str) -> Cow<'p, str> {
    let mut at = 0;
    for piece in pair.split(';') {
        let rest = pair.get(at..).unwrap_or_default();
        let (name, value) = match piece.split_once('=') {
            Some((name, _)) => (name, rest.get(name.len() + 1..).unwrap_or_default()),
            None => ("", rest),
        };
        if !value.is_empty() && (names_one(document, name) || is_credential(value)) {
            let before = pair.get(..at + name.len()).unwrap_or_default();
            let mark = if name.is_empty() { "" } else { "=" };
            return Cow::Owned([before, mark, HIDDEN].concat());
        }
        at += piece.len() + 1;
    }
    Cow::Borrowed(pair)
}

/// Whether credentials stand under a name. In other letters, or behind an escape, it is no place
/// for the document, and what stands there is one all the same.
fn names_one(document: &Document, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_it = |place: &TokenPlace| match place {
        TokenPlace::Query(known) => known.eq_ignore_ascii_case(&name),
        _ => false,
    };
    name.contains('%')
        || document.token_places.iter().any(is_it)
        || PARAMETERS.contains(&name.as_str())
        || ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a text looks like a token, or like one of our API keys.
fn is_credential(value: &str) -> bool {
    let is_token = value.starts_with("eyJ") && value.split('.').count() >= 3;
    is_token || value.starts_with(api_key::PREFIX)
}

/// A host, without a user in front of it.
pub(crate) fn authority(authority: &str) -> Cow<'_, str> {
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned([HIDDEN, "@", host].concat()),
        None => Cow::Borrowed(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_credential_is_not_shown() {
        let text = r#"{"version": 1, "credentials": {"jwt": {"from": [{"query": "at"}], "issuers":
            [{"issuer": "https://i.test", "audiences": ["a"],
              "jwks": {"uri": "https://i.test/keys"}}]}},
            "services": {"s": {"upstream": "h:1"}},
            "routes": [{"name": "r", "match": {"path": "/"}, "service": "s", "auth": "none"}]}"#;
        let document = postern_document::from_json(text.as_bytes()).unwrap();
        for (sent, expected) in [
            ("/a?at=x&b=c", "/a?at=(not shown)&b=c"),
            ("/a?access_token=x", "/a?access_token=(not shown)"),
            ("/a?Token=x", "/a?Token=(not shown)"),
            ("/a?AT=x", "/a?AT=(not shown)"),
            ("/a?%61t=x", "/a?%61t=(not shown)"),
            ("/a?b;at=x", "/a?b;at=(not shown)"),
            ("/a?b=c;at=x;y&d=e", "/a?b=c;at=(not shown)&d=e"),
            ("/a?X-Amz-Signature=x", "/a?X-Amz-Signature=(not shown)"),
            ("/a?b=eyJh.e.s", "/a?b=(not shown)"),
            ("/a?eyJh.e.s", "/a?(not shown)"),
            ("/a?b=pk_k1_x", "/a?b=(not shown)"),
            ("/a?at=x=y", "/a?at=(not shown)"),
        ] {
            assert_eq!(target(&document, sent), expected);
        }
        for same in ["/a", "/a?", "/a?b=c&&d", "/a?at=&at", "/token?page=2", "/a?tokens=2"] {
            assert_eq!(target(&document, same), same);
        }
        assert_eq!(authority("u:pw@a.test:80"), "(not shown)@a.test:80");
        assert_eq!(authority("a.test"), "a.test");
    }
}
