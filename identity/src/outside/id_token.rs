//! What an ID token has to say (OpenID Connect Core §3.1.3.7). Its signature is looked at before.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_jose::CompactJws;
use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_request::headers::is_identity_value;
use postern_request::json::{self, Value};

use super::exchange::text_of;
use crate::id_token::at_hash;

/// How far clocks may differ, in seconds.
const LEEWAY_SECS: u64 = 60;
/// How old a token may be that was made a moment ago, in seconds.
const MAX_AGE_SECS: u64 = 600;
/// Longest `sub` (§2).
const MAX_SUBJECT_BYTES: usize = 255;

/// What is expected of a token.
pub(super) struct Expected<'a> {
    /// The provider.
    pub(super) issuer: &'a str,
    /// Who the suite is there.
    pub(super) client_id: &'a str,
    /// The one that was sent along.
    pub(super) nonce: &'a Secret,
    /// How long ago somebody may have authenticated.
    pub(super) max_age_secs: Option<u64>,
    /// The access token beside it.
    pub(super) access_token: Option<&'a Secret>,
}

/// The claims of a token whose signature holds.
///
/// # Errors
/// What does not hold, in words for the log.
pub(super) fn judge(
    jws: &CompactJws<'_>,
    expected: &Expected<'_>,
    now: UnixMillis,
) -> Result<Value, &'static str> {
    let claims = json::parse(&jws.payload).map_err(|_| "the claims are no JSON")?;
    if text_of(&claims, "iss") != Some(expected.issuer) {
        return Err("it is of another issuer");
    }
    check_audience(&claims, expected.client_id)?;
    check_times(&claims, expected.max_age_secs, now)?;
    let nonce = text_of(&claims, "nonce").unwrap_or_default();
    verify_slices_are_equal(nonce.as_bytes(), expected.nonce.expose().as_bytes())
        .map_err(|_| "it has another nonce")?;
    if let Some(said) = claims.get("at_hash") {
        let hash = expected.access_token.map(|token| at_hash(jws.algorithm, token.expose()));
        if hash.is_none() || said.as_str() != hash.as_deref() {
            return Err("it belongs to another access token");
        }
    }
    let subject = text_of(&claims, "sub").unwrap_or_default();
    if subject.len() > MAX_SUBJECT_BYTES || !is_identity_value(subject) {
        return Err("it has no usable subject");
    }
    Ok(claims)
}

/// For us, and where it is for others, too, made for us (`azp`).
fn check_audience(claims: &Value, client_id: &str) -> Result<(), &'static str> {
    let is_us = |value: &Value| value.as_str() == Some(client_id);
    let (for_us, several) = match claims.get("aud") {
        Some(Value::Array(audiences)) => (audiences.iter().any(is_us), audiences.len() > 1),
        Some(audience) => (is_us(audience), false),
        None => (false, false),
    };
    if !for_us {
        return Err("it is for somebody else");
    }
    match claims.get("azp") {
        Some(party) if !is_us(party) => Err("it was made for somebody else"),
        None if several => Err("it does not say whom it was made for"),
        _ => Ok(()),
    }
}

fn check_times(
    claims: &Value,
    max_age_secs: Option<u64>,
    now: UnixMillis,
) -> Result<(), &'static str> {
    let now = now.as_secs();
    let soon = now.saturating_add(LEEWAY_SECS);
    let expires_at = seconds(claims, "exp").ok_or("it does not say when it ends")?;
    if now >= expires_at.saturating_add(LEEWAY_SECS) {
        return Err("it has ended");
    }
    let issued_at = seconds(claims, "iat").ok_or("it does not say when it was made")?;
    if issued_at > soon || issued_at.saturating_add(MAX_AGE_SECS) < now {
        return Err("it was not made a moment ago");
    }
    if claims.get("nbf").is_some() && seconds(claims, "nbf").is_none_or(|start| start > soon) {
        return Err("it does not count yet");
    }
    let Some(max_age) = max_age_secs else { return Ok(()) };
    let since = seconds(claims, "auth_time").ok_or("it does not say when they authenticated")?;
    if since > soon || since.saturating_add(max_age).saturating_add(LEEWAY_SECS) < now {
        return Err("they authenticated too long ago");
    }
    Ok(())
}

/// When somebody has authenticated, where the claims say so; what they say of the future nobody
/// knows.
pub(super) fn authenticated_at(claims: &Value, now: UnixMillis) -> Option<UnixMillis> {
    let at = UnixMillis(seconds(claims, "auth_time")?.saturating_mul(1000));
    (at <= now).then_some(at)
}

/// A date (RFC 7519 §2), rounded down; some write them with fractions.
fn seconds(claims: &Value, name: &str) -> Option<u64> {
    match claims.get(name)? {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::Number(text) => {
            let (whole, fraction) = text.split_once('.')?;
            let is_plain = fraction.bytes().all(|byte| byte.is_ascii_digit());
            if is_plain { whole.parse().ok() } else { None }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_jose::base64url;
    use serde_json::json;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const AT: u64 = 1_800_000_000;

    fn good() -> serde_json::Value {
        json!({
            "iss": "https://op.test", "sub": "u-1", "aud": "postern", "nonce": "n",
            "iat": AT, "exp": AT + 300,
        })
    }

    fn judged(claims: &serde_json::Value, max_age: Option<u64>) -> Result<(), &'static str> {
        let part = |text: &str| base64url::encode(text.as_bytes());
        let header = part(r#"{"alg":"RS256","typ":"JWT"}"#);
        let token = format!("{header}.{}.c2ln", part(&claims.to_string()));
        let jws = CompactJws::parse(&token).unwrap();
        let (nonce, access) = (Secret::new("n".to_owned()), Secret::new("at".to_owned()));
        let expected = Expected {
            issuer: "https://op.test",
            client_id: "postern",
            nonce: &nonce,
            max_age_secs: max_age,
            access_token: Some(&access),
        };
        judge(&jws, &expected, NOW).map(|_| ())
    }

    #[test]
    fn each_claim_has_to_hold() {
        let hash = at_hash(postern_jose::Algorithm::Rs256, "at");
        for (change, good_so) in [
            (json!({}), true),
            (json!({"iss": "https://op.test/"}), false),
            (json!({"iss": null}), false),
            (json!({"aud": "other"}), false),
            (json!({"aud": null}), false),
            (json!({"aud": []}), false),
            (json!({"aud": ["postern"]}), true),
            (json!({"aud": ["other", "postern"]}), false),
            (json!({"aud": ["other", "postern"], "azp": "postern"}), true),
            (json!({"aud": ["other", "postern"], "azp": "other"}), false),
            (json!({"azp": "other"}), false),
            (json!({"azp": ["postern"]}), false),
            (json!({"nonce": "m"}), false),
            (json!({"nonce": ""}), false),
            (json!({"nonce": null}), false),
            (json!({"exp": AT - 59}), true),
            (json!({"exp": AT - 60}), false),
            (json!({"exp": "soon"}), false),
            (json!({"exp": null}), false),
            (json!({"exp": 1_800_000_300.5}), true),
            (json!({"iat": AT + 61}), false),
            (json!({"iat": AT - 601}), false),
            (json!({"iat": null}), false),
            (json!({"nbf": AT + 60}), true),
            (json!({"nbf": AT + 61}), false),
            (json!({"nbf": "x"}), false),
            (json!({"sub": ""}), false),
            (json!({"sub": 7}), false),
            (json!({"sub": "a\nb"}), false),
            (json!({"sub": "x".repeat(256)}), false),
            (json!({"at_hash": hash}), true),
            (json!({"at_hash": "AAAA"}), false),
            (json!({"at_hash": 7}), false),
        ] {
            let mut claims = good();
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
            assert_eq!(judged(&claims, None).is_ok(), good_so, "{change}");
        }
    }

    #[test]
    fn who_has_to_be_here_just_now_was() {
        for (auth_time, expected) in [
            (json!(AT - 900), true),
            (json!(AT - 960), true),
            (json!(AT - 961), false),
            (json!(AT + 61), false),
            (json!(null), false),
        ] {
            let mut claims = good();
            claims["auth_time"] = auth_time.clone();
            assert_eq!(judged(&claims, Some(900)).is_ok(), expected, "{auth_time}");
            assert!(judged(&claims, None).is_ok());
        }
    }
}
