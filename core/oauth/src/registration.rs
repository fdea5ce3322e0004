//! Clients that register themselves (RFC 7591).
//!
//! Whoever registers is a stranger: what it says of itself is shown to people, so it is bounded
//! and has no characters that play tricks; where it wants to be sent is checked as an operator's
//! is; and it acts for users who agree, never for itself. What it says besides and nobody here
//! reads is left out of the answer (§2), which tells everything that was registered.

mod answer;
mod fields;
mod keys;
mod request;

pub use answer::RegistrationAnswer;
pub use request::{NewRegistration, RegistrationRequest};

use crate::{ErrorCode, GrantType, OAuthError};

/// Longest request that is read, in bytes.
pub const MAX_REGISTRATION_BYTES: usize = 16_384;
/// The scope of a token with which a client may be registered where not everybody may (§3, the
/// initial access token).
pub const REGISTER_SCOPE: &str = "client.register";

/// What a client that has registered itself may ask for tokens by. All of these take a user who
/// agrees: a client that nobody has looked at gets nothing for itself.
const GRANTS: [GrantType; 3] =
    [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode];

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests;
