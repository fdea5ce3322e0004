//! A report as JUnit writes it, for what shows test results.

use std::fmt::Write as _;

use super::run::{CaseReport, Report};

impl Report {
    /// One `testsuite` a file, one `testcase` a case.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (cases, failed) = (self.cases(), self.failed());
        line(&mut out, &format!("<testsuites tests=\"{cases}\" failures=\"{failed}\">"));
        for file in &self.files {
            let (name, cases, failed) = (escaped(&file.name), file.cases.len(), file.failed());
            let suite = format!(
                "  <testsuite name=\"{name}\" tests=\"{cases}\" failures=\"{failed}\" errors=\"0\">"
            );
            line(&mut out, &suite);
            for case in &file.cases {
                write_case(&mut out, &name, case);
            }
            line(&mut out, "  </testsuite>");
        }
        line(&mut out, "</testsuites>");
        out
    }
}

fn write_case(out: &mut String, file: &str, case: &CaseReport) {
    let (name, at) = (escaped(&case.name), case.line);
    let head =
        format!("    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{at}\"");
    if case.has_passed() {
        line(out, &format!("{head}/>"));
        return;
    }
    line(out, &format!("{head}>"));
    let differs: Vec<&str> = case.mismatches.iter().map(|one| one.what.as_str()).collect();
    line(out, &format!("      <failure message=\"{}\">", escaped(&differs.join(", "))));
    for one in &case.mismatches {
        let text = format!("{}: expected {}, found {}", one.what, one.expected, one.found);
        line(out, &escaped(&text));
    }
    line(out, "      </failure>");
    line(out, "    </testcase>");
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// What can stand in an attribute and in text. XML 1.0 has no way to write most control
/// characters, so they are shown by their numbers.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for found in text.chars() {
        match found {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            found if found.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(found));
            }
            found => out.push(found),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_ends_an_attribute() {
        assert_eq!(escaped("a<b>&\"c\"'d'"), "a&lt;b&gt;&amp;&quot;c&quot;&apos;d&apos;");
        assert_eq!(escaped("a\u{1}\nb\u{ffff}"), "a\\u{1}\\u{a}b\u{fffd}");
    }
}
