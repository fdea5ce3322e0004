//! Where what is served comes from.

use std::future::pending;
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_document::Document;
use postern_feed::{ListedPeers, Trust};
use postern_render::envoy::Endpoints;
use tokio::sync::watch;

/// The document in force, and the word that it is another one.
pub trait DocumentSource: Send + Sync {
    /// The document in force.
    fn current(&self) -> Arc<Document>;

    /// Marked as changed whenever another document is in force.
    fn changes(&self) -> watch::Receiver<()>;
}

/// Where services are at the moment, as far as somebody else than the document knows.
pub trait EndpointSource: Send + Sync {
    /// Where services are. Of a service that is not in it, the document says so.
    fn snapshot(&self) -> Arc<Endpoints>;

    /// Marked as changed whenever there is another snapshot.
    fn changes(&self) -> watch::Receiver<()>;
}

/// Whom to believe, and who may have what.
pub struct Believed {
    /// By what somebody is known.
    pub trust: Trust,
    /// What those who are known may have.
    pub peers: ListedPeers,
}

/// A document that somebody else replaces.
pub struct HeldDocument {
    held: Arc<ArcSwap<Document>>,
    changes: watch::Receiver<()>,
}

impl HeldDocument {
    /// What is held there; whoever replaces it marks the channel after that.
    #[must_use]
    pub const fn new(held: Arc<ArcSwap<Document>>, changes: watch::Receiver<()>) -> Self {
        Self { held, changes }
    }
}

impl DocumentSource for HeldDocument {
    fn current(&self) -> Arc<Document> {
        self.held.load_full()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }
}

/// Nobody knows more than the document.
#[derive(Debug, Clone, Copy, Default)]
pub struct DocumentEndpoints;

impl EndpointSource for DocumentEndpoints {
    fn snapshot(&self) -> Arc<Endpoints> {
        Arc::default()
    }

    fn changes(&self) -> watch::Receiver<()> {
        watch::channel(()).1
    }
}

/// Done when something has changed; never where nobody is left to change it.
pub(crate) async fn changed(changes: &mut watch::Receiver<()>) {
    if changes.changed().await.is_err() {
        pending().await
    }
}
