//! Slices of limits, from the first request to the server's answer.

use super::*;
use postern_filter_host::HttpCall;
use postern_leases::{Ask, LeaseId, Ledger, Terms};
use postern_limits::key::stamp;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_proto::feed::v1::{BorrowRequest, BorrowResponse, LeaseGrant};
use postern_proto::framing;
use prost::Message as _;

const BORROW: &str = "/postern.feed.v1.Feed/Borrow";

/// A document whose route `/leased` leases, beside a local limit of eight.
fn configuration_with(fake: &Fake, limit: &Value) -> Value {
    let mut configuration = configuration(fake);
    let document = &mut configuration["document"];
    document["limits"]["shared"] = json!({
        "key": ["claim.sub"], "rate": "1000/1m", "mode": "leased",
        "lease": {"sidecars": 1, "start": "strict"},
    });
    let (Value::Object(all), Value::Object(more)) = (&mut document["limits"]["shared"], limit)
    else {
        panic!()
    };
    all.extend(more.clone());
    document["limits"]["own"] = json!({"key": ["claim.sub"], "rate": "8/1m", "mode": "local"});
    document["routes"].as_array_mut().unwrap().push(json!({
        "name": "leased", "match": {"path": "/leased"}, "service": "s",
        "auth": {"any": ["jwt"]}, "limits": ["own", "shared"],
    }));
    configuration["feed"] = feed_source();
    configuration
}

/// A server that lends one limit.
struct Lender {
    /// Digest of its document.
    digest: String,
    ledger: Ledger,
    state: postern_limits::State,
    borrowed: Vec<BorrowRequest>,
}

impl Lender {
    fn new() -> Self {
        let state = spec().fresh(UnixMillis(START));
        let digest = "d1".to_owned();
        Self { digest, ledger: Ledger::default(), state, borrowed: Vec::new() }
    }

    fn answer(&mut self, call: &HttpCall, now: UnixMillis) -> BorrowResponse {
        let body = framing::unframe(call.message.as_deref().unwrap()).unwrap();
        let request = BorrowRequest::decode(body).unwrap();
        let document_digest = self.digest.clone();
        let mut answer =
            BorrowResponse { next_ms: 1000, document_digest, ..BorrowResponse::default() };
        for back in &request.returns {
            let id = LeaseId(back.id.as_slice().try_into().unwrap());
            self.ledger.give_back(&mut self.state, spec(), id, back.unused, now);
            answer.returned.push(back.id.clone());
        }
        for ask in &request.asks {
            let lease =
                Ask { id: LeaseId(ask.id.as_slice().try_into().unwrap()), asked: ask.asked };
            let terms = Terms::of(1).unwrap();
            let lent = self.ledger.lend(&mut self.state, spec(), &terms, lease, now);
            answer.grants.push(LeaseGrant {
                id: ask.id.clone(),
                granted: lent.granted,
                life_ms: u32::try_from(lent.life_ms).unwrap(),
                remaining: lent.remaining,
                reset_ms: lent.reset_ms,
                unknown: false,
            });
        }
        self.borrowed.push(request);
        answer
    }
}

fn spec() -> Spec {
    let rate = Rate::parse("1000/1m").unwrap();
    Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap()
}

/// Ticks every worker. Calls to borrow are answered, or fail where nobody lends; others are
/// refused.
fn tick(gatekeepers: &mut [Gatekeeper], fake: &Fake, mut lender: Option<&mut Lender>) {
    fake.later.set(fake.later.get() + 100);
    let none = HeaderList::new();
    for gatekeeper in gatekeepers {
        for (call, token) in gatekeeper.on_tick(fake).iter().zip(7..) {
            gatekeeper.on_http_call_sent(fake, call, Some(token));
            let (status, body) = match &mut lender {
                Some(lender) if call.path == BORROW => {
                    assert_eq!((call.cluster.as_str(), call.authority.as_str()), ("c", "a"));
                    let answer = lender.answer(call, fake.now());
                    (Some(200), framing::frame(&answer).unwrap())
                }
                _ => (None, Vec::new()),
            };
            let taken = gatekeeper.on_http_call_answer(fake, token, status, &none, &body);
            assert_eq!(taken.is_ok(), status.is_some(), "{taken:?}");
        }
    }
}

/// Asks, and says how it went.
fn leased(gatekeeper: &mut Gatekeeper, fake: &Fake) -> (u16, String) {
    ask_as(gatekeeper, fake, "/leased", &format!("Bearer {}", token("")))
}

/// What was counted since the last time, by names that tell of leases.
fn counted(gatekeeper: &mut Gatekeeper) -> Vec<(&'static str, u64)> {
    let all = crate::counters::NAMES.iter().copied().zip(gatekeeper.take_counts());
    all.filter(|(name, count)| name.contains("lease") && *count > 0).collect()
}

#[test]
fn slices_are_lent_to_all_workers_by_one_that_asks() {
    let fake = Fake::default();
    let configuration = configuration_with(&fake, &json!({}));
    let mut all = [configured(&fake, &configuration), configured(&fake, &configuration)];
    let mut lender = Lender::new();
    let dry = (429, "limit_exceeded".to_owned());
    assert_eq!(leased(&mut all[1], &fake), dry);
    for _ in 0..5 {
        tick(&mut all, &fake, Some(&mut lender));
    }
    let [borrowed] = lender.borrowed.as_slice() else { panic!("{:?}", lender.borrowed) };
    assert_eq!((borrowed.workload.as_str(), borrowed.document_digest.as_str()), ("w", "d1"));
    assert!(borrowed.envoy_id.starts_with("edge-1."), "{}", borrowed.envoy_id);
    let lent = borrowed.asks[0].asked;
    assert_eq!((borrowed.asks[0].stamp, lent), (stamp("shared", spec()), 6));
    let passes = (0..9).filter(|at| leased(&mut all[at % 2], &fake).0 == 200).count();
    assert_eq!(passes, 6);
    // The local limit of eight has given six, and got the others back.
    let before: u64 =
        all.iter_mut().map(|one| counted(one).iter().map(|(_, n)| n).sum::<u64>()).sum();
    assert_eq!(before, 1 + 4, "one call, four times dry");
    tick(&mut all, &fake, Some(&mut lender));
    let passes = (0..9).filter(|at| leased(&mut all[at % 2], &fake).0 == 200).count();
    assert_eq!(passes, 2, "the local limit refuses now, and takes nothing of the slice");
}

#[test]
fn answers_that_do_not_count_give_back_what_was_spent() {
    let fake = Fake::default();
    let configuration = configuration_with(&fake, &json!({"skip": "failed"}));
    let mut all = [configured(&fake, &configuration)];
    let mut lender = Lender::new();
    assert_eq!(leased(&mut all[0], &fake).0, 429);
    for _ in 0..5 {
        tick(&mut all, &fake, Some(&mut lender));
    }
    let bearer = format!("Bearer {}", token(""));
    let headers = [(":method", "GET"), (":path", "/leased"), (":authority", "h")];
    let list: HeaderList = headers
        .iter()
        .chain(&[("authorization", bearer.as_str())])
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let mut statuses = Vec::new();
    for status in ["503", "200", "500", "200"] {
        let asked = all[0].on_request_headers(&fake, &list, &mut Recorded::default());
        let Outcome::Continue(Some(mut stream)) = asked else { panic!("{asked:?}") };
        assert!(!stream.tickets.is_empty());
        let mut recorded = Recorded { has: vec![(":status", status)], ..Recorded::default() };
        all[0].on_response_headers(&fake, &mut stream, &mut recorded);
        assert!(stream.tickets.is_empty());
        let remaining = recorded.set.iter().find(|(name, _)| name == "x-ratelimit-remaining");
        statuses.push(remaining.map(|(_, value)| value.clone()).unwrap());
        all[0].on_end(&fake, stream);
    }
    // Of the local limit, which is tighter: it skips nothing.
    assert_eq!(statuses, ["7", "6", "5", "4"]);
    let passes = (0..9).filter(|_| leased(&mut all[0], &fake).0 == 200).count();
    assert_eq!(passes, 4, "two of six were spent; four are left, of either limit");
}

#[test]
fn while_nobody_lends_the_document_decides() {
    for (how, status) in [("allow", 200), ("deny", 503), ("local_share", 200)] {
        let fake = Fake::default();
        let configuration = configuration_with(&fake, &json!({"when_store_fails": how}));
        let mut all = [configured(&fake, &configuration)];
        assert_eq!(leased(&mut all[0], &fake).0, 429);
        for _ in 0..40 {
            tick(&mut all, &fake, None);
        }
        let (found, reason) = leased(&mut all[0], &fake);
        assert_eq!(found, status, "{how}: {reason}");
        let counts = counted(&mut all[0]);
        assert!(counts.contains(&("postern_filter_lease_fallback_total", 1)), "{counts:?}");
        let failures =
            counts.iter().find(|(name, _)| *name == "postern_filter_lease_failures_total");
        let calls = counts.iter().find(|(name, _)| *name == "postern_filter_lease_calls_total");
        assert_eq!(failures.map(|(_, count)| count), calls.map(|(_, count)| count));
    }
}

#[test]
fn slices_are_lent_also_while_another_document_leads_that_leases_nothing() {
    let mut fake = Fake { feed: Some("deny"), ..Fake::default() };
    let mut other = configuration(&fake);
    other["digest"] = json!("d2");
    fake.feed = None;
    let first = configured(&fake, &configuration_with(&fake, &json!({})));
    // The newer of two documents speaks to the server.
    let mut all = [first, configured(&fake, &other)];
    let mut lender = Lender::new();
    for _ in 0..5 {
        tick(&mut all, &fake, Some(&mut lender));
    }
    assert_eq!(leased(&mut all[0], &fake), (429, "limit_exceeded".to_owned()));
    tick(&mut all, &fake, Some(&mut lender));
    let [borrowed] = lender.borrowed.as_slice() else { panic!("{:?}", lender.borrowed) };
    assert_eq!((borrowed.document_digest.as_str(), borrowed.asks.len()), ("d2", 1));
    assert_eq!(leased(&mut all[0], &fake).0, 200);
}

#[test]
fn where_nothing_else_is_asked_slices_tell_of_the_servers_document() {
    let fake = Fake::default();
    let mut all = [configured(&fake, &configuration_with(&fake, &json!({})))];
    let mut lender = Lender::new();
    assert_eq!(all[0].take_gauges(), [None, None, None]);
    for (digest, differs) in [("d1", 0), ("d9", 1)] {
        lender.digest = digest.to_owned();
        // Until nothing is left of a slice.
        while leased(&mut all[0], &fake).0 == 200 {}
        for _ in 0..10 {
            tick(&mut all, &fake, Some(&mut lender));
        }
        assert_eq!(all[0].take_gauges(), [None, None, Some(differs)], "{digest}");
    }
}

#[test]
fn a_document_with_leased_limits_does_not_run_without_the_feed() {
    let fake = Fake::default();
    let mut configuration = configuration_with(&fake, &json!({}));
    configuration.as_object_mut().unwrap().remove("feed");
    let refused = Gatekeeper::configure(&fake, configuration.to_string().as_bytes());
    assert!(refused.err().unwrap()[0].contains("no feed"));
}
