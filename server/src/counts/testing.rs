//! What tests of counts share: a document with limits, the server's decision that counts, and
//! slices that are lent.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use postern_document::{Allowance, Counted, Current, Document, LimitMode};
use postern_ext_authz::{
    Answer, ApiKeys, Authorizer, Incoming, Judged, Metrics, Named, Parts, Revoked, Sessions,
    Tickets, Touched,
};
use postern_jose::{VerifiedToken, base64url};
use postern_leases::{Ask, LeaseId};
use postern_limits::key::{hashed, stamp};
use postern_request::{Denial, Principal, UnixMillis};
use postern_store::limiter::Limiter;
use postern_store::volatile::{LendAsk, LimitKey, VolatileStore};
use postern_store::{FlowStore, MemoryFlowStore, MemoryStore};
use postern_telemetry::MetricsRegistry;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const ISSUER: &str = "https://one.test";
const OTHER_ISSUER: &str = "https://two.test";
pub const API_KEY: &str = "pk_one_secret";
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const JWKS: &str = include_str!("../../../core/jose/tests/keys/jwks.json");

struct NothingRevoked;

impl Revoked for NothingRevoked {
    fn check(&self, _: &Document, _: &VerifiedToken, _: UnixMillis) -> Result<(), Denial> {
        Ok(())
    }

    fn check_named(&self, _: &Document, _: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
        Ok(())
    }
}

/// One server.
pub struct Gateway {
    pub document: Current<Document>,
    pub store: Arc<dyn VolatileStore>,
    pub authorizer: Arc<Authorizer>,
}

impl Gateway {
    pub fn new() -> Self {
        let judged = Judged::new(document());
        let store: Arc<dyn VolatileStore> = Arc::new(MemoryStore::default());
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let held = Arc::clone(&judged.document);
        let document = Current::new(move || Arc::clone(&held));
        let metrics = Metrics::new(&registry).unwrap();
        let flows: Arc<dyn FlowStore> = Arc::new(MemoryFlowStore::default());
        let authorizer = Authorizer::new(Parts {
            documents: Arc::new(judged),
            // Nobody's signature will do: this is about what is counted.
            check_signature: Arc::new(|_, _, _| Ok(true)),
            check_proof_signature: Arc::new(|_, _, _| Ok(true)),
            revoked: Arc::new(NothingRevoked),
            api_keys: ApiKeys::new(None),
            sessions: Sessions::new(Arc::clone(&flows)),
            touched: Arc::new(Touched::new(flows, None, metrics.clone())),
            limiter: Arc::new(Limiter::new(Arc::clone(&store), Arc::default())),
            store: Arc::clone(&store),
            tickets: Tickets::derived_from(b"for the test"),
            metrics,
        });
        Self { document, store, authorizer: Arc::new(authorizer) }
    }

    /// A request that must pass.
    pub async fn send(&self, request: &Incoming) {
        if let Answer::Deny(denial) = self.authorizer.check(request, NOW).await {
            panic!("{request:?}: {}", denial.body);
        }
    }

    /// Lends a slice of the limit `shared`, by a question of this number; how much that is. An
    /// Envoy names the key by its hashes, and the server binds it to the limit.
    pub async fn lend(&self, caller: Option<&Principal>, number: u8, asked: u64) -> u64 {
        let lend = self.question(caller, number, asked);
        let mut lent = self.store.lend(&[lend], NOW).await;
        lent.remove(0).unwrap().granted
    }

    fn question(&self, caller: Option<&Principal>, number: u8, asked: u64) -> LendAsk {
        let document = self.document.load();
        let route = document.routes.iter().find(|route| route.name == "shared").unwrap();
        let limit = &route.leased_limits[0].limit;
        let no_headers: Vec<(String, Vec<u8>)> = Vec::new();
        let counted = Counted {
            address: None,
            principal: caller,
            headers: &no_headers,
            method: "GET",
            authority: "a.test",
            path: "/shared",
        };
        let allowance = limit.allowance_for(caller);
        let (Allowance::Rate(spec), LimitMode::Leased { terms, .. }) = (allowance, limit.mode)
        else {
            panic!("{limit:?} is not leased to {caller:?}");
        };
        let counted_under = limit.key_of(route, &counted, allowance);
        let (owner, hash) = hashed(&limit.owner_of(&counted, &counted_under), &counted_under);
        let key = LimitKey { owner, hash }.leased(stamp(&limit.name, spec));
        LendAsk { key, spec, terms, ask: Ask { id: LeaseId([number; 16]), asked } }
    }
}

/// Who has a token of [`ISSUER`].
pub fn holder(subject: &str, tier: Option<&str>) -> Principal {
    Principal {
        subject: subject.to_owned(),
        issuer: ISSUER.to_owned(),
        tier: tier.map(str::to_owned),
        ..Principal::default()
    }
}

pub fn get(target: &str, address: &str, headers: &[(&str, &str)]) -> Incoming {
    let headers = headers.iter();
    Incoming {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        authority: "A.test:443".to_owned(),
        target: target.to_owned(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        address: Some(address.parse::<IpAddr>().unwrap()),
        certificate: None,
        peer: None,
        document: None,
        keeps_circuits: false,
    }
}

/// What `authorization` says of a caller with a token of [`ISSUER`].
pub fn bearer(claims: &Value) -> String {
    let mut all = json!({"iss": ISSUER, "aud": "gateway", "exp": NOW.as_secs() + 60});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let encoded = |part: &Value| base64url::encode(part.to_string().as_bytes());
    let header = encoded(&json!({"alg": "RS256", "kid": "rsa"}));
    format!("Bearer {header}.{}.{}", encoded(&all), base64url::encode(&[0; 256]))
}

fn document() -> Document {
    let issuer = |name: &str| {
        json!({"issuer": name, "audiences": ["gateway"], "jwks": {"inline": JWKS},
               "claim_headers": {"x-org": "org"}})
    };
    let hash: String = Sha256::digest(API_KEY).iter().map(|byte| format!("{byte:02x}")).collect();
    let route = |name: &str, path: &str, service: &str, auth: Value, limits: &[&str]| {
        json!({"name": name, "match": {"path": path}, "service": service, "auth": auth,
               "limits": limits})
    };
    let anybody = json!({"any": ["jwt", "api_key"], "optional": true});
    let document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}, "t": {"upstream": "h:1"}},
        "credentials": {
            "jwt": {"issuers": [issuer(ISSUER), issuer(OTHER_ISSUER)]},
            "api_key": {"keys": [{"id": "one", "sha256": hash, "subject": "machine"}]},
        },
        "limits": {
            "user": {"key": ["claim.sub"], "mode": "exact", "rate": "5/1m",
                     "tiers": {"premium": "50/1m", "enterprise": "unlimited"},
                     "clients": {"app": "9/1m"}},
            "place": {"key": ["ip", "header.x-tenant", "method", "host"], "mode": "exact",
                      "algorithm": "token_bucket", "rate": "10/1s", "burst": 20},
            "org": {"key": ["claim.org", "claim.client_id", "claim.tier"], "mode": "exact",
                    "rate": "5/1m"},
            "item": {"key": ["path.id", "path.rest"], "mode": "exact", "rate": "5/1m"},
            "each": {"key": ["route"], "mode": "exact", "rate": "5/1m"},
            "all": {"key": ["service"], "mode": "exact", "rate": "5/1m"},
            "machine": {"key": ["api_key"], "mode": "exact", "in_flight": 3},
            "near": {"key": ["ip"], "mode": "local", "rate": "5/1m"},
            "spare": {"key": ["ip"], "mode": "exact", "rate": "5/1m"},
            "shared": {"key": ["claim.sub"], "mode": "leased", "rate": "1000/1m",
                       "tiers": {"premium": "5000/1m", "enterprise": "unlimited"},
                       "lease": {"sidecars": 5}},
        },
        "routes": [
            route("user", "/user", "s", anybody.clone(), &["user"]),
            route("place", "/place", "s", json!("none"), &["place", "near"]),
            route("org", "/org", "s", json!({"any": ["jwt"]}), &["org"]),
            route("item", "/item/{id}/{rest=**}", "s", json!("none"), &["item"]),
            route("one", "/one", "s", json!("none"), &["each", "all"]),
            route("two", "/two", "s", json!("none"), &["each", "all"]),
            route("three", "/three", "t", json!("none"), &["each", "all"]),
            route("machine", "/machine", "s", json!({"any": ["api_key"]}), &["machine"]),
            route("shared", "/shared", "s", anybody, &["shared"]),
        ],
    });
    match postern_document::from_json(document.to_string().as_bytes()) {
        Ok(document) => document,
        Err(problems) => panic!("{problems:#?}"),
    }
}
