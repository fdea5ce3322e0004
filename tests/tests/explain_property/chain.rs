//! `ext_authz` and the bundle one behind the other, as Envoy asks them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use postern_bundle::Gatekeeper;
use postern_document::{CertificateSource, Document, OnFailure};
use postern_explain::{By, Revoked};
use postern_ext_authz::{
    Answer as Authorized, ApiKeys, Authorizer, CheckSignature, Incoming, IssuerKeys, Metrics,
    Parts, Tickets,
};
use postern_filter_host::{
    Effects, ForeignFunctions, HeaderList, Outcome, Plugin as _, RequestHost,
};
use postern_filter_shared_data::{Memory, SharedData};
use postern_jose::soft::SoftVerifier;
use postern_jose::{SignatureVerifier as _, VerifiedToken};
use postern_request::evidence::Evidence;
use postern_request::normalize::{Normalization, normalize};
use postern_request::{Denial, ErrorCode, RenderedDenial, UnixMillis, path};
use postern_store::MemoryStore;
use postern_store::away::Away;
use postern_store::limiter::Limiter;
use postern_store::volatile::{CircuitAsk, VolatileStore};
use postern_telemetry::MetricsRegistry;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::World;
use crate::requests::{AUTHORITY, NOW, PEER, RequestSpec};

/// What a client, or the service, gets.
#[derive(Debug)]
pub enum Answer {
    Passed { subject: Option<String>, headers: HeaderList, target: String },
    Refused { by: By, status: u16, error: String, reason: Option<String> },
}

/// An Envoy that can do nothing but keep values.
#[derive(Default)]
struct Host {
    values: Memory,
    evidence: Option<Evidence>,
}

impl ForeignFunctions for &Host {
    fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

impl SharedData for &Host {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.get(key)
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.values.set(key, value, version)
    }

    fn put(&self, key: &str, value: &[u8]) {
        self.values.put(key, value);
    }
}

impl RequestHost for &Host {
    fn now(&self) -> UnixMillis {
        NOW
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        match path {
            ["source", "address"] => Some(format!("{}:99", IpAddr::from(PEER)).into_bytes()),
            ["metadata", "filter_metadata", "envoy.filters.http.ext_authz", "postern"] => {
                self.evidence.as_ref().map(|evidence| evidence.encode().into_bytes())
            }
            _ => None,
        }
    }

    fn seed(&self) -> (u128, bool) {
        (7, true)
    }
}

/// What the bundle does to the message.
#[derive(Default)]
struct Recorded {
    headers: HeaderList,
    reason: Option<String>,
    subject: Option<String>,
}

impl Recorded {
    fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }
}

impl Effects for Recorded {
    fn set_header(&mut self, name: &str, value: &str) {
        self.rewrite_header(name, value.as_bytes());
    }

    fn add_header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn rewrite_header(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_vec()));
    }

    fn remove_header(&mut self, name: &str) {
        self.remove(name);
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        let text = Some(String::from_utf8_lossy(value).into_owned());
        match key {
            "postern.denied" => self.reason = text,
            "postern.subject" => self.subject = text,
            _ => {}
        }
    }

    fn log(&mut self, _: &str) {}
}

/// Says of every token the same.
struct Known(Revoked);

impl postern_ext_authz::Revoked for Known {
    fn check(&self, document: &Document, _: &VerifiedToken, _: UnixMillis) -> Result<(), Denial> {
        match (self.0, document.revocation) {
            (Revoked::Yes, _) => Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked")),
            (Revoked::Unknown, Some(rules)) if rules.when_stale == OnFailure::Deny => {
                Err(Denial::unavailable("revocation_stale", 1))
            }
            _ => Ok(()),
        }
    }
}

/// One gateway.
pub struct Chain {
    document: Document,
    authorizer: Option<Authorizer>,
    gatekeeper: Gatekeeper,
    host: Host,
    runtime: Runtime,
    request_id: String,
}

impl Chain {
    pub fn new(document: &Document, world: &World) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let authorizer = runtime.block_on(authorizer(document, world));
        let host = Host::default();
        let mut configuration: Value = serde_json::from_str(&document.filter_config()).unwrap();
        if document.needs_feed() {
            configuration["feed"] = json!({
                "cluster": "c", "authority": "a", "workload": "w", "wait_ms": 0, "poll_ms": 0,
            });
        }
        let gatekeeper = Gatekeeper::configure(&host, configuration.to_string().as_bytes());
        let gatekeeper = match gatekeeper {
            Ok(gatekeeper) => gatekeeper,
            Err(problems) => panic!("{problems:?}"),
        };
        Self {
            document: document.clone(),
            authorizer: (!world.server_away).then_some(authorizer),
            gatekeeper,
            host,
            runtime,
            request_id: world.request_id(),
        }
    }

    /// The route that a request belongs to, if it reads one way.
    pub fn route_of(&self, request: &RequestSpec) -> Option<String> {
        let (_, target) = arriving(request)?;
        let path = path::without_query(&target);
        let found = self.document.find_route(AUTHORITY, request.method(), path).ok()??;
        Some(found.name.clone())
    }

    pub fn ask(&mut self, request: &RequestSpec) -> Answer {
        let Some((headers, target)) = arriving(request) else {
            let (by, error) = (By::Envoy, ErrorCode::BadRequest.as_str().to_owned());
            return Answer::Refused { by, status: 400, error, reason: None };
        };
        let headers = self.as_envoy_hands_them_over(headers);
        let path = path::without_query(&target);
        let found = self.document.find_route(AUTHORITY, request.method(), path);
        let is_asked = found.is_ok_and(|route| route.is_some_and(|route| route.needs_ext_authz()));
        self.host.evidence = None;
        if is_asked {
            match &self.authorizer {
                Some(authorizer) => {
                    let incoming = incoming(request, &headers, &target);
                    match self.runtime.block_on(authorizer.check(&incoming, NOW)) {
                        Authorized::Allow { evidence, .. } => self.host.evidence = Some(*evidence),
                        Authorized::Deny(denial) => return refused(By::ExtAuthz, &denial, None),
                    }
                }
                None if self.document.failures.ext_authz == OnFailure::Deny => {
                    let (by, error) = (By::Envoy, ErrorCode::Unavailable.as_str().to_owned());
                    return Answer::Refused { by, status: 503, error, reason: None };
                }
                None => {}
            }
        }
        self.ask_bundle(request, headers, &target)
    }

    fn ask_bundle(&mut self, request: &RequestSpec, headers: HeaderList, target: &str) -> Answer {
        let pseudo = [(":method", request.method()), (":path", target), (":authority", AUTHORITY)];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let list: HeaderList = pseudo.into_iter().chain(headers).collect();
        let mut recorded = Recorded { headers: list.clone(), ..Recorded::default() };
        let host = &self.host;
        match self.gatekeeper.on_request_headers(host, &list, &mut recorded) {
            Outcome::Continue(_) => {
                let target = recorded.header(":path").unwrap_or_default();
                let target = String::from_utf8(target).unwrap_or_default();
                Answer::Passed { subject: recorded.subject, headers: recorded.headers, target }
            }
            Outcome::Deny(denial, _) => refused(By::Bundle, &denial, recorded.reason),
        }
    }

    fn as_envoy_hands_them_over(&self, mut headers: HeaderList) -> HeaderList {
        let keeps = self.document.bound.certificate == Some(CertificateSource::Forwarded);
        headers.retain(|(name, _)| {
            !name.contains('_') && (keeps || name != "x-forwarded-client-cert")
        });
        let written = [
            ("x-forwarded-for", IpAddr::from(PEER).to_string()),
            ("x-forwarded-proto", "https".to_owned()),
            ("x-request-id", self.request_id.clone()),
        ];
        headers.extend(written.map(|(name, value)| (name.to_owned(), value.into_bytes())));
        headers
    }
}

/// Whether the path is another spelling of a route's: then only Envoy's own routes say whom it
/// asks first.
pub fn reads_two_ways(document: &Document, request: &RequestSpec) -> bool {
    let Some((_, target)) = arriving(request) else { return false };
    let path = path::without_query(&target);
    document.find_route(AUTHORITY, request.method(), path).is_err()
}

/// Headers and target as Envoy reads them; none where it refuses.
fn arriving(request: &RequestSpec) -> Option<(HeaderList, String)> {
    let sent = request.to_explain();
    let (path, query) = match sent.target.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (sent.target.as_str(), String::new()),
    };
    let path = normalize(path, Normalization::ENVOY).ok()?;
    Some((sent.headers, path + &query))
}

fn incoming(request: &RequestSpec, headers: &HeaderList, target: &str) -> Incoming {
    Incoming {
        peer: None,
        method: request.method().to_owned(),
        scheme: "https".to_owned(),
        authority: AUTHORITY.to_owned(),
        target: target.to_owned(),
        headers: headers.clone(),
        address: Some(IpAddr::from(PEER)),
        certificate: None,
    }
}

fn refused(by: By, denial: &RenderedDenial, reason: Option<String>) -> Answer {
    let body: Value = serde_json::from_str(&denial.body).unwrap();
    let error = body["error"].as_str().unwrap().to_owned();
    Answer::Refused { by, status: denial.status, error, reason }
}

async fn authorizer(document: &Document, world: &World) -> Authorizer {
    let memory = Arc::new(MemoryStore::default());
    let stand_in = Arc::new(MemoryStore::default());
    if world.circuit_open {
        for service in &document.services {
            let Some(settings) = service.circuit else { continue };
            let circuit = CircuitAsk { service: service.name.clone(), settings };
            // Both know: while the store is away, the stand-in is asked.
            for store in [&memory, &stand_in] {
                store.record_outcome(&circuit, false, NOW).await.unwrap();
            }
        }
    }
    let store: Arc<dyn VolatileStore> = if world.store_away { Arc::new(Away) } else { memory };
    let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
    let check: CheckSignature =
        Arc::new(|key, input, signature| SoftVerifier.verify(key, input, signature));
    Authorizer::new(Parts {
        document: Arc::new(ArcSwap::from_pointee(document.clone())),
        keys: Arc::new(IssuerKeys::new(document)),
        check_signature: Arc::clone(&check),
        check_proof_signature: check,
        revoked: Arc::new(Known(world.revoked)),
        api_keys: ApiKeys::new(None),
        limiter: Arc::new(Limiter::new(Arc::clone(&store), stand_in)),
        store,
        tickets: Tickets::derived_from(b"a secret of this test"),
        metrics: Metrics::new(&registry).unwrap(),
    })
}
