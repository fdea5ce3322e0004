//! Documents that were applied to the durable store: the services of `postern config` and of the
//! admin API.
//!
//! A revision is checked as `postern check` does before it is there, and never changes afterwards:
//! to go back to one is to apply it once more. Servers find the newest by themselves.

mod changes;

use std::sync::Arc;

use postern_document::{Document, Problem, Source};
use postern_identity::audit_entry;
use postern_request::UnixMillis;
use postern_request::shown::is_one_line;
use postern_store::durable::{PageAsk, Paged, RevisionRecord, RevisionSummary};
use postern_store::{IdentityStore, StoreError};
use serde_json::Value;

pub use self::changes::Change;
use crate::fixed::{self, Given};

/// Longest document, in bytes of its canonical JSON. Every server reads all of it at once.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Longest reason, in characters.
pub const MAX_WHY: usize = 500;

/// Why the document of a mesh is not here.
pub const OF_MESH: &str = "`mesh`: the document of a mesh travels as rendered resources, with those \
                           of the platform, and servers read it from the same files: one or the \
                           other says what holds, never both";

/// Why nothing was applied, or nothing found.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The document has problems.
    #[error("{}", .0.join("\n"))]
    Document(Vec<String>),
    /// Servers would have to be started again.
    #[error("{}", .0.join("\n"))]
    Restart(Vec<String>),
    /// The reason is none.
    #[error("the reason must be 1 to {} characters on one line", MAX_WHY)]
    Why,
    /// There is no such revision.
    #[error("there is no revision {0}")]
    NoSuch(u64),
    /// Somebody else was faster.
    #[error("somebody else has applied a document this moment: look at it first")]
    Meanwhile,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How something is to be applied.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Why.
    pub why: &'a str,
    /// Also where servers have to be started again for it.
    pub restart: bool,
    /// Who says so.
    pub by: &'a str,
    /// When.
    pub now: UnixMillis,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The active revision.
    pub revision: RevisionSummary,
    /// Whether it was another one before.
    pub changed: bool,
    /// What servers that run take over only when they are started again.
    pub restart: Vec<String>,
}

/// Documents that were applied.
#[derive(Clone)]
pub struct Revisions {
    store: Arc<dyn IdentityStore>,
    given: Given,
}

impl Revisions {
    /// In a store. `given` is what is known of the servers' command lines.
    pub const fn new(store: Arc<dyn IdentityStore>, given: Given) -> Self {
        Self { store, given }
    }

    /// Applies a document.
    ///
    /// # Errors
    /// When it cannot be here, or servers had to be started again for it and nobody has said that
    /// they will be.
    pub async fn apply(
        &self,
        document: &Document,
        order: Order<'_>,
    ) -> Result<Applied, RevisionError> {
        self.add(document, order, "config.applied").await
    }

    /// Applies once more what was applied before.
    ///
    /// # Errors
    /// As with [`Revisions::apply`]; it is checked by this version's rules.
    pub async fn roll_back(&self, number: u64, order: Order<'_>) -> Result<Applied, RevisionError> {
        let record = self.find(number).await?;
        let document = read(&record.document).map_err(|problems| told(&problems))?;
        self.add(&document, order, "config.rolled_back").await
    }

    async fn add(
        &self,
        document: &Document,
        order: Order<'_>,
        action: &str,
    ) -> Result<Applied, RevisionError> {
        let why = order.why.trim();
        if !is_one_line(why, MAX_WHY) {
            return Err(RevisionError::Why);
        }
        let text = document.to_json();
        let problems = unfit(document, &text);
        if !problems.is_empty() {
            return Err(RevisionError::Document(problems));
        }
        let active = self.store.active_revision().await?;
        let mut restart = Vec::new();
        if let Some(active) = &active {
            if active.digest == document.digest {
                let revision = active.clone();
                return Ok(Applied { revision, changed: false, restart });
            }
            // One that this version cannot read is served by no server of this version.
            if let Ok(before) = read(&self.find(active.number).await?.document) {
                restart = fixed::problems(&before, document, self.given);
            }
        }
        if !restart.is_empty() && !order.restart {
            return Err(RevisionError::Restart(restart));
        }
        let number = active.map_or(0, |active| active.number).saturating_add(1);
        let summary = RevisionSummary {
            number,
            digest: document.digest.clone(),
            who: order.by.to_owned(),
            at: order.now,
            why: why.to_owned(),
            active: true,
        };
        let of_number = number.to_string();
        let detail = [("number", of_number.as_str())];
        let audit = audit_entry(order.now, order.by, action, &document.digest, &detail);
        let record = RevisionRecord { summary: summary.clone(), document: text };
        if !self.store.add_revision(record, &audit).await? {
            return Err(RevisionError::Meanwhile);
        }
        Ok(Applied { revision: summary, changed: true, restart })
    }

    /// A part of the list.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(&self, ask: PageAsk) -> Result<Paged<RevisionSummary>, RevisionError> {
        Ok(self.store.page_revisions(ask).await?)
    }

    /// The active one; none before the first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn active(&self) -> Result<Option<RevisionSummary>, RevisionError> {
        Ok(self.store.active_revision().await?)
    }

    /// A revision with its document.
    ///
    /// # Errors
    /// When there is none of this number.
    pub async fn find(&self, number: u64) -> Result<RevisionRecord, RevisionError> {
        let found = self.store.find_revision(number).await?;
        found.ok_or(RevisionError::NoSuch(number))
    }

    /// What changes from one to another.
    ///
    /// # Errors
    /// When one is not there.
    pub async fn changes(&self, from: u64, to: u64) -> Result<Vec<Change>, RevisionError> {
        let (before, after) = (self.find(from).await?, self.find(to).await?);
        Ok(changes::between(&value(&before)?, &value(&after)?))
    }
}

/// Reads a document from what was sent: one text in YAML, which JSON is, too. Files that it refers
/// to are not there.
///
/// # Errors
/// Every problem.
pub fn of_text(text: &str) -> Result<Document, RevisionError> {
    // Comments count for nothing once it is read.
    if text.len() > MAX_DOCUMENT_BYTES * 2 {
        return Err(RevisionError::Document(vec![too_long()]));
    }
    let source = Source { name: "document".to_owned(), text: text.to_owned() };
    let no_file = |_: &str| -> Result<String, String> {
        Err("files are read by `postern config apply` alone".to_owned())
    };
    postern_document::load(&[source], &no_file).map_err(|problems| told(&problems))
}

/// Why somebody goes back to a revision, where they do not say so.
pub fn way_back(number: u64) -> String {
    format!("back to revision {number}")
}

/// A document that was kept.
fn read(text: &str) -> Result<Document, Vec<Problem>> {
    postern_document::from_json(text.as_bytes())
}

fn told(problems: &[Problem]) -> RevisionError {
    RevisionError::Document(problems.iter().map(ToString::to_string).collect())
}

/// The document itself, of which nothing but JSON was ever kept.
fn value(record: &RevisionRecord) -> Result<Value, RevisionError> {
    serde_json::from_str(&record.document).map_err(|_| {
        let number = record.summary.number;
        StoreError::Corrupt(format!("revision {number} is no JSON")).into()
    })
}

/// Why a document without problems cannot be here all the same.
fn unfit(document: &Document, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if document.is_of_mesh() {
        problems.push(OF_MESH.to_owned());
    }
    if text.len() > MAX_DOCUMENT_BYTES {
        problems.push(too_long());
    }
    let stores = &document.stores;
    for (field, address) in [("volatile", &stores.volatile), ("durable", &stores.durable)] {
        if address.as_deref().is_some_and(holds_password) {
            problems.push(format!(
                "stores.{field}: it holds a password, which everybody would see who may see \
                 revisions: write `env:NAME`"
            ));
        }
    }
    problems
}

fn too_long() -> String {
    format!("the document has more than {MAX_DOCUMENT_BYTES} bytes")
}

/// Whether an address says with which password to come.
fn holds_password(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_authority || rest.to_ascii_lowercase().contains("password=")
}

#[cfg(test)]
mod tests;
