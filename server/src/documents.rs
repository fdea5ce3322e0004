//! Reading a gateway document from a file or a folder.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use postern_document::{Document, Problem, Source};
use postern_files::MAX_FILES;

use crate::output;

/// What was read of a document's files.
pub struct Read {
    /// The document, or what is wrong with it.
    pub document: Result<Document, Vec<Problem>>,
    /// The files that it refers to.
    pub besides: Vec<PathBuf>,
}

/// Reads a document.
///
/// # Errors
/// When files cannot be read. Those that the document refers to are its own problems.
pub fn read(path: &Path) -> Result<Read> {
    let sources = sources(path)?;
    let base = if path.is_dir() { path } else { path.parent().unwrap_or_else(|| Path::new(".")) };
    let besides = RefCell::new(Vec::new());
    let read_file = |name: &str| {
        let file = base.join(name);
        let text = postern_files::read(&file).map_err(|error| match error.kind() {
            ErrorKind::Other => error.to_string(),
            kind => kind.to_string(),
        });
        besides.borrow_mut().push(file);
        text
    };
    let document = postern_document::load(&sources, &read_file);
    Ok(Read { document, besides: besides.into_inner() })
}

/// Loads a document.
///
/// # Errors
/// The outer one when files cannot be read; the inner one with every problem of the document.
pub fn load(path: &Path) -> Result<Result<Document, Vec<Problem>>> {
    Ok(read(path)?.document)
}

/// The texts of a file, or of the YAML files of a folder.
///
/// # Errors
/// When one cannot be read.
pub fn sources(path: &Path) -> Result<Vec<Source>> {
    let files = files_of(path)?;
    let mut sources = Vec::with_capacity(files.len());
    for file in &files {
        let text =
            postern_files::read(file).with_context(|| format!("cannot read {}", file.display()))?;
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

/// The YAML files of a folder in the order of their names, or the file itself.
fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    let files =
        postern_files::list(path).with_context(|| format!("cannot read {}", path.display()))?;
    if files.is_empty() {
        bail!("{} holds no YAML file; expected 1 to {MAX_FILES}", path.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_KEYS: &str = "version: 1
services: {s: {upstream: 'h:1'}}
credentials:
  jwt:
    issuers:
      - {issuer: 'https://i.test', audiences: [a], jwks: {file: keys.json}}
routes:
  - {name: a, match: {path: /a}, service: s, auth: {any: [jwt]}}
";

    #[test]
    fn files_that_a_document_refers_to_are_known_whether_they_are_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, OF_KEYS).unwrap();
        let keys = folder.path().join("keys.json");
        let missing = read(&file).unwrap();
        assert!(missing.document.is_err());
        assert_eq!(missing.besides, std::slice::from_ref(&keys));
        let jwks = include_str!("../../core/jose/tests/keys/jwks.json");
        std::fs::write(&keys, jwks).unwrap();
        let there = read(folder.path()).unwrap();
        assert!(there.document.is_ok());
        assert_eq!(there.besides, [keys]);
    }

    #[test]
    fn what_is_too_long_or_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, " ".repeat(postern_files::MAX_FILE_BYTES + 1)).unwrap();
        let problem = |path: &Path| format!("{:#}", read(path).err().unwrap());
        assert!(problem(&file).contains("at most"));
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(problem(folder.path()).contains("not a file"));
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, OF_KEYS).unwrap();
        std::fs::create_dir(folder.path().join("keys.json")).unwrap();
        let problems = read(&file).unwrap().document.err().unwrap();
        assert!(problems.iter().any(|problem| problem.to_string().contains("not a file")));
    }
}
