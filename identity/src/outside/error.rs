//! Why logging in at an outside provider came to nothing.

use postern_store::StoreError;

use crate::ports::OutboundError;
use crate::{IdentityError, LoginError};

/// Why it went no further. People are told less than the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// The caller's: the document has no provider of this name.
    #[error("there is no such provider")]
    Unknown,
    /// Nobody's, or an attacker's: `state` was used, is over, or belongs to another browser or
    /// another provider.
    #[error("the answer belongs to no log-in of this browser: {0}")]
    State(&'static str),
    /// The user's, or the provider's: it has signed nobody in.
    #[error("the provider has signed nobody in")]
    Denied,
    /// The provider's, or the network's; a retry may help.
    #[error("the provider does not answer: {0}")]
    Away(OutboundError),
    /// The provider's, or the operator's: what it says is not to be believed, or cannot be used.
    #[error("the provider's answer does not hold: {0}")]
    Answer(&'static str),
    /// The provider's: it does not vouch for an e-mail, and the document wants one.
    #[error("the provider vouches for no e-mail")]
    Email,
    /// The user's: the e-mail is at another domain than the document lets in.
    #[error("the e-mail is at a domain that may not log in")]
    Domain,
    /// The user's: nobody here, and the document makes nobody of them.
    #[error("nobody here is who the provider vouches for")]
    Nobody,
    /// The operator's: somebody here has the e-mail, whom the document does not link.
    #[error("somebody else has the e-mail")]
    Taken,
    /// The operator's: a second factor is asked of people who have no record to keep one in.
    #[error("a second factor is asked of somebody who is nobody here")]
    SecondFactor,
    /// As with every log-in.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl From<StoreError> for OutsideError {
    fn from(error: StoreError) -> Self {
        Self::Login(error.into())
    }
}

impl From<IdentityError> for OutsideError {
    fn from(error: IdentityError) -> Self {
        Self::Login(error.into())
    }
}
