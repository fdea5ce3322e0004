//! What happens to the headers of one request and its response.

use std::sync::Arc;

use postern_circuit::{Ended, MadeBy, Verdict};
use postern_document::{HeaderRules, Placeholder, Route};
use postern_ext_authz::Documents;
use postern_request::{HeaderView as _, UnixMillis, path};
use postern_store::volatile::ReporterId;

use crate::metrics::Metrics;
use crate::outcomes::Outcomes;

/// How long the service took, as Envoy's router says of requests that had come in whole.
const SERVICE_TIME: &str = "x-envoy-upstream-service-time";

/// Headers that Envoy is to set.
pub type HeaderChanges = Vec<(String, String)>;

/// Does the work.
pub struct Processor {
    documents: Arc<dyn Documents>,
    outcomes: Arc<Outcomes>,
    pub(crate) metrics: Metrics,
}

/// What is known of a request once its headers were seen.
#[derive(Default)]
pub struct StreamState {
    /// The digest of the document that the Envoy runs, where it says so.
    document: Option<String>,
    /// Whose outcome it is; none where the Envoy's bundle reports it.
    reporter: Option<ReporterId>,
    route: Option<Arc<Route>>,
    began: UnixMillis,
    /// What the bundle has said of the request, by header.
    told: Vec<(&'static str, String)>,
}

impl StreamState {
    /// Of a request through this Envoy, which says by its digest which document it runs, or says
    /// nothing. Nobody reports where the Envoy's bundle does that itself.
    #[must_use]
    pub fn of(document: Option<String>, reporter: Option<ReporterId>) -> Self {
        Self { document, reporter, ..Self::default() }
    }

    /// Whether the response has something for us: rules of its own, or an outcome.
    #[must_use]
    pub fn wants_response(&self) -> bool {
        self.route.as_ref().is_some_and(|route| {
            let counts = route.circuit().is_some() && self.reporter.is_some();
            counts || route.transform.response.needs_server()
        })
    }

    fn changes(&self, rules: &HeaderRules, route: &Route, now: UnixMillis) -> HeaderChanges {
        rules.computed(route, now, &|name| {
            let told = self.told.iter().find(|(header, _)| *header == name);
            told.map(|(_, value)| value.clone())
        })
    }
}

impl Processor {
    /// Puts the parts together.
    #[must_use]
    pub const fn new(
        documents: Arc<dyn Documents>,
        outcomes: Arc<Outcomes>,
        metrics: Metrics,
    ) -> Self {
        Self { documents, outcomes, metrics }
    }

    /// A request's headers: which route it is, and what its rules say.
    pub fn on_request(
        &self,
        state: &mut StreamState,
        list: &[(String, Vec<u8>)],
        now: UnixMillis,
    ) -> HeaderChanges {
        let text = |name: &str| {
            let value = list.single(name).one()?;
            core::str::from_utf8(value).ok().map(str::to_owned)
        };
        let document = self.documents.judging(state.document.as_deref()).document;
        let target = text(":path").unwrap_or_default();
        let path = path::without_query(&target);
        let authority = text(":authority").unwrap_or_default();
        let method = text(":method").unwrap_or_default();
        let found = document.find_route(&authority, &method, path);
        state.route = found.ok().flatten().cloned();
        state.began = now;
        state.told = Placeholder::headers().filter_map(|name| Some((name, text(name)?))).collect();
        match &state.route {
            Some(route) => state.changes(&route.transform.request, route, now),
            None => Vec::new(),
        }
    }

    /// A response's headers. One whose request was never seen is an answer of a stage before
    /// us; it says nothing about a service.
    pub fn on_response(
        &self,
        state: &StreamState,
        list: &[(String, Vec<u8>)],
        now: UnixMillis,
    ) -> HeaderChanges {
        let Some(route) = &state.route else { return Vec::new() };
        if let Some(reporter) = state.reporter {
            self.count(reporter, route, list, now.millis_since(state.began), now);
        }
        state.changes(&route.transform.response, route, now)
    }

    /// Envoy does not say here who made an answer: it is taken for the service's.
    fn count(
        &self,
        reporter: ReporterId,
        route: &Route,
        list: &[(String, Vec<u8>)],
        took_ms: u64,
        now: UnixMillis,
    ) {
        let text = |name: &str| core::str::from_utf8(list.single(name).one()?).ok();
        let number = |name: &str| text(name)?.parse::<u16>().ok();
        let Some(status) = number(":status") else {
            // What is no number counts as the failure it is.
            let (service, failure) = (route.service_name(), Verdict::Failure { slow: false });
            if let Some(settings) = route.circuit() {
                self.outcomes.judged(reporter, service, settings, failure, now);
            }
            return;
        };
        // Of an answer without a body; else it comes behind that.
        let grpc = number("grpc-status").map(u32::from);
        // By our clock it is late also where its caller takes time: as the bundle has it.
        let slow = route.circuit().and_then(|circuit| circuit.slow);
        let took_ms = match slow {
            Some(slow) if took_ms > slow.over_ms => {
                text(SERVICE_TIME).and_then(|took| took.parse().ok()).unwrap_or(0)
            }
            _ => took_ms,
        };
        let ended = Ended::Answered { status, grpc, made_by: MadeBy::Upstream, took_ms };
        self.outcomes.ended(reporter, route, &ended, now);
    }
}
