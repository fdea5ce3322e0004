use std::time::Instant;

use postern_jose::KeySet;
use postern_limits::key::stamp;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_telemetry::MetricsRegistry;
use serde_json::{Value, json};

use super::*;

const JWKS: &str = include_str!("../../../../core/jose/tests/keys/jwks.json");
const ONE: &str = "https://one.test";
const TWO: &str = "https://two.test";

/// A document that takes tokens of these issuers, each with the place of its keys, and leases so
/// much.
fn document(issuers: &[(&str, &Value)], rate: &str) -> Document {
    let issuer =
        |(name, jwks): &(&str, &Value)| json!({"issuer": name, "audiences": ["a"], "jwks": jwks});
    let issuers: Vec<Value> = issuers.iter().map(issuer).collect();
    let document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"jwt": {"issuers": issuers}},
        "limits": {"per-user": {
            "key": ["claim.sub"], "mode": "leased", "rate": rate, "lease": {"sidecars": 20},
        }},
        "routes": [
            {"name": "a", "match": {"path": "/a"}, "service": "s", "auth": {"any": ["jwt"]},
             "limits": ["per-user"]},
        ],
    });
    match postern_document::from_json(document.to_string().as_bytes()) {
        Ok(document) => document,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn with_rate(rate: &str) -> Document {
    document(&[(ONE, &json!({"uri": "https://one.test/jwks"}))], rate)
}

struct Fixture {
    kept: Arc<Kept>,
    registry: MetricsRegistry,
}

impl Fixture {
    fn new(first: Document, most: usize) -> Self {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        let most = NonZeroUsize::new(most).unwrap();
        Self { kept: Kept::new(InUse::of(first, &[]), most, metrics), registry }
    }

    fn next(&self, document: Document) -> String {
        let digest = document.digest.clone();
        self.kept.replace(InUse::of(document, &self.kept.all()));
        digest
    }

    fn digests(&self) -> Vec<String> {
        self.kept.all().iter().map(|in_use| in_use.document.digest.clone()).collect()
    }

    fn judged_by(&self, told: Option<&str>) -> String {
        self.kept.judging(Asker::ExtAuthz).judging(told).document.digest.clone()
    }

    fn skewed(&self, document: &str) -> u64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let start =
            format!("postern_document_skew_total{{by=\"ext_authz\",document=\"{document}\"");
        let line = text.lines().find(|line| line.starts_with(&start));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }
}

#[test]
fn an_envoy_is_judged_by_the_document_that_it_runs_while_that_is_kept() {
    let first = with_rate("10000/1m");
    let digest = first.digest.clone();
    let fixture = Fixture::new(first, 2);
    assert_eq!(fixture.judged_by(Some(&digest)), digest);
    assert_eq!(fixture.judged_by(None), digest);
    assert_eq!((fixture.skewed("untold"), fixture.skewed("earlier")), (1, 0));
    let second = fixture.next(with_rate("20000/1m"));
    assert_eq!(fixture.judged_by(Some(&digest)), digest, "while Envoys still run it");
    assert_eq!(fixture.judged_by(Some(&second)), second);
    assert_eq!(fixture.judged_by(Some("newer")), second, "which an Envoy of another one refuses");
    assert_eq!((fixture.skewed("earlier"), fixture.skewed("unknown")), (1, 1));
    let third = fixture.next(with_rate("30000/1m"));
    assert_eq!(fixture.judged_by(Some(&digest)), third, "it was one too many");
    assert_eq!(fixture.digests(), [third, second]);
}

#[test]
fn one_that_comes_back_is_the_newest_and_stands_there_once() {
    let fixture = Fixture::new(with_rate("10000/1m"), 8);
    let first = fixture.digests().remove(0);
    let second = fixture.next(with_rate("20000/1m"));
    let third = fixture.next(with_rate("30000/1m"));
    assert_eq!(fixture.next(with_rate("10000/1m")), first);
    assert_eq!(fixture.digests(), [first, third, second]);
}

#[test]
fn whoever_looks_sees_one_document_whole() {
    let fixture = Fixture::new(with_rate("10000/1m"), 1);
    let (document, current) = (fixture.kept.document(), fixture.kept.current());
    let seen = current.load();
    let second = fixture.next(with_rate("20000/1m"));
    assert_ne!(seen.document.digest, second, "what was seen stays what it is");
    assert_eq!((document.load().digest.clone(), fixture.digests()), (second.clone(), vec![second]));
}

#[test]
fn keys_from_the_same_place_are_kept_and_from_another_are_not() {
    let uri = json!({"uri": "https://one.test/jwks"});
    let elsewhere = json!({"uri": "https://one.test/other"});
    let by_service = json!({"service": "s", "path": "/jwks"});
    let fixture = Fixture::new(document(&[(ONE, &uri), (TWO, &by_service)], "10000/1m"), 8);
    let set = || KeySet::parse(JWKS.as_bytes()).unwrap();
    let first = fixture.kept.newest();
    first.keys.set(0, set());
    first.keys.set(1, set());
    let filled = || {
        let keys = Arc::clone(&fixture.kept.newest().keys);
        let count = fixture.kept.newest().document.issuers.len();
        (0..count).map(|at| keys.place(at).unwrap().is_filled()).collect::<Vec<_>>()
    };
    // In another order: each issuer has its own all the same.
    fixture.next(document(&[(TWO, &by_service), (ONE, &uri)], "20000/1m"));
    assert_eq!(filled(), [true, true]);
    fixture.next(document(&[(TWO, &by_service), (ONE, &elsewhere)], "20000/1m"));
    assert_eq!(filled(), [true, false]);
    fixture.next(document(&[(ONE, &uri)], "20000/1m"));
    assert_eq!(filled(), [true], "an earlier document still has them");
}

#[test]
fn an_envoy_is_lent_what_its_own_document_leases() {
    let fixture = Fixture::new(with_rate("10000/1m"), 2);
    let first = fixture.digests().remove(0);
    let second = fixture.next(with_rate("20000/1m"));
    let stamp_of = |rate: &str| {
        let rate = Rate::parse(rate).unwrap();
        stamp("per-user", Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap())
    };
    let (old, new) = (stamp_of("10000/1m"), stamp_of("20000/1m"));
    let found = |stamp, document: &str| fixture.kept.find(stamp, document).is_some();
    assert!(found(old, &first) && !found(new, &first));
    assert!(found(new, &second) && !found(old, &second));
    assert!(found(new, "unknown") && !found(old, ""));
    for stamp in [old, new] {
        assert!(fixture.kept.find_any(stamp).is_some(), "what was lent can be given back");
    }
    fixture.next(with_rate("30000/1m"));
    assert!(fixture.kept.find_any(old).is_none());
}

#[test]
fn who_may_ask_is_the_newest_documents_to_say() {
    let fixture = Fixture::new(with_rate("10000/1m"), 2);
    assert!(fixture.kept.may_ask_for(&PeerIdentity::Loopback, "edge"));
    let mut text: Value = serde_json::from_str(&with_rate("10000/1m").to_json()).unwrap();
    text["feed"] = json!({"peers": [{"spiffe": "spiffe://mesh/ns/a/sa/b", "workloads": ["edge"]}]});
    fixture.next(postern_document::from_json(text.to_string().as_bytes()).unwrap());
    assert!(!fixture.kept.may_ask_for(&PeerIdentity::Loopback, "edge"));
}
