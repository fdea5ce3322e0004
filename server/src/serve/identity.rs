//! The identity role: the only one that reads private keys.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use postern_document::Document;
use postern_identity::admin::{self, KeyState};
use postern_identity::{
    Clock, IdentityMetrics, IdentityService, KEY_ENCRYPTION_KEY_ENV, KeyRing, TokenIssuer,
};
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
/// When the encryption key or the stored keys cannot be used, or there are keys to sign with and
/// nothing to open them.
pub async fn build(
    arguments: &Serve,
    document: &Document,
    durable: Option<Arc<dyn DurableStore>>,
    registry: &MetricsRegistry,
    health: &Arc<HealthChecks>,
) -> Result<Option<Router>> {
    let (issuer, durable) = match (document.issuer.clone(), durable) {
        (Some(issuer), Some(durable)) => (issuer, durable),
        (issuer, durable) => {
            let wanted = [
                issuer.is_none().then_some("an `issuer` in the document"),
                durable.is_none().then_some("a durable store (--durable)"),
            ];
            let wanted = wanted.into_iter().flatten().collect::<Vec<_>>().join(" and ");
            tracing::info!("this server issues no tokens: that takes {wanted}");
            return Ok(None);
        }
    };
    let kek = settings::optional_key(&arguments.key_file)?;
    if kek.is_none() && has_sealed_keys(durable.as_ref()).await? {
        bail!(
            "the durable store holds signing keys, and nothing to open them with was given: name \
             the key file with --key-file (or set {KEY_ENCRYPTION_KEY_ENV}); a server that shall \
             issue no tokens runs without `identity` in --roles"
        );
    }
    let ring = KeyRing::load(Arc::clone(&durable), kek, now()).await;
    let ring = settings::opened(ring, &arguments.key_file)?;
    let ring = Arc::new(ring);
    let clock: Clock = Arc::new(now);
    tokio::spawn(postern_identity::refresh_every(Arc::clone(&ring), REFRESH, Arc::clone(&clock)));
    let metrics = registry.register_with(IdentityMetrics::register)?;
    let issuer = Arc::new(TokenIssuer::new(issuer, ring));
    add_check(health, &issuer);
    let service = IdentityService::new(durable, issuer, metrics, clock);
    Ok(Some(postern_identity::router(Arc::new(service))))
}

/// Whether there is a key that signs or will. Without the key to open it, every token that is
/// asked for would be refused, which is better known at the start.
async fn has_sealed_keys(durable: &dyn DurableStore) -> Result<bool> {
    let keys = admin::list_keys(durable, now()).await.context("cannot read the signing keys")?;
    Ok(keys.iter().any(|key| matches!(key.state, KeyState::Active | KeyState::Pending)))
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
