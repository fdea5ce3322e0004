//! A review as one file for a browser: no script, nothing from elsewhere, and a policy that
//! forbids both should a text ever get past the escaping.

use super::markdown::{TITLES, cells, is_hidden, mesh_cells};
use super::model::{Change, Finding, Review, Severity};

/// The one style sheet.
const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}\
table{border-collapse:collapse;margin:1rem 0;width:100%}\
th,td{border:1px solid #c9d1d9;padding:.35rem .5rem;text-align:left;vertical-align:top}\
thead th{position:sticky;top:0;background:#f0f3f6}\
td div+div{margin-top:.2rem}\
tr.critical td:first-child{background:#ffc9c9}\
tr.high td:first-child{background:#ffe0c2}\
tr.medium td:first-child{background:#fff3bf}\
tr.opens td:first-child{background:#ffc9c9;font-weight:bold}\
tbody:target{outline:3px solid #4c6ef5}\
nav a{margin-right:1rem}\
.fix{color:#495057}\
@media print{thead th{position:static}details{display:block}nav{display:none}}\
";

/// SHA-256 of [`STYLE`], as the policy names it; a test works it out.
const STYLE_HASH: &str = "sha256-+h466g04urSSxbid7cR1FtynIZcEOWkpbzYBdGhO7MY=";

/// A review as HTML.
#[must_use]
pub fn to_html(review: &Review) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Access review</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Access review</h1>\n<p>Document <code>{}</code></p>\n",
        text(&review.digest)
    );
    summary(&mut out, review);
    if let Some(changes) = &review.changes {
        self::changes(&mut out, changes);
    }
    findings(&mut out, &review.findings);
    out.push_str("<h2>Who reaches what</h2>\n");
    table(&mut out, &TITLES, review.rows.iter().map(|row| cells(row).to_vec()));
    if !review.mesh.is_empty() {
        out.push_str("<h2>What the mesh lets through</h2>\n");
        let titles = ["workload", "port", "mutual TLS", "policies", "who gets through"];
        table(&mut out, &titles, review.mesh.iter().map(|row| mesh_cells(row).to_vec()));
    }
    if !review.accepted.is_empty() {
        out.push_str("<h2>Accepted</h2>\n");
        let rows = review.accepted.iter().map(|(finding, because)| {
            let id = format!("{} {}", finding.id, finding.name);
            let what = format!("{}: {}", finding.subject, finding.text);
            vec![vec![id], vec![what], vec![because.clone()]]
        });
        table(&mut out, &["id", "what", "because"], rows);
    }
    if !review.unknown.is_empty() {
        out.push_str("<h2>Not known</h2>\n<ul>\n");
        for line in &review.unknown {
            out.push_str(&format!("<li>{}</li>\n", text(line)));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn summary(out: &mut String, review: &Review) {
    out.push_str("<nav>");
    for (severity, count) in review.counts() {
        let word = severity.as_str();
        if count == 0 {
            out.push_str(&format!("<span>{word}: 0</span> "));
        } else {
            out.push_str(&format!("<a href=\"#{word}\">{word}: {count}</a> "));
        }
    }
    out.push_str("</nav>\n");
}

fn changes(out: &mut String, changes: &[Change]) {
    out.push_str("<h2>What this change opens and closes</h2>\n");
    if changes.is_empty() {
        out.push_str("<p>Nothing differs.</p>\n");
        return;
    }
    head(out, &["", "what", "who", "request", "before", "after"]);
    out.push_str("<tbody>\n");
    for change in changes {
        let kind = change.kind.as_str();
        out.push_str(&format!("<tr class=\"{kind}\">"));
        let cells =
            [kind, &change.subject, &change.caller, &change.request, &change.before, &change.after];
        for cell in cells {
            out.push_str(&format!("<td>{}</td>", text(cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn findings(out: &mut String, findings: &[Finding]) {
    out.push_str("<h2>Findings</h2>\n");
    if findings.is_empty() {
        out.push_str("<p>None.</p>\n");
        return;
    }
    head(out, &["severity", "id", "what", "where"]);
    for severity in Severity::ALL {
        let word = severity.as_str();
        let mut of_it = findings.iter().filter(|one| one.severity == severity).peekable();
        if of_it.peek().is_none() {
            continue;
        }
        out.push_str(&format!("<tbody id=\"{word}\">\n"));
        for finding in of_it {
            out.push_str(&format!("<tr class=\"{word}\"><td>{word}</td>"));
            out.push_str(&format!("<td>{} {}</td>", finding.id, finding.name));
            out.push_str(&format!(
                "<td><div><b>{}</b>: {}</div>",
                text(&finding.subject),
                text(&finding.text)
            ));
            if !finding.evidence.is_empty() {
                out.push_str("<details><summary>shown by</summary>");
                for line in &finding.evidence {
                    out.push_str(&format!("<div><code>{}</code></div>", text(line)));
                }
                out.push_str("</details>");
            }
            out.push_str(&format!("<div class=\"fix\">{}</div></td>", text(finding.fix)));
            let place = finding.place.as_ref().map_or_else(String::new, ToString::to_string);
            out.push_str(&format!("<td>{}</td></tr>\n", text(&place)));
        }
        out.push_str("</tbody>\n");
    }
    out.push_str("</table>\n");
}

/// A table; the first cell of each row names it.
fn table(out: &mut String, titles: &[&str], rows: impl Iterator<Item = Vec<Vec<String>>>) {
    head(out, titles);
    out.push_str("<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (at, lines) in row.iter().enumerate() {
            let (open, close) =
                if at == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
            out.push_str(open);
            for line in lines {
                out.push_str(&format!("<div>{}</div>", text(line)));
            }
            out.push_str(close);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn head(out: &mut String, titles: &[&str]) {
    out.push_str("<table>\n<thead><tr>");
    for title in titles {
        out.push_str(&format!("<th scope=\"col\">{}</th>", text(title)));
    }
    out.push_str("</tr></thead>\n");
}

/// Text of somebody else, so that it is nothing but text wherever it stands.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) => out.push_str(&format!("(U+{:04X})", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use postern_jose::base64url;
    use sha2::{Digest as _, Sha256};

    use super::super::catalogue::UNPROTECTED_ROUTE;
    use super::*;

    #[test]
    fn the_policy_names_the_style_sheet() {
        let hash = base64url::encode(&Sha256::digest(STYLE.as_bytes()));
        let hash = hash.replace('-', "+").replace('_', "/");
        assert_eq!(STYLE_HASH, format!("sha256-{hash}="));
    }

    #[test]
    fn hostile_text_is_nothing_but_text() {
        let hostile = "</td><script>alert(1)</script>\" onload='x' ]]> \u{202e} \u{0} &lt; \
                       \u{61c}\u{ad}\u{180e}\u{115f}\u{fe0f}\u{fff9}\u{e0041}";
        let mut finding = Finding::new(&UNPROTECTED_ROUTE, hostile, hostile).shown_by(hostile);
        finding.place = Some(super::super::Place { file: hostile.to_owned(), line: 3 });
        let review = Review {
            digest: hostile.to_owned(),
            findings: vec![finding],
            unknown: vec![hostile.to_owned()],
            ..Review::default()
        };
        let page = to_html(&review);
        for bad in ["<script", "onload='", "\" onload", "\u{202e}", "\u{0}"] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(!page.chars().any(|c| c != '\n' && is_hidden(c)));
        // What is ours stays: one style sheet, and tags that are all closed again.
        assert_eq!(page.matches("<style>").count(), 1);
        for tag in ["table", "tbody", "tr", "td", "details", "div", "code", "b"] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn nothing_is_fetched_and_nothing_runs() {
        let page = to_html(&Review::default());
        for bad in ["<script", "src=", "http://", "https://", "<link", "<img", "style=\""] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}
