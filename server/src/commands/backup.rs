//! `postern backup` and `postern restore`.

use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Error, Result, bail};
use postern_identity::admin::check_key;
use postern_identity::{KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey, Purpose, audit_entry};
use postern_store::durable::Sealed;
use postern_store_sql::SqlStore;
use postern_store_sql::backup::{self, BackupError, BackupSecret, Contents};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::now;
use crate::cli::{Backup, KeyFile, Restore};
use crate::{output, recording, settings};

/// What entries of the audit log are about.
const TARGET: &str = "durable";

/// Writes a backup.
///
/// # Errors
/// When the store cannot be read or the file cannot be written. There is no file then.
pub async fn run(arguments: &Backup) -> Result<ExitCode> {
    let kek = match arguments.clear {
        true => None,
        false => Some(sealing_key(&arguments.key_file)?),
    };
    let secret = kek.as_ref().map(secret_of);
    let address = settings::resolve("--durable", &arguments.durable.durable)?;
    let store = open(&address).await?;
    if let Some(kek) = &kek {
        // Whoever has lost everything else has the key of the database, and no other one.
        settings::opened(check_key(&store, kek).await, &arguments.key_file)?;
    }
    let (file, unfinished) = create(&arguments.out)?;
    let now = now();
    let how = backup::Backup {
        secret: secret.as_ref().map(|secret| BackupSecret(secret)),
        now,
        progress: &mut tell,
    };
    let made = store.backup(BufWriter::new(file), how).await;
    let (contents, writer) = made.map_err(|error| failed(error, &address, &arguments.key_file))?;
    let file = writer.into_inner().map_err(|error| Error::new(error.into_error()));
    file.and_then(|file| Ok(file.sync_all()?)).context("the file cannot be written")?;
    let detail = detail(&contents);
    let detail: Vec<(&str, &str)> = detail.iter().map(|(name, text)| (*name, &**text)).collect();
    recording::record(&store, "backup.made", TARGET, &detail, now).await?;
    unfinished.keep();
    show(&contents, arguments.json)?;
    if let Err(broken) = contents.audit {
        output::warn(format!(
            "the audit log was changed: {broken}. The backup is as good as any other, and is \
             restored with --accept-broken-audit"
        ));
    }
    if arguments.clear {
        output::note("the backup is not sealed: whoever has it can read it, and change it unseen");
    }
    Ok(ExitCode::SUCCESS)
}

/// Restores a backup; without a yes, it only tries to.
///
/// # Errors
/// When the file is no backup that fits, or the store is not empty. Nothing is changed then.
pub async fn restore(arguments: &Restore) -> Result<ExitCode> {
    let kek = match arguments.clear {
        true => settings::optional_key(&arguments.key_file)?,
        false => Some(sealing_key(&arguments.key_file)?),
    };
    let secret = kek.as_ref().filter(|_| !arguments.clear).map(secret_of);
    let opens = |kid: &str, sealed: &Sealed| kek.as_ref().is_none_or(|kek| kek.opens(kid, sealed));
    let place = || format!("--from {}", arguments.from.display());
    let file = File::open(&arguments.from).with_context(place)?;
    let address = settings::resolve("--durable", &arguments.durable.durable)?;
    let store = open(&address).await?;
    let now = now();
    let entry = |contents: &Contents| {
        let detail = detail(contents);
        let detail: Vec<(&str, &str)> =
            detail.iter().map(|(name, text)| (*name, &**text)).collect();
        audit_entry(now, &recording::actor(), "backup.restored", TARGET, &detail)
    };
    let how = backup::Restore {
        secret: secret.as_ref().map(|secret| BackupSecret(secret)),
        keep: arguments.yes,
        accept_broken_chain: arguments.accept_broken_audit,
        opens: &opens,
        entry: &entry,
        progress: &mut tell,
    };
    let restored = store.restore(file, how).await;
    let restored =
        restored.map_err(|error| failed(error, &address, &arguments.key_file).context(place()))?;
    show(&restored.contents, arguments.json)?;
    if restored.entry.is_none() {
        store.close().await;
        output::remark("the backup is good, and nothing was written: say --yes to restore it");
        return Ok(ExitCode::SUCCESS);
    }
    store.close().await;
    output::remark(format!(
        "what was revoked since {} is good again: revoke it again before a server starts",
        restored.contents.made_at.to_rfc3339()
    ));
    output::remark(
        "sessions, codes and limits are not in a backup: where the volatile store is lost, too, \
         people log in again",
    );
    Ok(ExitCode::SUCCESS)
}

async fn open(address: &str) -> Result<SqlStore> {
    if address == "memory" {
        bail!("--durable: what is kept in memory is gone with its server");
    }
    SqlStore::open_migrated(address).await.map_err(|error| settings::naming(error, address))
}

/// What a backup is sealed with, unless it shall not be.
fn sealing_key(arguments: &KeyFile) -> Result<KeyEncryptionKey> {
    settings::optional_key(arguments)?.with_context(|| {
        format!(
            "a backup is sealed: name the key file with --key-file (or set \
             {KEY_ENCRYPTION_KEY_ENV}), or say --clear"
        )
    })
}

fn secret_of(kek: &KeyEncryptionKey) -> Zeroizing<Vec<u8>> {
    kek.derive(Purpose::Backup.label())
}

/// A file that only its owner reads, and that was not there before.
fn create(path: &Path) -> Result<(File, Unfinished<'_>)> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("--out {}", path.display()))?;
    Ok((file, Unfinished(Some(path))))
}

/// A file that goes again, unless it is kept: half a backup is none.
struct Unfinished<'a>(Option<&'a Path>);

impl Unfinished<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            // It stays where even that cannot be done; whoever restores it is told.
            drop(fs::remove_file(path));
        }
    }
}

fn tell(table: &'static str, rows: u64) {
    output::remark(format!("{table}: {rows}"));
}

/// An error in the words of whoever can do something about it.
fn failed(error: BackupError, address: &str, key_file: &KeyFile) -> Error {
    match error {
        BackupError::Sql(error) => settings::naming(error, address),
        BackupError::Opened { .. } => {
            let place = settings::key_place(key_file);
            Error::new(error).context(format!("{place} does not open this backup"))
        }
        BackupError::SigningKeys => {
            let place = settings::key_place(key_file);
            Error::new(error).context(format!("{place} is not the key of this database"))
        }
        BackupError::NotSealed => Error::new(error).context("--clear restores it all the same"),
        BackupError::Chain(_) => {
            Error::new(error).context("--accept-broken-audit restores it all the same")
        }
        other => other.into(),
    }
}

/// What the audit log is told of it.
fn detail(contents: &Contents) -> Vec<(&'static str, String)> {
    let chain = match &contents.audit {
        Ok(head) => format!("whole up to {}", head.seq),
        Err(broken) => broken.to_string(),
    };
    vec![
        ("madeAt", contents.made_at.to_rfc3339()),
        ("release", contents.release.clone()),
        ("sealed", contents.sealed.to_string()),
        ("rows", contents.total().to_string()),
        ("auditLog", chain),
    ]
}

fn show(contents: &Contents, as_json: bool) -> Result<()> {
    let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if as_json {
        let rows = contents.rows.iter().map(|(name, rows)| ((*name).to_owned(), json!(rows)));
        let audit = match &contents.audit {
            Ok(head) => json!({"whole": true, "entries": head.seq, "head": hex(&head.hash)}),
            Err(broken) => json!({"whole": false, "problem": broken.to_string()}),
        };
        let answer = json!({
            "made_at": contents.made_at.to_rfc3339(),
            "release": contents.release,
            "sealed": contents.sealed,
            "rows": Value::Object(rows.collect::<Map<_, _>>()),
            "audit": audit,
        });
        return output::line(answer.to_string());
    }
    output::line(format!("made     {} by {}", contents.made_at.to_rfc3339(), contents.release))?;
    output::line(format!("sealed   {}", if contents.sealed { "yes" } else { "no" }))?;
    output::line(format!("rows     {}", contents.total()))?;
    match &contents.audit {
        Ok(head) => {
            output::line(format!("audit    up to entry {}, head {}", head.seq, hex(&head.hash)))
        }
        Err(broken) => output::line(format!("audit    changed: {broken}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_backup_is_its_owners_alone_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let (_, unfinished) = create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(create(&path).is_err(), "it is there already");
        drop(unfinished);
        assert!(!path.exists(), "half a backup is none");
        create(&path).unwrap().1.keep();
        assert!(path.exists());
    }

    #[test]
    fn without_a_key_a_backup_is_sealed_by_nobody_unless_that_is_said() {
        let error = sealing_key(&KeyFile::default()).unwrap_err().to_string();
        assert!(error.contains("--clear") && error.contains("--key-file"), "{error}");
    }
}
