//! What a token is (RFC 7662): asked by whoever it was shown to, or by whoever holds it.
//!
//! Whatever is not good now is inactive, and nothing more is said of it; the same of what is none
//! of the caller's business (§2.2). An access token is the business of the client that it was
//! issued to, and of whoever stands for a resource that it is for (§4): it cannot be used at any
//! other. A refresh token is its own client's business alone: whoever else was shown one must not
//! take it for something that opens a door.

use postern_jose::base64url;
use postern_request::headers::Single;
use postern_request::json::{self, Value, write_string};

use crate::{
    Client, ClientAuthentication, ClientKind, FamilyGrant, Form, OAuthError, Secret,
    ShownCertificate,
};

/// The answer about everything that is not good, or not for the caller to know.
pub const INACTIVE: &str = "{\"active\":false}";

/// What is told of an access token, as it says it itself (§2.2, RFC 8693 §4, RFC 8705 §3.2,
/// RFC 9449 §6.2, RFC 9470 §6.2). What it says of its user's devices is not.
const TOLD: [&str; 13] = [
    "scope",
    "client_id",
    "exp",
    "iat",
    "nbf",
    "sub",
    "aud",
    "iss",
    "jti",
    "cnf",
    "act",
    "auth_time",
    "acr",
];

/// A request of RFC 7662 §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionRequest {
    /// Who the client says it is.
    pub client: ClientAuthentication,
    /// The token. What kind it is shows at a look, so the hint is not needed.
    pub token: Secret,
}

impl IntrospectionRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(
        authorization: Single<'_>,
        content_type: Single<'_>,
        body: &[u8],
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let form = Form::read(content_type, body)?;
        let client = ClientAuthentication::parse(authorization, &form, certificate)?;
        let token = form.get("token");
        let token = token.ok_or(OAuthError::invalid_request("The parameter token is missing"))?;
        Ok(Self { client, token: Secret::new(token.to_owned()) })
    }
}

impl Client {
    /// Whether it may ask at all: who has proven nothing may not (§2.1).
    ///
    /// # Errors
    /// `invalid_client`
    pub fn check_introspects(&self) -> Result<(), OAuthError> {
        match self.kind {
            ClientKind::Confidential => Ok(()),
            ClientKind::Public => Err(OAuthError::invalid_client()),
        }
    }

    /// Whether an access token is its business: its own is, and one that is for a resource for which
    /// it stands, as an operator has said (§4).
    #[must_use]
    pub fn may_know(&self, owner: Option<&str>, audiences: &[String]) -> bool {
        let is_for = |resource: &String| resource == Self::ALL || audiences.contains(resource);
        owner == Some(self.client_id.as_str()) || self.may_introspect.iter().any(is_for)
    }
}

/// The answer about an access token that was verified; none where it is no token.
#[must_use]
pub fn active_access(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let claims = json::parse(&base64url::decode(payload)?).ok()?;
    let mut body = String::with_capacity(512);
    body.push_str("{\"active\":true,\"token_type\":");
    let is_bound = claims.get("cnf").is_some_and(|bound| bound.get("jkt").is_some());
    body.push_str(if is_bound { "\"DPoP\"" } else { "\"Bearer\"" });
    for name in TOLD {
        if let Some(value) = claims.get(name) {
            push(&mut body, name, value);
        }
    }
    body.push('}');
    Some(body)
}

/// The answer about a refresh token that is its family's current one: since when, and until when
/// at most, in seconds since the epoch.
#[must_use]
pub fn active_refresh(family: &FamilyGrant, issuer: &str, begun: u64, ends: u64) -> String {
    let text = |text: &str| Value::String(text.to_owned());
    let number = |secs: u64| Value::Integer(i64::try_from(secs).unwrap_or(i64::MAX));
    let mut body = "{\"active\":true".to_owned();
    for (name, value) in [
        ("scope", text(&family.scopes.to_string())),
        ("client_id", text(&family.client_id)),
        ("exp", number(ends)),
        ("iat", number(begun)),
        ("sub", text(&family.subject)),
        ("iss", text(issuer)),
    ] {
        push(&mut body, name, &value);
    }
    body.push('}');
    body
}

fn push(body: &mut String, name: &str, value: &Value) {
    body.push(',');
    write_string(body, name);
    body.push(':');
    value.write_to(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{API, OTHER_API};
    use crate::{ErrorCode, fixtures};

    const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");

    fn parse(body: &str) -> Result<IntrospectionRequest, ErrorCode> {
        let read = IntrospectionRequest::parse(Single::Absent, FORM, body.as_bytes(), None);
        read.map_err(|error| error.code)
    }

    #[test]
    fn a_request_names_client_and_token() {
        for (body, expected) in [
            ("token=t", ErrorCode::InvalidClient),
            ("client_id=web&client_secret=s", ErrorCode::InvalidRequest),
            ("client_id=web&client_secret=s&token=", ErrorCode::InvalidRequest),
            ("client_id=web&client_secret=s&token=t&token=u", ErrorCode::InvalidRequest),
        ] {
            assert_eq!(parse(body).err(), Some(expected), "{body}");
        }
        let request = parse("client_id=web&client_secret=s&token=t&token_type_hint=saml").unwrap();
        assert_eq!(request.token.expose(), "t", "a hint is only a hint");
        assert!(!format!("{request:?}").contains("\"t\""));
    }

    #[test]
    fn tokens_are_the_business_of_their_client_and_of_the_resources_that_they_are_for() {
        const NONE: &[&str] = &[];
        const BOTH: &[&str] = &[API, OTHER_API];
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (resources, owner, audiences, expected) in [
            (NONE, Some("web"), BOTH, true),
            (NONE, Some("spa"), BOTH, false),
            (NONE, None, BOTH, false),
            (&[API], Some("spa"), &[API], true),
            (&[API], None, &[API], true),
            (&[API], Some("spa"), &[OTHER_API], false),
            (&[API], Some("spa"), BOTH, true),
            (BOTH, Some("spa"), &[OTHER_API], true),
            // Letter by letter, and not by what it is below.
            (&[API], Some("spa"), &["https://api.example/", "https://api.example/orders"], false),
            (&[API], Some("spa"), NONE, false),
            (&[Client::ALL], Some("spa"), &[OTHER_API], true),
            (&[Client::ALL], None, NONE, true),
        ] {
            let client = Client { may_introspect: texts(resources), ..fixtures::confidential() };
            let may = client.may_know(owner, &texts(audiences));
            assert_eq!(may, expected, "{resources:?} {owner:?} {audiences:?}");
        }
        assert!(fixtures::confidential().check_introspects().is_ok());
        let public = Client { may_introspect: texts(&[Client::ALL]), ..fixtures::public() };
        let refused = public.check_introspects().unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidClient, "an id alone proves nothing");
    }

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", base64url::encode(claims.as_bytes()))
    }

    #[test]
    fn an_answer_says_what_the_token_says_and_nothing_of_devices() {
        let claims = r#"{"iss":"i","sub":"u\"1","aud":["a","b"],"exp":9,"scope":"read","client_id":"spa","sessionId":"s","deviceId":"d","clientFingerprint":"f","role":"r","cnf":{"jkt":"k"},"act":{"sub":"x"}}"#;
        let expected = r#"{"active":true,"token_type":"DPoP","scope":"read","client_id":"spa","exp":9,"sub":"u\"1","aud":["a","b"],"iss":"i","cnf":{"jkt":"k"},"act":{"sub":"x"}}"#;
        assert_eq!(active_access(&token(claims)).as_deref(), Some(expected));
        let bearer = active_access(&token(r#"{"cnf":{"x5t#S256":"h"}}"#)).unwrap();
        assert!(bearer.contains(r#""token_type":"Bearer""#), "{bearer}");
        for bad in ["", "a", "a.!.b", "e30.W10"] {
            let answer = active_access(bad);
            assert!(answer.is_none_or(|answer| json::parse(answer.as_bytes()).is_ok()), "{bad}");
        }
    }

    #[test]
    fn a_refresh_token_has_no_type_that_opens_a_door() {
        let answer = active_refresh(&fixtures::family_grant(), "https://gate.example", 1, 9);
        let expected = r#"{"active":true,"scope":"openid read write","client_id":"web","exp":9,"iat":1,"sub":"ada","iss":"https://gate.example"}"#;
        assert_eq!(answer, expected);
    }

    #[test]
    fn what_is_not_good_is_inactive_and_nothing_else() {
        let answer = json::parse(INACTIVE.as_bytes()).unwrap();
        assert_eq!(answer.as_object().map(<[_]>::len), Some(1));
        assert_eq!(answer.get("active"), Some(&Value::Bool(false)));
    }
}
