//! Discovery: what Envoys outside a mesh run, told by this server over xDS.

use std::sync::Arc;

use anyhow::Result;
use arc_swap::ArcSwap;
use postern_ads::{
    Believed, Discovery, DiscoveryParts, DocumentEndpoints, HeldDocument, Metrics, Settings,
};
use postern_document::Document;
use postern_telemetry::{Drain, MetricsRegistry};
use tokio::sync::watch;

use super::{feed, has};
use crate::cli::Role;

/// What it is made of.
pub struct Needs<'a> {
    /// Whether it is served at all.
    pub roles: &'a [Role],
    /// The document in force.
    pub document: &'a Arc<ArcSwap<Document>>,
    /// Marked whenever that is another one.
    pub replaced: watch::Receiver<()>,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
    /// Streams end when the server does.
    pub drain: &'a Drain,
}

/// Starts keeping Envoys current; none where the role is not run. Nothing is rendered before the
/// first Envoy asks.
///
/// # Errors
/// When a metric cannot be registered.
pub fn build(needs: Needs<'_>) -> Result<Option<Arc<Discovery>>> {
    if !has(needs.roles, Role::Discovery) {
        return Ok(None);
    }
    let discovery = Arc::new(Discovery::new(DiscoveryParts {
        documents: Arc::new(HeldDocument::new(Arc::clone(needs.document), needs.replaced)),
        // Services are where the document says.
        endpoints: Arc::new(DocumentEndpoints),
        believed: Arc::new(believed),
        settings: Settings::default(),
        drain: needs.drain.clone(),
        metrics: Metrics::new(needs.registry)?,
    }));
    tokio::spawn(Arc::clone(&discovery).keep_current());
    Ok(Some(discovery))
}

/// Whoever the feed believes, for what it tells them.
fn believed(document: &Document) -> Believed {
    Believed { trust: feed::trust(&document.feed), peers: feed::listed(&document.feed) }
}
