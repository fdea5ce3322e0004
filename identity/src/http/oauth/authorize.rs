//! Where clients send browsers (RFC 6749 §3.1).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_oauth::{AuthorizeFault, Endpoint};

use super::{Body, served};
use crate::Authorized;
use crate::http::limits::Limited;
use crate::http::reply::{self, single};
use crate::http::router::{Identity, Told};

pub(super) async fn by_query(
    State(identity): State<Arc<Identity>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    served!(identity, headers, Endpoint::Authorize);
    let now = (identity.clock)();
    let query = uri.query().unwrap_or_default();
    let authorized = async {
        let session = identity.browsers.session(&headers, now).await;
        let session = session.map_err(|error| crate::oauth::store_failed(&error))?;
        let id = reply::correlation_id(&headers);
        identity.oauth.authorize(query.as_bytes(), session.as_ref(), &id, now).await
    };
    match authorized.await {
        Ok(Authorized::Redirect(location)) => reply::redirect(&headers, &location, false),
        Ok(Authorized::LogIn { return_to, hint, acr, again }) => {
            let to = crate::oauth::login_location(&return_to, hint.as_deref(), acr, again);
            reply::redirect(&headers, &to, true)
        }
        Ok(Authorized::Consent(ask)) => {
            reply::redirect(&headers, &crate::oauth::consent_location(&ask.query), true)
        }
        Ok(Authorized::Refused(onward)) => {
            identity.browsers.tell(&headers, Told::Refused(onward), now)
        }
        Ok(Authorized::Fault(fault)) => identity.browsers.tell(&headers, Told::Fault(fault), now),
        Err(error) => identity.browsers.tell(&headers, Told::Error(error), now),
    }
}

/// OpenID Connect Core §3.1.2.1. A form of another site brings no cookie along that is
/// `SameSite=Lax`, so its parameters are kept and the browser comes back for them: a navigation
/// does bring it.
pub(super) async fn by_form(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::Authorize);
    let now = (identity.clock)();
    // What comes is kept, and nobody has said yet who they are.
    if let Err(error) =
        identity.limits.take(Limited::Request, &identity.oauth.rules(), &headers, now).await
    {
        return reply::limited(&headers, &error, now);
    }
    let Ok(body) = super::read(body) else {
        let told = Told::Fault(AuthorizeFault::TooLarge);
        return identity.browsers.tell(&headers, told, now);
    };
    let kept = identity.oauth.keep_form(single(&headers, "content-type"), &body, now).await;
    match kept {
        Ok(Ok(location)) => reply::redirect(&headers, &location, true),
        Ok(Err(fault)) => {
            let id = reply::correlation_id(&headers);
            identity.oauth.note_fault(&body, fault, &id, now).await;
            identity.browsers.tell(&headers, Told::Fault(fault), now)
        }
        Err(error) => identity.browsers.tell(&headers, Told::Error(error), now),
    }
}
