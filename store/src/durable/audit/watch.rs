//! Who is told of what was written down.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::AuditEntry;

/// Is told of an entry. Called by whoever wrote it, so that it may not wait.
pub type Told = Box<dyn Fn(&AuditEntry) + Send + Sync>;

/// What a store tells of the entries that it has committed, by whichever port they came.
#[derive(Clone, Default)]
pub struct AuditWatch(Arc<OnceLock<Told>>);

impl AuditWatch {
    /// From now on, this one is told; the first one stays.
    pub fn set(&self, told: Told) {
        // Whoever comes second is dropped, which is no error.
        drop(self.0.set(told));
    }

    /// An entry is committed.
    pub fn tell(&self, entry: &AuditEntry) {
        if let Some(told) = self.0.get() {
            told(entry);
        }
    }
}

impl fmt::Debug for AuditWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditWatch(…)")
    }
}
