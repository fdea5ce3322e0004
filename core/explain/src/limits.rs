//! Limits and circuits. They are named, with what they allow this caller, and not counted: what
//! is used up or open is what the caller of [`explain`](crate::explain) assumes.

use postern_document::{
    Allowance, AppliedLimit, Counted, Fallback, Limit, LimitMode, Route, StoreFailure,
};
use postern_limits::key::{self, KeyPart};
use postern_limits::{Period, Spec};
use postern_request::{Denial, ErrorCode, Principal};

use crate::assume::Part;
use crate::envoy::Incoming;
use crate::outcome::LimitNote;
use crate::rule::{Effect, Rule, of_circuit, of_stand_in};
use crate::secret::HIDDEN;
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};

/// Who counts, and where that is said.
#[derive(Clone, Copy)]
struct Counter {
    stage: Stage,
    by: By,
    /// Nobody can ask the store that is shared.
    is_alone: bool,
}

impl Walk<'_, '_> {
    /// Whether the store answers, where a limit cannot be kept without it: `ask_store` of
    /// `ext-authz/src/limits.rs`.
    pub(crate) fn store_answers(
        &mut self,
        route: &Route,
        principal: Option<&Principal>,
    ) -> Result<(), Denial> {
        if !self.assume.has_failed(&Part::VolatileStore) {
            return Ok(());
        }
        let refuses = |applied: &&AppliedLimit| {
            let limit = &*applied.limit;
            let denies = when_store_fails(limit) == Some(StoreFailure::Deny);
            denies && !limit.shadow && limit.allowance_for(principal) != Allowance::Unlimited
        };
        let Some(applied) = route.exact_limits.iter().find(refuses) else { return Ok(()) };
        let limit = &*applied.limit;
        let denial = Denial::unavailable("store_unavailable", 1);
        let rules = vec![answered(limit)];
        let text =
            format!("{}: the volatile store is away, and `when_store_fails` is `deny`", limit.name);
        Err(self.deny(Stage::LimitsExact, By::ExtAuthz, denial, rules, text))
    }

    /// Whether this Envoy's own circuit lets the request through to its service, and what the
    /// caller gets if not; no share changes that.
    pub(crate) fn pass_circuit(&mut self, route: &Route) -> Result<(), Stop> {
        let Some(rule) = of_circuit(route) else { return Ok(()) };
        let (stage, by, service) = (Stage::Circuit, By::Bundle, route.service_name());
        if !self.assume.open_circuits.contains(service) {
            self.assumed(format!("the circuit of {service} is closed"));
            let verdict = Verdict::Assumed("it is closed");
            self.push(stage, by, verdict, Vec::new(), format!("that of {service} is closed"));
            return Ok(());
        }
        let (rules, text) = (vec![rule], format!("that of {service} is open"));
        let denial = Denial::new(ErrorCode::CircuitOpen, "circuit_open");
        match &route.fallback {
            fallback @ (None | Some(Fallback::Stale(_))) => {
                let text = match fallback {
                    None => text,
                    // Whether it has one hangs on what was asked before.
                    Some(_) => {
                        format!("{text}: what this Envoy has kept, or this where it has nothing")
                    }
                };
                let denial = self.deny(stage, by, denial, rules, text);
                Err(self.stop(by, denial.code.status(), denial))
            }
            Some(Fallback::Answer(fixed)) => {
                let text = format!("{text}: the route's own answer");
                let denial = self.deny(stage, by, denial, rules, text);
                Err(self.stop_plainly(by, fixed.status, denial))
            }
            Some(Fallback::Service(other)) => {
                let both = of_stand_in(route);
                if both.is_some() && self.assume.open_circuits.contains(&other.name) {
                    let rules = both.into_iter().collect();
                    let text = format!("{text}, and so is that of {}", other.name);
                    let denial = self.deny(stage, by, denial, rules, text);
                    return Err(self.stop(by, denial.code.status(), denial));
                }
                if both.is_some() {
                    self.assumed(format!("the circuit of {} is closed", other.name));
                }
                let text = format!("{text}: {} answers", other.name);
                self.push(stage, by, Verdict::Passed, rules, text);
                self.way.instead = Some(other.name.clone());
                Ok(())
            }
            Some(Fallback::Shadow) => {
                self.push(stage, by, Verdict::Noted, rules, format!("{text}, in shadow"));
                Ok(())
            }
        }
    }

    /// Limits that the server counts.
    pub(crate) fn spend_exact(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        principal: Option<&Principal>,
    ) -> Result<(), Denial> {
        let is_alone = self.assume.has_failed(&Part::VolatileStore);
        let counter = Counter { stage: Stage::LimitsExact, by: By::ExtAuthz, is_alone };
        self.spend(counter, route, &route.exact_limits, incoming, principal)
    }

    /// Limits that the bundle counts: local ones, then leased ones.
    pub(crate) fn spend_here(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        principal: Option<&Principal>,
    ) -> Result<(), Denial> {
        let counter = Counter { stage: Stage::LimitsLocal, by: By::Bundle, is_alone: false };
        self.spend(counter, route, &route.local_limits, incoming, principal)?;
        // Slices come from the store, by the server, over the feed's way.
        let parts = [Part::VolatileStore, Part::Server, Part::Feed];
        let is_alone = parts.iter().any(|part| self.assume.has_failed(part));
        let counter = Counter { stage: Stage::LimitsLeased, by: By::Bundle, is_alone };
        self.spend(counter, route, &route.leased_limits, incoming, principal)
    }

    fn spend(
        &mut self,
        counter: Counter,
        route: &Route,
        limits: &[AppliedLimit],
        incoming: &Incoming,
        principal: Option<&Principal>,
    ) -> Result<(), Denial> {
        let counted = Counted {
            address: incoming.client,
            principal,
            headers: &incoming.headers,
            method: &incoming.method,
            authority: &incoming.authority,
            path: incoming.path(),
        };
        for applied in limits {
            let limit = &*applied.limit;
            let allowance = limit.allowance_for(principal);
            let note = describe(route, applied, allowance, &counted);
            let told = told(&note);
            self.limits.push(note);
            let named = Rule::route_item(route, "limits", &limit.name, Effect::Passed);
            if allowance == Allowance::Unlimited {
                self.push(counter.stage, counter.by, Verdict::Passed, vec![named], told);
                continue;
            }
            self.count(counter, route, limit, named, &told)?;
        }
        Ok(())
    }

    fn count(
        &mut self,
        counter: Counter,
        route: &Route,
        limit: &Limit,
        named: Rule,
        told: &str,
    ) -> Result<(), Denial> {
        let Counter { stage, by, is_alone } = counter;
        let without = if is_alone { when_store_fails(limit) } else { None };
        let mut rules = vec![named];
        rules.extend(without.map(|_| answered(limit)));
        match without {
            Some(StoreFailure::Allow) => {
                let text = format!("{told}: left out, `when_store_fails` is `allow`");
                self.push(stage, by, Verdict::Passed, rules, text);
                return Ok(());
            }
            Some(StoreFailure::Deny) if !limit.shadow => {
                let denial = Denial::unavailable("leases_unavailable", 1);
                let text = format!("{told}: nothing can be had, `when_store_fails` is `deny`");
                return Err(self.deny(stage, by, denial, vec![answered(limit)], text));
            }
            None | Some(StoreFailure::Deny | StoreFailure::LocalShare) => {}
        }
        let share = if without.is_some() { ", a share of it counted here" } else { "" };
        if !self.assume.used_up.contains(&limit.name) {
            let text = format!("{told}{share}: not counted");
            self.push(stage, by, Verdict::Assumed("not counted"), rules, text);
            return Ok(());
        }
        if limit.shadow {
            let text = format!("{told}{share}: used up, in shadow");
            self.push(stage, by, Verdict::Noted, rules, text);
            return Ok(());
        }
        let denial = Denial::new(ErrorCode::RateLimitExceeded, "limit_exceeded");
        let refused = Rule::route_item(route, "limits", &limit.name, Effect::Refused);
        Err(self.deny(stage, by, denial, vec![refused], format!("{told}{share}: used up")))
    }
}

/// What a limit does without the store that is shared; none for local ones.
pub(crate) fn when_store_fails(limit: &Limit) -> Option<StoreFailure> {
    match limit.mode {
        LimitMode::Local => None,
        LimitMode::Exact { when_store_fails } | LimitMode::Leased { when_store_fails, .. } => {
            Some(when_store_fails)
        }
    }
}

fn answered(limit: &Limit) -> Rule {
    Rule::new(format!("limits.{}.when_store_fails", limit.name), Effect::Failed)
}

fn describe(
    route: &Route,
    applied: &AppliedLimit,
    allowance: Allowance,
    counted: &Counted<'_>,
) -> LimitNote {
    let limit = &*applied.limit;
    LimitNote {
        name: limit.name.clone(),
        mode: limit.mode.as_str(),
        allows: allows(allowance),
        by: values(limit, &limit.key_of(route, counted, allowance)),
        weight: applied.weight,
        shadow: limit.shadow,
    }
}

/// A limit in a line.
fn told(note: &LimitNote) -> String {
    let by = note.by.iter().map(|(part, value)| match value {
        Some(value) => format!("{part} {value}"),
        None => format!("no {part}"),
    });
    let by: Vec<String> = by.collect();
    let by = if by.is_empty() { String::new() } else { format!(", by {}", by.join(", ")) };
    let weight = if note.weight == 1 { String::new() } else { format!(", takes {}", note.weight) };
    let shadow = if note.shadow { ", in shadow" } else { "" };
    format!("{} {}, {}{by}{weight}{shadow}", note.name, note.allows, note.mode)
}

pub(crate) fn allows(allowance: Allowance) -> String {
    match allowance {
        Allowance::Unlimited => "unlimited".to_owned(),
        Allowance::InFlight(spec) => format!("{} at once", spec.max()),
        Allowance::Rate(spec) => rate(spec),
    }
}

fn rate(spec: Spec) -> String {
    let (rate, algorithm) = (spec.rate(), spec.algorithm());
    let period = match rate.period() {
        Period::Month => "1mo".to_owned(),
        Period::Millis(millis) => duration(millis.get()),
    };
    let burst = match spec.burst() {
        burst if algorithm.has_burst() && burst != rate.requests() => format!(", burst {burst}"),
        _ => String::new(),
    };
    format!("{}/{period}, {}{burst}", rate.requests(), algorithm.as_str())
}

/// As a document would spell it.
pub(crate) fn duration(millis: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let unit = units.into_iter().find(|(_, unit)| millis.is_multiple_of(*unit));
    let (name, unit) = unit.unwrap_or(("ms", 1));
    format!("{}{name}", millis / unit)
}

/// The parts of a limit's key with what this request is counted by. They are read from the key
/// itself, so that nothing else can be told than what counts.
fn values(limit: &Limit, key: &str) -> Vec<(String, Option<String>)> {
    let mut parts = key::parts(key).into_iter().skip(1);
    limit.key.iter().map(|part| (part.to_string(), value(part, &mut parts))).collect()
}

fn value<'k>(part: &KeyPart, parts: &mut impl Iterator<Item = Option<&'k str>>) -> Option<String> {
    let mut next = || parts.next().flatten();
    match part {
        // Kind of credential and issuer stand before the subject.
        KeyPart::Subject => {
            next();
            next();
            next().map(str::to_owned)
        }
        // And before a claim its issuer.
        KeyPart::Claim(_) => {
            next();
            next().map(str::to_owned)
        }
        // Any header may hold a credential.
        KeyPart::Header(_) => next().map(|_| HIDDEN.to_owned()),
        _ => next().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_the_documents() {
        for text in [
            "ip",
            "claim.sub",
            "claim.client_id",
            "claim.tier",
            "api_key",
            "claim.tenant",
            "header.x-a",
            "path.id",
            "method",
            "host",
            "service",
            "route",
        ] {
            assert_eq!(KeyPart::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn periods_are_told_in_their_largest_unit() {
        for (millis, expected) in
            [(60_000, "1m"), (90_000, "90s"), (86_400_000, "1d"), (1, "1ms"), (3_600_000, "1h")]
        {
            assert_eq!(duration(millis), expected);
        }
    }
}
