//! What comes before what.

use super::*;

fn document(cluster: &'static str, says: &'static str) -> Vec<(Kind, &'static str, &'static str)> {
    vec![
        (Kind::Cluster, cluster, "1"),
        (Kind::Endpoints, cluster, "1"),
        (Kind::Listener, "l", says),
        (Kind::Routes, "r", says),
    ]
}

/// A client that has taken a document with the cluster `a`.
fn running() -> Stream {
    let mut stream = stream(Protocol::Delta, &snapshot(&document("a", "1")));
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    stream.heard(Kind::Endpoints, wants(change(&["a"], &[])), at(0)).unwrap();
    stream.heard(Kind::Listener, Ask::default(), at(0)).unwrap();
    stream.heard(Kind::Routes, wants(change(&["r"], &[])), at(0)).unwrap();
    settle(&mut stream, at(0));
    stream
}

/// Until there is nothing to take any more.
fn settle(stream: &mut Stream, now: Duration) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let answers = answers(stream, now);
        if answers.is_empty() {
            return all;
        }
        all.extend(answers.iter().map(told));
        take(stream, &answers, now);
    }
}

#[test]
fn what_is_named_comes_before_who_names_it() {
    let mut stream = running();
    stream.update(snapshot(&document("b", "2")));
    let clusters = answers(&mut stream, at(1));
    assert_eq!(clusters.iter().map(told).collect::<Vec<_>>(), ["cluster +b"]);
    // Envoy asks for the endpoints, and says that it has the cluster when it is warm.
    stream.heard(Kind::Endpoints, wants(change(&["b"], &[])), at(1)).unwrap();
    let endpoints = answers(&mut stream, at(1));
    assert_eq!(endpoints.iter().map(told).collect::<Vec<_>>(), ["endpoints +b"]);
    take(&mut stream, &endpoints, at(2));
    assert!(answers(&mut stream, at(2)).is_empty());
    take(&mut stream, &clusters, at(2));
    let listeners = answers(&mut stream, at(2));
    assert_eq!(listeners.iter().map(told).collect::<Vec<_>>(), ["listener +l"]);
    take(&mut stream, &listeners, at(3));
    let routes = answers(&mut stream, at(3));
    assert_eq!(routes.iter().map(told).collect::<Vec<_>>(), ["routes +r"]);
    assert!(!stream.report().is_current());
    take(&mut stream, &routes, at(4));
    assert!(answers(&mut stream, at(4)).is_empty());
    assert!(stream.report().is_current(), "what is not needed does no harm");
    assert_eq!(stream.wake_at(), Some(at(7)));
    assert_eq!(all_told(&mut stream, at(7)), ["cluster -a", "endpoints -a"]);
    assert_eq!(stream.wake_at(), None);
}

#[test]
fn what_nobody_needs_goes_last_and_stays_when_it_is_needed_again() {
    let mut stream = running();
    stream.update(snapshot(&document("b", "2")));
    settle(&mut stream, at(1));
    stream.update(snapshot(&document("a", "3")));
    let told = settle(&mut stream, at(2));
    assert_eq!(told, ["listener +l", "routes +r"], "a is still there");
    assert_eq!(settle(&mut stream, at(5)), ["cluster -b"]);
}

#[test]
fn a_cluster_that_changes_gets_its_endpoints_again() {
    let mut stream = running();
    let mut changed = document("a", "1");
    changed[0].2 = "2";
    stream.update(snapshot(&changed));
    assert_eq!(all_told(&mut stream, at(1)), ["cluster +a", "endpoints +a"]);
}

#[test]
fn endpoints_wait_for_nobody() {
    let mut stream = running();
    let mut changed = document("a", "2");
    changed[0].2 = "2";
    stream.update(snapshot(&changed));
    answers(&mut stream, at(1));
    changed[1].2 = "2";
    stream.update(snapshot(&changed));
    assert_eq!(all_told(&mut stream, at(1)), ["endpoints +a"]);
}

#[test]
fn a_cluster_that_never_gets_warm_keeps_the_others_back_for_a_while_only() {
    let mut stream = running();
    let mut changed = document("a", "2");
    changed[0].2 = "2";
    stream.update(snapshot(&changed));
    answers(&mut stream, at(1));
    assert_eq!(stream.wake_at(), Some(at(21)));
    assert!(answers(&mut stream, at(20)).is_empty());
    assert_eq!(all_told(&mut stream, at(21)), ["listener +l"]);
}

#[test]
fn who_refuses_clusters_keeps_its_listeners_and_routes() {
    let mut stream = running();
    stream.update(snapshot(&document("b", "2")));
    let clusters = answers(&mut stream, at(1));
    judge(&mut stream, &clusters, Some("no"), at(1));
    assert!(answers(&mut stream, at(1000)).is_empty());
    assert!(stream.report().is_refusing());
    // Endpoints of what it has are told meanwhile.
    let mut third = document("b", "2");
    third.push((Kind::Cluster, "a", "1"));
    third.push((Kind::Endpoints, "a", "2"));
    stream.update(snapshot(&third));
    assert_eq!(settle(&mut stream, at(1000)), ["endpoints +a"]);
    // What was refused is no part of it any more: everything goes on.
    stream.update(snapshot(&document("a", "3")));
    let told = settle(&mut stream, at(1001));
    assert_eq!(told, ["cluster -b", "endpoints +a", "listener +l", "routes +r"]);
    assert!(stream.report().is_current());
}

#[test]
fn who_refuses_a_listener_keeps_its_routes_and_the_clusters_they_lead_to() {
    let mut stream = running();
    stream.update(snapshot(&document("b", "2")));
    let clusters = answers(&mut stream, at(1));
    take(&mut stream, &clusters, at(1));
    let listeners = answers(&mut stream, at(1));
    judge(&mut stream, &listeners, Some("no"), at(1));
    assert!(answers(&mut stream, at(1000)).is_empty());
    assert_eq!(stream.wake_at(), None);
}

#[test]
fn who_refuses_routes_keeps_the_clusters_they_lead_to() {
    let mut stream = running();
    stream.update(snapshot(&document("b", "2")));
    let clusters = answers(&mut stream, at(1));
    take(&mut stream, &clusters, at(1));
    let listeners = answers(&mut stream, at(1));
    take(&mut stream, &listeners, at(1));
    let routes = answers(&mut stream, at(1));
    judge(&mut stream, &routes, Some("no"), at(1));
    assert!(answers(&mut stream, at(1000)).is_empty());
    let nack = stream.report().parts.get(Kind::Routes).nack.clone();
    assert_eq!(nack.unwrap().example.as_deref(), Some("r"));
}

/// It has nothing to keep, and half of it is better than nothing at all.
#[test]
fn who_has_nothing_gets_what_there_is_whatever_it_refuses() {
    let mut stream = stream(Protocol::Delta, &snapshot(&document("a", "1")));
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let clusters = answers(&mut stream, at(0));
    judge(&mut stream, &clusters, Some("no"), at(0));
    stream.heard(Kind::Listener, Ask::default(), at(0)).unwrap();
    let listeners = answers(&mut stream, at(0));
    assert_eq!(listeners.iter().map(told).collect::<Vec<_>>(), ["listener +l"]);
    take(&mut stream, &listeners, at(0));
    stream.heard(Kind::Routes, wants(change(&["r"], &[])), at(0)).unwrap();
    assert_eq!(all_told(&mut stream, at(0)), ["routes +r"]);
    assert!(stream.report().is_refusing());
}
