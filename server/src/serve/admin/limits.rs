//! `/admin/limits`: what limits have counted, and forgetting it; `/admin/limits/top`: whose
//! limits are used up.
//!
//! Counts are those of this server's store. What Envoys count for themselves or have left of what
//! was lent to them, and what a server counts alone while the store is away, is not there.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use postern_document::{Current, Document};
use postern_limits::top::TopKey;
use postern_rate_limit::Configuration;
use postern_store::volatile::VolatileStore;
use serde_json::{Value, json};

use super::metrics::Outcome;
use super::refusal::{senseless, within};
use super::which::{self, Senseless, Which};
use super::{Admin, Caller, wrong_method};
use crate::counts::{self, Count};
use crate::serve::http;

/// How long the store may take. More than a request would wait: nobody stands in line here.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// Whose keys are near their limits or over them: so many at most, the most frequent first.
pub type Busy = Arc<dyn Fn(usize) -> Vec<TopKey<String>> + Send + Sync>;

/// What counts on this server.
pub struct Counting {
    /// The document in use.
    pub document: Current<Document>,
    /// The rules of the rate limit service, where there is one.
    pub rules: Option<Arc<Configuration>>,
    /// Where limits count.
    pub store: Arc<dyn VolatileStore>,
    /// Whose limits are used up, and who says so.
    pub busy: Vec<(&'static str, Busy)>,
}

#[derive(Clone)]
struct Limits {
    admin: Arc<Admin>,
    counting: Arc<Counting>,
}

impl FromRef<Limits> for Arc<Admin> {
    fn from_ref(limits: &Limits) -> Self {
        Self::clone(&limits.admin)
    }
}

/// The routes, without the check of the credential.
pub(super) fn routes(admin: Arc<Admin>, counting: Counting) -> Router {
    Router::new()
        .route("/admin/limits", get(inspect).delete(reset).fallback(wrong_method))
        .route("/admin/limits/top", get(top).fallback(wrong_method))
        .with_state(Limits { admin, counting: Arc::new(counting) })
}

/// `GET`: how a count stands.
async fn inspect(
    State(limits): State<Limits>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Response {
    let admin = &limits.admin;
    let count = match limits.count(&uri) {
        Ok(count) => count,
        Err(error) => return admin.invalid(&caller, &senseless(&error)),
    };
    let store = limits.counting.store.as_ref();
    let standing = match within(STORE_PATIENCE, count.standing(store, (admin.clock)())).await {
        Ok(standing) => standing,
        Err(error) => return admin.unavailable(&caller, "volatile", &error.to_string()),
    };
    admin.metrics.answered(Outcome::Inspected);
    answer(&caller, &json!({"success": true, "data": standing.to_json()}))
}

/// `DELETE`: forgets what was counted.
async fn reset(
    State(limits): State<Limits>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Response {
    let admin = &limits.admin;
    let count = match limits.count(&uri) {
        Ok(count) => count,
        Err(error) => return admin.invalid(&caller, &senseless(&error)),
    };
    let forgetting = count.forget(limits.counting.store.as_ref());
    let forgotten = match within(STORE_PATIENCE, forgetting).await {
        Ok(forgotten) => forgotten,
        Err(error) => return admin.unavailable(&caller, "volatile", &error.to_string()),
    };
    // Which limit, and not whose: the key is what clients sent, and who they are.
    tracing::info!(
        correlation_id = caller.correlation_id,
        remote = caller.remote.map(tracing::field::display),
        actor = caller.by.as_str(),
        limit = count.name,
        forgotten,
        "a limit was reset by the admin API"
    );
    admin.metrics.answered(Outcome::Reset);
    let data = json!({"limit": count.name, "forgotten": forgotten});
    answer(&caller, &json!({"success": true, "data": data}))
}

/// `GET`: whose limits are used up.
async fn top(
    State(limits): State<Limits>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Response {
    let most = match which::top(&uri) {
        Ok(most) => most,
        Err(error) => return limits.admin.invalid(&caller, &senseless(&error)),
    };
    let busy = &limits.counting.busy;
    let mut keys: Vec<(&str, TopKey<String>)> = busy
        .iter()
        .flat_map(|(source, busy)| busy(most).into_iter().map(move |key| (*source, key)))
        .collect();
    keys.sort_by_key(|(_, key)| std::cmp::Reverse(key.count));
    keys.truncate(most);
    let told = |(source, key): (&str, TopKey<String>)| {
        let TopKey { key, count, error } = key;
        json!({"key": key, "count": count, "error": error, "source": source})
    };
    let keys: Vec<Value> = keys.into_iter().map(told).collect();
    limits.admin.metrics.answered(Outcome::Listed);
    answer(&caller, &json!({"keys": keys}))
}

impl Limits {
    /// Which count a request is about.
    fn count(&self, uri: &Uri) -> Result<Count, Senseless> {
        match Which::read(uri)? {
            Which::Limit(meant) => Ok(counts::of_limit(&self.counting.document.load(), &meant)?),
            Which::Descriptor { domain, entries } => {
                let rules = self.counting.rules.as_ref().ok_or(Senseless::NoService)?;
                Ok(counts::of_descriptor(&rules.current(), &domain, &entries)?)
            }
        }
    }
}

fn answer(caller: &Caller, body: &Value) -> Response {
    http::answer(StatusCode::OK, &caller.correlation_id, body)
}

#[cfg(test)]
mod tests;
