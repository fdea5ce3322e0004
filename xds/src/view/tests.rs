use super::*;
use crate::source::{DocumentEndpoints, HeldDocument};
use crate::testing;
use arc_swap::ArcSwap;

const PEER: PeerIdentity = PeerIdentity::Loopback;

struct Rig {
    held: Arc<ArcSwap<Document>>,
    views: Views,
}

fn rig(text: &str) -> Rig {
    rig_of(text, 4)
}

fn rig_of(text: &str, most: usize) -> Rig {
    let held = Arc::new(ArcSwap::from_pointee(testing::document(text)));
    let documents = HeldDocument::new(testing::current(&held), watch::channel(()).1);
    let settings = Settings { views: most, ..Settings::default() };
    let views = Views::new(Arc::new(documents), Arc::new(DocumentEndpoints), &settings);
    Rig { held, views }
}

fn elsewhere() -> Told {
    let mut told = testing::edge();
    told.insert("listen".to_owned(), "127.0.0.1:8081".to_owned());
    told
}

fn bytes(snapshot: &Snapshot) -> usize {
    snapshot.iter().map(|resource| resource.body.len()).sum()
}

#[tokio::test]
async fn envoys_of_one_kind_share_everything_and_others_what_is_the_same() {
    let rig = rig(&testing::services(3, 2));
    let of =
        async |told: &Told| Arc::clone(&rig.views.of(&PEER, told).await.unwrap().borrow().snapshot);
    let (one, again) = (of(&testing::edge()).await, of(&testing::edge()).await);
    assert!(Arc::ptr_eq(&one, &again));
    let other = of(&elsewhere()).await;
    for kind in [Kind::Cluster, Kind::Endpoints, Kind::Routes] {
        assert!(!one.of(kind).is_empty());
        for (name, resource) in one.of(kind) {
            assert!(Arc::ptr_eq(resource, &other.of(kind)[name]), "{resource:?}");
        }
    }
    assert_ne!(one.version(Kind::Listener), other.version(Kind::Listener));
    assert_eq!(one.of(Kind::Endpoints).len(), 3);
    assert_eq!(&**one.label(), rig.held.load().digest.as_str());
}

#[tokio::test]
async fn a_change_is_told_and_what_is_the_same_is_not() {
    let rig = rig(&testing::services(3, 2));
    let mut published = rig.views.of(&PEER, &testing::edge()).await.unwrap();
    let before = Arc::clone(&published.borrow_and_update().snapshot);
    assert_eq!(rig.views.rebuild(Instant::now()).await, Rebuilt { views: 1, failed: 0 });
    assert!(!published.has_changed().unwrap());

    let text = testing::services(3, 2).replace("10.0.1.1,", "10.0.1.9,");
    rig.held.store(Arc::new(testing::document(&text)));
    rig.views.rebuild(Instant::now()).await;
    assert!(published.has_changed().unwrap());
    let after = Arc::clone(&published.borrow_and_update().snapshot);
    let changed = |name| {
        let (before, after) = (before.of(Kind::Endpoints), after.of(Kind::Endpoints));
        before[name].version != after[name].version
    };
    assert!(changed("service-s1") && !changed("service-s0"));
    for kind in [Kind::Cluster, Kind::Routes] {
        assert_eq!(before.version(kind), after.version(kind));
    }
}

#[tokio::test]
async fn places_that_nobody_knows_yet_are_to_come() {
    let text = testing::services(1, 1).replace("endpoints:\n", "discover: {registry: shop}\n");
    let text = text.replace("      - {address: 10.0.0.0, port: 80}\n", "");
    let rig = rig(&text);
    let snapshot =
        Arc::clone(&rig.views.of(&PEER, &testing::edge()).await.unwrap().borrow().snapshot);
    assert!(snapshot.of(Kind::Endpoints).is_empty() && !snapshot.of(Kind::Cluster).is_empty());
    let without = snapshot.iter().cloned().collect::<Vec<_>>();
    assert!(!snapshot.says_the_same_as(&Snapshot::new("", without.clone())));
    let awaiting = Snapshot::new("", without).awaiting([Arc::from("service-s0")]);
    assert!(snapshot.says_the_same_as(&awaiting));
}

#[tokio::test]
async fn what_cannot_be_rendered_leaves_envoys_what_they_had() {
    let rig = rig(&testing::services(1, 1));
    let published = rig.views.of(&PEER, &testing::edge()).await.unwrap();
    let before = Arc::clone(&published.borrow().snapshot);
    // Labels of pods only a mesh can tell apart.
    let text = "\
version: 1
services:
  s0: {upstream: a.test:80, versions: {v1: {labels: {version: v1}}}}
routes:
  - {name: a, match: {path: /a}, service: s0, auth: none, split: {v1: 100}}
";
    rig.held.store(Arc::new(testing::document(text)));
    assert_eq!(rig.views.rebuild(Instant::now()).await, Rebuilt { views: 1, failed: 1 });
    assert!(Arc::ptr_eq(&before, &published.borrow().snapshot));
    let why = published.borrow().failed.clone().unwrap();
    assert!(why.contains("cannot be rendered"), "{why}");
    assert!(!published.has_changed().unwrap(), "there is nothing to tell");
    let newcomer = rig.views.of(&PEER, &elsewhere()).await;
    assert!(matches!(newcomer, Err(ViewError::Render(_))), "{newcomer:?}");
    rig.held.store(Arc::new(testing::document(&testing::services(1, 1))));
    assert_eq!(rig.views.rebuild(Instant::now()).await, Rebuilt { views: 1, failed: 0 });
    assert_eq!(published.borrow().failed, None, "that is over");
}

fn told(port: u16) -> Told {
    let mut told = testing::edge();
    told.insert("listen".to_owned(), format!("127.0.0.1:{port}"));
    told
}

#[tokio::test]
async fn kinds_are_bounded_and_forgotten() {
    let rig = rig_of(&testing::services(1, 1), 2);
    let [second, other] = ["second", "other"].map(|peer| PeerIdentity::Credential(peer.to_owned()));
    let first = rig.views.of(&PEER, &told(1)).await.unwrap();
    let _second = rig.views.of(&second, &told(2)).await.unwrap();
    let third = rig.views.of(&other, &told(3)).await;
    assert!(matches!(third, Err(ViewError::TooMany)), "{third:?}");
    let held = rig.views.resources();
    drop(first);
    let third = rig.views.of(&other, &told(3)).await;
    assert!(third.is_ok(), "there is room again");
    rig.views.rebuild(Instant::now()).await;
    assert_eq!(rig.views.resources(), held, "one listener less, and one more");
    drop(third);
    let unknown = rig.views.of(&PEER, &Told::new()).await;
    assert!(matches!(unknown, Err(ViewError::Node(_))), "{unknown:?}");
}

#[tokio::test]
async fn one_peer_does_not_have_all_kinds() {
    let rig = rig_of(&testing::services(1, 1), 20);
    let other = PeerIdentity::Credential("other".to_owned());
    let mut held = Vec::new();
    for port in 1..=10 {
        held.push(rig.views.of(&PEER, &told(port)).await.unwrap());
    }
    let eleventh = rig.views.of(&PEER, &told(11)).await;
    assert!(matches!(eleventh, Err(ViewError::TooMany)), "{eleventh:?}");
    assert!(rig.views.of(&PEER, &told(8)).await.is_ok(), "that is there");
    assert!(rig.views.of(&other, &told(11)).await.is_ok());
    held.clear();
    let resources = rig.views.resources();
    assert!(rig.views.of(&PEER, &told(12)).await.is_ok());
    assert!(rig.views.resources() < resources, "what nobody has any more is forgotten");
}

/// All of it is in memory once, and streams hold names and versions of it.
#[tokio::test]
async fn a_thousand_services_are_a_few_megabytes() {
    let rig = rig(&testing::services(1000, 10));
    let one = Arc::clone(&rig.views.of(&PEER, &testing::edge()).await.unwrap().borrow().snapshot);
    assert_eq!(one.of(Kind::Endpoints).len(), 1000);
    assert!(bytes(&one) < 5_000_000, "{}", bytes(&one));
}
