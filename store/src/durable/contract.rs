//! The contract of [`IdentityStore`], as a test suite that every implementation passes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "assertions of a test suite, compiled for tests only"
)]

mod api_keys;
mod audit;
mod clients;
mod factors;
mod grants;
mod parallel;
mod revisions;
mod revocations;
mod services;
mod signing_keys;
mod users;

use postern_request::UnixMillis;

use super::{AuditEntry, ClientKind, ClientRecord, IdentityStore, Profile, UserRecord};
use crate::StoreError;

pub use parallel::run as parallel;

/// Runs the suite on an empty store.
///
/// # Panics
/// When the store breaks the contract.
pub async fn run(store: &dyn IdentityStore) {
    store.ping().await.unwrap();
    audit::nothing_yet(store).await;
    signing_keys::run(store).await;
    clients::run(store).await;
    api_keys::run(store).await;
    users::run(store).await;
    factors::run(store).await;
    grants::run(store).await;
    revocations::run(store).await;
    revisions::run(store).await;
    services::run(store).await;
    audit::run(store).await;
}

fn conflicts<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

/// What is said of a change.
fn entry(action: &str, target: &str) -> AuditEntry {
    AuditEntry {
        at: UnixMillis(1_800_000_000_123),
        actor: "cli:o'brien — \"ops\"".to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        detail: "{\"why\":\"'; -- é\"}".to_owned(),
    }
}

/// How many entries the audit log has: what is audited makes one more, and only that.
async fn entries(store: &dyn IdentityStore) -> u64 {
    store.audit_head().await.unwrap().map_or(0, |head| head.seq)
}

fn client(client_id: &str) -> ClientRecord {
    let (id, name) = (client_id.to_owned(), "Billing — nightly 'run'".to_owned());
    ClientRecord::new(id, name, ClientKind::Confidential, UnixMillis(1_700_000_000_123))
}

/// A user without anything that need not be.
pub(crate) fn user(id: &str, email: &str) -> UserRecord {
    UserRecord {
        id: id.to_owned(),
        email: email.to_owned(),
        role: "student".to_owned(),
        is_active: true,
        profile: Profile::default(),
        password: None,
        must_change_password: false,
        tier: None,
        created_at: UnixMillis(1_700_000_000_001),
        updated_at: UnixMillis(1_700_000_000_001),
    }
}
