//! What somebody has decided to live with: an accept list.
//!
//! A list of entries, each with the check's id, the subject, the reason, and the day until which it
//! holds. An entry that is over is a finding itself, and so is one that is for nothing.

use core::fmt;

use postern_document::yaml::{Kind, Node, Problems, mapping, parse};
use postern_document::{Position, Problem, Source};
use postern_request::UnixMillis;

use super::catalogue::{ACCEPTANCE_OVER, ACCEPTANCE_UNUSED, ALL};
use super::model::{Finding, Place, Review};

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The check.
    pub id: String,
    /// What the finding is about; `*` for whatever it is about.
    pub subject: String,
    /// Why it may stay.
    pub because: String,
    /// The last day on which it holds, as `2026-12-31` in UTC; none holds for good.
    pub until: Option<Day>,
    /// Where it stands.
    pub place: Place,
}

/// A day in UTC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(String);

/// `2026-12-31`
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Day {
    /// Days are compared as texts, so all are written in the one way.
    fn read(text: &str) -> Option<Self> {
        let shape = b"dddd-dd-dd";
        let fits = text.len() == shape.len()
            && text.bytes().zip(shape).all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                _ => byte == *wanted,
            });
        let mut parts = text.split('-').skip(1).map(|part| part.parse::<u8>().unwrap_or(0));
        let month = parts.next().is_some_and(|month| (1..=12).contains(&month));
        let day = parts.next().is_some_and(|day| (1..=31).contains(&day));
        (fits && month && day).then(|| Self(text.to_owned()))
    }

    /// The day on which a point in time is.
    fn of(now: UnixMillis) -> Self {
        Self(now.to_rfc3339().chars().take(10).collect())
    }
}

/// Reads an accept list.
///
/// # Errors
/// Every problem, by line.
pub fn read(source: &Source) -> Result<Vec<Accepted>, Vec<Problem>> {
    let mut problems = Problems::new(vec![source.name.clone()]);
    let mut entries = Vec::new();
    if let Some(node) = parse(&source.text, 0, &mut problems) {
        match &node.kind {
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    entries.extend(
                        problems.at_index(index, |problems| entry(item, &source.name, problems)),
                    );
                }
            }
            other => {
                let message = format!("expected a list of findings, found {}", other.describe());
                problems.report(node.at, message);
            }
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems.into_sorted()) }
}

fn entry(node: &Node, file: &str, problems: &mut Problems) -> Option<Accepted> {
    let members = mapping(node, &["id", "subject", "because", "until"], problems)?;
    let mut text = |name: &str| text(members, name, node.at, problems);
    let (id, subject, because) = (text("id"), text("subject"), text("because"));
    let until = match members.iter().find(|(name, ..)| name == "until") {
        None => None,
        Some((_, at, value)) => {
            let day = match &value.kind {
                Kind::Text(text) => Day::read(text),
                _ => None,
            };
            if day.is_none() {
                problems.report(*at, "`until` is a day, as 2026-12-31");
            }
            day
        }
    };
    if id.as_ref().is_some_and(|id| !ALL.iter().any(|check| check.id == id)) {
        problems.report(node.at, "there is no check with this id");
    }
    let place = Place { file: file.to_owned(), line: node.at.line };
    Some(Accepted { id: id?, subject: subject?, because: because?, until, place })
}

fn text(
    members: &[(String, Position, Node)],
    wanted: &str,
    at: Position,
    problems: &mut Problems,
) -> Option<String> {
    let found = members.iter().find(|(name, ..)| name == wanted).map(|(.., node)| &node.kind);
    match found {
        Some(Kind::Text(text)) if !text.trim().is_empty() => Some(text.clone()),
        _ => {
            problems.report(at, format!("`{wanted}` is missing: write a text"));
            None
        }
    }
}

/// Takes what is accepted out of the findings, and finds what of the list is over or unused.
pub(super) fn apply(review: &mut Review, entries: &[Accepted], now: UnixMillis) {
    let today = Day::of(now);
    let mut used = vec![false; entries.len()];
    let mut left = Vec::new();
    for finding in core::mem::take(&mut review.findings) {
        let fits = |entry: &Accepted| {
            entry.id == finding.id && (entry.subject == finding.subject || entry.subject == "*")
        };
        let mut because = None;
        for (entry, used) in entries.iter().zip(&mut used).filter(|(entry, _)| fits(entry)) {
            *used = true;
            if entry.until.as_ref().is_none_or(|until| today <= *until) {
                because.get_or_insert_with(|| entry.because.clone());
            }
        }
        match because {
            Some(because) => review.accepted.push((finding, because)),
            None => left.push(finding),
        }
    }
    for (entry, used) in entries.iter().zip(used) {
        let subject = format!("{} {}", entry.id, entry.subject);
        let over = entry.until.as_ref().filter(|until| today > **until);
        let finding = match (used, over) {
            (true, Some(until)) => {
                Finding::new(&ACCEPTANCE_OVER, subject, format!("it was accepted until {until}"))
            }
            (false, _) => Finding::new(&ACCEPTANCE_UNUSED, subject, "there is no such finding"),
            (true, None) => continue,
        };
        left.push(finding.at(Some(entry.place.clone())));
    }
    review.findings = left;
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{NO_LIMIT, UNPROTECTED_ROUTE};
    use super::*;

    fn list(text: &str) -> Result<Vec<Accepted>, Vec<Problem>> {
        read(&Source { name: "accept.yaml".to_owned(), text: text.to_owned() })
    }

    /// 2026-06-15
    const NOW: UnixMillis = UnixMillis(1_781_481_600_000);

    fn applied(text: &str) -> Review {
        let findings = vec![
            Finding::new(&UNPROTECTED_ROUTE, "routes.a", "x"),
            Finding::new(&NO_LIMIT, "routes.b", "y"),
        ];
        let mut review = Review { findings, ..Review::default() };
        apply(&mut review, &list(text).unwrap(), NOW);
        review
    }

    fn ids(review: &Review) -> Vec<&str> {
        review.findings.iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn what_is_accepted_is_no_finding_any_more() {
        let review = applied("- {id: PR101, subject: routes.a, because: everybody may}\n");
        assert_eq!(ids(&review), ["PR104"]);
        assert_eq!(review.accepted.len(), 1);
        assert_eq!(review.accepted[0].1, "everybody may");
    }

    #[test]
    fn another_subject_or_check_is_not_accepted_with_it() {
        let review = applied("- {id: PR104, subject: routes.a, because: b}\n");
        assert_eq!(ids(&review), ["PR101", "PR104", "PR002"]);
    }

    #[test]
    fn what_is_over_counts_again_and_says_so() {
        let entry =
            |until: &str| format!("- {{id: PR101, subject: '*', because: b, until: '{until}'}}\n");
        assert_eq!(ids(&applied(&entry("2026-06-14"))), ["PR101", "PR104", "PR001"]);
        assert_eq!(ids(&applied(&entry("2026-06-15"))), ["PR104"]);
    }

    #[test]
    fn all_problems_of_a_list_are_told() {
        let problems =
            list("- {id: PR999, subject: a, because: b}\n- {id: PR101, until: tomorrow, why: c}\n")
                .unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        for expected in
            ["no check with this id", "`subject`", "`because`", "`until` is a day", "why"]
        {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        assert!(list("a: b\n").is_err());
        assert!(list("- {id: PR101, subject: a, because: '  '}\n").is_err());
    }
}
