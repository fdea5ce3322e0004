//! Authorization servers that are asked without an Envoy, and what signs beside them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_e2e::oauth::PASSWORD;
use postern_e2e::ports;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Side, Starter, Station, options};
use crate::accounts::{Accounts, ClientAccount};
use crate::connection::Connection;
use crate::cpu::Place;
use crate::database::{Database, Revoked};
use crate::documents::identity::{self, Hashing};
use crate::entries::{Asked, Entry};
use crate::launcher::START;
use crate::load::{self, Target};
use crate::posts::{self, Post};
use crate::refresh_load;

/// Signed by, as the header of an access token of ours begins.
const RS256: &[u8] = b"{\"alg\":\"RS256\"";
/// Connections that tokens are fetched over.
const FETCHERS: usize = 4;
/// People whose refresh tokens are exchanged, and how often each has logged in.
const PEOPLE: usize = 8;
const LOG_INS: usize = 64;

impl Starter<'_> {
    /// Runs where an authorization server would be measured.
    pub(super) async fn signer(&self, entry: &'static Entry) -> Result<Station> {
        let folder = self.launcher.folder_of(entry.name)?;
        let (process, port) = self.launcher.own_server(&folder, "sign", Place::Gateway).await?;
        let mut side = Side::default();
        side.pids.server = Some(process.pid());
        side.processes.push(process);
        Ok(side.into_station(entry, Target::Signer { server: ports::local(port) }, None))
    }

    /// A server of its own, with its state in memory and SQLite. What it is to be asked is made
    /// before anything is measured.
    pub(super) async fn identity(&self, entry: &'static Entry, asked: Asked) -> Result<Station> {
        let folder = self.launcher.folder_of(entry.name)?;
        let document = identity::write(&folder, Hashing::Cheap)?;
        let database = Database::make(&self.launcher.home, &folder, Revoked::Nobody).await?;
        let accounts = Accounts::of(self.launcher, &database, &document);
        accounts.key().await?;
        let client = accounts.client("asks-for-tokens", &[]).await?;
        let people = match asked {
            Asked::Refresh => people(&accounts).await?,
            _ => Vec::new(),
        };
        let judge = match asked {
            Asked::Introspection { .. } => {
                let stands_for = ["--may-introspect", identity::ISSUER];
                Some(accounts.client("asks-about-tokens", &stands_for).await?)
            }
            _ => None,
        };

        let options = options(&folder, &document, "memory", Some(&database));
        let (mut server, ports) = self.launcher.postern(&options, &[], Place::Gateway).await?;
        let grant = Post::grant(&client);
        server.until(START, || grants(ports.public, &grant)).await?;
        let made = match (asked, judge) {
            (Asked::Introspection { tokens }, Some(judge)) => {
                Box::pin(ask_about(&folder, ports.public, &grant, &judge, tokens)).await
            }
            (Asked::Refresh, _) => Box::pin(log_in(&folder, ports.public, &people)).await,
            _ => posts::write(&folder, &[grant]),
        };
        if let Err(problem) = made {
            bail!("{problem:#}\n{}", server.tail());
        }
        let (port, entry_name) = (ports.public, entry.name);
        let target = match asked {
            Asked::Refresh => Target::RefreshTokens { port, entry: entry_name },
            _ => Target::Posts { port, entry: entry_name },
        };
        let mut side = Side { metrics: Some(ports.metrics), ..Side::default() };
        side.pids.server = Some(server.pid());
        side.processes.push(server);
        side.database = Some(database);
        Ok(side.into_station(entry, target, None))
    }
}

/// That there are tokens to be had, and by RS256.
async fn grants(port: u16, grant: &Post) -> Result<(), String> {
    let attempt = async {
        let mut connection = Connection::open(port).await?;
        granted(&mut connection, &grant.bytes()).await
    };
    let token = attempt.await.map_err(|error| format!("{error:#}"))?;
    if is_rs256(&token) { Ok(()) } else { Err(format!("not by RS256: {token}")) }
}

fn is_rs256(token: &str) -> bool {
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    header.is_some_and(|header| header.starts_with(RS256))
}

/// A token that was asked for.
async fn granted(connection: &mut Connection, grant: &[u8]) -> Result<String> {
    let (status, body) = connection.ask(grant).await?;
    let answer = || format!("{status} {}", String::from_utf8_lossy(body));
    let read: Value = serde_json::from_slice(body).with_context(answer)?;
    let token = read.get("access_token").and_then(Value::as_str).map(str::to_owned);
    token.with_context(answer)
}

/// Fetches tokens, and writes what asks about each.
async fn ask_about(
    folder: &Path,
    port: u16,
    grant: &Post,
    judge: &ClientAccount,
    count: usize,
) -> Result<()> {
    eprintln!("  fetching {count} tokens");
    let mut fetchers = JoinSet::new();
    for fetcher in 0..FETCHERS {
        let (share, grant) = ((fetcher..count).step_by(FETCHERS).count(), grant.bytes());
        fetchers.spawn(async move {
            let mut connection = Connection::open(port).await?;
            let mut tokens = Vec::with_capacity(share);
            for _ in 0..share {
                tokens.push(granted(&mut connection, &grant).await?);
            }
            anyhow::Ok(tokens)
        });
    }
    let mut questions = Vec::with_capacity(count);
    while let Some(fetched) = fetchers.join_next().await {
        let tokens = fetched.context("a fetcher's task")??;
        questions.extend(tokens.iter().map(|token| Post::introspection(judge, token)));
    }
    let first = questions.first().context("no token was fetched")?;
    let mut connection = Connection::open(port).await?;
    let (status, body) = connection.ask(&first.bytes()).await?;
    let answer = String::from_utf8_lossy(body);
    if status != 200 || !answer.contains("\"active\":true") {
        bail!("a token that is good is not said to be: {status} {answer}");
    }
    posts::write(folder, &questions)
}

/// Makes those who log in; their e-mails.
async fn people(accounts: &Accounts<'_>) -> Result<Vec<String>> {
    let mut emails = Vec::with_capacity(PEOPLE);
    for number in 0..PEOPLE {
        let email = format!("person-{number}@example.test");
        accounts.user(&email).await?;
        emails.push(email);
    }
    Ok(emails)
}

/// Logs people in, and writes their refresh tokens.
async fn log_in(folder: &Path, port: u16, people: &[String]) -> Result<()> {
    eprintln!("  logging in {} times", people.len() * LOG_INS);
    let mut connection = Connection::open(port).await?;
    let mut tokens = Vec::with_capacity(people.len() * LOG_INS);
    for email in people {
        let request = Post::log_in(email, PASSWORD).bytes();
        for _ in 0..LOG_INS {
            let (status, body) = connection.ask(&request).await?;
            let token = refresh_load::next(body);
            tokens.push(token.with_context(|| {
                format!("{email} cannot log in: {status} {}", String::from_utf8_lossy(body))
            })?);
        }
    }
    refresh_load::write(&load::refresh_tokens(folder), &tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithm_of_a_token_stands_first_in_its_header() {
        let token = |header: &str| format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header));
        assert!(is_rs256(&token(r#"{"alg":"RS256","typ":"at+jwt","kid":"k"}"#)));
        assert!(!is_rs256(&token(r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#)));
        assert!(!is_rs256("") && !is_rs256("!.e30.c2ln"));
    }
}
