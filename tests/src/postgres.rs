//! A real PostgreSQL in a folder of its own. A crash loses nothing that was committed; only the
//! machine's own end would (`fsync` is off).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{self, Running};
use crate::{ports, wait};

const START: Duration = Duration::from_secs(30);
/// For one program that prepares or asks something.
const LONGEST: Duration = Duration::from_secs(60);
const USER: &str = "postern";
/// Needs no escaping in a URL, and must turn up in no error.
pub const PASSWORD: &str = "hush-9b1c";
/// Who runs it where tests run as root, which PostgreSQL refuses to do.
const OTHER_USERS: [&str; 2] = ["postgres", "nobody"];

/// A PostgreSQL, whether it runs or not. It is gone with this value.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    owner: Option<Owner>,
    // Before the folder: it must have ended when that goes.
    process: Option<Running>,
    folder: TempDir,
}

/// A user of this machine.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Makes a cluster and starts it. Everybody needs the password, but the owner of the socket.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for PostgreSQL");
        let owner = owner_of(folder.path());
        let mut postgres =
            Self { programs: programs(), port: ports::free(), owner, process: None, folder };
        let secret = postgres.path("password");
        fs::write(&secret, PASSWORD).expect("a file with the password");
        let mut initdb = postgres.program("initdb");
        initdb
            .args(["--username", USER, "--auth-local", "trust", "--auth-host", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .arg("--pgdata")
            .arg(postgres.path("data"))
            .arg("--pwfile")
            .arg(secret);
        process::run(initdb, LONGEST).await.expect_success();
        postgres.bring_up().await;
        postgres
    }

    /// Starts it with what it had.
    ///
    /// # Panics
    /// When it does not answer soon.
    pub async fn bring_up(&mut self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.path("data")).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in ["fsync=off", "full_page_writes=off", "shared_buffers=16MB"] {
            command.args(["-c", setting]);
        }
        let log = self.path("postgres.log");
        self.process = Some(Running::start("postgres", &log, &mut command));
        let ask = || self.try_sql("postgres", "SELECT 1");
        wait::until("answer of PostgreSQL", START, ask).await;
    }

    /// Ends it as a crash would: connections are cut, and the next start repairs.
    pub fn take_down(&mut self) {
        let Some(process) = self.process.take() else { return };
        // Killed outright it would leave its processes and its shared memory behind.
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "--mode", "immediate", "--silent", "--timeout", "10", "--pgdata"]);
        stop.arg(self.path("data")).stdin(Stdio::null());
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        drop(process);
    }

    /// Makes an empty database; its URL.
    ///
    /// # Panics
    /// When there is one with this name.
    pub async fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(name)
    }

    /// As the server's command line takes it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What statements print, a row a line, with `|` between columns.
    ///
    /// # Panics
    /// When they fail.
    pub async fn sql(&self, database: &str, statements: &str) -> String {
        let printed = self.try_sql(database, statements).await;
        printed.unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    async fn try_sql(&self, database: &str, statements: &str) -> Result<String, process::Finished> {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database]);
        psql.args(["-p", &self.port.to_string(), "-c", statements, "-h"]).arg(self.folder.path());
        let finished = process::run(psql, LONGEST).await;
        if finished.code == Some(0) { Ok(finished.stdout) } else { Err(finished) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of PostgreSQL's programs, as its user, in a folder that this user may enter.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.take_down();
    }
}

/// A database behind a port, as the server's command line takes it.
#[must_use]
pub fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{database}")
}

/// Where `./dev test` found the programs.
fn programs() -> PathBuf {
    let set = std::env::var_os("POSTERN_POSTGRES").filter(|value| !value.is_empty());
    let Some(folder) = set.map(PathBuf::from) else {
        panic!(
            "POSTERN_POSTGRES is not set, so PostgreSQL's programs are unknown: run ./dev test, \
             which sets it"
        );
    };
    for program in ["initdb", "pg_ctl", "postgres", "psql"] {
        let path = folder.join(program);
        assert!(
            path.is_file(),
            "POSTERN_POSTGRES names a folder without {program}, {}: run ./dev test, which gets \
             PostgreSQL",
            folder.display()
        );
    }
    folder
}

/// Hands a folder of root's to somebody else.
fn owner_of(folder: &Path) -> Option<Owner> {
    let is_root = fs::metadata(folder).expect("the folder").uid() == 0;
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the users of this machine");
    let owner = OTHER_USERS.iter().find_map(|name| find_user(&users, name));
    let owner = owner.unwrap_or_else(|| {
        panic!("PostgreSQL does not run as root, and there is no user {}", OTHER_USERS.join(", "))
    });
    chown(folder, Some(owner.uid), Some(owner.gid)).expect("a folder of that user");
    Some(owner)
}

/// `name:password:uid:gid:…`
fn find_user(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some(Owner { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\n+::::::\npostgres:x:101:104:,,,:/var:/bin/sh";
        let postgres = find_user(users, "postgres").unwrap();
        assert_eq!((postgres.uid, postgres.gid), (101, 104));
        assert!(find_user(users, "post").is_none());
    }
}
