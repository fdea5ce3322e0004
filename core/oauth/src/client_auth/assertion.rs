//! A token by which a client proves who it is (RFC 7523 §2.2, §3). The signature is checked by
//! whoever has the client's keys; here is what it says.

use postern_jose::base64url;
use postern_request::UnixMillis;
use postern_request::json::{self, Value};
use sha2::{Digest as _, Sha256};

use crate::OAuthError;

/// What `client_assertion_type` says.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far ahead an assertion may end, in seconds: until then it has to be remembered.
pub const MAX_ASSERTION_SECS: u64 = 300;
/// How far a client's clock may differ, in seconds.
const LEEWAY_SECS: u64 = 5;
/// Longest `jti`, in bytes.
const MAX_JTI_BYTES: usize = 256;

/// What is to be remembered of an assertion, so that it is good once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssertionFacts {
    /// SHA-256 of client and `jti`: nobody can use up another client's.
    pub jti_hash: [u8; 32],
    /// `exp`, in seconds since the epoch.
    pub expires_at: u64,
}

/// Who an assertion says it is from; nothing of it is verified.
pub(super) fn subject(token: &str) -> Option<String> {
    let claims = payload(token)?;
    claims.get("sub")?.as_str().filter(|subject| !subject.is_empty()).map(str::to_owned)
}

/// Checks what an assertion says: it is the client's own, made for one of `audiences` (the
/// issuer, or the URL of the token endpoint), good now and not for long, and has an id.
///
/// # Errors
/// `invalid_client`, whatever was wrong.
pub fn assertion_claims(
    token: &str,
    client_id: &str,
    audiences: &[&str],
    now: UnixMillis,
) -> Result<AssertionFacts, OAuthError> {
    facts(token, client_id, audiences, now.as_secs()).ok_or(OAuthError::invalid_client())
}

fn facts(token: &str, client_id: &str, audiences: &[&str], now: u64) -> Option<AssertionFacts> {
    let claims = payload(token)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(client_id) || text("sub") != Some(client_id) {
        return None;
    }
    let is_ours = |value: &Value| value.as_str().is_some_and(|aud| audiences.contains(&aud));
    let is_for_us = match claims.get("aud")? {
        Value::Array(several) => several.iter().any(is_ours),
        one => is_ours(one),
    };
    let expires_at = seconds(claims.get("exp")?)?;
    let is_now = expires_at > now && expires_at <= now + MAX_ASSERTION_SECS + LEEWAY_SECS;
    let has_begun = ["nbf", "iat"].into_iter().all(|name| {
        let begins = claims.get(name).map(|value| seconds(value).unwrap_or(u64::MAX));
        begins.is_none_or(|begins| begins <= now + LEEWAY_SECS)
    });
    let token_id = text("jti").filter(|id| (1..=MAX_JTI_BYTES).contains(&id.len()))?;
    // Ids of clients hold no zero byte, so two pairs never make one text.
    let jti_hash =
        Sha256::new().chain_update(client_id).chain_update([0_u8]).chain_update(token_id);
    (is_for_us && is_now && has_begun)
        .then(|| AssertionFacts { jti_hash: jti_hash.finalize().into(), expires_at })
}

/// A moment (RFC 7519 §2), in whole seconds.
fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(seconds) => u64::try_from(*seconds).ok(),
        Value::Number(text) => {
            let (whole, fraction) = text.split_once('.')?;
            let is_plain = fraction.bytes().all(|byte| byte.is_ascii_digit());
            whole.parse().ok().filter(|_| is_plain)
        }
        _ => None,
    }
}

fn payload(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    json::parse(&base64url::decode(payload)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const ISSUER: &str = "https://gate.example";
    const TOKEN: &str = "https://gate.example/oauth2/token";
    const GOOD: &str = r#"{"iss":"web","sub":"web","aud":"https://gate.example","exp":1800000060,"iat":1800000000,"nbf":1800000000,"jti":"1"}"#;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", base64url::encode(claims.as_bytes()))
    }

    fn check(claims: &str) -> Option<AssertionFacts> {
        assertion_claims(&token(claims), "web", &[ISSUER, TOKEN], NOW).ok()
    }

    #[test]
    fn assertions_have_an_issuer_audience_and_end() {
        assert_eq!(check(GOOD).map(|facts| facts.expires_at), Some(1_800_000_060));
        for (from, to, expected) in [
            (
                "\"aud\":\"https://gate.example\"",
                "\"aud\":\"https://gate.example/oauth2/token\"",
                true,
            ),
            ("\"aud\":\"https://gate.example\"", "\"aud\":[\"a\",\"https://gate.example\"]", true),
            ("\"aud\":\"https://gate.example\"", "\"aud\":\"https://gate.example/\"", false),
            ("\"aud\":\"https://gate.example\"", "\"aud\":\"https://other.example\"", false),
            ("\"aud\":\"https://gate.example\"", "\"aud\":[]", false),
            ("\"aud\":\"https://gate.example\"", "\"aud\":{\"a\":1}", false),
            ("\"aud\":\"https://gate.example\",", "", false),
            ("\"iss\":\"web\"", "\"iss\":\"other\"", false),
            ("\"sub\":\"web\"", "\"sub\":\"other\"", false),
            ("\"iss\":\"web\",", "", false),
            ("\"sub\":\"web\",", "", false),
            ("\"exp\":1800000060", "\"exp\":1800000001", true),
            ("\"exp\":1800000060", "\"exp\":1800000060.5", true),
            ("\"exp\":1800000060", "\"exp\":1800000305", true),
            ("\"exp\":1800000060", "\"exp\":1800000306", false),
            ("\"exp\":1800000060", "\"exp\":1800000000", false),
            ("\"exp\":1800000060", "\"exp\":-1", false),
            ("\"exp\":1800000060", "\"exp\":1e10", false),
            ("\"exp\":1800000060", "\"exp\":\"1800000060\"", false),
            ("\"exp\":1800000060,", "", false),
            ("\"iat\":1800000000,", "", true),
            ("\"iat\":1800000000", "\"iat\":1800000006", false),
            ("\"iat\":1800000000", "\"iat\":null", false),
            ("\"nbf\":1800000000", "\"nbf\":1800000005", true),
            ("\"nbf\":1800000000", "\"nbf\":1800000006", false),
            (",\"jti\":\"1\"", "", false),
            ("\"jti\":\"1\"", "\"jti\":\"\"", false),
            ("\"jti\":\"1\"", "\"jti\":1", false),
            ("\"jti\":\"1\"", "\"jti\":\"1\",\"jti\":\"2\"", false),
        ] {
            let claims = GOOD.replace(from, to);
            assert_ne!(claims, GOOD, "{from}");
            assert_eq!(check(&claims).is_some(), expected, "{claims}");
        }
        let long = GOOD.replace("\"jti\":\"1\"", &format!("\"jti\":\"{}\"", "j".repeat(257)));
        assert_eq!(check(&long), None);
    }

    #[test]
    fn an_id_is_one_clients_alone() {
        let other = GOOD.replace("\"web\"", "\"app\"");
        let others = assertion_claims(&token(&other), "app", &[ISSUER], NOW).unwrap();
        assert_ne!(Some(others.jti_hash), check(GOOD).map(|facts| facts.jti_hash));
        assert_eq!(check(&other), None);
    }

    #[test]
    fn what_is_no_token_names_nobody() {
        assert_eq!(subject(&token(GOOD)).as_deref(), Some("web"));
        for bad in ["", ".", "..", "a.b.c", "a.e30.c", "e30.e30", "e30.e30.e30.e30", "e30.W10.c"] {
            assert_eq!(subject(bad), None, "{bad}");
            assert!(assertion_claims(bad, "web", &[ISSUER], NOW).is_err(), "{bad}");
        }
    }
}
