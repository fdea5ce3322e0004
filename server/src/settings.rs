//! Values that come from the command line, the document or the environment.

use std::env::VarError;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, bail};
use postern_document::{Document, parse_duration_ms};
use postern_identity::{
    EnvKey, FileKey, IdentityError, KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey, KeySource,
    LoginRules, MAX_LIFETIME_SECS,
};
use postern_oauth::{ScopeSet, Secret};
use postern_store::IdentityStore;
use postern_store::durable::DurableStore;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store_sql::{SqlError, SqlStore};
use zeroize::Zeroizing;

use crate::cli::KeyFile;

/// How long sessions live where the document does not say so: longer than it may.
const LONGEST_SESSION_SECS: u64 = 366 * 86_400;

/// How long a session that somebody logged in to lives at most. The end of one that cannot be
/// reached is remembered for as long.
pub fn longest_session_secs(document: &Document) -> u64 {
    let session = document.login.as_ref().map(|login| &login.session);
    let longest = session.map(|session| session.absolute_ms.max(session.remembered_ms) / 1000);
    longest.unwrap_or(LONGEST_SESSION_SECS)
}

/// What the document says of logging in; none where nobody does.
pub fn login_rules(document: &Document) -> Option<LoginRules> {
    let login = document.login.clone()?;
    let issuer = document.issuer.clone().unwrap_or_default();
    let (replicas, proxies) = (document.stores.replicas, document.trusted_proxies);
    Some(LoginRules { issuer, login, replicas, trusted_proxies: usize::from(proxies) })
}

/// A store's address: `env:NAME` is looked up, everything else stands for itself. `of` is where it
/// was named: an option, or a field.
///
/// # Errors
/// When the variable is not set. Its value is never repeated.
pub fn resolve(of: &str, address: &str) -> Result<String> {
    let Some(name) = address.strip_prefix("env:") else {
        return Ok(address.to_owned());
    };
    // Whoever wrote an address here instead of a name may have written a password.
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        bail!("{of}: after `env:` comes the name of an environment variable");
    }
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        Ok(_) | Err(VarError::NotPresent) => {
            bail!("{of}: the environment variable {name} is not set")
        }
        Err(VarError::NotUnicode(_)) => bail!("{of}: the environment variable {name} is not UTF-8"),
    }
}

/// Longest secret that is read from a file, in bytes.
const MAX_SECRET_BYTES: usize = 4096;

/// A secret that stands elsewhere: `env:NAME`, or `file:PATH`, whose line end is no part of it.
/// `of` is what it is the secret of.
///
/// # Errors
/// When it is not there, or cannot be one. Nothing of it is repeated.
pub fn secret(of: &str, place: &str) -> Result<Secret> {
    let text = match place.strip_prefix("file:") {
        Some(path) => {
            let read = std::fs::read_to_string(path).map(Zeroizing::new);
            let read = read.with_context(|| format!("{of}: cannot read {path}"))?;
            Zeroizing::new(read.trim_end_matches(['\r', '\n']).to_owned())
        }
        None if place.starts_with("env:") => Zeroizing::new(resolve(of, place)?),
        None => bail!("{of}: say where it is, env:NAME or file:PATH"),
    };
    let is_visible = |byte: u8| (0x20..=0x7e).contains(&byte);
    if text.is_empty() || text.len() > MAX_SECRET_BYTES || !text.bytes().all(is_visible) {
        bail!("{of}: it must be 1 to {MAX_SECRET_BYTES} characters of ASCII on one line");
    }
    Ok(Secret::new(String::clone(&text)))
}

/// The address of the store that the option `--NAME` gives, or else the document's field
/// `stores.NAME`; none where neither names one.
///
/// # Errors
/// As [`resolve`].
pub fn store(name: &str, given: Option<&str>, written: Option<&str>) -> Result<Option<String>> {
    let (of, address) = match (given, written) {
        (Some(address), _) => (format!("--{name}"), address),
        (None, Some(address)) => (format!("`stores.{name}` of the document"), address),
        (None, None) => return Ok(None),
    };
    resolve(&of, address).map(Some)
}

/// A duration such as `15m`, in seconds.
///
/// # Errors
/// When it is none, or zero.
pub fn seconds(text: &str) -> Result<u64> {
    match parse_duration_ms(text) {
        Some(millis) if millis >= 1000 => Ok(millis / 1000),
        _ => bail!("`{text}` is not a duration of at least a second, such as 30s, 15m or 24h"),
    }
}

/// Durations that an option takes.
pub struct Bounds {
    /// In seconds.
    pub secs: RangeInclusive<u64>,
    /// The same, as it is written.
    pub written: &'static str,
}

/// How long access tokens may live.
pub const TOKEN_LIFETIME: Bounds = Bounds { secs: 1..=MAX_LIFETIME_SECS, written: "1s to 24h" };

/// The duration that an option gives, in seconds.
///
/// # Errors
/// When it is none, or out of bounds; with the option's name and what it takes.
pub fn seconds_within(option: &str, text: &str, bounds: &Bounds) -> Result<u64> {
    let read = parse_duration_ms(text).map(|millis| millis / 1000);
    read.filter(|secs| bounds.secs.contains(secs)).with_context(|| {
        let written = bounds.written;
        format!("{option}: `{text}` is no duration of {written}, with its unit: 30s, 15m, 24h, 90d")
    })
}

/// Scopes, separated by spaces. A scope may hold a comma (RFC 6749 §3.3), but on a command line
/// one is meant to separate, and a scope that nobody asks for would go unnoticed.
///
/// # Errors
/// When there is a comma, or a scope is malformed; with the option's name.
pub fn scopes(option: &str, text: &str) -> Result<ScopeSet> {
    if text.contains(',') {
        bail!(
            "{option}: scopes are separated by spaces, not by commas: \"content.read payments.read\""
        );
    }
    ScopeSet::parse(text).with_context(|| option.to_owned())
}

/// A text that ends up in a header, where a space at its ends would get lost.
///
/// # Errors
/// When there is one; with the option's name.
pub fn trimmed(option: &str, text: &str) -> Result<String> {
    if text.trim() != text {
        bail!("{option}: `{text}` begins or ends with a space");
    }
    Ok(text.to_owned())
}

/// As [`trimmed`], where the option was given.
///
/// # Errors
/// As [`trimmed`].
pub fn trimmed_option(option: &str, text: Option<&str>) -> Result<Option<String>> {
    text.map(|text| trimmed(option, text)).transpose()
}

/// The durable store of the option `--durable`, its migrations applied.
///
/// # Errors
/// When it cannot be opened, or a migration is pending.
pub async fn durable(address: &str) -> Result<Arc<dyn DurableStore>> {
    let store = identity_store(address).await?;
    Ok(store)
}

/// As [`durable`], with users and all else that the authorization server keeps.
///
/// # Errors
/// As [`durable`].
pub async fn identity_store(address: &str) -> Result<Arc<dyn IdentityStore>> {
    open_durable(&resolve("--durable", address)?).await
}

/// As [`durable`], by an address that is resolved.
///
/// # Errors
/// As [`durable`].
pub async fn open_durable(address: &str) -> Result<Arc<dyn IdentityStore>> {
    if address == "memory" {
        return Ok(Arc::new(MemoryDurableStore::new()));
    }
    let store = SqlStore::open_migrated(address).await.map_err(|e| naming(e, address))?;
    Ok(Arc::new(store))
}

/// An error of a database with the database's name, where the error does not have it.
pub fn naming(error: SqlError, address: &str) -> Error {
    match error {
        SqlError::Database(_) | SqlError::Corrupt(_) | SqlError::Migration { .. } => {
            Error::new(error).context(format!("durable store {}", shown(address)))
        }
        named => named.into(),
    }
}

/// A store's address with nothing in it that may be secret: a file's path, else the scheme.
fn shown(address: &str) -> &str {
    if is_sqlite(address) {
        return address;
    }
    address.split_once("://").map_or("…", |(scheme, _)| scheme)
}

/// Whether an address that is resolved names a file of this host, which replicas cannot share.
pub fn is_sqlite(address: &str) -> bool {
    address.starts_with("sqlite:")
}

/// The file that an address names, if it is not there. To open it would make it.
pub fn missing_file(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    // What is no path is for the store to refuse.
    if path.is_empty() || path.starts_with(':') || path.contains(['?', '#']) {
        return None;
    }
    let path = PathBuf::from(path);
    (!path.exists()).then_some(path)
}

/// Where the encryption key comes from, in the words of whoever can change that.
pub fn key_place(arguments: &KeyFile) -> String {
    match (&arguments.key_file, &arguments.key_command) {
        (Some(file), _) => format!("--key-file {}", file.display()),
        (None, Some(command)) => command.place(),
        (None, None) => KEY_ENCRYPTION_KEY_ENV.to_owned(),
    }
}

/// What brings the encryption key; none where nothing does.
fn key_source(arguments: &KeyFile) -> Result<Option<Box<dyn KeySource>>> {
    let source: Box<dyn KeySource> = match (&arguments.key_file, &arguments.key_command) {
        (Some(_), Some(_)) => bail!(
            "--key-file and --key-command: name one of them (POSTERN_KEY_FILE and \
             POSTERN_KEY_COMMAND count, too)"
        ),
        (Some(file), None) => Box::new(FileKey(file.clone())),
        (None, Some(command)) => Box::new(command.clone()),
        (None, None) => match EnvKey::read()? {
            Some(variable) => Box::new(variable),
            None => return Ok(None),
        },
    };
    Ok(Some(source))
}

/// The encryption key, from a file, a program or the environment; none when neither is given.
///
/// # Errors
/// When it is given and cannot be read.
pub fn optional_key(arguments: &KeyFile) -> Result<Option<KeyEncryptionKey>> {
    let Some(source) = key_source(arguments)? else { return Ok(None) };
    match source.fetch() {
        Ok(key) => Ok(Some(key)),
        // Its own text names the file, and not the option.
        Err(IdentityError::KeyEncryptionKey { reason, .. }) => {
            bail!("{}: {reason}", key_place(arguments))
        }
        Err(error) => Err(error.into()),
    }
}

/// The encryption key, which must be given.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn require_key(arguments: &KeyFile) -> Result<KeyEncryptionKey> {
    optional_key(arguments)?.with_context(|| {
        format!(
            "name the file with the encryption key (--key-file), a program that brings it \
             (--key-command), or set {KEY_ENCRYPTION_KEY_ENV}"
        )
    })
}

/// What was done with stored keys; where they do not open, the error names the key that was
/// tried.
///
/// # Errors
/// That of the keys.
pub fn opened<T>(result: Result<T, IdentityError>, arguments: &KeyFile) -> Result<T> {
    result.map_err(|error| match error {
        IdentityError::Unseal { .. } => {
            let place = key_place(arguments);
            Error::new(error).context(format!("{place} is not the key of this database"))
        }
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_shown_with_its_password() {
        for (address, expected) in [
            ("sqlite:/var/a.db", "sqlite:/var/a.db"),
            ("postgres://u:hush@db/gate", "postgres"),
            ("hush", "…"),
        ] {
            assert_eq!(shown(address), expected);
        }
        let error = resolve("--durable", "env:postgres://u:hush@db/gate").unwrap_err();
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_told_with_who_asked_for_it() {
        let nowhere = Some("env:POSTERN_NO_SUCH_VARIABLE");
        let field = "`stores.volatile` of the document";
        for (given, written, of) in [
            (nowhere, None, "--volatile"),
            (nowhere, nowhere, "--volatile"),
            (None, nowhere, field),
        ] {
            let error = store("volatile", given, written).unwrap_err().to_string();
            let expected =
                format!("{of}: the environment variable POSTERN_NO_SUCH_VARIABLE is not set");
            assert_eq!(error, expected);
        }
        assert_eq!(store("volatile", None, None).unwrap(), None);
        assert_eq!(store("volatile", Some("memory"), nowhere).unwrap().as_deref(), Some("memory"));
    }

    #[test]
    fn a_secret_is_read_from_where_it_is_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let place = format!("file:{}", path.display());
        for (text, expected) in [
            ("hush", Some("hush")),
            ("hush\n", Some("hush")),
            ("hu sh\r\n", Some("hu sh")),
            ("", None),
            ("\n", None),
            ("hush\nhush", None),
            ("hüsh", None),
            (&"h".repeat(5000), None),
        ] {
            std::fs::write(&path, text).unwrap();
            match (secret("the secret", &place), expected) {
                (Ok(read), Some(expected)) => assert_eq!(read.expose(), expected),
                (Err(error), None) => assert!(!format!("{error:#}").contains("hush"), "{error:#}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
        for place in ["file:/no/such/file", "env:POSTERN_NO_SUCH_VARIABLE", "env:", "hush"] {
            let error = format!("{:#}", secret("the secret", place).unwrap_err());
            assert!(error.contains("the secret") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_duration_out_of_bounds_is_told_with_its_option_and_them() {
        let read = |text| seconds_within("--ttl", text, &TOKEN_LIFETIME);
        assert_eq!((read("1s").unwrap(), read("24h").unwrap()), (1, 86_400));
        for text in ["90", "", "0s", "500ms", "25h", "1d1", "soon"] {
            let error = read(text).unwrap_err().to_string();
            let expected = format!("--ttl: `{text}` is no duration of 1s to 24h, ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn scopes_are_separated_by_spaces() {
        assert_eq!(scopes("--scopes", "a b").unwrap().names(), ["a", "b"]);
        let error = scopes("--scopes", "a,b").unwrap_err().to_string();
        assert!(error.contains("--scopes") && error.contains("spaces"), "{error}");
        let error = trimmed("--subject", "a ").unwrap_err().to_string();
        assert!(error.contains("--subject") && error.contains("space"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_known_before_it_is_made() {
        let nowhere = Some(PathBuf::from("/no/such/a.db"));
        assert_eq!(missing_file("sqlite:/no/such/a.db"), nowhere);
        assert_eq!(missing_file("sqlite:///no/such/a.db"), nowhere);
        for other in ["sqlite:", "sqlite::memory:", "postgres://db/gate", "sqlite:/"] {
            assert_eq!(missing_file(other), None, "{other}");
        }
    }
}
