use postern_circuit::{Probes, Recovery, Share};
use postern_filter_shared_data::cells::Cell as _;
use proptest::prelude::*;

use super::*;

const START: u64 = 1_700_000_000_000;
const FAILURE: Verdict = Verdict::Failure { slow: false };
const PASS: (Admission, bool) = (Admission::Pass, false);
const PROBE: (Admission, bool) = (Admission::Probe, false);

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

fn settings() -> Settings {
    Settings {
        failures: 1,
        recovery: Recovery { first_ms: 10_000, longest_ms: 10_000, jitter: Share(0) },
        probes: Probes { per_interval: 1, interval_ms: 1_000, successes: 1 },
        ..Settings::default()
    }
}

fn word(phase: CircuitPhase) -> CircuitState {
    CircuitState { phase: phase.into(), ..CircuitState::default() }
}

fn refused(retry_after_ms: u64, wants_probe: bool) -> (Admission, bool) {
    (Admission::Refused { retry_after_ms }, wants_probe)
}

/// One whose breaker has opened at 0.
fn opened() -> Entry {
    let mut entry = Entry::default();
    entry.record(&settings(), FAILURE, false, at(0), 0);
    entry
}

fn hear(entry: &mut Entry, word: &CircuitState, ms: u64) {
    entry.hear(word, at(ms), at(ms));
}

fn admit(entry: &mut Entry, ms: u64) -> (Admission, bool) {
    entry.admit(&settings(), at(ms), 0)
}

#[test]
fn an_operators_word_goes_before_everything() {
    let forced = |phase| CircuitState { forced: true, retry_after_ms: 60_000, ..word(phase) };
    let mut entry = opened();
    hear(&mut entry, &forced(CircuitPhase::Closed), 0);
    assert_eq!((admit(&mut entry, 1), entry.is_closed()), (PASS, false));
    hear(&mut entry, &forced(CircuitPhase::Open), 1);
    assert_eq!(admit(&mut entry, 1), refused(60_000, false));
    assert_eq!(admit(&mut entry, 60_000), refused(1, false), "it holds as long as it was said for");
    hear(&mut entry, &word(CircuitPhase::Closed), 2);
    assert_eq!(admit(&mut entry, 2), refused(9_998, false), "the own breaker's");
    // Half open is nobody's to force.
    let mut entry = Entry::default();
    hear(&mut entry, &forced(CircuitPhase::HalfOpen), 0);
    assert_eq!(admit(&mut entry, 1), refused(1_000, true));
}

#[test]
fn the_own_breaker_goes_before_the_fleets_and_either_refuses() {
    let mut entry = opened();
    let open = CircuitState { retry_after_ms: 5_000, ..word(CircuitPhase::Open) };
    hear(&mut entry, &open, 0);
    assert_eq!(admit(&mut entry, 1_000), refused(9_000, false));
    let mut entry = Entry::default();
    hear(&mut entry, &open, 0);
    assert_eq!(admit(&mut entry, 1_000), refused(4_000, false));
    assert_eq!(entry.breaker.state(at(0)), State::Closed);
}

#[test]
fn without_news_the_fleets_word_ends_and_breakers_act_alone() {
    let mut entry = Entry::default();
    hear(&mut entry, &CircuitState { retry_after_ms: 500, ..word(CircuitPhase::Open) }, 0);
    assert_eq!(admit(&mut entry, 499), refused(1, false));
    assert_eq!(admit(&mut entry, 2_999), refused(1_000, true), "half open");
    assert_eq!(admit(&mut entry, 3_000), PASS);
    assert_eq!(entry, Entry::default(), "and forgotten");
    let mut entry = Entry::default();
    hear(&mut entry, &CircuitState { retry_after_ms: 60_000, ..word(CircuitPhase::Open) }, 0);
    assert_eq!(admit(&mut entry, 59_999), refused(1, false));
    assert_eq!(admit(&mut entry, 60_000), PASS);
    // A clock that was set: nobody knows how long ago it was.
    let mut entry = Entry::default();
    hear(&mut entry, &CircuitState { retry_after_ms: 60_000, ..word(CircuitPhase::Open) }, 5_000);
    assert_eq!(admit(&mut entry, 4_500), refused(60_000, false), "workers differ by little");
    assert_eq!(admit(&mut entry, 3_000), PASS);
}

#[test]
fn while_the_server_is_heard_it_gives_the_probes_out() {
    for own in [false, true] {
        let mut entry = if own { opened() } else { Entry::default() };
        let phase = CircuitPhase::HalfOpen;
        hear(&mut entry, &word(phase), 10_000);
        assert_eq!(admit(&mut entry, 10_001), refused(1_000, true));
        let granted = CircuitState { probes: 2, probe_life_ms: 1_000, ..word(phase) };
        entry.hear(&granted, at(10_100), at(10_300));
        assert_eq!([admit(&mut entry, 10_400), admit(&mut entry, 10_500)], [PROBE, PROBE]);
        assert_eq!(admit(&mut entry, 10_600), refused(1_000, true));
        hear(&mut entry, &granted, 11_000);
        assert_eq!(admit(&mut entry, 12_000), refused(1_000, true), "lived from the question on");
        // Nobody is heard any more: now each Envoy by itself, and by its own breaker alone.
        let alone = if own { PROBE } else { PASS };
        assert_eq!(admit(&mut entry, 14_000), alone);
    }
}

#[test]
fn what_works_for_the_fleet_each_own_breaker_tries_by_itself() {
    let mut entry = opened();
    hear(&mut entry, &word(CircuitPhase::Closed), 9_000);
    assert_eq!(admit(&mut entry, 9_500), refused(500, false));
    assert_eq!(admit(&mut entry, 10_000), PROBE, "without being given one");
    assert_eq!(admit(&mut entry, 10_500), refused(500, false), "one in an interval");
    // The fleet has found out that it does not.
    hear(&mut entry, &word(CircuitPhase::HalfOpen), 10_800);
    assert_eq!(admit(&mut entry, 11_000), refused(1_000, true));
}

#[test]
fn without_a_server_there_are_as_many_probes_as_the_document_says() {
    let mut entry = opened();
    assert_eq!(admit(&mut entry, 9_999), refused(1, false));
    assert_eq!(admit(&mut entry, 10_000), PROBE);
    assert_eq!(admit(&mut entry, 10_500), refused(500, false));
    assert_eq!(admit(&mut entry, 11_000), PROBE);
    entry.record(&settings(), Verdict::Success { slow: false }, true, at(11_100), 0);
    assert!(entry.is_closed() && entry.run() == 0);
}

#[test]
fn what_began_before_it_opened_is_no_probe() {
    let mut entry = opened();
    assert_eq!(admit(&mut entry, 10_000), PROBE);
    let success = Verdict::Success { slow: false };
    assert_eq!(entry.record(&settings(), success, false, at(10_001), 0), None);
    assert_eq!(entry.breaker.state(at(10_001)), State::HalfOpen);
    assert!(entry.record(&settings(), success, true, at(10_002), 0).is_some());
}

#[test]
fn what_was_refused_is_told_when_a_probe_is_of_use() {
    let mut entry = opened();
    let first = entry.report(&settings(), at(1)).unwrap();
    assert_eq!((first.calls, first.failures, first.run), (1, 1, 1));
    entry.add(&settings(), Seen { refused: 7, ..Seen::default() }, at(2), 0);
    assert_eq!(entry.report(&settings(), at(1_000)), None, "nobody may try yet");
    let ahead = entry.report(&settings(), at(8_000)).unwrap();
    assert_eq!((ahead.refused, ahead.calls), (0, 0), "only to hear how things stand");
    let due = entry.report(&settings(), at(10_000)).unwrap();
    assert_eq!(due.refused, 7);
    assert_eq!(entry.report(&settings(), at(10_001)).unwrap().refused, 0);
}

#[test]
fn a_probe_is_asked_for_until_somebody_has_come_or_nobody_calls_any_more() {
    let half_open = word(CircuitPhase::HalfOpen);
    let asked = |entry: &mut Entry, ms| entry.report(&settings(), at(ms)).unwrap().refused;
    let mut entry = Entry::default();
    hear(&mut entry, &half_open, 0);
    entry.add(&settings(), Seen { refused: 2, ..Seen::default() }, at(1), 0);
    assert_eq!(asked(&mut entry, 2), 2);
    hear(&mut entry, &half_open, 9_000);
    assert_eq!(asked(&mut entry, 10_000), 1, "there was none left");
    assert_eq!(asked(&mut entry, 10_001), 0, "nobody calls any more");
    let granted = CircuitState { probes: 1, probe_life_ms: 1_000, ..half_open.clone() };
    hear(&mut entry, &granted, 10_100);
    assert_eq!(asked(&mut entry, 11_099), 0, "it is there");
    assert_eq!(asked(&mut entry, 11_100), 1, "it has lapsed");
    hear(&mut entry, &half_open, 12_000);
    assert_eq!(asked(&mut entry, 12_000), 1);
    assert_eq!(admit(&mut entry, 12_100), refused(1_000, true), "what has lapsed is none");
    hear(&mut entry, &CircuitState { retry_after_ms: 10, ..word(CircuitPhase::Open) }, 12_200);
    hear(&mut entry, &half_open, 12_300);
    assert_eq!(asked(&mut entry, 12_300), 0, "that was of another time");
}

#[test]
fn probes_are_told_by_what_came_of_them() {
    let slow = Some(postern_circuit::Slow { over_ms: 1, share: Share::percent(50) });
    let settings = Settings { slow, minimum: 100, ..settings() };
    for (verdict, through, failed) in [
        (Verdict::Success { slow: false }, 1, 0),
        (Verdict::Success { slow: true }, 0, 1),
        (Verdict::Failure { slow: false }, 0, 1),
        (Verdict::Ignored, 0, 0),
    ] {
        let mut entry = Entry::default();
        entry.record(&settings, verdict, true, at(0), 0);
        let told = entry.report(&settings, at(0)).unwrap_or_default();
        assert_eq!((told.probes_through, told.probes_failed), (through, failed), "{verdict:?}");
        assert_eq!(told.calls, through + failed, "a probe is a call");
    }
}

#[test]
fn who_has_use_for_the_servers_word_asks_for_it() {
    let asks = |entry: &Entry, ms| {
        let mut copy = *entry;
        copy.report(&settings(), at(ms)).is_some()
    };
    let mut entry = Entry::default();
    assert!(!asks(&entry, 0));
    hear(&mut entry, &CircuitState { retry_after_ms: 9_000, ..word(CircuitPhase::Open) }, 0);
    assert!(!asks(&entry, 6_999) && asks(&entry, 7_000));
    assert!(!asks(&entry, 9_000), "it does not hold any more");
    hear(&mut entry, &word(CircuitPhase::HalfOpen), 9_000);
    assert!(asks(&entry, 9_000) && !asks(&entry, 12_000));
    hear(&mut entry, &CircuitState { forced: true, ..word(CircuitPhase::Closed) }, 0);
    assert!(asks(&entry, 1));
    hear(&mut entry, &word(CircuitPhase::Closed), 2);
    assert!(!asks(&entry, 2));
}

#[test]
fn nothing_said_changes_nothing_where_nothing_was() {
    let mut entry = opened();
    let before = entry;
    entry.hear_nothing();
    hear(&mut entry, &word(CircuitPhase::Unspecified), 5);
    assert_eq!(entry, before);
    hear(&mut entry, &CircuitState { retry_after_ms: 9_000, ..word(CircuitPhase::Open) }, 0);
    entry.hear_nothing();
    assert_eq!(entry.said.state(at(0)).0, State::Closed);
}

#[test]
fn what_is_written_is_read_and_says_whether_all_is_well() {
    let mut entry = opened();
    hear(&mut entry, &CircuitState { forced: true, ..word(CircuitPhase::Open) }, 3);
    let granted = CircuitState { probes: 70_000, probe_life_ms: 9, ..word(CircuitPhase::HalfOpen) };
    entry.hear(&granted, at(4), at(5));
    entry.refused_at = at(6);
    entry.tally = Tally { calls: 1, failures: 2, slow: 3, refused: 4, through: 5, failed: 6 };
    let bytes = entry.write();
    assert_eq!((bytes.len(), Entry::read(&bytes)), (182, entry));
    assert!(!is_well(&bytes));
    assert_eq!((Entry::default().write(), Entry::read(b"")), (Vec::new(), Entry::default()));
    assert!(is_well(b""));
    // Calls that came through are no news; a failure is.
    let mut entry = Entry::default();
    entry.add(&settings(), Seen { calls: 3, ..Seen::default() }, at(0), 0);
    assert!(is_well(&entry.write()));
    let patient = Settings { failures: 2, ..settings() };
    entry.record(&patient, FAILURE, false, at(0), 0);
    assert!(!is_well(&entry.write()) && entry.is_closed());
    let longer = [&bytes[..], b"x"].concat();
    for broken in [&bytes[1..], &longer[..], &[9_u8; 182][..]] {
        assert_eq!(Entry::read(broken), Entry::default());
    }
}

proptest! {
    /// Whatever lies in shared data, and whatever the time is.
    #[test]
    fn no_bytes_bring_it_down(
        bytes in prop::collection::vec(any::<u8>(), 182),
        state in 0..4_u8,
        now in any::<u64>(),
        probes in any::<u32>(),
    ) {
        let mut bytes = bytes;
        bytes[1] = state;
        let mut entry = Entry::read(&bytes);
        let settings = settings();
        entry.admit(&settings, UnixMillis(now), 1);
        entry.add(&settings, Seen { calls: 1, slow: 0, refused: u32::MAX }, UnixMillis(now), 2);
        entry.record(&settings, FAILURE, true, UnixMillis(now), 3);
        let phase = i32::from(state);
        let word = CircuitState { phase, probes, retry_after_ms: probes, ..CircuitState::default() };
        entry.hear(&word, UnixMillis(now), UnixMillis(now));
        entry.admit(&settings, UnixMillis(now), 4);
        let _ = entry.report(&settings, UnixMillis(now));
        prop_assert_eq!(Entry::read(&entry.write()), entry);
    }
}
