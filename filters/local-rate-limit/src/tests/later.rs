//! What is known of a request only after it was let through.

use super::*;

fn skipping(skip: &str) -> Document {
    gateway(
        &format!(
            r#""l": {{"key": ["ip"], "rate": "2/1m", "mode": "local", "weight": 2,
                     "skip": "{skip}"}},
               "all": {{"key": ["route"], "rate": "9/1m", "mode": "local"}}"#
        ),
        r#""l", "all""#,
    )
}

#[test]
fn an_answer_that_does_not_count_gives_back_what_was_taken() {
    for (skip, successful, again) in [
        ("successful", true, true),
        ("successful", false, false),
        ("failed", true, false),
        ("failed", false, true),
    ] {
        let (document, shared) = (skipping(skip), Memory::default());
        let mut ticket = ask(&document, &shared, "192.0.2.1").ticket;
        assert!(!ticket.is_empty());
        assert!(ask(&document, &shared, "192.0.2.1").denial.is_some(), "until the answer is there");
        ticket.settle(&shared, successful, UnixMillis(1));
        assert!(ticket.is_empty());
        // Once, whatever comes after.
        ticket.settle(&shared, true, UnixMillis(2));
        ticket.settle(&shared, false, UnixMillis(2));
        ticket.release(&shared);
        let verdict = ask_at(&document, &shared, "192.0.2.1", 3);
        assert_eq!(verdict.denial.is_none(), again, "{skip} {successful}");
        let twice = ask_at(&document, &shared, "192.0.2.1", 4);
        assert!(twice.denial.is_some(), "{skip} {successful}");
    }
}

#[test]
fn who_hangs_up_before_the_answer_is_counted() {
    for skip in ["successful", "failed"] {
        let (document, shared) = (skipping(skip), Memory::default());
        let mut ticket = ask(&document, &shared, "192.0.2.1").ticket;
        ticket.release(&shared);
        assert!(ticket.is_empty());
        assert!(ask(&document, &shared, "192.0.2.1").denial.is_some(), "{skip}");
    }
}

#[test]
fn answers_succeed_by_their_status_or_grpcs() {
    for (status, grpc, expected) in [
        (200, None, true),
        (304, None, true),
        (399, Some(&b"0"[..]), true),
        (400, None, false),
        (429, None, false),
        (503, Some(&b"0"[..]), false),
        (200, Some(&b"8"[..]), false),
        (200, Some(&b""[..]), false),
    ] {
        assert_eq!(Skip::is_successful(status, grpc), expected, "{status} {grpc:?}");
    }
}

#[test]
fn requests_under_way_are_counted_until_they_end() {
    let document = gateway(
        r#""busy": {"key": ["ip"], "in_flight": 2, "mode": "local", "slot_life": "10s"}"#,
        r#""busy""#,
    );
    let shared = Memory::default();
    let first = ask(&document, &shared, "192.0.2.1");
    let status = first.status.unwrap();
    assert_eq!((status.limit, status.remaining, status.window_secs), (2, 1, 10));
    let mut first = first.ticket;
    let mut second = ask(&document, &shared, "192.0.2.1").ticket;
    let denied = ask(&document, &shared, "192.0.2.1");
    assert!(denied.ticket.is_empty(), "who was refused holds nothing");
    let denial = denied.denial.unwrap();
    assert_eq!((denial.code.status(), denial.retry_after_secs), (429, Some(1)));
    assert_eq!(ask(&document, &shared, "192.0.2.2").denial, None, "another client");
    // The answer does not end it; a body may follow for long.
    first.settle(&shared, true, UnixMillis(1));
    assert!(ask(&document, &shared, "192.0.2.1").denial.is_some());
    first.release(&shared);
    first.release(&shared);
    let third = ask(&document, &shared, "192.0.2.1");
    assert_eq!(third.denial, None);
    assert!(ask(&document, &shared, "192.0.2.1").denial.is_some(), "one seat, not two");
    second.release(&shared);
    assert_eq!(ask(&document, &shared, "192.0.2.1").denial, None);
    // Tickets that were lost hold their seats for two lives at most.
    assert!(ask_at(&document, &shared, "192.0.2.1", 9_999).denial.is_some());
    assert_eq!(ask_at(&document, &shared, "192.0.2.1", 20_000).denial, None);
}

#[test]
fn who_is_refused_elsewhere_holds_no_seat() {
    let document = gateway(
        r#""busy": {"key": ["ip"], "in_flight": 2, "mode": "local"},
           "all": {"key": ["route"], "rate": "1/1m", "mode": "local"}"#,
        r#""busy", "all""#,
    );
    let shared = Memory::default();
    let mut held = ask(&document, &shared, "192.0.2.1").ticket;
    for _ in 0..5 {
        assert!(ask(&document, &shared, "192.0.2.1").denial.is_some());
    }
    let verdict = ask_at(&document, &shared, "192.0.2.1", 60_000);
    assert_eq!((verdict.denial, verdict.status.unwrap().remaining), (None, 0));
    held.release(&shared);
    let verdict = ask_at(&document, &shared, "192.0.2.1", 119_999);
    assert!(verdict.denial.is_some());
}

#[test]
fn seats_in_shadow_refuse_nobody() {
    let document = gateway(
        r#""busy": {"key": ["ip"], "in_flight": 1, "mode": "local", "shadow": true}"#,
        r#""busy""#,
    );
    let shared = Memory::default();
    let mut first = ask(&document, &shared, "192.0.2.1");
    assert_eq!((first.shadowed, first.status), (0, None));
    let mut second = ask(&document, &shared, "192.0.2.1");
    assert_eq!((second.shadowed, second.denial.clone()), (1, None));
    assert!(second.ticket.is_empty(), "nothing was taken");
    second.ticket.release(&shared);
    assert_eq!(ask(&document, &shared, "192.0.2.1").shadowed, 1);
    first.ticket.release(&shared);
    assert_eq!(ask(&document, &shared, "192.0.2.1").shadowed, 0);
}

#[test]
fn where_leased_limits_follow_all_that_was_taken_can_go_back() {
    let document = gateway(
        r#""l": {"key": ["ip"], "rate": "2/1m", "mode": "local"},
           "busy": {"key": ["ip"], "in_flight": 2, "mode": "local"},
           "all": {"key": ["route"], "rate": "1000/1m", "mode": "leased", "lease": {"sidecars": 1}}"#,
        r#""l", "busy", "all""#,
    );
    let shared = Memory::default();
    for _ in 0..5 {
        let mut refused = ask(&document, &shared, "192.0.2.1").ticket;
        refused.put_back(&shared, UnixMillis(0));
        assert!(refused.is_empty());
    }
    let mut kept = ask(&document, &shared, "192.0.2.1");
    assert_eq!((kept.denial, kept.status.unwrap().remaining), (None, 1));
    kept.ticket.confirm();
    assert!(!kept.ticket.is_empty(), "the seat");
    kept.ticket.put_back(&shared, UnixMillis(0));
    let later = ask(&document, &shared, "192.0.2.1");
    assert_eq!(later.status.unwrap().remaining, 0, "what is confirmed stays counted");
}

#[test]
fn other_stages_can_count_here() {
    let shared = Memory::default();
    let rate = postern_limits::Rate::parse("2/1m").unwrap();
    let spec =
        Spec::new(postern_limits::Algorithm::Gcra, rate, None, postern_limits::Anchor::Clock)
            .unwrap();
    let place = Place::of(hash(7, b"k"));
    let take = |cost| {
        let mut cells = Cells::new(&shared);
        let (outcome, _, ticket) =
            crate::take(&mut cells, place, spec, cost, Some(Skip::Failed), UnixMillis(0));
        (outcome.allowed, ticket)
    };
    let (allowed, mut ticket) = take(2);
    assert!(allowed);
    let (allowed, nothing) = take(1);
    assert!(!allowed && nothing.is_empty());
    let mut both = nothing;
    both.append(ticket.clone());
    both.settle(&shared, false, UnixMillis(0));
    ticket.confirm();
    assert!(!ticket.is_empty());
    assert!(take(2).0, "given back");
}
