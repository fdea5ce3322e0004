//! Who a token speaks for (OpenID Connect Core §5.3).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use postern_oauth::{ChallengeScheme, Endpoint};
use postern_request::headers::{AUTHORIZATION, DPOP};

use super::asked::Asked;
use super::token::refused;
use super::{cors, served};
use crate::UserinfoCall;
use crate::http::reply::{self, single};
use crate::http::router::Identity;

/// By GET and by POST alike: the token is in the header.
pub(super) async fn userinfo(
    State(identity): State<Arc<Identity>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    served!(identity, headers, Endpoint::Userinfo);
    let now = (identity.clock)();
    let asked = match Asked::of(&identity, &headers) {
        Ok(asked) => asked,
        Err(error) => {
            let error = error.at_resource(ChallengeScheme::Bearer);
            return cors::allow(&identity, &headers, refused(&identity, &headers, error));
        }
    };
    let call = UserinfoCall {
        method: method.as_str(),
        authorization: single(&headers, AUTHORIZATION),
        dpop: single(&headers, DPOP),
        certificate: asked.certificate.as_ref().map(|certificate| certificate.sha256),
    };
    let response = match identity.oauth.userinfo(call, now).await {
        Ok(body) => reply::private_json(&headers, body),
        Err(error) => refused(&identity, &headers, error),
    };
    cors::allow(&identity, &headers, response)
}
