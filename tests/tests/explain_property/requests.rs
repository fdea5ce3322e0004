//! Random requests, with tokens and proofs that are signed for real, or not.

use std::cell::RefCell;
use std::collections::HashMap;

use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use postern_explain::Request;
use postern_jose::{KeySet, base64url, dpop};
use postern_request::UnixMillis;
use proptest::prelude::*;
use serde_json::{Value, json};

pub const ISSUERS: [&str; 2] = ["https://i.test", "https://j.test"];
pub const JWKS: &str = include_str!("../../../core/jose/tests/keys/jwks.json");
const KEY: &[u8] = include_bytes!("../../../core/jose/tests/keys/ec-private.pem");
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub const AUTHORITY: &str = "a.test";
pub const PEER: [u8; 4] = [203, 0, 113, 7];

/// Headers that are compared.
pub const NAMES: [&str; 8] = [
    "authorization",
    "cookie",
    "x-token",
    "x-postern-subject",
    "x-postern-scopes",
    "x-postern-tier",
    "x-tenant",
    "x-odd",
];

/// The API key that documents name.
pub struct KnownKey;
pub const API_KEY: KnownKey = KnownKey;

impl KnownKey {
    const TEXT: &'static str = "pk_k1_secret";

    pub fn to_json(&self) -> Value {
        // It happens to be the hash that is needed: SHA-256 of a text.
        let hash = dpop::access_token_hash(Self::TEXT.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"id": "k1", "sha256": hex, "subject": "partner", "scopes": ["read"]})
    }
}

/// Who calls a workload past the edge: nobody known, one of the document, the edge, one that a
/// pattern takes in, one of another mesh.
const CALLERS: [Option<&str>; 5] = [
    None,
    Some("spiffe://cluster.local/ns/shop/sa/web"),
    Some("spiffe://cluster.local/ns/ingress/sa/front"),
    Some("spiffe://cluster.local/ns/shop/sa/other"),
    Some("spiffe://other.test/ns/shop/sa/web"),
];

static TARGETS: [&str; 22] = [
    "/a/7",
    "/a/7",
    "/a/x:y",
    "/a/x%3Ay",
    "/a/x:y;v=1",
    "/a/b/c",
    "/a/",
    "/b",
    "/b",
    "/b/",
    "/c/",
    "/c/d",
    "/c/d;v=1",
    "/c/%zz",
    "/nowhere",
    "/a//7",
    "/a/../b",
    "/%61/7",
    "/b?x=1&y",
    "/keep",
    "/held",
    "/held",
];

#[derive(Debug, Clone)]
pub struct RequestSpec {
    target: &'static str,
    is_post: bool,
    token: Option<TokenSpec>,
    place: Place,
    api_key: u8,
    proof: Option<ProofSpec>,
    certificate: Option<u8>,
    is_forged: bool,
    /// Goes to the workload past the edge, as one of [`CALLERS`].
    direct: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Bearer,
    Dpop,
    Basic,
    Cookie,
    Query,
    Header,
    /// In `authorization` and in the cookie.
    Both,
    /// In two `authorization` headers.
    Twice,
}

#[derive(Debug, Clone)]
struct TokenSpec {
    issuer: u8,
    has_audience: bool,
    /// Good, over, not yet.
    time: u8,
    scopes: u8,
    tenant: Option<bool>,
    /// None, key, certificate, both.
    bound: u8,
    /// Good, unknown key, broken signature, no JWS at all.
    form: u8,
}

#[derive(Debug, Clone)]
struct ProofSpec {
    /// Good, for another method, too old, without the token, no JWS, there twice.
    fault: u8,
}

fn token() -> impl Strategy<Value = TokenSpec> {
    let mostly = |odd: u8| prop_oneof![9 => Just(0_u8), 1 => 1..=odd];
    (
        prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2)],
        prop::bool::weighted(0.9),
        mostly(2),
        0..4_u8,
        prop::option::weighted(0.6, prop::bool::weighted(0.7)),
        prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2), 1 => Just(3)],
        mostly(3),
    )
        .prop_map(|(issuer, has_audience, time, scopes, tenant, bound, form)| TokenSpec {
            issuer,
            has_audience,
            time,
            scopes,
            tenant,
            bound,
            form,
        })
}

pub fn request() -> impl Strategy<Value = RequestSpec> {
    let place = prop_oneof![
        8 => Just(Place::Bearer),
        3 => Just(Place::Dpop),
        1 => Just(Place::Basic),
        1 => Just(Place::Cookie),
        1 => Just(Place::Query),
        1 => Just(Place::Header),
        1 => Just(Place::Both),
        1 => Just(Place::Twice),
    ];
    let proof = prop_oneof![6 => Just(0_u8), 1 => 1..=5_u8].prop_map(|fault| ProofSpec { fault });
    (
        prop::sample::select(&TARGETS[..]),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.8, token()),
        place,
        // None, the known one, an unknown one, none at all, twice.
        prop_oneof![6 => Just(0_u8), 3 => Just(1), 1 => 2..=4_u8],
        prop::option::weighted(0.4, proof),
        prop::option::weighted(0.4, 1..=2_u8),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.25, 0..CALLERS.len()),
    )
        .prop_map(
            |(target, is_post, token, place, api_key, proof, certificate, is_forged, direct)| {
                RequestSpec {
                    target,
                    is_post,
                    token,
                    place,
                    api_key,
                    proof,
                    certificate,
                    is_forged,
                    direct,
                }
            },
        )
}

impl TokenSpec {
    fn text(&self) -> String {
        let now = NOW.as_secs();
        let issuer = ISSUERS.get(usize::from(self.issuer)).copied().unwrap_or("https://k.test");
        let scopes = ["", "read", "read write", "other"];
        let mut claims = json!({
            "iss": issuer, "sub": "alice", "exp": now + 600,
            "scope": scopes.get(usize::from(self.scopes)).copied().unwrap_or_default(),
        });
        if self.has_audience {
            claims["aud"] = json!(["gate", "other"]);
        }
        match self.time {
            1 => claims["exp"] = json!(now - 600),
            2 => claims["nbf"] = json!(now + 600),
            _ => {}
        }
        if let Some(is_blue) = self.tenant {
            claims["tenant"] = json!(if is_blue { "blue" } else { "red" });
        }
        let key = base64url::encode(&thumbprint());
        let certificate = base64url::encode(&[1; 32]);
        match self.bound {
            1 => claims["cnf"] = json!({"jkt": key}),
            2 => claims["cnf"] = json!({"x5t#S256": certificate}),
            3 => claims["cnf"] = json!({"jkt": key, "x5t#S256": certificate}),
            _ => {}
        }
        let kid = if self.form == 1 { "unknown" } else { "ec" };
        let token = signed(&json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}), &claims);
        match self.form {
            2 => with_other_signature(&token),
            3 => "nonsense".to_owned(),
            _ => token,
        }
    }
}

fn with_other_signature(token: &str) -> String {
    let (input, _) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", base64url::encode(&[7; 64]))
}

fn thumbprint() -> [u8; 32] {
    KeySet::parse(JWKS.as_bytes()).unwrap().keys[1].thumbprint()
}

fn signed(header: &Value, claims: &Value) -> String {
    let encoded = |part: &Value| base64url::encode(part.to_string().as_bytes());
    let input = format!("{}.{}", encoded(header), encoded(claims));
    // ECDSA signs otherwise each time, and both sides must be sent the same.
    SIGNED.with_borrow_mut(|signed| {
        let text = signed.entry(input).or_insert_with_key(|input| {
            let key = EncodingKey::from_ec_pem(KEY).unwrap();
            let signature = sign(input.as_bytes(), &key, Algorithm::ES256).unwrap();
            format!("{input}.{signature}")
        });
        text.clone()
    })
}

thread_local! {
    static SIGNED: RefCell<HashMap<String, String>> = RefCell::default();
}

impl ProofSpec {
    fn text(&self, token: &str, method: &str, path: &str) -> String {
        let keys: Value = serde_json::from_str(JWKS).unwrap();
        let key = &keys["keys"][1];
        let header = json!({
            "typ": "dpop+jwt", "alg": "ES256",
            "jwk": {"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"]},
        });
        let mut claims = json!({
            "jti": "j1", "htm": method, "htu": format!("https://{AUTHORITY}{path}"),
            "iat": NOW.as_secs(),
            "ath": base64url::encode(&dpop::access_token_hash(token.as_bytes())),
        });
        match self.fault {
            1 => claims["htm"] = json!("PUT"),
            2 => claims["iat"] = json!(NOW.as_secs() - 600),
            3 => claims["ath"] = json!(base64url::encode(&[7; 32])),
            4 => return "nonsense".to_owned(),
            _ => {}
        }
        signed(&header, &claims)
    }
}

impl RequestSpec {
    pub const fn has_proof(&self) -> bool {
        self.proof.is_some()
    }

    /// Who calls a workload past the edge; an inner none shows no certificate. None for a request
    /// that comes by the edge.
    pub fn caller(&self) -> Option<Option<&'static str>> {
        self.direct.map(|caller| CALLERS[caller])
    }

    pub const fn method(&self) -> &'static str {
        if self.is_post { "POST" } else { "GET" }
    }

    /// Path and query as they are sent, and the headers.
    fn parts(&self) -> (String, Vec<(String, Vec<u8>)>) {
        let mut target = self.target.to_owned();
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        let mut add = |name: &str, value: &str| {
            headers.push((name.to_owned(), value.as_bytes().to_vec()));
        };
        add("x-odd", "1");
        let token = self.token.as_ref().map(TokenSpec::text);
        if let Some(token) = &token {
            let cookie = format!("a=1; at={token}");
            let bearer = format!("Bearer {token}");
            match self.place {
                Place::Bearer => add("authorization", &bearer),
                Place::Dpop => add("authorization", &format!("DPoP {token}")),
                Place::Basic => add("authorization", "Basic YTpi"),
                Place::Cookie => add("cookie", &cookie),
                Place::Header => add("x-token", token),
                Place::Both => {
                    add("authorization", &bearer);
                    add("cookie", &cookie);
                }
                Place::Twice => {
                    add("authorization", &bearer);
                    add("authorization", &bearer);
                }
                Place::Query => {
                    let mark = if target.contains('?') { '&' } else { '?' };
                    target = format!("{target}{mark}at={token}");
                }
            }
        }
        match self.api_key {
            1 => add("x-api-key", KnownKey::TEXT),
            2 => add("x-api-key", "pk_k1_wrong"),
            3 => add("x-api-key", "pk_other_secret"),
            4 => {
                add("x-api-key", KnownKey::TEXT);
                add("x-api-key", KnownKey::TEXT);
            }
            _ => {}
        }
        if let Some(proof) = &self.proof {
            let path = self.target.split('?').next().unwrap_or_default();
            let text = proof.text(token.as_deref().unwrap_or_default(), self.method(), path);
            add("dpop", &text);
            if proof.fault == 5 {
                add("dpop", &text);
            }
        }
        if let Some(byte) = self.certificate {
            let hash = format!("{byte:02x}").repeat(32);
            add("x-forwarded-client-cert", &format!("By=spiffe://a/b;Hash={hash}"));
        }
        if self.is_forged {
            add("x-postern-subject", "root");
            add("x-postern-tier", "gold");
            add("x-tenant", "root");
            add("x_postern_subject", "root");
        }
        (target, headers)
    }

    /// What is explained.
    pub fn to_explain(&self) -> Request {
        let (target, headers) = self.parts();
        let peer = self.caller().flatten().map(str::to_owned);
        let method = self.method().to_owned();
        Request { method, headers, peer, ..Request::get(AUTHORITY, &target) }
    }
}
