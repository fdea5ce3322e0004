//! How much a limit allows, and how it counts that.

use postern_leases::{Terms, eligibility_of};
use postern_limits::in_flight::{MAX_LIFE_MS, MIN_LIFE_MS};
use postern_limits::spec::MAX_BURST;
use postern_limits::{Algorithm, Anchor, InFlight, InFlightError, Period, Rate, Spec};
use postern_request::headers::is_identity_value;

use crate::model::Allowance;
use crate::problem::{Problems, told};
use crate::raw::{Allowed, Amount, Entries, RawAlgorithm, RawLimit, RawMode, RawWindows};

/// Filters hold the document, so it stays small; what is about thousands belongs in a token.
const MAX_TIERS: usize = 64;
const MAX_CLIENTS: usize = 1000;
const DEFAULT_SLOT_LIFE_MS: u64 = 60_000;

/// What a limit allows whom.
pub(super) struct Allowances {
    pub(super) base: Allowance,
    /// Sorted by name, like the next.
    pub(super) tiers: Vec<(String, Allowance)>,
    pub(super) clients: Vec<(String, Allowance)>,
}

impl Allowances {
    pub(super) fn all(&self) -> Vec<Allowance> {
        let named = self.tiers.iter().chain(&self.clients).map(|(_, allowance)| *allowance);
        std::iter::once(self.base).chain(named).collect()
    }
}

/// How a limit counts what it allows.
#[derive(Clone, Copy)]
enum Counting {
    Rates(Rates),
    InFlight { life_ms: u64 },
}

/// How a limit counts rates, all of its own alike.
#[derive(Clone, Copy)]
struct Rates {
    is_local: bool,
    algorithm: Algorithm,
    burst: Option<u64>,
    anchor: Anchor,
    /// On which terms slices are lent, and how much a request counts.
    leased: Option<(Terms, u64)>,
}

/// `leased` is what a limit is leased on, and how much a request counts.
pub(super) fn check(
    raw: &RawLimit,
    leased: Option<(Terms, u64)>,
    path: &str,
    problems: &mut Problems,
) -> Allowances {
    let base = check_base(raw, path, problems);
    let is_unreadable = |field: &str| problems.any_below(&told!("{path}.{field}"));
    let counting = if raw.rate.is_none() && (raw.in_flight.is_some() || is_unreadable("in_flight"))
    {
        check_in_flight(raw, path, problems)
    } else {
        Counting::Rates(Rates { leased, ..check_rates(raw, path, problems) })
    };
    let base = base.map_or(Allowance::Unlimited, |(field, allowed)| {
        counting.allowance(allowed, &told!("{path}.{field}"), problems)
    });
    let mut named = |field: &str, entries: &Option<Entries<Allowed>>, most: usize| {
        let Some(entries) = entries else { return Vec::new() };
        let path = told!("{path}.{field}");
        if entries.0.is_empty() && !problems.any_below(&path) {
            problems.report_as(raw.at, &path, "name at least one, or leave the field out");
        }
        if let Some((beyond, _)) = entries.0.get(most) {
            problems.report_as(beyond.at, &path, told!("at most {most} can be named"));
        }
        counting.named(entries, &path, problems)
    };
    let tiers = named("tiers", &raw.tiers, MAX_TIERS);
    let clients = named("clients", &raw.clients, MAX_CLIENTS);
    Allowances { base, tiers, clients }
}

/// What the limit allows everybody, and the field that says it.
fn check_base<'r>(
    raw: &'r RawLimit,
    path: &str,
    problems: &mut Problems,
) -> Option<(&'static str, &'r Allowed)> {
    match (&raw.rate, &raw.in_flight) {
        (Some(rate), None) => Some(("rate", &rate.0)),
        (None, Some(at_once)) => Some(("in_flight", &at_once.0)),
        (Some(rate), Some(at_once)) => {
            let message =
                "a limit has a `rate` or is by `in_flight`: write two, and routes name both";
            problems.report_as(at_once.0.at, &told!("{path}.in_flight"), message);
            Some(("rate", &rate.0))
        }
        (None, None) => {
            let unreadable = ["rate", "in_flight"].map(|field| told!("{path}.{field}"));
            if !unreadable.iter().any(|path| problems.any_below(path)) {
                let message = "say how much: `rate`, for example 100/1m, or `in_flight`, for \
                               example 50; where there is no bound, `rate: unlimited`";
                problems.report_as(raw.at, path, message);
            }
            None
        }
    }
}

fn check_in_flight(raw: &RawLimit, path: &str, problems: &mut Problems) -> Counting {
    if raw.mode == RawMode::Leased {
        let message = "what is under way cannot be lent: count with `mode: exact` or `mode: local`";
        problems.report_as(raw.at, &told!("{path}.mode"), message);
    }
    for (field, is_there) in [
        ("burst", raw.burst.is_some()),
        ("algorithm", raw.algorithm.is_some()),
        ("windows", raw.windows.is_some()),
        ("weight", raw.weight.is_some()),
        ("skip", raw.skip.is_some()),
    ] {
        if is_there {
            let message = "is for limits with a `rate`: by `in_flight` each request counts one, \
                           for as long as it is under way";
            problems.report_as(raw.at, &told!("{path}.{field}"), message);
        }
    }
    let life_ms = raw.slot_life.as_ref().map_or(DEFAULT_SLOT_LIFE_MS, |life| {
        if !(MIN_LIFE_MS..=MAX_LIFE_MS).contains(&life.millis) {
            problems.report_as(life.at, &told!("{path}.slot_life"), "expected 1s to 24h");
        }
        life.millis.clamp(MIN_LIFE_MS, MAX_LIFE_MS)
    });
    Counting::InFlight { life_ms }
}

fn check_rates(raw: &RawLimit, path: &str, problems: &mut Problems) -> Rates {
    let is_local = raw.mode == RawMode::Local;
    let algorithm = match raw.algorithm {
        Some(RawAlgorithm::SlidingWindow) => Algorithm::SlidingWindow,
        Some(RawAlgorithm::SlidingLog) => Algorithm::SlidingLog,
        Some(RawAlgorithm::TokenBucket) => Algorithm::TokenBucket,
        Some(RawAlgorithm::Gcra) => Algorithm::Gcra,
        Some(RawAlgorithm::FixedWindow) => Algorithm::FixedWindow,
        None if is_local => Algorithm::TokenBucket,
        None => Algorithm::SlidingWindow,
    };
    if is_local && algorithm == Algorithm::SlidingLog {
        let message = "a log has no room in an Envoy's slots: take another algorithm, or count \
                       with `mode: exact`";
        problems.report_as(raw.at, &told!("{path}.algorithm"), message);
    }
    let burst = raw.burst.as_ref().and_then(|burst| {
        let message = if !algorithm.has_burst() {
            "only token_bucket and gcra have a burst".to_owned()
        } else if !(1..=MAX_BURST).contains(&burst.value) {
            told!("expected 1 to {MAX_BURST}")
        } else {
            return Some(burst.value);
        };
        problems.report_as(burst.at, &told!("{path}.burst"), message);
        None
    });
    let anchor = match raw.windows {
        Some(_) if algorithm != Algorithm::FixedWindow => {
            let message = "only a fixed_window can choose where its windows begin";
            problems.report_as(raw.at, &told!("{path}.windows"), message);
            Anchor::Clock
        }
        Some(RawWindows::FirstHit) => Anchor::FirstHit,
        Some(RawWindows::Clock) | None => Anchor::Clock,
    };
    if let Some(life) = &raw.slot_life {
        let message = "is for limits by `in_flight`";
        problems.report_as(life.at, &told!("{path}.slot_life"), message);
    }
    Rates { is_local, algorithm, burst, anchor, leased: None }
}

impl Counting {
    /// What is allowed; where it cannot be, that is reported, and nothing follows from it.
    fn allowance(self, allowed: &Allowed, path: &str, problems: &mut Problems) -> Allowance {
        let checked = match (self, allowed.amount) {
            (_, Amount::Unlimited) => Ok(Allowance::Unlimited),
            (Self::Rates(rates), Amount::Rate(rate)) => rates.spec(rate).map(Allowance::Rate),
            (Self::InFlight { life_ms }, Amount::AtOnce(max)) => {
                in_flight(max, life_ms).map(Allowance::InFlight).map_err(|e| told!("{e}"))
            }
            (Self::Rates(_), Amount::AtOnce(_)) => {
                Err("expected a rate such as 5000/1m, or `unlimited`".to_owned())
            }
            (Self::InFlight { .. }, Amount::Rate(_)) => {
                let message = "expected a whole number, or `unlimited`: this limit is by \
                               `in_flight`";
                Err(message.to_owned())
            }
        };
        checked.unwrap_or_else(|message| {
            problems.report_as(allowed.at, path, message);
            Allowance::Unlimited
        })
    }

    fn named(
        self,
        entries: &Entries<Allowed>,
        path: &str,
        problems: &mut Problems,
    ) -> Vec<(String, Allowance)> {
        let mut named = Vec::with_capacity(entries.0.len());
        for (name, allowed) in &entries.0 {
            if !is_identity_value(name) {
                let message = "expected the name as credentials tell it: not empty, without \
                               space at its ends";
                problems.report_as(name.at, path, message);
            }
            let allowance = self.allowance(allowed, &told!("{path}.{}", name.value), problems);
            // In order, so that they are found by halving.
            let at = named.partition_point(|(known, _): &(String, _)| *known <= name.value);
            named.insert(at, (name.value.clone(), allowance));
        }
        named
    }
}

impl Rates {
    fn spec(self, rate: Rate) -> Result<Spec, String> {
        if self.is_local && rate.period() == Period::Month {
            // Slots are lost with the process, and one that is idle for long to others.
            let message = "an Envoy does not remember a month: count with `mode: exact`";
            return Err(message.to_owned());
        }
        let Self { algorithm, burst, anchor, .. } = self;
        let spec = Spec::new(algorithm, rate, burst, anchor).map_err(|error| told!("{error}"))?;
        if let Some((terms, weight)) = self.leased {
            eligibility_of(spec, &terms, weight).map_err(|error| told!("{error}"))?;
        }
        Ok(spec)
    }
}

fn in_flight(max: u64, life_ms: u64) -> Result<InFlight, InFlightError> {
    InFlight::new(u32::try_from(max).map_err(|_| InFlightError::TooMany)?, life_ms)
}
