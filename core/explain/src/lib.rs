//! What a gateway document makes of one request, stage by stage, and why.
//!
//! [`explain`] decides nothing of its own: it calls the functions that the bundle and `ext_authz`
//! call, in their order, and says what each answered. That the order is theirs is held by a
//! property test against both (`tests/tests/explain_property.rs`).
//!
//! Deliberately absent: counting. Limits are named and not counted, circuits and revocations are
//! what the caller assumes of them, and whatever was assumed is said.

mod after;
mod api_key;
mod assume;
mod authorizer;
pub mod cases;
mod credential;
mod envoy;
mod failure;
mod gatekeeper;
mod json;
mod limits;
mod possession;
mod request;
mod rule;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod walk;

pub use assume::{
    Assumptions, LookUp, MeshPolicies, MeshVerdict, Part, Phase, Revoked, StoredKey,
    UpstreamFailure,
};
pub use json::to_json;
pub use request::{GivenClaims, Request, Shown};
pub use rule::{Effect, Rule, rules_of};
pub use step::{
    By, Explanation, Forwarded, LimitNote, Outcome, Place, Refusal, Share, Stage, Step, Verdict,
};
pub use text::to_text;
pub use walk::explain;
