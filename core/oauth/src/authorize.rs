//! The authorization endpoint (RFC 6749 §3.1).

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
