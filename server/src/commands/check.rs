//! `postern check` and `postern schema`.

use std::process::ExitCode;

use anyhow::Result;
use postern_document::Problem;
use serde_json::{Value, json};

use crate::cli::Check;
use crate::{documents, output};

/// Prints every problem; exit code 1 when there is one. Of a document without any, what is hardly
/// meant is noted beside the answer.
///
/// # Errors
/// When a file cannot be read, or the answer not be written.
pub fn run(arguments: &Check) -> Result<ExitCode> {
    match documents::load(&arguments.document)? {
        Ok(document) => {
            let notes = document.notes();
            if arguments.json {
                let notes = listed(&notes);
                let answer =
                    json!({"ok": true, "digest": document.digest, "problems": [], "notes": notes});
                output::line(answer.to_string())?;
            } else {
                output::line(format!(
                    "ok: {}, {}, {}; digest {}",
                    output::count(document.routes.len(), "route"),
                    output::count(document.services.len(), "service"),
                    output::count(document.limits.len(), "limit"),
                    document.digest
                ))?;
                for note in notes {
                    output::remark(format!("note: {note}"));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            if arguments.json {
                let answer = json!({"ok": false, "problems": listed(&problems)});
                output::line(answer.to_string())?;
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

fn listed(problems: &[Problem]) -> Vec<Value> {
    let of =
        |p: &Problem| json!({"file": p.file, "line": p.line, "path": p.path, "message": p.message});
    problems.iter().map(of).collect()
}

/// Prints the JSON Schema.
///
/// # Errors
/// When it cannot be written.
pub fn schema() -> Result<ExitCode> {
    output::line(postern_document::json_schema())?;
    Ok(ExitCode::SUCCESS)
}
