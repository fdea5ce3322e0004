//! A review for a terminal: what to look at, a few lines each. The matrix is for a page.

use super::markdown::is_hidden;
use super::model::{Change, ChangeKind, Finding, Review, Severity};

/// So many subjects stand in a line.
const FEW: usize = 3;

/// A review as plain text, without the matrix.
#[must_use]
pub fn to_text(review: &Review) -> String {
    let mut out = String::new();
    for change in review.changes.iter().flatten() {
        self::change(&mut out, change);
    }
    for finding in &review.findings {
        self::finding(&mut out, finding);
    }
    for line in &review.unknown {
        out.push_str(&format!("not known  {}\n", shown(line)));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    if let Some(changes) = &review.changes {
        let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
        let (opens, closes) = (count(ChangeKind::Opened), count(ChangeKind::Closed));
        out.push_str(&format!("this change opens {opens} and closes {closes}\n"));
    }
    let counts: Vec<String> = review
        .counts()
        .iter()
        .map(|(severity, count)| format!("{count} {}", severity.as_str()))
        .collect();
    out.push_str(&format!("{}; {} accepted\n", counts.join(", "), review.accepted.len()));
    out.push_str("who reaches what: --format md, html or json\n");
    out
}

fn change(out: &mut String, change: &Change) {
    out.push_str(&format!("{} {}\n", change.kind.as_str(), shown(&change.subject)));
    let asked = [&change.caller, &change.request];
    let asked: Vec<String> =
        asked.into_iter().filter(|t| !t.is_empty()).map(|t| shown(t)).collect();
    let asked = if asked.is_empty() { String::new() } else { format!("{}: ", asked.join(", ")) };
    out.push_str(&format!("  {asked}{} → {}\n", shown(&change.before), shown(&change.after)));
}

fn finding(out: &mut String, finding: &Finding) {
    let place = finding.place.as_ref().map_or_else(String::new, |place| format!(", {place}"));
    out.push_str(&format!(
        "{} {} {}{}\n",
        finding.severity.as_str(),
        finding.id,
        shown(&finding.subject),
        shown(&place)
    ));
    for line in core::iter::once(&finding.text).chain(&finding.evidence) {
        out.push_str(&format!("  {}\n", shown(line)));
    }
    out.push_str(&format!("  → {}\n", finding.fix));
}

/// What is as grave as this, or graver, in a line; none where nothing is.
#[must_use]
pub fn at_least(review: &Review, severity: Severity) -> Option<String> {
    if !review.has_at_least(severity) {
        return None;
    }
    let counts = review.counts();
    let counted = counts.iter().filter(|(of, count)| *of <= severity && *count > 0);
    let counted: Vec<String> =
        counted.map(|(of, count)| format!("{count} {}", of.as_str())).collect();
    let grave = review.findings.iter().filter(|finding| finding.severity <= severity);
    let names = grave.map(|finding| format!("{} {}", finding.id, shown(&finding.subject)));
    Some(format!("{} ({})", counted.join(", "), few(&names.collect::<Vec<String>>())))
}

/// How much a change opens, in a line; none where it opens nothing.
#[must_use]
pub fn opened(review: &Review) -> Option<String> {
    if !review.opens() {
        return None;
    }
    let changes = review.changes.iter().flatten();
    let opened: Vec<&Change> = changes.filter(|c| c.kind == ChangeKind::Opened).collect();
    let mut subjects: Vec<String> = opened.iter().map(|change| shown(&change.subject)).collect();
    subjects.dedup();
    Some(format!("{} open ({})", opened.len(), few(&subjects)))
}

/// Names, and how many more there are.
fn few(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(FEW).map(String::as_str).collect();
    match names.len().saturating_sub(FEW) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Text of somebody else, of which a terminal obeys nothing.
fn shown(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        if is_hidden(c) {
            out.push_str(&format!("(U+{:04X})", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{NO_LIMIT, SAMPLE_KEY, UNPROTECTED_ROUTE};
    use super::super::model::Place;
    use super::*;

    fn review() -> Review {
        let place = Place { file: "gateway.yaml".to_owned(), line: 7 };
        let open = Finding::new(&UNPROTECTED_ROUTE, "routes.a\u{1b}[2J", "everybody may call it")
            .at(Some(place))
            .shown_by("GET https://a_b.test/ by nobody: forwarded to shop");
        let change = |kind: ChangeKind, subject: &str| Change {
            kind,
            subject: subject.to_owned(),
            caller: "nobody".to_owned(),
            request: "GET https://a.test/".to_owned(),
            before: "401 credential_missing".to_owned(),
            after: "forwarded to shop".to_owned(),
        };
        Review {
            findings: vec![open, Finding::new(&NO_LIMIT, "routes.b", "it has none")],
            unknown: vec!["something".to_owned()],
            changes: Some(vec![
                change(ChangeKind::Opened, "routes.a"),
                change(ChangeKind::Opened, "routes.b"),
                change(ChangeKind::Closed, "routes.c"),
            ]),
            ..Review::default()
        }
    }

    #[test]
    fn a_terminal_gets_plain_lines_and_the_counts() {
        let text = to_text(&review());
        let start = "opens routes.a\n  nobody, GET https://a.test/: 401 credential_missing → \
                     forwarded to shop\n";
        assert!(text.starts_with(start), "{text}");
        for expected in [
            "\nhigh PR101 routes.a(U+001B)[2J, gateway.yaml:7\n  everybody may call it\n  GET \
             https://a_b.test/ by nobody: forwarded to shop\n  → Ask for a credential",
            "\ninfo PR104 routes.b\n",
            "\nnot known  something\n",
            "\nthis change opens 2 and closes 1\n",
            "\n0 critical, 1 high, 0 medium, 0 low, 1 info; 0 accepted\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains(['\u{1b}', '|', '<', '\\']), "{text}");
    }

    #[test]
    fn what_fails_is_named_with_its_count() {
        let mut review = review();
        let high = "1 high (PR101 routes.a(U+001B)[2J)";
        assert_eq!(at_least(&review, Severity::High).as_deref(), Some(high));
        assert_eq!(at_least(&review, Severity::Critical), None);
        assert_eq!(opened(&review).as_deref(), Some("2 open (routes.a, routes.b)"));
        for name in ["k", "l", "m"] {
            review.findings.insert(0, Finding::new(&SAMPLE_KEY, name, "x"));
        }
        let all = "3 critical, 1 high (PR113 m, PR113 l, PR113 k and 1 more)";
        assert_eq!(at_least(&review, Severity::High).as_deref(), Some(all));
        review.changes = Some(Vec::new());
        assert_eq!(opened(&review), None);
    }
}
