//! The keys of a client, by which it proves who it is (RFC 7523, RFC 8705 §2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_jose::KeySet;
use postern_request::json::Value;
use sha2::{Digest as _, Sha256};

use super::fields::Fields;
use super::invalid;
use crate::{AuthMethod, OAuthError};

/// What no public key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Endings of names that lead somewhere within a network.
const INTERNAL: [&str; 6] = ["local", "localhost", "internal", "intranet", "lan", "home"];

/// Where the keys of a client are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Keys {
    pub(super) jwks: Option<Value>,
    pub(super) jwks_uri: Option<String>,
    pub(super) certificate: Option<[u8; 32]>,
}

impl Keys {
    /// Reads `jwks` or `jwks_uri`, which must not both be there (RFC 7591 §2), and which a client
    /// has to have that proves who it is by a key.
    pub(super) fn read(fields: &mut Fields, method: AuthMethod) -> Result<Self, OAuthError> {
        let jwks = fields.take("jwks");
        let jwks_uri = fields.web("jwks_uri")?;
        if jwks.is_some() && jwks_uri.is_some() {
            return Err(invalid("Of jwks and jwks_uri there can be one alone"));
        }
        if let Some(jwks) = &jwks {
            check_set(jwks)?;
        }
        if jwks_uri.as_deref().is_some_and(|uri| !is_public(uri)) {
            return Err(invalid("The host of jwks_uri is no name that everybody can look up"));
        }
        let certificate = match method {
            AuthMethod::PrivateKeyJwt if jwks.is_none() && jwks_uri.is_none() => {
                return Err(invalid("private_key_jwt needs jwks or jwks_uri"));
            }
            AuthMethod::SelfSignedTls => Some(certificate_of(jwks.as_ref())?),
            _ => None,
        };
        Ok(Self { jwks, jwks_uri, certificate })
    }
}

/// Public keys, of which one at least can be used. A private one that somebody has sent is known
/// to others by now, and is not taken for a proof of anything.
fn check_set(jwks: &Value) -> Result<(), OAuthError> {
    const BAD: OAuthError = invalid("jwks is no set of public keys that can be used here");
    let keys = jwks.get("keys").and_then(Value::as_array).ok_or(BAD)?;
    let is_private = |key: &Value| PRIVATE.iter().any(|name| key.get(name).is_some());
    if keys.iter().any(is_private) {
        return Err(invalid("jwks holds a private or a symmetric key: nobody may have that"));
    }
    let set = KeySet::parse(jwks.to_string().as_bytes()).map_err(|_| BAD)?;
    if set.keys.is_empty() { Err(BAD) } else { Ok(()) }
}

/// The hash of the one certificate that a set holds (RFC 8705 §2.2.2).
fn certificate_of(jwks: Option<&Value>) -> Result<[u8; 32], OAuthError> {
    const BAD: OAuthError =
        invalid("self_signed_tls_client_auth needs jwks with one key and its certificate (x5c)");
    let keys = jwks.and_then(|jwks| jwks.get("keys")).and_then(Value::as_array).ok_or(BAD)?;
    let [key] = keys else { return Err(BAD) };
    let chain = key.get("x5c").and_then(Value::as_array).ok_or(BAD)?;
    let [certificate] = chain else { return Err(BAD) };
    let der = certificate.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or(BAD)?;
    if der.is_empty() { Err(BAD) } else { Ok(Sha256::digest(&der).into()) }
}

/// Whether a host is a name of several labels that does not end as those within networks do: this
/// server fetches keys there, and a stranger chooses where. What such a name leads to is looked at
/// when it is fetched; this keeps out what is known to be none before.
fn is_public(url: &str) -> bool {
    let authority = url.strip_prefix("https://").unwrap_or_default();
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    if authority.starts_with('[') {
        return false;
    }
    let host = authority.split(':').next().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let Some((_, top)) = host.rsplit_once('.') else { return false };
    // A top-level domain begins with a letter, which the last part of an address does not.
    top.starts_with(|c: char| c.is_ascii_alphabetic()) && !INTERNAL.contains(&top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_from_public_names_alone() {
        for (url, expected) in [
            ("https://client.example/jwks", true),
            ("https://client.example:8443/jwks?a=b", true),
            ("https://CLIENT.Example./jwks", true),
            ("https://client/jwks", false),
            ("https://localhost/jwks", false),
            ("https://127.0.0.1/jwks", false),
            ("https://127.1/jwks", false),
            ("https://169.254.169.254/latest", false),
            ("https://[::1]/jwks", false),
            ("https://[2001:db8::1]/jwks", false),
            ("https://vault.default.svc.cluster.local/jwks", false),
            ("https://metadata.google.internal/jwks", false),
            ("https://a.LOCALHOST/jwks", false),
            ("https://a.local./jwks", false),
            ("https://a.0x7f/jwks", false),
        ] {
            assert_eq!(is_public(url), expected, "{url}");
        }
    }
}
