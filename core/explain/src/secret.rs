//! What is not shown, because it may be a credential.

use std::borrow::Cow;

use postern_document::{Document, TokenPlace};
use postern_request::api_key;

/// Stands where something is not shown.
pub(crate) const HIDDEN: &str = "(not shown)";

/// Query parameters in which credentials stand by convention, wherever a document takes them from:
/// a token where nobody looks for one is a token all the same.
const PARAMETERS: [&str; 14] = [
    "access_token",
    "api_key",
    "apikey",
    "client_assertion",
    "client_secret",
    "code",
    "id_token",
    "key",
    "password",
    "refresh_token",
    "sig",
    "signature",
    "ticket",
    "token",
];

/// Path and query, without what may be a credential.
pub(crate) fn target(document: &Document, target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs: Vec<Cow<'_, str>> = query.split('&').map(|pair| shown(document, pair)).collect();
    [path, "?", &pairs.join("&")].concat()
}

fn shown<'p>(document: &Document, pair: &'p str) -> Cow<'p, str> {
    let (name, value) = pair.split_once('=').unwrap_or(("", pair));
    let names = |place: &TokenPlace| matches!(place, TokenPlace::Query(known) if known == name);
    let is_place = document.token_places.iter().any(names)
        || PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !value.is_empty() && (is_place || is_credential(value)) {
        let mark = if name.is_empty() { "" } else { "=" };
        return Cow::Owned([name, mark, HIDDEN].concat());
    }
    Cow::Borrowed(pair)
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
