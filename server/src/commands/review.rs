//! `postern review`.

pub(super) mod manifests;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_document::{Problem, Source};
use postern_render::review::{
    self, Accepted, Before, Input, Policies, Severity, read_accepted, to_html, to_json,
    to_markdown, to_text,
};
use postern_request::UnixMillis;

use crate::cli::{FailOn, Review, ReviewFormat};
use crate::{commands, documents, output};

/// The exit code for findings; clap itself ends with 2 when the command line is wrong.
const FOUND: u8 = 3;

/// Reviews a document: 0 where nothing is as grave as asked, 3 where something is.
///
/// # Errors
/// When a file cannot be read or written, or one of them has problems.
pub fn run(arguments: &Review) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let policies = arguments.policies.as_deref().map(read_policies).transpose()?;
    let accepted = match &arguments.accept {
        Some(file) => read_list(file)?,
        None => Vec::new(),
    };
    let options = arguments.mesh.options();
    let now = match &arguments.today {
        Some(day) => read_day(day)?,
        None => commands::now(),
    };
    let old = arguments.diff.as_deref().map(Old::read).transpose()?;
    if let (Some(Old::Review(_)), Some(_)) = (&old, &arguments.policies_old) {
        bail!("`--policies-old` belongs to an older document; a review has a mesh of its own");
    }
    let old_policies = arguments.policies_old.as_deref().map(read_policies).transpose()?;
    let input = Input {
        document: &document,
        policies: policies.as_ref(),
        options: &options,
        module_is_known: arguments.mesh.wasm_url.is_some(),
        normalization: arguments.normalization.as_deref(),
        accepted: &accepted,
        now,
        before: old.as_ref().map(|old| match old {
            Old::Document(document) => Before::Document(document, old_policies.as_ref()),
            Old::Review(text) => Before::Review(text),
        }),
    };
    let review = review::review(&input)?;
    let text = match format(arguments, output::is_looked_at()) {
        ReviewFormat::Text => to_text(&review),
        ReviewFormat::Md => to_markdown(&review),
        ReviewFormat::Html => to_html(&review),
        ReviewFormat::Json => to_json(&review),
    };
    match &arguments.out {
        Some(file) => {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
            output::remark(format!("wrote {}", file.display()));
        }
        None => output::bytes(text.as_bytes())?,
    }
    Ok(judged(arguments, &review))
}

/// How a review is written where nobody says so: for who looks at it, or for a pull request.
fn format(arguments: &Review, is_looked_at: bool) -> ReviewFormat {
    let usual =
        if is_looked_at && arguments.out.is_none() { ReviewFormat::Text } else { ReviewFormat::Md };
    arguments.format.unwrap_or(usual)
}

/// The exit code, and why it is not 0.
fn judged(arguments: &Review, found: &review::Review) -> ExitCode {
    let mut why = Vec::new();
    if let Some(severity) = grave(arguments.fail_on)
        && let Some(told) = review::at_least(found, severity)
    {
        why.push(format!("{told}: exit code {FOUND} by --fail-on {}", severity.as_str()));
    }
    if arguments.fail_on_open
        && let Some(told) = review::opened(found)
    {
        why.push(format!("{told}: exit code {FOUND} by --fail-on-open"));
    }
    for line in &why {
        output::remark(line);
    }
    if why.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
}

const fn grave(fail_on: FailOn) -> Option<Severity> {
    match fail_on {
        FailOn::Critical => Some(Severity::Critical),
        FailOn::High => Some(Severity::High),
        FailOn::Medium => Some(Severity::Medium),
        FailOn::Low => Some(Severity::Low),
        FailOn::Never => None,
    }
}

/// What to compare with.
enum Old {
    Document(Box<postern_document::Document>),
    Review(String),
}

impl Old {
    fn read(path: &Path) -> Result<Self> {
        if path.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            return Ok(Self::Review(text));
        }
        let document = documents::load_checked(path).context("the older document")?;
        Ok(Self::Document(Box::new(document)))
    }
}

/// Reads the manifests of a mesh.
///
/// # Errors
/// When one cannot be read, or policies among them have problems.
pub fn read_policies(path: &Path) -> Result<Policies> {
    let sources = manifests::read(path)?;
    Policies::load(&sources).or_else(|problems| told("the policies have", &problems))
}

fn read_list(file: &Path) -> Result<Vec<Accepted>> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let source = Source { name: file.display().to_string(), text };
    read_accepted(&source).or_else(|problems| told("the accept list has", &problems))
}

fn told<T>(what: &str, problems: &[Problem]) -> Result<T> {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("{what} {}:\n{}", output::count(problems.len(), "problem"), lines.join("\n"))
}

/// The beginning of a day in UTC.
fn read_day(text: &str) -> Result<UnixMillis> {
    let mut parts = text.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let date = match (year.flatten(), month.flatten(), day.flatten(), parts.next()) {
        (Some(year @ 1970..=9999), Some(month @ 1..=12), Some(day @ 1..=31), None) => {
            UnixMillis(days(year, month, day) * 86_400_000)
        }
        _ => bail!("`{text}` is not a day such as 2026-01-31"),
    };
    // The 31st of a month that has 30 days would be the 1st of the next.
    if !date.to_rfc3339().starts_with(text) {
        bail!("`{text}` is not a day such as 2026-01-31");
    }
    Ok(date)
}

/// Days since 1970-01-01 of a Gregorian date, counted from a year that begins in March.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn whoever_looks_gets_text_and_everything_else_markdown() {
        let asked = |words: &[&str], is_looked_at: bool| {
            let all = ["postern", "review", "a.yaml"];
            match Cli::try_parse_from(all.iter().chain(words)).unwrap().command {
                Command::Review(arguments) => format(&arguments, is_looked_at),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(asked(&[], true), ReviewFormat::Text);
        assert_eq!(asked(&[], false), ReviewFormat::Md);
        assert_eq!(asked(&["--out", "b.md"], true), ReviewFormat::Md);
        assert_eq!(asked(&["--format", "html"], true), ReviewFormat::Html);
        assert_eq!(asked(&["--format", "text"], false), ReviewFormat::Text);
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        for text in ["1970-01-01", "2000-02-29", "2026-06-15", "2100-12-31"] {
            assert!(read_day(text).unwrap().to_rfc3339().starts_with(text), "{text}");
        }
        for bad in ["", "2026", "2026-02-30", "2026-13-01", "2026-06-15T00", "26-06-15", "a-b-c"] {
            assert!(read_day(bad).is_err(), "{bad}");
        }
    }
}
