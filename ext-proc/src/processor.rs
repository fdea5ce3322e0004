//! What happens to the headers of one request and its response.

use std::sync::Arc;

use postern_document::{HeaderRules, Placeholder, Route};
use postern_ext_authz::Documents;
use postern_request::{HeaderView as _, UnixMillis, path};
use postern_store::MemoryStore;
use postern_store::volatile::{CircuitAsk, VolatileStore};

use crate::metrics::Metrics;

/// Headers that Envoy is to set.
pub type HeaderChanges = Vec<(String, String)>;

/// Does the work.
pub struct Processor {
    documents: Arc<dyn Documents>,
    store: Arc<dyn VolatileStore>,
    /// Takes outcomes while the store is away; authorization asks it then.
    stand_in: Arc<MemoryStore>,
    pub(crate) metrics: Metrics,
}

/// What is known of a request once its headers were seen.
#[derive(Default)]
pub struct StreamState {
    /// The digest of the document that the Envoy runs, where it says so.
    document: Option<String>,
    route: Option<Arc<Route>>,
    /// What the bundle has said of the request, by header.
    told: Vec<(&'static str, String)>,
}

impl StreamState {
    /// Of a request through an Envoy that says which document it runs, by its digest, or says
    /// nothing.
    #[must_use]
    pub fn of(document: Option<String>) -> Self {
        Self { document, ..Self::default() }
    }

    /// Whether the response has something for us: rules of its own, or an outcome.
    #[must_use]
    pub fn wants_response(&self) -> bool {
        self.route.as_ref().is_some_and(|route| {
            route.circuit().is_some() || route.transform.response.needs_server()
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
        store: Arc<dyn VolatileStore>,
        stand_in: Arc<MemoryStore>,
        metrics: Metrics,
    ) -> Self {
        Self { documents, store, stand_in, metrics }
    }

    /// A request's headers: which route it is, and what its rules say.
    pub fn on_request(
        &self,
        state: &mut StreamState,
        list: &Vec<(String, Vec<u8>)>,
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
        list: &Vec<(String, Vec<u8>)>,
        now: UnixMillis,
    ) -> HeaderChanges {
        let Some(route) = &state.route else { return Vec::new() };
        if let Some(circuit) = route.circuit() {
            let status = list.single(":status").one();
            // What is no number counts as the failure it is.
            let failed = status
                .and_then(|status| core::str::from_utf8(status).ok())
                .and_then(|status| status.parse::<u16>().ok())
                .is_none_or(|status| status >= 500);
            let service = route.service_name().to_owned();
            self.record(CircuitAsk { service, settings: circuit.simple() }, !failed, now);
        }
        state.changes(&route.transform.response, route, now)
    }

    /// Beside the request: the caller need not wait for the store.
    fn record(&self, circuit: CircuitAsk, success: bool, now: UnixMillis) {
        let (store, stand_in) = (Arc::clone(&self.store), Arc::clone(&self.stand_in));
        let metrics = self.metrics.clone();
        metrics.outcome(&circuit.service, success);
        tokio::spawn(async move {
            if let Err(error) = store.record_outcome(&circuit, success, now).await {
                tracing::debug!(%error, service = circuit.service, "an outcome stays with this replica");
                metrics.kept_here(&circuit.service);
                drop(stand_in.record_outcome(&circuit, success, now).await);
            }
        });
    }
}
