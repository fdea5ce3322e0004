//! Refresh tokens, each exchanged for the next one, on as many connections as tokens are split
//! among.
//!
//! A program of its own (`postern-bench refresh-load`). A token is good once: what came of the
//! last ones goes back to the file that they were read from, for the next run.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cli::RefreshLoad;
use crate::connection::Connection;
use crate::latencies::Latencies;
use crate::posts::Post;

/// What all connections count.
#[derive(Default)]
struct Exchanges {
    latencies: Latencies,
    /// Answers without a next token.
    refused: AtomicU64,
}

/// Exchanges until the time is over, and prints what came of it.
pub async fn run(options: &RefreshLoad) -> Result<()> {
    let RefreshLoad { port, connections, seconds, .. } = *options;
    let exchanges = Arc::new(Exchanges::default());
    let shares = shares(read(&options.tokens)?, usize::try_from(connections)?);
    let mut open = Vec::with_capacity(shares.len());
    for share in shares {
        open.push((Connection::open(port).await?, share));
    }
    let began = Instant::now();
    let ends = began + Duration::from_secs(seconds.into());
    let mut callers = JoinSet::new();
    for (connection, share) in open {
        callers.spawn(Arc::clone(&exchanges).exchange(connection, share, ends));
    }
    let mut tokens = Vec::new();
    while let Some(ended) = callers.join_next().await {
        tokens.extend(ended.context("a connection's task")??);
    }
    let took = began.elapsed();
    write(&options.tokens, &tokens)?;
    let refused = exchanges.refused.load(Ordering::Relaxed);
    println!("{}", exchanges.latencies.outcome(took, refused).line());
    Ok(())
}

impl Exchanges {
    /// One token after the other, and again from the first; those that there are in the end.
    async fn exchange(
        self: Arc<Self>,
        mut connection: Connection,
        mut tokens: Vec<String>,
        ends: Instant,
    ) -> Result<Vec<String>> {
        loop {
            for token in &mut tokens {
                let began = Instant::now();
                if began >= ends {
                    return Ok(tokens);
                }
                let (status, body) = connection.ask(&Post::refresh(token).bytes()).await?;
                self.latencies.add(began.elapsed());
                match next(body).filter(|_| status == 200) {
                    Some(next) => *token = next,
                    None => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

/// The refresh token of an answer.
pub fn next(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer.get("refreshToken").and_then(Value::as_str).map(str::to_owned)
}

/// Writes tokens, one a line.
pub fn write(file: &Path, tokens: &[String]) -> Result<()> {
    let part = file.with_extension("part");
    fs::write(&part, tokens.join("\n")).with_context(|| format!("writing {}", part.display()))?;
    fs::rename(&part, file).with_context(|| format!("writing {}", file.display()))
}

fn read(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("reading {}", file.display()))?;
    let tokens: Vec<String> = text.lines().map(str::to_owned).collect();
    if tokens.is_empty() {
        bail!("{} is empty", file.display());
    }
    Ok(tokens)
}

/// No more shares than tokens, and each token in one of them.
fn shares(tokens: Vec<String>, connections: usize) -> Vec<Vec<String>> {
    let count = connections.min(tokens.len());
    let mut shares = vec![Vec::new(); count];
    for (number, token) in tokens.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(number % count.max(1)) {
            share.push(token);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_in_one_share() {
        let tokens = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        let split = shares(tokens(7), 3);
        assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 2]);
        let mut all = split.concat();
        all.sort();
        assert_eq!(all, tokens(7));
        assert_eq!(shares(tokens(2), 32).len(), 2, "no connection without a token");
        assert!(shares(tokens(0), 32).is_empty());
    }

    #[test]
    fn what_is_written_is_read() {
        let name = format!("postern-bench-refresh-{}.txt", std::process::id());
        let file = std::env::temp_dir().join(name);
        let tokens = vec!["a".to_owned(), "b".to_owned()];
        write(&file, &tokens).unwrap();
        assert_eq!(read(&file).unwrap(), tokens);
        write(&file, &[]).unwrap();
        assert!(read(&file).is_err(), "no token");
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_refusal_has_no_next_token() {
        let token = next(br#"{"accessToken":"a","refreshToken":"r","expiresIn":900}"#);
        assert_eq!(token.as_deref(), Some("r"));
        for refusal in [&b"{\"error\":\"invalid_grant\"}"[..], b"", b"{\"refreshToken\":1}"] {
            assert_eq!(next(refusal), None);
        }
    }
}
