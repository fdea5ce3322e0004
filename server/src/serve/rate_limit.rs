//! The rate limit service, where a configuration is named.

use std::sync::Arc;

use anyhow::{Result, bail};
use postern_document::Document;
use postern_rate_limit::{Configuration, Metrics, Parts, RateLimiter, Settings};
use postern_store::limiter::{Limiter, WhenStoreFails};
use postern_telemetry::MetricsRegistry;

use crate::cli::{RateLimit, RateLimitFailure};
use crate::output;

/// The service, and the rules that it goes by.
pub type RateLimits = (Arc<RateLimiter>, Arc<Configuration>);

/// Reads the configuration and keeps it current; none where none is named.
///
/// # Errors
/// When it has problems, which are printed, or a metric cannot be registered.
pub fn build(
    arguments: &RateLimit,
    document: &Document,
    limiter: &Arc<Limiter>,
    registry: &MetricsRegistry,
) -> Result<Option<RateLimits>> {
    let Some(place) = &arguments.rate_limit_config else { return Ok(None) };
    let configuration = match Configuration::load(place, arguments.rate_limit_merge_domains) {
        Ok(configuration) => Arc::new(configuration),
        Err(problems) => {
            for problem in &problems {
                output::warn(problem.to_string());
            }
            bail!("{}: {} problems; nothing is served", place.display(), problems.len());
        }
    };
    let metrics = Metrics::new(registry)?;
    tokio::spawn(Arc::clone(&configuration).keep_current(metrics.clone()));
    let settings = Settings {
        when_store_fails: match arguments.rate_limit_when_store_fails {
            RateLimitFailure::Deny => WhenStoreFails::Deny,
            RateLimitFailure::Allow => WhenStoreFails::Allow,
            RateLimitFailure::LocalShare => WhenStoreFails::LocalShare,
        },
        replicas: document.stores.replicas,
        headers: !arguments.rate_limit_plain,
        header_form: document.limit_headers,
        denial_body: !arguments.rate_limit_plain,
        metadata: arguments.rate_limit_metadata,
    };
    let rules = Arc::clone(&configuration);
    let limiter = Arc::clone(limiter);
    let limiter = RateLimiter::new(Parts { configuration, limiter, settings, metrics });
    Ok(Some((Arc::new(limiter), rules)))
}
