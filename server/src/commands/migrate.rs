//! `postern migrate`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use postern_store_sql::{MIGRATIONS, MigrationState, MigrationStatus, SqlStore};
use serde_json::json;

use super::now;
use crate::cli::{Migrate, MigrateAction};
use crate::{output, settings};

/// Runs migrations.
///
/// # Errors
/// When the store cannot be opened or a migration fails; what it did is taken back.
pub async fn run(arguments: &Migrate) -> Result<ExitCode> {
    match &arguments.action {
        MigrateAction::Up { durable, name } => {
            let address = settings::resolve("--durable", &durable.durable)?;
            let store = open(&address).await?;
            let applied = store.migrator().up(name.as_deref(), now()).await;
            report("applied", &applied.map_err(|error| settings::naming(error, &address))?)?;
        }
        MigrateAction::Down { durable, count, yes } => {
            down(&settings::resolve("--durable", &durable.durable)?, *count, *yes).await?;
        }
        MigrateAction::Status { durable, json } => {
            show(&status(&settings::resolve("--durable", &durable.durable)?).await?, *json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(address: &str) -> Result<SqlStore> {
    Ok(SqlStore::open(address).await?)
}

fn report(what: &str, names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return output::line("nothing to do");
    }
    names.iter().try_for_each(|name| output::line(format!("{what} {name}")))
}

/// Takes back the last migrations; without a yes it only says what would be gone.
async fn down(address: &str, count: usize, yes: bool) -> Result<()> {
    if let Some(path) = settings::missing_file(address) {
        bail!("there is no database at {}", path.display());
    }
    let store = open(address).await?;
    if !yes {
        let status = store.migrator().status().await;
        let status = status.map_err(|error| settings::naming(error, address))?;
        let last = status.iter().filter(|one| one.state == MigrationState::Applied).rev();
        let going: Vec<&str> = last.take(count).map(|one| one.name.as_str()).collect();
        for name in &going {
            output::line(format!("{name} would go, with {}", tables(name)))?;
        }
        if !going.is_empty() {
            bail!("this cannot be taken back: everything in these tables is deleted; say --yes");
        }
    }
    let reverted = store.migrator().down(count, now()).await;
    report("took back", &reverted.map_err(|error| settings::naming(error, address))?)
}

/// The tables that go with a migration, by its own statements.
fn tables(name: &str) -> String {
    let known = MIGRATIONS.iter().find(|migration| migration.name == name);
    let statements = known.map_or("", |migration| migration.down).lines();
    let dropped = statements.filter_map(|line| line.trim().strip_prefix("DROP TABLE "));
    let dropped: Vec<&str> = dropped.map(|table| table.trim_end_matches(';')).collect();
    if dropped.is_empty() { "what it made".to_owned() } else { dropped.join(", ") }
}

/// What became of each migration. A database that is not there is not made for this.
async fn status(address: &str) -> Result<Vec<MigrationStatus>> {
    if let Some(path) = settings::missing_file(address) {
        output::remark(format!(
            "there is no database at {} yet; `postern migrate up` makes it",
            path.display()
        ));
        let pending = MIGRATIONS.iter().map(|migration| MigrationStatus {
            name: migration.name.to_owned(),
            state: MigrationState::Pending,
            error: None,
            duration_ms: None,
            applied_at: None,
        });
        return Ok(pending.collect());
    }
    let status = open(address).await?.migrator().status().await;
    status.map_err(|error| settings::naming(error, address))
}

fn show(migrations: &[MigrationStatus], as_json: bool) -> Result<()> {
    if as_json {
        let list: Vec<_> = migrations
            .iter()
            .map(|m| json!({"name": m.name, "status": m.state.as_str(), "error": m.error, "duration_ms": m.duration_ms}))
            .collect();
        return output::line(json!(list).to_string());
    }
    let rows: Vec<Vec<String>> = migrations
        .iter()
        .map(|m| {
            let applied = m.applied_at.map_or_else(String::new, |at| at.to_rfc3339());
            let error = m.error.clone().unwrap_or_default();
            vec![m.name.clone(), m.state.as_str().to_owned(), applied, error]
        })
        .collect();
    output::table(&["NAME", "STATUS", "APPLIED", "ERROR"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_named_by_its_tables() {
        assert_eq!(tables("0001_identity"), "api_keys, signing_keys, oauth2_clients");
        assert_eq!(tables("9999_of_a_newer_build"), "what it made");
    }
}
