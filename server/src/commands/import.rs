//! `postern import`.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use postern_document::Source;
use postern_render::import::{Fate, ImportOptions, Remark, import};
use serde_json::{Value, json};

use super::review::manifests;
use crate::cli::Import;
use crate::output;

/// The exit code for what is not whole; clap itself ends with 2 when the command line is wrong.
const NOT_WHOLE: u8 = 3;

/// Makes a document of a mesh's files, and lists what is not in it.
///
/// The document goes to a file or to standard output. The list goes to standard output where the
/// document does not, else beside it to standard error.
///
/// # Errors
/// When a file cannot be read or written, or has problems.
pub fn run(arguments: &Import) -> Result<ExitCode> {
    let mut sources: Vec<Source> = Vec::new();
    for path in &arguments.files {
        sources.extend(manifests::read(path)?);
    }
    let options = ImportOptions {
        trust_domain: arguments.trust_domain.clone(),
        root_namespace: arguments.root_namespace.clone(),
    };
    let imported = import(&sources, &options)?;
    if let (Some(file), Some(text)) = (&arguments.out, &imported.document) {
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if arguments.json {
        let remarks: Vec<Value> = imported.remarks.iter().map(to_json).collect();
        let answer = json!({
            "whole": imported.is_whole(),
            "document": imported.document,
            "remarks": remarks,
        });
        output::line(answer.to_string())?;
    } else {
        tell(arguments, imported.document.as_deref(), &imported.remarks)?;
    }
    if imported.document.is_none() {
        // A document without routes is none, and nothing was written.
        output::remark("no route could be carried over");
        return Ok(ExitCode::FAILURE);
    }
    if arguments.strict && !imported.is_whole() {
        return Ok(ExitCode::from(NOT_WHOLE));
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(arguments: &Import, document: Option<&str>, remarks: &[Remark]) -> Result<()> {
    let is_apart = arguments.out.is_some() || document.is_none();
    for remark in remarks {
        if is_apart {
            output::line(remark.to_string())?;
        } else {
            output::remark(remark.to_string());
        }
    }
    match (&arguments.out, document) {
        (Some(file), Some(_)) => output::remark(format!("wrote {}", file.display())),
        (None, Some(text)) => output::bytes(text.as_bytes())?,
        (_, None) => {}
    }
    let counted = [Fate::LeftOut, Fate::Narrowed, Fate::FillIn, Fate::Noted].map(|fate| {
        let count = remarks.iter().filter(|remark| remark.fate == fate).count();
        format!("{count} {}", words(fate, count))
    });
    output::remark(counted.join(", "));
    Ok(())
}

/// How a number of remarks is called.
const fn words(fate: Fate, count: usize) -> &'static str {
    match (fate, count) {
        (Fate::FillIn, _) => "to fill in",
        (Fate::Noted, 1) => "note",
        (Fate::Noted, _) => "notes",
        (Fate::LeftOut | Fate::Narrowed, _) => fate.as_str(),
    }
}

fn to_json(remark: &Remark) -> Value {
    let Remark { file, line, subject, field, fate, why, advice } = remark;
    json!({
        "file": file,
        "line": line,
        "subject": subject,
        "field": field,
        "fate": fate.as_str(),
        "why": why,
        "advice": advice,
    })
}
