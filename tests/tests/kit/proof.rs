//! DPoP proofs (RFC 9449 §4.2) by the keys of the kit.

use postern_e2e::keys::{self, Key};
use serde_json::{Value, json};

/// A proof in the making: a good one until something is changed.
#[derive(Debug, Clone)]
pub struct Proof {
    claims: Value,
    key: Key,
}

impl Proof {
    /// For one request without a token, such as those for tokens, by the kit's EC key.
    pub fn of_request(method: &str, url: &str) -> Self {
        let claims = json!({
            "jti": keys::subject("proof"), "htm": method, "htu": url, "iat": keys::now(),
        });
        Self { claims, key: Key::Ec }
    }

    /// For one request with one token, by the same key.
    pub fn of(method: &str, url: &str, token: &str) -> Self {
        Self::of_request(method, url).claim("ath", json!(keys::sha256(token.as_bytes())))
    }

    /// With another value of a claim.
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    /// By the kit's RSA key.
    pub fn by_rsa(mut self) -> Self {
        self.key = Key::Rsa;
        self
    }

    /// The proof.
    pub fn sign(&self) -> String {
        let (alg, kid) = if self.key == Key::Rsa { ("RS256", "rsa-1") } else { ("ES256", "ec-1") };
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": keys::public_jwk(kid)});
        self.key.sign(&header.to_string(), &self.claims.to_string())
    }
}

/// What a token says that is bound to the kit's EC key (`cnf`).
pub fn bound_to_key() -> Value {
    json!({"jkt": keys::thumbprint("ec-1")})
}
