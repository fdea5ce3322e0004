//! What is counted of the audit log: the entries that this server has committed, by whichever part
//! they came.

use anyhow::Result;
use postern_store::durable::AuditStore;
use postern_telemetry::MetricsRegistry;
use prometheus::{IntCounterVec, Opts};

/// Counts from now on. Actions are words of ours.
///
/// # Errors
/// When the metric cannot be registered.
pub fn watch(store: &dyn AuditStore, registry: &MetricsRegistry) -> Result<()> {
    let entries = registry.register(IntCounterVec::new(
        Opts::new(
            "postern_audit_entries_total",
            "Entries that this server has written to the audit log.",
        ),
        &["action"],
    ))?;
    store.watch_audit(Box::new(move |entry| {
        entries.with_label_values(&[entry.action.as_str()]).inc();
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use postern_identity::audit_entry;
    use postern_request::UnixMillis;
    use postern_store::durable::memory::MemoryDurableStore;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_counted_by_its_action() {
        let store = MemoryDurableStore::new();
        let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
        watch(&store, &registry).unwrap();
        for action in ["user.created", "user.created", "login.failed"] {
            let entry = audit_entry(UnixMillis(5), "system", action, "u", &[]);
            store.append_audit(&entry).await.unwrap();
        }
        let text = registry.encode(std::time::Instant::now()).unwrap();
        let count = |action: &str| {
            let start = format!("postern_audit_entries_total{{action=\"{action}\"");
            text.lines()
                .find(|line| line.starts_with(&start))
                .and_then(|line| line.rsplit(' ').next())
        };
        assert_eq!((count("user.created"), count("login.failed")), (Some("2"), Some("1")));
    }
}
