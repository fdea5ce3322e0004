//! What happens to the headers of one request and its response.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_document::{Document, HeaderRules, Placeholder, Route};
use postern_request::{HeaderView as _, UnixMillis, headers, path};
use postern_store::MemoryStore;
use postern_store::volatile::{CircuitAsk, VolatileStore};

use crate::metrics::Metrics;

/// Headers that Envoy is to set.
pub type HeaderChanges = Vec<(String, String)>;

/// Does the work.
pub struct Processor {
    document: Arc<ArcSwap<Document>>,
    store: Arc<dyn VolatileStore>,
    /// Takes outcomes while the store is away; authorization asks it then.
    stand_in: Arc<MemoryStore>,
    pub(crate) metrics: Metrics,
}

/// What is known of a request once its headers were seen.
#[derive(Default)]
pub struct StreamState {
    route: Option<Arc<Route>>,
    subject: Option<String>,
    client: Option<String>,
    tier: Option<String>,
    correlation_id: Option<String>,
}

impl StreamState {
    /// Whether the response has something for us: rules of its own, or an outcome.
    #[must_use]
    pub fn wants_response(&self) -> bool {
        self.route.as_ref().is_some_and(|route| {
            route.circuit().is_some() || route.transform.response.needs_server()
        })
    }
}

impl Processor {
    /// Puts the parts together.
    #[must_use]
    pub const fn new(
        document: Arc<ArcSwap<Document>>,
        store: Arc<dyn VolatileStore>,
        stand_in: Arc<MemoryStore>,
        metrics: Metrics,
    ) -> Self {
        Self { document, store, stand_in, metrics }
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
        let document = self.document.load();
        let target = text(":path").unwrap_or_default();
        let path = path::without_query(&target);
        let authority = text(":authority").unwrap_or_default();
        let method = text(":method").unwrap_or_default();
        let found = document.find_route(&authority, &method, path);
        state.route = found.ok().flatten().cloned();
        state.subject = text(headers::SUBJECT);
        state.client = text(headers::CLIENT);
        state.tier = text(headers::TIER);
        state.correlation_id = text(headers::CORRELATION_ID);
        match &state.route {
            Some(route) => changes(&route.transform.request, route, state, now),
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
        if let Some(settings) = route.circuit() {
            let status = list.single(":status").one();
            // What is no number counts as the failure it is.
            let failed = status
                .and_then(|status| core::str::from_utf8(status).ok())
                .and_then(|status| status.parse::<u16>().ok())
                .is_none_or(|status| status >= 500);
            let service = route.service_name().to_owned();
            self.record(CircuitAsk { service, settings }, !failed, now);
        }
        changes(&route.transform.response, route, state, now)
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

/// The rules' values that Envoy cannot write by itself.
fn changes(
    rules: &HeaderRules,
    route: &Route,
    state: &StreamState,
    now: UnixMillis,
) -> HeaderChanges {
    let fill = |placeholder: Placeholder| match placeholder {
        Placeholder::Subject => state.subject.clone(),
        Placeholder::Client => state.client.clone(),
        Placeholder::Tier => state.tier.clone(),
        Placeholder::RequestId => state.correlation_id.clone(),
        Placeholder::RouteName => Some(route.name.clone()),
        Placeholder::ServiceName => Some(route.service_name().to_owned()),
        Placeholder::UnixTime => Some(now.as_secs().to_string()),
    };
    rules
        .set
        .iter()
        .filter(|(_, value)| !value.is_fixed())
        .map(|(name, value)| (name.clone(), value.render(fill)))
        .filter(|(_, value)| headers::is_safe_value(value))
        .collect()
}
