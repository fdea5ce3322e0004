//! What keeps somebody from logging in, for pages and answers; the log is told more.

use postern_request::RateLimitStatus;
use postern_store::StoreError;

use crate::IdentityError;

/// Why a log-in went no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The user's: e-mail or password, code or passkey. One answer for all, users who do not exist
    /// included.
    #[error("the credentials are wrong")]
    Credentials,
    /// The user's: the password is right and one of these factors is needed besides.
    #[error("a second factor is needed")]
    MfaRequired(Vec<&'static str>),
    /// The user's: the password is right, and what was shown besides is wrong, or was used already.
    #[error("the second factor is wrong")]
    MfaWrong(Vec<&'static str>),
    /// The user's, or somebody's who tries passwords out: too many tries.
    #[error("too many tries, again in {retry_after_secs} s")]
    Limited {
        /// When there is room again, in seconds.
        retry_after_secs: u64,
        /// Where the caller stands, for the limit headers.
        status: Option<RateLimitStatus>,
    },
    /// Ours, and it passes: more passwords wait to be hashed than can be.
    #[error("too many log-ins at once")]
    Busy,
    /// The operator's: the user is switched off.
    #[error("the user may not log in")]
    Blocked,
    /// The user's: the new password is not good enough; a word for what is wrong with it.
    #[error("the password is not accepted: {0}")]
    PasswordPolicy(&'static str),
    /// Nobody's: it took too long, or the cookie is gone.
    #[error("the log-in has expired")]
    Expired,
    /// The user's: the last of the wrong passwords and codes that one log-in has room for.
    #[error("too many wrong tries: the log-in is over")]
    Exhausted,
    /// The store's; its own text says whether a retry helps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ours; a retry does not help.
    #[error("the log-in failed")]
    Internal,
}

/// What operators are told goes to the log; people are told that it failed.
impl From<IdentityError> for LoginError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Store(error) => Self::Store(error),
            other => {
                tracing::error!(error = %other, "a log-in failed");
                Self::Internal
            }
        }
    }
}
