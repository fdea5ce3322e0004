//! The authorization server.

use super::CertificateSource;

pub use crate::raw::{
    RawOAuthGrant as OAuthGrant, RawRegistrationMode as RegistrationMode,
    RawSigningAlgorithm as SigningAlgorithm,
};

/// The authorization server; nothing of it is served without this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// What clients may ask for, and what people are told about it: text by the scope's name.
    pub scopes: Vec<(String, String)>,
    /// Ways to get tokens.
    pub grants: Vec<OAuthGrant>,
    /// How long an access token lives at most, in seconds.
    pub access_token_secs: u64,
    /// What access tokens are signed with.
    pub algorithm: SigningAlgorithm,
    /// Refresh tokens.
    pub refresh: RefreshRules,
    /// How long an authorization code lives, in seconds.
    pub code_secs: u64,
    /// Whether every authorization request must be pushed (RFC 9126).
    pub require_par: bool,
    /// What tokens may be asked for besides the issuer itself (RFC 8707).
    pub resources: Vec<ProtectedResource>,
    /// Clients that register themselves (RFC 7591).
    pub registration: Registration,
    /// How old a signing key becomes before another one is made, in milliseconds; none where
    /// operators make them.
    pub rotate_every_ms: Option<u64>,
    /// Log-in on another device (RFC 8628).
    pub device: DeviceRules,
    /// Where a client's certificate is seen by which it authenticates (RFC 8705); none where no
    /// client does.
    pub mutual_tls: Option<CertificateSource>,
    /// Origins whose scripts may read answers.
    pub cors_origins: Vec<String>,
}

/// How long refresh tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRules {
    /// Without being used, in seconds.
    pub secs: u64,
    /// The same where the user asked to be remembered.
    pub remembered_secs: u64,
    /// How long a spent one gets its answer again, in milliseconds; not at all where it is 0.
    pub grace_ms: u64,
}

/// What tokens may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    /// Its URL, without fragment.
    pub resource: String,
    /// The scopes that make sense there; all where it is empty.
    pub scopes: Vec<String>,
}

/// Clients that register themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Who may.
    pub mode: RegistrationMode,
    /// What such a client may ask for at most.
    pub scopes: Vec<String>,
    /// After how long without use it is deleted, in milliseconds.
    pub unused_for_ms: u64,
}

/// Log-in on another device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRules {
    /// How long its codes live, in seconds.
    pub secs: u64,
    /// How often a device may ask, in seconds.
    pub interval_secs: u64,
}
