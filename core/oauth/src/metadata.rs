//! What clients can learn about the authorization server (RFC 8414, OpenID Connect Discovery).

use postern_request::json::Value;

use crate::{AuthMethod, GrantType};

/// Where tokens are asked for.
pub const TOKEN_PATH: &str = "/oauth2/token";
/// Where the public keys are.
pub const JWKS_PATH: &str = "/oauth2/jwks";

/// The authorization server in its own words. Only what works is named, so members come with
/// the grants that need them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMetadata {
    /// `iss` of its tokens: a URL without query and fragment.
    pub issuer: String,
    /// What its keys sign with, as `alg` spells it.
    pub signing_algorithms: Vec<&'static str>,
}

impl ServerMetadata {
    /// The document of RFC 8414 §2. There is no `authorization_endpoint` as long as no grant
    /// needs one, and `response_types_supported`, which must be there, is empty.
    #[must_use]
    pub fn authorization_server(&self) -> String {
        Value::Object(self.common()).to_string()
    }

    /// The document of OpenID Connect Discovery §3: the same, and the two members that its
    /// readers insist on.
    #[must_use]
    pub fn openid_configuration(&self) -> String {
        let mut members = self.common();
        members.push(("subject_types_supported".to_owned(), texts(["public"])));
        members.push((
            "id_token_signing_alg_values_supported".to_owned(),
            texts(self.signing_algorithms.iter().copied()),
        ));
        Value::Object(members).to_string()
    }

    fn common(&self) -> Vec<(String, Value)> {
        let endpoint =
            |path: &str| Value::String(format!("{}{path}", self.issuer.trim_end_matches('/')));
        let methods = [AuthMethod::Basic, AuthMethod::Post];
        [
            ("issuer", Value::String(self.issuer.clone())),
            ("token_endpoint", endpoint(TOKEN_PATH)),
            ("jwks_uri", endpoint(JWKS_PATH)),
            ("response_types_supported", texts([])),
            ("grant_types_supported", texts(GrantType::SERVED.map(GrantType::as_str))),
            ("token_endpoint_auth_methods_supported", texts(methods.map(AuthMethod::as_str))),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(items.into_iter().map(|item| Value::String(item.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_request::json;

    fn metadata(issuer: &str) -> ServerMetadata {
        ServerMetadata { issuer: issuer.to_owned(), signing_algorithms: vec!["RS256"] }
    }

    #[test]
    fn only_what_works_is_named() {
        let text = metadata("https://gate.example").authorization_server();
        let document = json::parse(text.as_bytes()).unwrap();
        let member = |name: &str| document.get(name).map(ToString::to_string);
        for (name, expected) in [
            ("issuer", Some(r#""https://gate.example""#)),
            ("token_endpoint", Some(r#""https://gate.example/oauth2/token""#)),
            ("jwks_uri", Some(r#""https://gate.example/oauth2/jwks""#)),
            ("response_types_supported", Some("[]")),
            ("grant_types_supported", Some(r#"["client_credentials"]"#)),
            (
                "token_endpoint_auth_methods_supported",
                Some(r#"["client_secret_basic","client_secret_post"]"#),
            ),
            ("authorization_endpoint", None),
            ("registration_endpoint", None),
        ] {
            assert_eq!(member(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn discovery_adds_what_its_readers_insist_on() {
        let text = metadata("https://gate.example/").openid_configuration();
        let document = json::parse(text.as_bytes()).unwrap();
        let member = |name: &str| document.get(name).map(ToString::to_string);
        assert_eq!(member("subject_types_supported").as_deref(), Some(r#"["public"]"#));
        assert_eq!(
            member("id_token_signing_alg_values_supported").as_deref(),
            Some(r#"["RS256"]"#)
        );
        assert_eq!(
            member("token_endpoint").as_deref(),
            Some(r#""https://gate.example/oauth2/token""#),
            "no double slash"
        );
    }
}
