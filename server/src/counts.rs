//! Counts of limits, for operators: whose is meant, how it stands, and how it is forgotten. What
//! the command and the admin API share.
//!
//! No key is made up here. A request is put together that has what the operator says, and the
//! limit is asked what it counts that under, as `ext_authz` asks it, and Envoys of what is leased.

mod descriptor;
mod limit;
mod part;
mod standing;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod unclear;

use postern_request::UnixMillis;
use postern_request::principal::Credential;
use postern_store::StoreError;
use postern_store::volatile::{LimitKey, Take, VolatileStore};

pub use descriptor::of_descriptor;
pub use limit::{Meant, of_limit};
pub use standing::{NOTHING, Standing};
pub use unclear::Unclear;

/// A count: of one limit, for the requests that it does not tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The limit, as the document or the configuration calls it: nothing of a request.
    pub name: String,
    /// Whose it is, where a subject or a claim is part of what is counted by.
    caller: Option<Caller>,
    counter: Counter,
}

/// What a subject or a claim rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Caller {
    credential: Credential,
    /// Of tokens.
    issuer: Option<String>,
}

/// Where it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counter {
    /// Nowhere: everything passes.
    Unlimited,
    /// Nowhere: nothing passes, in windows of so many seconds.
    Closed { period_secs: u64 },
    /// In the store. `take` takes nothing.
    Kept { key: LimitKey, take: Take },
}

impl Count {
    /// How it stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(
        &self,
        store: &dyn VolatileStore,
        now: UnixMillis,
    ) -> Result<Standing<'_>, StoreError> {
        let inspected = match self.counter {
            Counter::Kept { key, take } => store.inspect(key, take, now).await?,
            Counter::Unlimited | Counter::Closed { .. } => None,
        };
        Ok(Standing { count: self, inspected })
    }

    /// Forgets what was counted. Whether there was something.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, store: &dyn VolatileStore) -> Result<bool, StoreError> {
        match self.counter {
            Counter::Kept { key, .. } => Ok(store.reset(&[key]).await? > 0),
            Counter::Unlimited | Counter::Closed { .. } => Ok(false),
        }
    }
}
