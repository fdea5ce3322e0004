//! What differs.

use super::*;

const CLUSTERS: &[(Kind, &str, &str)] =
    &[(Kind::Cluster, "a", "1"), (Kind::Cluster, "b", "1"), (Kind::Endpoints, "a", "1")];

fn delta(resources: &[(Kind, &str, &str)]) -> Stream {
    stream(Protocol::Delta, &snapshot(resources))
}

#[test]
fn who_names_nothing_gets_everything_and_then_what_changes() {
    let mut stream = delta(CLUSTERS);
    assert!(answers(&mut stream, at(0)).is_empty(), "nobody has asked");
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["cluster +a +b"]);
    take(&mut stream, &first, at(1));
    assert!(answers(&mut stream, at(1)).is_empty());
    assert!(stream.report().is_current());

    stream.update(snapshot(&[(Kind::Cluster, "a", "2"), (Kind::Cluster, "b", "1")]));
    assert!(!stream.report().is_current());
    assert_eq!(all_told(&mut stream, at(2)), ["cluster +a"]);
}

#[test]
fn a_client_that_waits_for_the_first_answer_gets_one() {
    let mut stream = delta(&[]);
    stream.heard(Kind::Listener, Ask::default(), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["listener"]);
    take(&mut stream, &first, at(0));
    stream.heard(Kind::Endpoints, wants(change(&[], &[])), at(0)).unwrap();
    assert!(answers(&mut stream, at(0)).is_empty(), "of these nobody wants all");
}

#[test]
fn names_are_subscribed_to_and_unsubscribed_from() {
    let mut stream = delta(CLUSTERS);
    let ask = wants(change(&["a", "nothing"], &[]));
    stream.heard(Kind::Endpoints, ask, at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["endpoints +a -nothing"]);
    take(&mut stream, &first, at(0));
    // A client may forget, and says so by asking again.
    stream.heard(Kind::Endpoints, wants(change(&["a", "nothing"], &[])), at(0)).unwrap();
    assert_eq!(all_told(&mut stream, at(0)), ["endpoints +a -nothing"]);
    stream.heard(Kind::Endpoints, wants(change(&[], &["a"])), at(0)).unwrap();
    stream.update(snapshot(&[(Kind::Endpoints, "a", "2"), (Kind::Endpoints, "nothing", "1")]));
    assert_eq!(all_told(&mut stream, at(0)), ["endpoints +nothing"]);
}

#[test]
fn endpoints_that_nobody_knows_yet_are_not_gone() {
    let awaiting = || {
        let clusters = [(Kind::Cluster, "a", "1"), (Kind::Cluster, "b", "1")];
        let clusters = Snapshot::clone(&snapshot(&clusters));
        Arc::new(clusters.awaiting([Arc::from("a")]))
    };
    let mut stream = stream(Protocol::Delta, &awaiting());
    stream.heard(Kind::Endpoints, wants(change(&["a", "b"], &[])), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["endpoints -b"]);
    take(&mut stream, &first, at(0));
    stream.update(snapshot(CLUSTERS));
    let then = answers(&mut stream, at(0));
    assert_eq!(then.iter().map(told).collect::<Vec<_>>(), ["endpoints +a"]);
    take(&mut stream, &then, at(0));
    stream.update(awaiting());
    assert!(answers(&mut stream, at(0)).is_empty(), "what it has it keeps");
    // Its cluster may be another one, and waiting for them.
    stream.heard(Kind::Endpoints, wants(change(&["a"], &[])), at(0)).unwrap();
    assert!(answers(&mut stream, at(0)).is_empty());
    stream.update(snapshot(CLUSTERS));
    let again = answers(&mut stream, at(0));
    assert_eq!(again.iter().map(told).collect::<Vec<_>>(), ["endpoints +a"], "though it has them");
    take(&mut stream, &again, at(0));
    stream.update(snapshot(&CLUSTERS[..2]));
    assert_eq!(all_told(&mut stream, at(0)), ["endpoints -a"]);
}

#[test]
fn all_are_wanted_by_a_star_until_it_is_taken_back() {
    let mut stream = delta(CLUSTERS);
    stream.heard(Kind::Cluster, wants(change(&["*", "b"], &[])), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["cluster +a +b"]);
    take(&mut stream, &first, at(0));
    stream.heard(Kind::Cluster, wants(change(&[], &["*"])), at(0)).unwrap();
    assert_eq!(all_told(&mut stream, at(0)), ["cluster +b"], "it may have forgotten b as well");
    stream.update(snapshot(&[(Kind::Cluster, "a", "2"), (Kind::Cluster, "b", "1")]));
    assert!(answers(&mut stream, at(0)).is_empty());
}

#[test]
fn who_comes_back_is_not_sent_what_it_has() {
    let target = snapshot(CLUSTERS);
    let version = |name: &str| target.of(Kind::Cluster)[name].version.to_string();
    let mut stream = stream(Protocol::Delta, &target);
    let has = [("a", version("a")), ("b", "of another server".to_owned()), ("c", version("a"))];
    let has = has.into_iter().map(|(name, version)| (name.to_owned(), version)).collect();
    let names = Names::Change { subscribe: Vec::new(), unsubscribe: Vec::new(), has };
    stream.heard(Kind::Cluster, wants(names), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["cluster +b"]);
    take(&mut stream, &first, at(0));
    assert_eq!(stream.wake_at(), Some(at(3)), "c is not there any more");
    assert_eq!(all_told(&mut stream, at(3)), ["cluster -c"]);
}

/// A cluster may be waiting for them.
#[test]
fn who_comes_back_is_sent_endpoints_in_any_case() {
    let target = snapshot(CLUSTERS);
    let version = target.of(Kind::Endpoints)["a"].version.to_string();
    let mut stream = stream(Protocol::Delta, &target);
    let has = vec![("a".to_owned(), version)];
    let names = Names::Change { subscribe: vec!["a".to_owned()], unsubscribe: Vec::new(), has };
    stream.heard(Kind::Endpoints, wants(names), at(0)).unwrap();
    assert_eq!(all_told(&mut stream, at(0)), ["endpoints +a"]);
}

#[test]
fn much_comes_in_pieces() {
    let names: Vec<String> = (0..10).map(|name| format!("c{name}")).collect();
    let resources: Vec<(Kind, &str, &str)> =
        names.iter().map(|name| (Kind::Cluster, name.as_str(), "says")).collect();
    let target = snapshot(&resources);
    let most = |answer_resources, answer_bytes| {
        let bounds = Bounds { answer_resources, answer_bytes, ..Bounds::default() };
        let settings = Settings { bounds, ..Settings::default() };
        let mut stream = Stream::new(Protocol::Delta, settings, Arc::clone(&target));
        stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
        let answers = answers(&mut stream, at(0));
        let found: Vec<usize> = answers.iter().map(|answer| answer.resources.len()).collect();
        assert!(!stream.report().is_current());
        take(&mut stream, &answers, at(0));
        assert!(stream.report().is_current());
        found
    };
    assert_eq!(most(4, 1000), [4, 4, 2]);
    assert_eq!(most(100, 12), [3, 3, 3, 1]);
    assert_eq!(most(100, 1), [1; 10]);
}

#[test]
fn a_client_that_judges_nothing_is_not_sent_more_and_more() {
    let mut stream = delta(&[(Kind::Cluster, "a", "0")]);
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let mut sent = 0;
    for says in 1..1000 {
        sent += answers(&mut stream, at(0)).len();
        stream.update(snapshot(&[(Kind::Cluster, "a", says.to_string().as_str())]));
    }
    assert_eq!(sent, Bounds::default().waiting);
}

#[test]
fn what_is_refused_is_kept_back_until_it_changes() {
    let mut stream = delta(CLUSTERS);
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    judge(&mut stream, &first, Some("no\nsuch thing"), at(5));
    assert!(answers(&mut stream, at(100)).is_empty());
    let report = stream.report();
    assert!(report.is_refusing() && !report.is_current());
    let nack = report.parts.get(Kind::Cluster).nack.clone().unwrap();
    assert_eq!((nack.error.as_str(), nack.at, nack.resources), ("no such thing", at(5), 2));

    // Which of the two it was the client does not say.
    stream.update(snapshot(&[(Kind::Cluster, "a", "2"), (Kind::Cluster, "b", "1")]));
    let second = answers(&mut stream, at(100));
    assert_eq!(second.iter().map(told).collect::<Vec<_>>(), ["cluster +a +b"]);
    take(&mut stream, &second, at(100));
    let report = stream.report();
    assert!(report.is_current() && !report.is_refusing());
    assert!(report.parts.get(Kind::Cluster).nack.is_some(), "for whoever looks later");
}

#[test]
fn a_refusal_of_what_has_been_replaced_is_no_refusal_of_what_replaced_it() {
    let mut stream = delta(&[(Kind::Cluster, "a", "1")]);
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    stream.update(snapshot(&[(Kind::Cluster, "a", "2")]));
    let second = answers(&mut stream, at(0));
    judge(&mut stream, &first, Some("no"), at(0));
    take(&mut stream, &second, at(0));
    assert!(answers(&mut stream, at(0)).is_empty());
    let report = stream.report();
    assert!(report.is_current() && !report.is_refusing());
}

/// What the client could not take may be what was replaced.
#[test]
fn what_was_refused_beside_something_that_was_replaced_is_tried_again() {
    let mut stream = delta(CLUSTERS);
    stream.heard(Kind::Cluster, Ask::default(), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    stream.update(snapshot(&[(Kind::Cluster, "a", "2"), (Kind::Cluster, "b", "1")]));
    let second = answers(&mut stream, at(0));
    judge(&mut stream, &first, Some("no"), at(0));
    take(&mut stream, &second, at(0));
    let third = answers(&mut stream, at(0));
    assert_eq!(third.iter().map(told).collect::<Vec<_>>(), ["cluster +b"]);
    judge(&mut stream, &third, Some("no"), at(0));
    assert!(answers(&mut stream, at(0)).is_empty());
    assert!(stream.report().is_refusing());
}

#[test]
fn judgements_of_nothing_are_stale_and_wishes_still_count() {
    let mut stream = delta(CLUSTERS);
    stream.heard(Kind::Endpoints, wants(change(&[], &[])), at(0)).unwrap();
    let ask = Ask { nonce: Some(7), error: None, names: change(&["a"], &[]) };
    assert_eq!(stream.heard(Kind::Endpoints, ask, at(0)), Ok(Heard::Stale));
    assert_eq!(all_told(&mut stream, at(0)), ["endpoints +a"]);
}

#[test]
fn names_are_bounded() {
    let bounds = Bounds { names: 2, name_bytes: 3, ..Bounds::default() };
    let settings = Settings { bounds, ..Settings::default() };
    let hears = |names| {
        let mut stream = Stream::new(Protocol::Delta, settings, snapshot(CLUSTERS));
        stream.heard(Kind::Endpoints, wants(names), at(0))
    };
    assert_eq!(hears(change(&["a", "b", "a"], &[])), Ok(Heard::Asked));
    assert_eq!(hears(change(&["a", "b", "c"], &[])), Err(TooMuch::Names));
    assert_eq!(hears(change(&["abcd"], &[])), Err(TooMuch::Name));
    let has = |name: &str, times| Names::Change {
        subscribe: vec!["a".to_owned()],
        unsubscribe: Vec::new(),
        has: vec![(name.to_owned(), String::new()); times],
    };
    assert_eq!(hears(has("a", 2)), Ok(Heard::Asked));
    assert_eq!(hears(has("a", 3)), Err(TooMuch::Names));
    assert_eq!(hears(has("abcd", 1)), Err(TooMuch::Name));
}

#[test]
fn of_what_there_is_not_a_client_wants_so_much_at_most() {
    let bounds = Bounds { unknown_names: 2, ..Bounds::default() };
    let settings = Settings { bounds, ..Settings::default() };
    let there = snapshot(&[(Kind::Endpoints, "a", "1"), (Kind::Endpoints, "b", "1")]);
    let target = Snapshot::clone(&there).awaiting([Arc::from("c")]);
    let unknown: Vec<String> = (0..100).map(|number| format!("x{number}")).collect();
    let names: Vec<&str> = unknown.iter().map(String::as_str).chain(["a", "b", "c"]).collect();
    let later: Vec<(Kind, &str, &str)> =
        names.iter().map(|name| (Kind::Endpoints, *name, "2")).collect();
    // In the one form they come in the client's order, in the other one in that of the names.
    for (protocol, asked, noted) in
        [(Protocol::Delta, change(&names, &[]), 5), (Protocol::StateOfTheWorld, all(&names), 2)]
    {
        let mut stream = Stream::new(protocol, settings, Arc::new(target.clone()));
        assert_eq!(stream.heard(Kind::Endpoints, wants(asked), at(0)), Ok(Heard::Asked));
        let told = all_told(&mut stream, at(0)).concat();
        assert!(told.contains("+a +b"), "what there is comes all the same: {told}");
        assert!(stream.misses(&snapshot(&later)) && !stream.misses(&there));
        stream.update(snapshot(&later));
        let told = all_told(&mut stream, at(0)).concat();
        assert!(told.contains("+c"), "and what was to come: {told}");
        assert_eq!(told.matches("+x").count(), noted, "{told}");
    }
}
