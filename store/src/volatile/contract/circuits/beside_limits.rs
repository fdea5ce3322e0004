//! Circuits, and limits beside them.

use postern_limits::Algorithm;

use super::*;
use crate::BoxFuture;
use crate::volatile::contract::{hourly, shadow};
use crate::volatile::{Decision, LimitAsk};

pub(super) async fn run(case: Case<'_>) {
    an_open_circuit_takes_from_no_limit(case).await;
    a_refused_request_takes_no_probe(case).await;
    a_shadow_keeps_no_probe_back(case).await;
    what_is_decided_together_is_decided_apart(case).await;
}

async fn decide(case: Case<'_>, limits: &[LimitAsk], circuit: &CircuitAsk) -> Decision {
    let ask = DecisionAsk { limits: limits.to_vec(), circuit: Some(circuit.clone()) };
    case.store.decide(&ask, case.now).await.unwrap()
}

async fn an_open_circuit_takes_from_no_limit(case: Case<'_>) {
    let circuit = open(case, "takes-nothing", 10_000).await;
    let limits = [case.ask("3rate", 2), case.place("3place", 2, 1)];
    let refused = decide(case, &limits, &circuit).await;
    assert!(!refused.allowed);
    assert!(refused.limits.is_empty(), "nothing was counted, so nothing is said");
    assert_eq!(case.take(limits[0]).await, (true, 1));
    assert_eq!(case.take(case.place("3place", 2, 2)).await, (true, 1));
}

async fn a_refused_request_takes_no_probe(case: Case<'_>) {
    let circuit = open(case, "no-probe", 200).await;
    let limit = case.ask("4rate", 1);
    assert_eq!(case.take(limit).await, (true, 0));
    let later = case.later(250).await;
    assert!(!decide(later, &[limit], &circuit).await.allowed);
    assert_eq!(decide(later, &[], &circuit).await.admission, Admission::Probe);
}

async fn a_shadow_keeps_no_probe_back(case: Case<'_>) {
    let circuit = open(case, "shadow", 200).await;
    let limit = shadow(case.ask("5rate", 1));
    assert_eq!(case.take(limit).await, (true, 0));
    let later = case.later(250).await;
    let probe = decide(later, &[limit], &circuit).await;
    assert_eq!((probe.admission, probe.allowed), (Admission::Probe, true));
    let second = decide(later, &[limit], &circuit).await.admission;
    assert!(matches!(second, Admission::Refused { .. }), "{second:?}");
}

/// Whatever a store makes of requests that come at the same time: none answers for another.
async fn what_is_decided_together_is_decided_apart(case: Case<'_>) {
    let circuit = open(case, "decided-together", 60_000).await;
    let ask = |limits: &[LimitAsk], guarded: bool| DecisionAsk {
        limits: limits.to_vec(),
        circuit: guarded.then(|| circuit.clone()),
    };
    let bucket = case.rate("6bucket", hourly(Algorithm::TokenBucket, 5), 2);
    let fixed = case.rate("6fixed", hourly(Algorithm::FixedWindow, 5), 5);
    let asks: Vec<DecisionAsk> = (0..30)
        .map(|number| match number % 5 {
            0 => ask(&[bucket, fixed], true),
            1 => ask(&[case.place("6place", 3, number)], false),
            2 => ask(&[case.ask("6window", 4)], false),
            3 => ask(&[], true),
            _ => ask(&[bucket, case.ask("6other", 100)], false),
        })
        .collect();
    let decide = |(number, ask)| -> BoxFuture<'_, (usize, Decision)> {
        Box::pin(async move { (number, case.store.decide(ask, case.now).await.unwrap()) })
    };
    let mut passed = [0; 5];
    for (number, decision) in all_at_once(asks.iter().enumerate().map(decide).collect()).await {
        passed[number % 5] += u32::from(decision.allowed);
        let refused = matches!(decision.admission, Admission::Refused { .. });
        assert_eq!(refused, matches!(number % 5, 0 | 3), "{number}: {decision:?}");
        let said = if refused { 0 } else { asks[number].limits.len() };
        assert_eq!(decision.limits.len(), said, "{number}");
    }
    assert_eq!(passed, [0, 3, 4, 0, 2]);
    assert_eq!(case.take(fixed).await, (true, 0), "nothing was taken behind an open circuit");
}
