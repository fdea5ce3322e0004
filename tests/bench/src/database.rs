//! Durable stores: an empty one, and one with a million revocations, which is written once and
//! copied.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use postern_e2e::keys;
use postern_e2e::server::Durable;
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::{NewRevocation, RevocationStore as _};
use postern_store_sql::SqlStore;

/// So many revocations are "many".
pub const MILLION: u32 = 1_000_000;
/// Written in one transaction. Nobody waits for it, so it is more than a server would take.
const BATCH: u32 = 5_000;
/// How often it says how far it has got.
const SAID: u32 = 100_000;
const GOOD_FOR_SECS: u64 = 30 * 86_400;
/// A kept store whose revocations end sooner is written anew.
const SPARE_SECS: u64 = 86_400;

/// Who is revoked at first: never a token of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Nobody.
    Nobody,
    /// Nobody at first, and then somebody ten times a second.
    Moving,
    /// [`MILLION`] tokens.
    Million,
}

impl Revoked {
    /// How many they are.
    pub const fn count(self) -> u32 {
        match self {
            Self::Nobody | Self::Moving => 0,
            Self::Million => MILLION,
        }
    }
}

/// A durable store in a folder. Its file goes with this value: a million revocations take a
/// quarter of a gigabyte.
#[derive(Debug)]
pub struct Database {
    durable: Durable,
    url: String,
}

impl Database {
    /// A migrated one in `folder`; what must be written first is kept in `home`.
    pub async fn make(home: &Path, folder: &Path, revoked: Revoked) -> Result<Self> {
        let durable = Durable::new(folder);
        // `--durable URL`
        let url = durable.arguments(&[]).pop().context("the kit's store has no address")?;
        let database = Self { durable, url };
        match revoked {
            Revoked::Nobody | Revoked::Moving => migrated(&database.url).await?.close().await,
            Revoked::Million => {
                let kept = million(home).await?;
                let copy = database.file();
                fs::copy(&kept, copy)
                    .with_context(|| format!("copying {} to {copy}", kept.display()))?;
            }
        }
        Ok(database)
    }

    /// As the server's command line takes it.
    pub fn durable(&self) -> Durable {
        self.durable.clone()
    }

    /// Opens it beside the server.
    pub async fn open(&self) -> Result<SqlStore> {
        SqlStore::open_migrated(&self.url).await.context("opening the durable store")
    }

    fn file(&self) -> &str {
        file_of(&self.url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The next run empties the folder in any case.
        let _ = remove(self.file());
    }
}

fn file_of(url: &str) -> &str {
    url.strip_prefix("sqlite:").unwrap_or(url)
}

async fn migrated(url: &str) -> Result<SqlStore> {
    let store = SqlStore::open(url).await.context("opening a durable store")?;
    store.migrator().up(None, now()).await.context("preparing a durable store")?;
    Ok(store)
}

/// The kept store with a million revocations.
async fn million(home: &Path) -> Result<PathBuf> {
    let file = home.join("million.db");
    let url = format!("sqlite:{}", file.display());
    if file.exists() {
        let store = migrated(&url).await?;
        let later = UnixMillis(now().0.saturating_add(SPARE_SECS * 1000));
        let alive = store.count_revocations(later).await;
        store.close().await;
        if alive == Ok(u64::from(MILLION)) {
            return Ok(file);
        }
        // Too old, or its writing was interrupted.
        remove(file_of(&url)).with_context(|| format!("removing {}", file.display()))?;
    }
    eprintln!("writing {MILLION} revocations (kept in {})", file.display());
    let store = migrated(&url).await?;
    fill(&store).await.context("writing a million revocations")?;
    // The log is folded into the file, which can be copied then.
    store.close().await;
    Ok(file)
}

async fn fill(store: &SqlStore) -> Result<()> {
    let created_at = now();
    let expires_at = created_at.as_secs() + GOOD_FOR_SECS;
    let new = |number: u32| {
        let revocation = Revocation::at(
            created_at.as_secs(),
            RevocationKind::Token,
            keys::ISSUER,
            // In ascending order, which is how an index grows fastest.
            format!("one-of-a-million-{number:06}"),
            expires_at,
        )?;
        anyhow::Ok(NewRevocation { revocation, created_at, reason: None })
    };
    for first in (0..MILLION).step_by(usize::try_from(BATCH)?) {
        let batch = (first..first + BATCH).map(new).collect::<Result<Vec<_>>>()?;
        store.revoke(batch).await?;
        if (first + BATCH).is_multiple_of(SAID) {
            eprintln!("  {} of {MILLION}", first + BATCH);
        }
    }
    Ok(())
}

/// The kit's clock.
pub fn now() -> UnixMillis {
    UnixMillis(keys::now() * 1000)
}

/// A store's file, and what SQLite may have left beside it.
fn remove(file: &str) -> std::io::Result<()> {
    for beside in ["", "-wal", "-shm"] {
        match fs::remove_file(format!("{file}{beside}")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_goes_with_all_of_its_files() {
        let folder = std::env::temp_dir().join(format!("postern-bench-db-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.db").display().to_string();
        for beside in ["", "-wal"] {
            fs::write(format!("{file}{beside}"), "x").unwrap();
        }
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn batches_add_up() {
        assert!(MILLION.is_multiple_of(BATCH) && SAID.is_multiple_of(BATCH));
        assert_eq!(file_of("sqlite:/a/b.db"), "/a/b.db");
        assert_eq!((Revoked::Nobody.count(), Revoked::Million.count()), (0, MILLION));
    }
}
