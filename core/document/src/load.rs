//! From texts to a checked document.

use postern_request::json::{self, Value};

use crate::check;
use crate::decode::Decode as _;
#[cfg(feature = "messages")]
use crate::digest;
#[cfg(feature = "yaml")]
use crate::fragments::Fragments;
use crate::model::Document;
use crate::node::Node;
#[cfg(feature = "yaml")]
use crate::parts::Parts;
use crate::problem::told;
use crate::problem::{Position, Problem, Problems};
use crate::raw::RawDocument;

/// One text of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How problems name it, usually the file's path.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Loads a document from YAML: the main file (the one with `version`), and fragments (files with
/// `owner`) beside it.
///
/// `read_file` fetches what the document refers to (`jwks: {file: …}`); its error is reported
/// with the reference.
///
/// # Errors
/// Every problem of all texts, by file and line.
#[cfg(feature = "yaml")]
pub fn load(
    sources: &[Source],
    read_file: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Document, Vec<Problem>> {
    let names = sources.iter().map(|source| source.name.clone()).collect();
    let mut problems = Problems::new(names);
    let mut nodes = Vec::with_capacity(sources.len());
    for (file, source) in sources.iter().enumerate() {
        nodes.extend(crate::node::yaml::parse(&source.text, file, &mut problems));
    }
    let all_read = nodes.len() == sources.len();
    let parts = crate::parts::sort(nodes, all_read, &mut problems);
    let document = parts.main.as_ref().and_then(|node| RawDocument::decode(node, &mut problems));
    let fragments = Fragments::decode(&parts, &mut problems);
    let Some(mut document) = document else {
        if parts.main.is_none() && all_read {
            report_no_main(&parts, &mut problems);
        }
        return Err(problems.into_sorted());
    };
    let silent = silent_owners(&document, &fragments);
    fragments.join(&mut document, &mut problems);
    resolve_files(&mut document, read_file, &mut problems);
    let document = finish(document, None, problems)?;
    Ok(Document { silent_owners: silent, ..document })
}

#[cfg(feature = "yaml")]
fn report_no_main(parts: &Parts, problems: &mut Problems) {
    // Where there is no fragment either, what stands there instead was said.
    if parts.fragments.is_empty() && !problems.is_empty() {
        return;
    }
    let file = parts.fragments.first().map_or(0, |node| node.at.file);
    let message = match problems.files() {
        [_] => "a fragment alone: name the folder that it stands in beside the main file",
        _ => "no main file: one with `version` and `routes`",
    };
    problems.report(Position { file, line: 0 }, message);
}

/// Owners without a fragment: who checks the main file alone sees little of what they may say.
#[cfg(feature = "yaml")]
fn silent_owners(document: &RawDocument, fragments: &Fragments) -> Vec<String> {
    let names = document.owners.names().into_iter();
    names.filter(|name| !fragments.are_of(name)).map(str::to_owned).collect()
}

/// Loads what [`Document::to_json`] or [`Document::filter_config`] wrote.
///
/// # Errors
/// Every problem. Positions have no lines. Without the feature `messages` a digest that is missing
/// is one: working it out takes all that writes documents.
pub fn from_json(text: &[u8]) -> Result<Document, Vec<Problem>> {
    let mut problems = Problems::new(vec!["configuration".to_owned()]);
    let value = match json::parse(text) {
        Ok(value) => value,
        Err(error) => {
            problems.report(Position::default(), told!("{error}"));
            return Err(problems.into_sorted());
        }
    };
    // The filters' form wraps the document and says which whole one it was taken from.
    let (digest, value) = match (value.get("digest"), value.get("document")) {
        (Some(Value::String(digest)), Some(document)) => (Some(digest.clone()), document.clone()),
        _ => (None, value),
    };
    match RawDocument::decode(&Node::from_json(&value, 0), &mut problems) {
        Some(document) => finish(document, digest, problems),
        None => Err(problems.into_sorted()),
    }
}

fn finish(
    document: RawDocument,
    digest: Option<String>,
    mut problems: Problems,
) -> Result<Document, Vec<Problem>> {
    let is_whole = digest.is_none();
    #[cfg(feature = "messages")]
    let digest = digest.or_else(|| Some(digest::of(&canonical(&document))));
    let Some(digest) = digest else {
        problems.report(Position::default(), "the digest of the whole document is missing");
        return Err(problems.into_sorted());
    };
    let origin = check::Origin { digest, is_whole };
    match check::document(document, origin, &mut problems) {
        Some(document) if problems.is_empty() => Ok(document),
        _ => Err(problems.into_sorted()),
    }
}

#[cfg(feature = "messages")]
fn canonical(document: &RawDocument) -> String {
    document.encode().map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(feature = "messages")]
impl Document {
    /// The whole document as canonical JSON, its fragments joined and its files inlined.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical(&self.raw)
    }
}

/// Puts the content of key files in place of their names, so that the digest covers it.
#[cfg(feature = "yaml")]
fn resolve_files(
    document: &mut RawDocument,
    read_file: &dyn Fn(&str) -> Result<String, String>,
    problems: &mut Problems,
) {
    let Some(jwt) = document.credentials.as_mut().and_then(|c| c.jwt.as_mut()) else {
        return;
    };
    for jwks in jwt.issuers.iter_mut().filter_map(|issuer| issuer.jwks.as_mut()) {
        let Some(file) = jwks.file.clone() else {
            continue;
        };
        match read_file(&file.value) {
            Ok(text) => {
                jwks.inline = Some(crate::raw::At { value: text, at: file.at });
                jwks.file = None;
            }
            Err(error) => {
                problems.report(file.at, format!("cannot read `{}`: {error}", file.value));
            }
        }
    }
}
