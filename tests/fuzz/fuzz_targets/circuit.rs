//! A breaker's bytes as shared data may hold them, and whatever comes after: nothing panics, no
//! interval has more probes than it may, and nobody is told to wait longer than the longest
//! recovery.
//!
//! The same bytes as an answer that is kept: what is read is what was written.
//!
//! Input: the bytes, then two for each event: how long it is after the one before, and what it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_circuit::stale::Entry;
use postern_circuit::{
    Admission, BREAKER_BYTES, Breaker, Probes, Settings, Share, State, Verdict, recovery_ms,
};
use postern_request::UnixMillis;

const NOW: u64 = 1_700_000_000_000;

fn settings() -> Settings {
    let probes = Probes { per_interval: 3, interval_ms: 1_000, successes: 2 };
    let ratio = Some(Share::percent(50));
    Settings { failures: 3, ratio, minimum: 5, probes, ..Settings::default() }
}

fuzz_target!(|input: &[u8]| {
    if let Some(entry) = Entry::from_bytes(input) {
        assert_eq!(entry.to_bytes(), input);
        let _ = entry.told(u64::MAX, UnixMillis(NOW)).map(|told| told.headers());
    }
    let settings = settings();
    let (bytes, events) = input.split_at(input.len().min(BREAKER_BYTES));
    let mut breaker = Breaker::from_bytes(bytes);
    assert_eq!(Breaker::from_bytes(&breaker.to_bytes()), breaker);
    let longest = recovery_ms(settings.recovery, u8::MAX, u32::MAX);
    let mut now = NOW;
    // What was read may be in the middle of an interval: counting begins once it has closed.
    let mut intervals: Option<(u64, u32)> = None;
    for event in events.chunks_exact(2) {
        now += u64::from(event[0]) * 50;
        let (at, random) = (UnixMillis(now), u32::from(event[1]) << 24);
        let slow = event[1] & 8 != 0;
        match event[1] & 7 {
            0..=3 => match breaker.admit(&settings, at, random) {
                Admission::Pass => intervals = Some((0, 0)),
                Admission::Refused { retry_after_ms } => {
                    assert!((1..=longest).contains(&retry_after_ms), "{retry_after_ms}");
                }
                Admission::Probe => {
                    if let Some((began, count)) = &mut intervals {
                        if now - *began >= settings.probes.interval_ms {
                            (*began, *count) = (now, 0);
                        }
                        *count += 1;
                        assert!(*count <= settings.probes.per_interval);
                    }
                }
            },
            4 => {
                breaker.record(&settings, Verdict::Success { slow }, at, random);
            }
            5 | 6 => {
                breaker.record(&settings, Verdict::Failure { slow }, at, random);
            }
            _ => {
                breaker.record(&settings, Verdict::Ignored, at, random);
            }
        }
        if breaker.state(at) == State::Closed {
            intervals = Some((0, 0));
        }
        let totals = breaker.totals(at);
        assert!(totals.failures <= totals.calls && totals.slow <= totals.calls);
    }
});
