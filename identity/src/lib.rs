//! The authorization server: it holds signing keys, makes access tokens, knows clients and
//! answers the OAuth endpoints.
//!
//! Only this crate ever sees a private key in the clear. Rules of the protocol live in
//! `postern-oauth`, which does no I/O; here they meet the store, the clock and AWS-LC.
//!
//! Deliberately absent: HTML (`postern-identity-pages`), and calls to others, which the server
//! makes behind [`ports`]. Metadata names only what is served.

use std::sync::Arc;

use postern_request::UnixMillis;

pub mod admin;
mod clients;
mod der;
mod error;
mod http;
mod keys;
mod login;
mod metrics;
mod oauth;
pub mod ports;
mod random;
mod seal;
mod signing_key;
mod tokens;
mod verifier;

pub use error::IdentityError;
pub use http::{IdentityService, router};
pub use keys::{KeyRing, MAX_PUBLISHED_KEYS, refresh_every};
pub use login::{
    Caller, DirectLogin, DirectSession, LoggedIn, LoginError, Outcome, OutsidePerson, Screen,
};
pub use metrics::IdentityMetrics;
pub use oauth::{Authorized, ConsentAsk, TokenAnswer};
pub use seal::{KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey};
pub use tokens::{
    AccessTokenRequest, DEFAULT_LIFETIME_SECS, IssuedToken, MAX_LIFETIME_SECS, TokenIssuer,
};
pub use verifier::AwsLcVerifier;

/// Where the time comes from: the system's clock in the server, a number in tests.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;
