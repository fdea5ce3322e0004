//! `ext_authz`: what a sidecar cannot decide for itself. API keys, browsers' sessions, how somebody
//! has authenticated, exact limits, circuits; one call to the store a decision. DPoP proofs too,
//! because whether one was seen before is known to the store alone; a proof takes a call of its
//! own, and so does a session that is not remembered. What it finds out goes back as dynamic
//! metadata, the evidence that the bundle behind it asks for. Browsers that lack a session it sends
//! to log in, where the route says so.
//!
//! [`Authorizer`] is the decision, in our own terms; [`AuthorizationService`] is the adapter to
//! Envoy's protocol. [`Tickets`] say what a request may get back from its limits once it has
//! ended. Deliberately absent: which store is behind the port, which documents there are
//! ([`Documents`]), where keys come from, how requests end.

mod adapter;
mod api_keys;
mod authorizer;
mod certificate;
mod documents;
mod keys;
mod limits;
mod metrics;
mod possession;
mod revoked;
mod sessions;
mod step_up;
#[cfg(test)]
mod tests;
mod tickets;
mod tokens;
mod touched;

pub use adapter::{AuthorizationService, document_of, keeps_circuits};
pub use api_keys::{ApiKeys, FoundKey};
pub use authorizer::{Answer, Authorizer, Incoming, Parts};
pub use documents::{Documents, Judged};
pub use keys::{CheckSignature, IssuerKeys, KeyPlace};
pub use metrics::Metrics;
pub use revoked::{Named, Revoked};
pub use sessions::Sessions;
pub use tickets::{
    GiveBackWhen, MAX_TICKET_CHARS, Owed, TICKET_LIFE_MS, Ticket, TicketError, Tickets,
};
pub use touched::Touched;
