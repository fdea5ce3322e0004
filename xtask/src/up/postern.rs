//! The calls of the `postern` binary that `up` makes, in one place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths::Workspace;
use crate::up::ports::{Ports, address};
use crate::up::state::{Client, State, USERS, User};
use crate::{process, say};

/// Scopes of the sample client and of the token of the guide.
pub const SCOPES: &str = "content.read payments.read payments.write";
/// A guide is read over a working day, longer than a token lives by default.
const TOKEN_LIFETIME: &str = "8h";

/// The binary and what it works on.
pub struct Postern<'a> {
    binary: PathBuf,
    root: &'a Path,
    state: &'a State,
    volatile: Option<String>,
}

impl<'a> Postern<'a> {
    /// The binary that was just built, its volatile state at this URL or in memory.
    pub fn new(workspace: &'a Workspace, state: &'a State, volatile: Option<String>) -> Self {
        let binary = workspace.binary("debug", "postern");
        Self { binary, root: workspace.root(), state, volatile }
    }

    /// Checks the document; its problems are the error.
    pub fn check(&self) -> Result<()> {
        process::output(self.command(&["check"]).arg(self.state.document()))
            .context("the gateway document is broken")?;
        say::ok("the gateway document is in order");
        Ok(())
    }

    /// Brings the database up to date and makes a signing key if there is none.
    pub fn prepare_store(&self) -> Result<()> {
        process::output(&mut self.durable(&["migrate", "up"])).context("migrating the database")?;
        let keys = process::output(self.durable(&["keys", "list", "--json"]).args(self.key_file()))
            .context("listing the signing keys")?;
        let keys: Value = serde_json::from_str(&keys).context("the list of signing keys")?;
        let Some(keys) = keys.as_array() else {
            bail!("`postern keys list --json` did not print a list");
        };
        if keys.is_empty() {
            process::output(self.durable(&["keys", "rotate"]).args(self.key_file()))
                .context("making a signing key")?;
            say::ok("database ready, first signing key made");
        } else {
            say::ok(&format!("database ready, {} signing key(s)", keys.len()));
        }
        Ok(())
    }

    /// The sample client, made once.
    pub fn client(&self) -> Result<Client> {
        if let Some(client) = self.state.client()? {
            return Ok(client);
        }
        let mut command = self.durable(&["client", "create", "--json"]);
        command.args(["--name", "sample", "--scopes", SCOPES]);
        let text = process::output(&mut command).context("making the sample client")?;
        let client = self.state.keep_client(&text)?;
        say::ok(&format!("sample client {} made", client.id));
        Ok(client)
    }

    /// The users, made once.
    pub fn users(&self) -> Result<Vec<User>> {
        let made = USERS.map(|(name, email)| {
            if let Some(password) = self.state.password(name)? {
                return Ok(User { email, password });
            }
            let mut command = self.durable(&["user", "create", "--json", "--generate"]);
            command.arg("--document").arg(self.state.document());
            command.args(["--email", email, "--first-name", name, "--last-name", "Example"]);
            if name == "admin" {
                command.arg("--admin");
            }
            let text = process::output(&mut command).context("making a user")?;
            let password = self.state.keep_user(name, &text)?;
            say::ok(&format!("user {email} made"));
            Ok(User { email, password })
        });
        made.into_iter().collect()
    }

    /// A token for `alice` with these scopes.
    pub fn token(&self, scopes: &str) -> Result<String> {
        let text = process::output(&mut self.token_command(scopes)).context("issuing a token")?;
        let token = text.trim();
        if token.split('.').count() != 3 {
            bail!("`postern token issue` did not print a token");
        }
        Ok(token.to_owned())
    }

    /// How to issue another token by hand.
    pub fn token_line(&self) -> String {
        let command = self.token_command(SCOPES);
        process::shown(&command).replace(SCOPES, &format!("'{SCOPES}'"))
    }

    /// Renders Envoy's configuration and returns its file. Over xDS, the server tells the rest.
    pub fn render(&self, ports: &Ports, wasm: &Path, xds: bool) -> Result<PathBuf> {
        let mut command = self.command(&["render", "envoy"]);
        if xds {
            command.args(["--source", "ads", "--xds-server", &address(ports.grpc)]);
        }
        command
            .arg(self.state.document())
            .arg("--out")
            .arg(self.state.folder())
            .args(["--listen", &address(ports.envoy)])
            .args(["--envoy-admin", &address(ports.envoy_admin)])
            .args(["--server-grpc", &address(ports.grpc)])
            .args(["--server-public", &address(ports.public)])
            .arg("--wasm")
            .arg(wasm);
        process::output(&mut command).context("rendering Envoy's configuration")?;
        Ok(self.state.folder().join("envoy.json"))
    }

    /// The server, all roles in one process.
    pub fn serve(&self, ports: &Ports) -> Command {
        let mut command = self.command(&["serve"]);
        command
            .arg(self.state.document())
            .args(["--grpc-address", &address(ports.grpc)])
            .args(["--public-address", &address(ports.public)])
            .args(["--admin-address", &address(ports.admin)])
            .args(["--metrics-address", &address(ports.metrics)])
            .args(["--durable", &self.state.durable()])
            .args(self.key_file())
            .args(["--drain-seconds", "2"]);
        match &self.volatile {
            // It may hold a password, and everybody on this machine can read command lines.
            Some(url) => command.args(["--volatile", "env:REDIS_URL"]).env("REDIS_URL", url),
            None => command.args(["--volatile", "memory"]),
        };
        command
    }

    fn token_command(&self, scopes: &str) -> Command {
        let mut command = self.durable(&["token", "issue", "--subject", "alice"]);
        command.args(["--scope", scopes, "--ttl", TOKEN_LIFETIME, "--document"]);
        command.arg(self.state.document()).args(self.key_file());
        command
    }

    fn durable(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.args(["--durable", &self.state.durable()]);
        command
    }

    fn key_file(&self) -> [OsString; 2] {
        ["--key-file".into(), self.state.key_file().into()]
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.root).args(words);
        command
    }
}
