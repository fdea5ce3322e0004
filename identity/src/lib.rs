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
mod audit;
mod breached;
mod claims;
mod clients;
mod der;
mod ending;
mod error;
mod held;
mod http;
mod id_token;
mod key_source;
mod keys;
mod login;
mod metrics;
mod oauth;
mod outside;
mod passkeys;
pub mod ports;
mod random;
mod seal;
mod sign;
mod signing_key;
mod tokens;
mod vault;
mod verifier;

pub use audit::entry as audit_entry;
pub use breached::{BreachedFile, BreachedMetrics, BreachedRange, CountedBreached};
pub use ending::{Ending, retry_ends};
pub use error::IdentityError;
pub use http::{
    AuthApi, Bearer, Browsers, Cookies, CurrentPages, Identity, OwnTokens, Pages, PagesConfig,
    PagesParts, RequestLimits, Tokens, Told, auth_router, outside_router, pages_router, router,
};
pub use key_source::{EnvKey, FileKey, KeySource};
pub use keys::schedule::{KeySchedule, Rotations, rotate_on_schedule};
pub use keys::{KeyRing, MAX_PUBLISHED_KEYS, refresh_every};
pub use login::{
    ADMIN_SCOPE, Agent, Argon2Parameters, Authenticated, BrowserVerdict, Caller, CurrentLoginRules,
    CurrentLoginTools, DirectLogin, DirectSession, Enrolled, FLOW_LIFE_MS, Factor, FactorService,
    FactorSummary, Flow, Hasher, Known, LOGIN_CLIENT_ID, LoggedIn, LoginError, LoginLimiter,
    LoginParts, LoginRules, LoginService, LoginTools, MAX_PASSWORD_CHARS, Outcome, OutsidePerson,
    Person, Screen, Taken, TotpEnrolment, Verdict, Verified, hashing_threads,
};
pub use login::{Consented, Removal};
pub use metrics::{IdentityMetrics, KeyMetrics, LoginMetrics, OAuthMetrics, OutsideMetrics};
pub use oauth::{
    Authorized, ConsentAsk, CurrentOAuthRules, DeviceAsk, LogoutAnswer, OAuthParts, OAuthRules,
    OAuthService, Onward, Pushing, Refresher, RegisterCall, TokenAnswer, TokenCall, UserinfoCall,
    keep_used_clients,
};
pub use outside::{
    OutsideError, OutsideParts, OutsideService, OutsideStart, OutsideStarted, Providers,
};
pub use passkeys::WebauthnPasskeys;
pub use seal::{KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey};
pub use tokens::{
    AccessTokenRequest, DEFAULT_LIFETIME_SECS, IssuedToken, MAX_LIFETIME_SECS, TokenIssuer,
};
pub use vault::{Purpose, Vault};
pub use verifier::AwsLcVerifier;

/// Where the time comes from: the system's clock in the server, a number in tests.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;
