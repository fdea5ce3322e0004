//! What somebody has decided to live with: an accept list.
//!
//! A list of entries, each with the check's id, the subject, how grave it may be, the reason, and
//! the day until which it holds. A decision does not grow: what is graver than what was decided
//! counts, and so does what says something else, where the entry has the finding's fingerprint. An
//! entry that is over, or for less than there is now, is a finding itself, and so is one that is for
//! nothing.

use core::fmt;

use postern_document::yaml::{Kind, Node, Problems, mapping, parse};
use postern_document::{Position, Problem, Source};
use postern_limits::key;
use postern_request::UnixMillis;

use super::catalogue::{ACCEPTANCE_OVER, ACCEPTANCE_UNUSED, ALL};
use super::model::{Finding, Place, Review, Severity};

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The check.
    pub id: String,
    /// What the finding is about; `*` for whatever it is about.
    pub subject: String,
    /// How grave it may be at most.
    pub severity: Severity,
    /// Which finding exactly, as [`fingerprint`] tells it; none for whatever it says.
    pub finding: Option<String>,
    /// Why it may stay.
    pub because: String,
    /// The last day on which it holds, as `2026-12-31` in UTC; none holds for good.
    pub until: Option<Day>,
    /// Where it stands.
    pub place: Place,
}

impl Accepted {
    /// Whether it is about a finding.
    fn is_about(&self, finding: &Finding) -> bool {
        self.id == finding.id && (self.subject == finding.subject || self.subject == "*")
    }

    /// What a finding has grown by since somebody decided on it; none where it has not.
    fn outgrown_by(&self, finding: &Finding) -> Option<String> {
        let subject = &finding.subject;
        if finding.severity < self.severity {
            let (then, now) = (self.severity.as_str(), finding.severity.as_str());
            return Some(format!("it was accepted as {then}, and {subject} is {now} now"));
        }
        let known = self.finding.as_ref()?;
        let now = fingerprint(finding);
        (*known != now).then(|| {
            format!("another finding was accepted: that of {subject} has the fingerprint {now} now")
        })
    }
}

/// What tells a finding from others of the same check and subject: a hash of what it says.
#[must_use]
pub fn fingerprint(finding: &Finding) -> String {
    let (_, hash) = key::hashed(finding.id, &format!("{}\n{}", finding.subject, finding.text));
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
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

const MEMBERS: [&str; 6] = ["id", "subject", "severity", "finding", "because", "until"];

fn entry(node: &Node, file: &str, problems: &mut Problems) -> Option<Accepted> {
    let members = mapping(node, &MEMBERS, problems)?;
    let mut text = |name: &str| text(members, name, node.at, problems);
    let (id, subject, because) = (text("id"), text("subject"), text("because"));
    let severity = choice(members, ("severity", SEVERITIES), problems, severity);
    if !has(members, "severity") {
        problems.report(node.at, format!("`severity` is missing: {SEVERITIES}"));
    }
    let finding = choice(members, ("finding", FINGERPRINT), problems, sixteen_digits);
    let until = choice(members, ("until", DAY), problems, Day::read);
    if id.as_ref().is_some_and(|id| !ALL.iter().any(|check| check.id == id)) {
        problems.report(node.at, "there is no check with this id");
    }
    let place = Place { file: file.to_owned(), line: node.at.line };
    Some(Accepted {
        id: id?,
        subject: subject?,
        severity: severity?,
        finding,
        because: because?,
        until,
        place,
    })
}

const SEVERITIES: &str = "write how grave the finding may be: critical, high, medium, low or info";
const FINGERPRINT: &str =
    "`finding` is a fingerprint in quotes: 16 digits from 0 to f, as the JSON has it";
const DAY: &str = "`until` is a day, as 2026-12-31";

fn severity(text: &str) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| severity.as_str() == text)
}

fn sixteen_digits(text: &str) -> Option<String> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 16 && text.bytes().all(is_digit)).then(|| text.to_owned())
}

fn has(members: &[(String, Position, Node)], wanted: &str) -> bool {
    members.iter().any(|(name, ..)| name == wanted)
}

/// A member that may be left out, but has to be what it is meant to be where it is there.
fn choice<T>(
    members: &[(String, Position, Node)],
    (wanted, expected): (&str, &str),
    problems: &mut Problems,
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let (_, at, node) = members.iter().find(|(name, ..)| name == wanted)?;
    let found = match &node.kind {
        Kind::Text(text) => read(text),
        // Also a fingerprint without a letter, which is a number unless it stands in quotes.
        _ => None,
    };
    if found.is_none() {
        problems.report(*at, expected);
    }
    found
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
    let mut outgrown: Vec<Option<String>> = vec![None; entries.len()];
    let mut left = Vec::new();
    for finding in core::mem::take(&mut review.findings) {
        let mut because = None;
        let marks = used.iter_mut().zip(&mut outgrown);
        for (entry, (used, outgrown)) in entries.iter().zip(marks) {
            if !entry.is_about(&finding) {
                continue;
            }
            *used = true;
            let over = entry.until.as_ref().is_some_and(|until| today > *until);
            match entry.outgrown_by(&finding) {
                Some(text) => *outgrown = outgrown.take().or(Some(text)),
                None if over => {}
                None => because = because.or_else(|| Some(entry.because.clone())),
            }
        }
        match because {
            Some(because) => review.accepted.push((finding, because)),
            None => left.push(finding),
        }
    }
    for ((entry, used), outgrown) in entries.iter().zip(used).zip(outgrown) {
        let subject = format!("{} {}", entry.id, entry.subject);
        let over = entry.until.as_ref().filter(|until| today > **until);
        let finding = match (used, over, outgrown) {
            (false, ..) => Finding::new(&ACCEPTANCE_UNUSED, subject, "there is no such finding"),
            (true, Some(until), _) => {
                Finding::new(&ACCEPTANCE_OVER, subject, format!("it was accepted until {until}"))
            }
            (true, None, Some(text)) => Finding::new(&ACCEPTANCE_OVER, subject, text),
            (true, None, None) => continue,
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
        let review =
            applied("- {id: PR101, subject: routes.a, severity: high, because: everybody may}\n");
        assert_eq!(ids(&review), ["PR104"]);
        assert_eq!(review.accepted.len(), 1);
        assert_eq!(review.accepted[0].1, "everybody may");
    }

    #[test]
    fn another_subject_or_check_is_not_accepted_with_it() {
        let review = applied("- {id: PR104, subject: routes.a, severity: high, because: b}\n");
        assert_eq!(ids(&review), ["PR101", "PR104", "PR002"]);
    }

    /// PR101 is high here, PR104 info.
    #[test]
    fn an_acceptance_does_not_grow_with_its_finding() {
        let of = |severity: &str| {
            format!("- {{id: PR101, subject: routes.a, severity: {severity}, because: b}}\n")
        };
        for (severity, expected) in [
            ("critical", &["PR104"][..]),
            ("high", &["PR104"][..]),
            ("medium", &["PR101", "PR104", "PR001"][..]),
            ("info", &["PR101", "PR104", "PR001"][..]),
        ] {
            assert_eq!(ids(&applied(&of(severity))), expected, "{severity}");
        }
        let review = applied(&of("medium"));
        let text = &review.findings[2].text;
        assert_eq!(text, "it was accepted as medium, and routes.a is high now");
        // Of what is accepted by another entry, nothing is left.
        let both = applied(&(of("medium") + &of("high")));
        assert_eq!(ids(&both), ["PR104", "PR001"]);
    }

    #[test]
    fn a_fingerprint_is_of_one_finding() {
        let of = |finding: &str| {
            format!(
                "- {{id: PR101, subject: '*', severity: high, finding: '{finding}', because: b}}\n"
            )
        };
        let finding = Finding::new(&UNPROTECTED_ROUTE, "routes.a", "x");
        assert_eq!(ids(&applied(&of(&fingerprint(&finding)))), ["PR104"]);
        for (subject, text) in [("routes.a", "y"), ("routes.b", "x"), ("routes.a\nx", "")] {
            let other = Finding::new(&UNPROTECTED_ROUTE, subject, text);
            let review = applied(&of(&fingerprint(&other)));
            assert_eq!(ids(&review), ["PR101", "PR104", "PR001"], "{subject} {text}");
        }
    }

    #[test]
    fn what_is_over_counts_again_and_says_so() {
        let entry = |until: &str| {
            format!("- {{id: PR101, subject: '*', severity: high, because: b, until: '{until}'}}\n")
        };
        assert_eq!(ids(&applied(&entry("2026-06-14"))), ["PR101", "PR104", "PR001"]);
        assert_eq!(ids(&applied(&entry("2026-06-15"))), ["PR104"]);
    }

    #[test]
    fn all_problems_of_a_list_are_told() {
        let problems = list(
            "- {id: PR999, subject: a, because: b}\n\
             - {id: PR101, until: tomorrow, why: c, severity: grave, finding: 12}\n",
        )
        .unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        for expected in [
            "no check with this id",
            "`severity` is missing",
            "`subject`",
            "`because`",
            "`until` is a day",
            "how grave the finding may be",
            "`finding` is a fingerprint",
            "why",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        assert!(list("a: b\n").is_err());
        assert!(list("- {id: PR101, subject: a, severity: high, because: '  '}\n").is_err());
    }
}
