//! `postern check` and `postern schema`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::cli::Check;
use crate::{documents, output};

/// Prints every problem; exit code 1 when there is one.
///
/// # Errors
/// When a file cannot be read, or the answer not be written.
pub fn run(arguments: &Check) -> Result<ExitCode> {
    match documents::load(&arguments.document)? {
        Ok(document) => {
            if arguments.json {
                let answer = json!({"ok": true, "digest": document.digest, "problems": []});
                output::line(answer.to_string())?;
            } else {
                output::line(format!(
                    "ok: {}, {}, {}; digest {}",
                    output::count(document.routes.len(), "route"),
                    output::count(document.services.len(), "service"),
                    output::count(document.limits.len(), "limit"),
                    document.digest
                ))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            if arguments.json {
                let problems: Vec<_> = problems
                    .iter()
                    .map(|p| json!({"file": p.file, "line": p.line, "path": p.path, "message": p.message}))
                    .collect();
                output::line(json!({"ok": false, "problems": problems}).to_string())?;
            } else {
                for problem in &problems {
                    output::line(problem.to_string())?;
                }
                output::remark(output::count(problems.len(), "problem"));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints the JSON Schema.
///
/// # Errors
/// When it cannot be written.
pub fn schema() -> Result<ExitCode> {
    output::line(postern_document::json_schema())?;
    Ok(ExitCode::SUCCESS)
}
