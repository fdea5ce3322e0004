//! Outside providers: what is needed to ask them.

use std::sync::Arc;

use anyhow::Result;
use postern_document::{Login, OutsideProvider};
use postern_identity::{LoginService, OutsideMetrics, OutsideParts, OutsideService};
use postern_oauth::Secret;
use postern_store::FlowStore;
use postern_telemetry::MetricsRegistry;

use crate::serve::outbound::HttpOutbound;
use crate::serve::with_header::HttpWithHeader;
use crate::settings;

/// Logging in elsewhere; none where the document names no provider.
///
/// # Errors
/// When a provider's secret is not where the document says.
pub fn build(
    login: &Login,
    service: &Arc<LoginService>,
    flows: &Arc<dyn FlowStore>,
    registry: &MetricsRegistry,
) -> Result<Option<Arc<OutsideService>>> {
    if login.outside.is_empty() {
        return Ok(None);
    }
    let secret_of = |provider: &OutsideProvider| -> Result<(String, Secret)> {
        let of = format!("`client_secret` of the provider `{}`", provider.name);
        let secret = settings::secret(&of, &provider.client_secret)?;
        Ok((provider.name.clone(), secret))
    };
    let secrets = login.outside.iter().map(secret_of).collect::<Result<Vec<_>>>()?;
    Ok(Some(Arc::new(OutsideService::new(OutsideParts {
        login: Arc::clone(service),
        flows: Arc::clone(flows),
        outbound: Arc::new(HttpOutbound::for_operators()?),
        with_token: Arc::new(HttpWithHeader::new()?),
        secrets,
        metrics: registry.register_with(OutsideMetrics::register)?,
    }))))
}
