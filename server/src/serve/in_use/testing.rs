//! What tests of other parts need of the documents in use.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use postern_document::Document;
use postern_telemetry::MetricsRegistry;

use super::{InUse, Kept};
use crate::serve::reload::Metrics;

/// One document.
pub fn kept(document: Document) -> Arc<Kept> {
    let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
    let most = NonZeroUsize::new(8).unwrap();
    Kept::new(InUse::of(document, &[]), most, Metrics::new(&registry).unwrap())
}
