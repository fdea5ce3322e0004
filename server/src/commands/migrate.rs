//! `postern migrate`.

use std::process::ExitCode;

use anyhow::Result;
use postern_store_sql::SqlStore;
use serde_json::json;

use super::now;
use crate::cli::{Durable, Migrate, MigrateAction};
use crate::{output, settings};

/// Runs migrations.
///
/// # Errors
/// When the store cannot be opened or a migration fails; what it did is taken back.
pub async fn run(arguments: &Migrate) -> Result<ExitCode> {
    match &arguments.action {
        MigrateAction::Up { durable, name } => {
            let store = open(durable).await?;
            let applied = store.migrator().up(name.as_deref(), now()).await?;
            report("applied", &applied);
        }
        MigrateAction::Down { durable, count } => {
            let store = open(durable).await?;
            let reverted = store.migrator().down(*count, now()).await?;
            report("took back", &reverted);
        }
        MigrateAction::Status { durable, json } => status(durable, *json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(durable: &Durable) -> Result<SqlStore> {
    Ok(SqlStore::open(&settings::resolve(&durable.durable)?).await?)
}

fn report(what: &str, names: &[&str]) {
    if names.is_empty() {
        output::line("nothing to do");
    }
    for name in names {
        output::line(format!("{what} {name}"));
    }
}

async fn status(durable: &Durable, as_json: bool) -> Result<()> {
    let migrations = open(durable).await?.migrator().status().await?;
    if as_json {
        let list: Vec<_> = migrations
            .iter()
            .map(|m| json!({"name": m.name, "status": m.state.as_str(), "error": m.error, "duration_ms": m.duration_ms}))
            .collect();
        output::line(json!(list).to_string());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = migrations
        .iter()
        .map(|m| {
            let applied = m.applied_at.map_or_else(String::new, |at| at.to_rfc3339());
            let error = m.error.clone().unwrap_or_default();
            vec![m.name.to_string(), m.state.as_str().to_owned(), applied, error]
        })
        .collect();
    output::table(&["NAME", "STATUS", "APPLIED", "ERROR"], &rows);
    Ok(())
}
