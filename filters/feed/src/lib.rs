//! A VM's end of the feed.
//!
//! One VM of the process is elected to ask the server what is new, and writes it into shared
//! data; all VMs, that one included, look there. A request costs no call to the server and, as
//! long as nothing of it is revoked, none to shared data either: each VM has a small filter of
//! its own that says "certainly not revoked" for nearly every token.
//!
//! What it needs of memory is bounded: 16,384 buckets, 64 entries of a log, one key set for each
//! issuer, and two filters at most in shared data; one filter in each VM, two in the elected one
//! while it makes a new one. No single step takes more than a few milliseconds: pieces of a
//! snapshot, walks over the buckets and reading a new filter are cut to fit.
//!
//! Deliberately absent: the host. Shared data is a port, calls are handed out to be sent.

/// The name of a value in shared data. The format is a part of it: a module that is replaced while
/// its process goes on leaves its values behind, and what they look like only it knew. Goes up
/// with every change of what any of them looks like.
macro_rules! name {
    ($rest:literal) => {
        concat!("postern.feed.3.", $rest)
    };
}

mod clock;
mod election;
mod filter;
mod head;
mod keys;
mod lead;
mod log;
mod outcome;
mod pace;
mod set;
mod settings;
mod snapshot;
mod sweep;
mod tagged;
mod usage;
mod view;
mod wanted;
mod writer;

use core::cell::Cell;

use postern_filter_shared_data::SharedData;
use postern_proto::feed::v1::{Circuits, ExchangeResponse};
use postern_proto::framing;
use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Marks};

use election::Election;
use keys::KeySets;
use lead::Lead;
pub use outcome::{FeedError, Judgement};
pub use postern_proto::Answered;
pub use settings::Settings;
use usage::Usage;
use view::View;

/// The wall clock moves by a tick from tick to tick, late ones included; by more than this it was
/// set, or the process stood still.
const JUMP_MS: u64 = 2_000;

/// A VM's end of the feed.
#[derive(Debug)]
pub struct Feed {
    settings: Settings,
    digest: String,
    election: Election,
    /// In the elected VM alone.
    lead: Option<Lead>,
    view: View,
    keys: KeySets,
    usage: Usage,
    /// Issuers whose keys this VM has asked for since its last tick, see [`wanted::bit`].
    wanted: Cell<u64>,
    /// Grows whenever something may have been revoked.
    generation: u32,
    /// The wall clock at the last tick.
    now: UnixMillis,
    /// Nobody has use for what the server tells.
    is_quiet: bool,
    /// What the server has last said of circuits, until somebody takes it.
    circuits: Option<Circuits>,
}

impl Feed {
    /// A VM that knows what the process knows already. `digest` is the document's.
    #[must_use]
    pub fn new(settings: Settings, digest: &str, shared: &dyn SharedData, now: UnixMillis) -> Self {
        let document = u32::try_from(pace::hash(digest) >> 32).unwrap_or_default();
        Self {
            view: View::new(shared, now, settings.tick_ms),
            election: Election::new(shared, document),
            lead: None,
            keys: KeySets::default(),
            usage: Usage::default(),
            wanted: Cell::new(0),
            generation: 1,
            now,
            digest: digest.to_owned(),
            settings,
            is_quiet: false,
            circuits: None,
        }
    }

    /// The same where nobody has use for what the server tells: a VM is elected, and the server is
    /// not asked.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    /// The wall clock, to be told before every tick. It jumps, and a process may stand still: both
    /// look alike, and after either nobody knows how old what is known is. So it counts as old as
    /// the clock says, and the server is asked at once.
    pub fn clock(&mut self, now: UnixMillis) {
        let before = core::mem::replace(&mut self.now, now);
        let jumped = before.0 > 0 && now.0.abs_diff(before.0) > JUMP_MS;
        if jumped && let Some(lead) = &mut self.lead {
            lead.hurry();
        }
    }

    /// Once a tick: the body of the gRPC call to make, if this VM is to make one now. One that is
    /// still on its way is given up by it: its answer, should it come, is not to be handed in.
    pub fn tick(&mut self, shared: &dyn SharedData) -> Option<Vec<u8>> {
        let before = self.view.version();
        self.view.tick(shared);
        self.notice(before);
        self.usage.tick(shared, self.settings.tick_ms);
        self.wanted.set(0);
        if !self.election.tick(shared) {
            self.lead = None;
            return None;
        }
        let lead =
            self.lead.get_or_insert_with(|| Lead::new(shared, &self.settings, self.election.me()));
        if self.is_quiet || !lead.tick(shared, &mut self.view, &self.settings) {
            return None;
        }
        framing::frame(&lead.ask(shared, &self.view.head, &self.settings, &self.digest))
    }

    /// What came of the last call. It may bring the body of a call to make at once: what the
    /// server has does not wait for ticks.
    ///
    /// # Errors
    /// What to log; the next tick goes on.
    pub fn answered(
        &mut self,
        shared: &dyn SharedData,
        answered: Answered<'_>,
        now: UnixMillis,
    ) -> Result<Option<Vec<u8>>, FeedError> {
        if !self.election.is_still_elected(shared) {
            self.lead = None;
            return Err(FeedError::TakenOver);
        }
        let lead = self.lead.as_mut().ok_or(FeedError::NotAsked)?;
        let call = lead.take_call().ok_or(FeedError::NotAsked)?;
        let before = self.view.version();
        let read = answered.message::<ExchangeResponse>().map_err(FeedError::from);
        let mut taken = read.and_then(|answer| {
            lead.write(shared, &mut self.view, &answer, &self.settings, now).map(|()| answer)
        });
        if let Ok(answer) = &mut taken
            && let Some(circuits) = answer.circuits.take()
        {
            lead.circuits = circuits.version;
            self.circuits = Some(circuits);
        }
        // This VM's own news reach it as they reach the others.
        self.view.catch_up(shared);
        let goes_on = match &taken {
            Ok(answer) => lead.goes_on(call, answer, &self.settings),
            Err(_) => {
                lead.failed(answered.next_poll_ms(), &self.settings);
                false
            }
        };
        let next = goes_on.then(|| lead.ask(shared, &self.view.head, &self.settings, &self.digest));
        self.notice(before);
        taken.map(|_| next.and_then(|request| framing::frame(&request)))
    }

    fn notice(&mut self, before: (u32, u32)) {
        if self.view.version() != before {
            self.generation = self.generation.wrapping_add(1);
        }
    }

    /// A request of this VM was judged. Others are better placed to speak to the server, and what
    /// the feed brings is of use here.
    pub const fn serves(&mut self) {
        self.election.serves();
        self.usage.mark();
    }

    /// A request of this VM was decided on without what the feed brings. Others are better placed
    /// to speak to the server.
    pub const fn works(&mut self) {
        self.election.serves();
    }

    /// This VM's number, which no other VM of the process has.
    #[must_use]
    pub const fn vm(&self) -> u32 {
        self.election.me()
    }

    /// Whether this VM is the one that speaks to the server, as of its last tick. For a moment
    /// two may be.
    #[must_use]
    pub const fn is_elected(&self) -> bool {
        self.lead.is_some()
    }

    /// The key sets that have changed since this was last asked: places in
    /// [`Settings::issuers`], and the sets as JSON (RFC 7517 §5). To be asked after every tick.
    pub fn take_key_sets(&mut self, shared: &dyn SharedData) -> Vec<(usize, Vec<u8>)> {
        self.keys.take(shared, &self.settings.issuers, self.view.head.keys)
    }

    /// What the server has said of circuits since this was last asked. It concerns nobody here.
    pub fn take_circuits(&mut self) -> Option<Circuits> {
        self.circuits.take()
    }

    /// What was taken could not be kept: the server is to say it once more.
    pub fn miss_circuits(&mut self) {
        if let Some(lead) = &mut self.lead {
            lead.circuits = 0;
        }
    }

    /// A token named a key that the issuer's set does not have; `place` is the one in
    /// [`Settings::issuers`]. The server is told within a tick or two, at most once in ten
    /// seconds for an issuer.
    pub fn want_keys(&self, shared: &dyn SharedData, place: usize) {
        let Some(issuer) = self.settings.issuers.get(place) else { return };
        let bit = wanted::bit(issuer);
        // Whoever sends nothing but such tokens costs one write in a tick.
        if self.wanted.get() & bit == 0 {
            self.wanted.set(self.wanted.get() | bit);
            wanted::want(shared, bit);
        }
    }

    /// Whether a token is revoked. `since` is the generation at which it was last found good:
    /// when nothing has changed since, only the age of what is known is looked at. `now` is the
    /// time by which the token itself was found to be alive.
    #[must_use]
    pub fn judge(
        &self,
        shared: &dyn SharedData,
        marks: &Marks,
        issued_at: Option<u64>,
        since: Option<u32>,
        now: UnixMillis,
    ) -> Judgement {
        let is_fresh =
            self.is_fresh() && self.view.told_ms_ago(now) <= self.settings.max_staleness_ms;
        let good = if is_fresh { Judgement::Good } else { Judgement::Stale };
        if since == Some(self.generation) {
            return good;
        }
        // What is known to be revoked stays so, however long nothing has been heard.
        match self.view.is_revoked(shared, marks, issued_at, now.as_secs()) {
            Ok(true) => Judgement::Revoked,
            Ok(false) => good,
            Err(_) => Judgement::Stale,
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

    /// Digest of the document that the server runs, by its last answer; for metrics. None in VMs
    /// that do not speak to the server.
    #[must_use]
    pub fn document_digest(&self) -> Option<&str> {
        self.lead.as_ref().and_then(Lead::document_digest)
    }
}

#[cfg(test)]
mod tests;
