//! Which claim of a token cannot be read: each is asked about alone, by the reader that decides.

use postern_document::Document;
use postern_jose::{Claims, ClaimsRules, CompactJws, TokenError};
use postern_request::json::{self, Value};

const TEXT: &str = "text that can stand in a header";
const SECONDS: &str = "a number of seconds since 1970";

/// Claims that are read, and what they have to be.
const FORMS: [(&str, &str); 14] = [
    ("iss", TEXT),
    ("sub", TEXT),
    ("aud", "text, or a list of texts"),
    ("exp", SECONDS),
    ("nbf", SECONDS),
    ("iat", SECONDS),
    ("jti", TEXT),
    ("client_id", TEXT),
    ("scope", "one text, with a space between two scopes"),
    ("tier", TEXT),
    ("sessionId", TEXT),
    ("deviceId", TEXT),
    ("country", TEXT),
    ("role", TEXT),
];

/// Without these, no token says enough.
const NEEDED: [(&str, &str); 3] = [("iss", r#""i""#), ("sub", r#""s""#), ("exp", "1")];

/// What is wrong with the claims of a token that the reader refuses; none where it is none of that.
/// Repeats no value.
pub(crate) fn unreadable(document: &Document, token: &[u8]) -> Option<String> {
    let token = CompactJws::parse(core::str::from_utf8(token).ok()?).ok()?;
    let Ok(Value::Object(members)) = json::parse(&token.payload) else {
        return Some(
            "its payload is not one JSON object in which each name stands once".to_owned(),
        );
    };
    let value = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, v)| v);
    for (name, form) in FORMS {
        match value(name) {
            None if NEEDED.iter().any(|(needed, _)| *needed == name) => {
                return Some(format!("`{name}` is missing: {form}"));
            }
            Some(value) if refuses(&alone(name, value), &ClaimsRules::default()) => {
                return Some(format!("`{name}` must be {form}"));
            }
            None | Some(_) => {}
        }
    }
    let issuer = value("iss").and_then(Value::as_str)?;
    let entry = document.issuers.iter().find(|entry| entry.issuer.issuer == issuer)?;
    let mut headers = entry.issuer.rules.claim_headers.iter();
    let (header, claim) = headers.find(|header| {
        let claim_headers = vec![(*header).clone()];
        refuses(&token.payload, &ClaimsRules { claim_headers, ..ClaimsRules::default() })
    })?;
    Some(format!("`{claim}` cannot stand in the header `{header}`"))
}

fn refuses(payload: &[u8], rules: &ClaimsRules) -> bool {
    matches!(Claims::parse(payload, rules), Err(TokenError::Claims))
}

/// A payload with one claim, and what every one needs.
fn alone(name: &str, value: &Value) -> Vec<u8> {
    let mut text = String::from("{");
    json::write_string(&mut text, name);
    text.push(':');
    value.write_to(&mut text);
    for (needed, usual) in NEEDED.iter().filter(|(needed, _)| *needed != name) {
        text.push_str(&format!(r#","{needed}":{usual}"#));
    }
    text.push('}');
    text.into_bytes()
}
