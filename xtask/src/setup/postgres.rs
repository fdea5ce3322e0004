//! PostgreSQL: the programs with which tests start servers of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::setup::packages;
use crate::{process, say};

/// What tests call, all of it in one folder.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];
const WAY_OUT: &str = "set POSTERN_POSTGRES=/path/to/bin, the folder of initdb, pg_ctl, postgres \
                       and psql";

/// The folder of the programs: `POSTERN_POSTGRES`, the distribution's, or the
/// `PATH`'s. Installed if there is none.
pub fn get(workspace: &Workspace) -> Result<PathBuf> {
    let folder = match paths::from_env("POSTERN_POSTGRES") {
        Some(folder) => {
            if let Some(missing) = missing(&folder) {
                bail!("POSTERN_POSTGRES={} has no program {missing}; {WAY_OUT}", folder.display());
            }
            folder
        }
        None => match found() {
            Some(folder) => folder,
            None => {
                packages::install(workspace, "PostgreSQL", &["postgresql"], WAY_OUT)?;
                found().with_context(|| {
                    format!("PostgreSQL is not there after its installation; {WAY_OUT}")
                })?
            }
        },
    };
    let text = process::output(Command::new(folder.join("postgres")).arg("--version"))
        .with_context(|| format!("postgres does not run; {WAY_OUT}"))?;
    let version =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    say::ok(&format!(
        "postgresql {} ({})",
        version.unwrap_or("of unknown version"),
        folder.display()
    ));
    Ok(folder)
}

/// The first program that the folder lacks.
fn missing(folder: &Path) -> Option<&'static str> {
    PROGRAMS.into_iter().find(|program| !paths::is_executable(&folder.join(program)))
}

/// Debian keeps the programs of each version in a folder that is on nobody's
/// `PATH`; others put them there, or a link to one of them.
fn found() -> Option<PathBuf> {
    let linked = || Some(fs::canonicalize(paths::program("postgres")?).ok()?.parent()?.to_owned());
    newest(Path::new("/usr/lib/postgresql")).or_else(linked).filter(|path| missing(path).is_none())
}

/// `15/bin` below the folder: of the greatest number that is complete.
fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let versions = entries.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        missing(&programs).is_none().then_some((number, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_newest_complete_version_is_taken() {
        let root = std::env::temp_dir().join(format!("xtask-postgres-{}", std::process::id()));
        for (version, programs) in [
            ("9", &PROGRAMS[..]),
            ("15", &PROGRAMS[..]),
            ("16", &PROGRAMS[..2]),
            ("other", &PROGRAMS[..]),
        ] {
            let folder = root.join(version).join("bin");
            fs::create_dir_all(&folder).unwrap();
            for program in programs {
                fs::write(folder.join(program), "").unwrap();
                let executable = Permissions::from_mode(0o755);
                fs::set_permissions(folder.join(program), executable).unwrap();
            }
        }
        assert_eq!(newest(&root), Some(root.join("15").join("bin")));
        assert_eq!(missing(&root.join("16").join("bin")), Some("postgres"));
        assert_eq!(newest(&root.join("none")), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
