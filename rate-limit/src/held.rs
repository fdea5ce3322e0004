//! Which limit a descriptor is held to: a rule's, one that it brings along, or none.

use std::borrow::Cow;

use postern_descriptors::{Allowed, Descriptors, Match, Rule, Unit, counter_key, drop_replaced};
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_store::LimitKey;

use crate::ask::{Ask, Descriptor, Override, Refusal};

/// The name under which limits that requests bring along are counted in metrics: what they are
/// for is known by request data alone.
const BROUGHT_ALONG: &str = "override";

/// What comes of a limit that has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The request is refused.
    Binding,
    /// It is counted, and no more.
    Shadow,
    /// Whoever reads the metadata is told.
    Quota,
}

/// How much a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// Anything.
    Unlimited,
    /// Zero requests, in windows of so many seconds. There is nothing to count.
    Nothing(u64),
    /// So many, counted by this key.
    Rate(Spec, LimitKey),
}

/// The limit that a descriptor is held to.
pub(crate) struct Held<'a> {
    /// None where the request brings it along.
    pub(crate) rule: Option<&'a Rule>,
    pub(crate) requests: u32,
    /// None where it is unlimited.
    pub(crate) unit: Option<Unit>,
    pub(crate) mode: Mode,
    pub(crate) allowance: Allowance,
    /// What metrics call it.
    pub(crate) label: Cow<'a, str>,
}

/// One for each descriptor, in order; none where there is no limit.
///
/// # Errors
/// When a limit that the request brings along makes no sense.
pub(crate) fn find<'a>(
    rules: &'a Descriptors,
    ask: &Ask,
) -> Result<Vec<Option<Held<'a>>>, Refusal> {
    let by_rule = |descriptor: &Descriptor| match descriptor.instead {
        Some(_) => None,
        None => rules.find_among(&ask.domain, descriptor.pairs()),
    };
    let mut found: Vec<Option<Match<'a>>> = ask.descriptors.iter().map(by_rule).collect();
    drop_replaced(&mut found);
    let held = |(found, descriptor): (Option<Match<'a>>, &Descriptor)| match descriptor.instead {
        Some(brought) => Held::by_override(&ask.domain, descriptor, brought).map(Some),
        None => Ok(found.map(Held::by_rule)),
    };
    found.into_iter().zip(&ask.descriptors).map(held).collect()
}

impl<'a> Held<'a> {
    fn by_rule(found: Match<'a>) -> Self {
        let rule = found.rule;
        let mode = match (rule.shadow, rule.quota) {
            (true, _) => Mode::Shadow,
            (false, true) => Mode::Quota,
            (false, false) => Mode::Binding,
        };
        let allowance = match rule.allowed {
            Allowed::Unlimited => Allowance::Unlimited,
            Allowed::Nothing => Allowance::Nothing(rule.period_secs().unwrap_or_default()),
            Allowed::Rate(spec) => {
                Allowance::Rate(spec, LimitKey::of_descriptor(&found.counter_key, spec))
            }
        };
        Self {
            rule: Some(rule),
            requests: rule.requests,
            unit: rule.unit,
            mode,
            allowance,
            label: found.metric_key,
        }
    }

    /// It never is in shadow: who sends a limit along means it.
    fn by_override(
        domain: &str,
        descriptor: &Descriptor,
        brought: Override,
    ) -> Result<Self, Refusal> {
        let requests = brought.requests;
        let unit = brought.unit.ok_or(Refusal::Unit)?;
        let allowance = if requests == 0 {
            Allowance::Nothing(unit.secs())
        } else {
            let rate = Rate::new(u64::from(requests), unit.secs().saturating_mul(1000));
            let rate = rate.map_err(|_| Refusal::Unit)?;
            let spec = Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock);
            let spec = spec.map_err(|_| Refusal::Unit)?;
            let counter = counter_key(domain, descriptor.pairs());
            Allowance::Rate(spec, LimitKey::of_descriptor(&counter, spec))
        };
        Ok(Self {
            rule: None,
            requests,
            unit: Some(unit),
            mode: Mode::Binding,
            allowance,
            label: Cow::Borrowed(BROUGHT_ALONG),
        })
    }

    /// As the answer names it.
    pub(crate) fn name(&self) -> &'a str {
        self.rule.map_or("", |rule| &rule.name)
    }
}

#[cfg(test)]
mod tests;
