//! JWT claims (RFC 7519 §4, RFC 9068 §2.2), as far as a decision needs them.

use postern_request::headers::{is_identity_value, is_safe_value};
use postern_request::json::{self, Value};
use postern_request::principal::{Credential, Principal};

use crate::TokenError;

/// Longest claim that is taken over, in bytes.
const MAX_CLAIM_BYTES: usize = 1024;
/// Most scopes and audiences that one token may name.
const MAX_LIST: usize = 128;

/// Claims of a token, read strictly and not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`
    pub issuer: String,
    /// `aud`, one or several.
    pub audiences: Vec<String>,
    /// `exp`, in seconds since the epoch.
    pub expires_at: u64,
    /// `nbf`, in seconds since the epoch.
    pub not_before: Option<u64>,
    /// `jti`
    pub token_id: Option<String>,
    /// Whether the token is bound to a key (`cnf`, RFC 7800).
    pub is_bound: bool,
    /// Who it speaks for.
    pub principal: Principal,
}

/// Which claims become headers for the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimsRules {
    /// Header name and claim name.
    pub claim_headers: Vec<(String, String)>,
}

impl Claims {
    /// Reads a token's payload.
    ///
    /// # Errors
    /// [`TokenError::Claims`] when a claim has another type than its RFC says, is repeated,
    /// or could not stand in a header.
    pub fn parse(payload: &[u8], rules: &ClaimsRules) -> Result<Self, TokenError> {
        Self::read(&parse_object(payload)?, rules)
    }

    /// Reads claims that [`parse_object`] has parsed.
    pub(crate) fn read(claims: &Value, rules: &ClaimsRules) -> Result<Self, TokenError> {
        let mut claim_headers = Vec::new();
        for (header, claim) in &rules.claim_headers {
            if let Some(value) = as_header(claims.get(claim))? {
                claim_headers.push((header.clone(), value));
            }
        }
        Ok(Self {
            issuer: issuer(claims)?,
            audiences: list(claims.get("aud"))?,
            expires_at: seconds(claims.get("exp"))?.ok_or(TokenError::Claims)?,
            not_before: seconds(claims.get("nbf"))?,
            token_id: text(claims, "jti")?,
            is_bound: claims.get("cnf").is_some(),
            principal: Principal {
                subject: text(claims, "sub")?.ok_or(TokenError::Claims)?,
                issuer: issuer(claims)?,
                client_id: text(claims, "client_id")?,
                scopes: scopes(claims.get("scope"))?,
                tier: text(claims, "tier")?,
                session: text(claims, "sessionId")?,
                device: text(claims, "deviceId")?,
                country: text(claims, "country")?,
                role: text(claims, "role")?,
                credential: Credential::Jwt,
                claim_headers,
            },
        })
    }
}

/// A payload as an object.
pub(crate) fn parse_object(payload: &[u8]) -> Result<Value, TokenError> {
    let claims = json::parse(payload).map_err(|_| TokenError::Claims)?;
    claims.as_object().is_some().then_some(()).ok_or(TokenError::Claims)?;
    Ok(claims)
}

/// `iss`, which must be there.
pub(crate) fn issuer(claims: &Value) -> Result<String, TokenError> {
    text(claims, "iss")?.ok_or(TokenError::Claims)
}

/// An optional string that is fit for a header.
fn text(claims: &Value, name: &str) -> Result<Option<String>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => checked(text).map(Some),
        Some(_) => Err(TokenError::Claims),
    }
}

fn checked(text: &str) -> Result<String, TokenError> {
    if text.len() > MAX_CLAIM_BYTES || !is_identity_value(text) {
        return Err(TokenError::Claims);
    }
    Ok(text.to_owned())
}

/// A claim as a header's value: strings as they are, numbers and booleans in JSON, lists of
/// strings joined by commas. Objects have no obvious form and are an error.
fn as_header(claim: Option<&Value>) -> Result<Option<String>, TokenError> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => checked(text).map(Some),
        Some(value @ (Value::Integer(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        Some(Value::Array(_)) => {
            let items = list(claim)?;
            // Joined, an item with a comma would read as two.
            if items.iter().any(|item| item.contains(',')) {
                return Err(TokenError::Claims);
            }
            checked(&items.join(",")).map(Some)
        }
        Some(Value::Float(_) | Value::Object(_)) => Err(TokenError::Claims),
    }
}

/// `aud`: one string or an array of them.
fn list(claim: Option<&Value>) -> Result<Vec<String>, TokenError> {
    match claim {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![checked(one)?]),
        Some(Value::Array(items)) if items.len() <= MAX_LIST => items
            .iter()
            .map(|item| item.as_str().ok_or(TokenError::Claims).and_then(checked))
            .collect(),
        Some(_) => Err(TokenError::Claims),
    }
}

/// `scope`: a string of names separated by spaces (RFC 6749 §3.3).
fn scopes(claim: Option<&Value>) -> Result<Vec<String>, TokenError> {
    let text = match claim {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(TokenError::Claims),
    };
    let is_scope_char = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let scopes: Vec<String> =
        text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let fits = scopes.len() <= MAX_LIST
        && is_safe_value(text)
        && scopes.iter().all(|name| name.bytes().all(is_scope_char));
    if fits { Ok(scopes) } else { Err(TokenError::Claims) }
}

/// A NumericDate (RFC 7519 §2): a number, fractions allowed, rounded down. Strings, negative
/// numbers and numbers beyond 2⁵³ are not dates.
fn seconds(claim: Option<&Value>) -> Result<Option<u64>, TokenError> {
    const LAST: f64 = 9_007_199_254_740_992.0;
    match claim {
        None => Ok(None),
        Some(Value::Integer(number)) => {
            u64::try_from(*number).map(Some).map_err(|_| TokenError::Claims)
        }
        Some(Value::Float(number)) if (0.0..LAST).contains(number) => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let whole = number.floor() as u64;
            Ok(Some(whole))
        }
        Some(_) => Err(TokenError::Claims),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Claims, TokenError> {
        Claims::parse(text.as_bytes(), &ClaimsRules::default())
    }

    #[test]
    fn claims_are_read_by_their_types() {
        let claims = parse(
            r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":10.9,"nbf":1,"jti":"j",
                "scope":"x  y","client_id":"c","other":{"deep":[1]}}"#,
        )
        .unwrap();
        assert_eq!(claims.audiences, ["a", "b"]);
        assert_eq!((claims.expires_at, claims.not_before), (10, Some(1)));
        assert_eq!(claims.principal.scopes, ["x", "y"]);
        assert!(!claims.is_bound);
    }

    #[test]
    fn wrong_types_and_dangerous_texts_are_refused() {
        let base = r#""iss":"i","sub":"s""#;
        for bad in [
            r#"{"iss":"i","exp":1}"#.to_owned(),
            format!(r#"{{{base}}}"#),
            format!(r#"{{{base},"exp":"1"}}"#),
            format!(r#"{{{base},"exp":-1}}"#),
            format!(r#"{{{base},"exp":1e300}}"#),
            format!(r#"{{{base},"exp":null}}"#),
            format!(r#"{{{base},"exp":1,"exp":2}}"#),
            format!(r#"{{{base},"exp":1,"nbf":"now"}}"#),
            format!(r#"{{{base},"exp":1,"aud":7}}"#),
            format!(r#"{{{base},"exp":1,"aud":[7]}}"#),
            format!(r#"{{{base},"exp":1,"scope":["a"]}}"#),
            format!(r#"{{{base},"exp":1,"scope":"a\"b"}}"#),
            format!(r#"{{{base},"exp":1,"client_id":"a\r\nx-admin: 1"}}"#),
            format!(r#"{{{base},"exp":1,"client_id":"admin "}}"#),
            format!(r#"{{"iss":"i","sub":"{}","exp":1}}"#, "s".repeat(2000)),
            "[]".to_owned(),
            "{".repeat(5000),
        ] {
            assert_eq!(parse(&bad).err(), Some(TokenError::Claims), "{bad:.80}");
        }
    }

    #[test]
    fn chosen_claims_become_headers() {
        let rules = ClaimsRules {
            claim_headers: ["tenant", "level", "groups", "none"]
                .map(|claim| (format!("x-{claim}"), claim.to_owned()))
                .to_vec(),
        };
        let payload = r#"{"iss":"i","sub":"s","exp":1,"tenant":"t","level":3,"groups":["a","b"]}"#;
        let claims = Claims::parse(payload.as_bytes(), &rules).unwrap();
        let headers: Vec<_> = claims
            .principal
            .claim_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(headers, [("x-tenant", "t"), ("x-level", "3"), ("x-groups", "a,b")]);
        for hostile in [r#"{"a":1}"#, r#"["x,admins"]"#, r#"" x""#, "1.5"] {
            let payload = format!(r#"{{"iss":"i","sub":"s","exp":1,"tenant":{hostile}}}"#);
            assert!(Claims::parse(payload.as_bytes(), &rules).is_err(), "{hostile}");
        }
    }
}
