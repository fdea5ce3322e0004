//! The admin API: what an operator's programs may do, on a port of its own. They may manage users,
//! clients, keys and the document itself, revoke and look at what is revoked, and look at what
//! limits have counted and reset it.
//!
//! Who may: whoever shows the credential of a file, or an access token of our own issuer with the
//! scope for it. Deliberately absent: finer rights. Whoever may come in may do everything here.

mod credential;
mod denied;
mod limits;
mod metrics;
mod order;
mod refusal;
mod revocations;
mod token;
mod v1;
mod which;
mod xds;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use postern_ads::Discovery;
use postern_identity::Clock;
use postern_identity::admin::Actor;
use postern_rate_limit::RateLimiter;
use postern_request::headers::AUTHORIZATION;
use postern_request::{Denial, ErrorCode, Presented};
use postern_telemetry::MetricsRegistry;

use self::credential::AdminCredential;
use self::denied::Denied;
use self::metrics::{Metrics, Outcome};
use self::token::Refused;
use super::operators::Built;
use super::{has, http};
use crate::cli::{Role, Serve};
use crate::commands::now;

pub use limits::{Busy, Counting};
pub use revocations::Stores;
pub use token::AdminTokens;

/// The longest body. The longest token is half of that.
const MAX_BODY_BYTES: usize = 16_384;

/// What every request needs.
struct Admin {
    credential: Option<AdminCredential>,
    tokens: Option<Arc<AdminTokens>>,
    denied: Option<Denied>,
    metrics: Metrics,
    clock: Clock,
}

/// Who calls, for the log. Set once the credential is found to be right.
#[derive(Debug, Clone)]
struct Caller {
    by: Actor,
    correlation_id: String,
    remote: Option<SocketAddr>,
}

/// What else the server does that may be looked at.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The rate limit service, where there is one.
    pub rate_limiter: Option<&'a Arc<RateLimiter>>,
    /// Who tells Envoys what they run, where somebody does.
    pub discovery: Option<&'a Arc<Discovery>>,
}

/// Builds the API; none where nobody could come in, and no revocations, users and clients without a
/// store for them, which the log says once.
///
/// # Errors
/// When the credential cannot be used, or a metric cannot be registered.
pub fn build(
    arguments: &Serve,
    counting: Counting,
    revocations: Option<Stores>,
    beside: Beside<'_>,
    operators: Option<Built>,
    registry: &MetricsRegistry,
) -> Result<Option<Router>> {
    if !has(&arguments.roles, Role::Admin) {
        return Ok(None);
    }
    let file = arguments.admin_token_file.as_ref();
    let credential = file.map(|file| AdminCredential::from_file(file)).transpose()?;
    let tokens = operators.as_ref().and_then(|built| built.tokens.clone());
    if credential.is_none() && !tokens.as_ref().is_some_and(|tokens| tokens.are_had()) {
        tracing::info!(
            "this server has no admin API: that takes a credential (--admin-token-file), or a role \
             of the document with the scope `postern.admin`"
        );
        return Ok(None);
    }
    let admin = Arc::new(Admin {
        credential,
        tokens: tokens.clone(),
        denied: operators.as_ref().map(|built| Denied::new(Arc::clone(&built.operators))),
        metrics: Metrics::new(registry)?,
        clock: Arc::new(now),
    });
    let mut routes: Router = Router::new();
    if let Some(stores) = revocations {
        let document = counting.document.clone();
        routes = routes.merge(revocations::routes(Arc::clone(&admin), stores, document));
    } else {
        tracing::info!("the admin API revokes nothing: that takes a durable store (--durable)");
    }
    routes = routes.merge(limits::routes(Arc::clone(&admin), counting));
    if let Some(Built { operators, revisions, .. }) = operators {
        routes = routes.merge(v1::routes(Arc::clone(&admin), operators, tokens, revisions));
    }
    if let Some(rate_limiter) = beside.rate_limiter {
        routes = routes.merge(postern_rate_limit::router(Arc::clone(rate_limiter)));
    }
    if let Some(discovery) = beside.discovery {
        routes = routes.merge(xds::routes(Arc::clone(&admin), Arc::clone(discovery)));
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
        Ok(by) => {
            request.extensions_mut().insert(Caller { by, correlation_id, remote });
            next.run(request).await
        }
        Err(Refused { denial, who }) => {
            let reason = denial.reason;
            let from = remote.map(tracing::field::display);
            tracing::warn!(correlation_id, remote = from, reason, "the admin API was refused");
            let is_known = who.is_some();
            if let (Some(denied), Some(who)) = (&admin.denied, who) {
                let path = request.extensions().get::<MatchedPath>();
                let path = path.map_or("/admin", MatchedPath::as_str);
                let what = format!("{} {path}", request.method());
                denied.write_down(what, who, (admin.clock)());
            }
            let outcome = if is_known { Outcome::Forbidden } else { Outcome::Unauthenticated };
            admin.metrics.answered(outcome);
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
    /// Who it is, by what is shown as a bearer token (RFC 6750 §2.1): the credential, or an access
    /// token.
    fn check(&self, headers: &HeaderMap) -> Result<Actor, Refused> {
        let shown = match Presented::from_authorization(http::single(headers, AUTHORIZATION)) {
            Presented::Bearer(shown) => shown,
            Presented::Nothing => return Err(Denial::missing_credential().into()),
            Presented::Dpop(_) | Presented::Unusable => {
                return Err(Denial::invalid_token("admin_credential_unusable").into());
            }
        };
        if self.credential.as_ref().is_some_and(|credential| credential.is(shown)) {
            return Ok(Actor::credential());
        }
        match &self.tokens {
            Some(tokens) => tokens.judge(shown, (self.clock)()),
            None => Err(Denial::invalid_token("admin_credential_wrong").into()),
        }
    }
}

#[cfg(test)]
mod tests;
