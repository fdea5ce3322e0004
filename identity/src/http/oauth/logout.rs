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
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    answer(&identity, &headers, form.map_err(OAuthError::from), now).await
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
    form: Result<Form, OAuthError>,
    now: UnixMillis,
) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(error) => return identity.browsers.tell(headers, Told::Error(error), now),
    };
    let session = match identity.browsers.session_to_end(headers, now).await {
        Ok(session) => session,
        Err(error) => {
            let told = Told::Error(crate::oauth::store_failed(&error));
            return identity.browsers.tell(headers, told, now);
        }
    };
    match identity.oauth.logout(&form, session.as_ref(), now).await {
        // The page asks, and comes back here without a session.
        Ok(LogoutAnswer::Confirm) => {
            let to = crate::oauth::confirm_location(&form);
            reply::redirect(headers, &to, true)
        }
        Ok(LogoutAnswer::Done(Some(location))) => {
            identity.browsers.forget(reply::redirect(headers, &location, true))
        }
        Ok(LogoutAnswer::Done(None)) => {
            identity.browsers.forget(identity.browsers.tell(headers, Told::LoggedOut, now))
        }
        Ok(LogoutAnswer::Onward(onward)) => {
            let told = Told::LoggedOutBy(onward);
            identity.browsers.forget(identity.browsers.tell(headers, told, now))
        }
        Err(error) => identity.browsers.tell(headers, Told::Error(error), now),
    }
}
