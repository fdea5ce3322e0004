//! Tokens that hold, and say what a rule asks for.

use postern_policies::{JwtRule, Proof, Token, TokenPlace};
use postern_request::json;
use serde_json::{Map, Value};

/// Whose tokens are meant where a rule takes anybody's.
pub(super) const ISSUER: &str = "https://issuer.example.test";

/// A token that holds and says what is asked for.
pub(super) fn token(issuers: &[&JwtRule], claims: &Map<String, Value>) -> Option<Token> {
    if claims.is_empty() {
        return None;
    }
    let mut claims = claims.clone();
    let wanted = claims.get("iss").and_then(Value::as_str).map(str::to_owned);
    let of_it = |rule: &&&JwtRule| wanted.as_ref().is_none_or(|iss| *iss == rule.issuer);
    let rule = issuers.iter().find(of_it).or(issuers.first()).copied();
    let issuer = rule.map_or_else(String::new, |rule| rule.issuer.clone());
    let is_made_up = wanted.as_deref() == Some(ISSUER);
    if !issuer.is_empty() && (wanted.is_none() || is_made_up) {
        claims.insert("iss".to_owned(), Value::String(issuer));
    }
    claims.entry("sub").or_insert_with(|| Value::String("somebody".to_owned()));
    let audiences = claims.get("aud").cloned().into_iter();
    let known = rule.into_iter().flat_map(|rule| rule.audiences.first());
    let audiences: Vec<Value> =
        audiences.chain(known.map(|name| Value::String(name.clone()))).collect();
    if !audiences.is_empty() {
        claims.insert("aud".to_owned(), Value::Array(audiences));
    }
    let text = Value::Object(claims).to_string();
    let claims = json::parse(text.as_bytes()).ok()?;
    let token = Token::bearer(claims, Proof::Holds);
    let place = rule.and_then(place);
    Some(match place {
        Some(place) => Token { place, ..token },
        None => token,
    })
}

/// Where a rule looks for tokens; none where it says nothing, and so looks in `authorization`.
fn place(rule: &JwtRule) -> Option<TokenPlace> {
    let header = rule.from_headers.first().map(|header| TokenPlace::Header {
        name: header.name.clone(),
        prefix: header.prefix.clone(),
    });
    let param = || rule.from_params.first().cloned().map(TokenPlace::Param);
    let cookie = || rule.from_cookies.first().cloned().map(TokenPlace::Cookie);
    header.or_else(param).or_else(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(issuers: &[&JwtRule], claims: Value) -> Option<Token> {
        let Value::Object(claims) = claims else { panic!("claims") };
        token(issuers, &claims)
    }

    #[test]
    fn a_token_is_of_an_issuer_that_is_known() {
        let rule = JwtRule {
            issuer: "i".to_owned(),
            audiences: vec!["a".to_owned()],
            from_cookies: vec!["c".to_owned()],
            ..JwtRule::default()
        };
        let said = |claims: Value| {
            let token = made(&[&rule], claims).unwrap();
            assert_eq!(token.place, TokenPlace::Cookie("c".to_owned()));
            let claims = token.claims.unwrap();
            claims.get("iss").and_then(|iss| iss.as_str()).unwrap().to_owned()
        };
        assert_eq!(said(serde_json::json!({"role": "x"})), "i");
        assert_eq!(said(serde_json::json!({"iss": ISSUER})), "i");
        assert_eq!(said(serde_json::json!({"iss": "other"})), "other");
        assert!(made(&[&rule], serde_json::json!({})).is_none());
        assert!(made(&[], serde_json::json!({"sub": "s"})).is_some());
    }
}
