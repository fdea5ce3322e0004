//! What gives back what limits took of requests that have ended.

use anyhow::{Context as _, Result};
use postern_document::Document;
use postern_ext_authz::Tickets;
use postern_identity::KeyEncryptionKey;

use super::has;
use crate::cli::{Role, Serve};
use crate::settings;

/// What a key is derived for.
const PURPOSE: &str = "postern:tickets:1";

/// The tickets of this deployment. Where several servers share no key, a ticket is good at the
/// one that gave it alone, which is said once.
///
/// # Errors
/// When a key is named that cannot be read, or the system gives no random numbers.
pub fn tickets(arguments: &Serve, document: &Document) -> Result<Tickets> {
    let key = match &arguments.ticket_key_file {
        Some(file) => Some(KeyEncryptionKey::from_file(file).context("--ticket-key-file")?),
        None => settings::optional_key(&arguments.key_file)?,
    };
    if let Some(key) = key {
        return Ok(Tickets::derived_from(&key.derive(PURPOSE)));
    }
    let needed = document
        .routes
        .iter()
        .any(|route| route.exact_limits.iter().any(|applied| applied.limit.needs_settlement()));
    let both = [Role::Decide, Role::Message].iter().all(|role| has(&arguments.roles, *role));
    if needed && (document.stores.replicas > 1 || !both) {
        tracing::warn!(
            "limits that give back what requests took need a key that all servers share \
             (--ticket-key-file): what Envoy tells another one is not given back"
        );
    }
    Ok(Tickets::random()?)
}
