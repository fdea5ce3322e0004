//! The admin API: what an operator's programs may do, on a port of its own, with a credential of
//! its own. Today that is to revoke, and to look at what is revoked.
//!
//! Deliberately absent: users and roles. Whoever holds the credential may do everything here.

mod credential;
mod metrics;
mod order;
mod revocations;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use postern_document::Document;
use postern_identity::Clock;
use postern_request::headers::AUTHORIZATION;
use postern_request::{Denial, ErrorCode, Presented};
use postern_store::bus::RevocationBus;
use postern_store::durable::DurableStore;
use postern_telemetry::MetricsRegistry;

use self::credential::AdminCredential;
use self::metrics::{Metrics, Outcome};
use super::{has, http};
use crate::cli::{Role, Serve};
use crate::commands::now;

/// The longest body. The longest token is half of that.
const MAX_BODY_BYTES: usize = 16_384;

/// What the API works with.
struct Admin {
    credential: AdminCredential,
    store: Arc<dyn DurableStore>,
    bus: Arc<dyn RevocationBus>,
    /// Whose tokens are meant where nobody says.
    own_issuer: Option<String>,
    /// Whose tokens this gateway takes.
    issuers: Vec<String>,
    metrics: Metrics,
    clock: Clock,
}

/// Who calls, for the log. Set once the credential is found to be right.
#[derive(Debug, Clone)]
struct Caller {
    correlation_id: String,
    remote: Option<SocketAddr>,
}

/// Builds the API; none where something is missing that it takes, which the log says once.
///
/// # Errors
/// When the credential cannot be used, or a metric cannot be registered.
pub fn build(
    arguments: &Serve,
    document: &Document,
    store: Option<(Arc<dyn DurableStore>, Arc<dyn RevocationBus>)>,
    registry: &MetricsRegistry,
) -> Result<Option<Router>> {
    if !has(&arguments.roles, Role::Admin) {
        return Ok(None);
    }
    let (file, (store, bus)) = match (&arguments.admin_token_file, store) {
        (Some(file), Some(store)) => (file, store),
        (file, store) => {
            let wanted = [
                file.is_none().then_some("a credential (--admin-token-file)"),
                store.is_none().then_some("a durable store (--durable)"),
            ];
            let wanted = wanted.into_iter().flatten().collect::<Vec<_>>().join(" and ");
            tracing::info!("this server has no admin API: that takes {wanted}");
            return Ok(None);
        }
    };
    let admin = Admin {
        credential: AdminCredential::from_file(file)?,
        store,
        bus,
        own_issuer: document.issuer.clone(),
        issuers: document.issuers.iter().map(|entry| entry.issuer.issuer.clone()).collect(),
        metrics: Metrics::new(registry)?,
        clock: Arc::new(now),
    };
    Ok(Some(router(Arc::new(admin))))
}

fn router(admin: Arc<Admin>) -> Router {
    let revocations = get(revocations::list).post(revocations::revoke).fallback(wrong_method);
    Router::new()
        .route("/admin/revocations", revocations)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&admin), authenticate))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(admin)
}

/// Nothing of a request is read before its credential is found to be right.
async fn authenticate(
    State(admin): State<Arc<Admin>>,
    mut request: Request,
    next: Next,
) -> Response {
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let correlation_id = http::correlation_id(request.headers());
    match admin.check(request.headers()) {
        Ok(()) => {
            request.extensions_mut().insert(Caller { correlation_id, remote });
            next.run(request).await
        }
        Err(denial) => {
            let reason = denial.reason;
            tracing::warn!(correlation_id, ?remote, reason, "the admin API was refused");
            admin.metrics.answered(Outcome::Unauthenticated);
            http::deny(&denial, &correlation_id)
        }
    }
}

async fn wrong_method(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let mut denial = Denial::new(ErrorCode::BadRequest, "method_wrong");
    denial.description = Some("The method is not allowed here".into());
    admin.metrics.answered(Outcome::Invalid);
    let mut response = http::deny(&denial, &http::correlation_id(&headers));
    // `Allow` is added by the router, which knows the methods.
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

impl Admin {
    /// The one credential, shown as a bearer token (RFC 6750 §2.1).
    fn check(&self, headers: &HeaderMap) -> Result<(), Denial> {
        match Presented::from_authorization(http::single(headers, AUTHORIZATION)) {
            Presented::Bearer(shown) if self.credential.is(shown) => Ok(()),
            Presented::Bearer(_) => Err(Denial::invalid_token("admin_credential_wrong")),
            Presented::Nothing => Err(Denial::missing_credential()),
            Presented::Dpop(_) | Presented::Unusable => {
                Err(Denial::invalid_token("admin_credential_unusable"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
