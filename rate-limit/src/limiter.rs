//! The decision: which limits a request meets, and what they say.

mod verdict;

use std::iter;
use std::sync::Arc;
use std::time::Instant;

use postern_descriptors::Descriptors;
use postern_limits::Outcome as Taken;
use postern_limits::top::TopKey;
use postern_request::UnixMillis;
use postern_store::limiter::{Asked, Limiter};
use postern_store::volatile::{GiveBack, LimitAsk, Take};
use postern_store::{BusyKeys, StoreError};

use self::verdict::Verdict;
use crate::answer::{Answer, CurrentLimit, Standing};
use crate::ask::{Ask, Descriptor, Hits, Refusal};
use crate::configuration::Configuration;
use crate::held::{self, Allowance, Held, Mode};
use crate::metrics::{Code, Metrics, Outcome};
use crate::settings::{CurrentSettings, Settings};

/// What a [`RateLimiter`] is made of.
pub struct Parts {
    /// The rules in use.
    pub configuration: Arc<Configuration>,
    /// Counts, with the store or without.
    pub limiter: Arc<Limiter>,
    /// How to behave.
    pub settings: CurrentSettings,
    /// Metrics.
    pub metrics: Metrics,
}

/// Decides on requests.
pub struct RateLimiter {
    parts: Parts,
    busy: BusyKeys,
}

/// What the store says of all that is counted.
struct Asking {
    /// In order.
    outcomes: Vec<Taken>,
    /// Nothing was to be taken, because the request is refused anyway.
    only_looked: bool,
    /// What was to be given back was, after the store had said this.
    given_back: bool,
}

impl RateLimiter {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        parts.metrics.applied(parts.configuration.current().rules().len());
        Self { parts, busy: BusyKeys::default() }
    }

    /// The rules in use, as text: one line for each.
    #[must_use]
    pub fn dump(&self) -> String {
        self.parts.configuration.current().dump()
    }

    /// What was near its limit or over it most often, so many at most, with how often. Requests
    /// chose these texts: they are for operators, and never for metrics.
    #[must_use]
    pub fn top_keys(&self, most: usize) -> Vec<TopKey<String>> {
        self.busy.top(most)
    }

    /// How it behaves now.
    pub(crate) fn settings(&self) -> Settings {
        (self.parts.settings)()
    }

    /// Decides on one request: takes from all of its limits or from none.
    ///
    /// # Errors
    /// When it cannot be asked, or while the store is away and limits deny then.
    pub async fn decide(&self, ask: &Ask, now: UnixMillis) -> Result<Answer, Refusal> {
        let started = Instant::now();
        let rules = self.parts.configuration.current();
        let answer = match ask.check() {
            Ok(()) => self.decide_by(&rules, ask, now).await,
            Err(refusal) => Err(refusal),
        };
        let code = match &answer {
            Ok(answer) if answer.over => Code::OverLimit,
            Ok(_) => Code::Ok,
            Err(_) => Code::Error,
        };
        let domain = rules.has_domain(&ask.domain).then_some(ask.domain.as_str());
        self.parts.metrics.answered(domain, code, started.elapsed().as_secs_f64());
        answer
    }

    async fn decide_by(
        &self,
        rules: &Descriptors,
        ask: &Ask,
        now: UnixMillis,
    ) -> Result<Answer, Refusal> {
        let held = held::find(rules, ask)?;
        let asking = self.ask_store(&held, &ask.descriptors, now).await?;
        let mut outcomes = asking.outcomes.iter();
        let mut answer = Answer::default();
        answer.standings.reserve_exact(ask.descriptors.len());
        for (held, descriptor) in held.iter().zip(&ask.descriptors) {
            let Some(held) = held else {
                answer.standings.push(Standing::default());
                continue;
            };
            let hits = descriptor.hits;
            let verdict = match held.allowance {
                Allowance::Unlimited => None,
                Allowance::Nothing(period_secs) => Some(Verdict::closed(hits, period_secs, now)),
                Allowance::Rate(..) => {
                    let outcome = outcomes.next().ok_or(Refusal::Unavailable)?;
                    Some(Verdict::counted(hits, *outcome, &asking))
                }
            };
            self.count(&ask.domain, descriptor, held, verdict.as_ref());
            tell(&mut answer, held, verdict.as_ref());
        }
        if self.settings().metadata {
            answer.rules = held.iter().map(|held| rule_name(held.as_ref())).collect();
        }
        Ok(answer)
    }

    /// Asks for everything in one call. Where a rule of nothing refuses the request, whatever the
    /// store would say, nothing is taken, and the store is only asked how things stand.
    async fn ask_store(
        &self,
        held: &[Option<Held<'_>>],
        descriptors: &[Descriptor],
        now: UnixMillis,
    ) -> Result<Asking, Refusal> {
        let pairs = || {
            let held = held.iter().map(Option::as_ref);
            held.zip(descriptors).filter_map(|(held, descriptor)| Some((held?, descriptor.hits)))
        };
        let only_looked = pairs().any(|(held, hits)| is_closed(held, hits));
        let Settings { when_store_fails, replicas, .. } = self.settings();
        let mut asking = Asking { outcomes: Vec::new(), only_looked, given_back: false };
        let (mut asked, mut back) = (Vec::with_capacity(held.len()), Vec::new());
        for (held, hits) in pairs() {
            let Allowance::Rate(spec, key) = held.allowance else { continue };
            let (cost, shadow) = match hits {
                Hits::Take(hits) if !only_looked => (hits, held.mode != Mode::Binding),
                Hits::Take(_) => (0, true),
                Hits::GiveBack(hits) => {
                    back.push(GiveBack { key, take: Take::Rate { spec, cost: hits } });
                    (0, true)
                }
            };
            let ask = LimitAsk { key, take: Take::Rate { spec, cost }, shadow };
            asked.push(Asked { ask, when_store_fails });
        }
        if asked.is_empty() {
            return Ok(asking);
        }
        let limiter = &self.parts.limiter;
        let decided = limiter.decide(&asked, None, replicas, now).await;
        if let Some(error) = &decided.error {
            self.failed(error);
        }
        if decided.unavailable {
            return Err(Refusal::Unavailable);
        }
        if decided.decision.allowed && !only_looked && !back.is_empty() {
            let given_back = limiter.give_back(&back, decided.without_store, replicas, now).await;
            asking.given_back = given_back.is_ok();
            if let Err(error) = given_back {
                self.failed(&error);
            }
        }
        asking.outcomes = decided.decision.limits;
        Ok(asking)
    }

    /// At the lowest level: a store that is away is away for every request.
    fn failed(&self, error: &StoreError) {
        tracing::debug!(%error, "answering without the store");
        self.parts.metrics.store_failed(self.settings().when_store_fails);
    }

    fn count(
        &self,
        domain: &str,
        descriptor: &Descriptor,
        held: &Held<'_>,
        verdict: Option<&Verdict>,
    ) {
        let outcome = match verdict {
            Some(verdict) if verdict.over && held.mode == Mode::Binding => Outcome::Over,
            Some(verdict) if verdict.over => Outcome::Shadow,
            Some(verdict) if verdict.is_near() => Outcome::Near,
            Some(_) | None => Outcome::Ok,
        };
        self.parts.metrics.rule(&held.label, outcome);
        if outcome != Outcome::Ok {
            self.busy.note(readable(domain, descriptor));
        }
    }
}

/// Whether a request is refused by a rule of nothing.
fn is_closed(held: &Held<'_>, hits: Hits) -> bool {
    held.mode == Mode::Binding
        && matches!(held.allowance, Allowance::Nothing(_))
        && matches!(hits, Hits::Take(_))
}

/// Adds a descriptor to the answer; without a verdict it is unlimited.
fn tell(answer: &mut Answer, held: &Held<'_>, verdict: Option<&Verdict>) {
    let at = u32::try_from(answer.standings.len()).unwrap_or(u32::MAX);
    if held.mode == Mode::Quota {
        let violations = answer.quota.get_or_insert_default();
        violations.extend(verdict.filter(|verdict| verdict.over).map(|_| at));
    }
    let Some(Verdict { over, status }) = verdict else {
        answer.standings.push(Standing { remaining: u32::MAX, ..Standing::default() });
        return;
    };
    let binding = held.mode == Mode::Binding;
    if binding {
        answer.note(*over, *status);
    }
    let limit = |unit| CurrentLimit { name: held.name().to_owned(), requests: held.requests, unit };
    answer.standings.push(Standing {
        over: *over && binding,
        limit: held.unit.map(limit),
        remaining: u32::try_from(status.remaining).unwrap_or(u32::MAX),
        reset_secs: status.reset_secs,
    });
}

/// For the metadata: a rule's name, or the path of one that has none.
fn rule_name(held: Option<&Held<'_>>) -> String {
    let rule = held.and_then(|held| held.rule);
    let name = rule.map(|rule| if rule.name.is_empty() { &rule.full_key } else { &rule.name });
    name.cloned().unwrap_or_default()
}

/// `domain: key=value, key=value`
fn readable<'a>(domain: &'a str, descriptor: &'a Descriptor) -> impl Iterator<Item = &'a str> {
    let entries = descriptor.entries.iter().enumerate().flat_map(|(at, (key, value))| {
        let before = if at == 0 { ": " } else { ", " };
        [before, key, if value.is_empty() { "" } else { "=" }, value]
    });
    iter::once(domain).chain(entries)
}

#[cfg(test)]
mod tests;
