//! The identity role: the only one that reads private keys.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use postern_document::Document;
use postern_identity::{Clock, IdentityMetrics, IdentityService, KeyRing, TokenIssuer};
use postern_store::durable::DurableStore;
use postern_telemetry::{Check, CheckKind, CheckResult, HealthChecks, MetricsRegistry};

use super::parts::REFRESH;
use crate::cli::Serve;
use crate::commands::now;
use crate::settings;

/// Builds the token endpoint and its neighbours; none where the document names no issuer or
/// there is no durable store to keep keys in.
///
/// # Errors
/// When the encryption key or the stored keys cannot be used.
pub async fn build(
    arguments: &Serve,
    document: &Document,
    durable: Option<Arc<dyn DurableStore>>,
    registry: &MetricsRegistry,
    health: &Arc<HealthChecks>,
) -> Result<Option<Router>> {
    let (Some(issuer), Some(durable)) = (document.issuer.clone(), durable) else {
        tracing::info!("no issuer or no durable store: this server issues no tokens");
        return Ok(None);
    };
    let kek = settings::optional_key(&arguments.key_file)?;
    let ring = KeyRing::load(Arc::clone(&durable), kek, now())
        .await
        .context("cannot use the stored signing keys")?;
    let ring = Arc::new(ring);
    let clock: Clock = Arc::new(now);
    tokio::spawn(postern_identity::refresh_every(Arc::clone(&ring), REFRESH, Arc::clone(&clock)));
    let metrics = registry.register_with(IdentityMetrics::register)?;
    let issuer = Arc::new(TokenIssuer::new(issuer, ring));
    add_check(health, &issuer);
    let service = IdentityService::new(durable, issuer, metrics, clock);
    Ok(Some(postern_identity::router(Arc::new(service))))
}

/// Keys: a token is issued and verified.
fn add_check(health: &Arc<HealthChecks>, issuer: &Arc<TokenIssuer>) {
    let issuer = Arc::clone(issuer);
    let check = Check::new(CheckKind::Keys, move || {
        let issuer = Arc::clone(&issuer);
        async move {
            let round_trip = tokio::task::spawn_blocking(move || {
                let request = postern_identity::AccessTokenRequest {
                    subject: "health".to_owned(),
                    client_id: "health".to_owned(),
                    lifetime_secs: 60,
                    ..postern_identity::AccessTokenRequest::default()
                };
                let issued = issuer.issue(&request, now()).map_err(|error| error.to_string())?;
                let verified = issuer.inspect(issued.token.expose(), now());
                verified.map(drop).map_err(|error| error.to_string())
            });
            match round_trip.await {
                Ok(Ok(())) => CheckResult::healthy(),
                Ok(Err(error)) => CheckResult::degraded(error),
                Err(_) => CheckResult::degraded("the check did not end"),
            }
        }
    });
    health.add(check);
}
