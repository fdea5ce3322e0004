//! A VM's end of the feed.
//!
//! One VM of the process is elected to ask the server what is new, and writes it into shared
//! data; all VMs, that one included, look there. A request costs no call to the server and, as
//! long as nothing of it is revoked, none to shared data either: each VM has a small filter of
//! its own that says "certainly not revoked" for nearly every token.
//!
//! Deliberately absent: the host. Shared data is a port, calls are handed out to be sent.

mod election;
mod head;
mod lead;
mod set;
mod view;

use core::fmt;

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::ExchangeResponse;
use postern_proto::framing;
use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Marks};
use prost::Message as _;

use election::Election;
use lead::Lead;
use view::View;

/// How the feed runs in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The workload of the document that this Envoy guards.
    pub workload: String,
    /// Who asks; for quotas and metrics.
    pub envoy_id: String,
    /// Milliseconds between ticks.
    pub tick_ms: u64,
    /// How long the server may hold a call until there is something new, in milliseconds; 0 for
    /// an answer at once.
    pub wait_ms: u64,
    /// How old what is known may be, in milliseconds.
    pub max_staleness_ms: u64,
}

impl Settings {
    fn ticks(&self, millis: u64) -> u64 {
        millis.div_ceil(self.tick_ms.max(1))
    }
}

/// Why an answer of the server was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedError {
    /// It is not what the protocol says.
    Malformed,
    /// It names more revocations than are kept.
    TooLarge,
    /// Another VM has been elected meanwhile.
    TakenOver,
    /// No answer was waited for.
    NotAsked,
    /// There was none.
    Unanswered,
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the answer is not what the protocol says",
            Self::TooLarge => "more revocations than an Envoy keeps",
            Self::TakenOver => "another worker speaks to the server now",
            Self::NotAsked => "an answer that nobody waited for",
            Self::Unanswered => "no answer from the server",
        })
    }
}

/// What the feed says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// What is known is too old, or nothing is known yet, to say so.
    Stale,
}

/// A VM's end of the feed.
#[derive(Debug)]
pub struct Feed {
    settings: Settings,
    digest: String,
    election: Election,
    lead: Lead,
    view: View,
    /// Grows whenever something may have been revoked.
    generation: u32,
}

impl Feed {
    /// A VM that knows what the process knows already. `digest` is the document's.
    #[must_use]
    pub fn new(settings: Settings, digest: &str, shared: &dyn SharedData) -> Self {
        let mut view = View::new();
        view.catch_up(shared);
        Self {
            settings,
            digest: digest.to_owned(),
            election: Election::new(shared),
            lead: Lead::default(),
            view,
            generation: 1,
        }
    }

    /// Once a tick: the body of the gRPC call to make, if this VM is to make one now.
    pub fn tick(&mut self, shared: &dyn SharedData) -> Option<Vec<u8>> {
        if self.view.catch_up(shared) {
            self.generation = self.generation.wrapping_add(1);
        }
        let led = self.election.is_elected();
        if !self.election.tick(shared) {
            return None;
        }
        if !led {
            self.lead = Lead::default();
        }
        framing::frame(&self.lead.due(&self.view.head, &self.settings, &self.digest)?)
    }

    /// The body of the server's answer to the last call; none when there was none.
    ///
    /// # Errors
    /// What to log; the next tick goes on.
    pub fn answered(
        &mut self,
        shared: &dyn SharedData,
        answer: Option<&[u8]>,
        now: UnixMillis,
    ) -> Result<(), FeedError> {
        if !self.election.is_still_elected(shared) {
            return Err(FeedError::TakenOver);
        }
        let before = self.view.head.generation;
        let read = |body| {
            let message = framing::unframe(body).map_err(|_| FeedError::Malformed)?;
            ExchangeResponse::decode(message).map_err(|_| FeedError::Malformed)
        };
        let result = match answer.ok_or(FeedError::Unanswered).and_then(read) {
            Err(error) => Err(error),
            Ok(answer) => {
                let now = now.as_secs();
                self.lead.apply(shared, &mut self.view, &answer, &self.settings, now)
            }
        };
        if result.is_err() {
            self.lead.failed(&self.settings);
        }
        if self.view.head.generation != before {
            self.generation = self.generation.wrapping_add(1);
        }
        result
    }

    /// This VM serves requests: others are better placed to speak to the server.
    pub const fn serves(&mut self) {
        self.election.serves();
    }

    /// Whether a token is revoked. `since` is the generation at which it was last found good:
    /// when nothing has changed since, only the age of what is known is looked at.
    #[must_use]
    pub fn judge(
        &self,
        shared: &dyn SharedData,
        marks: &Marks,
        issued_at: Option<u64>,
        since: Option<u32>,
        now: UnixMillis,
    ) -> Judgement {
        if !self.is_fresh() {
            return Judgement::Stale;
        }
        if since == Some(self.generation) {
            return Judgement::Good;
        }
        if self.view.is_revoked(shared, marks, issued_at, now.as_secs()) {
            Judgement::Revoked
        } else {
            Judgement::Good
        }
    }

    /// Grows whenever something may have been revoked.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The key of fingerprints, once the server has told it.
    #[must_use]
    pub fn key(&self) -> Option<FingerprintKey> {
        self.view.key()
    }

    /// Whether what is known is complete and young enough.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.age_ms().is_some_and(|age| age <= self.settings.max_staleness_ms)
    }

    /// How old what is known is, in milliseconds; none as long as nothing is. For metrics.
    #[must_use]
    pub fn age_ms(&self) -> Option<u64> {
        self.view.age_ms(self.settings.tick_ms)
    }

    /// Of the durable store: fingerprints of another epoch mean nothing in this one.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.view.head.epoch
    }

    /// Revocations that are known; for metrics.
    #[must_use]
    pub const fn records(&self) -> u32 {
        self.view.head.records
    }
}

#[cfg(test)]
mod tests;
