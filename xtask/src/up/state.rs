//! What `up` remembers between two starts, in `.postern/up-<port>/`.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths::Workspace;
use crate::say;
use crate::up::ports::{self, Ports};

/// In the sample document, in front of an API key that it accepts.
const SAMPLE_KEY: &str = "# sample key:";

/// In the sample document, what a gateway on one machine can have without saying more.
const WITHOUT_REVOCATION: &str = "# revocation:\n#   max_staleness: 1m\n#   when_stale: deny\n";

/// Who can log in: a short name, and the e-mail address.
pub const USERS: [(&str, &str); 2] = [("student", "student@example.test"), ("admin", ADMIN)];

/// The one whose tokens open the admin API.
pub const ADMIN: &str = "admin@example.test";

/// The folder and what is in it.
pub struct State {
    folder: PathBuf,
    api_key: Option<String>,
}

/// A client of the OAuth endpoints.
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its `client_secret`, known here alone: the server keeps a hash.
    pub secret: String,
}

/// Somebody who logs in.
pub struct User {
    /// With this e-mail address.
    pub email: &'static str,
    /// With this password, known here alone: the server keeps a hash.
    pub password: String,
}

impl State {
    /// Makes the folder ready: the document for these ports, and a key file.
    pub fn open(workspace: &Workspace, ports: &Ports) -> Result<Self> {
        let folder = workspace.state().join(format!("up-{}", ports.envoy));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let sample = workspace.root().join("envoy").join("sample.yaml");
        let text =
            fs::read_to_string(&sample).with_context(|| format!("reading {}", sample.display()))?;
        let state = Self { folder, api_key: sample_key(&text) };
        let document = state.document();
        fs::write(&document, for_ports(&with_revocation(&text)?, ports))
            .with_context(|| format!("writing {}", document.display()))?;
        state.forget_halves()?;
        state.ensure_key_file()?;
        Ok(state)
    }

    /// The gateway document: the sample, with the addresses of this start.
    pub fn document(&self) -> PathBuf {
        self.folder.join("gateway.yaml")
    }

    /// The key that seals private keys in the database.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// The durable store as the command line names it.
    pub fn durable(&self) -> String {
        format!("sqlite:{}", self.database().display())
    }

    /// Where Envoy's configuration is rendered to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log of a program.
    pub fn log(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    /// The API key that the sample document accepts, if it names one.
    pub fn api_key(&self) -> Option<&str> {
        self.api_key.as_deref()
    }

    /// The client made by an earlier start.
    pub fn client(&self) -> Result<Option<Client>> {
        let path = self.client_file();
        match fs::read_to_string(&path) {
            Ok(text) => parse_client(&text)
                .map(Some)
                .with_context(|| format!("{} is broken; remove it", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Keeps the answer of `client create`, for us alone to read.
    pub fn keep_client(&self, text: &str) -> Result<Client> {
        let client =
            parse_client(text).context("`postern client create` answered something else")?;
        write_private(&self.client_file(), text)?;
        Ok(client)
    }

    /// The password that an earlier start made for a user.
    pub fn password(&self, user: &str) -> Result<Option<String>> {
        let path = self.user_file(user);
        match fs::read_to_string(&path) {
            Ok(text) => parse_password(&text)
                .map(Some)
                .with_context(|| format!("{} is broken; remove it", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Keeps the answer of `user create`, for us alone to read.
    pub fn keep_user(&self, user: &str, text: &str) -> Result<String> {
        let password =
            parse_password(text).context("`postern user create` answered something else")?;
        write_private(&self.user_file(user), text)?;
        Ok(password)
    }

    fn user_file(&self, user: &str) -> PathBuf {
        self.folder.join(format!("user-{user}.json"))
    }

    fn database(&self) -> PathBuf {
        self.folder.join("postern.db")
    }

    fn client_file(&self) -> PathBuf {
        self.folder.join("client.json")
    }

    /// Key file and database belong together: signing keys sealed with a lost
    /// key file help nobody, nor does a client of a lost database.
    fn forget_halves(&self) -> Result<()> {
        if self.key_file().exists() && self.database().exists() {
            return Ok(());
        }
        let files = ["key", "client.json", "postern.db", "postern.db-wal", "postern.db-shm"];
        let users = USERS.map(|(name, _)| self.user_file(name));
        for path in files.map(|name| self.folder.join(name)).into_iter().chain(users) {
            match fs::remove_file(&path) {
                Ok(()) => say::note(&format!("removed {}: its other half is gone", path.display())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("removing {}", path.display()));
                }
            }
        }
        Ok(())
    }

    fn ensure_key_file(&self) -> Result<()> {
        let path = self.key_file();
        if path.exists() {
            return Ok(());
        }
        let mut bytes = [0_u8; 32];
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut bytes))
            .context("reading /dev/urandom")?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        write_private(&path, &format!("{hex}\n"))
    }
}

/// The sample document with what it says of revocation, in which it is a comment.
fn with_revocation(sample: &str) -> Result<String> {
    if !sample.contains(WITHOUT_REVOCATION) {
        bail!("envoy/sample.yaml does not say how revocation is turned on");
    }
    let with: String = WITHOUT_REVOCATION.lines().fold(String::new(), |text, line| {
        text + line.strip_prefix("# ").or_else(|| line.strip_prefix('#')).unwrap_or(line) + "\n"
    });
    Ok(sample.replace(WITHOUT_REVOCATION, &with))
}

/// The sample document speaks of the default ports. The upstream's address
/// waits behind a character that no YAML holds, because one port's new number
/// may be another one's old number.
fn for_ports(sample: &str, ports: &Ports) -> String {
    let url = |port| format!("http://{}", ports::address(port));
    sample
        .replace(&ports::address(ports::DEFAULT.upstream), "\0")
        .replace(&url(ports::DEFAULT.envoy), &url(ports.envoy))
        .replace('\0', &ports::address(ports.upstream))
}

fn sample_key(document: &str) -> Option<String> {
    document
        .lines()
        .find_map(|line| line.split_once(SAMPLE_KEY))
        .and_then(|(_, key)| key.split_whitespace().next())
        .map(str::to_owned)
}

fn parse_client(text: &str) -> Result<Client> {
    let [id, secret] = fields(text, ["client_id", "client_secret"])?;
    Ok(Client { id, secret })
}

fn parse_password(text: &str) -> Result<String> {
    let [password] = fields(text, ["password"])?;
    Ok(password)
}

/// Texts of a JSON object.
fn fields<const N: usize>(text: &str, names: [&str; N]) -> Result<[String; N]> {
    // A parse error would echo the text, and with it the secret.
    let value: Value = serde_json::from_str(text).map_err(|_| anyhow::anyhow!("it is not JSON"))?;
    let mut found = [const { String::new() }; N];
    for (place, name) in found.iter_mut().zip(names) {
        let text = value.get(name).and_then(Value::as_str);
        text.with_context(|| format!("it has no {name}"))?.clone_into(place);
    }
    Ok(found)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_moves_to_other_ports() {
        let sample = "issuer: http://127.0.0.1:8080\nupstream: 127.0.0.1:9195\n";
        let ports = Ports::new(Some(18080)).unwrap();
        assert_eq!(
            for_ports(sample, &ports),
            "issuer: http://127.0.0.1:18080\nupstream: 127.0.0.1:18086\n"
        );
        assert_eq!(for_ports(sample, &ports::DEFAULT), sample);
        let crossed = Ports::new(Some(8074)).unwrap();
        assert_eq!(for_ports("http://127.0.0.1:9195", &crossed), "http://127.0.0.1:8080");
    }

    #[test]
    fn revocation_is_turned_on_where_the_sample_has_it_in_a_comment() {
        let sample = include_str!("../../../envoy/sample.yaml");
        let with = with_revocation(sample).unwrap();
        assert!(
            with.contains("\nrevocation:\n  max_staleness: 1m\n  when_stale: deny\n"),
            "{with}"
        );
        assert!(with_revocation("version: 1\n").is_err());
    }

    #[test]
    fn the_sample_key_is_found_in_its_comment() {
        let text = "keys:\n  # sample key: pk_sample_abc\n  - hash: 00\n";
        assert_eq!(sample_key(text).as_deref(), Some("pk_sample_abc"));
        assert_eq!(sample_key("# sample key:\n"), None);
        assert_eq!(sample_key("keys: []\n"), None);
    }

    #[test]
    fn a_broken_client_never_echoes_its_secret() {
        let client = parse_client(r#"{"client_id": "a", "client_secret": "b"}"#).unwrap();
        assert_eq!((client.id.as_str(), client.secret.as_str()), ("a", "b"));
        for text in [r#"{"client_id": "a", "client_secret": hush}"#, r#"{"client_id": "a"}"#, ""] {
            let error = parse_client(text).err().unwrap();
            assert!(!format!("{error:#}").contains("hush"));
        }
    }
}
