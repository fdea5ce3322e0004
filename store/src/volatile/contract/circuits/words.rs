//! What operators say.

use postern_circuit::{Forced, ForcedState};
use postern_request::UnixMillis;

use super::*;
use crate::volatile::CircuitWord;

pub(super) async fn run(case: Case<'_>) {
    open_by_a_word_it_refuses_everything_until_that_ends(case).await;
    closed_by_a_word_it_lets_everything_through(case).await;
    reset_it_is_as_if_it_were_new(case).await;
}

async fn say(case: Case<'_>, circuit: &CircuitAsk, word: CircuitWord) -> CircuitStanding {
    case.store.say_of_circuit(circuit, word, case.now).await.unwrap()
}

fn force(case: Case<'_>, state: ForcedState, for_ms: u64) -> CircuitWord {
    CircuitWord::Force(Forced { state, until: UnixMillis(case.now.0 + for_ms) })
}

async fn open_by_a_word_it_refuses_everything_until_that_ends(case: Case<'_>) {
    let circuit = circuit_of("opened", case.salt);
    let said = say(case, &circuit, force(case, ForcedState::Open, 400)).await;
    assert_eq!(said.state, State::Open);
    assert!(said.forced.is_some_and(|forced| forced.state == ForcedState::Open), "{said:?}");
    let refused = admission(case, &circuit).await;
    assert!(matches!(refused, Admission::Refused { retry_after_ms: 1..=400 }), "{refused:?}");
    assert_eq!(case.grant(envoy(1), &circuit, 1).await, 0, "no probes, for nobody");
    let standing = case.standing(&circuit).await;
    assert_eq!(standing.state, State::Open);
    assert!((1..=400).contains(&standing.retry_after_ms), "{standing:?}");
    let later = case.later(450).await;
    let standing = later.standing(&circuit).await;
    assert_eq!((standing.state, standing.forced), (State::Closed, None));
    assert_eq!(admission(later, &circuit).await, Admission::Pass);
}

async fn closed_by_a_word_it_lets_everything_through(case: Case<'_>) {
    let circuit = open(case, "let-through", 10_000).await;
    let said = say(case, &circuit, force(case, ForcedState::Closed, 400)).await;
    assert_eq!((said.state, said.retry_after_ms), (State::Closed, 0));
    assert_eq!(admission(case, &circuit).await, Admission::Pass);
    // What is reported counts beside it.
    let failed = fails(case, &circuit, 2, 1).await;
    assert_eq!(failed.standing.state, State::Closed);
    let later = case.later(450).await;
    assert_eq!(later.standing(&circuit).await.state, State::Open, "as it was");
    assert!(matches!(admission(later, &circuit).await, Admission::Refused { .. }));
}

async fn reset_it_is_as_if_it_were_new(case: Case<'_>) {
    let circuit = circuit_of("reset", case.salt);
    for number in [1, 2] {
        fails(case, &circuit, number, 4).await;
    }
    say(case, &circuit, force(case, ForcedState::Open, 60_000)).await;
    let said = say(case, &circuit, CircuitWord::Reset).await;
    assert_eq!(said, CircuitStanding::default());
    assert_eq!(admission(case, &circuit).await, Admission::Pass);
    assert_eq!(fails(case, &circuit, 1, 4).await.standing.state, State::Closed);
    assert_eq!(fails(case, &circuit, 2, 4).await.standing.state, State::Open);
}
