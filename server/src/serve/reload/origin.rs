//! Where a server's document comes from: files, or the revisions of the durable store. Never both.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use postern_document::{Document, Problem};
use postern_files::Watched;
use postern_store::{IdentityStore, StoreError};

use super::metrics::Outcome;
use crate::cli::{DocumentPlace, Serve};
use crate::revisions::OF_MESH;
use crate::serve::stores::Durable;
use crate::{documents, output, settings};

/// How long the store may take. The last good document is in use meanwhile.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Where documents come from.
pub enum Origin {
    /// A file, or a folder of fragments.
    Files(Arc<Mutex<Watched>>),
    /// The active revision.
    Store {
        /// Where revisions are.
        store: Arc<dyn IdentityStore>,
        /// The number of the one that was read last; none where it has to be read again.
        read: Option<u64>,
    },
}

/// What is found there.
pub enum Found {
    /// Nothing that was not there before.
    Same,
    /// A document that has no problems. It may be the one that is in use.
    Document(Box<Document>),
    /// No document.
    Trouble(Trouble),
}

/// Why a document is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is counted.
    pub outcome: Outcome,
    /// What is wrong, of which there is at least one thing.
    pub problems: Vec<String>,
}

impl Trouble {
    /// Nothing could be read.
    pub fn unreadable(problem: String) -> Self {
        Self { outcome: Outcome::Unreadable, problems: vec![problem] }
    }

    /// What was read cannot be used.
    pub fn refused(problems: Vec<String>) -> Self {
        Self { outcome: Outcome::Refused, problems }
    }

    fn of(problems: &[Problem]) -> Self {
        Self::refused(problems.iter().map(ToString::to_string).collect())
    }
}

/// What a server begins with.
pub struct First {
    /// The document.
    pub document: Document,
    /// Where the next one comes from.
    pub origin: Origin,
    /// The durable store, where the document was in it.
    pub durable: Option<Durable>,
}

/// The first document.
///
/// # Errors
/// When it cannot be read or has problems, which are all in the error.
pub async fn first(arguments: &Serve) -> Result<First> {
    let (mut origin, durable) = match arguments.document_place() {
        DocumentPlace::Files(path) => (Origin::files(path.to_owned()), None),
        DocumentPlace::Store => {
            let durable = opened(arguments).await?;
            (Origin::Store { store: Arc::clone(&durable.store), read: None }, Some(durable))
        }
    };
    match origin.look().await {
        Found::Document(document) => Ok(First { document: *document, origin, durable }),
        Found::Trouble(Trouble { outcome: Outcome::Refused, problems }) => {
            let count = output::count(problems.len(), "problem");
            bail!("the document has {count}:\n{}", problems.join("\n"))
        }
        Found::Trouble(trouble) => bail!("{}", trouble.problems.join("\n")),
        Found::Same => bail!(
            "no document was applied yet to the durable store: `postern config apply FILE --why \
             TEXT` does that"
        ),
    }
}

async fn opened(arguments: &Serve) -> Result<Durable> {
    let Some(address) = &arguments.durable else {
        bail!(
            "--config-from store: name the store with --durable (or set POSTERN_DURABLE); which it \
             is cannot be said by a document that is in it"
        );
    };
    Durable::open(settings::resolve("--durable", address)?).await
}

impl Origin {
    /// Files that nobody has looked at yet.
    pub fn files(place: PathBuf) -> Self {
        Self::Files(Arc::new(Mutex::new(Watched::new(place))))
    }

    /// What is there. The first look at files finds something in any case.
    pub async fn look(&mut self) -> Found {
        match self {
            Self::Files(watched) => {
                let watched = Arc::clone(watched);
                let looked = tokio::task::spawn_blocking(move || {
                    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                    let found = watched.changed(read);
                    found.unwrap_or_else(|| if watched.is_overdue() { late() } else { Found::Same })
                });
                match looked.await {
                    Ok(found) => found,
                    Err(error) => Found::Trouble(Trouble::unreadable(error.to_string())),
                }
            }
            Self::Store { store, read } => {
                let looking = revision(store.as_ref(), *read);
                match tokio::time::timeout(STORE_PATIENCE, looking).await {
                    Ok(Ok((number, found))) => {
                        *read = number;
                        found
                    }
                    Ok(Err(error)) => {
                        // What is there then is something new, if it is what it was.
                        *read = None;
                        let problem = format!("the durable store: {error}");
                        Found::Trouble(Trouble::unreadable(problem))
                    }
                    Err(_) => {
                        *read = None;
                        let problem = "the durable store does not answer".to_owned();
                        Found::Trouble(Trouble::unreadable(problem))
                    }
                }
            }
        }
    }
}

/// They change, and nothing can be made of it.
fn late() -> Found {
    let problem = "the files are written to again and again, and are others each time";
    Found::Trouble(Trouble::unreadable(problem.to_owned()))
}

/// What the files hold, and which others they refer to.
fn read(place: &Path) -> (Found, Vec<PathBuf>) {
    let read = match documents::read(place) {
        Ok(read) => read,
        Err(error) => {
            let trouble = Trouble::unreadable(output::chain(&error));
            return (Found::Trouble(trouble), Vec::new());
        }
    };
    let found = match read.document {
        Ok(document) => Found::Document(Box::new(document)),
        Err(problems) => Found::Trouble(Trouble::of(&problems)),
    };
    (found, read.besides)
}

/// The active revision's number, and what it holds where it is not the one that was `read`.
async fn revision(
    store: &dyn IdentityStore,
    read: Option<u64>,
) -> Result<(Option<u64>, Found), StoreError> {
    let Some(active) = store.active_revision().await? else { return Ok((None, Found::Same)) };
    let number = active.number;
    if read == Some(number) {
        return Ok((read, Found::Same));
    }
    let Some(record) = store.find_revision(number).await? else {
        return Err(StoreError::Corrupt(format!("revision {number} is active and not there")));
    };
    let found = match postern_document::from_json(record.document.as_bytes()) {
        Ok(document) if document.is_of_mesh() => {
            Found::Trouble(Trouble::refused(vec![OF_MESH.to_owned()]))
        }
        Ok(document) => Found::Document(Box::new(document)),
        Err(problems) => Found::Trouble(Trouble::of(&problems)),
    };
    Ok((Some(number), found))
}
