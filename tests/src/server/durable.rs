//! What a server keeps on disk, or in a database.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::run;

/// A durable store, and the key that seals private keys in it.
#[derive(Debug, Clone)]
pub struct Durable {
    /// As the command line takes it.
    address: String,
    /// SQLite's file; none where a database server keeps the store.
    file: Option<PathBuf>,
    key_file: PathBuf,
}

impl Durable {
    /// A SQLite file in a folder, migrated and with a first signing key.
    ///
    /// # Panics
    /// When the command line cannot prepare it.
    pub async fn prepare(folder: &Path) -> Self {
        let durable = Self::new(folder);
        durable.fill().await;
        durable
    }

    /// An empty database at an address, migrated and with a first signing key; the folder is for
    /// the key file.
    ///
    /// # Panics
    /// When the command line cannot prepare it.
    pub async fn prepare_at(address: &str, folder: &Path) -> Self {
        let key_file = key_file(folder);
        let durable = Self { address: address.to_owned(), file: None, key_file };
        durable.fill().await;
        durable
    }

    /// A SQLite file in a folder, with nothing there yet but the key file.
    ///
    /// # Panics
    /// When the key file cannot be written.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let file = folder.join("postern.db");
        let address = format!("sqlite:{}", file.display());
        Self { address, file: Some(file), key_file: key_file(folder) }
    }

    /// Puts another store in its place, as after a loss: with a signing key of its own, and
    /// nothing of what was there. For a SQLite file that no server has open.
    ///
    /// # Panics
    /// When the file cannot be deleted, or the command line cannot prepare another.
    pub async fn replace(&self) {
        self.lose();
        self.fill().await;
    }

    /// Deletes a SQLite file that no server has open.
    ///
    /// # Panics
    /// When that does not work.
    pub fn lose(&self) {
        for extension in ["db", "db-wal", "db-shm"] {
            if let Err(error) = fs::remove_file(self.file().with_extension(extension)) {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{extension}: {error}");
            }
        }
    }

    /// Another address with the same key file, whatever is there.
    #[must_use]
    pub fn moved_to(&self, address: &str) -> Self {
        Self { address: address.to_owned(), file: None, key_file: self.key_file.clone() }
    }

    /// As the command line takes it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The file with the key that seals private keys: hexadecimal digits.
    #[must_use]
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    async fn fill(&self) {
        run(self.arguments(&["migrate", "up"])).await.expect_success();
        run(self.arguments_with_key(&["keys", "rotate"])).await.expect_success();
    }

    /// SQLite's file.
    ///
    /// # Panics
    /// When a database server keeps the store.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.file.as_deref().expect("a SQLite file")
    }

    /// `words` and `--durable …`
    #[must_use]
    pub fn arguments(&self, words: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.push("--durable".to_owned());
        arguments.push(self.address.clone());
        arguments
    }

    /// `words`, `--durable …` and `--key-file …`
    #[must_use]
    pub fn arguments_with_key(&self, words: &[&str]) -> Vec<String> {
        let mut arguments = self.arguments(words);
        arguments.push("--key-file".to_owned());
        arguments.push(self.key_file.display().to_string());
        arguments
    }

    /// Makes what was written last unreadable, as a broken disk would, for a server that has
    /// the store open. What the server holds in memory it still has.
    ///
    /// Only the write-ahead log is emptied, in place: everything that commands wrote while a
    /// server ran is there, and a server that reads must ask for it again.
    ///
    /// # Panics
    /// When there is no such log: no server has the store open.
    pub fn take_away(&self) -> Outage {
        let log = self.file().with_extension("db-wal");
        let kept = fs::read(&log).expect("the store's write-ahead log");
        assert!(!kept.is_empty(), "nothing was written while a server ran");
        fs::write(&log, b"").expect("an empty log");
        Outage { log, kept }
    }
}

/// A durable store that cannot be read.
#[derive(Debug)]
#[must_use]
pub struct Outage {
    log: PathBuf,
    kept: Vec<u8>,
}

impl Outage {
    /// It can be read again, and nothing is lost.
    ///
    /// # Panics
    /// When what was there cannot be written back.
    pub fn end(self) {
        fs::write(&self.log, &self.kept).expect("the log's content");
    }
}

/// A new key file in a folder.
fn key_file(folder: &Path) -> PathBuf {
    let mut bytes = [0_u8; 32];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.expect("random bytes");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let key_file = folder.join("key");
    fs::write(&key_file, hex).expect("a key file");
    key_file
}
