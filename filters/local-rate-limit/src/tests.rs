use super::*;
use postern_document::{Document, from_json};
use postern_filter_shared_data::Memory;
use postern_filter_shared_data::cells::key;
use postern_limits::slot::{self, Slot};
use postern_request::principal::Principal;
use postern_request::{HeaderView, address};

mod later;

static NO_HEADERS: Vec<(String, Vec<u8>)> = Vec::new();

/// One route for everybody, with these limits.
fn gateway(limits: &str, applied: &str) -> Document {
    let text = format!(
        r#"{{"version": 1, "services": {{"s": {{"upstream": "h:1"}}}},
            "credentials": {{"api_key": {{}}}}, "limits": {{{limits}}},
            "routes": [{{"name": "r", "match": {{"path": "/{{rest=**}}"}}, "service": "s",
                        "auth": {{"any": ["api_key"], "optional": true}},
                        "limits": [{applied}]}}]}}"#
    );
    from_json(text.as_bytes()).unwrap()
}

fn document() -> Document {
    gateway(
        r#""ip": {"key": ["ip"], "rate": "3/1m", "mode": "local"},
           "all": {"key": ["route"], "rate": "4/1m", "mode": "local"}"#,
        r#""ip", "all""#,
    )
}

fn counted<'a>(client: &str, principal: Option<&'a Principal>) -> Counted<'a> {
    let headers: &dyn HeaderView = &NO_HEADERS;
    Counted {
        address: address::parse(client),
        principal,
        headers,
        method: "GET",
        authority: "a.test",
        path: "/",
    }
}

fn ask_at(document: &Document, shared: &Memory, client: &str, now: u64) -> Verdict {
    let route = &document.routes[0];
    let others_follow = !route.leased_limits.is_empty();
    check(route, &counted(client, None), others_follow, shared, 7, UnixMillis(now))
}

fn ask(document: &Document, shared: &Memory, client: &str) -> Verdict {
    ask_at(document, shared, client, 0)
}

/// Asks `times` times and says how many passed.
fn passed(document: &Document, shared: &Memory, client: &str, times: usize) -> usize {
    (0..times).filter(|_| ask(document, shared, client).denial.is_none()).count()
}

#[test]
fn each_client_has_its_own_count() {
    let (document, shared) = (document(), Memory::default());
    for expected in [2, 1, 0] {
        let verdict = ask(&document, &shared, "192.0.2.1:5");
        assert_eq!(verdict.denial, None);
        assert_eq!(verdict.status.unwrap().remaining, expected);
        assert!(verdict.ticket.is_empty());
    }
    let denied = ask(&document, &shared, "192.0.2.1:6").denial.unwrap();
    assert_eq!((denied.code.status(), denied.retry_after_secs), (429, Some(20)));
    assert_eq!(ask(&document, &shared, "192.0.2.2:5").denial, None);
}

#[test]
fn what_is_refused_takes_from_no_limit() {
    let (document, shared) = (document(), Memory::default());
    assert_eq!(passed(&document, &shared, "192.0.2.1", 3), 3);
    assert_eq!(passed(&document, &shared, "192.0.2.1", 5), 0, "by ip");
    assert_eq!(passed(&document, &shared, "192.0.2.2", 2), 1, "the fourth of all");
    let ip = &document.limits[0];
    let subject = counted("192.0.2.2", None);
    let place_key = ip.key_of(&document.routes[0], &subject, ip.allowance);
    let place = Place::of(hash(7, place_key.as_bytes()));
    let mut slot = Slot::decode(&shared.get(&key::<Rates>(place.slot)).unwrap().0);
    let Allowance::Rate(spec) = ip.allowance else { panic!("a rate") };
    let (outcome, _) = slot.take(place.fingerprint, spec, 2, UnixMillis(0));
    assert!(outcome.allowed, "the ip limit got back what the refused request took");
}

#[test]
fn every_algorithm_that_fits_a_slot_counts_here() {
    for how in [
        r#""algorithm": "token_bucket""#,
        r#""algorithm": "token_bucket", "burst": 3"#,
        r#""algorithm": "gcra""#,
        r#""algorithm": "sliding_window""#,
        r#""algorithm": "fixed_window""#,
        r#""algorithm": "fixed_window", "windows": "first_hit""#,
    ] {
        let limit = format!(r#""l": {{"key": ["ip"], "rate": "3/1m", "mode": "local", {how}}}"#);
        let (document, shared) = (gateway(&limit, r#""l""#), Memory::default());
        assert_eq!(passed(&document, &shared, "192.0.2.1", 9), 3, "{how}");
        assert_eq!(passed(&document, &shared, "192.0.2.2", 9), 3, "{how}");
        let later = ask_at(&document, &shared, "192.0.2.1", 120_000);
        assert_eq!(later.denial, None, "{how}");
    }
}

#[test]
fn a_caller_counts_by_tier_and_client() {
    let document = gateway(
        r#""l": {"key": ["claim.sub"], "rate": "1/1m", "mode": "local",
                 "tiers": {"premium": "2/1m", "enterprise": "unlimited"},
                 "clients": {"batch": "3/1m"}}"#,
        r#""l""#,
    );
    let shared = Memory::default();
    for (tier, client, expected) in [
        ("basic", "web", 1),
        ("premium", "web", 2),
        ("premium", "batch", 3),
        ("enterprise", "web", 9),
    ] {
        let principal = Principal {
            subject: format!("{tier} {client}"),
            tier: Some(tier.to_owned()),
            client_id: Some(client.to_owned()),
            ..Principal::default()
        };
        let passes = |_: &usize| {
            let counted = counted("192.0.2.1", Some(&principal));
            let verdict = check(&document.routes[0], &counted, false, &shared, 7, UnixMillis(0));
            assert_eq!(verdict.status.is_none(), tier == "enterprise");
            verdict.denial.is_none()
        };
        assert_eq!((0..9).filter(passes).count(), expected, "{tier} {client}");
    }
    let before = shared.calls.get();
    let document =
        gateway(r#""l": {"key": ["ip"], "rate": "unlimited", "mode": "local"}"#, r#""l""#);
    assert_eq!(ask(&document, &shared, "192.0.2.1"), Verdict::default());
    assert_eq!(shared.calls.get(), before, "without bound there is nothing to count");
}

#[test]
fn a_request_counts_as_much_as_it_weighs() {
    let limits = r#""l": {"key": ["ip"], "rate": "10/1m", "mode": "local", "weight": 4}"#;
    for (applied, expected) in [(r#""l""#, 2), (r#"{"limit": "l", "weight": 5}"#, 2)] {
        let (document, shared) = (gateway(limits, applied), Memory::default());
        assert_eq!(passed(&document, &shared, "192.0.2.1", 9), expected, "{applied}");
    }
    let document = gateway(limits, r#"{"limit": "l", "weight": 3}"#);
    let verdict = ask(&document, &Memory::default(), "192.0.2.1");
    assert_eq!(verdict.status.unwrap().remaining, 7);
}

#[test]
fn a_limit_in_shadow_refuses_nobody() {
    let document = gateway(
        r#""tried": {"key": ["ip"], "rate": "1/1m", "mode": "local", "shadow": true},
           "ip": {"key": ["ip"], "rate": "3/1m", "mode": "local"}"#,
        r#""tried", "ip""#,
    );
    let shared = Memory::default();
    for (shadowed, remaining) in [(0, 2), (1, 1), (1, 0)] {
        let verdict = ask(&document, &shared, "192.0.2.1");
        assert_eq!((verdict.shadowed, verdict.denial), (shadowed, None));
        assert_eq!(verdict.status.unwrap().remaining, remaining, "of the limit that binds");
    }
    let verdict = ask(&document, &shared, "192.0.2.1");
    assert!(verdict.denial.is_some());
    assert_eq!(verdict.shadowed, 0, "refused by another limit");
    // What is refused is counted in shadow no more than elsewhere.
    let document = gateway(
        r#""tried": {"key": ["ip"], "rate": "2/1h", "mode": "local", "shadow": true},
           "all": {"key": ["route"], "rate": "1/1s", "mode": "local"}"#,
        r#""tried", "all""#,
    );
    let shared = Memory::default();
    assert_eq!(passed(&document, &shared, "192.0.2.1", 9), 1);
    for (now, shadowed) in [(1000, 0), (2000, 1)] {
        let verdict = ask_at(&document, &shared, "192.0.2.1", now);
        assert_eq!((verdict.denial, verdict.shadowed), (None, shadowed), "{now}");
    }
}

#[test]
fn a_faster_worker_costs_a_retry_and_no_request() {
    let (document, shared) = (document(), Memory::default());
    shared.conflicts.set(3);
    let verdict = ask(&document, &shared, "192.0.2.1");
    assert_eq!((verdict.conflicts, verdict.status.unwrap().remaining), (3, 2));
}

#[test]
fn one_limit_costs_one_read_and_one_write() {
    let document = gateway(r#""l": {"key": ["ip"], "rate": "10/1m", "mode": "local"}"#, r#""l""#);
    let shared = Memory::default();
    let verdict = ask(&document, &shared, "192.0.2.1");
    assert_eq!((shared.calls.get(), verdict.denial), (2, None));
}

#[test]
fn memory_stays_bounded_under_a_flood_of_clients() {
    let document = gateway(
        r#""ip": {"key": ["ip"], "rate": "3/1m", "mode": "local"},
           "busy": {"key": ["ip"], "in_flight": 3, "mode": "local"}"#,
        r#""ip", "busy""#,
    );
    let shared = Memory::default();
    for client in 0..30_000_u32 {
        let _ = ask(&document, &shared, &std::net::Ipv4Addr::from(client).to_string());
    }
    let slots = usize::try_from(slot::SLOTS + seats::SLOTS).unwrap();
    assert!(shared.keys() <= slots, "{}", shared.keys());
    assert!(shared.longest() <= 192, "{}", shared.longest());
}
