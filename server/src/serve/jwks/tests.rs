use std::sync::Mutex;

use anyhow::bail;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use postern_feed::Settings;
use postern_jose::KeySet;
use postern_store::durable::memory::MemoryDurableStore;
use serde_json::json;

use super::*;

const JWKS: &str = include_str!("../../../../core/jose/tests/keys/jwks.json");
const SECOND: Duration = Duration::from_secs(1);

/// A document with one issuer.
fn document(issuer: &str, jwks: Option<serde_json::Value>) -> Document {
    document_with("127.0.0.1:1", issuer, jwks)
}

/// A document with one issuer, and a service `s` there.
fn document_with(upstream: &str, issuer: &str, jwks: Option<serde_json::Value>) -> Document {
    let mut entry = json!({"issuer": issuer, "audiences": ["gateway"]});
    if let Some(jwks) = jwks {
        entry["jwks"] = jwks;
    }
    let document = json!({
        "version": 1,
        "issuer": "https://own.test",
        "services": {"s": {"upstream": upstream}},
        "credentials": {"jwt": {"issuers": [entry]}},
        "routes": [
            {"name": "a", "match": {"path": "/a"}, "service": "s", "auth": {"any": ["jwt"]}},
        ],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

fn registry() -> MetricsRegistry {
    MetricsRegistry::new("test", std::time::Instant::now()).unwrap()
}

fn metric(registry: &MetricsRegistry, start: &str) -> f64 {
    let text = registry.encode(std::time::Instant::now()).unwrap();
    let line = text.lines().find(|line| line.starts_with(start));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
}

/// Brings keys when it is told to, and remembers when it was asked.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<(bool, Vec<Instant>)>>);

impl Told {
    fn good(&self, good: bool) {
        self.0.lock().unwrap().0 = good;
    }

    /// When it was asked, since this was called last.
    fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }
}

impl Fetch for Told {
    async fn fetch(&mut self) -> Result<Fetched> {
        let good = {
            let mut told = self.0.lock().unwrap();
            told.1.push(Instant::now());
            told.0
        };
        if !good {
            bail!("for the test");
        }
        let set = KeySet::parse(JWKS.as_bytes())?;
        Ok(Fetched { set, text: JWKS.to_owned(), outcome: Outcome::Good })
    }

    fn place(&self) -> &str {
        "a test"
    }
}

struct Rig {
    told: Told,
    keys: Arc<IssuerKeys>,
    feed: Arc<FeedState>,
    registry: MetricsRegistry,
}

impl Rig {
    /// A task that fetches about every 100 seconds.
    fn start(good: bool) -> Self {
        let document = document("https://i.test", None);
        let rig = Self {
            told: Told::default(),
            keys: Arc::new(IssuerKeys::new(&document)),
            feed: FeedState::new(Settings::default()).unwrap(),
            registry: registry(),
        };
        rig.told.good(good);
        let metrics = Metrics::new(&rig.registry).unwrap();
        metrics.begin("https://i.test");
        let keeper = Keeper {
            issuer: "https://i.test".to_owned(),
            source: rig.told.clone(),
            pace: Pace::new(SECOND * 100, Jitter::seeded(1)),
            place: Arc::clone(rig.keys.place(0).unwrap()),
            feed: Some(Arc::clone(&rig.feed)),
            metrics,
        };
        tokio::spawn(keeper.run());
        rig
    }

    async fn fetches_within(&self, time: Duration) -> usize {
        tokio::time::sleep(time).await;
        self.told.take().len()
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_every_so_often_and_told_to_all() {
    let rig = Rig::start(true);
    assert_eq!(metric(&rig.registry, "postern_jwks_age_seconds{"), -1.0);
    assert!(!rig.keys.complete());
    assert_eq!(rig.fetches_within(SECOND * 80).await, 1);
    assert!(rig.keys.complete());
    assert_eq!(rig.feed.keys().get("https://i.test").unwrap().jwks, JWKS);
    let age = metric(&rig.registry, "postern_jwks_age_seconds{");
    assert!((79.0..81.0).contains(&age), "{age}");
    let more = rig.fetches_within(SECOND * 1_000).await;
    assert!((9..=11).contains(&more), "{more}");
    let counted = metric(&rig.registry, "postern_jwks_fetches_total{outcome=\"good\"");
    assert_eq!(counted, f64::from(u32::try_from(more + 1).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_fetched_is_tried_again_and_the_last_good_keys_stay() {
    let rig = Rig::start(false);
    // After about 0, 1, 3, 7, 15, 31 and 63 seconds, and then every minute.
    assert_eq!(rig.fetches_within(SECOND * 50).await, 6);
    let more = rig.fetches_within(SECOND * 600).await;
    assert!((9..=12).contains(&more), "{more}");
    assert!(!rig.keys.complete());
    rig.told.good(true);
    tokio::time::sleep(SECOND * 70).await;
    assert!(rig.keys.complete());
    rig.told.good(false);
    tokio::time::sleep(SECOND * 500).await;
    assert!(rig.keys.complete());
    assert!(rig.feed.keys().get("https://i.test").is_some());
    assert!(metric(&rig.registry, "postern_jwks_fetches_total{outcome=\"failed\"") > 15.0);
    assert!(metric(&rig.registry, "postern_jwks_age_seconds{") > 300.0);
}

#[tokio::test(start_paused = true)]
async fn a_token_with_an_unknown_key_brings_a_fetch_at_most_every_ten_seconds() {
    let rig = Rig::start(true);
    assert_eq!(rig.fetches_within(SECOND * 60).await, 1);
    rig.keys.unknown_key(0);
    let wanted = Instant::now();
    tokio::time::sleep(SECOND / 100).await;
    let fetches = rig.told.take();
    assert_eq!(fetches, [wanted], "at once, where the last fetch is long ago");

    // All the time: not more often than that.
    for _ in 0..600 {
        rig.keys.unknown_key(0);
        tokio::time::sleep(SECOND / 10).await;
    }
    let fetches = rig.told.take();
    assert!((5..=6).contains(&fetches.len()), "{}", fetches.len());
    let apart = fetches.windows(2).all(|two| two[1] - two[0] >= LEAST_INTERVAL);
    assert!(apart, "{fetches:?}");
    // Of another issuer, or of none: nothing.
    tokio::time::sleep(SECOND * 11).await;
    drop(rig.told.take());
    rig.keys.unknown_key(7);
    assert_eq!(rig.fetches_within(SECOND * 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_no_more_often_for_tokens_with_unknown_keys() {
    let rig = Rig::start(false);
    tokio::time::sleep(SECOND * 300).await;
    drop(rig.told.take());
    for _ in 0..600 {
        rig.keys.unknown_key(0);
        tokio::time::sleep(SECOND / 10).await;
    }
    let fetches = rig.told.take();
    assert!(fetches.len() <= 7, "{}", fetches.len());
}

/// What an issuer answers: metadata in two places, and keys.
#[derive(Clone, Default)]
struct Issuer(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    oidc: Option<String>,
    oauth: Option<String>,
    keys: Option<String>,
}

impl Issuer {
    /// An issuer with a path, and its address.
    async fn start() -> (Self, String) {
        let issuer = Self::default();
        let answer = |pick: fn(&Answers) -> &Option<String>| {
            let answers = Arc::clone(&issuer.0);
            get(move || async move {
                let text = pick(&answers.lock().unwrap()).clone();
                text.ok_or(StatusCode::NOT_FOUND)
            })
        };
        let moved = (StatusCode::FOUND, [("location", "/keys")]);
        let router = Router::new()
            .route("/a/.well-known/openid-configuration", answer(|a| &a.oidc))
            .route("/.well-known/oauth-authorization-server/a", answer(|a| &a.oauth))
            .route("/keys", answer(|a| &a.keys))
            .route("/moved", get(move || async move { moved }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (issuer, address)
    }

    fn set(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.0.lock().unwrap());
    }
}

fn metadata(issuer: &str, keys: &str) -> Option<String> {
    Some(json!({"issuer": issuer, "jwks_uri": keys}).to_string())
}

fn source(document: &Document, durable: Option<&Arc<dyn DurableStore>>) -> Source {
    let issuer = document.issuers.first().unwrap();
    Source::of(issuer, document, durable, &Http::new().unwrap()).unwrap().unwrap()
}

#[tokio::test]
async fn keys_are_found_from_the_issuer_alone() {
    let (issuer, address) = Issuer::start().await;
    let name = format!("{address}/a");
    let keys = format!("{address}/keys");
    issuer.set(|answers| answers.keys = Some(JWKS.to_owned()));
    let mut source = source(&document(&name, None), None);
    let error = source.fetch().await.err().unwrap();
    assert_eq!(format!("{error:#}").matches("status 404").count(), 2, "{error:#}");

    issuer.set(|answers| answers.oauth = metadata(&name, &keys));
    let fetched = source.fetch().await.unwrap();
    assert_eq!((fetched.text.as_str(), fetched.outcome), (JWKS, Outcome::Good));
    assert_eq!(fetched.set.keys.len(), KeySet::parse(JWKS.as_bytes()).unwrap().keys.len());

    // What OpenID Connect says comes first; of another issuer it says nothing.
    issuer.set(|answers| answers.oidc = metadata(&name, &format!("{address}/nothing")));
    assert!(source.fetch().await.is_err());
    issuer.set(|answers| answers.oidc = metadata(&address, &format!("{address}/nothing")));
    assert_eq!(source.fetch().await.unwrap().outcome, Outcome::Good);

    // Without metadata the keys stay where they were.
    issuer.set(|answers| (answers.oidc, answers.oauth) = (None, metadata("x", &keys)));
    assert_eq!(source.fetch().await.unwrap().outcome, Outcome::OldPlace);
    issuer.set(|answers| answers.oidc = Some(format!("{{\"x\":\"{}\"}}", "x".repeat(70_000))));
    assert_eq!(source.fetch().await.unwrap().outcome, Outcome::OldPlace);
    issuer.set(|answers| answers.oidc = metadata(&name, &keys));
    assert_eq!(source.fetch().await.unwrap().outcome, Outcome::Good);
}

#[tokio::test]
async fn answers_are_bounded_and_lead_nowhere_else() {
    let (issuer, address) = Issuer::start().await;
    let at = |path: &str| {
        let uri = json!({"uri": format!("{address}{path}?secret")});
        source(&document("https://i.test", Some(uri)), None)
    };
    issuer.set(|answers| answers.keys = Some(JWKS.to_owned()));
    assert_eq!(at("/keys").fetch().await.unwrap().text, JWKS);
    assert_eq!(at("/keys").place(), address);
    let error = format!("{:#}", at("/moved").fetch().await.err().unwrap());
    assert!(error.contains("302") && !error.contains("secret"), "{error}");
    issuer.set(|answers| answers.keys = Some(format!("{}{JWKS}", " ".repeat(262_144))));
    let error = format!("{:#}", at("/keys").fetch().await.err().unwrap());
    assert!(error.contains("262144"), "{error}");
    issuer.set(|answers| answers.keys = Some("{\"keys\":[7]}".to_owned()));
    assert!(at("/keys").fetch().await.is_err(), "the last good keys stay");
    issuer.set(|answers| answers.keys = Some("{\"keys\":[]}".to_owned()));
    assert!(at("/keys").fetch().await.is_ok(), "all keys were withdrawn");
}

#[tokio::test]
async fn a_service_of_the_document_may_be_at_any_kind_of_address() {
    for (upstream, expected) in [
        ("[::1]:8080", "http://[::1]:8080"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("keys.test:8080", "http://keys.test:8080"),
    ] {
        let jwks = Some(json!({"service": "s", "path": "/j"}));
        let document = document_with(upstream, "https://i.test", jwks);
        let source = source(&document, None);
        assert_eq!(source.place(), expected);
        assert!(reqwest::Url::parse(source.place()).is_ok(), "{expected}");
    }
}

#[tokio::test]
async fn our_own_keys_come_from_the_store_and_nowhere_without_one() {
    let own = Some(json!({"service": "postern"}));
    let document = document("https://own.test", own);
    let store: Arc<dyn DurableStore> = Arc::new(MemoryDurableStore::new());
    let fetched = source(&document, Some(&store)).fetch().await.unwrap();
    assert_eq!((fetched.set.keys.len(), fetched.text.as_str()), (0, "{\"keys\":[]}"));

    let issuer = document.issuers.first().unwrap();
    assert!(Source::of(issuer, &document, None, &Http::new().unwrap()).unwrap().is_none());
}

#[tokio::test]
async fn envoys_are_told_of_those_who_want_to_know_by_the_feed() {
    let (issuer, address) = Issuer::start().await;
    issuer.set(|answers| answers.keys = Some(JWKS.to_owned()));
    for (fetched_by, expected) in [("server", true), ("envoy", false)] {
        let jwks = json!({"uri": format!("{address}/keys"), "fetched_by": fetched_by});
        let document = document("https://i.test", Some(jwks));
        let (keys, registry) = (IssuerKeys::new(&document), registry());
        let feed = FeedState::new(Settings::default()).unwrap();
        let keepers = Keepers::new(None, Arc::clone(&feed), &registry).unwrap();
        keepers.start(&document, &keys).unwrap();
        while !keys.complete() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The decision has them a moment before.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(feed.keys().get("https://i.test").is_some(), expected, "{fetched_by}");
        let age = metric(&registry, "postern_jwks_age_seconds{");
        assert!((0.0..10.0).contains(&age), "{age}");
    }
}

#[tokio::test]
async fn tasks_follow_the_document() {
    let (issuer, address) = Issuer::start().await;
    issuer.set(|answers| answers.keys = Some(JWKS.to_owned()));
    let named = |name: &str| document(name, Some(json!({"uri": format!("{address}/keys")})));
    let (one, two) = (named("https://one.test"), named("https://two.test"));
    let (of_one, of_two) = (IssuerKeys::new(&one), IssuerKeys::new(&two));
    let registry = registry();
    let feed = FeedState::new(Settings::default()).unwrap();
    let keepers = Keepers::new(None, feed, &registry).unwrap();
    let filled = async |keys: &IssuerKeys| {
        while !keys.complete() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    keepers.start(&one, &of_one).unwrap();
    keepers.start(&one, &of_one).unwrap();
    assert_eq!(keepers.running().len(), 1, "who has a task gets no other one");
    filled(&of_one).await;
    keepers.start(&two, &of_two).unwrap();
    filled(&of_two).await;
    assert_eq!(keepers.running().len(), 2, "while the document is replaced both are kept");
    keepers.keep_only(&two, &of_two);
    assert_eq!(keepers.running().len(), 1);
    assert!(of_one.complete(), "what was fetched stays");
    let text = registry.encode(std::time::Instant::now()).unwrap();
    assert!(text.contains("https://two.test") && !text.contains("https://one.test"), "{text}");
}
