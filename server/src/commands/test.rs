//! `postern test`.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_document::Document;
use postern_explain::cases::{self, CaseFile, Context, Report};
use postern_identity::AwsLcVerifier;

use crate::cli::Test;
use crate::{documents, output};

/// Explains every case and compares; exit code 1 when one is not as expected, or too few of the
/// rules were seen to decide.
///
/// # Errors
/// When document or cases have problems, or something cannot be read or written.
pub fn run(arguments: &Test) -> Result<ExitCode> {
    let document = documents::load_checked(&arguments.document)?;
    let files = read(arguments, &document)?;
    let report = cases::run(
        &document,
        &files,
        Context {
            verifier: &mut AwsLcVerifier::without_memory(),
            filter: arguments.filter.as_deref(),
        },
    );
    if report.cases() == 0 {
        // Nothing that was run is nothing that has passed.
        bail!("no case has `{}` in its name", arguments.filter.as_deref().unwrap_or_default());
    }
    if let Some(path) = &arguments.junit {
        let text = report.to_junit();
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        output::line(report.to_json())?;
    } else {
        output::bytes(report.to_text(arguments.coverage).as_bytes())?;
    }
    Ok(if is_good(arguments, &report) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether all is as expected; where too little was covered, that is said.
fn is_good(arguments: &Test, report: &Report) -> bool {
    let covered = report.coverage.percent();
    let too_few = arguments.min.filter(|least| covered < *least);
    if let Some(least) = too_few {
        output::remark(format!("the cases cover {covered} % of the rules; {least} % are wanted"));
    }
    too_few.is_none() && report.failed() == 0
}

/// All case files; their problems are in the error, one a line.
fn read(arguments: &Test, document: &Document) -> Result<Vec<CaseFile>> {
    let mut sources = Vec::new();
    for path in &arguments.cases {
        sources.extend(documents::sources(path)?);
    }
    match cases::read(document, &sources) {
        Ok(files) => Ok(files),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let count = output::count(problems.len(), "problem");
            bail!("the cases have {count}:\n{}", lines.join("\n"))
        }
    }
}
