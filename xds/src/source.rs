//! Where what is served comes from.

use std::future::pending;
use std::sync::Arc;

use postern_document::{Current, Document};
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
    /// Where the services of a document are. Of one that is not in it, the document says so; where
    /// that does not either, nobody knows yet.
    fn of(&self, document: &Document) -> Arc<Endpoints>;

    /// Marked as changed whenever there is something else to say.
    fn changes(&self) -> watch::Receiver<()>;
}

/// A document that somebody else replaces.
pub struct HeldDocument {
    held: Current<Document>,
    changes: watch::Receiver<()>,
}

impl HeldDocument {
    /// What is held there; whoever replaces it marks the channel after that.
    #[must_use]
    pub const fn new(held: Current<Document>, changes: watch::Receiver<()>) -> Self {
        Self { held, changes }
    }
}

impl DocumentSource for HeldDocument {
    fn current(&self) -> Arc<Document> {
        self.held.load()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }
}

/// Nobody knows more than the document.
#[derive(Debug, Clone, Copy, Default)]
pub struct DocumentEndpoints;

impl EndpointSource for DocumentEndpoints {
    fn of(&self, _: &Document) -> Arc<Endpoints> {
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
