//! How the admin API says no, and how long it waits for what it asks.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::Response;
use postern_request::{Denial, ErrorCode};
use postern_store::StoreError;

use super::metrics::Outcome;
use super::{Admin, Caller};
use crate::serve::http;

/// Waits so long for a store and no longer.
pub async fn within<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    }
}

/// A body that could not be read.
pub fn unread(rejection: &BytesRejection) -> Denial {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Denial::new(ErrorCode::PayloadTooLarge, "body_too_large");
    }
    Denial::new(ErrorCode::BadRequest, "body_unread")
}

/// A request that makes no sense; the error says why and repeats nothing.
pub fn senseless(error: &impl Error) -> Denial {
    let mut denial = Denial::new(ErrorCode::BadRequest, "request_senseless");
    denial.description = Some(error.to_string().into());
    denial
}

impl Admin {
    /// Refuses a request that makes no sense.
    pub fn invalid(&self, caller: &Caller, denial: &Denial) -> Response {
        self.refuse(caller, Outcome::Invalid, denial)
    }

    /// Refuses a request because a store does not answer.
    pub fn unavailable(&self, caller: &Caller, store: &'static str, error: &str) -> Response {
        let correlation_id = &caller.correlation_id;
        tracing::error!(correlation_id, store, error, "a store failed the admin API");
        self.refuse(caller, Outcome::Unavailable, &Denial::unavailable("store_unavailable", 1))
    }

    fn refuse(&self, caller: &Caller, outcome: Outcome, denial: &Denial) -> Response {
        self.metrics.answered(outcome);
        http::deny(denial, &caller.correlation_id)
    }
}
