//! What there is.

use super::*;

const WORLD: &[(Kind, &str, &str)] = &[
    (Kind::Cluster, "a", "1"),
    (Kind::Cluster, "b", "1"),
    (Kind::Endpoints, "a", "1"),
    (Kind::Endpoints, "b", "1"),
];

fn world(resources: &[(Kind, &str, &str)]) -> Stream {
    stream(Protocol::StateOfTheWorld, &snapshot(resources))
}

/// Takes an answer, and says what is wanted.
fn takes(stream: &mut Stream, answer: &Answer, names: &[&str]) -> Heard {
    let ask = Ask { nonce: Some(answer.nonce), error: None, names: all(names) };
    stream.heard(answer.kind, ask, at(0)).unwrap()
}

#[test]
fn a_kind_that_is_sent_whole_always_is() {
    let mut stream = world(WORLD);
    stream.heard(Kind::Cluster, wants(all(&[])), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["cluster +a +b"]);
    assert_eq!(takes(&mut stream, &first[0], &[]), Heard::Taken);
    assert!(answers(&mut stream, at(0)).is_empty());
    let changed = [(Kind::Cluster, "a", "2"), (Kind::Cluster, "b", "1")];
    stream.update(snapshot(&changed));
    assert_eq!(all_told(&mut stream, at(0)), ["cluster +a +b"]);
}

#[test]
fn what_goes_stays_in_the_answers_for_a_while() {
    let mut stream = world(WORLD);
    stream.heard(Kind::Cluster, wants(all(&[])), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    takes(&mut stream, &first[0], &[]);
    stream.update(snapshot(&[(Kind::Cluster, "b", "2")]));
    let second = answers(&mut stream, at(10));
    assert_eq!(second.iter().map(told).collect::<Vec<_>>(), ["cluster +b +a"]);
    takes(&mut stream, &second[0], &[]);
    assert_eq!(all_told(&mut stream, at(12)), [""; 0]);
    assert_eq!(stream.wake_at(), Some(at(13)));
    assert_eq!(all_told(&mut stream, at(13)), ["cluster +b"]);
}

#[test]
fn of_the_other_kinds_only_what_is_new_is_sent() {
    let mut stream = world(WORLD);
    stream.heard(Kind::Endpoints, wants(all(&["a"])), at(0)).unwrap();
    let first = answers(&mut stream, at(0));
    assert_eq!(first.iter().map(told).collect::<Vec<_>>(), ["endpoints +a"]);
    assert_eq!(takes(&mut stream, &first[0], &["a", "b"]), Heard::Taken);
    let second = answers(&mut stream, at(0));
    assert_eq!(second.iter().map(told).collect::<Vec<_>>(), ["endpoints +b"]);
    takes(&mut stream, &second[0], &["b"]);
    stream.update(snapshot(&[(Kind::Endpoints, "a", "2"), (Kind::Endpoints, "b", "2")]));
    let third = answers(&mut stream, at(0));
    assert_eq!(third.iter().map(told).collect::<Vec<_>>(), ["endpoints +b"]);
    // To name nothing is to want nothing.
    takes(&mut stream, &third[0], &[]);
    stream.update(snapshot(WORLD));
    assert!(answers(&mut stream, at(0)).is_empty());
}

#[test]
fn a_judgement_counts_and_an_old_wish_does_not() {
    let mut stream = world(WORLD);
    stream.heard(Kind::Endpoints, wants(all(&["a"])), at(0)).unwrap();
    let first = answers(&mut stream, at(0)).remove(0);
    stream.update(snapshot(&[(Kind::Endpoints, "a", "2"), (Kind::Endpoints, "b", "1")]));
    let second = answers(&mut stream, at(0)).remove(0);
    let ask =
        Ask { nonce: Some(first.nonce), error: Some("no".to_owned()), names: all(&["a", "b"]) };
    assert_eq!(stream.heard(Kind::Endpoints, ask, at(0)), Ok(Heard::Refused));
    assert!(answers(&mut stream, at(0)).is_empty());
    assert_eq!(takes(&mut stream, &second, &["a", "b"]), Heard::Taken);
    assert_eq!(all_told(&mut stream, at(0)), ["endpoints +b"]);
}

/// Envoy judges several answers at once, by the last one.
#[test]
fn who_takes_an_answer_has_taken_those_before() {
    let mut stream = world(WORLD);
    stream.heard(Kind::Cluster, wants(all(&[])), at(0)).unwrap();
    let first = answers(&mut stream, at(0)).remove(0);
    stream.update(snapshot(&[(Kind::Cluster, "a", "2"), (Kind::Cluster, "b", "1")]));
    let second = answers(&mut stream, at(0)).remove(0);
    assert_eq!(takes(&mut stream, &second, &[]), Heard::Taken);
    assert!(stream.report().is_current());
    assert_eq!(takes(&mut stream, &first, &[]), Heard::Stale);
}

#[test]
fn a_refused_world_is_kept_back_until_it_is_another_one() {
    let mut stream = world(WORLD);
    stream.heard(Kind::Cluster, wants(all(&[])), at(0)).unwrap();
    let first = answers(&mut stream, at(0)).remove(0);
    let ask = Ask { nonce: Some(first.nonce), error: Some("no".to_owned()), names: all(&[]) };
    stream.heard(Kind::Cluster, ask, at(0)).unwrap();
    assert!(answers(&mut stream, at(1000)).is_empty());
    // Less of it would be the rest of it once more.
    stream.update(snapshot(&[(Kind::Cluster, "a", "1"), (Kind::Cluster, "b", "2")]));
    assert_eq!(all_told(&mut stream, at(1000)), ["cluster +a +b"]);
}

#[test]
fn a_nonce_of_an_earlier_stream_is_no_reason_not_to_answer() {
    let mut stream = world(WORLD);
    let ask = Ask { nonce: Some(9), error: None, names: all(&[]) };
    assert_eq!(stream.heard(Kind::Cluster, ask, at(0)), Ok(Heard::Stale));
    assert_eq!(all_told(&mut stream, at(0)), ["cluster +a +b"]);
}
