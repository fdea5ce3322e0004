//! Answering an Envoy, from memory alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_revocation::record::RECORD_BYTES;
use postern_telemetry::Drain;
use tokio::sync::watch;

use crate::Clock;
use crate::admission::{Admission, Place};
use crate::answer::{Answer, Content, Refusal};
use crate::ask::{Ask, Progress};
use crate::circuits::view::{CircuitsView, ToldCircuits};
use crate::keys::{KeysWanted, PublishedKeys};
use crate::log::{Delta, RevocationLog, Since};
use crate::metrics::{Metrics, Outcome};
use crate::pace::{Jitter, Pace};
use crate::peer::{PeerIdentity, Peers};
use crate::quota::{Accounts, Counted};
use crate::settings::SettingsError;
use crate::state::FeedState;
use crate::waiting::{Waiting, WaitingRoom};

/// When to come back while the durable list is being read for the first time.
const LOADING_PAUSE: Duration = Duration::from_millis(500);
/// When to come back for a place among those who take a snapshot.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// That of no set.
const NO_EPOCH: u64 = 0;

/// What an [`Exchange`] is made of.
pub struct ExchangeParts {
    /// What the server knows.
    pub state: Arc<FeedState>,
    /// Who may ask for what.
    pub peers: Arc<dyn Peers>,
    /// Who fetches issuers' keys.
    pub keys_wanted: Arc<dyn KeysWanted>,
    /// What is shown of circuits; none where there are none.
    pub circuits: Option<Arc<CircuitsView>>,
    /// Digest of the document in use.
    pub document_digest: Arc<dyn Fn() -> String + Send + Sync>,
    /// Once it begins, nobody waits any more.
    pub drain: Drain,
    /// Both clocks.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
}

/// Answers Envoys.
pub struct Exchange {
    parts: ExchangeParts,
    pace: Pace,
    exchanges: Accounts,
    snapshots: Accounts,
    admission: Admission,
    waiting: WaitingRoom,
}

/// What there is to say, before it is said when to come back.
struct Found {
    epoch: u64,
    cursor: u64,
    content: Content,
    key_sets: Vec<Arc<PublishedKeys>>,
    circuits: Option<ToldCircuits>,
    /// They are others than those that the asker was told of.
    circuits_moved: bool,
    /// There is more to be had at once.
    more: bool,
    /// Turned away from a snapshot: come back later for that.
    later: Option<Duration>,
}

impl Exchange {
    /// Puts the parts together; `jitter` spreads pauses.
    ///
    /// # Errors
    /// When a quota is none; [`FeedState::new`] has checked that.
    pub fn new(parts: ExchangeParts, jitter: Jitter) -> Result<Self, SettingsError> {
        let settings = parts.state.settings();
        let answers = &settings.answers;
        let started = (parts.clock)().monotonic;
        Ok(Self {
            pace: Pace::new(answers, jitter),
            exchanges: Accounts::new(Counted::Exchanges, &settings.quotas, started)?,
            snapshots: Accounts::new(Counted::Snapshots, &settings.quotas, started)?,
            admission: Admission::new(answers.max_snapshots, answers.snapshot_pause),
            waiting: WaitingRoom::new(answers.max_waiting, parts.metrics.waiting.clone()),
            parts,
        })
    }

    /// Answers an Envoy of a known peer.
    ///
    /// # Errors
    /// Why it is told nothing. What it has stays good, and gets older.
    pub async fn exchange(&self, peer: &PeerIdentity, ask: &Ask) -> Result<Answer, Refusal> {
        let answered = self.answer(peer, ask).await;
        let outcome = answered.as_ref().map_or_else(Refusal::outcome, Answer::outcome);
        self.parts.metrics.exchanged(outcome);
        answered
    }

    /// Counts an exchange with somebody who has not proved who it is.
    pub fn unidentified(&self) {
        self.parts.metrics.exchanged(Outcome::Unidentified);
    }

    async fn answer(&self, peer: &PeerIdentity, ask: &Ask) -> Result<Answer, Refusal> {
        ask.check()?;
        if !self.parts.peers.may_ask_for(peer, &ask.workload) {
            return Err(Refusal::NotPermitted);
        }
        self.take(&self.exchanges, peer)?;
        let digest = (self.parts.document_digest)();
        self.parts.metrics.document(digest == ask.document_digest);
        self.want_keys(ask);

        let due = tokio::time::Instant::now() + self.pace.wait(ask.wait);
        let draining = self.parts.drain.draining();
        tokio::pin!(draining);
        let mut news = self.parts.state.news.subscribe();
        let mut moves = self.parts.circuits.as_ref().map(|view| view.subscribe());
        let mut place = None;
        let mut from = None;
        loop {
            // Seen before looking: whatever comes while it is looked at wakes it again.
            drop(news.borrow_and_update());
            moves.iter_mut().for_each(|moves| drop(moves.borrow_and_update()));
            let log = self.log()?;
            let from = *from.get_or_insert_with(|| ask.cursor.min(log.cursor()));
            let found = self.look(peer, ask, &log, from)?.with(self.circuits(ask), ask);
            if found.is_news() {
                return Ok(self.say(ask, found, digest, self.may_wait(ask)));
            }
            place = place.or_else(|| self.place(peer, ask));
            if place.is_none() {
                return Ok(self.say(ask, found, digest, false));
            }
            tokio::select! {
                _ = news.changed() => {}
                () = moved(&mut moves) => {}
                () = tokio::time::sleep_until(due) => {
                    return Ok(self.say(ask, found, digest, true));
                }
                () = &mut draining => return Ok(self.say(ask, found, digest, false)),
            }
        }
    }

    /// What is fetched comes as news, to all who wait: this answer does not wait for it.
    fn want_keys(&self, ask: &Ask) {
        for issuer in &ask.wanted_keys {
            self.parts.keys_wanted.wanted(issuer);
        }
        self.parts.metrics.keys_wanted(ask.wanted_keys.len());
    }

    /// Circuits of the asker's services, where it was told of others.
    fn circuits(&self, ask: &Ask) -> Option<ToldCircuits> {
        let told = self.parts.circuits.as_ref()?.told(&ask.workload, self.now());
        (told.version != ask.circuits_version).then_some(told)
    }

    fn log(&self) -> Result<Arc<RevocationLog>, Refusal> {
        self.parts
            .state
            .log()
            .ok_or_else(|| Refusal::Loading { next_poll: self.pace.turned_away(LOADING_PAUSE) })
    }

    fn take(&self, accounts: &Accounts, peer: &PeerIdentity) -> Result<(), Refusal> {
        accounts.take(peer, 1, self.now()).map_err(|pause| {
            self.parts.metrics.quota_refused(accounts.what());
            Refusal::OverQuota { next_poll: self.pace.turned_away(pause) }
        })
    }

    /// A place among those who wait; none for those who do not want one, when there is none left
    /// for this peer, and when the server is on its way down.
    fn place<'p>(&'p self, peer: &'p PeerIdentity, ask: &Ask) -> Option<Waiting<'p>> {
        if self.may_wait(ask) { self.waiting.enter(peer) } else { None }
    }

    fn may_wait(&self, ask: &Ask) -> bool {
        !ask.wait.is_zero() && !self.parts.drain.is_draining()
    }

    /// What there is for one whose set goes up to `from`. A cursor of the future is that of a
    /// replica which is a little ahead: no reason to answer before there is something new.
    fn look(
        &self,
        peer: &PeerIdentity,
        ask: &Ask,
        log: &RevocationLog,
        from: u64,
    ) -> Result<Found, Refusal> {
        let state = &self.parts.state;
        let settings = state.settings();
        let answers = &settings.answers;
        let (key_sets, more_keys) = state.keys().changed(&ask.key_digests, answers.key_bytes);
        let since = if ask.snapshot.is_none() && ask.epoch == log.epoch() {
            let most = ask.bytes_within(usize::MAX) / RECORD_BYTES;
            log.since(from, most.min(answers.delta_records))
        } else {
            Since::SnapshotNeeded
        };
        let found = match since {
            Since::Delta(delta) => Ok(self.added(log, delta)),
            Since::SnapshotNeeded => self.piece(peer, ask, log),
        };
        match found {
            Ok(found) => Ok(Found { more: found.more || more_keys, key_sets, ..found }),
            // Keys are of use all the same. Of the set nothing is said: by nobody's epoch, because
            // by its own the asker would take it that nothing is missing.
            Err(Refusal::Busy { next_poll } | Refusal::OverQuota { next_poll })
                if !key_sets.is_empty() =>
            {
                let later = Some(next_poll);
                Ok(Found { key_sets, later, ..Found::nothing(NO_EPOCH, 0) })
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn added(&self, log: &RevocationLog, delta: Delta) -> Found {
        let found = Found { more: delta.more, ..Found::nothing(log.epoch(), delta.cursor) };
        if delta.records.is_empty() {
            return found;
        }
        self.parts.metrics.delta(delta.records.len());
        Found { content: Content::Added(delta.records), ..found }
    }

    /// The next piece of the snapshot that it takes, or the first one.
    fn piece(&self, peer: &PeerIdentity, ask: &Ask, log: &RevocationLog) -> Result<Found, Refusal> {
        let taker = (peer.clone(), ask.envoy_id.clone());
        let Some(place) = self.admission.enter(&taker, self.now()) else {
            return Err(Refusal::Busy { next_poll: self.pace.turned_away(BUSY_PAUSE) });
        };
        let of_this_epoch =
            |progress: &Progress| progress.epoch.is_none_or(|epoch| epoch == log.epoch());
        let progress = ask.snapshot.filter(of_this_epoch);
        // Whoever says that it has begun elsewhere takes a place here all the same.
        if progress.is_none() || place == Place::New {
            self.take(&self.snapshots, peer).inspect_err(|_| self.admission.leave(&taker))?;
        }
        // The cursor before the buckets: these are at least as new. Where this replica is behind
        // the one before, the snapshot goes less far, and the delta after it brings the rest.
        let now = log.cursor();
        let (first_bucket, cursor) =
            progress.map_or((0, now), |before| (before.next_bucket, before.cursor.min(now)));
        let most = self.parts.state.settings().answers.piece_bytes;
        let piece = log.piece(first_bucket, ask.bytes_within(most));
        if piece.last {
            self.admission.leave(&taker);
        }
        let bytes: usize = piece.buckets.iter().map(Vec::len).sum();
        self.parts.metrics.piece(bytes, self.admission.taken());
        let (key, total_records) = (*log.key(), log.records());
        let content = Content::Snapshot { key, piece, total_records };
        Ok(Found { content, more: true, ..Found::nothing(log.epoch(), cursor) })
    }

    /// `waits`: it will come back to wait.
    fn say(&self, ask: &Ask, found: Found, document_digest: String, waits: bool) -> Answer {
        let settings = self.parts.state.settings();
        let next_poll = match found.later {
            Some(later) => later,
            None if found.more => Duration::ZERO,
            None if !waits => self.pace.poll(&settings.answers, ask.idle),
            None if found.is_news() => self.pace.after_news(),
            None => Duration::ZERO,
        };
        let now = (self.parts.clock)();
        Answer {
            epoch: found.epoch,
            cursor: found.cursor,
            content: found.content,
            key_sets: found.key_sets,
            circuits: found.circuits,
            next_poll,
            server_time: now.wall,
            document_digest,
            staleness: self.parts.state.staleness(now.monotonic).unwrap_or(Duration::MAX),
        }
    }

    fn now(&self) -> Instant {
        (self.parts.clock)().monotonic
    }
}

impl Found {
    /// Nothing new, for a set of this epoch that goes up to the cursor.
    fn nothing(epoch: u64, cursor: u64) -> Self {
        let (content, key_sets, circuits) = (Content::Nothing, Vec::new(), None);
        let (circuits_moved, more, later) = (false, false, None);
        Self { epoch, cursor, content, key_sets, circuits, circuits_moved, more, later }
    }

    /// An asker that was told of none yet hears of them with whatever else there is: one that does
    /// not know what circuits are would come back for them again and again.
    fn with(self, circuits: Option<ToldCircuits>, ask: &Ask) -> Self {
        let circuits_moved = circuits.is_some() && ask.circuits_version != 0;
        Self { circuits, circuits_moved, ..self }
    }

    fn is_news(&self) -> bool {
        self.content != Content::Nothing || !self.key_sets.is_empty() || self.circuits_moved
    }
}

/// Until other circuits are shown.
async fn moved(moves: &mut Option<watch::Receiver<u64>>) {
    match moves {
        // Whoever shows them lives as long as whoever asks.
        Some(moves) => drop(moves.changed().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
