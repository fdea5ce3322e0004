//! Services that fail: who is let through, what callers get, and which answers count.

use super::*;
use postern_filter_host::HttpCall;
use postern_proto::feed::v1::{
    CircuitPhase, CircuitState, Circuits, ExchangeResponse, ReportRequest, ReportResponse,
};
use postern_proto::framing;
use prost::Message as _;

pub(super) const UPSTREAM: Option<&str> = Some("via_upstream");
const REPORT: &str = "/postern.feed.v1.Feed/Report";

/// A document whose service `bank` is cut off after five failures in a row, with a route for each
/// thing that callers may get then.
pub(super) fn configuration_with(fake: &Fake, has_feed: bool) -> Value {
    let mut configuration = configuration(fake);
    let document = &mut configuration["document"];
    let circuit = json!({"failures": 5, "recovery": "10s", "jitter": "0%"});
    document["services"]["bank"] = json!({"upstream": "h:1", "circuit": circuit});
    let slow = json!({"failures": "off", "slow": {"over": "100ms", "share": "50%"}, "minimum": 4,
                      "jitter": "0%"});
    document["services"]["late"] = json!({"upstream": "h:1", "circuit": slow});
    let circuit = json!({"failures": 1, "recovery": "3s", "jitter": "0%"});
    document["services"]["aid"] = json!({"upstream": "h:1", "circuit": circuit});
    document["services"]["rpc"] =
        json!({"upstream": "h:1", "http2": true, "circuit": {"failures": 1, "jitter": "0%"}});
    document["limits"]["two"] = json!({"key": ["ip"], "rate": "2/1h", "mode": "local"});
    let routes = document["routes"].as_array_mut().unwrap();
    let mut add = |name: &str, service: &str, more: Value| {
        let mut route = json!({"name": name, "match": {"path": format!("/{name}")},
                               "service": service, "auth": "none"});
        let (Value::Object(all), Value::Object(more)) = (&mut route, more) else { panic!() };
        all.extend(more);
        routes.push(route);
    };
    let answer = json!({"status": 200, "content_type": "text/plain", "body": "later",
                        "headers": {"x-stand-in": "yes"}});
    add("bank", "bank", json!({}));
    add("counted", "bank", json!({"limits": ["two"]}));
    add("tried", "bank", json!({"enforce": "shadow"}));
    add("stale", "bank", json!({"fallback": {"stale": {}}}));
    add("answered", "bank", json!({"fallback": {"answer": answer}}));
    add("spared", "bank", json!({"fallback": {"service": "s"}}));
    add("aided", "bank", json!({"fallback": {"service": "aid"}}));
    add("aid", "aid", json!({}));
    add("late", "late", json!({}));
    add("watched", "bank", json!({"fallback": {"shadow": true}}));
    add("rpc", "rpc", json!({}));
    if has_feed {
        configuration["feed"] = feed_source();
    }
    configuration
}

pub(super) fn list(path: &str, headers: &[(&str, &str)]) -> HeaderList {
    let all = [(":method", "GET"), (":authority", "h"), (":path", path)];
    let all = all.iter().chain(headers);
    all.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// A request: what is kept of it, and what was written; none where it was refused.
pub(super) fn pass(
    gatekeeper: &mut Gatekeeper,
    fake: &Fake,
    path: &str,
    headers: &[(&str, &str)],
) -> Option<(Responding, Recorded)> {
    let mut recorded = Recorded::default();
    match gatekeeper.on_request_headers(fake, &list(path, headers), &mut recorded) {
        Outcome::Continue(stream) => Some((stream.unwrap(), recorded)),
        Outcome::Deny(denial, _) => {
            assert_eq!((denial.status, recorded.reason().as_str()), (503, "circuit_open"));
            None
        }
        Outcome::Answer(..) => None,
    }
}

/// A request and its answer, by whomever. Whether it was let through.
pub(super) fn call(
    gatekeeper: &mut Gatekeeper,
    fake: &Fake,
    path: &str,
    status: &'static str,
    details: Option<&'static str>,
) -> bool {
    let Some((mut stream, _)) = pass(gatekeeper, fake, path, &[]) else { return false };
    fake.details.set(details);
    let mut recorded = Recorded { has: vec![(":status", status)], ..Recorded::default() };
    gatekeeper.on_response_headers(fake, &mut stream, &mut recorded);
    gatekeeper.on_end(fake, stream);
    true
}

/// Fails until the circuit is open.
pub(super) fn open(gatekeeper: &mut Gatekeeper, fake: &Fake) {
    for _ in 0..5 {
        assert!(call(gatekeeper, fake, "/bank", "500", UPSTREAM));
    }
}

/// What was counted since the last time, by names that tell of circuits.
pub(super) fn counted(gatekeeper: &mut Gatekeeper) -> Vec<(&'static str, u64)> {
    let all = crate::counters::NAMES.iter().copied().zip(gatekeeper.take_counts());
    let told = all.filter(|(name, count)| {
        let is_told = ["circuit", "report", "stale_"].iter().any(|word| name.contains(word));
        is_told && *count > 0
    });
    told.map(|(name, count)| (name.trim_start_matches("postern_filter_"), count)).collect()
}

#[test]
fn after_five_failures_the_sixth_call_is_refused_in_every_worker() {
    let fake = Fake::default();
    let configuration = configuration_with(&fake, false);
    let mut all = [configured(&fake, &configuration), configured(&fake, &configuration)];
    assert_eq!(all[0].tick_ms(), 100);
    for at in 0..5 {
        assert!(call(&mut all[at % 2], &fake, "/bank", "500", UPSTREAM));
    }
    for gatekeeper in &mut all {
        let mut recorded = Recorded::default();
        let asked = gatekeeper.on_request_headers(&fake, &list("/bank", &[]), &mut recorded);
        let Outcome::Deny(denial, _) = asked else { panic!("{asked:?}") };
        let retry_after = ("retry-after", "10".to_owned());
        assert!(denial.status == 503 && denial.headers.contains(&retry_after), "{denial:?}");
        assert!(denial.body.contains("CIRCUIT_OPEN"), "{denial:?}");
        assert_eq!(recorded.reason(), "circuit_open");
        // An open circuit is no rule for callers: a share changes nothing.
        assert!(pass(gatekeeper, &fake, "/tried", &[]).is_none());
        assert!(pass(gatekeeper, &fake, "/stale", &[]).is_none(), "nothing was kept");
        assert!(pass(gatekeeper, &fake, "/open", &[]).is_some(), "another service");
    }
    let missed = ("stale_misses_total", 1);
    assert_eq!(
        counted(&mut all[0]),
        [("circuit_refused_total", 3), ("circuit_opened_total", 1), missed]
    );
    fake.later.set(10_000);
    assert!(call(&mut all[1], &fake, "/bank", "200", UPSTREAM));
    assert!(call(&mut all[0], &fake, "/bank", "200", UPSTREAM), "closed again");
    assert_eq!(
        counted(&mut all[1]),
        [("circuit_refused_total", 3), ("circuit_probes_total", 1), missed]
    );
}

#[test]
fn what_envoy_answers_for_a_service_counts_and_our_own_answers_never_do() {
    for (status, details, counts) in [
        ("500", UPSTREAM, true),
        ("503", Some("upstream_reset_before_response_started{connection_failure}"), true),
        ("503", Some("no_healthy_upstream"), true),
        ("504", Some("response_timeout"), true),
        ("503", Some("fault_filter_abort"), false),
        ("503", Some("upstream_reset_before_response_started{overflow}"), false),
        ("429", Some("request_rate_limited"), false),
        ("403", Some("rbac_access_denied_matched_policy[none]"), false),
        ("401", Some(""), false),
        ("503", None, false),
        ("404", UPSTREAM, false),
    ] {
        let fake = Fake::default();
        let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
        for _ in 0..5 {
            assert!(call(&mut gatekeeper, &fake, "/bank", status, details));
        }
        let refused = !call(&mut gatekeeper, &fake, "/bank", "200", UPSTREAM);
        assert_eq!(refused, counts, "{status} {details:?}");
    }
}

#[test]
fn what_is_not_the_services_ends_no_run_and_closes_nothing() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
    for _ in 0..4 {
        call(&mut gatekeeper, &fake, "/bank", "500", UPSTREAM);
        call(&mut gatekeeper, &fake, "/bank", "429", Some("request_rate_limited"));
        // Also where it looks well.
        call(&mut gatekeeper, &fake, "/bank", "200", Some("fault_filter_abort"));
    }
    call(&mut gatekeeper, &fake, "/bank", "500", UPSTREAM);
    assert!(pass(&mut gatekeeper, &fake, "/bank", &[]).is_none());
    fake.later.set(10_000);
    assert!(call(&mut gatekeeper, &fake, "/bank", "200", Some("fault_filter_abort")));
    assert!(pass(&mut gatekeeper, &fake, "/bank", &[]).is_none(), "the probe told nothing");
}

#[test]
fn a_good_answer_asks_the_host_for_nothing() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
    let before = fake.asked.get();
    let reads = fake.values.calls.get();
    for status in ["200", "204", "302"] {
        call(&mut gatekeeper, &fake, "/bank", status, UPSTREAM);
    }
    assert_eq!(fake.asked.get(), before);
    assert_eq!(fake.values.calls.get() - reads, 3, "one read each");
}

#[test]
fn what_ends_without_an_answer_is_judged_by_who_ended_it() {
    for (details, counts) in [
        (Some("upstream_reset_after_response_started{connection_termination}"), true),
        (Some("downstream_remote_disconnect"), false),
        (Some("http2.remote_reset"), false),
        (Some("via_upstream"), false),
        (None, false),
    ] {
        let fake = Fake::default();
        let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
        for _ in 0..5 {
            let (stream, _) = pass(&mut gatekeeper, &fake, "/bank", &[]).unwrap();
            fake.details.set(details);
            gatekeeper.on_end(&fake, stream);
        }
        assert_eq!(pass(&mut gatekeeper, &fake, "/bank", &[]).is_none(), counts, "{details:?}");
    }
}

#[test]
fn calls_of_grpc_end_with_their_trailers() {
    let grpc = [("content-type", "application/grpc")];
    // In the headers, in the trailers, and who made it: whether it counts.
    for (header, trailer, details, counts) in [
        (None, Some("14"), UPSTREAM, true),
        (None, Some("0"), UPSTREAM, false),
        (None, Some("2"), UPSTREAM, false),
        (Some("14"), None, UPSTREAM, true),
        (Some("0"), None, UPSTREAM, false),
        (Some("14"), None, Some("upstream_reset_before_response_started{overflow}"), false),
        (Some("14"), None, Some("no_healthy_upstream"), true),
        (Some("8"), None, Some("request_rate_limited"), false),
        (None, None, Some("upstream_reset_after_response_started{remote_reset}"), true),
        (None, None, Some("http2.remote_reset"), false),
        // The answer has begun: who does not read it has the time run out, too.
        (None, None, Some("response_timeout"), false),
        (None, None, Some("upstream_max_stream_duration_reached"), false),
        (Some("14"), None, Some("response_timeout"), true),
        (None, None, UPSTREAM, false),
    ] {
        let fake = Fake::default();
        let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
        let (mut stream, _) = pass(&mut gatekeeper, &fake, "/rpc", &grpc).unwrap();
        fake.details.set(details);
        let told = |value: Option<&'static str>| value.map(|value| ("grpc-status", value));
        let has = [(":status", "200")].into_iter().chain(told(header)).collect();
        let mut recorded = Recorded { has, ..Recorded::default() };
        gatekeeper.on_response_headers(&fake, &mut stream, &mut recorded);
        let trailers = Recorded { has: told(trailer).into_iter().collect(), ..Recorded::default() };
        if trailer.is_some() {
            gatekeeper.on_response_trailers(&fake, &mut stream, &trailers);
        }
        gatekeeper.on_end(&fake, stream);
        let refused = pass(&mut gatekeeper, &fake, "/rpc", &grpc).is_none();
        assert_eq!(refused, counts, "{header:?} {trailer:?} {details:?}");
    }
}

#[test]
fn routes_say_what_callers_get_instead() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
    let forged = [("x-postern-fallback", "1")];
    for path in ["/answered", "/spared", "/watched"] {
        let (_, recorded) = pass(&mut gatekeeper, &fake, path, &forged).unwrap();
        assert_eq!(recorded.removed, ["x-postern-fallback"], "{path}");
        assert!(recorded.set.iter().all(|(name, _)| name != "x-postern-fallback"), "{path}");
    }
    open(&mut gatekeeper, &fake);
    gatekeeper.take_counts();

    let mut recorded = Recorded::default();
    let asked = gatekeeper.on_request_headers(&fake, &list("/answered", &forged), &mut recorded);
    let Outcome::Answer(answer, mut stream) = asked else { panic!("{asked:?}") };
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"later"[..]));
    let header = |name: &str| {
        let found = answer.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!([header("x-stand-in"), header("content-type")], [Some("yes"), Some("text/plain")]);
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(recorded.reason(), "circuit_open", "access logs know");
    let mut recorded = Recorded { has: vec![(":status", "200")], ..Recorded::default() };
    gatekeeper.on_response_headers(&fake, &mut stream, &mut recorded);
    assert!(recorded.set.iter().any(|(name, _)| name == "x-correlation-id"));
    gatekeeper.on_end(&fake, stream);

    let (stream, recorded) = pass(&mut gatekeeper, &fake, "/spared", &forged).unwrap();
    let elsewhere = ("x-postern-fallback".to_owned(), "1".to_owned());
    assert!(recorded.removed == ["x-postern-fallback"] && recorded.set.contains(&elsewhere));
    fake.details.set(UPSTREAM);
    gatekeeper.on_end(&fake, stream);

    // Only counted, and what comes of it decides nothing.
    assert!(call(&mut gatekeeper, &fake, "/watched", "200", UPSTREAM));
    assert!(pass(&mut gatekeeper, &fake, "/bank", &[]).is_none());
    assert_eq!(
        counted(&mut gatekeeper),
        [("circuit_refused_total", 4), ("circuit_fallback_total", 3)]
    );
}

#[test]
fn the_service_that_stands_in_has_a_circuit_too() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, true));
    let is_elsewhere =
        |recorded: &Recorded| recorded.set.iter().any(|(name, _)| name == "x-postern-fallback");
    open(&mut gatekeeper, &fake);
    let (_, recorded) = pass(&mut gatekeeper, &fake, "/aided", &[]).unwrap();
    assert!(is_elsewhere(&recorded), "the other circuit is closed");
    gatekeeper.take_counts();
    // What comes of it counts for the service that was asked.
    assert!(call(&mut gatekeeper, &fake, "/aided", "500", UPSTREAM));
    assert!(pass(&mut gatekeeper, &fake, "/aid", &[]).is_none());
    let mut recorded = Recorded::default();
    let asked = gatekeeper.on_request_headers(&fake, &list("/aided", &[]), &mut recorded);
    let Outcome::Deny(denial, _) = asked else { panic!("{asked:?}") };
    let retry_after = ("retry-after", "3".to_owned());
    assert!(
        denial.status == 503 && denial.headers.contains(&retry_after),
        "the sooner: {denial:?}"
    );
    assert!(!is_elsewhere(&recorded));
    let told = [("circuit_refused_total", 3), ("circuit_fallback_total", 1)];
    assert_eq!(counted(&mut gatekeeper)[..2], told);

    fake.later.set(3_000);
    assert!(call(&mut gatekeeper, &fake, "/aided", "200", UPSTREAM), "a probe");
    assert!(call(&mut gatekeeper, &fake, "/aid", "200", UPSTREAM), "has closed it");
    // Whatever breakers say, an operator's word goes first.
    let aid = "aid".to_owned();
    let word = CircuitState { service: aid, forced: true, ..word(CircuitPhase::Open, 60_000) };
    let circuits = Circuits { version: 1, services: vec![word] };
    for _ in 0..5 {
        tick(core::slice::from_mut(&mut gatekeeper), &fake, Some(&circuits), &[]);
    }
    assert!(pass(&mut gatekeeper, &fake, "/aided", &[]).is_none());
}

/// Four calls that are late by the clock, and what the router says of them: whether that opens the
/// circuit.
fn late(served: Option<&'static str>, status: &'static str, details: Option<&'static str>) -> bool {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
    for _ in 0..4 {
        let (mut stream, _) = pass(&mut gatekeeper, &fake, "/late", &[]).unwrap();
        fake.later.set(fake.later.get() + 101);
        fake.details.set(details);
        let told = served.map(|took| ("x-envoy-upstream-service-time", took));
        let has = [(":status", status)].into_iter().chain(told).collect();
        let mut recorded = Recorded { has, ..Recorded::default() };
        gatekeeper.on_response_headers(&fake, &mut stream, &mut recorded);
        gatekeeper.on_end(&fake, stream);
    }
    gatekeeper.on_tick(&fake);
    pass(&mut gatekeeper, &fake, "/late", &[]).is_none()
}

#[test]
fn no_caller_makes_a_service_slow() {
    assert!(late(Some("101"), "200", UPSTREAM), "the service took as long");
    assert!(!late(Some("100"), "200", UPSTREAM), "somebody else did");
    assert!(!late(None, "200", UPSTREAM), "the request had not come in yet");
    assert!(!late(Some("soon"), "200", UPSTREAM));
    assert!(!late(Some("7"), "404", UPSTREAM));
    assert!(late(Some("200"), "404", UPSTREAM));
    assert!(late(None, "504", Some("response_timeout")), "an answer that never came");
}

#[test]
fn what_the_circuit_refuses_gets_back_what_limits_took() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
    assert!(call(&mut gatekeeper, &fake, "/counted", "200", UPSTREAM));
    open(&mut gatekeeper, &fake);
    for _ in 0..5 {
        assert!(pass(&mut gatekeeper, &fake, "/counted", &[]).is_none());
    }
    fake.later.set(10_000);
    assert!(call(&mut gatekeeper, &fake, "/counted", "200", UPSTREAM), "one of two is left");
    let (status, recorded) = ask(&mut gatekeeper, &fake, "/counted", &[]);
    assert_eq!((status, recorded.reason().as_str()), (429, "limit_exceeded"));
}

#[test]
fn limits_come_first() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, false));
    for _ in 0..2 {
        assert!(call(&mut gatekeeper, &fake, "/counted", "500", UPSTREAM));
    }
    for _ in 0..3 {
        assert!(call(&mut gatekeeper, &fake, "/bank", "500", UPSTREAM));
    }
    assert_eq!(ask(&mut gatekeeper, &fake, "/counted", &[]).0, 429);
    assert_eq!(ask(&mut gatekeeper, &fake, "/bank", &[]).0, 503);
}

/// Ticks every worker; the reports. Calls of the feed are answered with these circuits, reports
/// with these words.
fn tick(
    gatekeepers: &mut [Gatekeeper],
    fake: &Fake,
    circuits: Option<&Circuits>,
    words: &[CircuitState],
) -> Vec<ReportRequest> {
    fake.later.set(fake.later.get() + 100);
    let (none, mut reports) = (HeaderList::new(), Vec::new());
    for gatekeeper in gatekeepers {
        for (call, token) in gatekeeper.on_tick(fake).iter().zip(7..) {
            gatekeeper.on_http_call_sent(fake, call, Some(token));
            let body = if call.path == REPORT {
                reports.push(report(call));
                let services = words.to_vec();
                framing::frame(&ReportResponse { services, ..ReportResponse::default() })
            } else {
                let next_poll_ms = 100;
                let circuits = circuits.cloned();
                let answer = ExchangeResponse { circuits, next_poll_ms, ..Default::default() };
                framing::frame(&answer)
            };
            let body = body.unwrap();
            let taken = gatekeeper.on_http_call_answer(fake, token, Some(200), &none, &body);
            assert!(taken.is_ok(), "{taken:?}");
        }
    }
    reports
}

fn report(call: &HttpCall) -> ReportRequest {
    assert_eq!((call.cluster.as_str(), call.authority.as_str()), ("c", "a"));
    let body = framing::unframe(call.message.as_deref().unwrap()).unwrap();
    ReportRequest::decode(body).unwrap()
}

fn word(phase: CircuitPhase, retry_after_ms: u32) -> CircuitState {
    let service = "bank".to_owned();
    CircuitState { service, phase: phase.into(), retry_after_ms, ..CircuitState::default() }
}

#[test]
fn the_worker_that_speaks_to_the_server_reports_for_all() {
    let fake = Fake::default();
    let configuration = configuration_with(&fake, true);
    let mut all = [configured(&fake, &configuration), configured(&fake, &configuration)];
    let closed = [word(CircuitPhase::Closed, 0)];
    for _ in 0..5 {
        assert!(tick(&mut all, &fake, None, &closed).is_empty(), "there is nothing to say");
    }
    open(&mut all[1], &fake);
    let reports: Vec<ReportRequest> =
        (0..3).flat_map(|_| tick(&mut all, &fake, None, &closed)).collect();
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.workload.as_str(), report.document_digest.as_str()), ("w", "d1"));
    assert!(report.envoy_id.starts_with("edge-1."), "{}", report.envoy_id);
    let told = &report.services[0];
    assert_eq!((told.service.as_str(), told.failures, told.run), ("bank", 5, 5));
    let calls: u64 = all
        .iter_mut()
        .flat_map(counted)
        .filter(|(name, _)| *name == "report_calls_total")
        .map(|(_, count)| count)
        .sum();
    assert_eq!(calls, 1);
}

#[test]
fn what_other_envoys_have_seen_holds_here() {
    let fake = Fake::default();
    let configuration = configuration_with(&fake, true);
    let mut all = [configured(&fake, &configuration), configured(&fake, &configuration)];
    let circuits = |version, services| Circuits { version, services };
    let open = circuits(1, vec![word(CircuitPhase::Open, 60_000)]);
    for _ in 0..5 {
        tick(&mut all, &fake, Some(&open), &[]);
    }
    for gatekeeper in &mut all {
        assert!(pass(gatekeeper, &fake, "/bank", &[]).is_none());
    }
    for _ in 0..5 {
        tick(&mut all, &fake, Some(&circuits(2, Vec::new())), &[]);
    }
    for gatekeeper in &mut all {
        assert!(call(gatekeeper, &fake, "/bank", "200", UPSTREAM));
    }
}

#[test]
fn a_report_that_is_not_answered_is_counted_and_the_breaker_acts_alone() {
    let fake = Fake::default();
    let mut gatekeeper = configured(&fake, &configuration_with(&fake, true));
    for _ in 0..5 {
        tick(core::slice::from_mut(&mut gatekeeper), &fake, None, &[]);
    }
    open(&mut gatekeeper, &fake);
    gatekeeper.take_counts();
    fake.later.set(fake.later.get() + 100);
    let calls = gatekeeper.on_tick(&fake);
    let call = calls.iter().find(|call| call.path == REPORT).unwrap();
    gatekeeper.on_http_call_sent(&fake, call, None);
    let failed = [("report_calls_total", 1), ("report_failures_total", 1)];
    assert_eq!(counted(&mut gatekeeper), failed);
    assert!(pass(&mut gatekeeper, &fake, "/bank", &[]).is_none());
    fake.later.set(fake.later.get() + 10_000);
    assert!(pass(&mut gatekeeper, &fake, "/bank", &[]).is_some(), "a probe of its own");
}
