//! Random requests, with tokens and proofs that are signed for real, or not.

use std::cell::RefCell;
use std::collections::HashMap;

use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use postern_document::Document;
use postern_explain::{GivenSession, Request, Shown};
use postern_jose::{KeySet, base64url, dpop};
use postern_request::{Principal, UnixMillis};
use postern_store::durable::SecretHash;
use postern_store::flows::SessionRecord;
use proptest::prelude::*;
use serde_json::{Value, json};

pub const ISSUERS: [&str; 2] = ["https://i.test", "https://j.test"];
pub const JWKS: &str = include_str!("../../../core/jose/tests/keys/jwks.json");
const KEY: &[u8] = include_bytes!("../../../core/jose/tests/keys/ec-private.pem");
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub const AUTHORITY: &str = "a.test";
pub const PEER: [u8; 4] = [203, 0, 113, 7];

/// Headers that are compared.
pub const NAMES: [&str; 9] = [
    "authorization",
    "cookie",
    "x-token",
    "x-postern-subject",
    "x-postern-scopes",
    "x-postern-tier",
    "x-postern-fallback",
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

/// A session that the store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSpec {
    number: u8,
    /// How long ago a second factor was shown, in seconds.
    mfa_age: Option<u64>,
}

impl SessionSpec {
    pub const ALL: [Self; 3] = [
        Self { number: 1, mfa_age: None },
        Self { number: 2, mfa_age: Some(300) },
        Self { number: 3, mfa_age: Some(3600) },
    ];
    const SECRET: &'static str = "a-secret-of-forty-three-characters-for-test";

    fn id(self) -> String {
        format!("00000000-0000-4000-8000-00000000001{}", self.number)
    }

    fn cookie(self) -> String {
        format!("__Host-postern={}.{}", self.id(), Self::SECRET)
    }

    pub fn record(self) -> SessionRecord {
        SessionRecord {
            id: self.id(),
            user_id: "carol".to_owned(),
            created_at: NOW,
            last_used: NOW,
            authenticated_at: NOW,
            mfa_at: self.mfa_age.map(|age| UnixMillis(NOW.0 - age * 1000)),
            methods: vec!["pwd".to_owned()],
            device_id: None,
            fingerprint: None,
            client_id: None,
            scopes: vec!["read".to_owned()],
            parent: None,
            // It happens to be the hash that is needed: SHA-256 of a text.
            secret: Some(SecretHash(dpop::access_token_hash(Self::SECRET.as_bytes()))),
            person: b"{}".to_vec(),
            remember: false,
            idle_ms: 3_600_000,
            ends_at: UnixMillis(NOW.0 + 7_200_000),
        }
    }

    fn given(self) -> Shown {
        let principal = Principal {
            subject: "carol".to_owned(),
            scopes: vec!["read".to_owned()],
            ..Principal::default()
        };
        Shown::Session(Box::new(GivenSession { principal, mfa_age_secs: self.mfa_age }))
    }
}

/// What a request shows of a session.
#[derive(Debug, Clone, Copy)]
enum CookieSpec {
    Nothing,
    Good(SessionSpec),
    /// One that nobody knows; one that is none; a good one twice; an empty one.
    Bad(u8),
    /// Those of a log-in that is under way, and somebody else's.
    Pages,
}

impl CookieSpec {
    /// Lines of `cookie`.
    fn lines(self) -> Vec<String> {
        let [first, ..] = SessionSpec::ALL;
        let good = first.cookie();
        match self {
            Self::Nothing => Vec::new(),
            Self::Good(session) => vec![session.cookie()],
            Self::Bad(0) => vec![good.replace("4000", "4001")],
            Self::Bad(1) => vec![good.replace('.', "")],
            Self::Bad(2) => vec![good.clone(), good],
            Self::Bad(_) => vec!["__Host-postern=".to_owned()],
            Self::Pages => vec![
                "b=2; __Host-postern-login=x".to_owned(),
                "__Host-postern-device=y; postern-login=z".to_owned(),
            ],
        }
    }
}

/// What a browser says of itself.
#[derive(Debug, Clone, Copy)]
struct BrowserSpec {
    /// Nothing, a page by `accept`, one by Fetch Metadata, a script by it.
    page: u8,
    /// Nothing, the same origin, another site, each by Fetch Metadata and by `origin`.
    site: u8,
    upgrades: bool,
}

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
    cookie: CookieSpec,
    browser: BrowserSpec,
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
    /// Says nothing of a second factor, one a moment ago, one long ago, one at no time.
    factors: u8,
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
        0..4_u8,
    )
        .prop_map(|(issuer, has_audience, time, scopes, tenant, bound, form, factors)| {
            TokenSpec { issuer, has_audience, time, scopes, tenant, bound, form, factors }
        })
}

fn cookie() -> impl Strategy<Value = CookieSpec> {
    prop_oneof![
        4 => Just(CookieSpec::Nothing),
        8 => prop::sample::select(&SessionSpec::ALL[..]).prop_map(CookieSpec::Good),
        1 => (0..4_u8).prop_map(CookieSpec::Bad),
        1 => Just(CookieSpec::Pages),
    ]
}

fn browser() -> impl Strategy<Value = BrowserSpec> {
    let page = prop_oneof![3 => Just(0_u8), 3 => 1..=2_u8, 1 => Just(3)];
    let site = prop_oneof![4 => Just(0_u8), 3 => 1..=4_u8];
    (page, site, prop::bool::weighted(0.1)).prop_map(|(page, site, upgrades)| BrowserSpec {
        page,
        site,
        upgrades,
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
        prop::option::weighted(0.6, token()),
        place,
        // None, the known one, an unknown one, none at all, twice.
        prop_oneof![6 => Just(0_u8), 3 => Just(1), 1 => 2..=4_u8],
        prop::option::weighted(0.4, proof),
        prop::option::weighted(0.4, 1..=2_u8),
        (prop::bool::weighted(0.2), cookie(), browser()),
        prop::option::weighted(0.25, 0..CALLERS.len()),
    )
        .prop_map(
            |(target, is_post, token, place, api_key, proof, certificate, more, direct)| {
                let (is_forged, cookie, browser) = more;
                RequestSpec {
                    target,
                    is_post,
                    token,
                    place,
                    api_key,
                    proof,
                    certificate,
                    is_forged,
                    cookie,
                    browser,
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
        if self.factors > 0 {
            claims["acr"] = json!("urn:postern:acr:2");
            claims["amr"] = json!(["pwd", "mfa"]);
        }
        match self.factors {
            1 => claims["auth_time"] = json!(now - 60),
            2 => claims["auth_time"] = json!(now - 3600),
            _ => {}
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

    /// Path and query as they are sent, and the headers but for the cookie of a session.
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
            add("x-postern-fallback", "1");
            add("x-tenant", "root");
            add("x_postern_subject", "root");
        }
        for (name, value) in self.browser.headers() {
            add(name, value);
        }
        (target, headers)
    }

    /// What is sent.
    pub fn to_send(&self) -> (String, Vec<(String, Vec<u8>)>) {
        let (target, mut headers) = self.parts();
        let lines = self.cookie.lines().into_iter();
        headers.extend(lines.map(|line| ("cookie".to_owned(), line.into_bytes())));
        (target, headers)
    }

    /// What is explained: a good session is given beside the headers, where the document takes any.
    pub fn to_explain(&self, document: &Document) -> Request {
        let given = match self.cookie {
            CookieSpec::Good(session) if document.session.is_some() => Some(session.given()),
            _ => None,
        };
        let (target, headers) = if given.is_some() { self.parts() } else { self.to_send() };
        let peer = self.caller().flatten().map(str::to_owned);
        let (method, shown) = (self.method().to_owned(), given.unwrap_or_default());
        Request { method, headers, peer, shown, ..Request::get(AUTHORITY, &target) }
    }
}

impl BrowserSpec {
    fn headers(self) -> Vec<(&'static str, &'static str)> {
        let mut headers = match self.page {
            1 => vec![("accept", "text/html,*/*;q=0.8")],
            2 => vec![("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            3 => vec![("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            _ => Vec::new(),
        };
        headers.extend(match self.site {
            1 => Some(("sec-fetch-site", "same-origin")),
            2 => Some(("sec-fetch-site", "cross-site")),
            3 => Some(("origin", "https://a.test")),
            4 => Some(("origin", "https://evil.test")),
            _ => None,
        });
        headers.extend(self.upgrades.then_some(("upgrade", "websocket")));
        headers
    }
}
