//! Which path is whose.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use postern_oauth::{AuthorizeFault, OAuthError};
use postern_request::{Denial, UnixMillis};
use postern_store::flows::SessionRecord;
use postern_store::{BoxFuture, StoreError};

use super::limits::RequestLimits;
use super::{oauth, reply};
use crate::{Clock, OAuthService, Onward};

/// What the endpoints work with.
pub struct Identity {
    /// Grants tokens.
    pub oauth: Arc<OAuthService>,
    /// Knows who sits in front of a browser, and talks to them.
    pub browsers: Arc<dyn Browsers>,
    /// Counts calls of strangers.
    pub limits: RequestLimits,
    /// Where the time comes from.
    pub clock: Clock,
}

/// People in front of browsers, for endpoints that browsers are sent to and that have no pages.
pub trait Browsers: Send + Sync {
    /// The session of whoever sent this request: by its cookie's secret, alive, not revoked, and
    /// of a browser that has not changed. None where there is no such session.
    ///
    /// # Errors
    /// Those of the store: nobody knows then, which is not the same as none.
    fn session<'a>(
        &'a self,
        headers: &'a HeaderMap,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>>;

    /// The same for whoever wants to log out, whatever is to be thought of the browser: a session
    /// that is taken for none would go on.
    ///
    /// # Errors
    /// Those of the store.
    fn session_to_end<'a>(
        &'a self,
        headers: &'a HeaderMap,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        self.session(headers, now)
    }

    /// A page that says why it goes no further.
    fn tell(&self, headers: &HeaderMap, told: Told, now: UnixMillis) -> Response;

    /// An answer that also takes the session's cookie away from the browser.
    fn forget(&self, response: Response) -> Response;
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The application sent them with a request that cannot be answered.
    Fault(AuthorizeFault),
    /// Something failed, ours or theirs.
    Error(OAuthError),
    /// An application that is a stranger to them does not get what it asked for.
    Refused(Onward),
    /// They are logged out.
    LoggedOut,
    /// They are, because a stranger has asked for it, who would have them at a place of its own.
    LoggedOutBy(Onward),
}

/// The endpoints, on their own paths. Everything else below them is answered here too, so that no
/// other router can come to own a part of it.
pub fn router(identity: Arc<Identity>) -> Router {
    let router = oauth::routes()
        .route("/oauth2", any(not_found))
        .route("/oauth2/", any(not_found))
        .route("/oauth2/{*rest}", any(not_found));
    router.layer(from_fn(reply::named)).with_state(identity)
}

/// A path that has these methods and says so to every other one.
pub(crate) fn only(methods: MethodRouter<Arc<Identity>>) -> MethodRouter<Arc<Identity>> {
    methods.fallback(wrong_method)
}

/// What is answered where nothing is.
pub(crate) async fn not_found(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
) -> Response {
    let denial = Denial::new(postern_request::ErrorCode::NotFound, "endpoint_unknown");
    reply::deny(&denial, &headers, (identity.clock)())
}

async fn wrong_method(
    State(identity): State<Arc<Identity>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method == Method::OPTIONS && oauth::cors::is_for_scripts(uri.path()) {
        return oauth::cors::preflight(&identity, &headers);
    }
    reply::wrong_method(&headers, (identity.clock)())
}
