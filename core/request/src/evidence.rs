//! What `ext_authz` hands to the filters behind it.
//!
//! It travels as dynamic metadata of the request (namespace `envoy.filters.http.ext_authz`,
//! key `postern`), which no client can write. A filter that needs it and finds none, or one
//! for another route or another document than its own, denies. So that there are two documents
//! while one takes the other's place, Envoys say with each call by which of them they want to be
//! judged ([`DOCUMENT_METADATA`]).

use crate::denial::RateLimitStatus;
use crate::json::{self, Value};
use crate::path;
use crate::principal::{Credential, Principal};

/// The namespace that Envoy's `ext_authz` filter writes to.
pub const METADATA_NAMESPACE: &str = "envoy.filters.http.ext_authz";
/// Our key within it.
pub const METADATA_KEY: &str = "postern";
/// The key beside it of the ticket by which the server gives back, once the request has ended,
/// what limits took of it for as long as it runs or in case it counts. It is there only where
/// something may have to be given back, and is for the server alone: no filter reads it.
pub const SETTLE_KEY: &str = "settle";
/// The metadata of a call, or the context extension of a check, by which an Envoy tells the server
/// which document it runs, by its digest.
/// Written by what is rendered, the same for every request of that Envoy; no client can write it.
pub const DOCUMENT_METADATA: &str = "x-postern-document";

/// What the client has shown, by the names of its members.
const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";
/// Whether the caller has authenticated as well as the route asks; there only where that is so.
const MFA: &str = "mfa";

/// A verdict of `ext_authz`, for the route and document that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Name of the route that the verdict is for.
    pub route: String,
    /// Digest of the document that it was made by.
    pub document: String,
    /// The caller; none where the route let the request through without one.
    pub principal: Option<Principal>,
    /// The tightest of the limits that were counted.
    pub limit: Option<RateLimitStatus>,
    /// SHA-256 of the certificate that the client has proven to hold (RFC 8705 §3.1).
    pub shown_certificate: Option<[u8; 32]>,
    /// The thumbprint of the key of its DPoP proof (RFC 9449 §6.1), which was not seen before.
    pub shown_key: Option<[u8; 32]>,
    /// The caller has authenticated by several factors, as recently as the route asks (RFC 9470).
    pub stepped_up: bool,
}

impl Evidence {
    /// The text that goes into the metadata.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut members = vec![
            ("route".to_owned(), Value::String(self.route.clone())),
            ("document".to_owned(), Value::String(self.document.clone())),
        ];
        if let Some(principal) = &self.principal {
            members.push(("principal".to_owned(), encode_principal(principal)));
        }
        if let Some(limit) = &self.limit {
            let numbers = [limit.limit, limit.remaining, limit.reset_secs, limit.window_secs];
            let items = numbers
                .iter()
                .map(|n| Value::Integer(i64::try_from(*n).unwrap_or(i64::MAX)))
                .collect();
            members.push(("limit".to_owned(), Value::Array(items)));
        }
        for (name, hash) in [(CERTIFICATE, &self.shown_certificate), (KEY, &self.shown_key)] {
            if let Some(hash) = hash {
                members.push((name.to_owned(), Value::String(encode_hash(hash))));
            }
        }
        if self.stepped_up {
            members.push((MFA.to_owned(), Value::Bool(true)));
        }
        Value::Object(members).to_string()
    }

    /// Reads what [`Evidence::encode`] wrote; none when it is anything else.
    #[must_use]
    pub fn decode(text: &[u8]) -> Option<Self> {
        let value = json::parse(text).ok()?;
        let hash = |name: &str| match value.get(name) {
            Some(text) => decode_hash(text.as_str()?).map(Some),
            None => Some(None),
        };
        Some(Self {
            route: value.get("route")?.as_str()?.to_owned(),
            document: value.get("document")?.as_str()?.to_owned(),
            principal: match value.get("principal") {
                Some(principal) => Some(decode_principal(principal)?),
                None => None,
            },
            limit: match value.get("limit") {
                Some(limit) => Some(decode_limit(limit)?),
                None => None,
            },
            shown_certificate: hash(CERTIFICATE)?,
            shown_key: hash(KEY)?,
            stepped_up: matches!(value.get(MFA), Some(Value::Bool(true))),
        })
    }
}

fn encode_principal(principal: &Principal) -> Value {
    let mut members = vec![
        ("subject".to_owned(), Value::String(principal.subject.clone())),
        ("issuer".to_owned(), Value::String(principal.issuer.clone())),
        ("scope".to_owned(), Value::String(principal.scopes.join(" "))),
        ("credential".to_owned(), Value::String(principal.credential.as_str().to_owned())),
    ];
    for (name, value) in optional_members(principal) {
        if let Some(value) = value {
            members.push((name.to_owned(), Value::String(value.clone())));
        }
    }
    if !principal.claim_headers.is_empty() {
        let headers = principal
            .claim_headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.clone())))
            .collect();
        members.push(("headers".to_owned(), Value::Object(headers)));
    }
    Value::Object(members)
}

fn optional_members(principal: &Principal) -> [(&'static str, &Option<String>); 6] {
    [
        ("client_id", &principal.client_id),
        ("tier", &principal.tier),
        ("session", &principal.session),
        ("device", &principal.device),
        ("country", &principal.country),
        ("role", &principal.role),
    ]
}

fn decode_principal(value: &Value) -> Option<Principal> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let claim_headers = match value.get("headers") {
        None => Vec::new(),
        Some(headers) => headers
            .as_object()?
            .iter()
            .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
    };
    Some(Principal {
        subject: text("subject")?,
        issuer: text("issuer")?,
        client_id: text("client_id"),
        scopes: text("scope")?.split_ascii_whitespace().map(str::to_owned).collect(),
        tier: text("tier"),
        session: text("session"),
        device: text("device"),
        country: text("country"),
        role: text("role"),
        credential: match text("credential")?.as_str() {
            "jwt" => Credential::Jwt,
            "api_key" => Credential::ApiKey,
            "session" => Credential::Session,
            _ => return None,
        },
        claim_headers,
    })
}

fn decode_limit(value: &Value) -> Option<RateLimitStatus> {
    let mut numbers = value.as_array()?.iter().map(|number| match number {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    });
    Some(RateLimitStatus {
        limit: numbers.next()??,
        remaining: numbers.next()??,
        reset_secs: numbers.next()??,
        window_secs: numbers.next()??,
    })
}

/// Lower-case hexadecimal.
fn encode_hash(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 digits as [`encode_hash`] writes them.
fn decode_hash(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = path::hex(*high)? << 4 | path::hex(*low)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence {
            route: "payments-write".to_owned(),
            document: "0011".to_owned(),
            principal: Some(Principal {
                subject: "ali\"ce".to_owned(),
                client_id: Some("web".to_owned()),
                scopes: vec!["a".to_owned(), "b".to_owned()],
                credential: Credential::ApiKey,
                claim_headers: vec![("x-tenant".to_owned(), "t".to_owned())],
                ..Principal::default()
            }),
            limit: Some(RateLimitStatus {
                limit: 10,
                remaining: 3,
                reset_secs: 60,
                window_secs: 60,
            }),
            shown_certificate: Some([0x0f; 32]),
            shown_key: Some([0xa0; 32]),
            stepped_up: true,
        }
    }

    #[test]
    fn evidence_survives_the_way_through_envoy() {
        let whole = evidence();
        assert_eq!(Evidence::decode(whole.encode().as_bytes()), Some(whole));
        let by_key = Evidence { shown_certificate: None, ..evidence() };
        assert_eq!(Evidence::decode(by_key.encode().as_bytes()), Some(by_key));
        let bare = Evidence { principal: None, limit: None, shown_key: None, ..evidence() };
        let bare = Evidence { shown_certificate: None, stepped_up: false, ..bare };
        assert!(!bare.encode().contains("mfa"), "{}", bare.encode());
        assert!(!bare.encode().contains("key"), "{}", bare.encode());
        assert_eq!(Evidence::decode(bare.encode().as_bytes()), Some(bare));
    }

    #[test]
    fn every_kind_of_credential_comes_through() {
        for credential in [Credential::Jwt, Credential::ApiKey, Credential::Session] {
            let principal = evidence().principal.map(|known| Principal { credential, ..known });
            let shown = Evidence { principal, ..evidence() };
            assert_eq!(Evidence::decode(shown.encode().as_bytes()), Some(shown));
        }
    }

    #[test]
    fn anything_else_is_no_evidence() {
        for text in ["", "{}", "null", r#"{"route":"a"}"#, r#"{"route":1,"document":"d"}"#] {
            assert_eq!(Evidence::decode(text.as_bytes()), None, "{text}");
        }
        let odd = evidence().encode().replace("api_key", "other");
        assert_eq!(Evidence::decode(odd.as_bytes()), None);
        let key = "a0".repeat(32);
        for hash in ["", "a0", &"A0".repeat(32), &"g0".repeat(32), &"a0".repeat(33), "é"] {
            let odd = evidence().encode().replace(&key, hash);
            assert_eq!(Evidence::decode(odd.as_bytes()), None, "{hash}");
        }
        let odd = evidence().encode().replace(&format!("\"{key}\""), "null");
        assert_eq!(Evidence::decode(odd.as_bytes()), None, "null");
    }

    #[test]
    fn nobody_has_stepped_up_but_by_the_one_word_for_it() {
        for (word, expected) in
            [("true", true), ("false", false), ("1", false), ("\"true\"", false)]
        {
            let text = evidence().encode().replace("\"mfa\":true", &format!("\"mfa\":{word}"));
            let read = Evidence::decode(text.as_bytes()).map(|evidence| evidence.stepped_up);
            assert_eq!(read, Some(expected), "{word}");
        }
    }
}
