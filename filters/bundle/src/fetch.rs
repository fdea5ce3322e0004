//! Fetching issuers' keys: on a timer, the last good ones kept, sooner after a failure.

use std::collections::BTreeMap;

use postern_filter_host::HttpCall;
use postern_jose::KeySet;
use postern_request::UnixMillis;

use crate::configuration::KeySource;

const TIMEOUT_MS: u64 = 5000;
const FIRST_RETRY_MS: u64 = 1000;
const LAST_RETRY_MS: u64 = 60_000;

/// One source and when it is due.
#[derive(Debug)]
struct Due {
    source: KeySource,
    at: UnixMillis,
    failures: u32,
}

/// All sources of a document.
#[derive(Debug, Default)]
pub(crate) struct KeyFetcher {
    due: Vec<Due>,
    in_flight: BTreeMap<u32, usize>,
}

impl KeyFetcher {
    pub(crate) fn new(sources: Vec<KeySource>) -> Self {
        let due = sources
            .into_iter()
            .map(|source| Due { source, at: UnixMillis(0), failures: 0 })
            .collect();
        Self { due, in_flight: BTreeMap::new() }
    }

    /// The calls that are due at `now`.
    pub(crate) fn due(&mut self, now: UnixMillis) -> Vec<HttpCall> {
        let mut calls = Vec::new();
        for (purpose, due) in self.due.iter_mut().enumerate() {
            if now < due.at {
                continue;
            }
            // Until the answer comes; a lost one is made up for by the next round.
            due.at = UnixMillis(now.0.saturating_add(TIMEOUT_MS * 2));
            calls.push(HttpCall {
                purpose,
                cluster: due.source.cluster.clone(),
                authority: due.source.authority.clone(),
                path: due.source.path.clone(),
                timeout_ms: TIMEOUT_MS,
                message: None,
            });
        }
        calls
    }

    pub(crate) fn sent(&mut self, call: &HttpCall, token: Option<u32>) {
        match token {
            Some(token) => {
                self.in_flight.insert(token, call.purpose);
            }
            // No such cluster (yet): the round after next tries again.
            None => {
                if let Some(due) = self.due.get_mut(call.purpose) {
                    due.failures = due.failures.saturating_add(1);
                }
            }
        }
    }

    /// The answer to a call: the issuer and its new keys.
    pub(crate) fn answered(
        &mut self,
        token: u32,
        status: Option<u16>,
        body: &[u8],
        now: UnixMillis,
    ) -> Option<Result<(usize, KeySet), String>> {
        let due = self.due.get_mut(self.in_flight.remove(&token)?)?;
        let keys = match status {
            Some(200) => KeySet::parse(body).map_err(|error| error.to_string()),
            Some(status) => Err(format!("status {status}")),
            None => Err("no answer".to_owned()),
        };
        Some(match keys {
            Ok(keys) => {
                due.failures = 0;
                due.at = UnixMillis(now.0.saturating_add(due.source.refresh_ms));
                Ok((due.source.issuer, keys))
            }
            Err(error) => {
                let wait = FIRST_RETRY_MS << due.failures.min(6);
                due.failures = due.failures.saturating_add(1);
                due.at = UnixMillis(now.0.saturating_add(wait.min(LAST_RETRY_MS)));
                let cluster = &due.source.cluster;
                Err(format!("keys of issuer {} from {cluster}: {error}", due.source.issuer))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[u8] = include_bytes!("../../../core/jose/tests/keys/jwks.json");

    fn fetcher() -> KeyFetcher {
        KeyFetcher::new(vec![KeySource {
            issuer: 3,
            cluster: "c".to_owned(),
            authority: "a".to_owned(),
            path: "/jwks".to_owned(),
            refresh_ms: 300_000,
        }])
    }

    #[test]
    fn keys_are_fetched_at_once_and_then_on_time() {
        let mut fetcher = fetcher();
        let calls = fetcher.due(UnixMillis(5));
        fetcher.sent(&calls[0], Some(9));
        assert!(fetcher.due(UnixMillis(6)).is_empty(), "on its way");
        let (issuer, keys) = fetcher.answered(9, Some(200), KEYS, UnixMillis(7)).unwrap().unwrap();
        assert_eq!((issuer, keys.keys.len()), (3, 2));
        assert!(fetcher.due(UnixMillis(300_006)).is_empty());
        assert_eq!(fetcher.due(UnixMillis(300_007)).len(), 1);
        assert!(fetcher.answered(9, Some(200), KEYS, UnixMillis(7)).is_none(), "answered already");
    }

    #[test]
    fn failures_are_retried_with_growing_pauses() {
        let mut fetcher = fetcher();
        let (mut now, mut pauses) = (0, Vec::new());
        for (status, body) in
            [(None, &b""[..]), (Some(500), b""), (Some(200), b"<html>"), (Some(200), b"{}")]
        {
            let calls = fetcher.due(UnixMillis(now));
            fetcher.sent(&calls[0], Some(1));
            assert!(fetcher.answered(1, status, body, UnixMillis(now)).unwrap().is_err());
            let start = now;
            while fetcher.due[0].at > UnixMillis(now) {
                now += 500;
            }
            pauses.push(now - start);
        }
        assert_eq!(pauses, [1000, 2000, 4000, 8000]);
    }
}
