//! What anybody may know: public keys and metadata (RFC 7517, RFC 8414, OpenID Connect Discovery).

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_oauth::ServerMetadata;

use crate::http::reply;
use crate::http::router::Identity;

pub(super) async fn jwks(State(identity): State<Arc<Identity>>, headers: HeaderMap) -> Response {
    let now = (identity.clock)();
    reply::public_json(&headers, identity.oauth.issuer().ring().jwks(now))
}

pub(super) async fn authorization_server(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
) -> Response {
    let rules = identity.oauth.told_rules((identity.clock)());
    reply::public_json(&headers, ServerMetadata { rules: &rules }.authorization_server())
}

pub(super) async fn openid_configuration(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
) -> Response {
    let rules = identity.oauth.told_rules((identity.clock)());
    reply::public_json(&headers, ServerMetadata { rules: &rules }.openid_configuration())
}
