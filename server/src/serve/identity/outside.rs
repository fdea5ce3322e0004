//! Outside providers: what is needed to ask them.

use std::sync::Arc;

use anyhow::Result;
use postern_document::{Current, Login, OutsideProvider};
use postern_identity::{LoginService, OutsideMetrics, OutsideParts, OutsideService, Providers};
use postern_oauth::Secret;
use postern_store::FlowStore;
use postern_telemetry::MetricsRegistry;

use crate::serve::outbound::HttpOutbound;
use crate::serve::with_header::HttpWithHeader;
use crate::settings;

/// Logging in elsewhere, at whichever providers there are.
///
/// # Errors
/// When there is no HTTP client, or a metric cannot be registered.
pub fn build(
    providers: Current<Providers>,
    service: &Arc<LoginService>,
    flows: &Arc<dyn FlowStore>,
    registry: &MetricsRegistry,
) -> Result<Arc<OutsideService>> {
    Ok(Arc::new(OutsideService::new(OutsideParts {
        login: Arc::clone(service),
        flows: Arc::clone(flows),
        outbound: Arc::new(HttpOutbound::for_operators()?),
        with_token: Arc::new(HttpWithHeader::new()?),
        providers,
        metrics: registry.register_with(OutsideMetrics::register)?,
    })))
}

/// The providers of a document, with the suite's secret at each.
///
/// # Errors
/// When a secret is not where the document says.
pub fn providers(login: &Login) -> Result<Providers> {
    let secret_of = |provider: &OutsideProvider| -> Result<(OutsideProvider, Secret)> {
        let of = format!("`client_secret` of the provider `{}`", provider.name);
        let secret = settings::secret(&of, &provider.client_secret)?;
        Ok((provider.clone(), secret))
    };
    let secrets = login.outside.iter().map(secret_of).collect::<Result<Vec<_>>>()?;
    Ok(Providers::new(secrets))
}
