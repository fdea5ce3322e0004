//! Sending one call again and again beside a test, to see that something never happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::client::{Call, Client};

const PAUSE: Duration = Duration::from_millis(10);

/// Sends until it is asked what it has seen.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    task: JoinHandle<BTreeMap<u16, u32>>,
}

impl Watch {
    /// Begins. A call without an answer, as while an Envoy starts, is nothing seen.
    #[must_use]
    pub fn begin(client: Client, call: Call) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let task = tokio::spawn(async move {
            let mut seen: BTreeMap<u16, u32> = BTreeMap::new();
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(answer) = client.try_send(&call).await {
                    *seen.entry(answer.status).or_default() += 1;
                }
                tokio::time::sleep(PAUSE).await;
            }
            seen
        });
        Self { over, task }
    }

    /// Ends, and asserts that nothing but these was answered.
    ///
    /// # Panics
    /// When anything else was, or nothing at all.
    pub async fn end(mut self, allowed: &[u16]) {
        self.over.store(true, Ordering::Relaxed);
        let seen = (&mut self.task).await.expect("a watch that ended");
        assert!(!seen.is_empty(), "nothing was answered at all");
        let as_allowed = seen.keys().all(|status| allowed.contains(status));
        assert!(as_allowed, "answers by status: {seen:?}, expected only {allowed:?}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
