use postern_store::durable::AuditStore as _;
use postern_store::durable::memory::MemoryDurableStore;
use serde_json::json;

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn document(beside: &Value) -> Document {
    let mut document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
    });
    for (name, value) in beside.as_object().unwrap() {
        document[name] = value.clone();
    }
    match of_text(&document.to_string()) {
        Ok(document) => document,
        Err(error) => panic!("{error}"),
    }
}

fn at(upstream: &str) -> Document {
    document(&json!({"services": {"s": {"upstream": upstream}}}))
}

const fn order(why: &str) -> Order<'_> {
    Order { why, restart: false, by: "cli:root", now: NOW }
}

fn revisions() -> (Revisions, Arc<MemoryDurableStore>) {
    let store = Arc::new(MemoryDurableStore::new());
    let all: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&store);
    (Revisions::new(all, Given::default()), store)
}

#[tokio::test]
async fn what_is_applied_is_active_and_can_be_gone_back_to() {
    let (revisions, store) = revisions();
    assert_eq!(revisions.active().await.unwrap(), None);
    let first = revisions.apply(&at("h:1"), order("the first one")).await.unwrap();
    assert_eq!((first.revision.number, first.changed), (1, true));
    let second = revisions.apply(&at("h:2"), order(" another place ")).await.unwrap();
    assert_eq!((second.revision.number, second.revision.why.as_str()), (2, "another place"));
    let back = revisions.roll_back(1, order("it was better")).await.unwrap();
    assert_eq!((back.revision.number, &back.revision.digest), (3, &first.revision.digest));
    let active = revisions.active().await.unwrap().unwrap();
    assert_eq!((active.number, active.active), (3, true));
    let changes = revisions.changes(1, 2).await.unwrap();
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["~ services.s.upstream: \"h:1\" -> \"h:2\""]);
    assert!(revisions.changes(1, 3).await.unwrap().is_empty());
    let log = store.audit_since(0, 10).await.unwrap();
    let log: Vec<(&str, &str, &str)> = log
        .iter()
        .map(|record| {
            let entry = &record.entry;
            (entry.action.as_str(), entry.target.as_str(), entry.detail.as_str())
        })
        .collect();
    let (one, two) = (first.revision.digest.as_str(), second.revision.digest.as_str());
    let expected = [
        ("config.applied", one, "{\"number\":\"1\"}"),
        ("config.applied", two, "{\"number\":\"2\"}"),
        ("config.rolled_back", one, "{\"number\":\"3\"}"),
    ];
    assert_eq!(log, expected);
}

#[tokio::test]
async fn the_active_one_is_not_applied_twice() {
    let (revisions, store) = revisions();
    revisions.apply(&at("h:1"), order("the first one")).await.unwrap();
    let again = revisions.apply(&at("h:1"), order("once more")).await.unwrap();
    assert_eq!((again.revision.number, again.changed), (1, false));
    assert_eq!(store.audit_since(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_takes_a_restart_is_applied_where_somebody_says_so() {
    let (revisions, _) = revisions();
    let stores = |address: &str| document(&json!({"stores": {"volatile": address}}));
    revisions.apply(&stores("memory"), order("the first one")).await.unwrap();
    let other = stores("env:REDIS");
    let refused = revisions.apply(&other, order("redis")).await.unwrap_err();
    let RevisionError::Restart(problems) = &refused else { panic!("{refused}") };
    assert!(problems[0].contains("`stores.volatile`"), "{problems:?}");
    let with = Order { restart: true, ..order("redis") };
    let applied = revisions.apply(&other, with).await.unwrap();
    assert_eq!((applied.revision.number, &applied.restart), (2, problems));
}

#[tokio::test]
async fn what_cannot_be_in_the_store_is_refused_with_the_reason() {
    let (revisions, store) = revisions();
    let too_long = "a".repeat(MAX_WHY + 1);
    for why in ["", "  ", "a\nb", "a\u{2029}b", "a\u{2066}b", too_long.as_str()] {
        let refused = revisions.apply(&at("h:1"), order(why)).await.unwrap_err();
        assert!(matches!(refused, RevisionError::Why), "{why}: {refused}");
    }
    let with_password = document(&json!({"stores": {"volatile": "redis://:hush@r:6379"}}));
    let refused = revisions.apply(&with_password, order("a")).await.unwrap_err().to_string();
    assert!(refused.contains("stores.volatile") && !refused.contains("hush"), "{refused}");
    let refused = revisions.roll_back(7, order("a")).await.unwrap_err();
    assert!(matches!(refused, RevisionError::NoSuch(7)), "{refused}");
    assert!(store.audit_head().await.unwrap().is_none(), "nothing has happened");
}

#[test]
fn a_text_is_yaml_or_json_and_every_problem_is_told() {
    let yaml = "version: 1
services: {s: {upstream: 'h:1'}}
routes:
  - {name: a, match: {path: /a}, service: s, auth: none}
";
    assert_eq!(of_text(yaml).unwrap().digest, at("h:1").digest);
    let RevisionError::Document(problems) = of_text("version: 1\nroutes: [{}]\n").unwrap_err()
    else {
        panic!("the problems");
    };
    assert!(problems.len() > 1 && problems[0].starts_with("document:"), "{problems:?}");
    let long = " ".repeat(MAX_DOCUMENT_BYTES * 2 + 1);
    assert!(of_text(&long).unwrap_err().to_string().contains("bytes"));
}

#[test]
fn a_password_in_an_address_is_seen() {
    for (address, expected) in [
        ("redis://:hush@r:6379", true),
        ("rediss://user:hush@r:6379/0", true),
        ("postgres://db/gate?user=a&password=hush", true),
        ("postgres://gate@db:5432/gate", false),
        ("redis://r:6379", false),
        ("sqlite:/var/a@b:c.db", false),
        ("env:REDIS", false),
        ("memory", false),
    ] {
        assert_eq!(holds_password(address), expected, "{address}");
    }
}
