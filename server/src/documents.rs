//! Reading a gateway document from a file or a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use postern_document::{Document, Problem, Source};

use crate::output;

const MAX_FILES: usize = 1000;

/// Loads a document.
///
/// # Errors
/// The outer one when files cannot be read; the inner one with every problem of the document.
pub fn load(path: &Path) -> Result<Result<Document, Vec<Problem>>> {
    let sources = sources(path)?;
    let base = if path.is_dir() { path } else { path.parent().unwrap_or_else(|| Path::new(".")) };
    let read_file = |name: &str| {
        std::fs::read_to_string(base.join(name)).map_err(|error| error.kind().to_string())
    };
    Ok(postern_document::load(&sources, &read_file))
}

/// The texts of a file, or of the YAML files of a folder.
///
/// # Errors
/// When one cannot be read.
pub fn sources(path: &Path) -> Result<Vec<Source>> {
    let files = files_of(path)?;
    let mut sources = Vec::with_capacity(files.len());
    for file in &files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        sources.push(Source { name: file.display().to_string(), text });
    }
    Ok(sources)
}

/// Loads a document that must be without problems; they are in the error, one a line.
///
/// # Errors
/// When it cannot be read or has problems.
pub fn load_checked(path: &Path) -> Result<Document> {
    match load(path)? {
        Ok(document) => Ok(document),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let count = output::count(problems.len(), "problem");
            bail!("the document has {count}:\n{}", lines.join("\n"))
        }
    }
}

/// The YAML files of a folder in the order of their names, or the file itself. Hidden entries
/// are left out: Kubernetes mounts ConfigMaps with some.
fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let file = entry?.path();
        let is_yaml = file.extension().is_some_and(|e| e == "yaml" || e == "yml");
        let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if is_yaml && !hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() || files.len() > MAX_FILES {
        let count = output::count(files.len(), "YAML file");
        bail!("{} holds {count}; expected 1 to {MAX_FILES}", path.display());
    }
    Ok(files)
}
