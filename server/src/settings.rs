//! Values that come from the command line, the document or the environment.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use postern_document::parse_duration_ms;
use postern_identity::{KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey};
use postern_store::durable::DurableStore;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store_sql::SqlStore;

use crate::cli::KeyFile;

/// A store's address: `env:NAME` is looked up, everything else stands for itself.
///
/// # Errors
/// When the variable is not set. Its value is never repeated.
pub fn resolve(address: &str) -> Result<String> {
    match address.strip_prefix("env:") {
        Some(name) => std::env::var(name)
            .with_context(|| format!("the environment variable {name} is not set")),
        None => Ok(address.to_owned()),
    }
}

/// A duration such as `15m`, in seconds.
///
/// # Errors
/// When it is none, or zero.
pub fn seconds(text: &str) -> Result<u64> {
    match parse_duration_ms(text) {
        Some(millis) if millis >= 1000 => Ok(millis / 1000),
        _ => bail!("`{text}` is not a duration of at least a second, such as 30s, 15m or 24h"),
    }
}

/// The durable store, its migrations applied.
///
/// # Errors
/// When it cannot be opened, or a migration is pending.
pub async fn durable(address: &str) -> Result<Arc<dyn DurableStore>> {
    let address = resolve(address)?;
    if address == "memory" {
        return Ok(Arc::new(MemoryDurableStore::new()));
    }
    Ok(Arc::new(SqlStore::open_migrated(&address).await?))
}

/// The encryption key, from the file or the environment; none when neither is given.
///
/// # Errors
/// When it is given and cannot be read.
pub fn optional_key(arguments: &KeyFile) -> Result<Option<KeyEncryptionKey>> {
    if let Some(file) = &arguments.key_file {
        return Ok(Some(KeyEncryptionKey::from_file(file)?));
    }
    match std::env::var(KEY_ENCRYPTION_KEY_ENV) {
        Ok(text) => Ok(Some(KeyEncryptionKey::from_text(&text)?)),
        Err(_) => Ok(None),
    }
}

/// The encryption key, which must be given.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn require_key(arguments: &KeyFile) -> Result<KeyEncryptionKey> {
    optional_key(arguments)?.with_context(|| {
        format!(
            "name the file with the encryption key (--key-file) or set {KEY_ENCRYPTION_KEY_ENV}"
        )
    })
}
