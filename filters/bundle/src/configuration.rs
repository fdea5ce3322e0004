//! The plugin's configuration: the document as `render` prepared it, and where to fetch keys.
//!
//! ```json
//! {"digest": "…", "document": {…},
//!  "key_sources": [{"issuer": 0, "cluster": "…", "authority": "…", "path": "…", "refresh_ms": 300000}]}
//! ```

use postern_document::{Document, from_json};
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

/// Reads the configuration.
///
/// # Errors
/// Every problem.
pub(crate) fn read(text: &[u8]) -> Result<(Document, Vec<KeySource>), Vec<String>> {
    let document = from_json(text)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let value = json::parse(text).map_err(|error| vec![error.to_string()])?;
    let sources = value.get("key_sources").and_then(Value::as_array).unwrap_or_default();
    let sources = sources
        .iter()
        .map(|source| read_source(source).ok_or_else(|| vec!["bad key source".to_owned()]))
        .collect::<Result<_, _>>()?;
    Ok((document, sources))
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
