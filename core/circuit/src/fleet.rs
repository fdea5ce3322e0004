//! The shared circuit's rule: when many Envoys together say that a service fails.
//!
//! A reporter may be sick or lie. With [`Settings::reporters`] = n, up to n − 1 of them may, with
//! whatever numbers, and open nothing: what is said must hold by itself *whoever* n − 1 of them
//! are left out. As all that is asked for are sums and majorities, those are left out that say
//! it the loudest, for each demand anew, and nobody need be tried in turn.
//!
//! | rule | all together | and without any n − 1 of them |
//! |---|---|---|
//! | run | failures in a row, each reporter's up to `failures`, come to `failures` | theirs come to half of `failures`, and of those with calls in the last two seconds more fail than not |
//! | share | there are `minimum` calls, and the share is reached | there are half of `minimum`, and the share is reached |
//!
//! Who reports nonsense can keep a circuit closed that others would open: then each Envoy's own
//! breaker is what is left.

use postern_request::UnixMillis;

use crate::settings::WHOLE;
use crate::{Reason, Settings, Share, Totals, Window};

/// For how long a reporter's calls say how the service is *now*.
pub const RECENT_MS: u64 = 2_000;

/// What an Envoy has seen of a service since it last reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Calls that count.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow.
    pub slow: u32,
    /// Failures in a row at its end, those of earlier reports included.
    pub run: u32,
}

/// What is remembered of a reporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporter {
    id: u64,
    /// When it was last heard of.
    last: UnixMillis,
    /// When it last had calls.
    called: Option<UnixMillis>,
    run: u32,
    window: Window,
}

impl Reporter {
    /// One that has said nothing yet. Who it is, whoever keeps it knows: an Envoy by its proven
    /// identity, and of how many one identity may speak for.
    #[must_use]
    pub fn new(id: u64, now: UnixMillis) -> Self {
        Self { id, last: now, called: None, run: 0, window: Window::new() }
    }

    /// One that a store keeps in its own form: when it was last heard of, when it last had calls,
    /// its failures in a row then, and its calls.
    #[must_use]
    pub const fn restored(
        id: u64,
        last: UnixMillis,
        called: Option<UnixMillis>,
        run: u32,
        window: Window,
    ) -> Self {
        Self { id, last, called, run, window }
    }

    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Takes a report. One without calls says only that the reporter is there.
    pub fn add(&mut self, report: Report, settings: &Settings, now: UnixMillis) {
        let Report { calls, failures, slow, run } = report;
        self.last = now;
        if calls > 0 {
            (self.called, self.run) = (Some(now), run);
            self.window.add(now, settings, Totals { calls, failures, slow });
        }
    }

    /// Forgets what it has said of the service, which has recovered since.
    pub fn clear(&mut self) {
        *self = Self::new(self.id, self.last);
    }

    /// What it says now.
    #[must_use]
    pub fn totals(&self, now: UnixMillis) -> ReporterTotals {
        let is_recent = self.called.is_some_and(|called| apart_ms(now, called) <= RECENT_MS);
        ReporterTotals { totals: self.window.totals(now), run: self.run, is_recent }
    }

    /// Whether it has not been heard of for so long that it says nothing any more.
    #[must_use]
    pub fn is_forgotten(&self, settings: &Settings, now: UnixMillis) -> bool {
        apart_ms(now, self.last) > settings.window_ms
    }
}

/// However the clock has gone in between.
const fn apart_ms(one: UnixMillis, other: UnixMillis) -> u64 {
    one.0.abs_diff(other.0)
}

/// What a reporter says at the time that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReporterTotals {
    /// Its calls of the window.
    pub totals: Totals,
    /// Its failures in a row.
    pub run: u32,
    /// Whether it had calls in the last [`RECENT_MS`].
    pub is_recent: bool,
}

/// Whether the fleet says that the service fails, and by which rule. Reporters that are
/// [forgotten](Reporter::is_forgotten) are not asked.
#[must_use]
pub fn judge(reporters: &[ReporterTotals], settings: &Settings) -> Option<Reason> {
    let liars = usize::try_from(settings.reporters.saturating_sub(1)).unwrap_or(usize::MAX);
    if fails_in_a_row(reporters, settings.failures, liars) {
        return Some(Reason::Run);
    }
    let minimum = settings.minimum.max(1);
    let fails = settings
        .ratio
        .is_some_and(|share| reaches(reporters, share, |of| of.failures, minimum, liars));
    if fails {
        return Some(Reason::Ratio);
    }
    let is_slow = settings
        .slow
        .is_some_and(|slow| reaches(reporters, slow.share, |of| of.slow, minimum, liars));
    is_slow.then_some(Reason::Slow)
}

fn fails_in_a_row(reporters: &[ReporterTotals], failures: u32, liars: usize) -> bool {
    if failures == 0 {
        return false;
    }
    let all: u64 = reporters.iter().map(|one| u64::from(one.run.min(failures))).sum();
    let rest = without_greatest(reporters.iter().map(|one| i128::from(one.run)), liars);
    let recent = || reporters.iter().filter(|one| one.is_recent);
    let failing = recent().filter(|one| one.run > 0).count();
    let healthy = recent().filter(|one| one.run == 0).count();
    all >= u64::from(failures)
        && rest >= i128::from(failures.div_ceil(2))
        && failing > healthy.saturating_add(liars)
}

fn reaches(
    reporters: &[ReporterTotals],
    share: Share,
    part: fn(&Totals) -> u32,
    minimum: u32,
    liars: usize,
) -> bool {
    let calls = || reporters.iter().map(|one| i128::from(one.totals.calls));
    // By how much each is above the share, or below: together they are by the sum.
    let above = || {
        reporters.iter().map(move |one| {
            let reached = i128::from(part(&one.totals)) * i128::from(WHOLE);
            reached - i128::from(share.0) * i128::from(one.totals.calls)
        })
    };
    calls().sum::<i128>() >= i128::from(minimum)
        && above().sum::<i128>() >= 0
        && without_greatest(calls(), liars) >= i128::from(minimum.div_ceil(2))
        && without_greatest(above(), liars) >= 0
}

/// The sum of all but so many of the greatest: what is left in the worst case.
fn without_greatest(numbers: impl Iterator<Item = i128>, many: usize) -> i128 {
    let mut numbers: Vec<i128> = numbers.collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.iter().skip(many).sum()
}
