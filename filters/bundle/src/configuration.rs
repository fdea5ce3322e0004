//! The plugin's configuration: the document as `render` prepared it, and where to fetch keys.
//!
//! ```json
//! {"digest": "…", "document": {…}, "clean_responses": true,
//!  "feed": {"cluster": "…", "authority": "…", "workload": "…", "envoy_id": "…", "wait_ms": 10000},
//!  "key_sources": [{"issuer": 0, "cluster": "…", "authority": "…", "path": "…", "refresh_ms": 300000}]}
//! ```

use postern_document::{Document, from_json};
use postern_filter_feed::Settings;
use postern_request::json::{self, Value};

/// Where the keys of an issuer are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySource {
    /// The issuer's index in the document.
    pub(crate) issuer: usize,
    /// Envoy's cluster.
    pub(crate) cluster: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) refresh_ms: u64,
}

/// What the plugin is configured with.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) document: Document,
    pub(crate) key_sources: Vec<KeySource>,
    /// Envoy takes the headers that the bundle writes to responses away from what upstreams
    /// send, so that they need not be looked for.
    pub(crate) clean_responses: bool,
    /// Where the feed is; none where the document does not ask for it.
    pub(crate) feed: Option<FeedSource>,
}

/// Where the feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedSource {
    /// Envoy's cluster.
    pub(crate) cluster: String,
    pub(crate) authority: String,
    pub(crate) workload: String,
    pub(crate) envoy_id: String,
    /// How long the server may hold a call.
    pub(crate) wait_ms: u64,
}

impl FeedSource {
    pub(crate) fn settings(&self, tick_ms: u64, max_staleness_ms: u64) -> Settings {
        Settings {
            workload: self.workload.clone(),
            envoy_id: self.envoy_id.clone(),
            tick_ms,
            wait_ms: self.wait_ms,
            max_staleness_ms,
        }
    }
}

/// Reads the configuration.
///
/// # Errors
/// Every problem.
pub(crate) fn read(text: &[u8]) -> Result<Configuration, Vec<String>> {
    let document = from_json(text)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let value = json::parse(text).map_err(|error| vec![error.to_string()])?;
    let sources = value.get("key_sources").and_then(Value::as_array).unwrap_or_default();
    let key_sources = sources
        .iter()
        .map(|source| read_source(source).ok_or_else(|| vec!["bad key source".to_owned()]))
        .collect::<Result<_, _>>()?;
    let clean_responses = value.get("clean_responses") == Some(&Value::Bool(true));
    let feed = match value.get("feed") {
        None => None,
        Some(feed) => Some(read_feed(feed).ok_or_else(|| vec!["bad feed".to_owned()])?),
    };
    Ok(Configuration { document, key_sources, clean_responses, feed })
}

fn read_feed(value: &Value) -> Option<FeedSource> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| match value.get(name) {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    Some(FeedSource {
        cluster: text("cluster")?,
        authority: text("authority")?,
        workload: text("workload")?,
        envoy_id: text("envoy_id")?,
        wait_ms: number("wait_ms")?.min(60_000),
    })
}

fn read_source(value: &Value) -> Option<KeySource> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| match value.get(name) {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    Some(KeySource {
        issuer: usize::try_from(number("issuer")?).ok()?,
        cluster: text("cluster")?,
        authority: text("authority")?,
        path: text("path")?,
        refresh_ms: number("refresh_ms")?.max(1000),
    })
}
