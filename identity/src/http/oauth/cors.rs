//! Scripts of other origins that may read answers: those that the document names. They bring
//! their credentials in a header, never a cookie.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use postern_oauth::Endpoint;

use crate::http::reply;
use crate::http::router::Identity;

/// How long a browser may keep what it was told, in seconds.
static MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
/// What scripts may send, and read.
static SENT: HeaderValue = HeaderValue::from_static("authorization, content-type, dpop");
static READ: HeaderValue = HeaderValue::from_static("www-authenticate, x-correlation-id");
static METHODS: HeaderValue = HeaderValue::from_static("GET, POST");

/// Whether scripts may call this path at all; pages and redirects are for people.
pub(in crate::http) fn is_for_scripts(path: &str) -> bool {
    let endpoints = [Endpoint::Token, Endpoint::Revoke, Endpoint::Userinfo, Endpoint::Par];
    endpoints.into_iter().any(|endpoint| endpoint.path() == path)
}

/// The origin that sends this, where the document names it.
fn origin<'h>(identity: &Identity, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let mut origins = headers.get_all("origin").iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
    let rules = identity.oauth.rules();
    let is_named = |named: &String| named.as_bytes() == origin.as_bytes();
    rules.cors_origins.iter().any(is_named).then_some(origin)
}

/// Lets the scripts of named origins read an answer.
pub(super) fn allow(identity: &Identity, headers: &HeaderMap, mut response: Response) -> Response {
    let out = response.headers_mut();
    out.append("vary", HeaderValue::from_static("origin"));
    if let Some(origin) = origin(identity, headers) {
        out.insert("access-control-allow-origin", origin.clone());
        out.insert("access-control-expose-headers", READ.clone());
    }
    response
}

/// Answers the question that a browser asks first (Fetch §3.2.2).
pub(in crate::http) fn preflight(identity: &Identity, headers: &HeaderMap) -> Response {
    let mut response = allow(identity, headers, reply::nothing(headers, 204));
    if origin(identity, headers).is_some() {
        let out = response.headers_mut();
        out.insert("access-control-allow-methods", METHODS.clone());
        out.insert("access-control-allow-headers", SENT.clone());
        out.insert("access-control-max-age", MAX_AGE.clone());
    }
    response
}
