//! `postern check` and `postern schema`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::cli::Check;
use crate::{documents, output};

/// Prints every problem; exit code 1 when there is one.
///
/// # Errors
/// When a file cannot be read.
pub fn run(arguments: &Check) -> Result<ExitCode> {
    match documents::load(&arguments.document)? {
        Ok(document) => {
            if arguments.json {
                let answer = json!({"ok": true, "digest": document.digest, "problems": []});
                output::line(answer.to_string());
            } else {
                output::line(format!(
                    "ok: {} routes, {} services, {} limits; digest {}",
                    document.routes.len(),
                    document.services.len(),
                    document.limits.len(),
                    document.digest
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            if arguments.json {
                let problems: Vec<_> = problems
                    .iter()
                    .map(|p| json!({"file": p.file, "line": p.line, "path": p.path, "message": p.message}))
                    .collect();
                output::line(json!({"ok": false, "problems": problems}).to_string());
            } else {
                for problem in &problems {
                    output::line(problem.to_string());
                }
                let (count, noun) =
                    (problems.len(), if problems.len() == 1 { "problem" } else { "problems" });
                output::remark(format!("{count} {noun}"));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints the JSON Schema.
///
/// # Errors
/// Never.
pub fn schema() -> Result<ExitCode> {
    output::line(postern_document::json_schema());
    Ok(ExitCode::SUCCESS)
}
