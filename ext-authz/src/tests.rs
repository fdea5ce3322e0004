//! What the tests of this crate share: a document, tokens and proofs, requests, a store.
//!
//! Tokens and proofs are signed by `jsonwebtoken` and checked in plain Rust, so that nothing here
//! is verified by the code that made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use jsonwebtoken::{Algorithm, EncodingKey};
use postern_document::Document;
use postern_jose::soft::SoftVerifier;
use postern_jose::{KeySet, SignatureVerifier as _, base64url, dpop};
use postern_request::evidence::Evidence;
use postern_request::{Denial, UnixMillis, path};
use postern_store::away::Away;
use postern_store::limiter::Limiter;
use postern_store::volatile::contract::open_circuit;
use postern_store::volatile::{GiveBack, VolatileStore};
use postern_store::{FlowStore, MemoryFlowStore, MemoryStore};
use postern_telemetry::MetricsRegistry;
use serde_json::{Value, json};

use crate::authorizer::{Answer, Authorizer, Identified, Incoming, Parts};
use crate::{
    ApiKeys, CheckSignature, IssuerKeys, Judged, Metrics, Named, Revoked, Sessions, Tickets,
    Touched,
};

mod api_keys;
mod bound;
mod certificates;
mod documents;
mod ends;
mod limits;
mod peers;
mod sessions;
mod step_up;
mod tokens;

struct NothingRevoked;

impl Revoked for NothingRevoked {
    fn check(
        &self,
        _: &Document,
        _: &postern_jose::VerifiedToken,
        _: UnixMillis,
    ) -> Result<(), postern_request::Denial> {
        Ok(())
    }

    fn check_named(&self, _: &Document, _: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
        Ok(())
    }
}

const ISSUER: &str = "https://i.test";
const JWKS: &str = include_str!("../../core/jose/tests/keys/jwks.json");
const ISSUER_KEY: &[u8] = include_bytes!("../../core/jose/tests/keys/rsa-private.pem");
const CLIENT_KEY: &[u8] = include_bytes!("../../core/jose/tests/keys/ec-private.pem");
const NOW: UnixMillis = UnixMillis(1_800_000_000_500);

/// A request to `https://a.test`.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Incoming {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Incoming {
        method: method.to_owned(),
        scheme: "https".to_owned(),
        authority: "a.test".to_owned(),
        target: target.to_owned(),
        headers,
        address: None,
        certificate: None,
        peer: None,
        document: None,
        keeps_circuits: false,
    }
}

struct Gateway {
    authorizer: Authorizer,
    keys: Arc<IssuerKeys>,
    limiter: Arc<Limiter>,
    tickets: Tickets,
    registry: MetricsRegistry,
    /// Signatures of proofs that were checked.
    proofs: Arc<AtomicUsize>,
}

impl Gateway {
    /// One replica; `jwt` says how it takes tokens.
    fn new(jwt: &Value, store: Arc<dyn VolatileStore>) -> Self {
        Self::changed(jwt, store, |_| {})
    }

    fn changed(
        jwt: &Value,
        store: Arc<dyn VolatileStore>,
        change: impl FnOnce(&mut Parts),
    ) -> Self {
        Self::of(document(jwt), store, change)
    }

    fn of(
        document: Document,
        store: Arc<dyn VolatileStore>,
        change: impl FnOnce(&mut Parts),
    ) -> Self {
        let judged = Judged::new(document);
        let keys = Arc::clone(&judged.keys);
        let limiter = Arc::new(Limiter::new(Arc::clone(&store), Arc::default()));
        let tickets = Tickets::derived_from(b"the replicas' secret");
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let proofs = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&proofs);
        let check_proof_signature: CheckSignature = Arc::new(move |key, input, signature| {
            counted.fetch_add(1, Ordering::Relaxed);
            SoftVerifier.verify(key, input, signature)
        });
        let metrics = Metrics::new(&registry).unwrap();
        let flows: Arc<dyn FlowStore> = Arc::new(MemoryFlowStore::default());
        let mut parts = Parts {
            documents: Arc::new(judged),
            check_signature: Arc::new(|key, input, signature| {
                SoftVerifier.verify(key, input, signature)
            }),
            check_proof_signature,
            revoked: Arc::new(NothingRevoked),
            api_keys: ApiKeys::new(None),
            sessions: Sessions::new(Arc::clone(&flows)),
            touched: Arc::new(Touched::new(flows, None, metrics.clone())),
            limiter: Arc::clone(&limiter),
            store,
            tickets: tickets.clone(),
            metrics,
        };
        change(&mut parts);
        let authorizer = Authorizer::new(parts);
        Self { authorizer, keys, limiter, tickets, registry, proofs }
    }

    /// Who sends a request, whatever its route's limits say.
    async fn identify(&self, request: &Incoming) -> Result<Identified, Denial> {
        let judged = self.authorizer.parts.documents.judging(None);
        let path = path::without_query(&request.target);
        let route = judged.document.find_route(&request.authority, &request.method, path);
        let route = route.unwrap().unwrap();
        let identified = self.authorizer.authenticate(&judged, route, request, NOW).await?;
        self.authorizer.remember(&identified, NOW).await?;
        Ok(identified)
    }

    /// Why a request is refused; empty where it is not.
    async fn reason(&self, request: &Incoming) -> &'static str {
        self.identify(request).await.err().map_or("", |denial| denial.reason)
    }

    /// What a request that passes goes on with.
    async fn passes(&self, request: &Incoming, now: UnixMillis) -> (Evidence, Option<String>) {
        match self.authorizer.check(request, now).await {
            Answer::Allow { evidence, settle } => (*evidence, settle),
            Answer::Deny(denial) => panic!("refused with {}", denial.status),
        }
    }

    /// The answer's status; 200 where the request passes.
    async fn status(&self, request: &Incoming, now: UnixMillis) -> u16 {
        match self.authorizer.check(request, now).await {
            Answer::Allow { .. } => 200,
            Answer::Deny(denial) => denial.status,
        }
    }

    /// What a metric shows; 0 before it shows anything.
    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let is_it = |line: &&str| {
            let labelled =
                |(label, value): &(&str, &str)| line.contains(&format!("{label}=\"{value}\""));
            line.starts_with(&format!("{name}{{")) && labels.iter().all(labelled)
        };
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        text.lines().filter(is_it).map(value).sum()
    }

    fn proofs_checked(&self) -> usize {
        self.proofs.load(Ordering::Relaxed)
    }
}

fn memory() -> Arc<dyn VolatileStore> {
    Arc::new(MemoryStore::default())
}

fn document(jwt: &Value) -> Document {
    let issuers = json!([{"issuer": ISSUER, "audiences": ["gateway"], "jwks": {"inline": JWKS}}]);
    let jwt = changed(json!({"issuers": issuers}), jwt);
    let document = json!({
        "version": 1,
        "services": {
            "s": {"upstream": "h:1"},
            "guarded": {"upstream": "h:1", "circuit": {"failures": 1, "recovery": "10s"}},
        },
        "limits": {"few": {"key": ["claim.sub"], "mode": "exact", "rate": "2/1h"}},
        "credentials": {"jwt": jwt},
        "routes": [
            {"name": "pay", "match": {"path": "/pay"}, "service": "s", "auth": {"any": ["jwt"]}},
            {"name": "acme", "match": {"path": "/acme"}, "service": "s",
             "auth": {"any": ["jwt"], "claims": {"tenant": ["acme"]}}},
            {"name": "few", "match": {"path": "/few"}, "service": "s", "auth": {"any": ["jwt"]},
             "limits": ["few"]},
            {"name": "guarded", "match": {"path": "/guarded"}, "service": "guarded",
             "auth": {"any": ["jwt"]}},
            {"name": "shadow", "match": {"path": "/shadow"}, "service": "s",
             "auth": {"any": ["jwt"]}, "limits": ["few"], "enforce": "shadow"},
        ],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

/// An object with members set, or taken away by null.
fn changed(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

fn signed(header: &Value, claims: &Value) -> String {
    let encoded = |part: &Value| base64url::encode(part.to_string().as_bytes());
    let input = format!("{}.{}", encoded(header), encoded(claims));
    let (key, algorithm) = if header["alg"] == "RS256" {
        (EncodingKey::from_rsa_pem(ISSUER_KEY), Algorithm::RS256)
    } else {
        (EncodingKey::from_ec_pem(CLIENT_KEY), Algorithm::ES256)
    };
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key.unwrap(), algorithm);
    format!("{input}.{}", signature.unwrap())
}

/// The issuer's token for `alice`, with other claims.
fn token(changes: &Value) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": "gateway", "sub": "alice", "exp": NOW.as_secs() + 3600,
    });
    signed(&json!({"alg": "RS256", "kid": "rsa"}), &changed(claims, changes))
}

/// The thumbprint of the client's key.
fn thumbprint() -> [u8; 32] {
    KeySet::parse(JWKS.as_bytes()).unwrap().keys[1].thumbprint()
}

/// One that is bound to the client's key.
fn bound_token() -> String {
    token(&json!({"cnf": {"jkt": base64url::encode(&thumbprint())}}))
}

/// The header of a proof by the client.
fn proof_header() -> Value {
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    let key = &keys["keys"][1];
    json!({
        "typ": "dpop+jwt", "alg": "ES256",
        "jwk": {"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"]},
    })
}

/// What a proof for `GET https://a.test/pay` says, with other claims.
fn proof_claims(token: &str, changes: &Value) -> Value {
    let claims = json!({
        "jti": "j1", "htm": "GET", "htu": "https://a.test/pay", "iat": NOW.as_secs(),
        "ath": base64url::encode(&dpop::access_token_hash(token.as_bytes())),
    });
    changed(claims, changes)
}

fn proof(token: &str, changes: &Value) -> String {
    signed(&proof_header(), &proof_claims(token, changes))
}
