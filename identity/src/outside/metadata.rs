//! What a provider says of itself (OpenID Connect Discovery 1.0 §3, §4).

use postern_request::json::{self, Value};

use super::OutsideError;
use super::endpoint::is_usable;

/// Where a provider's metadata is, behind its issuer.
const PATH: &str = "/.well-known/openid-configuration";

/// A provider's metadata, as far as it is used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The issuer as it is written in the document.
    pub(super) issuer: String,
    /// Where browsers are sent.
    pub(super) authorization: String,
    /// Where codes are exchanged.
    pub(super) token: String,
    /// Its keys.
    pub(super) jwks: String,
    /// Where more is said of a user.
    pub(super) userinfo: Option<String>,
    /// How the suite proves who it is there.
    pub(super) method: ClientMethod,
    /// Whether each answer names its issuer (RFC 9207 §3).
    pub(super) names_issuer: bool,
}

/// How a client proves who it is (OpenID Connect Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientMethod {
    /// `client_secret_basic`, which is what there is where nothing is said.
    Basic,
    /// `client_secret_post`
    Post,
}

/// Where the metadata of an issuer is.
pub(super) fn address(issuer: &str) -> String {
    [issuer.strip_suffix('/').unwrap_or(issuer), PATH].concat()
}

impl Metadata {
    /// Reads metadata.
    ///
    /// # Errors
    /// [`OutsideError::Answer`], where it is of another issuer, above all: whoever could bring
    /// metadata of another one could have codes sent to themselves.
    pub(super) fn read(text: &[u8], issuer: &str) -> Result<Self, OutsideError> {
        let value = json::parse(text).map_err(|_| OutsideError::Answer("metadata is no JSON"))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err(OutsideError::Answer("metadata is of another issuer"));
        }
        let endpoint = |name: &str| {
            let url = text(name).filter(|url| is_usable(url, issuer));
            url.map(str::to_owned).ok_or(OutsideError::Answer("metadata lacks a usable endpoint"))
        };
        let userinfo = match text("userinfo_endpoint") {
            Some(_) => Some(endpoint("userinfo_endpoint")?),
            None => None,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization: endpoint("authorization_endpoint")?,
            token: endpoint("token_endpoint")?,
            jwks: endpoint("jwks_uri")?,
            userinfo,
            method: method(value.get("token_endpoint_auth_methods_supported"))?,
            names_issuer: value.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
        })
    }
}

fn method(supported: Option<&Value>) -> Result<ClientMethod, OutsideError> {
    let Some(methods) = supported.and_then(Value::as_array) else {
        return Ok(ClientMethod::Basic);
    };
    let has = |name: &str| methods.iter().any(|method| method.as_str() == Some(name));
    match (has("client_secret_basic"), has("client_secret_post")) {
        (true, _) => Ok(ClientMethod::Basic),
        (false, true) => Ok(ClientMethod::Post),
        (false, false) => Err(OutsideError::Answer("the provider takes no client secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://op.test/realms/a";

    fn metadata(change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
        let mut value = serde_json::json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://op.test/auth",
            "token_endpoint": "https://op.test/token",
            "jwks_uri": "https://op.test/jwks",
        });
        change(&mut value);
        value.to_string().into_bytes()
    }

    #[test]
    fn metadata_lies_behind_the_issuer() {
        for issuer in [ISSUER, "https://op.test/realms/a/"] {
            assert_eq!(address(issuer), [ISSUER, PATH].concat());
        }
    }

    #[test]
    fn only_the_issuers_own_metadata_is_taken() {
        assert!(Metadata::read(&metadata(|_| {}), ISSUER).is_ok());
        for (member, value) in [
            ("issuer", serde_json::json!("https://op.test/realms/a/")),
            ("issuer", serde_json::json!("https://evil.test")),
            ("issuer", serde_json::json!(["https://op.test/realms/a"])),
            ("authorization_endpoint", serde_json::json!("javascript:alert(1)")),
            ("authorization_endpoint", serde_json::json!(null)),
            ("token_endpoint", serde_json::json!("http://op.test/token")),
            ("token_endpoint", serde_json::json!("https://u@op.test/token")),
            ("jwks_uri", serde_json::json!("file:///etc/passwd")),
            ("userinfo_endpoint", serde_json::json!("http://op.test/me")),
            ("token_endpoint_auth_methods_supported", serde_json::json!(["private_key_jwt"])),
        ] {
            let text = metadata(|whole| whole[member] = value.clone());
            let read = Metadata::read(&text, ISSUER);
            assert!(matches!(read, Err(OutsideError::Answer(_))), "{member} {value}: {read:?}");
        }
        for text in [&b"<html>"[..], b"", b"[]", b"{\"issuer\":1,\"issuer\":2}"] {
            assert!(Metadata::read(text, ISSUER).is_err());
        }
    }

    #[test]
    fn the_client_proves_itself_as_the_provider_wants_it() {
        let all = serde_json::json!(["client_secret_post", "client_secret_basic"]);
        for (methods, expected) in [
            (serde_json::json!(null), ClientMethod::Basic),
            (all, ClientMethod::Basic),
            (serde_json::json!(["client_secret_post"]), ClientMethod::Post),
        ] {
            let text = metadata(|whole| {
                whole["token_endpoint_auth_methods_supported"] = methods.clone();
            });
            assert_eq!(Metadata::read(&text, ISSUER).unwrap().method, expected, "{methods}");
        }
    }

    #[test]
    fn a_provider_says_whether_it_names_itself() {
        for (said, expected) in [
            (serde_json::json!(true), true),
            (serde_json::json!("true"), false),
            (serde_json::json!(null), false),
        ] {
            let text = metadata(|whole| {
                whole["authorization_response_iss_parameter_supported"] = said.clone();
            });
            assert_eq!(Metadata::read(&text, ISSUER).unwrap().names_issuer, expected, "{said}");
        }
    }
}
