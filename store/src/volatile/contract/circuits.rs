//! Circuits, and limits beside them.

use postern_circuit::{Admission, State};
use postern_limits::Algorithm;

use super::{Case, all_at_once, circuit_of, hourly, shadow};
use crate::BoxFuture;
use crate::volatile::{CircuitAsk, Decision, DecisionAsk, LimitAsk};

pub(super) async fn run(case: Case<'_>) {
    a_circuit_opens_and_probes(case).await;
    an_open_circuit_takes_from_no_limit(case).await;
    a_refused_request_takes_no_probe(case).await;
    a_shadow_keeps_no_probe_back(case).await;
    what_is_decided_together_is_decided_apart(case).await;
}

async fn decide(case: Case<'_>, limits: &[LimitAsk], circuit: &CircuitAsk) -> Decision {
    let ask = DecisionAsk { limits: limits.to_vec(), circuit: Some(circuit.clone()) };
    case.store.decide(&ask, case.now).await.unwrap()
}

async fn fails_five_times(case: Case<'_>, circuit: &CircuitAsk) {
    for _ in 0..5 {
        assert_eq!(decide(case, &[], circuit).await.admission, Admission::Pass);
        case.store.record_outcome(circuit, false, case.now).await.unwrap();
    }
}

async fn a_circuit_opens_and_probes(case: Case<'_>) {
    let circuit = circuit_of("opens", case.salt);
    fails_five_times(case, &circuit).await;
    let refused = decide(case, &[], &circuit).await;
    assert!(!refused.allowed);
    let refused = refused.admission;
    assert!(matches!(refused, Admission::Refused { retry_after_ms: 1..=200 }), "{refused:?}");
    let later = case.later(250).await;
    let probe = decide(later, &[], &circuit).await;
    assert_eq!((probe.admission, probe.allowed), (Admission::Probe, true));
    let second = decide(later, &[], &circuit).await.admission;
    assert!(matches!(second, Admission::Refused { .. }), "one probe at a time");
    let closed = later.store.record_outcome(&circuit, true, later.now).await.unwrap();
    assert_eq!((closed.state, closed.failures), (State::Closed, 0));
    assert_eq!(decide(later, &[], &circuit).await.admission, Admission::Pass);
}

async fn an_open_circuit_takes_from_no_limit(case: Case<'_>) {
    let circuit = circuit_of("takes-nothing", case.salt);
    let limits = [case.ask("3rate", 2), case.place("3place", 2, 1)];
    fails_five_times(case, &circuit).await;
    let refused = decide(case, &limits, &circuit).await;
    assert!(!refused.allowed);
    assert!(refused.limits.is_empty(), "nothing was counted, so nothing is said");
    assert_eq!(case.take(limits[0]).await, (true, 1));
    assert_eq!(case.take(case.place("3place", 2, 2)).await, (true, 1));
}

async fn a_refused_request_takes_no_probe(case: Case<'_>) {
    let circuit = circuit_of("no-probe", case.salt);
    let limit = case.ask("4rate", 1);
    assert_eq!(case.take(limit).await, (true, 0));
    fails_five_times(case, &circuit).await;
    let later = case.later(250).await;
    assert!(!decide(later, &[limit], &circuit).await.allowed);
    assert_eq!(decide(later, &[], &circuit).await.admission, Admission::Probe);
}

async fn a_shadow_keeps_no_probe_back(case: Case<'_>) {
    let circuit = circuit_of("shadow", case.salt);
    let limit = shadow(case.ask("5rate", 1));
    assert_eq!(case.take(limit).await, (true, 0));
    fails_five_times(case, &circuit).await;
    let later = case.later(250).await;
    let probe = decide(later, &[limit], &circuit).await;
    assert_eq!((probe.admission, probe.allowed), (Admission::Probe, true));
    let second = decide(later, &[limit], &circuit).await.admission;
    assert!(matches!(second, Admission::Refused { .. }), "{second:?}");
}

/// Whatever a store makes of requests that come at the same time: none answers for another.
async fn what_is_decided_together_is_decided_apart(case: Case<'_>) {
    let mut circuit = circuit_of("together", case.salt);
    circuit.settings.recovery_ms = 60_000;
    fails_five_times(case, &circuit).await;
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
