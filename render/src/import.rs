//! From a mesh's own policies to a gateway document.
//!
//! Istio's RequestAuthentication and AuthorizationPolicy, VirtualServices with the Services and
//! Deployments behind them, and the configuration of envoyproxy/ratelimit become one document that
//! passes `postern check`, and a list of everything that could not be carried over.
//!
//! What cannot be said exactly is said more narrowly, or left out: a request that the document
//! sends on to a service is one that the policies for this service let in. That is why ALLOW rules
//! become less, DENY rules more, and why what DENY takes out of the middle becomes a route that
//! nobody can meet.
//!
//! Deliberately absent: reading files, asking a cluster, PeerAuthentication (it stays in the mesh
//! as it is), and how a token has to be spelled in its header, which is the document's own.

mod ask;
mod auth;
mod build;
mod cell;
mod host;
mod inventory;
mod layer;
mod method;
mod node;
mod order;
mod path;
mod place;
mod rate_limit;
mod report;
mod settle;
mod star;
mod target;
#[cfg(test)]
mod tests;
mod tokens;
mod virtual_service;
mod write;

use postern_document::yaml::Problems;
use postern_document::{Problem, Source, load};
use postern_policies::Resources;

use crate::yaml::to_yaml_in_order;
use inventory::Inventory;
use layer::{World, origin_of};
use report::{Origin, Report};
use tokens::Known;

pub use report::{Fate, Remark};

/// What the files do not say of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// `trustDomain`: whose certificates callers have.
    pub trust_domain: String,
    /// `rootNamespace`: policies there are for workloads everywhere.
    pub root_namespace: String,
}

impl Default for ImportOptions {
    /// As Istio is installed.
    fn default() -> Self {
        Self { trust_domain: "cluster.local".to_owned(), root_namespace: "istio-system".to_owned() }
    }
}

/// What was made of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The document; none where not one route could be carried over.
    pub document: Option<String>,
    /// Everything to know, by file and line.
    pub remarks: Vec<Remark>,
}

impl Import {
    /// Whether everything was carried over, and nothing has to be filled in.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.document.is_some() && self.remarks.iter().all(|remark| remark.fate == Fate::Noted)
    }
}

/// Why nothing was made of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The files hold what Istio, envoyproxy/ratelimit or YAML do not allow: theirs to mend.
    #[error("{}", lines("the files have problems", .0))]
    Unreadable(Vec<Problem>),
    /// The document that was made has problems: names or values of the files that no document may
    /// have.
    #[error("{}", lines("what was made of the files would not pass `postern check`", .0))]
    Refused(Vec<Problem>),
}

fn lines(what: &str, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("{what}:\n{}", lines.join("\n"))
}

const HEAD: &str =
    "# Written by `postern import` from policies of a mesh. Read its list before you use this:
# it says what is not in here, and what has to be filled in.
";

/// Makes a document of a mesh's files.
///
/// # Errors
/// When a file cannot be read in full, or the document would not pass its check.
pub fn import(sources: &[Source], options: &ImportOptions) -> Result<Import, ImportError> {
    let mut report = Report::default();
    let mut problems = Problems::new(sources.iter().map(|source| source.name.clone()).collect());
    let inventory = Inventory::read(sources, &mut problems, &mut report);
    let resources = readable(problems.into_sorted(), Resources::load(&inventory.resources))?;
    let limits = rate_limit::read(&inventory.rate_limits, &mut report);
    let limits = limits.map_err(ImportError::Unreadable)?;
    remark_on(&resources, &mut report);
    let known = Known::read(&resources, &mut report);
    let world = World {
        resources: &resources,
        known: &known,
        root_namespace: &options.root_namespace,
        trust_domain: &options.trust_domain,
    };
    let targets = target::find(&world, &inventory, &mut report);
    let built = build::build(&world, &inventory, &targets, &mut report);
    let settling = settle::Settling {
        targets: &targets,
        can_close: !known.is_empty(),
        is_writable: &|auth| write::Parts::is_writable(&known, auth),
    };
    let cells = settling.settle(built.cells, &mut report);
    let lets_in = cells.iter().any(|cell| cell.access != cell::Access::Closed);
    let document = lets_in.then(|| {
        let parts = write::Parts {
            cells: &cells,
            targets: &targets,
            ports: &built.ports,
            known: &known,
            limits: &limits,
            trust_domain: &options.trust_domain,
            root_namespace: &options.root_namespace,
        };
        let document = parts.document(&mut report);
        format!("{HEAD}{}", to_yaml_in_order(&document, order::MEMBERS))
    });
    if let Some(text) = &document {
        let source = Source { name: "the document".to_owned(), text: text.clone() };
        let read_file = |_: &str| -> Result<String, String> { Err("no file is read".to_owned()) };
        load(&[source], &read_file).map_err(ImportError::Refused)?;
    }
    Ok(Import { document, remarks: report.into_remarks() })
}

/// The policies, if nothing is wrong with any file. What is no YAML is told by both.
fn readable(
    mut problems: Vec<Problem>,
    read: Result<Resources, Vec<Problem>>,
) -> Result<Resources, ImportError> {
    match read {
        Ok(resources) if problems.is_empty() => return Ok(resources),
        Ok(_) => {}
        Err(found) => {
            let new: Vec<Problem> =
                found.into_iter().filter(|problem| !problems.contains(problem)).collect();
            problems.extend(new);
        }
    }
    Err(ImportError::Unreadable(problems))
}

/// What holds whatever the document says, and what policies may mean otherwise than they read.
fn remark_on(resources: &Resources, report: &mut Report) {
    for peer in resources.peer() {
        let why = "mutual TLS is the mesh's own, and stays as it is there";
        report.note(&origin_of("PeerAuthentication", &peer.meta), why, "keep it");
    }
    for Problem { file, line, path, message } in resources.warnings() {
        let origin = Origin {
            file: file.clone(),
            line: *line,
            subject: "policy".to_owned(),
            field: path.clone(),
        };
        report.note(&origin, message, "look at what is meant");
    }
}
