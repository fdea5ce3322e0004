//! What a gateway document makes of one request, stage by stage, and why.
//!
//! [`explain`] decides nothing of its own: it calls the functions that the bundle and `ext_authz`
//! call, in their order, and says what each answered. That the order is theirs is held by a
//! property test against both (`tests/tests/explain_property.rs`).
//!
//! A route that a workload guards is walked twice, at the edge and beside the workload, and each
//! step says where it was taken.
//!
//! Deliberately absent: counting. Limits are named and not counted, shares of versions are told and
//! not drawn, circuits and revocations are what the caller assumes of them, and whatever was
//! assumed is said.

mod after;
mod api_key;
mod arrive;
mod assume;
mod authorizer;
pub mod cases;
mod claims;
mod credential;
mod envoy;
mod failure;
mod gatekeeper;
mod here;
mod json;
mod limits;
mod mesh;
mod message;
mod nearest;
mod outcome;
mod peer;
mod possession;
mod readable;
mod request;
mod rule;
mod secret;
mod session;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod traffic;
mod walk;

pub use postern_document::Place;

pub use assume::{Assumptions, LookUp, Part, Revocations, Revoked, StoredKey, UpstreamFailure};
pub use json::to_json;
pub use mesh::{MeshPolicies, MeshRequest, MeshVerdict, Phase};
pub use outcome::{Explanation, Forwarded, LimitNote, Outcome, Refusal, SentToLogIn, Share};
pub use peer::{entry, peer_id};
pub use request::{GivenClaims, GivenSession, Request, Shown};
pub use rule::{Effect, Rule, rules_of};
pub use step::{By, Stage, Step, Verdict};
pub use text::to_text;
pub use walk::explain;
