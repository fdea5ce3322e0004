use postern_circuit::{Forced, ForcedState};
use postern_store::MemoryStore;
use postern_store::volatile::CircuitWord;

use super::*;
use crate::settings::Settings;
use crate::testing::circuits::{CircuitsRig, Leaving, settings};
use crate::testing::{Client, FakeSource, Rig};

const SECOND: Duration = Duration::from_secs(1);

fn rig() -> CircuitsRig {
    CircuitsRig::new(&Settings::default())
}

fn circuit(service: &str) -> CircuitAsk {
    CircuitAsk { service: service.to_owned(), settings: settings() }
}

fn told(rig: &CircuitsRig) -> Vec<(String, State, bool)> {
    let told = rig.view.told("payments", rig.clock.now().monotonic);
    told.services.into_iter().map(|told| (told.service, told.state, told.forced)).collect()
}

fn is(service: &str, state: State, forced: bool) -> (String, State, bool) {
    (service.to_owned(), state, forced)
}

async fn force(store: &MemoryStore, service: &str, state: ForcedState, until: UnixMillis) {
    let (word, now) = (CircuitWord::Force(Forced { state, until }), UnixMillis(until.0 - 60_000));
    store.say_of_circuit(&circuit(service), word, now).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_shows_what_is_not_closed_and_what_operators_say() {
    let rig = rig();
    rig.view.look().await;
    assert!(told(&rig).is_empty());
    rig.fail("bank").await;
    let until = UnixMillis(rig.clock.now().wall.0 + 60_000);
    force(&rig.store.memory, "post", ForcedState::Closed, until).await;
    force(&rig.store.memory, "ship", ForcedState::Open, until).await;
    rig.view.look().await;
    let expected = [is("bank", State::Open, false), is("post", State::Closed, true)];
    assert_eq!(told(&rig), expected, "and none that its workload does not call");
    let now = rig.clock.now().monotonic;
    let waits = |after| rig.view.told("payments", now + after).services[0].retry_after_ms;
    assert_eq!([Duration::ZERO, SECOND * 4, SECOND * 11].map(waits), [10_000, 6_000, 0]);
    for (service, state) in [("bank", 1.0), ("post", 0.0), ("ship", 1.0)] {
        let name = format!("api_gateway_circuit_breaker_state{{service=\"{service}\"");
        assert_eq!(rig.metric(&name), state, "{service}");
    }
    assert_eq!(rig.metric("postern_circuit_reporters{service=\"bank\""), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_version_is_the_same_wherever_the_same_is_so() {
    let (one, settings) = (rig(), Settings::default());
    let other = CircuitsRig::sharing(Arc::<Leaving>::clone(&one.store), &settings);
    let version = |rig: &CircuitsRig| rig.view.told("payments", rig.clock.now().monotonic).version;
    let closed = version(&one);
    assert_eq!(closed, version(&other));
    one.fail("bank").await;
    one.view.look().await;
    assert_ne!((version(&one), version(&other)), (closed, version(&one)));
    tokio::time::sleep(SECOND).await;
    other.view.look().await;
    assert_eq!(version(&one), version(&other), "however long it was open by then");
    tokio::time::sleep(SECOND * 9).await;
    one.view.look().await;
    assert_eq!(told(&one), [is("bank", State::HalfOpen, false)]);
    assert_ne!(version(&one), version(&other));
}

#[tokio::test(start_paused = true)]
async fn without_the_store_it_goes_by_what_stands_in_after_a_while() {
    let rig = rig();
    rig.fail("bank").await;
    rig.view.look().await;
    let until = UnixMillis(rig.clock.now().wall.0 + 60_000);
    force(&rig.stand_in, "post", ForcedState::Open, until).await;
    rig.store.leave(true);
    for _ in 1..AWAY_AFTER {
        rig.view.look().await;
        assert_eq!(told(&rig), [is("bank", State::Open, false)], "it may have been a moment");
    }
    rig.view.look().await;
    let both = [is("bank", State::Open, false), is("post", State::Open, true)];
    assert_eq!(told(&rig), both, "it is open for as long as was said");
    rig.store.leave(false);
    rig.view.look().await;
    assert_eq!(told(&rig), [is("bank", State::Open, false)]);
    rig.store.leave(true);
    tokio::time::sleep(SECOND * 11).await;
    for _ in 0..AWAY_AFTER {
        rig.view.look().await;
    }
    assert_eq!(told(&rig), [is("post", State::Open, true)]);
    assert!(rig.metric("postern_circuit_reads_total{outcome=\"failed\"") >= 9.0);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_hears_of_it_soon_at_every_replica() {
    let here = rig();
    let there = CircuitsRig::sharing(Arc::<Leaving>::clone(&here.store), &Settings::default());
    for rig in [&here, &there] {
        let view = Arc::clone(&rig.view);
        tokio::spawn(async move { view.keep_looking().await });
    }
    let source = FakeSource::new(7);
    for (rig, most) in [(&here, SECOND / 10), (&there, SECOND * 5 / 4)] {
        let feed = Rig::loaded_with(&source, &rig.view).await;
        let mut client = Client::new("a").waiting(SECOND * 20);
        client.sync(&feed).await;
        let begun = client.ask.circuits_version;
        assert_ne!(begun, 0, "that there are none was said, too");
        let waiting = tokio::spawn(async move {
            let answer = client.exchange(&feed).await.unwrap();
            (answer, client, feed)
        });
        tokio::time::sleep(SECOND).await;
        let began = tokio::time::Instant::now();
        here.fail("bank").await;
        let (answer, mut client, feed) = waiting.await.unwrap();
        assert!(began.elapsed() <= most, "{:?}", began.elapsed());
        let circuits = answer.circuits.unwrap();
        assert_eq!(circuits.services[0].state, State::Open);
        assert_eq!(feed.metric("postern_feed_exchanges_total{outcome=\"circuits\""), 1.0);

        // It is told once.
        client.ask.wait = SECOND;
        let nothing = client.exchange(&feed).await.unwrap();
        assert_eq!(nothing.circuits, None);
        let reset = CircuitWord::Reset;
        let now = here.clock.now().wall;
        here.store.memory.say_of_circuit(&circuit("bank"), reset, now).await.unwrap();
        tokio::time::sleep(SECOND * 2).await;
        let closed = client.exchange(&feed).await.unwrap().circuits.unwrap();
        assert_eq!((closed.version, closed.services.len()), (begun, 0));
    }
}

/// An Envoy of a release before this one.
#[tokio::test(start_paused = true)]
async fn who_knows_of_no_circuits_is_not_woken_by_them() {
    let rig = rig();
    let feed = Rig::loaded_with(&FakeSource::new(7), &rig.view).await;
    let mut client = Client::new("a");
    client.sync(&feed).await;
    rig.fail("bank").await;
    rig.view.look().await;
    client.ask.circuits_version = 0;
    client.ask.wait = SECOND * 5;
    let began = tokio::time::Instant::now();
    let answer = client.exchange(&feed).await.unwrap();
    assert!(began.elapsed() >= SECOND * 4, "{:?}", began.elapsed());
    assert_eq!(answer.circuits.unwrap().services.len(), 1, "it is there for whoever asks");
}
