//! The key, the clients and the users of an authorization server, made by `postern`'s own command
//! line before the server runs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_e2e::oauth::PASSWORD;
use postern_e2e::server::Durable;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::database::Database;
use crate::documents::identity::{ROLE, SCOPES};
use crate::launcher::Launcher;

/// The longest that a command may take.
const LONGEST: Duration = Duration::from_secs(60);
/// Longer than all rounds together.
const LIFETIME: &str = "24h";

/// Makes them in one durable store.
#[derive(Debug)]
pub struct Accounts<'a> {
    program: &'a Path,
    durable: Durable,
    document: &'a Path,
}

/// A client that has a secret.
pub struct ClientAccount {
    /// Its name.
    pub id: String,
    /// What it proves that by.
    pub secret: String,
}

impl<'a> Accounts<'a> {
    /// In this store, by this document.
    pub fn of(launcher: &'a Launcher, database: &Database, document: &'a Path) -> Self {
        Self { program: &launcher.parts.postern, durable: database.durable(), document }
    }

    /// Makes the first key that signs.
    pub async fn key(&self) -> Result<()> {
        self.run(self.durable.arguments_with_key(&["keys", "rotate"]), "").await.map(drop)
    }

    /// Makes a client that gets tokens of its own, with more options of the command line.
    pub async fn client(&self, name: &str, more: &[&str]) -> Result<ClientAccount> {
        let words = ["client", "create", "--json", "--name", name, "--scopes", SCOPES];
        let lifetime = ["--lifetime", LIFETIME];
        let arguments = self.durable.arguments(&[&words[..], &lifetime[..], more].concat());
        let made: Value = serde_json::from_str(&self.run(arguments, "").await?)
            .context("a client that was made is not told as JSON")?;
        let text = |name: &str| made.get(name).and_then(Value::as_str).map(str::to_owned);
        let (id, secret) = text("client_id")
            .zip(text("client_secret"))
            .context("a client that was made has no secret")?;
        Ok(ClientAccount { id, secret })
    }

    /// Makes a user who logs in with [`PASSWORD`].
    pub async fn user(&self, email: &str) -> Result<()> {
        let document = self.document.to_str().context("the document's path is no text")?;
        let words = ["user", "create", "--document", document, "--email", email, "--role", ROLE];
        let names = ["--first-name", "Ada", "--last-name", "Byron", "--password-stdin"];
        let arguments = self.durable.arguments(&[&words[..], &names[..]].concat());
        self.run(arguments, PASSWORD).await.map(drop)
    }

    /// Runs a command to its end; what it prints.
    async fn run(&self, arguments: Vec<String>, input: &str) -> Result<String> {
        let named = arguments.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ");
        let mut command = Command::new(self.program);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting postern {named}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may have ended already.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        let output = timeout(LONGEST, child.wait_with_output()).await;
        let output = output.with_context(|| format!("postern {named} does not end"))?;
        let output = output.with_context(|| format!("reading what postern {named} says"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("postern {named} ended with {}:\n{errors}", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("postern {named} prints no text"))
    }
}
