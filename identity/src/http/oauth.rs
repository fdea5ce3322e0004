//! The endpoints of OAuth and OpenID Connect over HTTP: requests into the protocol's terms, and
//! what comes of them into answers.

mod asked;
mod authorize;
pub(super) mod cors;
mod device;
mod discovery;
mod logout;
mod register;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use postern_oauth::{
    AUTHORIZATION_SERVER_PATH, Endpoint, ErrorCode, MAX_BODY_BYTES, MAX_EXCHANGE_BYTES, OAuthError,
    OPENID_CONFIGURATION_PATH, PROTECTED_RESOURCE_PATH,
};

use super::Body;
use super::router::{Identity, only};

/// The endpoints. Those that the document does not turn on answer that they are not there.
pub(super) fn routes() -> Router<Arc<Identity>> {
    let of_resource = [PROTECTED_RESOURCE_PATH, "/{*rest}"].concat();
    // An exchange of tokens brings two of them; every other grant is held to less where it is read.
    let token = only(post(token::token)).layer(DefaultBodyLimit::max(MAX_EXCHANGE_BYTES));
    Router::new()
        .route(Endpoint::Authorize.path(), only(get(authorize::by_query).post(authorize::by_form)))
        .route(Endpoint::Token.path(), token)
        .route(Endpoint::Revoke.path(), only(post(token::revoke)))
        .route(Endpoint::Device.path(), only(post(device::device)))
        .route(Endpoint::Register.path(), only(post(register::register)))
        .route(Endpoint::Introspect.path(), only(post(token::introspect)))
        .route(Endpoint::Par.path(), only(post(token::push)))
        .route(Endpoint::Userinfo.path(), only(get(userinfo::userinfo).post(userinfo::userinfo)))
        .route(Endpoint::EndSession.path(), only(get(logout::by_query).post(logout::by_form)))
        .route(Endpoint::Jwks.path(), only(get(discovery::jwks)))
        .route(AUTHORIZATION_SERVER_PATH, only(get(discovery::authorization_server)))
        .route(OPENID_CONFIGURATION_PATH, only(get(discovery::openid_configuration)))
        .route(PROTECTED_RESOURCE_PATH, only(get(discovery::protected_resource)))
        .route(&of_resource, only(get(discovery::protected_resource)))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

fn read(body: Body) -> Result<Bytes, OAuthError> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            OAuthError::new(ErrorCode::RequestTooLarge, "The request is too large")
        } else {
            OAuthError::invalid_request("The body cannot be read")
        }
    })
}

/// Whether an endpoint is turned on; the same answer as for a path that nobody has where it is
/// not.
macro_rules! served {
    ($identity:ident, $headers:ident, $endpoint:expr) => {
        if !$identity.oauth.serves($endpoint) {
            return $crate::http::router::not_found(axum::extract::State($identity), $headers)
                .await;
        }
    };
}
pub(crate) use served;
