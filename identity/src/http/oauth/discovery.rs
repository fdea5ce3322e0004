//! What anybody may know: public keys and metadata (RFC 7517, RFC 8414, OpenID Connect Discovery,
//! RFC 9728).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_oauth::{PROTECTED_RESOURCE_PATH, ServerMetadata};

use crate::http::reply::{self, single};
use crate::http::router::{Identity, not_found};

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

/// Of the gateway itself, or of one of the document's resources by the path of its URL.
pub(super) async fn protected_resource(
    State(identity): State<Arc<Identity>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let rules = identity.oauth.told_rules((identity.clock)());
    let metadata = ServerMetadata { rules: &rules };
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let rest = target.strip_prefix(PROTECTED_RESOURCE_PATH).unwrap_or_default();
    let host = single(&headers, "host").one().and_then(|host| std::str::from_utf8(host).ok());
    match metadata.protected_resource_at(host, rest) {
        Some(body) => reply::public_json(&headers, body),
        None => not_found(State(identity), headers).await,
    }
}
