//! `postern keys`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use postern_identity::IdentityError;
use postern_identity::admin::{self, Rotation};
use postern_jose::Algorithm;
use postern_request::UnixMillis;
use postern_store::durable::DurableStore;
use serde_json::json;

use super::now;
use crate::cli::{Keys, KeysAction};
use crate::{output, recording, settings};

/// Lists, rotates or retires signing keys.
///
/// # Errors
/// When the store or the encryption key cannot be used.
pub async fn run(arguments: &Keys) -> Result<ExitCode> {
    match &arguments.action {
        KeysAction::List { durable, json: as_json, .. } => {
            let store = settings::durable(&durable.durable).await?;
            let keys = admin::list_keys(store.as_ref(), now()).await?;
            if *as_json {
                let list: Vec<_> = keys
                    .iter()
                    .map(|key| json!({"kid": key.kid, "algorithm": key.algorithm.as_str(), "state": key.state.as_str(), "activates_at": key.activates_at.to_rfc3339()}))
                    .collect();
                output::line(json!(list).to_string())?;
            } else {
                let rows: Vec<Vec<String>> = keys
                    .iter()
                    .map(|key| {
                        vec![
                            key.kid.clone(),
                            key.algorithm.as_str().to_owned(),
                            key.state.as_str().to_owned(),
                            key.activates_at.to_rfc3339(),
                        ]
                    })
                    .collect();
                output::table(&["KID", "ALGORITHM", "STATE", "SIGNS FROM"], &rows)?;
            }
        }
        KeysAction::Rotate { durable, key_file, algorithm, json: as_json } => {
            let store = settings::identity_store(&durable.durable).await?;
            let kek = settings::require_key(key_file)?;
            let signs = |known: &Algorithm| {
                matches!(known, Algorithm::Rs256 | Algorithm::Es256 | Algorithm::EdDsa)
            };
            let Some(algorithm) = Algorithm::parse(algorithm).filter(signs) else {
                bail!("`{algorithm}` is not supported; choose RS256, ES256 or EdDSA");
            };
            let rotation = Rotation { algorithm, ..Rotation::default() };
            let now = now();
            let made = admin::rotate_keys(store.as_ref(), &kek, rotation, now).await;
            let key = settings::opened(made, key_file)?;
            let signs_from = key.activates_at.to_rfc3339();
            let detail =
                [("algorithm", key.algorithm.as_str()), ("signsFrom", signs_from.as_str())];
            recording::record(store.as_ref(), "key.rotated", &key.kid, &detail, now).await?;
            if *as_json {
                let (kid, algorithm) = (&key.kid, &key.algorithm);
                let made = json!({"kid": kid, "algorithm": algorithm, "activates_at": signs_from});
                output::line(made.to_string())?;
            } else {
                output::line(format!(
                    "{} ({}) is published and signs from {}",
                    key.kid, key.algorithm, signs_from
                ))?;
            }
        }
        KeysAction::Retire { durable, kid, yes, json: as_json } => {
            let store = settings::identity_store(&durable.durable).await?;
            let now = now();
            if !*yes {
                check_another_signs(store.as_ref(), kid, now).await?;
            }
            let another = admin::retire_key(store.as_ref(), kid, now).await?;
            recording::record(store.as_ref(), "key.retired", kid, &[], now).await?;
            if *as_json {
                output::line(json!({"kid": kid, "another_signs": another}).to_string())?;
            } else {
                output::line(format!("{kid} is retired"))?;
            }
            if !another {
                output::remark("no key is left that signs; make one with `postern keys rotate`");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nobody takes the last key that signs away without having said so.
async fn check_another_signs(store: &dyn DurableStore, kid: &str, now: UnixMillis) -> Result<()> {
    match admin::check_another_signs(store, kid, now).await {
        Err(error @ IdentityError::LastSigningKey) => bail!(
            "{kid}: {error}. Make one with `postern keys rotate` and wait until it signs, or \
             withdraw this one all the same with --yes"
        ),
        other => Ok(other?),
    }
}
