//! The gateway document: what a platform team writes, and what everything else runs from.
//!
//! Text (one YAML file or a folder of fragments, or the JSON that `render` hands to filters)
//! becomes a tree of nodes that know their place, then raw records, then the checked
//! [`Document`]. Every step goes on after a problem, so that one run reports all of them.
//!
//! Deliberately absent: reading files (the caller hands in texts) and what Envoy or Istio make
//! of the document (`postern-render`).

#![cfg_attr(
    not(feature = "messages"),
    expect(dead_code, reason = "filters write no documents, and say nothing of them")
)]

mod check;
mod counted;
#[cfg(feature = "messages")]
mod current;
mod decode;
mod digest;
#[cfg(feature = "yaml")]
mod fragments;
mod host;
mod load;
#[cfg(feature = "messages")]
mod lookup;
mod matcher;
mod model;
#[cfg(feature = "messages")]
mod narrow;
mod node;
#[cfg(feature = "messages")]
mod notes;
#[cfg(feature = "yaml")]
mod parts;
#[cfg(feature = "messages")]
mod place;
mod problem;
pub mod raw;
mod schema;
mod template;
mod value;
#[cfg(feature = "yaml")]
pub mod yaml;

pub use counted::Counted;
#[cfg(feature = "messages")]
pub use current::Current;
pub use host::{HostPattern, host_of};
#[cfg(feature = "yaml")]
pub use load::load;
pub use load::{Source, from_json};
pub use matcher::{Matcher, VirtualHost};
#[cfg(feature = "messages")]
pub use model::{
    ADMIN_SCOPE, Breached, BreachedSource, Browser, Bulkhead, CanaryPick, Colours, DescriptorEntry,
    DeviceRules, Discover, Endpoint, Fault, FaultAbort, FaultDelay, Fingerprint, FingerprintPart,
    Guard, Hash, HashAlgorithm, HashBy, HeaderValue, Health, HealthBy, Keepalive, Login, LoginAt,
    LoginLimits, Mesh, MfaProblem, OAuth, OAuthGrant, OnChange, Outliers, OutsideProvider,
    OutsideUsers, Pages, PasskeyRules, PasswordRules, Pool, PreferredZone, ProtectedResource,
    RateLimitFilter, RefreshRules, Registration, RegistrationMode, RetryBudget, Role, RoleClaim,
    ServiceRegistry, SessionRules, SigningAlgorithm, Upstream, Version, Visit, Workload,
};
pub use model::{
    Allowance, ApiKey, AppliedLimit, Auth, BoundTokens, CertificateSource, ClaimRule, Document,
    Dpop, Enforce, Failures, Fallback, Feed, FeedIdentity, FeedPeer, FixedAnswer, ForwardedCert,
    JwksSource, JwtIssuer, KeysBy, Limit, LimitMode, Mfa, OnFailure, Proof, Retries, Revocation,
    Route, SecurityHeaders, Service, SessionCookie, Skip, Stale, StoreFailure, Stores, TokenPlace,
    TokenRules, Transform,
};
#[cfg(feature = "messages")]
pub use place::Place;
pub use postern_limits::rate::parse_duration_ms;
pub use problem::{Position, Problem};
pub use schema::json_schema;
pub use template::{PathTemplate, Segment};
pub use value::{HeaderRules, Placeholder, ValueTemplate};
