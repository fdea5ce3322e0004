//! Tokens that were good and are not any more.

use super::*;
use postern_proto::feed::v1::{ExchangeResponse, Snapshot};
use postern_proto::framing;
use postern_revocation::bucket::BUCKETS;
use postern_revocation::record::ALWAYS;
use postern_revocation::{FingerprintKey, Record, RevocationKind};

const KEY: [u8; 16] = [3; 16];

fn record(kind: RevocationKind, value: &str) -> Record {
    let fingerprint = FingerprintKey::new(KEY).of(kind, "https://i.test", value);
    Record { fingerprint, issued_before: ALWAYS, expires_at: 9_000_000 }
}

/// The whole set, in one piece.
fn snapshot(records: &[Record]) -> ExchangeResponse {
    let of = |bucket: u32| -> Vec<Record> {
        records.iter().copied().filter(|one| one.fingerprint.bucket() == bucket).collect()
    };
    ExchangeResponse {
        epoch: 1,
        cursor: 1,
        fingerprint_key: KEY.to_vec(),
        snapshot: Some(Snapshot {
            cursor: 1,
            first_bucket: 0,
            buckets: (0..BUCKETS).map(|bucket| Record::encode_all(&of(bucket))).collect(),
            last: true,
            total_records: 1,
        }),
        next_poll_ms: 100,
        ..ExchangeResponse::default()
    }
}

fn delta(records: &[Record]) -> ExchangeResponse {
    let added = Record::encode_all(records);
    ExchangeResponse {
        epoch: 1,
        cursor: 2,
        added,
        next_poll_ms: 100,
        ..ExchangeResponse::default()
    }
}

/// Ticks until the feed is asked, and answers.
fn feed(gatekeeper: &mut Gatekeeper, fake: &Fake, answer: &ExchangeResponse) {
    for _ in 0..200 {
        if let Some(call) = gatekeeper.on_tick(fake).pop() {
            assert_eq!(call.path, "/postern.feed.v1.Feed/Exchange");
            gatekeeper.on_http_call_sent(fake, &call, Some(9));
            let body = framing::frame(answer).unwrap();
            let none = HeaderList::new();
            let next = gatekeeper.on_http_call_answer(fake, 9, Some(200), &none, &body).unwrap();
            assert!(next.is_empty(), "{next:?}");
            return;
        }
    }
    panic!("the feed was not asked");
}

fn status(gatekeeper: &mut Gatekeeper, fake: &Fake, bearer: &str) -> (u16, String) {
    ask_as(gatekeeper, fake, "/limited", bearer)
}

#[test]
fn a_remembered_token_ends_with_its_revocation_by_any_of_its_marks() {
    for (kind, value) in [(RevocationKind::Subject, "alice"), (RevocationKind::Key, "ec")] {
        let fake = Fake { feed: Some("deny"), ..Fake::default() };
        let mut gatekeeper = gatekeeper(&fake);
        let bearer = format!("Bearer {}", token(""));
        let stale = (503, "revocation_stale".to_owned());
        assert_eq!(status(&mut gatekeeper, &fake, &bearer), stale, "nothing is known yet");
        feed(&mut gatekeeper, &fake, &snapshot(&[record(RevocationKind::Subject, "mallory")]));
        assert_eq!(status(&mut gatekeeper, &fake, &bearer).0, 200);
        feed(&mut gatekeeper, &fake, &delta(&[record(kind, value)]));
        let revoked = (401, "token_revoked".to_owned());
        assert_eq!(status(&mut gatekeeper, &fake, &bearer), revoked, "{kind:?}");
        assert_eq!(status(&mut gatekeeper, &fake, &bearer), revoked, "and stays revoked");
    }
}

#[test]
fn past_the_bound_the_document_decides() {
    for (when_stale, expected) in [("deny", 503), ("allow", 200)] {
        let fake = Fake { feed: Some(when_stale), ..Fake::default() };
        let mut gatekeeper = gatekeeper(&fake);
        let bearer = format!("Bearer {}", token(""));
        feed(&mut gatekeeper, &fake, &snapshot(&[]));
        assert_eq!(status(&mut gatekeeper, &fake, &bearer).0, 200);
        for _ in 0..25 {
            let _ = gatekeeper.on_tick(&fake);
        }
        assert_eq!(status(&mut gatekeeper, &fake, &bearer).0, expected, "{when_stale}");
    }
}

#[test]
fn a_document_that_asks_for_revocation_does_not_run_without_the_feed() {
    let document = json!({
        "version": 1,
        "revocation": {"max_staleness": "2s", "when_stale": "deny"},
        "services": {"s": {"upstream": "h:1"}},
        "routes": [{"name": "r", "match": {"path": "/"}, "service": "s", "auth": "none"}],
    });
    let configuration = json!({"digest": "d", "document": document}).to_string();
    let fake = Fake::default();
    let refused = Gatekeeper::configure(&fake, configuration.as_bytes()).err().unwrap();
    assert!(refused[0].contains("no feed"), "{refused:?}");
}

#[test]
fn routes_without_tokens_do_not_need_the_feed() {
    let fake = Fake { feed: Some("deny"), ..Fake::default() };
    let mut gatekeeper = gatekeeper(&fake);
    assert_eq!(ask(&mut gatekeeper, &fake, "/open", &[]).0, 200);
    assert_eq!(ask(&mut gatekeeper, &fake, "/maybe", &[]).0, 200);
}

#[test]
fn a_feed_that_says_nonsense_takes_nothing_back() {
    let fake = Fake { feed: Some("deny"), ..Fake::default() };
    let mut gatekeeper = gatekeeper(&fake);
    let bearer = format!("Bearer {}", token(""));
    feed(&mut gatekeeper, &fake, &snapshot(&[record(RevocationKind::Subject, "alice")]));
    assert_eq!(status(&mut gatekeeper, &fake, &bearer).0, 401);
    for body in [&b"\0\0\0\0\x02\xff\xff"[..], b"", b"<html>"] {
        let call = (0..200).find_map(|_| gatekeeper.on_tick(&fake).pop()).unwrap();
        gatekeeper.on_http_call_sent(&fake, &call, Some(4));
        let none = HeaderList::new();
        assert!(gatekeeper.on_http_call_answer(&fake, 4, Some(200), &none, body).is_err());
        assert_ne!(status(&mut gatekeeper, &fake, &bearer).0, 200);
    }
}
