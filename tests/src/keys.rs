//! The issuer of the test documents: its keys, and tokens of every kind, broken ones included.
//!
//! The private keys in `fixtures/` exist for these tests alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value, json};

/// `iss` of the tokens.
pub const ISSUER: &str = "https://issuer.example.test";
/// `aud` of the tokens.
pub const AUDIENCE: &str = "gateway";
/// The public keys, as the test documents hold them.
pub const JWKS: &str = include_str!("../fixtures/jwks.json");
/// Public keys of the same issuer, by some of which no Envoy checks signatures itself: `rsa-1`,
/// `ps-1` and `ed-1`.
pub const JWKS_SOFT: &str = include_str!("../fixtures/jwks-soft.json");
/// An API key of the test documents.
pub const API_KEY: &str = "pk_test1_ZGGRijn_flcsKId7WWaRYIae3ru630BMvQsFITKJz_M";
/// SHA-256 of [`API_KEY`].
pub const API_KEY_SHA256: &str = "b1f5a7eb625b3dae5c8a8f11eb0862de12f87eaa1f7657b644d3e12874eb2a8e";

/// The public keys with these ids alone, as an issuer publishes them.
///
/// # Panics
/// When one is not there.
#[must_use]
pub fn jwks_of(kids: &[&str]) -> String {
    let all: Value = serde_json::from_str(JWKS).expect("JSON");
    let all = all["keys"].as_array().expect("keys");
    let one = |kid: &&str| all.iter().find(|key| key["kid"] == *kid).expect("a key with this id");
    json!({"keys": kids.iter().map(one).collect::<Vec<_>>()}).to_string()
}

/// A public key of [`JWKS`] as a proof brings it along: its numbers alone.
///
/// # Panics
/// When there is none with this id.
#[must_use]
pub fn public_jwk(kid: &str) -> Value {
    let set: Value = serde_json::from_str(&jwks_of(&[kid])).expect("JSON");
    let mut jwk = set["keys"][0].as_object().expect("a key").clone();
    jwk.retain(|name, _| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str()));
    Value::Object(jwk)
}

/// The thumbprint of such a key (RFC 7638), as `jkt` has it.
///
/// # Panics
/// When there is none with this id.
#[must_use]
pub fn thumbprint(kid: &str) -> String {
    let jwk: Jwk = serde_json::from_value(public_jwk(kid)).expect("a JWK");
    jwk.thumbprint(ThumbprintHash::SHA256).expect("a thumbprint")
}

/// SHA-256 in base64url, as `ath` has it.
///
/// # Panics
/// When it cannot be computed.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digest = crypto::aws_lc::DEFAULT_PROVIDER.key_utils.compute_digest;
    URL_SAFE_NO_PAD.encode(digest(bytes, ThumbprintHash::SHA256).expect("a digest"))
}

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The issuer, RS256, kid `rsa-1`.
    Rsa,
    /// The issuer, ES256, kid `ec-1`.
    Ec,
    /// The issuer, PS256, kid `ps-1`, which is in [`JWKS_SOFT`] alone.
    Pss,
    /// The issuer, EdDSA with Ed25519, kid `ed-1`, likewise.
    Ed,
    /// Somebody else, RS256.
    Stranger,
    /// HS256 with the text of the issuer's public key as the secret: what a verifier accepts
    /// that lets the token choose the algorithm.
    PublicKeyAsSecret,
}

impl Key {
    /// Signs texts as they are: whatever they hold.
    #[must_use]
    pub fn sign(self, header: &str, claims: &str) -> String {
        let input = signing_input(header, claims);
        let (key, algorithm) = self.encoding_key();
        let signature = crypto::sign(input.as_bytes(), &key, algorithm).expect("a signature");
        format!("{input}.{signature}")
    }

    fn encoding_key(self) -> (EncodingKey, Algorithm) {
        let rsa = |pem: &[u8]| EncodingKey::from_rsa_pem(pem).expect("an RSA key");
        match self {
            Self::Rsa => (rsa(include_bytes!("../fixtures/issuer-rsa.pem")), Algorithm::RS256),
            Self::Pss => (rsa(include_bytes!("../fixtures/issuer-rsa.pem")), Algorithm::PS256),
            Self::Stranger => {
                (rsa(include_bytes!("../fixtures/stranger-rsa.pem")), Algorithm::RS256)
            }
            Self::Ec => {
                let pem = include_bytes!("../fixtures/issuer-ec.pem");
                (EncodingKey::from_ec_pem(pem).expect("an EC key"), Algorithm::ES256)
            }
            Self::Ed => {
                let pem = include_bytes!("../fixtures/issuer-ed.pem");
                (EncodingKey::from_ed_pem(pem).expect("an Ed25519 key"), Algorithm::EdDSA)
            }
            Self::PublicKeyAsSecret => {
                let secret = include_bytes!("../fixtures/issuer-rsa.pub.pem");
                (EncodingKey::from_secret(secret), Algorithm::HS256)
            }
        }
    }
}

/// A token with an empty signature: `alg: none` as its RFC has it.
#[must_use]
pub fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.", signing_input(header, claims))
}

/// The token with another character in the middle of its signature. Not at its end: some of
/// the last character's bits are padding.
#[must_use]
pub fn tampered(token: &str) -> String {
    let start = token.rfind('.').expect("a signature") + 1;
    let at = start + (token.len() - start) / 2;
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// The token with `from` replaced by `to` in its claims, and its signature kept.
///
/// # Panics
/// When the claims do not hold `from`.
#[must_use]
pub fn with_other_claims(token: &str, from: &str, to: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url");
    let claims = String::from_utf8(claims).expect("JSON");
    assert!(claims.contains(from), "{claims}");
    let claims = URL_SAFE_NO_PAD.encode(claims.replace(from, to));
    format!("{}.{claims}.{}", parts[0], parts[2])
}

/// A name that no other part of this process uses: limits count by subject, and tests must not
/// count for each other.
#[must_use]
pub fn subject(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// A token in the making: a good one of the test issuer until something is changed.
#[derive(Debug, Clone)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: Key,
}

impl Token {
    /// A good token without scopes, RS256, good for ten minutes.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        let now = now();
        let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"});
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 600,
            "jti": self::subject("jti"), "client_id": "test-client",
        });
        Self { header: object(header), claims: object(claims), key: Key::Rsa }
    }

    /// With these scopes, separated by spaces.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", json!(scope))
    }

    /// With another claim, or another value of one.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    /// Without a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// With another header parameter, or another value of one.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.insert(name.to_owned(), value);
        self
    }

    /// Without a header parameter.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Signed by this key, with the `alg` and `kid` that belong to it.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        let (alg, kid) = match key {
            Key::Rsa | Key::Stranger => ("RS256", "rsa-1"),
            Key::Ec => ("ES256", "ec-1"),
            Key::Pss => ("PS256", "ps-1"),
            Key::Ed => ("EdDSA", "ed-1"),
            Key::PublicKeyAsSecret => ("HS256", "rsa-1"),
        };
        self.key = key;
        self.header("alg", json!(alg)).header("kid", json!(kid))
    }

    /// The claims as JSON text, to be changed by hand.
    #[must_use]
    pub fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The header as JSON text, to be changed by hand.
    #[must_use]
    pub fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The token.
    #[must_use]
    pub fn sign(&self) -> String {
        self.key.sign(&self.header_text(), &self.claims_text())
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

fn signing_input(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
