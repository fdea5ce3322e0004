use postern_store::volatile::ProbeOutcomes;

use super::*;
use crate::settings::{Quota, Quotas};
use crate::testing::circuits::{CircuitsRig, failed, refused, reports};

const MILLISECOND: Duration = Duration::from_millis(1);

fn rig() -> CircuitsRig {
    CircuitsRig::new(&Settings::default())
}

/// What was told: services, how they stand, probes.
fn told(heard: &Heard) -> Vec<(&str, State, u32)> {
    let of = |told: &ToldCircuit| (told.state, told.granted.probes);
    heard.services.iter().map(|told| (told.service.as_str(), of(told).0, of(told).1)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_two_have_seen_is_told_to_a_third() {
    let rig = rig();
    let one = rig.report("1", 1, vec![failed("bank", 9), failed("post", 1)]).await.unwrap();
    assert_eq!(told(&one), [("bank", State::Closed, 0), ("post", State::Closed, 0)]);
    assert!(one.next >= MILLISECOND * 900 && one.next <= MILLISECOND * 1_100);
    assert_eq!((one.is_whole, one.document_digest.as_str()), (true, "document"));
    let two = rig.report("2", 1, vec![failed("bank", 9)]).await.unwrap();
    assert_eq!(told(&two), [("bank", State::Open, 0)]);
    let third = rig.report("3", 1, vec![refused("bank", 0)]).await.unwrap();
    assert_eq!(told(&third), [("bank", State::Open, 0)]);
    assert!((9_000..=10_000).contains(&third.services[0].retry_after_ms));
    let moved = "postern_circuit_transitions_total{reason=\"run\",service=\"bank\",to=\"OPEN\"";
    assert_eq!(rig.metric(moved), 1.0);
    assert_eq!(rig.metric("postern_circuit_reports_total{outcome=\"answered\""), 3.0);
}

#[tokio::test(start_paused = true)]
async fn names_of_one_identity_are_no_identities() {
    let rig = rig();
    let peer = PeerIdentity::Loopback;
    for name in 0..200 {
        let said = reports(&name.to_string(), 1, vec![refused("bank", 0)]);
        rig.circuits.report(&peer, &said).await.unwrap();
    }
    rig.view.look().await;
    assert_eq!(rig.metric("postern_circuit_reporters{service=\"bank\""), 16.0);
}

#[tokio::test(start_paused = true)]
async fn of_services_that_are_not_its_own_nothing_is_heard() {
    let rig = rig();
    for envoy in ["1", "2", "3"] {
        let said = vec![failed("ship", 9), failed("nothing", 9), failed("bank", 1)];
        let heard = rig.report(envoy, 1, said).await.unwrap();
        assert_eq!(told(&heard), [("bank", State::Closed, 0)]);
        assert!(heard.is_whole, "there is nothing to be said again");
    }
    assert_eq!(rig.metric("postern_circuit_reports_passed_over_total"), 6.0);
    let only = rig.report("1", 2, vec![failed("ship", 9)]).await.unwrap();
    assert!(only.services.is_empty());
    rig.view.look().await;
    assert_eq!(rig.metric("api_gateway_circuit_breaker_state{service=\"ship\""), 0.0);

    let mut other = reports("1", 3, vec![failed("ship", 9)]);
    other.workload = "shipping".to_owned();
    let refusal = rig.circuits.report(&PeerIdentity::Loopback, &other).await.unwrap_err();
    assert_eq!(refusal, ReportRefusal::NotPermitted);
    assert_eq!(rig.metric("postern_circuit_reports_total{outcome=\"not_permitted\""), 1.0);
}

#[tokio::test(start_paused = true)]
async fn probes_go_to_those_who_have_a_use_for_them() {
    let rig = rig();
    rig.fail("bank").await;
    let waits = rig.report("3", 1, vec![refused("bank", 7)]).await.unwrap();
    assert_eq!(told(&waits), [("bank", State::Open, 0)], "its time has not come");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let none = rig.report("4", 1, vec![refused("bank", 0)]).await.unwrap();
    assert_eq!(told(&none), [("bank", State::HalfOpen, 0)], "nobody has called it");
    let one = rig.report("3", 2, vec![refused("bank", 1)]).await.unwrap();
    assert_eq!(told(&one), [("bank", State::HalfOpen, 1)]);
    assert_eq!(one.services[0].granted.life_ms, 1_000);
    let other = rig.report("4", 2, vec![refused("bank", 7)]).await.unwrap();
    assert_eq!(told(&other), [("bank", State::HalfOpen, 1)], "two in an interval");
    let late = rig.report("1", 2, vec![refused("bank", 7)]).await.unwrap();
    assert_eq!(told(&late), [("bank", State::HalfOpen, 0)]);
    assert_eq!(rig.metric("postern_circuit_probes_granted_total{service=\"bank\""), 2.0);

    let came = ProbeOutcomes { through: 1, failed: 0 };
    let came = ServiceReport { probes: came, ..refused("bank", 0) };
    let closed = rig.report("3", 3, vec![came]).await.unwrap();
    assert_eq!(told(&closed), [("bank", State::Closed, 0)]);
}

#[tokio::test(start_paused = true)]
async fn who_has_refused_nobody_takes_no_probe_from_those_who_have() {
    let rig = rig();
    rig.fail("bank").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    for number in 2..5 {
        let idle = rig.report("3", number, vec![refused("bank", 0)]).await.unwrap();
        assert_eq!(told(&idle), [("bank", State::HalfOpen, 0)]);
    }
    let busy = rig.report("4", 1, vec![refused("bank", 9)]).await.unwrap();
    assert_eq!(told(&busy), [("bank", State::HalfOpen, 2)], "all that an interval has");
}

#[tokio::test(start_paused = true)]
async fn a_closed_one_needs_no_probes() {
    let rig = rig();
    let fine = rig.report("4", 1, vec![refused("bank", 9)]).await.unwrap();
    assert_eq!(told(&fine), [("bank", State::Closed, 0)]);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_it_is_to_be_said_again() {
    let rig = rig();
    rig.store.leave(true);
    let refusal = rig.report("1", 1, vec![failed("bank", 9)]).await.unwrap_err();
    let ReportRefusal::Unavailable { next_poll } = refusal else { panic!("{refusal}") };
    assert!(next_poll >= AWAY_PAUSE && next_poll <= AWAY_PAUSE * 2);
    let nothing = rig.report("1", 2, vec![]).await.unwrap();
    assert!(nothing.services.is_empty(), "nothing is nothing");
    rig.store.leave(false);
    rig.report("1", 1, vec![failed("bank", 9)]).await.unwrap();
    let opened = rig.report("2", 1, vec![failed("bank", 9)]).await.unwrap();
    assert_eq!(told(&opened), [("bank", State::Open, 0)], "both were counted");
}

#[tokio::test(start_paused = true)]
async fn peers_have_a_quota_of_services() {
    let reports = Quota { times: 60, period: Duration::from_secs(60), burst: 1_000 };
    let quotas = Quotas { reports, ..Quotas::default() };
    let rig = CircuitsRig::new(&Settings { quotas, ..Settings::default() });
    let many = |count: usize| (0..count).map(|name| failed(&name.to_string(), 1)).collect();
    rig.report("1", 1, many(1_000)).await.unwrap();
    let refusal = rig.report("1", 2, many(30)).await.unwrap_err();
    let ReportRefusal::OverQuota { next_poll } = refusal else { panic!("{refusal}") };
    assert!(next_poll >= Duration::from_secs(29), "{next_poll:?}");
    rig.report("2", 1, many(1_000)).await.unwrap();
    assert_eq!(rig.metric("postern_feed_quota_refusals_total{quota=\"reports\""), 1.0);
    assert_eq!(rig.metric("postern_circuit_reports_total{outcome=\"over_quota\""), 1.0);
}
