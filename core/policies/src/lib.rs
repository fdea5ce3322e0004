//! Istio's security policies: AuthorizationPolicy, PeerAuthentication and RequestAuthentication.
//!
//! Texts become [`Resources`], all problems of all files in one run. [`evaluate()`] says what a
//! workload's proxy makes of a request by them, and why, a [`Judge`] what it makes of many;
//! [`mutual_tls()`] what a port asks for; [`findings()`] what a reviewer should look at.
//!
//! The rules are those that istiod turns into Envoy's configuration, and Envoy's own where that
//! leaves something open. They were read from Istio's source, of which comments name the files and
//! functions (1.31), and from Envoy's. What those refuse is refused here too, with the line where
//! it stands. So are fields that nobody knows: the API server would drop them, and a rule without
//! one of its fields matches more.
//!
//! What differs between versions: namespaces and principals with characters that mean something in
//! expressions (`.`) are compared as they are written, which Istio does only since it was fixed
//! there; trust domains are known since 1.31, and every use is warned of; providers whose names are
//! no DNS labels are not taken, which older ones do not mind.
//!
//! What nobody said is not taken for something that is not there: a rule about an address that a
//! request does not have makes [`Decision::Unknown`] of what depends on it.
//!
//! Deliberately absent: reading files, asking Kubernetes, verifying tokens (the caller says what
//! holds), what CUSTOM's provider answers, paths that are not normalised, and ztunnel, which
//! decides by other rules.

mod evaluate;
mod findings;
mod mtls;
mod pattern;
mod request;
mod resources;
mod verdict;
mod workload;

pub use evaluate::{Judge, evaluate};
pub use findings::{Concern, Finding, findings};
pub use mtls::{Mtls, mutual_tls};
pub use pattern::Pattern;
pub use postern_document::{Problem, Source};
pub use postern_request::json::Value;
pub use request::{Http, Metadata, Parts, Peer, Proof, Request, Token, TokenPlace};
pub use resources::{
    Action, Attribute, AuthorizationPolicy, ClaimHeader, JwtRule, Meta, MtlsMode,
    PeerAuthentication, RequestAuthentication, Resources, Rule, Selection, Skipped, Target,
    TargetKind, Test, TokenHeader,
};
pub use verdict::{
    AllowedBy, Asked, BadToken, Decision, DeniedBy, NoProvider, Outcome, Reason, RuleOf, Step,
    TokenProblem, Verdict,
};
pub use workload::{Mesh, Port, Protocol, Provider, Proxy, Service, Workload};

/// How many resources all texts may hold together, those of other kinds included.
pub const MAX_RESOURCES: usize = 20_000;

#[cfg(test)]
mod tests;
