//! Where a database is: `sqlite:PATH`, or `postgres://user:password@host:port/database`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::error::SqlError;

/// What a URL of PostgreSQL may say after the `?`.
const PARAMETERS: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
/// All of libpq's but `allow`: a mode that tries without TLS first has no place here.
const TLS_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/// A database's address. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub(crate) enum Address {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, SqlError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return sqlite(path).map_err(|reason| SqlError::Url { url: url.to_owned(), reason });
        }
        let schemes = ["postgres://", "postgresql://"];
        // What is refused may hold a password anywhere, so at most the scheme is repeated.
        let Some((scheme, rest)) =
            schemes.into_iter().find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?)))
        else {
            let mut reason = "it must begin with sqlite:, postgres:// or postgresql://".to_owned();
            if is_file(url) {
                reason.push_str("; did you mean sqlite:");
                reason.push_str(url);
                reason.push('?');
            }
            return Err(SqlError::Url { url: "…".to_owned(), reason });
        };
        let address = check_parameters(rest).and_then(|()| postgres(url, rest));
        address.map_err(|reason| SqlError::Url { url: format!("{scheme}…"), reason })
    }
}

/// Whether this can only be meant as a file: a database's usual ending, and nothing in front of it
/// that an address with a password has.
fn is_file(url: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let has_ending = [".db", ".sqlite", ".sqlite3"].iter().any(|ending| url.ends_with(ending));
    has_ending && url.bytes().all(is_plain)
}

/// `sqlite:PATH`; `sqlite://PATH` is read the same way.
fn sqlite(path: &str) -> Result<Address, String> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains(['?', '#']) {
        return Err("it must name a file, as in sqlite:/var/lib/postern/postern.db".to_owned());
    }
    Ok(Address::Sqlite(PathBuf::from(path)))
}

fn postgres(url: &str, rest: &str) -> Result<Address, String> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        // Errors about the URL's form do not repeat it; the usual cause is an unescaped password.
        format!("{error}; in a user or password, write : / ? # @ % as %3A %2F %3F %23 %40 %25")
    })?;
    let says = |name: &str| parameters(rest).any(|(known, _)| known == name);
    let before = rest.split_once('?').map_or(rest, |(before, _)| before);
    let (authority, database) = before.split_once('/').unwrap_or((before, ""));
    if authority.is_empty() && !says("host") {
        return Err(
            "it must name a host, or a socket's folder as in ?host=/run/postgresql".to_owned()
        );
    }
    if database.is_empty() && !says("dbname") {
        return Err("it must name a database, as in postgres://user@host:5432/postern".to_owned());
    }
    let verifies = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    if says("sslrootcert") && !verifies {
        return Err("sslrootcert is of use only with sslmode=verify-full or verify-ca".to_owned());
    }
    if says("sslcert") != says("sslkey") {
        return Err("sslcert and sslkey go together".to_owned());
    }
    Ok(Address::Postgres(Box::new(options)))
}

/// Misspelt parameters would be ignored by the driver, and its log would show their values.
fn check_parameters(rest: &str) -> Result<(), String> {
    if rest.contains('#') {
        return Err("it has no #; in a user or password, write it as %23".to_owned());
    }
    for (name, value) in parameters(rest) {
        if !PARAMETERS.contains(&name) {
            return Err(format!("an unknown parameter; known are {}", PARAMETERS.join(", ")));
        }
        if name == "sslmode" && !TLS_MODES.contains(&value) {
            return Err(format!("sslmode is one of {}", TLS_MODES.join(", ")));
        }
        if name == "port" && value.parse::<u16>().is_err() {
            return Err("port is a number up to 65535".to_owned());
        }
        if name == "statement-cache-capacity" && value.parse::<usize>().is_err() {
            return Err("statement-cache-capacity is a number".to_owned());
        }
    }
    Ok(())
}

fn parameters(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(options) => {
                let database = options.get_database().unwrap_or_default();
                let user = options.get_username();
                match options.get_socket() {
                    Some(folder) => {
                        write!(f, "postgres:///{database}?host={}&user={user}", folder.display())
                    }
                    None => {
                        let (host, port) = (options.get_host(), options.get_port());
                        write!(f, "postgres://{user}@{host}:{port}/{database}")
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_sqlite_name_a_file() {
        for (url, expected) in [
            ("sqlite:a.db", Some("sqlite:a.db")),
            ("sqlite:/var/a.db", Some("sqlite:/var/a.db")),
            ("sqlite:///var/a.db", Some("sqlite:/var/a.db")),
            ("sqlite:", None),
            ("sqlite://", None),
            ("sqlite::memory:", None),
            ("sqlite:a.db?mode=ro", None),
            ("a.db", None),
        ] {
            let address = Address::parse(url).ok();
            let found = address.as_ref().map(|address| match address {
                Address::Sqlite(_) => address.to_string(),
                Address::Postgres(_) => "PostgreSQL".to_owned(),
            });
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn urls_of_postgresql_name_host_and_database() {
        for (url, expected) in [
            ("postgres://postern:hush@db:5433/gate", "postgres://postern@db:5433/gate"),
            ("postgresql://postern@db.internal/gate", "postgres://postern@db.internal:5432/gate"),
            ("postgres://a%40b:hu%2Fsh@[::1]/gate", "postgres://a@b@[::1]:5432/gate"),
            (
                "postgres:///gate?user=postern&host=/run/postgresql",
                "postgres:///gate?host=/run/postgresql&user=postern",
            ),
            (
                "postgres://db/gate?user=u&password=hush&sslmode=verify-full&sslrootcert=/ca.pem",
                "postgres://u@db:5432/gate",
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.to_string(), expected, "{url}");
            assert_eq!(format!("{address:?}"), expected, "{url}");
        }
    }

    #[test]
    fn what_is_refused_says_why_and_shows_no_secret() {
        for (url, word) in [
            ("", "must begin with"),
            ("hush", "must begin with"),
            ("mysql://u:hush@db/gate", "must begin with"),
            ("hush://u:hush@db/gate", "must begin with"),
            ("postgres:u:hush@db/gate", "must begin with"),
            ("postgres://u:hush@db", "name a database"),
            ("postgres://u:hush@db/", "name a database"),
            ("postgres:///gate", "name a host"),
            ("postgres://u:hush@/gate", "host"),
            ("postgres://u:hush#1@db/gate", "%23"),
            ("postgres://u:hush/1@db/gate", "%2F"),
            ("postgres://u:hush@db:port/gate", "invalid port"),
            ("postgres://db/gate?pasword=hush", "unknown parameter"),
            ("postgres://db/gate?options=-c%20hush", "unknown parameter"),
            ("postgres://db/gate?sslmode=hush", "sslmode is one of"),
            ("postgres://db/gate?sslmode=allow", "sslmode is one of"),
            ("postgres://db/gate?sslrootcert=/hush.pem", "verify-full"),
            ("postgres://db/gate?sslcert=/hush.pem", "sslkey"),
            ("postgres://db/gate?port=hush", "port is"),
            ("postgres://db/gate?statement-cache-capacity=hush", "is a number"),
        ] {
            let error = Address::parse(url).unwrap_err();
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(text.contains(word), "{url}: {text}");
                assert!(!text.contains("hush"), "{url}: {text}");
            }
        }
    }

    #[test]
    fn a_file_without_its_scheme_is_guessed_and_nothing_else_is_repeated() {
        let told = |url: &str| Address::parse(url).unwrap_err().to_string();
        for file in ["postern.db", "./a/b-c_d.sqlite", "/var/lib/postern.sqlite3"] {
            assert!(told(file).contains(&format!("did you mean sqlite:{file}?")), "{file}");
        }
        for other in ["hush", "mysql://u:hush@h/a.db", "u:hush@a.db", "hush hush.db"] {
            let told = told(other);
            assert!(!told.contains("hush") && !told.contains("did you mean"), "{told}");
        }
    }
}
