//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2).
//!
//! A request is read in three steps, so that nothing is ever sent to an unverified place: who
//! asks ([`Received`]), where they are answered ([`Verified`]), and only then the rest
//! ([`AuthorizeRequest`]), whose faults go back to the client. [`decide`] says what happens next.

mod consented;
mod decide;
mod kept;
mod prompt;
mod received;
mod request;
mod response;

pub(crate) use decide::check_reach;
pub use decide::{Browser, Consented, Next, SessionFacts, decide};
pub(crate) use decide::{scopes_of_client, scopes_of_user};
pub use kept::{KeptRequest, PUSHED_SECS};
pub use prompt::Prompts;
pub use received::{MAX_QUERY_BYTES, MAX_STATE_BYTES, REQUEST_URI_PREFIX, Received, Verified};
pub use request::AuthorizeRequest;
pub use response::{AuthorizeError, failure, success};

use crate::FormError;

/// Why a request gets no answer at the client: who asks, or where to answer, is not certain, so
/// the user is told and nothing is redirected (RFC 6749 §4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthorizeFault {
    /// The client's: the parameters cannot be read, or one is there twice.
    #[error("the authorization request cannot be read")]
    Unreadable,
    /// The client's: above a bound.
    #[error("the authorization request is too large")]
    TooLarge,
    /// The client's: no `client_id`, or no active client has it.
    #[error("the client is not known")]
    UnknownClient,
    /// The client's: `redirect_uri` is not registered, or it must be named and is not.
    #[error("the redirect URI is not registered for this client")]
    RedirectUri,
    /// The client's, or the user's who waited too long: `request_uri` is not one that this client
    /// was given (RFC 9126 §4), or its time is over.
    #[error("the pushed authorization request is not known, or it has expired")]
    UnknownRequest,
}

impl AuthorizeFault {
    /// A stable word for the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::UnknownClient => "unknown_client",
            Self::RedirectUri => "redirect_uri",
            Self::UnknownRequest => "unknown_request",
        }
    }
}

impl From<FormError> for AuthorizeFault {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge => Self::TooLarge,
            FormError::Encoding | FormError::Repeated => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests;
