//! Operations that rules name: two that have nothing in common are about no request together.

use std::collections::BTreeSet;
use std::rc::Rc;

use postern_policies::Attribute;

use super::super::allowance::Allowance;
use super::super::callers::like;
use super::super::draft::Asks;

/// What an alternative names of [`Operations::TOLD_APART`].
pub(super) struct Operations([Named; 3]);

/// Values of one attribute; where there are none, all are meant.
#[derive(Default)]
struct Named {
    plain: BTreeSet<String>,
    patterns: Vec<String>,
}

impl Operations {
    /// Attributes by whose values one can see that two have nothing in common.
    const TOLD_APART: [Attribute; 3] = [Attribute::Path, Attribute::Method, Attribute::Port];

    pub(super) fn of(asks: &[Rc<Asks<'_>>]) -> Self {
        Self(Self::TOLD_APART.map(|wanted| {
            let mut named = Named::default();
            let asks = asks.iter().filter(|ask| ask.test.attribute == wanted);
            for value in asks.flat_map(|ask| &ask.test.values) {
                let text = value.as_str().replace("{**}", "*").replace("{*}", "*");
                if text.contains('*') {
                    named.patterns.push(text);
                } else {
                    named.plain.insert(text);
                }
            }
            named
        }))
    }

    /// Whether a request may be of both.
    pub(super) fn may_meet(&self, other: &Self, work: &Allowance) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one.may_meet(other, work))
    }
}

impl Named {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.patterns.is_empty()
    }

    fn may_meet(&self, other: &Self, work: &Allowance) -> bool {
        if self.is_empty() || other.is_empty() {
            return true;
        }
        let (few, many) = if self.plain.len() < other.plain.len() {
            (&self.plain, &other.plain)
        } else {
            (&other.plain, &self.plain)
        };
        let pairs = [(self, other), (other, self)]
            .map(|(one, other)| one.patterns.len() * (other.plain.len() + other.patterns.len()));
        work.spend_on(1 + few.len() + pairs.iter().sum::<usize>());
        let meets = |one: &Self, other: &Self| {
            let mut patterns = one.patterns.iter();
            patterns.any(|pattern| {
                other.plain.iter().any(|text| like(pattern, text))
                    || other.patterns.iter().any(|other| like(pattern, other))
            })
        };
        few.iter().any(|text| many.contains(text)) || meets(self, other) || meets(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[&str]) -> Named {
        let (patterns, plain): (Vec<&str>, Vec<&str>) =
            values.iter().copied().partition(|value| value.contains('*'));
        let owned = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect::<Vec<String>>();
        Named { plain: owned(plain).into_iter().collect(), patterns: owned(patterns) }
    }

    #[test]
    fn values_meet_where_one_takes_the_other() {
        let work = Allowance::new(1_000);
        for (one, other, expected) in [
            (vec!["/a"], vec!["/a", "/b"], true),
            (vec!["/a"], vec!["/b"], false),
            (vec!["/a*"], vec!["/ab"], true),
            (vec!["/a*"], vec!["/ab*"], true),
            (vec!["/a*"], vec!["/b*", "/c"], false),
            (vec![], vec!["/b"], true),
        ] {
            let (first, second) = (named(&one), named(&other));
            assert_eq!(first.may_meet(&second, &work), expected, "{one:?} {other:?}");
            assert_eq!(second.may_meet(&first, &work), expected, "{other:?} {one:?}");
        }
        assert!(!work.is_spent());
    }
}
