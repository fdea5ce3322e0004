//! What the sample remembers: who was called how often, and who fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

/// Most services that are counted by name: names come from paths, which anybody sends.
const MAX_SERVICES: usize = 256;
/// Most paths with an answer of their own.
const MAX_KEPT: usize = 64;

/// Shared by all connections; cloning it shares it.
#[derive(Debug, Clone, Default)]
pub struct State {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    total: u64,
    services: BTreeMap<String, Service>,
    document: Option<Bytes>,
    kept: BTreeMap<String, Bytes>,
}

#[derive(Debug, Default)]
struct Service {
    requests: u64,
    failing: Option<u16>,
}

impl State {
    /// Nobody was called and nobody fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every request of `service` is answered with `status`.
    pub fn fail(&self, service: &str, status: u16) {
        if let Some(service) = self.lock().service(service) {
            service.failing = Some(status);
        }
    }

    /// The service answers again.
    pub fn recover(&self, service: &str) {
        if let Some(service) = self.lock().service(service) {
            service.failing = None;
        }
    }

    /// From now on `/_sample/document` answers with this.
    pub fn publish(&self, document: impl Into<Bytes>) {
        self.lock().document = Some(document.into());
    }

    /// What was published last.
    pub(crate) fn document(&self) -> Option<Bytes> {
        self.lock().document.clone()
    }

    /// From now on a `GET` of this path is answered with this. False when there are too many.
    pub fn keep(&self, path: &str, document: impl Into<Bytes>) -> bool {
        let mut inner = self.lock();
        let fits = inner.kept.contains_key(path) || inner.kept.len() < MAX_KEPT;
        if fits {
            inner.kept.insert(path.to_owned(), document.into());
        }
        fits
    }

    /// What was kept for a path.
    pub(crate) fn kept(&self, path: &str) -> Option<Bytes> {
        self.lock().kept.get(path).cloned()
    }

    /// Requests that arrived for a service, failed ones included.
    #[must_use]
    pub fn requests(&self, service: &str) -> u64 {
        self.lock().services.get(service).map_or(0, |service| service.requests)
    }

    /// Requests that arrived at all, whatever their path; switches are not counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Counts a request; the status to answer with when the service is told to fail.
    pub(crate) fn count(&self, service: &str) -> Option<u16> {
        let mut inner = self.lock();
        inner.total = inner.total.saturating_add(1);
        let service = inner.service(service)?;
        service.requests = service.requests.saturating_add(1);
        service.failing
    }

    /// As `/_sample/state` shows it.
    pub(crate) fn to_json(&self) -> Value {
        let inner = self.lock();
        let services: BTreeMap<&str, Value> = inner
            .services
            .iter()
            .map(|(name, service)| {
                let shown = json!({"requests": service.requests, "failing": service.failing});
                (name.as_str(), shown)
            })
            .collect();
        json!({"total": inner.total, "services": services})
    }

    /// Counters stay useful after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn service(&mut self, name: &str) -> Option<&mut Service> {
        if !self.services.contains_key(name) && self.services.len() >= MAX_SERVICES {
            return None;
        }
        Some(self.services.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_fails_until_it_recovers() {
        let state = State::new();
        assert_eq!(state.count("payments"), None);
        state.fail("payments", 503);
        assert_eq!(state.count("payments"), Some(503));
        assert_eq!(state.count("content"), None);
        state.recover("payments");
        assert_eq!(state.count("payments"), None);
        assert_eq!((state.requests("payments"), state.requests("other"), state.total()), (3, 0, 4));
    }

    #[test]
    fn the_document_is_what_was_published_last() {
        let state = State::new();
        assert_eq!(state.document(), None);
        state.publish("{}");
        state.publish("[]");
        assert_eq!(state.document().as_deref(), Some(&b"[]"[..]));
    }

    #[test]
    fn a_path_has_the_answer_that_was_kept_last() {
        let state = State::new();
        assert_eq!(state.kept("/a"), None);
        assert!(state.keep("/a", "{}") && state.keep("/a", "[]") && state.keep("/b", "1"));
        assert_eq!(state.kept("/a").as_deref(), Some(&b"[]"[..]));
        assert_eq!(state.kept("/a/"), None);
        for at in 0..MAX_KEPT {
            state.keep(&format!("/c{at}"), "2");
        }
        assert!(!state.keep("/more", "3") && state.keep("/a", "4"));
        assert_eq!(state.lock().kept.len(), MAX_KEPT);
    }

    #[test]
    fn names_from_paths_cannot_fill_the_memory() {
        let state = State::new();
        for at in 0..2 * MAX_SERVICES {
            state.count(&format!("s{at}"));
        }
        assert_eq!(state.lock().services.len(), MAX_SERVICES);
        assert_eq!(state.total(), 2 * MAX_SERVICES as u64);
    }
}
