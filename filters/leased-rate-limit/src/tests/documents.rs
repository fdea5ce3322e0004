//! Workers of two documents in one process, and a server that runs one of them.

use super::*;

/// A document with this limit alone.
fn with(name: &str, start: &str) -> Document {
    gateway(&limit(name, start, ""), &format!(r#""{name}""#))
}

/// A process whose first worker runs one document, and whose second runs another.
fn two(first: Document, second: Document) -> Process {
    let mut process = Process::new(first, 1);
    process.document = second;
    process.start_vm();
    process
}

#[test]
fn workers_of_another_document_go_on_with_a_key() {
    // The same limit, at another place.
    let limits = [limit("first", STRICT, ""), limit("l", STRICT, "")].join(",");
    let mut process = two(strict(), gateway(&limits, r#""l""#));
    let left = process.lend();
    process.elect(1);
    assert_eq!(process.passed(1, 99), usize::try_from(left).unwrap());
    process.ticks(3);
    assert!(process.left() > 0);
    assert_eq!(process.entries().len(), 1, "it is one key");
    let asks = process.server.asked.iter().flat_map(|call| &call.asks);
    assert!(asks.map(|ask| ask.stamp).all(|of| of == stamp("l", spec())));
}

#[test]
fn whoever_leads_asks_for_the_slices_of_all() {
    let nothing = from_json(
        br#"{"version": 1, "services": {"s": {"upstream": "h:1"}},
             "routes": [{"name": "r", "match": {"path": "/a"}, "service": "s", "auth": "none"}]}"#,
    );
    for leader in [with("a", STRICT), nothing.unwrap()] {
        let mut process = two(leader, with("b", STRICT));
        let other = process.documents[1].clone();
        process.server.lends(&other);
        assert_eq!(process.ask(1, CLIENT).dry, 1);
        process.tick();
        let left = usize::try_from(process.left()).unwrap();
        assert!(left > 0);
        assert_eq!(process.passed(1, 99), left);
        // And what is left of them goes back, and nothing stays of who does not come any more.
        process.ticks(800);
        assert_eq!(process.entries().len(), 0);
        assert_eq!(process.server.taken(), u64::try_from(left).unwrap());
        let digest = &process.documents[0].digest;
        assert!(process.server.asked.iter().all(|call| call.document_digest == *digest));
    }
}

#[test]
fn questions_of_another_document_are_given_up_too() {
    let mut process = two(with("a", STRICT), with("b", STRICT));
    let other = process.documents[1].clone();
    process.server.lends(&other);
    process.ends = Ends::AnswerLost;
    process.ask(1, CLIENT);
    process.ticks(60);
    process.ends = Ends::Answered;
    process.ticks(800);
    assert_eq!((process.entries().len(), process.server.taken()), (0, 0));
    assert!(process.server.accounts.values().any(|(lent, _)| *lent > 0));
}

#[test]
fn what_the_servers_document_does_not_lease_is_decided_by_the_workers_own() {
    // The same name, with other numbers.
    let other = r#""l": {"key": ["ip"], "rate": "500/1m", "mode": "leased",
                         "when_store_fails": "allow", "lease": {"sidecars": 1, "start": "strict"}}"#;
    for leader in [0, 1] {
        let mut process = two(strict(), gateway(other, r#""l""#));
        process.elect(leader);
        for vm in [0, 1] {
            assert_eq!(process.ask(vm, CLIENT).dry, 1);
        }
        process.tick();
        let verdict = process.ask(1, CLIENT);
        assert_eq!((verdict.denial, verdict.fallbacks), (None, 1), "{leader}");
        let verdict = process.ask(0, CLIENT);
        assert_eq!((verdict.denial, verdict.fallbacks), (None, 0), "{leader}: of a slice");
        assert_eq!(process.server.asked[0].asks.len(), 2);
        assert_eq!(process.server.accounts.len(), 1);
    }
}

#[test]
fn a_slice_lives_as_long_as_the_document_says_whose_worker_used_the_key_last() {
    let long = r#""life": "30s", "start": "strict""#;
    let mut process = two(with("l", STRICT), with("l", long));
    for (vm, life_ms) in [(1, 30_000), (0, 5_000), (1, 30_000)] {
        process.ask(vm, CLIENT);
        let lives: Vec<u32> = process.entries().iter().map(|entry| entry.life_ms).collect();
        assert_eq!(lives, [life_ms], "{vm}");
    }
}

#[test]
fn whoever_asks_hears_whether_the_server_runs_another_document() {
    let mut process = Process::new(strict(), 2);
    let differs = |process: &Process| process.vms.iter().map(Leases::document_differs).collect();
    let heard: [Vec<Option<bool>>; 3] = [None, Some("other"), Some("")].map(|digest| {
        if let Some(digest) = digest {
            process.server.digest = digest.to_owned();
        }
        process.ask(0, &format!("192.0.2.{}", 9 + process.asked()));
        process.tick();
        differs(&process)
    });
    assert_eq!(heard, [[Some(false), None], [Some(true), None], [None, None]]);
}
