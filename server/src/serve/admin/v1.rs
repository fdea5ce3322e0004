//! `/admin/v1`: users, clients, API keys, sessions, signing keys, tokens, the gateway document,
//! instances of services, circuits and the audit log, for an operator's programs. What may be asked
//! stands in one table ([`table`]), from which both the router and the specification are made.

mod api_keys;
mod audit;
mod call;
mod circuits;
mod clients;
mod config;
mod dto;
mod keys;
mod query;
mod refusal;
mod services;
mod sessions;
mod spec;
mod table;
mod tokens;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{
    DefaultBodyLimit, FromRequest as _, FromRequestParts as _, RawPathParams, Request, State,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::MethodRouter;
use postern_identity::admin::Operators;
use postern_store::BoxFuture;
use serde_json::Value;
use tokio::time::timeout;

use self::call::{Call, Reply};
use self::refusal::Refusal;
use self::table::{ENDPOINTS, Endpoint};
use super::metrics::Outcome;
use super::token::AdminTokens;
use super::{Admin, Caller, MAX_BODY_BYTES};
use crate::revisions::Revisions;
use crate::serve::http;

/// How long an answer may take. What was begun goes on.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an endpoint says.
type Handled = BoxFuture<'static, Result<Reply, Refusal>>;

/// What endpoints work with.
pub struct Api {
    admin: Arc<Admin>,
    operators: Arc<Operators>,
    tokens: Option<Arc<AdminTokens>>,
    revisions: Option<Revisions>,
    spec: Value,
}

/// The routes, without the check of who asks.
pub(super) fn routes(
    admin: Arc<Admin>,
    operators: Arc<Operators>,
    tokens: Option<Arc<AdminTokens>>,
    revisions: Option<Revisions>,
) -> Router {
    let api = Arc::new(Api { admin, operators, tokens, revisions, spec: spec::document() });
    let mut paths: BTreeMap<&'static str, MethodRouter<Arc<Api>>> = BTreeMap::new();
    for endpoint in ENDPOINTS {
        let handler =
            move |State(api): State<Arc<Api>>, request: Request| answer(api, endpoint, request);
        let methods = paths.remove(endpoint.path).unwrap_or_default();
        paths.insert(endpoint.path, methods.on(endpoint.method.filter(), handler));
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        let of_path = ENDPOINTS.iter().filter(|endpoint| endpoint.path == path);
        let most = of_path.map(Endpoint::max_body).max().unwrap_or(MAX_BODY_BYTES);
        let methods = methods.fallback(wrong_method).layer(DefaultBodyLimit::max(most));
        router = router.route(path, methods);
    }
    router.with_state(api)
}

async fn answer(api: Arc<Api>, endpoint: &'static Endpoint, request: Request) -> Response {
    // Set once it is known who asks; without it nobody is.
    let caller = request.extensions().get::<Caller>().cloned();
    let Some(caller) = caller else {
        let denial = postern_request::Denial::missing_credential();
        return http::deny(&denial, &http::correlation_id(request.headers()));
    };
    let done = match read(&api, endpoint, &caller, request).await {
        Ok(call) => work(&api, endpoint, call).await,
        Err(refusal) => Err(refusal),
    };
    let outcome = match &done {
        Ok(_) if endpoint.method.is_safe() => Outcome::Listed,
        Ok(_) => Outcome::Changed,
        Err(refusal) => refusal.outcome(),
    };
    api.admin.metrics.answered(outcome);
    let id = &caller.correlation_id;
    if matches!(outcome, Outcome::Changed) {
        tracing::info!(
            correlation_id = id,
            remote = caller.remote.map(tracing::field::display),
            actor = caller.by.as_str(),
            operation = endpoint.id,
            "changed by the admin API"
        );
    }
    match done {
        Ok(reply) => {
            let (status, body) = reply.rendered(endpoint);
            http::answer(status, id, &body)
        }
        Err(refusal) => refusal.into_response(endpoint.id, id),
    }
}

/// What is asked, read strictly.
async fn read(
    api: &Api,
    endpoint: &Endpoint,
    caller: &Caller,
    request: Request,
) -> Result<Call, Refusal> {
    let (mut parts, body) = request.into_parts();
    let params = params(endpoint, &mut parts).await?;
    let query = query::Query::read(&parts.uri, endpoint.parameters())?;
    let mut bytes = axum::body::Bytes::new();
    if endpoint.body.is_some() {
        let says_none =
            endpoint.takes_no_body() && !parts.headers.contains_key(header::CONTENT_TYPE);
        if !says_none {
            call::check_content_type(&parts.headers)?;
        }
        let request = Request::from_parts(parts, body);
        let read = axum::body::Bytes::from_request(request, &()).await;
        bytes = read.map_err(|rejection| Refusal::from(super::refusal::unread(&rejection)))?;
        if says_none && !bytes.is_empty() {
            call::check_content_type(&HeaderMap::new())?;
        }
    }
    let now = (api.admin.clock)();
    Ok(Call { by: caller.by.clone(), now, params, query, body: bytes })
}

async fn params(endpoint: &Endpoint, parts: &mut Parts) -> Result<Vec<String>, Refusal> {
    if !endpoint.path.contains('{') {
        return Ok(Vec::new());
    }
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| Refusal::unreadable("The path is not UTF-8"))?;
    Ok(params.iter().map(|(_, value)| value.to_owned()).collect())
}

/// In a task of its own: a caller who goes away leaves nothing half done.
async fn work(api: &Arc<Api>, endpoint: &'static Endpoint, call: Call) -> Result<Reply, Refusal> {
    let working = tokio::spawn((endpoint.run)(Arc::clone(api), call));
    match timeout(PATIENCE, working).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::error!(%error, operation = endpoint.id, "the admin API broke off");
            Err(Refusal::unavailable())
        }
        Err(_) => Err(Refusal::unavailable()),
    }
}

async fn wrong_method(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    api.admin.metrics.answered(Outcome::Invalid);
    let refusal = Refusal::with_status(
        StatusCode::METHOD_NOT_ALLOWED,
        "The method is not allowed here",
        "method_wrong",
    );
    // `Allow` is added by the router, which knows the methods.
    refusal.into_response("", &http::correlation_id(&headers))
}

/// The specification.
async fn specification(api: Arc<Api>, _: Call) -> Result<Reply, Refusal> {
    Ok(Reply::Raw(api.spec.clone()))
}

#[cfg(test)]
mod tests;
