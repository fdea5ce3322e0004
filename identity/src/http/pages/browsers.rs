//! The pages, for endpoints that browsers are sent to and that have none of their own.

use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{logged_out, logged_out_by_stranger};
use postern_request::UnixMillis;
use postern_store::flows::SessionRecord;
use postern_store::{BoxFuture, StoreError};

use super::consent::{kind_of, kind_of_fault};
use super::visit::Visit;
use super::{Pages, answer};
use crate::LoginError;
use crate::http::reply::correlation_id;
use crate::http::router::{Browsers, Told};

impl Browsers for Pages {
    fn session<'a>(
        &'a self,
        headers: &'a HeaderMap,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let visit = Visit { now, ..Visit::new(self, headers) };
            let found = visit.session().await.map_err(told);
            Ok(found?.map(|(_, session)| session))
        })
    }

    fn session_to_end<'a>(
        &'a self,
        headers: &'a HeaderMap,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let visit = Visit { now, ..Visit::new(self, headers) };
            let found = visit.found().await.map_err(told);
            Ok(found?.map(|found| found.session))
        })
    }

    fn tell(&self, headers: &HeaderMap, told: Told, now: UnixMillis) -> Response {
        let visit = Visit { now, ..Visit::new(self, headers) };
        match told {
            Told::Fault(fault) => {
                let correlation_id = correlation_id(headers);
                tracing::info!(%fault, correlation_id, "a browser was sent with a bad request");
                visit.error(kind_of_fault(fault))
            }
            Told::Error(error) => {
                let (code, reason) = (error.code.as_str(), error.reason());
                let correlation_id = correlation_id(headers);
                tracing::info!(code, reason, correlation_id, "a browser goes no further");
                visit.error(kind_of(&error))
            }
            Told::Refused(onward) => visit.refused(&onward),
            Told::LoggedOut => visit.page(logged_out(&visit.look())),
            Told::LoggedOutBy(onward) => {
                visit.page(logged_out_by_stranger(&answer::onward(&onward), &visit.look()))
            }
        }
    }

    fn forget(&self, mut response: Response) -> Response {
        answer::cookie(&mut response, self.cookies.end_session());
        response
    }
}

fn told(error: LoginError) -> StoreError {
    match error {
        LoginError::Store(error) => error,
        // Nothing else is looked at for a session.
        error => StoreError::Corrupt(error.to_string()),
    }
}
