//! `ext_authz` and the bundle one behind the other, as Envoy asks them: at the edge, and for routes
//! that a workload guards once more beside it, each bundle with its own part of the document.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use postern_bundle::Gatekeeper;
use postern_circuit::{Ended, MadeBy};
use postern_document::{
    CertificateSource, Document, Fallback, HeaderValue, OnFailure, Route, from_json,
};
use postern_explain::{By, Revoked};
use postern_ext_authz::{
    Answer as Authorized, ApiKeys, Authorizer, CheckSignature, Incoming, Judged, Metrics, Named,
    Parts, Sessions, Tickets, Touched,
};
use postern_filter_circuit_breaker::Circuits;
use postern_filter_host::{Effects as _, HeaderList, Outcome, Plugin as _};
use postern_jose::soft::SoftVerifier;
use postern_jose::{SignatureVerifier as _, VerifiedToken};
use postern_request::normalize::{Normalization, normalize};
use postern_request::{Denial, ErrorCode, RenderedDenial, UnixMillis, headers, path};
use postern_store::away::Away;
use postern_store::limiter::Limiter;
use postern_store::volatile::VolatileStore;
use postern_store::{FlowStore, MemoryFlowStore, MemoryStore};
use postern_telemetry::MetricsRegistry;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::explain_property::World;
use crate::explain_property::host::{Host, Recorded};
use crate::explain_property::requests::{AUTHORITY, NOW, PEER, RequestSpec, SessionSpec};

/// The places, as documents name them.
const EDGE: &str = "front";
const INSIDE: &str = "inside";
/// Whom the edge's certificate names.
const EDGE_ID: &str = "spiffe://cluster.local/ns/ingress/sa/front";

/// What a client, or the service, gets.
#[derive(Debug)]
pub enum Answer {
    Passed(Passed),
    Refused {
        by: By,
        at: &'static str,
        status: u16,
        /// Empty in what a route answers itself.
        error: String,
        reason: Option<String>,
    },
    /// To log in, by the server.
    Sent {
        at: &'static str,
        location: String,
    },
}

/// What the service gets.
#[derive(Debug)]
pub struct Passed {
    pub at: &'static str,
    pub service: String,
    pub subject: Option<String>,
    pub headers: HeaderList,
    pub target: String,
    /// The version that Envoy chooses by what the bundle has left of the headers.
    pub version: Option<String>,
}

/// Says of every credential the same.
struct Known(Revoked);

impl Known {
    fn say(&self, document: &Document) -> Result<(), Denial> {
        match (self.0, document.revocation) {
            (Revoked::Yes, _) => Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked")),
            (Revoked::Unknown, Some(rules)) if rules.when_stale == OnFailure::Deny => {
                Err(Denial::unavailable("revocation_stale", 1))
            }
            _ => Ok(()),
        }
    }
}

impl postern_ext_authz::Revoked for Known {
    fn check(&self, document: &Document, _: &VerifiedToken, _: UnixMillis) -> Result<(), Denial> {
        self.say(document)
    }

    fn check_named(&self, document: &Document, _: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
        self.say(document)
    }
}

/// One gateway, and the workload behind it.
pub struct Chain {
    document: Document,
    authorizer: Option<Authorizer>,
    edge: Place,
    /// There once somebody goes there.
    inside: Option<Place>,
    runtime: Runtime,
    request_id: String,
}

/// An Envoy, with its part of the document.
struct Place {
    name: &'static str,
    document: Document,
    gatekeeper: Gatekeeper,
    host: Host,
}

impl Place {
    fn of(name: &'static str, document: &Document) -> Self {
        let text = document.filter_config_for(name);
        let mut configuration: Value = serde_json::from_str(&text).unwrap();
        if document.needs_feed() {
            configuration["feed"] = json!({
                "cluster": "c", "authority": "a", "workload": "w", "wait_ms": 0, "poll_ms": 0,
            });
        }
        let host = Host::default();
        let gatekeeper = Gatekeeper::configure(&host, configuration.to_string().as_bytes());
        let gatekeeper = match gatekeeper {
            Ok(gatekeeper) => gatekeeper,
            Err(problems) => panic!("{problems:?}"),
        };
        let document = from_json(text.as_bytes()).unwrap();
        Self { name, document, gatekeeper, host }
    }

    fn is_edge(&self) -> bool {
        self.name == EDGE
    }
}

impl Chain {
    pub fn new(document: &Document, world: &World) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let authorizer = runtime.block_on(authorizer(document, world));
        Self {
            document: document.clone(),
            authorizer: (!world.server_away).then_some(authorizer),
            edge: Place::of(EDGE, document),
            inside: None,
            runtime,
            request_id: world.request_id(),
        }
    }

    /// What it takes to open the circuits of the edge's Envoy.
    pub fn open_circuits(&self) {
        let Place { document, host, .. } = &self.edge;
        let mut circuits = Circuits::new(document, None, 0);
        for service in &document.services {
            let Some(looked) = circuits.look(&host, service) else { continue };
            let made_by = MadeBy::Upstream;
            let failed = Ended::Answered { status: 500, grpc: None, made_by, took_ms: 1 };
            circuits.settle(&host, looked.ticket, &failed, NOW);
        }
    }

    pub fn ask(&mut self, request: &RequestSpec) -> Answer {
        let (target, headers) = request.to_send();
        if let Some(caller) = request.caller() {
            return self.ask_at(INSIDE, caller, request, headers, &target);
        }
        let passed = match self.ask_at(EDGE, None, request, headers, &target) {
            Answer::Passed(passed) if self.is_for_inside(request, &passed.target) => passed,
            answer => return answer,
        };
        let Passed { headers, target, .. } = passed;
        self.ask_at(INSIDE, Some(EDGE_ID), request, headers, &target)
    }

    fn is_for_inside(&self, request: &RequestSpec, target: &str) -> bool {
        let path = path::without_query(target);
        let found = self.document.find_route(AUTHORITY, request.method(), path);
        found.ok().flatten().is_some_and(|route| route.guarded_by().is_some())
    }

    fn ask_at(
        &mut self,
        name: &'static str,
        peer: Option<&'static str>,
        request: &RequestSpec,
        headers: HeaderList,
        target: &str,
    ) -> Answer {
        let Self { document, authorizer, edge, inside, runtime, request_id } = self;
        let place = match name {
            EDGE => edge,
            _ => inside.get_or_insert_with(|| Place::of(INSIDE, document)),
        };
        let by_envoy = |status: u16, code: ErrorCode| {
            let error = code.as_str().to_owned();
            Answer::Refused { by: By::Envoy, at: name, status, error, reason: None }
        };
        let Some(target) = read(target) else { return by_envoy(400, ErrorCode::BadRequest) };
        let keeps = document.bound.certificate == Some(CertificateSource::Forwarded);
        let keeps = keeps && place.is_edge();
        let headers = as_envoy_hands_them_over(headers, keeps, peer, request_id);
        let path = path::without_query(&target);
        let found = place.document.find_route(AUTHORITY, request.method(), path);
        let is_asked = found.is_ok_and(|route| route.is_some_and(|route| route.needs_ext_authz()));
        place.host.evidence = None;
        place.host.peer = peer;
        if is_asked {
            match authorizer {
                Some(authorizer) => {
                    let incoming = incoming(request, &headers, &target, peer);
                    match runtime.block_on(authorizer.check(&incoming, NOW)) {
                        Authorized::Allow { evidence, .. } => place.host.evidence = Some(*evidence),
                        Authorized::Deny(denial) => {
                            return refused(By::ExtAuthz, name, &denial, None);
                        }
                    }
                }
                None if document.failures.ext_authz == OnFailure::Deny => {
                    return by_envoy(503, ErrorCode::Unavailable);
                }
                None => {}
            }
        }
        ask_bundle(document, place, request, headers, &target)
    }
}

fn ask_bundle(
    document: &Document,
    place: &mut Place,
    request: &RequestSpec,
    headers: HeaderList,
    target: &str,
) -> Answer {
    let pseudo = [(":method", request.method()), (":path", target), (":authority", AUTHORITY)];
    let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let list: HeaderList = pseudo.into_iter().chain(headers).collect();
    let mut recorded = Recorded { headers: list.clone(), ..Recorded::default() };
    let (name, is_edge) = (place.name, place.is_edge());
    let Place { gatekeeper, host, document: own, .. } = place;
    // Beside a service there are its own routes alone, and none of the edge's hides them.
    let document = if is_edge { document } else { &*own };
    match gatekeeper.on_request_headers(&*host, &list, &mut recorded) {
        Outcome::Continue(_) => {
            let target = recorded.header(":path").unwrap_or_default();
            let target = String::from_utf8(target).unwrap_or_default();
            let mut headers = recorded.headers;
            let is_elsewhere = is_elsewhere(&headers);
            headers.retain(|(name, _)| !name.starts_with(':') && name != headers::FALLBACK);
            let (service, version) = way(document, request, &target, &headers, is_elsewhere);
            let version = version.filter(|_| is_edge);
            let subject = recorded.subject;
            Answer::Passed(Passed { at: name, service, subject, headers, target, version })
        }
        Outcome::Answer(answer, _) => {
            let (status, reason, error) = (answer.status, recorded.reason, String::new());
            Answer::Refused { by: By::Bundle, at: name, status, error, reason }
        }
        Outcome::Deny(denial, _) => refused(By::Bundle, name, &denial, recorded.reason),
    }
}

/// Whether the bundle sends a request to another service.
fn is_elsewhere(headers: &HeaderList) -> bool {
    headers
        .iter()
        .any(|(name, value)| name == headers::FALLBACK && value == headers::TO_FALLBACK.as_bytes())
}

/// The service and the version that the routes of `render/src/envoy/routes.rs` lead to.
fn way(
    document: &Document,
    request: &RequestSpec,
    target: &str,
    headers: &HeaderList,
    is_elsewhere: bool,
) -> (String, Option<String>) {
    let path = path::without_query(target);
    let Ok(Some(route)) = document.find_route(AUTHORITY, request.method(), path) else {
        return (String::new(), None);
    };
    match &route.fallback {
        Some(Fallback::Service(other)) if is_elsewhere => (other.name.clone(), None),
        _ => (route.service_name().to_owned(), version(route, headers)),
    }
}

fn version(route: &Route, headers: &HeaderList) -> Option<String> {
    let pick = route.canary.iter().find(|pick| {
        let lines = headers.iter().filter(|(name, _)| *name == pick.header);
        let lines: Vec<&[u8]> = lines.map(|(_, value)| value.as_slice()).collect();
        let HeaderValue::Exact(wanted) = &pick.value else { return false };
        !lines.is_empty() && lines.join(&b","[..]) == wanted.as_bytes()
    });
    let drawn = route.split.iter().find(|(_, percent)| *percent == 100);
    let version = pick.map(|pick| &pick.version).or(drawn.map(|(version, _)| version));
    version.map(|version| version.name.clone())
}

/// Beside a workload, Envoy says itself whose certificate it was shown.
fn as_envoy_hands_them_over(
    mut headers: HeaderList,
    keeps_certificate: bool,
    peer: Option<&str>,
    request_id: &str,
) -> HeaderList {
    let written = [
        ("x-forwarded-for", IpAddr::from(PEER).to_string()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-request-id", request_id.to_owned()),
    ];
    headers.retain(|(name, _)| {
        !name.contains('_')
            && (keeps_certificate || name != "x-forwarded-client-cert")
            && written.iter().all(|(ours, _)| ours != name)
    });
    let shown = peer.map(|peer| format!("Hash={};URI={peer}", "00".repeat(32)));
    let shown = shown.map(|value| ("x-forwarded-client-cert", value));
    let written = written.into_iter().chain(shown);
    headers.extend(written.map(|(name, value)| (name.to_owned(), value.into_bytes())));
    headers
}

/// Whether the path is another spelling of a route's: then only Envoy's own routes say whom it
/// asks first.
pub fn reads_two_ways(document: &Document, request: &RequestSpec) -> bool {
    let Some(target) = read(&request.to_send().0) else { return false };
    let path = path::without_query(&target);
    let is_unclear =
        |document: &Document| document.find_route(AUTHORITY, request.method(), path).is_err();
    // Beside a workload the server knows more routes than Envoy.
    let inside = || from_json(document.filter_config_for(INSIDE).as_bytes()).unwrap();
    is_unclear(document) || (request.caller().is_some() && is_unclear(&inside()))
}

/// Path and query as Envoy reads them; none where it refuses.
fn read(target: &str) -> Option<String> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (target, String::new()),
    };
    Some(normalize(path, Normalization::ENVOY).ok()? + &query)
}

fn incoming(
    request: &RequestSpec,
    headers: &HeaderList,
    target: &str,
    peer: Option<&str>,
) -> Incoming {
    Incoming {
        peer: peer.map(str::to_owned),
        method: request.method().to_owned(),
        scheme: "https".to_owned(),
        authority: AUTHORITY.to_owned(),
        target: target.to_owned(),
        headers: headers.clone(),
        address: Some(IpAddr::from(PEER)),
        certificate: None,
        document: None,
        keeps_circuits: true,
    }
}

fn refused(by: By, at: &'static str, denial: &RenderedDenial, reason: Option<String>) -> Answer {
    let header = |wanted: &str| {
        let found = denial.headers.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.clone())
    };
    if let Some(location) = header("location") {
        assert_eq!((denial.status, denial.body.as_str()), (302, ""));
        return Answer::Sent { at, location };
    }
    let body: Value = serde_json::from_str(&denial.body).unwrap();
    let error = body["error"].as_str().unwrap().to_owned();
    Answer::Refused { by, at, status: denial.status, error, reason }
}

async fn authorizer(document: &Document, world: &World) -> Authorizer {
    let memory = Arc::new(MemoryStore::default());
    let stand_in = Arc::new(MemoryStore::default());
    let store: Arc<dyn VolatileStore> = if world.store_away { Arc::new(Away) } else { memory };
    let flows: Arc<dyn FlowStore> = match world.store_away {
        true => Arc::new(Away),
        false => Arc::new(sessions().await),
    };
    let metrics = Metrics::new(&MetricsRegistry::new("test", Instant::now()).unwrap()).unwrap();
    let check: CheckSignature =
        Arc::new(|key, input, signature| SoftVerifier.verify(key, input, signature));
    Authorizer::new(Parts {
        documents: Arc::new(Judged::new(document.clone())),
        check_signature: Arc::clone(&check),
        check_proof_signature: check,
        revoked: Arc::new(Known(world.revoked)),
        api_keys: ApiKeys::new(None),
        sessions: Sessions::new(Arc::clone(&flows)),
        touched: Arc::new(Touched::new(flows, None, metrics.clone())),
        limiter: Arc::new(Limiter::new(Arc::clone(&store), stand_in)),
        store,
        tickets: Tickets::derived_from(b"a secret of this test"),
        metrics,
    })
}

/// A store with the sessions that requests show.
async fn sessions() -> MemoryFlowStore {
    let flows = MemoryFlowStore::default();
    for session in SessionSpec::ALL {
        flows.start_session(&session.record(), NOW).await.unwrap();
    }
    flows
}
