//! What operators do at the command line, for the audit log.

use anyhow::{Context as _, Result};
use postern_identity::admin::Actor;
use postern_identity::audit_entry;
use postern_request::UnixMillis;
use postern_revocation::Revocation;
use postern_store::durable::AuditStore;

/// Who runs the command: `cli:NAME`, by the name that the machine knows them by. Whoever may write
/// to the store may also say to be somebody else: the name is a help, and no proof.
pub fn actor() -> String {
    Actor::command_line(std::env::var("USER").ok().as_deref()).as_str().to_owned()
}

/// What is said of a revocation besides its value.
pub fn revoked(revocation: &Revocation) -> [(&'static str, &str); 2] {
    [("kind", revocation.kind().as_str()), ("issuer", revocation.issuer())]
}

/// Writes down what was done just now.
///
/// # Errors
/// The store's. What was done stays done, which the error says.
pub async fn record(
    store: &(impl AuditStore + ?Sized),
    action: &str,
    target: &str,
    detail: &[(&str, &str)],
    now: UnixMillis,
) -> Result<()> {
    let entry = audit_entry(now, &actor(), action, target, detail);
    let written = store.append_audit(&entry).await;
    written.with_context(|| format!("it is done, but not in the audit log ({action} {target})"))?;
    Ok(())
}
