//! One thing that a document says: where, what, and which way it is open. Two documents are
//! compared by these, and a written review keeps its own.

use core::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::model::ChangeKind;
use super::Noted;

/// One thing that a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Fact {
    /// What it belongs to, such as `routes.a`.
    pub(super) owner: String,
    /// Which member of that, with its dot; empty for the thing itself.
    pub(super) member: String,
    /// The fact that holds where a document does not have this one: owner and member.
    pub(super) instead: Option<(String, String)>,
    pub(super) says: Says,
}

/// What is said, and with it which way it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    /// So many in so much, each of which lets more through the greater it is; in nothing at all
    /// stands for no bound. And how reports tell it.
    Bounds(Vec<(u64, u64)>, String),
    /// Whoever is or has one of these is let in; everybody where it is none.
    AnyOf(Option<Vec<String>>),
    /// The same, where an asterisk at an end stands for whatever may be there.
    Patterns(Option<Vec<String>>),
    /// All of these are asked for.
    AllOf(Vec<String>),
    /// What is trusted: another one opens, whatever it was before.
    Root(String),
    /// What neither opens nor closes.
    Plain(String),
}

/// No bound at all.
pub(super) const UNBOUNDED: (u64, u64) = (1, 0);

impl Says {
    /// A number that lets more through the greater it is.
    pub(super) fn amount(number: u64, told: impl Into<String>) -> Self {
        Self::Bounds(vec![(number, 1)], told.into())
    }

    /// One of these, in whatever order.
    pub(super) fn any_of(all: impl IntoIterator<Item = String>) -> Self {
        Self::AnyOf(Some(sorted(all)))
    }

    /// The same, where an empty list takes everything.
    pub(super) fn any_of_or_all(all: &[String]) -> Self {
        Self::AnyOf((!all.is_empty()).then(|| sorted(all.iter().cloned())))
    }

    /// All of these, in whatever order.
    pub(super) fn all_of(all: impl IntoIterator<Item = String>) -> Self {
        Self::AllOf(sorted(all))
    }

    /// Which way it is from this to another one; none where both say the same.
    pub(super) fn changed(&self, new: &Self) -> Option<ChangeKind> {
        if self == new {
            return None;
        }
        Some(match (self, new) {
            (Self::Bounds(old, _), Self::Bounds(new, _)) => bounds(old, new),
            (Self::AnyOf(old), Self::AnyOf(new)) => any_of(old.as_deref(), new.as_deref(), equal),
            (Self::Patterns(old), Self::Patterns(new)) => {
                any_of(old.as_deref(), new.as_deref(), takes)
            }
            (Self::AllOf(old), Self::AllOf(new)) => all_of(old, new),
            (Self::Plain(_), Self::Plain(_)) => ChangeKind::Changed,
            // Another root, or something of another kind altogether: keys by address instead of
            // keys that stand in the document.
            _ => ChangeKind::Opened,
        })
    }

    fn told(&self) -> String {
        let list = |all: &[String], none: &str| match all {
            [] => none.to_owned(),
            all => all.join(", "),
        };
        match self {
            Self::Bounds(_, told) | Self::Root(told) | Self::Plain(told) => told.clone(),
            Self::AnyOf(None) | Self::Patterns(None) => "all".to_owned(),
            Self::AnyOf(Some(all)) | Self::Patterns(Some(all)) => list(all, "none"),
            Self::AllOf(all) => list(all, "nothing"),
        }
    }
}

fn sorted(all: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = all.into_iter().collect();
    all.sort();
    all.dedup();
    all
}

fn equal(known: &str, one: &str) -> bool {
    known == one
}

/// Whether a pattern takes all that another one does.
fn takes(known: &str, one: &str) -> bool {
    if known == one || known == "*" {
        return true;
    }
    match (known.strip_suffix('*'), known.strip_prefix('*')) {
        (Some(prefix), _) => one.starts_with(prefix) && one.len() > prefix.len(),
        (None, Some(suffix)) => one.ends_with(suffix) && one.len() > suffix.len(),
        (None, None) => false,
    }
}

fn bounds(old: &[(u64, u64)], new: &[(u64, u64)]) -> ChangeKind {
    let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
    let orders: Vec<Ordering> = old
        .iter()
        .zip(new)
        .map(|(old, new)| product(old.0, new.1).cmp(&product(new.0, old.1)))
        .collect();
    if old.len() != new.len() || orders.contains(&Ordering::Less) {
        // One that rises opens, whatever falls beside it.
        ChangeKind::Opened
    } else if orders.contains(&Ordering::Greater) {
        ChangeKind::Closed
    } else {
        ChangeKind::Changed
    }
}

fn any_of(
    old: Option<&[String]>,
    new: Option<&[String]>,
    takes: impl Fn(&str, &str) -> bool,
) -> ChangeKind {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return ChangeKind::Opened,
        (None, Some(_)) => return ChangeKind::Closed,
        (None, None) => return ChangeKind::Changed,
    };
    let within = |few: &[String], many: &[String]| {
        let same: BTreeSet<&String> = many.iter().collect();
        few.iter().all(|one| same.contains(one) || many.iter().any(|known| takes(known, one)))
    };
    if !within(new, old) {
        ChangeKind::Opened
    } else if !within(old, new) {
        ChangeKind::Closed
    } else {
        ChangeKind::Changed
    }
}

fn all_of(old: &[String], new: &[String]) -> ChangeKind {
    let within = |few: &[String], many: &[String]| {
        let many: BTreeSet<&String> = many.iter().collect();
        few.iter().all(|one| many.contains(one))
    };
    if !within(old, new) {
        ChangeKind::Opened
    } else if !within(new, old) {
        ChangeKind::Closed
    } else {
        ChangeKind::Changed
    }
}

/// What differs. Of what only one of the two has, nothing is told here: that it came or went is
/// told by the list that it stands in, or by the requests that meet it.
pub(super) fn compare(old: &[Fact], new: &[Fact]) -> Vec<Noted> {
    let (before, after) = (Known::new(old), Known::new(new));
    let came = new.iter().filter_map(|fact| Some((fact, before.like(fact)?, &fact.says)));
    let went = old
        .iter()
        .filter(|fact| after.exactly(fact).is_none())
        .filter_map(|fact| Some((fact, &fact.says, after.like(fact)?)));
    let note = |(fact, was, is): (&Fact, &Says, &Says)| {
        Some(Noted {
            kind: was.changed(is)?,
            owner: fact.owner.clone(),
            member: fact.member.clone(),
            caller: String::new(),
            request: String::new(),
            before: was.told(),
            after: is.told(),
        })
    };
    came.chain(went).filter_map(note).collect()
}

/// Facts by where they stand.
struct Known<'f>(BTreeMap<(&'f str, &'f str), &'f Says>);

impl<'f> Known<'f> {
    fn new(facts: &'f [Fact]) -> Self {
        let one = |fact: &'f Fact| ((fact.owner.as_str(), fact.member.as_str()), &fact.says);
        Self(facts.iter().map(one).collect())
    }

    fn exactly(&self, fact: &Fact) -> Option<&'f Says> {
        self.0.get(&(fact.owner.as_str(), fact.member.as_str())).copied()
    }

    /// The same fact, or the one that holds instead.
    fn like(&self, fact: &Fact) -> Option<&'f Says> {
        let instead = || {
            let (owner, member) = fact.instead.as_ref()?;
            self.0.get(&(owner.as_str(), member.as_str())).copied()
        };
        self.exactly(fact).or_else(instead)
    }
}

impl Fact {
    pub(in crate::review) fn to_json(&self) -> Value {
        let (kind, value) = match &self.says {
            Says::Bounds(bounds, told) => ("bounds", json!({"bounds": bounds, "told": told})),
            Says::AnyOf(all) => ("any_of", json!(all)),
            Says::Patterns(all) => ("patterns", json!(all)),
            Says::AllOf(all) => ("all_of", json!(all)),
            Says::Root(told) => ("root", json!(told)),
            Says::Plain(told) => ("plain", json!(told)),
        };
        let instead = self.instead.as_ref().map(|(owner, member)| json!([owner, member]));
        json!({
            "owner": self.owner,
            "member": self.member,
            "instead": instead,
            "kind": kind,
            "says": value,
        })
    }

    /// Reads what [`Fact::to_json`] wrote.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let says = value.get("says")?;
        let some = || match says {
            Value::Null => Some(None),
            all => words(all).map(Some),
        };
        let instead = match value.get("instead")? {
            Value::Null => None,
            pair => Some((word(pair.get(0)?)?, word(pair.get(1)?)?)),
        };
        Some(Self {
            owner: word(value.get("owner")?)?,
            member: word(value.get("member")?)?,
            instead,
            says: match value.get("kind")?.as_str()? {
                "bounds" => {
                    let all = says.get("bounds")?.as_array()?.iter();
                    let pair =
                        |pair: &Value| Some((pair.get(0)?.as_u64()?, pair.get(1)?.as_u64()?));
                    Says::Bounds(all.map(pair).collect::<Option<_>>()?, word(says.get("told")?)?)
                }
                "any_of" => Says::AnyOf(some()?),
                "patterns" => Says::Patterns(some()?),
                "all_of" => Says::AllOf(words(says)?),
                "root" => Says::Root(word(says)?),
                "plain" => Says::Plain(word(says)?),
                _ => return None,
            },
        })
    }
}

fn words(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Which way it is, there and back.
    fn ways(old: &Says, new: &Says) -> [Option<ChangeKind>; 2] {
        [old.changed(new), new.changed(old)]
    }

    const OPENS: [Option<ChangeKind>; 2] = [Some(ChangeKind::Opened), Some(ChangeKind::Closed)];
    const BOTH: [Option<ChangeKind>; 2] = [Some(ChangeKind::Opened), Some(ChangeKind::Opened)];

    #[test]
    fn what_lets_more_in_opens_and_the_reverse_closes() {
        let any = |text: &str| Says::any_of(list(text));
        let patterns = |text: &str| Says::Patterns(Some(list(text)));
        let all = |text: &str| Says::all_of(list(text));
        let bounds = |all: &[(u64, u64)]| Says::Bounds(all.to_vec(), String::new());
        for (old, new, expected) in [
            (any("a"), any("a b"), OPENS),
            (any("a"), any("b"), BOTH),
            (any("a"), Says::AnyOf(None), OPENS),
            (any("a"), any("*"), BOTH),
            (any(""), any("a"), OPENS),
            (patterns("/a/b"), patterns("/a/*"), OPENS),
            (patterns("x.test"), patterns("*.test x.test"), OPENS),
            (patterns(".test"), patterns("*.test"), BOTH),
            (patterns("*.a.test"), patterns("*.test"), OPENS),
            (all("a b"), all("a"), OPENS),
            (all("a"), all("b"), BOTH),
            (bounds(&[(10, 60)]), bounds(&[(10, 1)]), OPENS),
            (bounds(&[(10, 60)]), bounds(&[UNBOUNDED]), OPENS),
            (bounds(&[(1, 1), (2, 1)]), bounds(&[(2, 1), (1, 1)]), BOTH),
            (Says::Root("a".to_owned()), Says::Root("b".to_owned()), BOTH),
            (any("a"), Says::Root("a".to_owned()), BOTH),
        ] {
            assert_eq!(ways(&old, &new), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_only_reads_otherwise_neither_opens_nor_closes() {
        let changed = [Some(ChangeKind::Changed); 2];
        let bounds = |told: &str| Says::Bounds(vec![(60, 60), UNBOUNDED], told.to_owned());
        assert_eq!(ways(&bounds("a"), &bounds("b")), changed);
        let places = |text: &str| Says::AnyOf(Some(list(text)));
        assert_eq!(ways(&places("a b"), &places("b a")), changed);
        assert_eq!(ways(&places("a"), &places("a")), [None, None]);
        assert_eq!(ways(&Says::any_of(list("b a")), &Says::any_of(list("a b"))), [None, None]);
    }

    #[test]
    fn what_is_not_said_of_itself_is_said_of_something_else() {
        let fact = |member: &str, number, instead: bool| Fact {
            owner: "limits.a".to_owned(),
            member: member.to_owned(),
            instead: instead.then(|| ("limits.a".to_owned(), String::new())),
            says: Says::amount(number, number.to_string()),
        };
        let (base, tier) = (fact("", 10, false), fact(".tiers.b", 100, true));
        let with = [base.clone(), tier];
        let without = [base];
        let kinds = |old: &[Fact], new: &[Fact]| -> Vec<ChangeKind> {
            compare(old, new).iter().map(|noted| noted.kind).collect()
        };
        assert_eq!(kinds(&without, &with), [ChangeKind::Opened]);
        assert_eq!(kinds(&with, &without), [ChangeKind::Closed]);
        assert_eq!(kinds(&with, &with), []);
        assert_eq!(kinds(&[], &with), []);
    }

    #[test]
    fn facts_are_read_as_they_are_written() {
        for says in [
            Says::Bounds(vec![(1, 2), UNBOUNDED], "a".to_owned()),
            Says::AnyOf(None),
            Says::AnyOf(Some(list("a b"))),
            Says::Patterns(None),
            Says::Patterns(Some(list("*.a"))),
            Says::AllOf(Vec::new()),
            Says::Root("a".to_owned()),
            Says::Plain("b".to_owned()),
        ] {
            for instead in [None, Some(("c".to_owned(), String::new()))] {
                let (owner, member) = ("o".to_owned(), ".m".to_owned());
                let fact = Fact { owner, member, instead, says: says.clone() };
                assert_eq!(Fact::read(&fact.to_json()), Some(fact));
            }
        }
        assert_eq!(Fact::read(&json!({"owner": "a"})), None);
    }
}
