//! Writes down who was known and refused.

use std::sync::{Arc, Mutex, PoisonError};

use postern_identity::admin::{Actor, Operators};
use postern_request::UnixMillis;

/// Most entries a minute: whoever has a token could fill the audit log otherwise. What is beyond
/// that, the server's own log has.
const MOST_A_MINUTE: u32 = 30;

/// Writes refusals to the audit log.
pub struct Denied {
    operators: Arc<Operators>,
    /// A minute, and how many there were in it.
    counted: Mutex<(u64, u32)>,
}

impl Denied {
    /// By way of the operators' own services.
    pub fn new(operators: Arc<Operators>) -> Self {
        Self { operators, counted: Mutex::default() }
    }

    /// Writes down that somebody was refused, without anybody waiting for it.
    pub fn write_down(&self, what: String, who: Actor, now: UnixMillis) {
        if !self.has_room(now) {
            return;
        }
        let operators = Arc::clone(&self.operators);
        tokio::spawn(async move {
            if let Err(error) = operators.denied(&what, &who, now).await {
                tracing::error!(%error, "a refusal was not written down");
            }
        });
    }

    fn has_room(&self, now: UnixMillis) -> bool {
        let minute = now.as_secs() / 60;
        // Nothing panics under this lock, so what a poisoned one guards is whole.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.0 != minute {
            *counted = (minute, 0);
        }
        counted.1 = counted.1.saturating_add(1);
        counted.1 <= MOST_A_MINUTE
    }
}
