//! Fetching issuers' keys: on a timer, the last good ones kept, sooner after a failure and when
//! a token names a key that is not there.
//!
//! One VM of the process asks and tells the others through shared data. Who is due looks there
//! first, and asks only when it finds nothing that it does not have; a claim in shared data
//! keeps two from asking at once. What is found there is read as strictly as what was fetched.

mod shared;

use postern_filter_host::HttpCall;
use postern_filter_shared_data::SharedData;
use postern_jose::KeySet;
use postern_request::UnixMillis;

use crate::configuration::KeySource;
use shared::{Claim, Places};

const TIMEOUT_MS: u64 = 5000;
const FIRST_RETRY_MS: u64 = 1000;
const LAST_RETRY_MS: u64 = 60_000;
/// Between two fetches for the sake of a key that is not there. Anybody can name such a key, as
/// often as they like.
const UNKNOWN_KEY_PAUSE_MS: u64 = 10_000;

/// One issuer's source, and when it is due.
#[derive(Debug)]
struct Source {
    source: KeySource,
    /// `iss`, for messages.
    name: String,
    places: Places,
    /// Spreads the fetches of many Envoys over time.
    salt: u64,
    /// When the keys in use were fetched, by whichever VM.
    fetched_at: Option<UnixMillis>,
    due_at: UnixMillis,
    /// When this VM last began a fetch.
    began: UnixMillis,
    /// A token has named a key that is not there.
    wanted: bool,
    /// Until then it is no use to want one.
    quiet_until: UnixMillis,
}

/// What a source does at a tick.
enum Turn {
    Nothing,
    /// Another VM has fetched these.
    Take(KeySet),
    Fetch,
}

/// What a tick brings.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Calls to make.
    pub(crate) calls: Vec<HttpCall>,
    /// Issuers, by their places in the document, and their new keys.
    pub(crate) keys: Vec<(usize, KeySet)>,
}

/// All sources of a document.
#[derive(Debug, Default)]
pub(crate) struct KeyFetcher {
    sources: Vec<Source>,
    /// For each call, its source and when it began. Hardly more than one of each.
    in_flight: Vec<(u32, usize, UnixMillis)>,
}

impl KeyFetcher {
    /// Sources with their issuers' names. `hash` is keyed with the process's seed; `document` is
    /// the digest.
    pub(crate) fn new(
        sources: Vec<(KeySource, String)>,
        document: &str,
        hash: impl Fn(&[u8]) -> u128,
    ) -> Self {
        let source = |(source, name): (KeySource, String)| {
            // What was fetched from elsewhere, or for another document, is none of its keys.
            let issuer = source.issuer.to_string();
            let parts = [document, &issuer, &source.cluster, &source.authority, &source.path];
            let hash = hash(parts.join("\n").as_bytes());
            let [tag, salt] = [hash >> 64, hash & u128::from(u64::MAX)]
                .map(|half| u64::try_from(half).unwrap_or_default());
            Source {
                places: Places::new(source.issuer, tag),
                source,
                name,
                salt,
                fetched_at: None,
                due_at: UnixMillis(0),
                began: UnixMillis(0),
                wanted: false,
                quiet_until: UnixMillis(0),
            }
        };
        Self { sources: sources.into_iter().map(source).collect(), in_flight: Vec::new() }
    }

    /// Whether there is nothing to fetch.
    pub(crate) const fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// What other VMs have fetched already.
    pub(crate) fn known(&mut self, shared: &dyn SharedData) -> Vec<(usize, KeySet)> {
        let known = |source: &mut Source| Some((source.source.issuer, source.news(shared)?));
        self.sources.iter_mut().filter_map(known).collect()
    }

    /// Once a tick.
    pub(crate) fn tick(&mut self, shared: &dyn SharedData, now: UnixMillis) -> Round {
        let mut round = Round::default();
        for (purpose, source) in self.sources.iter_mut().enumerate() {
            match source.turn(shared, now) {
                Turn::Nothing => {}
                Turn::Take(keys) => round.keys.push((source.source.issuer, keys)),
                Turn::Fetch => round.calls.push(source.call(purpose)),
            }
        }
        round
    }

    /// A token has named a key that an issuer's set does not have.
    pub(crate) fn want(&mut self, issuer: usize, now: UnixMillis) {
        for source in self.sources.iter_mut().filter(|source| source.source.issuer == issuer) {
            source.wanted |= !is_before(now, source.quiet_until, UNKNOWN_KEY_PAUSE_MS);
        }
    }

    /// The call was made, or could not be (no such cluster, yet).
    pub(crate) fn sent(
        &mut self,
        shared: &dyn SharedData,
        call: &HttpCall,
        token: Option<u32>,
        now: UnixMillis,
    ) {
        let Some(source) = self.sources.get_mut(call.purpose) else { return };
        match token {
            Some(token) => self.in_flight.push((token, call.purpose, source.began)),
            None => source.failed(shared, source.began, now),
        }
    }

    /// The answer to a call: the issuer and its new keys.
    pub(crate) fn answered(
        &mut self,
        shared: &dyn SharedData,
        token: u32,
        status: Option<u16>,
        body: &[u8],
        now: UnixMillis,
    ) -> Option<Result<(usize, KeySet), String>> {
        let at = self.in_flight.iter().position(|(sent, ..)| *sent == token)?;
        let (_, purpose, began) = self.in_flight.swap_remove(at);
        let source = self.sources.get_mut(purpose)?;
        let keys = match status {
            Some(200) => KeySet::parse(body).map_err(|error| error.to_string()),
            Some(status) => Err(format!("status {status}")),
            None => Err("no answer".to_owned()),
        };
        Some(match keys {
            Ok(keys) => {
                source.succeeded(shared, began, body, now);
                Ok((source.source.issuer, keys))
            }
            Err(error) => {
                source.failed(shared, began, now);
                Err(format!("keys of {} from {}: {error}", source.name, source.source.cluster))
            }
        })
    }
}

impl Source {
    fn turn(&mut self, shared: &dyn SharedData, now: UnixMillis) -> Turn {
        let longest = self.source.refresh_ms.saturating_mul(2).max(LAST_RETRY_MS);
        let due = !is_before(now, self.due_at, longest);
        if !due && !core::mem::take(&mut self.wanted) {
            return Turn::Nothing;
        }
        self.wanted = false;
        // The claim before the keys: who gives it back has written those.
        let (claim, version) = self.places.claim(shared);
        if let Some(keys) = self.news(shared) {
            return Turn::Take(keys);
        }
        let claim = claim.unwrap_or_default();
        if is_before(now, claim.until, LAST_RETRY_MS) {
            self.due_at = if claim.in_flight { now } else { claim.until };
            return Turn::Nothing;
        }
        // Its own fetch counts, too: where two documents run in one process, each writes over the
        // other's claim.
        let began = claim.began.max(self.began);
        let earliest = UnixMillis(began.0.saturating_add(UNKNOWN_KEY_PAUSE_MS));
        if !due && is_before(now, earliest, UNKNOWN_KEY_PAUSE_MS) {
            self.quiet_until = earliest;
            self.due_at = self.due_at.min(earliest);
            return Turn::Nothing;
        }
        let until = UnixMillis(now.0.saturating_add(TIMEOUT_MS));
        let mine = Claim { began: now, until, in_flight: true, ..claim };
        // Who does not get it looks again at its next tick.
        if !self.places.set_claim(shared, mine, version) {
            self.due_at = now;
            return Turn::Nothing;
        }
        (self.began, self.due_at) = (now, until);
        Turn::Fetch
    }

    /// What another VM has fetched since.
    fn news(&mut self, shared: &dyn SharedData) -> Option<KeySet> {
        let (fetched_at, jwks) = self.places.keys(shared)?;
        if self.fetched_at == Some(fetched_at) {
            return None;
        }
        let keys = KeySet::parse(&jwks).ok()?;
        self.fetched(fetched_at);
        Some(keys)
    }

    /// All VMs of a process come to the same time for the next fetch, those of others to theirs.
    fn fetched(&mut self, fetched_at: UnixMillis) {
        let refresh = self.source.refresh_ms;
        let tenth = refresh / 10;
        let spread = spread(self.salt ^ fetched_at.0) % tenth.saturating_mul(2).saturating_add(1);
        let wait = (refresh - tenth).saturating_add(spread);
        self.fetched_at = Some(fetched_at);
        self.due_at = UnixMillis(fetched_at.0.saturating_add(wait));
    }

    fn succeeded(
        &mut self,
        shared: &dyn SharedData,
        began: UnixMillis,
        body: &[u8],
        now: UnixMillis,
    ) {
        self.fetched(now);
        self.places.publish(shared, now, body);
        self.give_back(shared, Claim { began, until: now, failures: 0, in_flight: false });
    }

    fn failed(&mut self, shared: &dyn SharedData, began: UnixMillis, now: UnixMillis) {
        let failures = self.places.claim(shared).0.unwrap_or_default().failures;
        let pause = (FIRST_RETRY_MS << failures.min(6)).min(LAST_RETRY_MS);
        let until = UnixMillis(now.0.saturating_add(pause));
        let failures = failures.saturating_add(1);
        self.due_at = until;
        self.give_back(shared, Claim { began, until, failures, in_flight: false });
    }

    /// Gives the claim back, where it was not lost to another VM meanwhile.
    fn give_back(&self, shared: &dyn SharedData, claim: Claim) {
        let (found, version) = self.places.claim(shared);
        if found.is_some_and(|found| found.began == claim.began) {
            let _ = self.places.set_claim(shared, claim, version);
        }
    }

    fn call(&self, purpose: usize) -> HttpCall {
        HttpCall {
            purpose,
            cluster: self.source.cluster.clone(),
            authority: self.source.authority.clone(),
            path: self.source.path.clone(),
            timeout_ms: TIMEOUT_MS,
            message: None,
        }
    }
}

/// Whether a time is still to come. One that is further away than it can be was made by a clock
/// that has gone back since, and counts as past.
const fn is_before(now: UnixMillis, at: UnixMillis, longest_ms: u64) -> bool {
    now.0 < at.0 && at.0 - now.0 <= longest_ms
}

/// The last steps of SplitMix64: one bit more or less changes all of them.
const fn spread(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
