//! What requests and answers of `/admin/v1` look like. The specification's schemas are made of
//! these types, with their comments as texts.
//!
//! Bodies are flat: the reader takes a list for a struct, which is looked after for the outermost
//! alone.

mod api_keys;
mod circuits;
mod clients;
mod config;
mod others;
mod services;
mod users;

use postern_request::UnixMillis;
use serde::{Deserialize, Deserializer};

pub use api_keys::{ApiKey, ApiKeyChange, ApiKeyCreated, ApiKeyRotation, NewApiKey};
pub use circuits::{Circuit, CircuitForced};
pub use clients::{
    AuthMethodName, Client, ClientChange, ClientChanged, ClientCreated, ClientSecret, ClientType,
    GrantName, NewClient, SigningAlgorithm,
};
pub use config::{
    AppliedRevision, NewRevision, NewRollback, Revision, RevisionChange, RevisionChanges,
    RevisionDocument,
};
pub use others::{
    AuditEntry, Consent, Ended, InspectedToken, NewSigningKey, RetiredKey, RevokedToken, Session,
    SigningKey, TokenText,
};
pub use services::{Instance, NewInstance, Service};
pub use users::{Factor, NewUser, User, UserChange, UserChanged, UserCreated};

/// Tells a member that is null from one that is not there.
pub fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A moment as people and programs read it.
fn moment(at: UnixMillis) -> String {
    at.to_rfc3339()
}
