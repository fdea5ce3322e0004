//! Discovery: what Envoys outside a mesh run, told by this server over xDS. It follows the document
//! in use, and where services are that a registry finds.

mod registered;
mod told;

use std::sync::Arc;

use anyhow::Result;
use postern_ads::{Discovery, DiscoveryParts, Metrics, Settings};
use postern_telemetry::{Drain, MetricsRegistry};

use self::registered::Registered;
use super::has;
use super::in_use::Kept;
use super::services::Services;
use crate::cli::{Role, Serve};

/// What it is made of.
pub struct Needs<'a> {
    /// Whether it is served at all, and how many documents are kept.
    pub arguments: &'a Serve,
    /// The documents in use, and whom they say to believe.
    pub kept: &'a Arc<Kept>,
    /// Where services are that a registry finds.
    pub services: &'a Services,
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
pub fn build(needs: &Needs<'_>) -> Result<Option<Arc<Discovery>>> {
    let arguments = needs.arguments;
    if !has(&arguments.roles, Role::Discovery) {
        return Ok(None);
    }
    let kept = needs.kept;
    // Routes that connections go on with are of use while their document's rules are judged by.
    let documents = usize::from(arguments.keep_documents);
    let discovery = Arc::new(Discovery::new(DiscoveryParts {
        documents: Arc::new(told::following(kept)),
        endpoints: Arc::new(Registered::new(Arc::clone(&needs.services.endpoints))),
        // Whoever the feed believes, for what it tells them.
        trust: kept.trust(),
        peers: Arc::<Kept>::clone(kept),
        settings: Settings { documents, ..Settings::default() },
        drain: needs.drain.clone(),
        metrics: Metrics::new(needs.registry)?,
    }));
    tokio::spawn(Arc::clone(&discovery).keep_current());
    Ok(Some(discovery))
}
