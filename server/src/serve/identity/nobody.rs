//! People in front of browsers, where the document lets nobody log in.

use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity::{Browsers, Told};
use postern_request::{Denial, ErrorCode, UnixMillis};
use postern_store::flows::SessionRecord;
use postern_store::{BoxFuture, StoreError};

use crate::serve::http;

/// There is nobody. `check` wants `login` wherever browsers are sent, so that nothing asks here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Browsers for Nobody {
    fn session<'a>(
        &'a self,
        _: &'a HeaderMap,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn tell(&self, headers: &HeaderMap, _: Told, _: UnixMillis) -> Response {
        let denial = Denial::new(ErrorCode::NotFound, "endpoint_unknown");
        http::deny(&denial, &http::correlation_id(headers))
    }

    fn forget(&self, response: Response) -> Response {
        response
    }
}

#[cfg(test)]
mod tests {
    use postern_oauth::OAuthError;

    use super::*;

    #[tokio::test]
    async fn where_nobody_logs_in_nobody_is_known_and_nothing_is_there() {
        let headers = HeaderMap::new();
        let session = Nobody.session(&headers, UnixMillis(1)).await.unwrap();
        assert!(session.is_none());
        for told in [Told::LoggedOut, Told::Error(OAuthError::unavailable())] {
            assert_eq!(Nobody.tell(&headers, told, UnixMillis(1)).status(), 404);
        }
    }
}
