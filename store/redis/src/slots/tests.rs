use std::sync::{Mutex, PoisonError};

use postern_circuit::Settings;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_request::RateLimitStatus;

use super::*;

/// Slots that do as they are told, and remember what they were asked, by owner.
#[derive(Default)]
struct Told {
    /// Owners that never have room.
    full: Vec<u64>,
    /// Owners that have room while they are looked at, and none when they are taken from.
    raced: Vec<u64>,
    /// Owners whose node fails when it is taken from.
    down: Vec<u64>,
    /// What the circuit says to a look, and to a take.
    circuit: Option<[Admission; 2]>,
    calls: Mutex<Vec<String>>,
}

impl Told {
    fn note(&self, call: String) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    fn calls(&self) -> String {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).join(", ")
    }
}

fn owners(limits: impl Iterator<Item = LimitKey>) -> String {
    limits.map(|key| key.owner.to_string()).collect::<Vec<_>>().join("+")
}

impl Slots for Told {
    async fn ask(
        &self,
        looks: bool,
        limits: &[LimitAsk],
        circuit: Option<&CircuitAsk>,
    ) -> Result<Decision, StoreError> {
        let what = if circuit.is_some() { "circuit " } else { "" };
        let how = if looks { "look" } else { "take" };
        let whose = owners(limits.iter().map(|limit| limit.key));
        self.note(format!("{how} {what}{whose}").trim_end().to_owned());
        // Whoever does not wait for all at once is found out.
        tokio::task::yield_now().await;
        let [looked, taken] = self.circuit.unwrap_or([Admission::Pass; 2]);
        let admission = if looks { looked } else { taken };
        let is_in = |list: &[u64], limit: &LimitAsk| list.contains(&limit.key.owner);
        if !looks && limits.iter().any(|limit| is_in(&self.down, limit)) {
            return Err(StoreError::Unavailable("down".to_owned()));
        }
        let outcome = |limit: &LimitAsk| {
            let allowed = !is_in(&self.full, limit) && (looks || !is_in(&self.raced, limit));
            // Says whose it is, and whether it was taken from.
            let remaining = limit.key.owner * 10 + u64::from(looks);
            let status = RateLimitStatus { limit: 1, remaining, reset_secs: 1, window_secs: 1 };
            Outcome { allowed, status }
        };
        let limits: Vec<_> = limits.iter().map(outcome).collect();
        let refused = matches!(admission, Admission::Refused { .. }) && circuit.is_some();
        let allowed = !refused && limits.iter().all(|outcome| outcome.allowed);
        Ok(Decision { limits, admission, allowed })
    }

    async fn give_back(&self, taken: &[GiveBack]) -> Result<(), StoreError> {
        self.note(format!("back {}", owners(taken.iter().map(|taken| taken.key))));
        Ok(())
    }
}

fn limit(owner: u64, cost: u64) -> LimitAsk {
    let rate = Rate::parse("10/1m").unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    let take = Take::Rate { spec, cost };
    LimitAsk { key: LimitKey { owner, hash: [0; 16] }, take, shadow: false }
}

fn asking(owners: &[u64], has_circuit: bool) -> DecisionAsk {
    let settings = Settings::default();
    let circuit = has_circuit.then(|| CircuitAsk { service: "s".to_owned(), settings });
    DecisionAsk { limits: owners.iter().map(|owner| limit(*owner, 1)).collect(), circuit }
}

/// The calls, whether the request passes, and what each limit says is left.
async fn decided(told: &Told, ask: &DecisionAsk) -> (String, bool, Vec<u64>) {
    let decision = decide(told, ask).await.unwrap();
    let left = decision.limits.iter().map(|limit| limit.status.remaining).collect();
    (told.calls(), decision.allowed, left)
}

#[test]
fn what_one_owner_has_lies_together() {
    let limits = [limit(1, 1), limit(2, 1), limit(1, 3), limit(3, 1)];
    let groups = by_slot(&limits, |limit| limit.key);
    let places: Vec<_> = groups.iter().map(|group| group.places.clone()).collect();
    assert_eq!(places, [vec![0, 2], vec![1], vec![3]]);
    assert_eq!(groups[0].items, [limits[0], limits[2]]);
    assert!(by_slot(&[], |limit: &LimitAsk| limit.key).is_empty());
}

#[tokio::test]
async fn one_slot_is_one_call() {
    for (owners, has_circuit, call) in [
        (vec![], true, "take circuit"),
        (vec![4], false, "take 4"),
        (vec![4, 4], false, "take 4+4"),
    ] {
        let told = Told::default();
        let (calls, passes, _) = decided(&told, &asking(&owners, has_circuit)).await;
        assert_eq!((calls.as_str(), passes), (call, true));
    }
}

#[tokio::test]
async fn several_are_looked_at_before_they_are_taken_from() {
    let told = Told::default();
    let expected = "look 1+1, look 2, look 3, take 1+1, take 2, take 3".to_owned();
    let decision = decided(&told, &asking(&[1, 2, 1, 3], false)).await;
    assert_eq!(decision, (expected, true, vec![10, 20, 10, 30]));

    let told = Told { full: vec![2], ..Told::default() };
    let decision = decided(&told, &asking(&[1, 2, 3], false)).await;
    assert_eq!(decision, ("look 1, look 2, look 3".to_owned(), false, vec![11, 21, 31]));
}

#[tokio::test]
async fn what_was_taken_is_given_back_when_another_refuses_meanwhile() {
    let told = Told { raced: vec![2], ..Told::default() };
    let mut ask = asking(&[1, 2, 3], false);
    // One that only looked has nothing to give back.
    ask.limits.push(limit(3, 0));
    let (calls, passes, left) = decided(&told, &ask).await;
    let expected = "look 1, look 2, look 3+3, take 1, take 2, take 3+3, back 1, back 3";
    assert_eq!((calls.as_str(), passes), (expected, false));
    assert_eq!(left, [11, 20, 31, 31]);

    let told = Told { down: vec![3], ..Told::default() };
    let failed = decide(&told, &asking(&[1, 3], false)).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    assert_eq!(told.calls(), "look 1, look 3, take 1, take 3, back 1");
}

#[tokio::test]
async fn a_circuit_is_asked_first_and_its_probe_taken_last() {
    let wait = Admission::Refused { retry_after_ms: 9 };
    let (pass, probe) = (Admission::Pass, Admission::Probe);
    for (circuit, owners, calls, passes) in [
        ([pass, pass], vec![1], "look circuit, take 1", true),
        ([wait, wait], vec![1], "look circuit", false),
        ([probe, probe], vec![1], "look circuit, take 1, take circuit", true),
        ([probe, wait], vec![1], "look circuit, take 1, take circuit, back 1", false),
        ([probe, pass], vec![1], "look circuit, take 1, take circuit", true),
        ([pass, pass], vec![1, 2], "look 1, look 2, look circuit, take 1, take 2", true),
        ([wait, wait], vec![1, 2], "look 1, look 2, look circuit", false),
    ] {
        let told = Told { circuit: Some(circuit), ..Told::default() };
        let decision = decide(&told, &asking(&owners, true)).await.unwrap();
        assert_eq!((told.calls().as_str(), decision.allowed), (calls, passes), "{circuit:?}");
        assert_eq!(decision.limits.len(), if passes { owners.len() } else { 0 }, "{circuit:?}");
        assert_eq!(matches!(decision.admission, Admission::Refused { .. }), !passes);
    }

    let told = Told { circuit: Some([probe, probe]), raced: vec![1], ..Told::default() };
    let decision = decided(&told, &asking(&[1], true)).await;
    assert_eq!(decision, ("look circuit, take 1".to_owned(), false, vec![10]));
}
