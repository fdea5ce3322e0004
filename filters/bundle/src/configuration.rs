//! The plugin's configuration: the document as `render` prepared it, and where to fetch keys.
//!
//! ```json
//! {"digest": "…", "document": {…}, "clean_responses": true,
//!  "feed": {"cluster": "…", "authority": "…", "workload": "…", "wait_ms": 10000, "poll_ms": 0},
//!  "key_sources": [{"issuer": 0, "cluster": "…", "authority": "…", "path": "…", "refresh_ms": 300000}]}
//! ```

use postern_document::{Document, from_json};
use postern_request::json::{self, Value};

/// No call is held for longer, and no pause is, whatever is configured.
const LONGEST_WAIT_MS: u64 = 60_000;

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
    /// How long the server may hold a call.
    pub(crate) wait_ms: u64,
    /// How often it is asked; 0 for again and again, each call held.
    pub(crate) poll_ms: u64,
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

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(value: &Value, name: &str) -> Option<u64> {
    match value.get(name) {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn read_feed(value: &Value) -> Option<FeedSource> {
    Some(FeedSource {
        cluster: text(value, "cluster")?,
        authority: text(value, "authority")?,
        workload: text(value, "workload")?,
        wait_ms: number(value, "wait_ms")?.min(LONGEST_WAIT_MS),
        poll_ms: match value.get("poll_ms") {
            None => 0,
            Some(_) => number(value, "poll_ms")?.min(LONGEST_WAIT_MS),
        },
    })
}

fn read_source(value: &Value) -> Option<KeySource> {
    Some(KeySource {
        issuer: usize::try_from(number(value, "issuer")?).ok()?,
        cluster: text(value, "cluster")?,
        authority: text(value, "authority")?,
        path: text(value, "path")?,
        refresh_ms: number(value, "refresh_ms")?.max(1000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_says_where_it_is_and_how_it_is_asked() {
        let feed = |more: &str| {
            let text = format!(
                r#"{{"document": {{"version": 1, "services": {{"s": {{"upstream": "h:1"}}}},
                     "routes": [{{"name": "r", "match": {{"path": "/"}}, "service": "s",
                                  "auth": "none"}}]}}, "digest": "d",
                     "feed": {{"cluster": "c", "authority": "a", "workload": "w"{more}}}}}"#
            );
            read(text.as_bytes()).map(|configuration| configuration.feed.unwrap())
        };
        for (more, wait_ms, poll_ms) in [
            (r#", "wait_ms": 10000"#, 10_000, 0),
            (r#", "wait_ms": 0, "poll_ms": 1000"#, 0, 1_000),
            (r#", "wait_ms": 99999999, "poll_ms": 99999999"#, 60_000, 60_000),
        ] {
            let feed = feed(more).unwrap();
            assert_eq!((feed.wait_ms, feed.poll_ms), (wait_ms, poll_ms), "{more}");
        }
        for bad in ["", r#", "wait_ms": -1"#, r#", "wait_ms": 1, "poll_ms": "often""#] {
            assert_eq!(feed(bad).unwrap_err(), ["bad feed"], "{bad}");
        }
    }
}
