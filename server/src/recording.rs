//! What operators do at the command line, for the audit log.

use anyhow::{Context as _, Result};
use postern_identity::audit_entry;
use postern_request::UnixMillis;
use postern_revocation::Revocation;
use postern_store::durable::AuditStore;

/// Longest name of whoever runs the command, in bytes.
const LONGEST_NAME: usize = 64;

/// Who runs the command: `cli:NAME`, by the name that the machine knows them by. Whoever may write
/// to the store may also say to be somebody else: the name is a help, and no proof.
pub fn actor() -> String {
    named(std::env::var("USER").ok().as_deref())
}

fn named(user: Option<&str>) -> String {
    let is_name = |name: &&str| {
        (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@\\".contains(&byte))
    };
    user.filter(is_name).map_or_else(|| "cli".to_owned(), |name| format!("cli:{name}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_become_actors() {
        for (user, expected) in [
            (None, "cli"),
            (Some(""), "cli"),
            (Some("ops"), "cli:ops"),
            (Some("a.b-c_d@corp"), "cli:a.b-c_d@corp"),
            (Some("a b"), "cli"),
            (Some("a\nb"), "cli"),
            (Some("ä"), "cli"),
        ] {
            assert_eq!(named(user), expected, "{user:?}");
        }
        assert_eq!(named(Some(&"a".repeat(65))), "cli");
    }
}
