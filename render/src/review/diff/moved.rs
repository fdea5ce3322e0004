//! Requests that belong to another route than before: one that was renamed, a narrower one that was
//! put in front, or a wider one that was behind. What the two routes ask and do is compared, as
//! both have names of their own and no list tells the difference.

use std::collections::BTreeMap;

use super::Noted;
use super::fact::{self, Fact};

/// From which route to which one, and the first request that shows it.
#[derive(Debug, Default)]
pub(super) struct Moved(BTreeMap<(String, String), String>);

impl Moved {
    /// Notes whose a request was and whose it is.
    pub(super) fn note(&mut self, was: Option<&str>, is: Option<&str>, line: &str) {
        if let (Some(was), Some(is)) = (was, is)
            && was != is
        {
            let pair = (was.to_owned(), is.to_owned());
            self.0.entry(pair).or_insert_with(|| line.to_owned());
        }
    }

    /// What of a route holds for its requests no more, or holds now.
    pub(super) fn changes(&self, old: &[Fact], new: &[Fact]) -> Vec<Noted> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (old, new) = (by_owner(old), by_owner(new));
        let mut all = Vec::new();
        for ((was, is), line) in &self.0 {
            let owner = format!("routes.{is}");
            let of_old = old.get(format!("routes.{was}").as_str()).into_iter().flatten();
            let of_new = new.get(owner.as_str()).into_iter().flatten();
            let before: Vec<Fact> =
                of_old.map(|fact| Fact { owner: owner.clone(), ..(*fact).clone() }).collect();
            let after: Vec<Fact> = of_new.map(|fact| (*fact).clone()).collect();
            let request = format!("{line}, of `{was}` before");
            let noted = fact::compare(&before, &after).into_iter();
            all.extend(noted.map(|one| Noted { request: request.clone(), ..one }));
        }
        all
    }
}

fn by_owner(facts: &[Fact]) -> BTreeMap<&str, Vec<&Fact>> {
    let mut all: BTreeMap<&str, Vec<&Fact>> = BTreeMap::new();
    // Whose a request is was found out by asking: what else a route takes says nothing about it.
    let of_routes =
        |fact: &&Fact| fact.owner.starts_with("routes.") && !fact.member.starts_with(".match.");
    for fact in facts.iter().filter(of_routes) {
        all.entry(fact.owner.as_str()).or_default().push(fact);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::super::model::ChangeKind;
    use super::super::fact::Says;
    use super::*;

    fn fact(owner: &str, member: &str, says: Says) -> Fact {
        Fact { owner: owner.to_owned(), member: member.to_owned(), instead: None, says }
    }

    #[test]
    fn what_a_route_asked_is_compared_with_what_the_next_one_asks() {
        let limits = |all: &[&str]| Says::all_of(all.iter().map(ToString::to_string));
        let old = [fact("routes.a", ".limits", limits(&["l"]))];
        let new = [fact("routes.b", ".limits", limits(&[]))];
        let mut moved = Moved::default();
        moved.note(Some("a"), Some("a"), "GET /");
        moved.note(Some("a"), None, "GET /");
        moved.note(None, Some("b"), "GET /");
        assert!(moved.changes(&old, &new).is_empty(), "it stayed, came or went");
        moved.note(Some("a"), Some("b"), "GET /a");
        moved.note(Some("a"), Some("b"), "GET /z");
        let changes = moved.changes(&old, &new);
        assert_eq!(changes.len(), 1);
        let one = &changes[0];
        assert_eq!((one.kind, one.owner.as_str()), (ChangeKind::Opened, "routes.b"));
        assert_eq!(one.request, "GET /a, of `a` before");
        assert_eq!((one.before.as_str(), one.after.as_str()), ("l", "nothing"));
    }
}
