//! When a service is cut off.

use postern_circuit::{Counts, Probes, Recovery, Settings, Share, Slow, StatusRanges};

use super::numbers::{milliseconds, percent, statuses_in, whole};
use crate::problem::{Problems, told};
use crate::raw::{OrOff, RawCircuit, RawCounts, RawProbes};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// The circuit of a service whose place is `path`.
pub(super) fn check(
    raw: &RawCircuit,
    speaks_http2: bool,
    path: &str,
    problems: &mut Problems,
) -> Settings {
    let default = Settings::default();
    let path = told!("{path}.circuit");
    let at = |name: &str| told!("{path}.{name}");
    let slow = raw.slow.as_ref().map(|slow| {
        let over = Some(&slow.over);
        let over_ms = milliseconds(over, 1..=HOUR, "1ms to 1h", &at("slow.over"), problems);
        let share = Share(slow.share.parts_per_million);
        Slow { over_ms: over_ms.unwrap_or(HOUR), share }
    });
    let failures = check_failures(raw, &path, problems);
    let minimum = raw.minimum.as_ref();
    let calls = whole(minimum, 1..=1_000_000, &at("minimum"), problems);
    if let (Some(minimum), None, None) = (minimum, &raw.ratio, &raw.slow)
        && !problems.any_below(&path)
    {
        let message = "this means nothing without `ratio` or `slow`";
        problems.report_as(minimum.at, &at("minimum"), message);
    }
    let window = raw.window.as_ref();
    let window_ms = milliseconds(window, 1_000..=300_000, "1s to 5m", &at("window"), problems);
    let recovery = check_recovery(raw, default.recovery, &path, problems);
    let probes = raw.probes.as_ref();
    let reporters = whole(raw.reporters.as_ref(), 1..=1_000, &at("reporters"), problems);
    let grpc = if speaks_http2 { Counts::GRPC_FAILURES } else { 0 };
    let counts = Counts { grpc, ..Counts::default() };
    Settings {
        failures: failures.unwrap_or(default.failures),
        ratio: raw.ratio.as_ref().map(|share| Share(share.parts_per_million)),
        slow,
        minimum: calls.unwrap_or(default.minimum),
        window_ms: window_ms.unwrap_or(default.window_ms),
        recovery,
        probes: check_probes(probes, recovery, default.probes, &at("probes"), problems),
        reporters: reporters.unwrap_or(default.reporters),
        counts: match &raw.counts {
            Some(raw) => check_counts(raw, counts, &at("counts"), problems),
            None => counts,
        },
    }
}

/// How many in a row; 0 where that rule is off.
fn check_failures(raw: &RawCircuit, path: &str, problems: &mut Problems) -> Option<u32> {
    let path_of_failures = told!("{path}.failures");
    match raw.failures.as_ref()? {
        OrOff::Number(number) => whole(Some(number), 1..=10_000, &path_of_failures, problems),
        OrOff::Off(at) => {
            if raw.ratio.is_none() && raw.slow.is_none() && !problems.any_below(path) {
                let message = "nothing would ever open it: say a number, `ratio` or `slow`";
                problems.report_as(*at, &path_of_failures, message);
            }
            Some(0)
        }
    }
}

fn check_recovery(
    raw: &RawCircuit,
    default: Recovery,
    path: &str,
    problems: &mut Problems,
) -> Recovery {
    let at = |name: &str| told!("{path}.{name}");
    let first = raw.recovery.as_ref();
    let first_ms = milliseconds(first, 100..=HOUR, "100ms to 1h", &at("recovery"), problems);
    let first_ms = first_ms.unwrap_or(default.first_ms);
    let (longest, at_longest) = (raw.recovery_longest.as_ref(), at("recovery_longest"));
    let longest_ms = milliseconds(longest, 100..=DAY, "100ms to 24h", &at_longest, problems);
    if let (Some(longest), Some(millis)) = (longest, longest_ms)
        && millis < first_ms
    {
        let message = "the longest recovery cannot be shorter than the first, `recovery`";
        problems.report_as(longest.at, &at_longest, message);
    }
    let jitter = percent(raw.jitter.as_ref(), 0..=50, &at("jitter"), problems);
    Recovery {
        first_ms,
        longest_ms: longest_ms.unwrap_or(default.longest_ms).max(first_ms),
        jitter: jitter.map_or(default.jitter, |percent| Share::percent(percent.into())),
    }
}

fn check_probes(
    raw: Option<&RawProbes>,
    recovery: Recovery,
    default: Probes,
    path: &str,
    problems: &mut Problems,
) -> Probes {
    // A shorter recovery would else wait for the rest of an interval.
    let default = Probes { interval_ms: default.interval_ms.min(recovery.first_ms), ..default };
    let Some(raw) = raw else { return default };
    let at = |name: &str| told!("{path}.{name}");
    let per = whole(raw.per_interval.as_ref(), 1..=1_000, &at("per_interval"), problems);
    let interval = raw.interval.as_ref();
    let interval = milliseconds(interval, 100..=60_000, "100ms to 1m", &at("interval"), problems);
    let successes = whole(raw.successes.as_ref(), 1..=1_000, &at("successes"), problems);
    Probes {
        per_interval: per.unwrap_or(default.per_interval),
        interval_ms: interval.unwrap_or(default.interval_ms),
        successes: successes.unwrap_or(default.successes),
    }
}

fn check_counts(raw: &RawCounts, default: Counts, path: &str, problems: &mut Problems) -> Counts {
    let statuses = raw.statuses.as_ref().map(|statuses| {
        let mut set = StatusRanges::NONE;
        for (at, text) in statuses.iter().enumerate() {
            match statuses_in(text, 400) {
                Some((from, to)) => set = set.with(from, to),
                None => {
                    let message = "expected a status or a range of them, from 400 to 599, for \
                                   example 500-599";
                    problems.report_as(text.at, &told!("{path}.statuses[{at}]"), message);
                }
            }
        }
        set
    });
    let grpc = raw
        .grpc
        .as_ref()
        .map(|statuses| statuses.iter().fold(0, |set, status| set | (1_u32 << status.number())));
    Counts { statuses: statuses.unwrap_or(default.statuses), grpc: grpc.unwrap_or(default.grpc) }
}
