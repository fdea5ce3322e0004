use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant as StdInstant;

use postern_files::testing::{remove, write};
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::registry::Endpoints as _;
use postern_telemetry::{Moment, Rolling};
use serde_json::{Value, json};

use super::*;
use crate::revisions::{Order, Revisions};
use crate::serve::services::testing;

fn text(beside: &Value) -> String {
    let mut document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
    });
    for (name, value) in beside.as_object().unwrap() {
        document[name] = value.clone();
    }
    document.to_string()
}

fn at(upstream: &str) -> String {
    text(&json!({"services": {"s": {"upstream": upstream}}}))
}

fn document(text: &str) -> Document {
    match postern_document::from_json(text.as_bytes()) {
        Ok(document) => document,
        Err(problems) => panic!("{problems:#?}"),
    }
}

struct Fixture {
    reloading: Reloading,
    kept: Arc<Kept>,
    services: Arc<Services>,
    registry: MetricsRegistry,
    health: Arc<HealthChecks>,
}

impl Fixture {
    /// What serves the first document of an origin.
    async fn new(mut origin: Origin) -> Self {
        let Found::Document(first) = origin.look().await else { panic!("no document") };
        let started = StdInstant::now();
        let registry = MetricsRegistry::new("test", started).unwrap();
        let health = Arc::new(HealthChecks::new(started, Arc::new(Rolling::new(started))));
        let metrics = Metrics::new(&registry).unwrap();
        let feed = FeedState::new(feed::settings(&first)).unwrap();
        let most = NonZeroUsize::new(8).unwrap();
        let kept = Kept::new(InUse::of(*first, &[]), most, metrics.clone());
        let services = testing::in_memory(&registry);
        let followers = Followers {
            kept: Arc::clone(&kept),
            maker: Arc::default(),
            keepers: Keepers::new(None, Arc::clone(&feed), &registry).unwrap(),
            feed,
            services: Arc::clone(&services),
            ending: None,
            given: Given::default(),
            has_durable: false,
            health: Arc::clone(&health),
            registry: registry.clone(),
            metrics,
        };
        let reloading = Reloading::new(origin, followers).unwrap();
        Self { reloading, kept, services, registry, health }
    }

    async fn of_file(file: &Path) -> Self {
        Self::new(Origin::files(file.to_owned())).await
    }

    fn digest(&self) -> String {
        self.kept.newest().document.digest.clone()
    }

    /// What `/health` says of the document besides which it is.
    fn note(&self) -> Option<String> {
        let report = self.health.report(Moment::now()).document.unwrap();
        assert_eq!(report.digest, self.digest());
        report.note
    }

    fn value(&self, start: &str) -> Option<String> {
        let text = self.registry.encode(StdInstant::now()).unwrap();
        let line = text.lines().find(|line| line.starts_with(start))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    fn reloads(&self, outcome: &str) -> Option<String> {
        self.value(&format!("postern_document_reloads_total{{outcome=\"{outcome}\""))
    }
}

#[tokio::test]
async fn a_file_that_changes_is_taken_over_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    write(&file, at("h:1")).unwrap();
    let mut fixture = Fixture::of_file(&file).await;
    let (first, second) = (document(&at("h:1")).digest, document(&at("h:2")).digest);
    assert_eq!((fixture.digest(), fixture.note()), (first, None));

    write(&file, at("h:2")).unwrap();
    fixture.reloading.look().await;
    assert_eq!((fixture.digest(), fixture.note()), (second.clone(), None));
    assert_eq!(fixture.reloads("applied").as_deref(), Some("1"));
    assert_eq!(fixture.value("postern_document_refused").as_deref(), Some("0"));

    // Half of a document may be one.
    std::fs::write(&file, at("h:3")).unwrap();
    fixture.reloading.look().await;
    assert_eq!((fixture.digest(), fixture.note()), (second.clone(), None), "it waits");

    for _ in 0..2 {
        write(&file, "version: 1\nroutes: [{}]\n").unwrap();
        fixture.reloading.look().await;
        assert_eq!(fixture.digest(), second, "the last good one stays");
    }
    let note = fixture.note().unwrap();
    assert!(note.contains("problem") && note.contains("see the log"), "{note}");
    assert_eq!(fixture.reloads("refused").as_deref(), Some("1"), "the same is told once");
    assert_eq!(fixture.value("postern_document_refused").as_deref(), Some("1"));

    remove(&file).unwrap();
    fixture.reloading.look().await;
    assert_eq!(fixture.reloads("unreadable").as_deref(), Some("1"));
    assert!(fixture.note().unwrap().contains("not known"));

    write(&file, at("h:2")).unwrap();
    fixture.reloading.look().await;
    assert_eq!((fixture.digest(), fixture.note()), (second, None), "nothing is wrong any more");
    assert_eq!(fixture.reloads("applied").as_deref(), Some("1"));
    assert_eq!(fixture.value("postern_document_refused").as_deref(), Some("0"));
}

#[tokio::test]
async fn what_takes_a_restart_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    write(&file, at("h:1")).unwrap();
    let mut fixture = Fixture::of_file(&file).await;
    let first = fixture.digest();
    let other = json!({"issuer": "https://gate.test", "services": {"s": {"upstream": "h:2"}}});
    write(&file, text(&other)).unwrap();
    fixture.reloading.look().await;
    assert_eq!(fixture.digest(), first, "not by halves");
    let trouble = fixture.reloading.trouble.clone().unwrap();
    assert!(trouble.problems[0].contains("`issuer`"), "{trouble:?}");
    assert!(fixture.reloading.waiting.is_some());
    write(&file, at("h:1")).unwrap();
    fixture.reloading.look().await;
    assert!(fixture.reloading.trouble.is_none() && fixture.reloading.waiting.is_none());
}

#[tokio::test]
async fn services_of_the_newest_document_are_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    write(&file, at("h:1")).unwrap();
    let mut fixture = Fixture::of_file(&file).await;
    let is_known = |fixture: &Fixture| fixture.services.endpoints.snapshot().get("shop").is_some();
    assert!(!is_known(&fixture));
    let found = json!({"services": {"s": {"discover": {"registry": "shop"}}}});
    write(&file, text(&found)).unwrap();
    fixture.reloading.look().await;
    assert_eq!(fixture.digest(), document(&text(&found)).digest);
    assert!(is_known(&fixture), "before it is in use");
    write(&file, at("h:1")).unwrap();
    fixture.reloading.look().await;
    assert!(!is_known(&fixture));
}

#[tokio::test]
async fn the_active_revision_is_taken_over() {
    let store: Arc<dyn IdentityStore> = Arc::new(MemoryDurableStore::new());
    let revisions = Revisions::new(Arc::clone(&store), Given::default());
    let origin = || Origin::Store { store: Arc::clone(&store), read: None };
    assert!(matches!(origin().look().await, Found::Same), "nothing was applied");
    let apply = async |upstream: &str| {
        let order = Order { why: "a test", restart: false, by: "cli", now: UnixMillis(1) };
        let document = document(&at(upstream));
        revisions.apply(&document, order).await.unwrap().revision.digest
    };
    let first = apply("h:1").await;
    let mut fixture = Fixture::new(origin()).await;
    assert_eq!(fixture.digest(), first);
    let second = apply("h:2").await;
    fixture.reloading.look().await;
    assert_eq!((fixture.digest(), fixture.note()), (second, None));
    let order = Order { why: "a test", restart: false, by: "cli", now: UnixMillis(2) };
    revisions.roll_back(1, order).await.unwrap();
    fixture.reloading.look().await;
    assert_eq!(fixture.digest(), first);
    assert_eq!(fixture.kept.all().len(), 2, "the one in between is kept");
}
