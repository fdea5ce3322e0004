//! The admin API: what an operator's programs may do, on a port of its own, with a credential of
//! its own. They may revoke and look at what is revoked, and look at what limits have counted and
//! reset it.
//!
//! Deliberately absent: users and roles. Whoever holds the credential may do everything here.

mod credential;
mod limits;
mod metrics;
mod order;
mod refusal;
mod revocations;
mod which;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use postern_identity::Clock;
use postern_rate_limit::RateLimiter;
use postern_request::headers::AUTHORIZATION;
use postern_request::{Denial, ErrorCode, Presented};
use postern_telemetry::MetricsRegistry;

use self::credential::AdminCredential;
use self::metrics::{Metrics, Outcome};
use super::{has, http};
use crate::cli::{Role, Serve};
use crate::commands::now;

pub use limits::{Busy, Counting};
pub use revocations::Stores;

/// The longest body. The longest token is half of that.
const MAX_BODY_BYTES: usize = 16_384;

/// What every request needs.
struct Admin {
    credential: AdminCredential,
    metrics: Metrics,
    clock: Clock,
}

/// Who calls, for the log. Set once the credential is found to be right.
#[derive(Debug, Clone)]
struct Caller {
    correlation_id: String,
    remote: Option<SocketAddr>,
}

/// Builds the API; none without a credential, and no revocations without a store for them, which
/// the log says once.
///
/// # Errors
/// When the credential cannot be used, or a metric cannot be registered.
pub fn build(
    arguments: &Serve,
    counting: Counting,
    revocations: Option<Stores>,
    rate_limiter: Option<&Arc<RateLimiter>>,
    registry: &MetricsRegistry,
) -> Result<Option<Router>> {
    if !has(&arguments.roles, Role::Admin) {
        return Ok(None);
    }
    let Some(file) = &arguments.admin_token_file else {
        tracing::info!(
            "this server has no admin API: that takes a credential (--admin-token-file)"
        );
        return Ok(None);
    };
    let admin = Arc::new(Admin {
        credential: AdminCredential::from_file(file)?,
        metrics: Metrics::new(registry)?,
        clock: Arc::new(now),
    });
    let mut routes: Router = Router::new();
    if let Some(stores) = revocations {
        let document = counting.document.load();
        routes = routes.merge(revocations::routes(Arc::clone(&admin), stores, &document));
    } else {
        tracing::info!("the admin API revokes nothing: that takes a durable store (--durable)");
    }
    routes = routes.merge(limits::routes(Arc::clone(&admin), counting));
    if let Some(rate_limiter) = rate_limiter {
        routes = routes.merge(postern_rate_limit::router(Arc::clone(rate_limiter)));
    }
    let routes = routes
        .route_layer(middleware::from_fn_with_state(admin, authenticate))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    Ok(Some(routes))
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
