//! What was before, and some clients go on with.

use super::*;

/// A document with one cluster, and routes that are named after it.
fn document(cluster: &str) -> Snapshot {
    let routes = format!("to-{cluster}");
    let resources = [
        (Kind::Cluster, cluster, "1"),
        (Kind::Endpoints, cluster, "1"),
        (Kind::Listener, "l", routes.as_str()),
        (Kind::Routes, routes.as_str(), "1"),
    ];
    Snapshot::clone(&snapshot(&resources))
}

/// The last of these, after the others.
fn documents(clusters: &[&str], most: usize) -> Arc<Snapshot> {
    let first = Snapshot::default();
    let next = |before: Snapshot, cluster: &&str| document(cluster).after(&before, most);
    Arc::new(clusters.iter().fold(first, next))
}

/// Until there is nothing to take any more. The client asks for endpoints and routes by name.
fn settle(stream: &mut Stream, now: Duration) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let answers = answers(stream, now);
        if answers.is_empty() {
            return all;
        }
        for answer in &answers {
            all.push(told(answer));
            for one in &answer.resources {
                let name = match one.kind {
                    Kind::Cluster => Some((Kind::Endpoints, one.name.to_string())),
                    Kind::Listener => {
                        let named = String::from_utf8(one.body.to_vec()).unwrap();
                        Some((Kind::Routes, named))
                    }
                    Kind::Endpoints | Kind::Routes => None,
                };
                if let Some((kind, name)) = name {
                    stream.heard(kind, wants(change(&[name.as_str()], &[])), now).unwrap();
                }
            }
        }
        take(stream, &answers, now);
    }
}

/// A client that has taken the document of `a`.
fn running() -> Stream {
    let mut stream = stream(Protocol::Delta, &documents(&["a"], 7));
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    stream.heard(Kind::Listener, Ask::default(), at(0)).unwrap();
    let told = settle(&mut stream, at(0));
    assert_eq!(told, ["cluster +a", "endpoints +a", "listener +l", "routes +to-a"]);
    stream
}

fn forgets(stream: &mut Stream, routes: &str, now: Duration) {
    stream.heard(Kind::Routes, wants(change(&[], &[routes])), now).unwrap();
}

#[test]
fn clusters_stay_for_as_long_as_somebody_asks_for_routes_to_them() {
    let mut stream = running();
    stream.update(documents(&["a", "b"], 7));
    let told = settle(&mut stream, at(1));
    assert_eq!(told, ["cluster +b", "endpoints +b", "listener +l", "routes +to-b"]);
    assert!(stream.report().is_current(), "what is not needed does no harm");
    assert!(answers(&mut stream, at(1000)).is_empty());
    assert_eq!(stream.wake_at(), None);
    // Envoy asks again for what it has forgotten.
    stream.heard(Kind::Routes, wants(change(&["to-a"], &[])), at(1000)).unwrap();
    assert_eq!(settle(&mut stream, at(1000)), ["routes +to-a"]);

    forgets(&mut stream, "to-a", at(1000));
    assert!(answers(&mut stream, at(1000)).is_empty());
    assert_eq!(stream.wake_at(), Some(at(1003)));
    assert_eq!(all_told(&mut stream, at(1003)), ["cluster -a", "endpoints -a"]);
}

#[test]
fn each_documents_routes_are_held_apart() {
    let mut stream = running();
    stream.update(documents(&["a", "b"], 7));
    settle(&mut stream, at(1));
    stream.update(documents(&["a", "b", "c"], 7));
    settle(&mut stream, at(2));
    forgets(&mut stream, "to-b", at(10));
    assert!(answers(&mut stream, at(10)).is_empty());
    assert_eq!(all_told(&mut stream, at(13)), ["cluster -b", "endpoints -b"]);
    assert!(answers(&mut stream, at(1000)).is_empty(), "a is needed");
}

#[test]
fn what_was_before_has_a_bound() {
    let mut stream = running();
    stream.update(documents(&["a", "b", "c"], 1));
    settle(&mut stream, at(1));
    let told = settle(&mut stream, at(4));
    assert_eq!(told, ["cluster -a", "endpoints -a", "routes -to-a"], "though it is asked for");
    stream.heard(Kind::Routes, wants(change(&["to-b"], &[])), at(5)).unwrap();
    assert_eq!(all_told(&mut stream, at(5)), ["routes +to-b"]);
}

#[test]
fn what_goes_to_and_fro_pushes_nothing_out() {
    let target = documents(&["x", "a", "b", "a", "b", "a", "b"], 2);
    let clusters = target.before().iter().flat_map(|past| past.of(Kind::Cluster).keys());
    assert_eq!(clusters.map(|name| &**name).collect::<Vec<_>>(), ["a", "x"]);
}

/// It was away, or comes from another server.
#[test]
fn who_comes_back_keeps_what_it_goes_on_with() {
    let first = documents(&["a"], 7);
    let version = |kind, name: &str| (name.to_owned(), first.of(kind)[name].version.to_string());
    let had = |kind, name: &str, subscribe: &[&str]| {
        let subscribe = subscribe.iter().map(|name| (*name).to_owned()).collect();
        wants(Names::Change { subscribe, unsubscribe: Vec::new(), has: vec![version(kind, name)] })
    };
    let mut stream = stream(Protocol::Delta, &documents(&["a", "b"], 7));
    stream.heard(Kind::Cluster, had(Kind::Cluster, "a", &[]), at(0)).unwrap();
    stream.heard(Kind::Listener, had(Kind::Listener, "l", &[]), at(0)).unwrap();
    stream.heard(Kind::Routes, had(Kind::Routes, "to-a", &["to-a"]), at(0)).unwrap();
    let told = settle(&mut stream, at(0));
    assert_eq!(told, ["cluster +b", "endpoints +b", "listener +l", "routes +to-b"]);
    assert!(answers(&mut stream, at(1000)).is_empty());
    forgets(&mut stream, "to-a", at(1000));
    assert_eq!(all_told(&mut stream, at(1000)), [""; 0]);
    assert_eq!(all_told(&mut stream, at(1003)), ["cluster -a"]);
}

#[test]
fn a_client_of_the_world_is_told_of_all_routes_that_it_names() {
    let mut stream = stream(Protocol::StateOfTheWorld, &documents(&["a", "b"], 7));
    stream.heard(Kind::Routes, wants(all(&["to-a", "to-b"])), at(0)).unwrap();
    let both = answers(&mut stream, at(0)).remove(0);
    assert_eq!(told(&both), "routes +to-a +to-b");
    let names = all(&["to-b"]);
    let ask = Ask { nonce: Some(both.nonce), error: None, names };
    assert_eq!(stream.heard(Kind::Routes, ask, at(0)), Ok(Heard::Taken));
    assert!(answers(&mut stream, at(1000)).is_empty());
}

/// It has begun with half of a document, and what it has refused must not stand in the next one's
/// way.
#[test]
fn what_was_refused_does_not_come_back() {
    let mut stream = stream(Protocol::Delta, &documents(&["a"], 7));
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let clusters = answers(&mut stream, at(0));
    judge(&mut stream, &clusters, Some("no"), at(0));
    stream.heard(Kind::Listener, Ask::default(), at(0)).unwrap();
    assert_eq!(settle(&mut stream, at(0)), ["listener +l", "routes +to-a"]);
    stream.update(documents(&["a", "b"], 7));
    let told = settle(&mut stream, at(1));
    assert_eq!(told, ["cluster +b -a", "endpoints +b", "listener +l", "routes +to-b"]);
    assert!(!stream.report().is_refusing());
}
