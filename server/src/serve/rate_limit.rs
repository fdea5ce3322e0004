//! The rate limit service, where a configuration is named.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use postern_document::{Current, Document};
use postern_rate_limit::{Configuration, Metrics, Parts, Problem, RateLimiter, Settings};
use postern_store::limiter::{Limiter, WhenStoreFails};
use postern_telemetry::MetricsRegistry;

use crate::cli::{RateLimit, RateLimitFailure};
use crate::output;

/// The service, and the rules that it goes by.
pub type RateLimits = (Arc<RateLimiter>, Arc<Configuration>);

/// Reads the configuration and keeps it current; none where none is named.
///
/// # Errors
/// When it has problems, which are all in the error, or a metric cannot be registered.
pub fn build(
    arguments: &RateLimit,
    document: Current<Document>,
    limiter: &Arc<Limiter>,
    registry: &MetricsRegistry,
) -> Result<Option<RateLimits>> {
    let Some(place) = &arguments.rate_limit_config else { return Ok(None) };
    let configuration = match Configuration::load(place, arguments.rate_limit_merge_domains) {
        Ok(configuration) => Arc::new(configuration),
        Err(problems) => bail!("{}", refusal(place, &problems)),
    };
    let metrics = Metrics::new(registry)?;
    tokio::spawn(Arc::clone(&configuration).keep_current(metrics.clone()));
    let first = settings(arguments, &document.load());
    let settings = move || {
        let document = document.load();
        let (replicas, header_form) = (document.stores.replicas, document.limit_headers);
        Settings { replicas, header_form, ..first }
    };
    let rules = Arc::clone(&configuration);
    let limiter = Arc::clone(limiter);
    let parts = Parts { configuration, limiter, settings: Arc::new(settings), metrics };
    let limiter = RateLimiter::new(parts);
    Ok(Some((Arc::new(limiter), rules)))
}

/// What the command line says, and the document.
fn settings(arguments: &RateLimit, document: &Document) -> Settings {
    Settings {
        when_store_fails: match arguments.rate_limit_when_store_fails {
            RateLimitFailure::Deny => WhenStoreFails::Deny,
            RateLimitFailure::Allow => WhenStoreFails::Allow,
            RateLimitFailure::LocalShare => WhenStoreFails::LocalShare,
        },
        replicas: document.stores.replicas,
        headers: !arguments.rate_limit_plain,
        header_form: document.limit_headers,
        denial_body: !arguments.rate_limit_plain,
        metadata: arguments.rate_limit_metadata,
    }
}

/// Why nothing is served; each problem begins with its file.
fn refusal(place: &Path, problems: &[Problem]) -> String {
    let option = "--rate-limit-config";
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if let [only] = lines.as_slice() {
        return format!("{option} {only}");
    }
    let count = output::count(problems.len(), "problem");
    format!("{option} {} has {count}:\n{}", place.display(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: &Path) -> String {
        refusal(place, &Configuration::load(place, false).err().unwrap())
    }

    #[test]
    fn what_is_refused_is_one_error_with_its_option() {
        let nowhere = told(Path::new("/no/such/limits.yaml"));
        assert!(nowhere.starts_with("--rate-limit-config /no/such/limits.yaml: "), "{nowhere}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("limits.yaml");
        std::fs::write(&file, "domain: a\ndescriptors:\n- {kye: b}\n- {kye: c}\n").unwrap();
        let several = told(&file);
        let mut lines = several.lines();
        let first = lines.next().unwrap();
        let name = file.display().to_string();
        assert!(first.starts_with(&format!("--rate-limit-config {name} has ")), "{several}");
        assert!(first.ends_with(" problems:"), "{several}");
        assert!(lines.all(|line| line.starts_with(&name)), "{several}");
    }
}
