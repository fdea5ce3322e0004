//! Log-out that a client asks for (OpenID Connect RP-Initiated Logout).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_oauth::{Endpoint, Form, OAuthError};
use postern_request::UnixMillis;

use super::{Body, served};
use crate::LogoutAnswer;
use crate::http::reply::{self, single};
use crate::http::router::{Identity, Told};

pub(super) async fn by_query(
    State(identity): State<Arc<Identity>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    served!(identity, headers, Endpoint::EndSession);
    let now = (identity.clock)();
    let query = uri.query().unwrap_or_default();
    let answered = answer(&identity, &headers, query, now).await;
    answered.unwrap_or_else(|error| identity.browsers.tell(&headers, Told::Error(error), now))
}

/// A form of another site brings no cookie along: there is no session then, and the browser is
/// sent on as if it had logged out before. So it comes back by GET.
pub(super) async fn by_form(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::EndSession);
    let now = (identity.clock)();
    let form =
        super::read(body).and_then(|body| Form::read(single(&headers, "content-type"), &body));
    match form {
        Ok(form) => {
            let to = crate::oauth::logout_location(&form);
            reply::redirect(&headers, &to, true)
        }
        Err(error) => identity.browsers.tell(&headers, Told::Error(error), now),
    }
}

async fn answer(
    identity: &Identity,
    headers: &HeaderMap,
    query: &str,
    now: UnixMillis,
) -> Result<Response, OAuthError> {
    let browsers = &identity.browsers;
    let form = Form::parse(query.as_bytes())?;
    let session = browsers.session_to_end(headers, now).await;
    let session = session.map_err(|error| crate::oauth::store_failed(&error))?;
    Ok(match identity.oauth.logout(&form, session.as_ref(), now).await? {
        // The page asks, and comes back here without a session.
        LogoutAnswer::Confirm => {
            reply::redirect(headers, &crate::oauth::confirm_location(&form), true)
        }
        LogoutAnswer::Done(Some(location)) => {
            browsers.forget(reply::redirect(headers, &location, true))
        }
        LogoutAnswer::Done(None) => browsers.forget(browsers.tell(headers, Told::LoggedOut, now)),
        LogoutAnswer::Onward(onward) => {
            browsers.forget(browsers.tell(headers, Told::LoggedOutBy(onward), now))
        }
    })
}
