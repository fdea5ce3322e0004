//! What the tests of this crate share: a service over the memory store, and a store that is away.

use std::sync::Arc;
use std::time::Instant;

use postern_request::{LimitHeaders, UnixMillis};
use postern_store::MemoryStore;
use postern_store::limiter::{Limiter, WhenStoreFails};
use postern_store::volatile::VolatileStore;
use postern_telemetry::MetricsRegistry;
use tempfile::TempDir;

use crate::ask::{Ask, Descriptor, Hits};
use crate::configuration::Configuration;
use crate::limiter::{Parts, RateLimiter};
use crate::metrics::Metrics;
use crate::settings::Settings;

/// The first moment of a minute, an hour and a second.
pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

pub(crate) const PLAIN: Settings = Settings {
    when_store_fails: WhenStoreFails::Deny,
    replicas: 1,
    headers: false,
    header_form: LimitHeaders::Integers,
    denial_body: false,
    metadata: false,
};

/// A service and what it counts.
pub(crate) struct Service {
    pub(crate) limiter: Arc<RateLimiter>,
    registry: MetricsRegistry,
    _folder: TempDir,
}

impl Service {
    /// One by these rules, with a memory of its own.
    pub(crate) fn new(rules: &str, settings: Settings) -> Self {
        Self::with_store(rules, settings, Arc::new(MemoryStore::default()))
    }

    pub(crate) fn with_store(
        rules: &str,
        settings: Settings,
        store: Arc<dyn VolatileStore>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, rules).unwrap();
        let configuration = match Configuration::load(&file, false) {
            Ok(configuration) => Arc::new(configuration),
            Err(problems) => panic!("{problems:#?}"),
        };
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let limiter = RateLimiter::new(Parts {
            configuration,
            limiter: Arc::new(Limiter::new(store, Arc::new(MemoryStore::default()))),
            settings: Arc::new(move || settings),
            metrics: Metrics::new(&registry).unwrap(),
        });
        Self { limiter: Arc::new(limiter), registry, _folder: folder }
    }

    /// The value of the metric that begins so, labels included; 0 where there is none.
    pub(crate) fn metric(&self, start: &str) -> u64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let line = text.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }
}

/// A request with descriptors of these entries, each counting as one.
pub(crate) fn ask(domain: &str, descriptors: &[&[(&str, &str)]]) -> Ask {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let descriptor = |entries: &&[(&str, &str)]| Descriptor {
        entries: entries.iter().map(pair).collect(),
        instead: None,
        hits: Hits::Take(1),
    };
    Ask { domain: domain.to_owned(), descriptors: descriptors.iter().map(descriptor).collect() }
}
