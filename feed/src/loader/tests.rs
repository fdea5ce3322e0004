use std::sync::Arc;
use std::time::Duration;

use postern_store::{LocalBus, RevocationBus as _};
use postern_telemetry::{MetricsRegistry, Moment};

use super::Loader;
use crate::Clock;
use crate::metrics::Metrics;
use crate::settings::{Bounds, Reading, Settings};
use crate::source::{Entry, NothingListed, WakeUp};
use crate::state::FeedState;
use crate::stored::BusWakeUps;
use crate::testing::{FakeSource, Rig, START};

const SECOND: Duration = Duration::from_secs(1);

fn pages_of(page: u32) -> Settings {
    let reading = Reading { page, ..Reading::default() };
    Settings { reading, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn everything_is_read_in_pages() {
    let source = FakeSource::new(7);
    for jti in ["a", "b", "c", "d", "e"] {
        source.revoke(jti);
    }
    let rig = Rig::start(&source, pages_of(2));
    assert_eq!((rig.state.is_loaded(), rig.staleness()), (false, None));
    rig.until(|| rig.state.is_loaded()).await;
    assert_eq!((rig.records(), source.reads()), (5, 3));
    rig.until(|| rig.metric("postern_feed_records{") == 5.0).await;
    assert_eq!(rig.metric("postern_feed_cursor{"), 5.0);
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_where_a_failure_stopped_it() {
    let source = FakeSource::new(7);
    for jti in ["a", "b", "c", "d", "e"] {
        source.revoke(jti);
    }
    // The identity and one page.
    source.good_calls(Some(2));
    let rig = Rig::start(&source, pages_of(2));
    tokio::time::sleep(SECOND * 3).await;
    assert!(!rig.state.is_loaded(), "half of it is not put to use");
    assert_eq!(source.reads(), 1);
    source.good_calls(None);
    rig.until(|| rig.state.is_loaded()).await;
    assert_eq!((rig.records(), source.reads()), (5, 3));
    assert!(rig.metric("postern_feed_store_reads_total{outcome=\"failed\"") >= 2.0);
}

#[tokio::test(start_paused = true)]
async fn news_are_read_at_once_and_together() {
    let source = FakeSource::new(7);
    let rig = Rig::loaded(&source, Settings::default()).await;
    tokio::time::sleep(SECOND).await;
    let before = tokio::time::Instant::now();
    rig.revoke("a");
    rig.caught_up().await;
    assert!(before.elapsed() <= Duration::from_millis(5), "{:?}", before.elapsed());

    let reads = source.reads();
    for number in 0..1_000 {
        rig.revoke(&number.to_string());
    }
    rig.caught_up().await;
    tokio::time::sleep(SECOND).await;
    assert!(source.reads() - reads <= 22, "{} reads in a second", source.reads() - reads);
    assert_eq!(rig.records(), 1_001);
    let reads = source.reads();
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(source.reads(), reads, "all words are answered");
}

#[tokio::test(start_paused = true)]
async fn without_a_word_the_list_is_read_every_so_often() {
    let source = FakeSource::new(7);
    let rig = Rig::loaded(&source, Settings::default()).await;
    let reads = source.reads();
    source.revoke("a");
    tokio::time::sleep(SECOND * 29).await;
    assert_eq!((rig.records(), source.reads()), (0, reads));
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!((rig.records(), source.reads()), (1, reads + 1));
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_say_so_it_is_read_all_the_time() {
    let source = FakeSource::new(7);
    let rig = Rig::loaded(&source, Settings::default()).await;
    assert_eq!(rig.metric("postern_feed_wake_ups_lost{"), 0.0);
    rig.say(WakeUp::Lost);
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(rig.metric("postern_feed_wake_ups_lost{"), 1.0);
    source.revoke("a");
    tokio::time::sleep(SECOND + Duration::from_millis(100)).await;
    assert_eq!(rig.records(), 1);
    assert!(rig.staleness().unwrap() <= SECOND * 2);
    rig.say(WakeUp::Connected);
    rig.until(|| rig.staleness() == Some(Duration::ZERO)).await;
    let reads = source.reads();
    tokio::time::sleep(SECOND * 20).await;
    assert_eq!(source.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_leaves_what_is_known_and_lets_it_age() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let rig = Rig::loaded(&source, Settings::default()).await;
    source.good_calls(Some(0));
    rig.revoke("b");
    tokio::time::sleep(SECOND * 20).await;
    assert_eq!(rig.records(), 1);
    let now = rig.clock.now().monotonic;
    assert!(rig.staleness().is_some_and(|age| age >= SECOND * 19 && age <= SECOND * 21));
    assert!(rig.state.is_fresh(now, SECOND * 30) && !rig.state.is_fresh(now, SECOND * 10));
    assert!(rig.metric("postern_feed_staleness_seconds{") > 10.0);
    // Pauses double up to five seconds: no storm on a store that is down.
    assert!(rig.metric("postern_feed_store_reads_total{outcome=\"failed\"") <= 12.0);
    source.good_calls(None);
    rig.caught_up().await;
    rig.until(|| rig.staleness() == Some(Duration::ZERO)).await;
    assert_eq!(rig.records(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_list_takes_the_place_of_the_first() {
    let source = FakeSource::new(7);
    source.revoke("a");
    source.revoke("b");
    let rig = Rig::loaded(&source, Settings::default()).await;
    let key = *rig.state.log().unwrap().key();
    source.become_another(8);
    source.revoke("c");
    tokio::time::sleep(SECOND * 31).await;
    let log = rig.state.log().unwrap();
    assert_eq!((log.epoch(), log.records(), log.cursor()), (8, 1, 1));
    assert_ne!(*log.key(), key);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_epoch_is_not_read() {
    let source = FakeSource::new(0);
    let rig = Rig::start(&source, Settings::default());
    tokio::time::sleep(SECOND * 10).await;
    assert!(!rig.state.is_loaded());
    source.become_another(1);
    rig.until(|| rig.state.is_loaded()).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_passed_over_and_counted() {
    let source = FakeSource::new(7);
    source.revoke("a");
    source.push(Entry::Unreadable);
    source.revoke("b");
    let rig = Rig::loaded(&source, Settings::default()).await;
    assert_eq!((rig.records(), rig.state.log().unwrap().cursor()), (2, 3));
    assert_eq!(rig.metric("postern_feed_records_unreadable_total{"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_store_knows_that_nothing_is_listed() {
    let state = FeedState::new(Settings::default()).unwrap();
    let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
    let metrics = Metrics::new(&registry).unwrap();
    let bus = LocalBus::default();
    let wake_ups = Box::new(BusWakeUps::new(bus.subscribe()));
    let clock: Clock = Arc::new(|| {
        let monotonic = tokio::time::Instant::now().into_std();
        Moment { monotonic, ..Moment::now() }
    });
    let source = Arc::new(NothingListed);
    let loader = Loader::new(Arc::clone(&state), source, wake_ups, metrics, Arc::clone(&clock));
    tokio::spawn(loader.run());
    for _ in 0..100 {
        tokio::time::sleep(SECOND).await;
    }
    let log = state.log().unwrap();
    assert_eq!((log.records(), log.cursor()), (0, 0));
    assert_ne!(log.epoch(), 0);
    assert_eq!(state.staleness(clock().monotonic), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_let_go() {
    let source = FakeSource::new(7);
    source.revoke_until("a", START + 90);
    source.revoke("b");
    let rig = Rig::loaded(&source, Settings::default()).await;
    assert_eq!(rig.records(), 2);
    tokio::time::sleep(SECOND * 200).await;
    assert_eq!(rig.records(), 1);
    rig.until(|| rig.metric("postern_feed_records{") == 1.0).await;
}

#[tokio::test(start_paused = true)]
async fn without_room_what_is_known_is_stale_until_all_fits_again() {
    let bounds = Bounds { max_records: 2, ..Bounds::default() };
    let source = FakeSource::new(7);
    source.revoke_until("a", START + 100);
    let rig = Rig::loaded(&source, Settings { bounds, ..Settings::default() }).await;
    rig.source.revoke_until("b", START + 100);
    rig.revoke("c");
    rig.caught_up().await;
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(rig.records(), 2);
    assert!(rig.staleness().unwrap() >= SECOND * 9);
    assert_eq!(rig.metric("postern_feed_records_refused_total{"), 1.0);
    // Two of the three expire; the third is read again.
    tokio::time::sleep(SECOND * 240).await;
    assert_eq!((rig.records(), rig.staleness()), (1, Some(Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn a_jump_ahead_of_the_clock_forgets_nothing() {
    let source = FakeSource::new(7);
    source.revoke_until("a", START + 36_000);
    let rig = Rig::loaded(&source, Settings::default()).await;
    rig.clock.step(100_000_000);
    tokio::time::sleep(SECOND * 200).await;
    assert_eq!(rig.records(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_clock_falls_back_everything_is_read_again() {
    let source = FakeSource::new(7);
    source.revoke_until("a", START + 100);
    let rig = Rig::loaded(&source, Settings::default()).await;
    tokio::time::sleep(SECOND * 200).await;
    assert_eq!(rig.records(), 0);
    rig.clock.step(-190_000);
    rig.say(WakeUp::News);
    rig.until(|| rig.records() == 1).await;
}
