//! Keys that one VM fetches for all, and keys that come by the feed.

use super::*;
use postern_filter_host::HttpCall;
use postern_proto::feed::v1::{ExchangeRequest, ExchangeResponse, KeySet, Snapshot};
use postern_proto::framing;
use postern_revocation::bucket::BUCKETS;
use prost::Message as _;

const CALL: u32 = 5;

/// An issuer whose keys every Envoy fetches.
fn fetching(fake: &Fake) -> Gatekeeper {
    let mut configuration = configuration(fake);
    let issuer = &mut configuration["document"]["credentials"]["jwt"]["issuers"][0];
    issuer["jwks"] = json!({"uri": "https://i.test/jwks"});
    configuration["key_sources"] = json!([
        {"issuer": 0, "cluster": "jwks", "authority": "i.test", "path": "/jwks",
         "refresh_ms": 300_000},
    ]);
    configured(fake, &configuration)
}

/// One whose keys the server fetches.
fn fed_by(fake: &Fake) -> Value {
    let mut configuration = configuration(fake);
    let issuer = &mut configuration["document"]["credentials"]["jwt"]["issuers"][0];
    issuer["jwks"] = json!({"uri": "https://i.test/jwks", "fetched_by": "server"});
    configuration["feed"] = feed_source();
    configuration
}

/// The keys, with another name for the one that tokens are signed with.
fn renamed(name: &str) -> String {
    JWKS.replace("\"ec\"", &format!("\"{name}\""))
}

/// A tick; calls are sent.
fn tick(gatekeeper: &mut Gatekeeper, fake: &Fake) -> Vec<HttpCall> {
    let calls = gatekeeper.on_tick(fake);
    calls.iter().for_each(|call| gatekeeper.on_http_call_sent(fake, call, Some(CALL)));
    calls
}

fn answer(
    gatekeeper: &mut Gatekeeper,
    fake: &Fake,
    status: u16,
    body: &[u8],
) -> Result<Vec<HttpCall>, String> {
    gatekeeper.on_http_call_answer(fake, CALL, Some(status), &HeaderList::new(), body)
}

fn ask_with(gatekeeper: &mut Gatekeeper, fake: &Fake, kid: &str) -> (u16, String) {
    ask_as(gatekeeper, fake, "/plain", &format!("Bearer {}", signed(kid, json!({}))))
}

#[test]
fn one_vm_fetches_for_all() {
    let fake = Fake::default();
    let mut vms = [fetching(&fake), fetching(&fake)];
    let missing = (503, "keys_missing".to_owned());
    assert_eq!(ask_with(&mut vms[0], &fake, "ec"), missing);
    assert_eq!(vms.each_mut().map(|vm| tick(vm, &fake).len()), [1, 0]);
    let error = answer(&mut vms[0], &fake, 500, b"").unwrap_err();
    assert_eq!(error, "keys of https://i.test from jwks: status 500");
    fake.later.set(1_000);
    assert_eq!(vms.each_mut().map(|vm| tick(vm, &fake).len()), [1, 0]);
    answer(&mut vms[0], &fake, 200, JWKS.as_bytes()).unwrap();
    assert_eq!(ask_with(&mut vms[0], &fake, "ec").0, 200);
    assert_eq!(ask_with(&mut vms[1], &fake, "ec"), missing);
    assert_eq!(tick(&mut vms[1], &fake).len(), 0);
    assert_eq!(ask_with(&mut vms[1], &fake, "ec").0, 200);
    // A VM that is made anew has them from the start.
    assert_eq!(ask_with(&mut fetching(&fake), &fake, "ec").0, 200);
}

#[test]
fn an_unknown_key_brings_the_new_ones_and_at_most_one_fetch_in_ten_seconds() {
    let fake = Fake::default();
    let mut vms = [fetching(&fake), fetching(&fake)];
    let mut fetched_at = Vec::new();
    for step in 0..400 {
        fake.later.set(step * 100);
        for vm in &mut vms {
            let (status, reason) = ask_with(vm, &fake, "new");
            assert_eq!(status == 200, step > 300, "{step} {reason}");
            if !tick(vm, &fake).is_empty() {
                fetched_at.push(step);
                let keys = if step < 300 { JWKS.to_owned() } else { renamed("new") };
                answer(vm, &fake, 200, keys.as_bytes()).unwrap();
            }
        }
    }
    assert_eq!(fetched_at, [0, 100, 200, 300]);
}

#[test]
fn a_removed_key_ends_its_tokens_in_every_vm() {
    let fake = Fake::default();
    let mut vms = [fetching(&fake), fetching(&fake)];
    assert_eq!(tick(&mut vms[0], &fake).len(), 1);
    answer(&mut vms[0], &fake, 200, JWKS.as_bytes()).unwrap();
    assert_eq!(tick(&mut vms[1], &fake).len(), 0);
    for vm in &mut vms {
        assert_eq!(ask_with(vm, &fake, "ec").0, 200);
    }
    // Past the refresh, whichever of both asks.
    fake.later.set(331_000);
    assert_eq!(tick(&mut vms[1], &fake).len(), 1);
    answer(&mut vms[1], &fake, 200, renamed("new").as_bytes()).unwrap();
    assert_eq!(tick(&mut vms[0], &fake).len(), 0);
    for vm in &mut vms {
        assert_eq!(ask_with(vm, &fake, "ec"), (401, "token_key".to_owned()));
        assert_eq!(ask_with(vm, &fake, "new").0, 200);
    }
}

/// What the feed is asked, by ticks up to so many.
fn asked(gatekeeper: &mut Gatekeeper, fake: &Fake, ticks: u32) -> Option<ExchangeRequest> {
    let call = (0..ticks).find_map(|_| tick(gatekeeper, fake).pop())?;
    let message = call.message.unwrap();
    Some(ExchangeRequest::decode(framing::unframe(&message).unwrap()).unwrap())
}

/// An answer with keys, and a set of revoked tokens with nothing in it.
fn keys_by_feed(jwks: &str, digest: &str) -> Vec<u8> {
    let (issuer, jwks, digest) = ("https://i.test".to_owned(), jwks.to_owned(), digest.to_owned());
    let answer = ExchangeResponse {
        epoch: 1,
        cursor: 1,
        fingerprint_key: vec![3; 16],
        snapshot: Some(Snapshot {
            cursor: 1,
            first_bucket: 0,
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            last: true,
            total_records: 0,
        }),
        key_sets: vec![KeySet { issuer, jwks, digest }],
        document_digest: "d2".to_owned(),
        next_poll_ms: 100,
        ..ExchangeResponse::default()
    };
    framing::frame(&answer).unwrap()
}

#[test]
fn keys_come_by_the_feed_without_any_revocation() {
    let fake = Fake::default();
    let mut vms = [(); 2].map(|()| configured(&fake, &fed_by(&fake)));
    assert_eq!(ask_with(&mut vms[0], &fake, "ec"), (503, "keys_missing".to_owned()));
    let request = asked(&mut vms[0], &fake, 200).unwrap();
    assert_eq!((request.workload.as_str(), request.document_digest.as_str()), ("w", "d1"));
    assert_eq!(request.key_digests.keys().collect::<Vec<_>>(), ["https://i.test"]);
    let process = request.envoy_id.strip_prefix("edge-1.").unwrap();
    assert!(process.len() == 8 && process.bytes().all(|b| b.is_ascii_hexdigit()), "{process}");
    answer(&mut vms[0], &fake, 200, &keys_by_feed(JWKS, "k1")).unwrap();
    for vm in &mut vms {
        let _ = tick(vm, &fake);
        assert_eq!(ask_with(vm, &fake, "ec").0, 200);
    }
    // Nothing is judged by what nobody asks for, however old it is.
    for _ in 0..1_000 {
        let _ = vms[1].on_tick(&fake);
    }
    assert_eq!(ask_with(&mut vms[1], &fake, "ec").0, 200);
    assert_eq!(ask_with(&mut configured(&fake, &fed_by(&fake)), &fake, "ec").0, 200, "a new VM");
}

#[test]
fn an_unknown_key_is_asked_for_by_the_feed() {
    let fake = Fake::default();
    let mut vm = configured(&fake, &fed_by(&fake));
    assert!(asked(&mut vm, &fake, 200).unwrap().wanted_keys.is_empty());
    answer(&mut vm, &fake, 200, &keys_by_feed(JWKS, "k1")).unwrap();
    let _ = vm.on_tick(&fake);
    for _ in 0..5 {
        assert_eq!(ask_with(&mut vm, &fake, "new"), (401, "token_key".to_owned()));
    }
    let wanted = (0..100).find_map(|_| {
        let request = asked(&mut vm, &fake, 100)?;
        answer(&mut vm, &fake, 200, &keys_by_feed(&renamed("new"), "k2")).unwrap();
        Some(request.wanted_keys).filter(|wanted| !wanted.is_empty())
    });
    assert_eq!(wanted.unwrap(), ["https://i.test"]);
    let _ = vm.on_tick(&fake);
    assert_eq!(ask_with(&mut vm, &fake, "new").0, 200);
    assert_eq!(ask_with(&mut vm, &fake, "ec"), (401, "token_key".to_owned()), "and is gone");
}

#[test]
fn bad_keys_by_the_feed_leave_the_good_ones() {
    let fake = Fake::default();
    let mut vm = configured(&fake, &fed_by(&fake));
    assert!(asked(&mut vm, &fake, 200).is_some());
    answer(&mut vm, &fake, 200, &keys_by_feed(JWKS, "k1")).unwrap();
    let _ = vm.on_tick(&fake);
    assert!(asked(&mut vm, &fake, 1_000).is_some());
    answer(&mut vm, &fake, 200, &keys_by_feed("<html>", "k2")).unwrap();
    let _ = vm.on_tick(&fake);
    assert_eq!(ask_with(&mut vm, &fake, "ec").0, 200);
    let counts = vm.take_counts().into_iter().zip(crate::counters::NAMES);
    let mut failures = counts.filter(|(_, name)| name.contains("key_fetch_failures"));
    assert_eq!(failures.next().map(|(count, _)| count), Some(1));
}

#[test]
fn a_feed_that_has_more_is_asked_again_at_once() {
    let fake = Fake::default();
    let mut vm = configured(&fake, &fed_by(&fake));
    assert!(asked(&mut vm, &fake, 200).is_some());
    let more = ExchangeResponse {
        epoch: 1,
        fingerprint_key: vec![3; 16],
        snapshot: Some(Snapshot {
            buckets: vec![Vec::new(); 100],
            total_records: 0,
            ..Snapshot::default()
        }),
        ..ExchangeResponse::default()
    };
    let calls = answer(&mut vm, &fake, 200, &framing::frame(&more).unwrap()).unwrap();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].path.ends_with("/Exchange") && calls[0].message.is_some(), "{calls:?}");
    // It counts as any other: sent, and answered.
    vm.on_http_call_sent(&fake, &calls[0], Some(CALL));
    answer(&mut vm, &fake, 200, &keys_by_feed(JWKS, "k1")).unwrap();
    let _ = vm.on_tick(&fake);
    assert_eq!(ask_with(&mut vm, &fake, "ec").0, 200);
}

#[test]
fn the_feed_has_gauges() {
    let fake = Fake::default();
    let mut vm = configured(&fake, &fed_by(&fake));
    assert_eq!(vm.take_gauges().len(), crate::counters::GAUGES.len());
    assert!(gatekeeper(&fake).take_gauges().is_empty(), "none without it");
    assert!(asked(&mut vm, &fake, 200).is_some());
    answer(&mut vm, &fake, 200, &keys_by_feed(JWKS, "k1")).unwrap();
    let gauges = vm.take_gauges();
    assert!(gauges[0].is_some_and(|age_ms| age_ms <= 200), "{gauges:?}");
    assert_eq!(gauges[1..], [Some(0), Some(1)], "the server runs another document");
}

#[test]
fn keys_by_the_feed_need_the_feed() {
    let fake = Fake::default();
    let mut configuration = fed_by(&fake);
    configuration.as_object_mut().unwrap().remove("feed");
    let text = configuration.to_string();
    let refused = Gatekeeper::configure(&fake, text.as_bytes()).err().unwrap();
    assert!(refused[0].contains("no feed"), "{refused:?}");
}
