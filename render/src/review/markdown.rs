//! A review for a pull request.

use super::model::{Change, ChangeKind, Finding, MeshRow, Review, Row};

/// What shows text in another order than it is written, or not at all, or as something else:
/// Unicode's controls, format characters (`Cf`), what is ignored where nobody knows it
/// (`Default_Ignorable_Code_Point`), what writes in the other direction (`Bidi_Control`), and blanks
/// that are no space.
pub(super) fn is_hidden(c: char) -> bool {
    let is_blank = c != ' ' && (c.is_whitespace() || c == '\u{2800}');
    c.is_control() || is_blank || HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// `Cf` and `Default_Ignorable_Code_Point` of Unicode 16, which hold all of `Bidi_Control`.
const HIDDEN: [(char, char); 26] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    // Not assigned, so that nobody knows what it will be shown as.
    ('\u{fdd0}', '\u{fdef}'),
];

/// A review as Markdown.
#[must_use]
pub fn to_markdown(review: &Review) -> String {
    let mut out = format!("# Access review\n\nDocument {}.\n", text(&review.digest));
    summary(&mut out, review);
    if let Some(changes) = &review.changes {
        self::changes(&mut out, changes);
    }
    findings(&mut out, &review.findings);
    matrix(&mut out, &review.rows);
    mesh(&mut out, &review.mesh);
    accepted(&mut out, &review.accepted);
    unknown(&mut out, &review.unknown);
    out
}

fn summary(out: &mut String, review: &Review) {
    out.push_str("\n| severity | findings |\n|---|---|\n");
    for (severity, count) in review.counts() {
        row(out, &[severity.as_str().to_owned(), count.to_string()]);
    }
}

fn changes(out: &mut String, changes: &[Change]) {
    let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
    let (opens, closes) = (count(ChangeKind::Opened), count(ChangeKind::Closed));
    out.push_str(&format!("\n## What this change opens ({opens}) and closes ({closes})\n\n"));
    if changes.is_empty() {
        out.push_str("Nothing differs.\n");
        return;
    }
    out.push_str("| | what | who | request | before | after |\n|---|---|---|---|---|---|\n");
    for change in changes {
        let kind = match change.kind {
            ChangeKind::Opened => "**opens**",
            ChangeKind::Closed | ChangeKind::Changed => change.kind.as_str(),
        };
        let cells =
            [&change.subject, &change.caller, &change.request, &change.before, &change.after];
        let mut all = vec![kind.to_owned()];
        all.extend(cells.map(|cell| text(cell)));
        row(out, &all);
    }
}

fn findings(out: &mut String, findings: &[Finding]) {
    out.push_str("\n## Findings\n\n");
    if findings.is_empty() {
        out.push_str("None.\n");
        return;
    }
    out.push_str("| severity | id | what | where |\n|---|---|---|---|\n");
    for finding in findings {
        let place = finding.place.as_ref().map_or_else(String::new, ToString::to_string);
        let mut what = format!("{}: {}", text(&finding.subject), text(&finding.text));
        for line in &finding.evidence {
            what.push_str("<br>");
            what.push_str(&text(line));
        }
        what.push_str("<br>→ ");
        what.push_str(&text(finding.fix));
        let id = format!("{} {}", finding.id, finding.name);
        row(out, &[finding.severity.as_str().to_owned(), id, what, text(&place)]);
    }
}

fn matrix(out: &mut String, rows: &[Row]) {
    out.push_str("\n## Who reaches what\n\n");
    row(out, &TITLES.map(str::to_owned));
    row(out, &TITLES.map(|_| "---".to_owned()));
    for one in rows {
        row(out, &cells(one).map(|lines| joined(&lines)));
    }
}

/// The columns of the matrix.
pub(super) const TITLES: [&str; 12] = [
    "route",
    "method",
    "host",
    "path",
    "service",
    "credential",
    "scopes and rules",
    "principals",
    "limits",
    "circuit",
    "when something fails",
    "notes",
];

/// What stands in them, by lines.
pub(super) fn cells(row: &Row) -> [Vec<String>; 12] {
    let all =
        |list: &[String]| if list.is_empty() { vec!["all".to_owned()] } else { list.to_vec() };
    let mut principals: Vec<String> = row.peers.iter().map(|peer| format!("peer {peer}")).collect();
    principals.extend(row.principals.iter().cloned());
    let failing = |(part, answer): &(String, String)| format!("{part}: {answer}");
    let answered = row.answers.iter().map(|one| format!("{}: {}", one.caller, one.answer));
    let mut notes = row.notes.clone();
    if row.guarded_by != "edge" {
        notes.push(format!("held at {}", row.guarded_by));
    }
    notes.extend(answered);
    [
        vec![row.route.clone()],
        all(&row.methods),
        all(&row.hosts),
        vec![row.path.clone()],
        vec![row.service.clone()],
        row.credentials.clone(),
        row.rules.clone(),
        principals,
        row.limits.clone(),
        row.circuit.iter().cloned().collect(),
        row.failures.iter().map(failing).collect(),
        notes,
    ]
}

fn mesh(out: &mut String, rows: &[MeshRow]) {
    if rows.is_empty() {
        return;
    }
    out.push_str("\n## What the mesh lets through\n\n");
    out.push_str("| workload | port | mutual TLS | policies | who gets through |\n");
    out.push_str("|---|---|---|---|---|\n");
    for one in rows {
        row(out, &mesh_cells(one).map(|lines| joined(&lines)));
    }
}

/// What stands in a row of the mesh, by lines.
pub(super) fn mesh_cells(row: &MeshRow) -> [Vec<String>; 5] {
    let port = row.port.map_or_else(|| "not known".to_owned(), |port| port.to_string());
    let reach = |(who, what): &(String, String)| format!("{who}: {what}");
    [
        vec![row.workload.clone()],
        vec![format!("{port} {}", row.protocol)],
        vec![row.mtls.clone()],
        row.policies.clone(),
        row.reach.iter().map(reach).collect(),
    ]
}

fn accepted(out: &mut String, accepted: &[(Finding, String)]) {
    if accepted.is_empty() {
        return;
    }
    out.push_str("\n## Accepted\n\n| id | what | because |\n|---|---|---|\n");
    for (finding, because) in accepted {
        let id = format!("{} {}", finding.id, finding.name);
        let what = format!("{}: {}", text(&finding.subject), text(&finding.text));
        row(out, &[id, what, text(because)]);
    }
}

fn unknown(out: &mut String, unknown: &[String]) {
    if unknown.is_empty() {
        return;
    }
    out.push_str("\n## Not known\n\n");
    for line in unknown {
        out.push_str(&format!("- {}\n", text(line)));
    }
}

fn row(out: &mut String, cells: &[String]) {
    out.push_str("| ");
    out.push_str(&cells.join(" | "));
    out.push_str(" |\n");
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| text(line)).collect::<Vec<String>>().join("<br>")
}

/// Text of somebody else, so that it is nothing but text in a cell of a table.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut before = String::new();
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // What is shown is looked through again for names to tell, for issues and for
            // formulas: an escape does not keep them from being found, a tag in between does.
            '@' | '#' | '$' => alone(&mut out, c),
            ':' if rest.as_str().starts_with("//") || before.eq_ignore_ascii_case("mailto") => {
                alone(&mut out, c);
            }
            '.' if before.eq_ignore_ascii_case("www") => alone(&mut out, c),
            c if is_hidden(c) => out.push_str(&format!("(U+{:04X})", u32::from(c))),
            c => out.push(c),
        }
        // The word so far: what a link begins with.
        if c.is_ascii_alphabetic() {
            before.push(c);
        } else {
            before.clear();
        }
    }
    out
}

/// A character that belongs to none of its neighbours, and looks as if it did.
fn alone(out: &mut String, c: char) {
    out.push_str("<span>");
    out.push(c);
    out.push_str("</span>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_nothing_but_text() {
        for (raw, expected) in [
            ("a|b", "a\\|b"),
            ("<script>", "&lt;script&gt;"),
            ("![x](y)", "\\!\\[x\\](y)"),
            ("a\n| b", "a(U+000A)\\| b"),
            ("\u{202e}txt", "(U+202E)txt"),
            ("@team", "<span>@</span>team"),
            ("&lt;", "&amp;lt;"),
            ("https://a.test/b", "https<span>:</span>//a.test/b"),
            ("xHTTP://a", "xHTTP<span>:</span>//a"),
            ("(www.a.test", "(www<span>.</span>a.test"),
            ("WWW.a.test", "WWW<span>.</span>a.test"),
            ("mailto:a@b.test", "mailto<span>:</span>a<span>@</span>b.test"),
            ("$\\href{x}$", "<span>$</span>\\\\href{x}<span>$</span>"),
            ("a/b#12", "a/b<span>#</span>12"),
        ] {
            assert_eq!(text(raw), expected);
        }
    }

    #[test]
    fn usual_text_stays_as_it_is() {
        for usual in ["GET /a/b?c=d", "10/1m by ip, local", "shop:8080", "a. b: c", "awww. so"] {
            assert_eq!(text(usual), usual);
        }
        assert_eq!(text("Grüße, 世界"), "Grüße, 世界");
    }

    #[test]
    fn what_nobody_sees_is_shown_by_its_number() {
        for hidden in [
            '\u{61c}',
            '\u{ad}',
            '\u{180e}',
            '\u{115f}',
            '\u{fe0f}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{0}',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{2003}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0100}',
            '\u{1d173}',
        ] {
            let number = format!("(U+{:04X})", u32::from(hidden));
            assert_eq!(text(&format!("a{hidden}b")), format!("a{number}b"));
        }
        for seen in ['a', ' ', '\u{e9}', '\u{301}', '\u{661}', '\u{4e16}', '\u{1f600}'] {
            assert!(!is_hidden(seen), "{seen}");
        }
        assert!(HIDDEN.iter().all(|(first, last)| first <= last));
    }
}
