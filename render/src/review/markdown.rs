//! A review for a pull request.

use super::model::{Change, ChangeKind, Finding, MeshRow, Review, Row};

/// What shows text in another order than it is written, or not at all.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

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
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // Somebody with this name would be told of the pull request.
            '@' => out.push_str("&#64;"),
            c if is_hidden(c) => out.push_str(&format!("(U+{:04X})", u32::from(c))),
            c => out.push(c),
        }
    }
    out
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
            ("@team", "&#64;team"),
            ("&lt;", "&amp;lt;"),
        ] {
            assert_eq!(text(raw), expected);
        }
    }
}
