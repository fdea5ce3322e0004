//! A task for each of some names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::{AbortHandle, JoinHandle};

/// Tasks by name. They end with this.
#[derive(Debug, Default)]
pub struct Tasks(Mutex<BTreeMap<String, AbortHandle>>);

impl Tasks {
    /// Ends the tasks of other names, and begins one for each name that has none; the names whose
    /// tasks were ended.
    pub fn follow(
        &self,
        names: &BTreeSet<String>,
        begin: impl Fn(&str) -> JoinHandle<()>,
    ) -> Vec<String> {
        let mut tasks = self.tasks();
        let gone: Vec<String> =
            tasks.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in &gone {
            if let Some(task) = tasks.remove(name) {
                task.abort();
            }
        }
        for name in names {
            if !tasks.contains_key(name) {
                tasks.insert(name.clone(), begin(name).abort_handle());
            }
        }
        gone
    }

    /// No holder panics in between, so what a poisoned lock guards is still whole.
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<String, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.tasks().values().for_each(AbortHandle::abort);
    }
}
