//! One key in shared data: how the server knows it, what is under way with it, and its slice.
//!
//! A lease changes hands by a change of its entry and in no other way, so whatever reaches several
//! workers, or one of them twice, counts once. A question that stands here may be asked by anybody
//! as often as it takes. Whoever takes it away is the only one who does: with its answer, which
//! makes it a slice, or by giving it up, which makes it something to return.

use postern_leases::{Ask, Borrower, ENCODED_BYTES, Grant, LeaseId, Return};
use postern_request::UnixMillis;

/// What an entry takes: the fields of [`Entry`] in their order, little-endian.
pub(crate) const ENTRY_BYTES: usize = 118 + ENCODED_BYTES;

/// How often the server is asked, where nothing is urgent.
pub(crate) const POLL_MS: u64 = 1_000;
/// A key of which nothing was to be had is not asked for again within this time, however urgent
/// it seems: a little less than from one poll to the next. The exception is a limit that says when
/// there is more: see [`Entry::answered`].
const AGAIN_MS: u16 = 750;
/// And not within this time, whatever the limit says: a tick or less.
const LEAST_AGAIN_MS: u16 = 50;

/// The server does not lease this at all: leases cannot be had, and no waiting makes it so.
const NEVER_LEASED: UnixMillis = UnixMillis(1);
const NONE: UnixMillis = UnixMillis(0);

/// One key. It says all that it takes to ask for it, so that the elected worker need not know its
/// limit: workers of two documents may be in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub(crate) fingerprint: u64,
    /// As stores know the key, see [`postern_limits::key::hashed`].
    pub(crate) owner: u64,
    pub(crate) key: [u8; 16],
    /// What slices of it are cut from, see [`postern_limits::key::stamp`]. The key holds the same
    /// name and numbers.
    pub(crate) stamp: u64,
    /// How long they live, as the document says whose worker used the key last.
    pub(crate) life_ms: u32,
    /// What the server is asked for.
    pub(crate) question: Option<Ask>,
    /// When the question was sent for the first time.
    asked_at: UnixMillis,
    /// When a question last brought no slice, and for how long none is asked since.
    vain_at: UnixMillis,
    pause_ms: u16,
    /// Since when questions wait for an answer, one after the other; zero where none does.
    lacks_since: UnixMillis,
    /// What the server has not heard of yet.
    pub(crate) owed: Option<Return>,
    pub(crate) borrower: Borrower,
}

impl Entry {
    pub(crate) fn new(fingerprint: u64, (owner, key): (u64, [u8; 16]), stamp: u64) -> Self {
        Self { fingerprint, owner, key, stamp, ..Self::default() }
    }

    /// How much to ask the server for, if it is time to.
    pub(crate) fn wants(&self, now: UnixMillis) -> Option<u64> {
        if self.question.is_some() || self.was_in_vain_within(self.pause_ms, now) {
            return None;
        }
        self.borrower.want(now, POLL_MS)
    }

    fn was_in_vain_within(&self, millis: u16, now: UnixMillis) -> bool {
        now >= self.vain_at && now.millis_since(self.vain_at) < u64::from(millis)
    }

    pub(crate) const fn ask(&mut self, ask: Ask, now: UnixMillis) {
        self.question = Some(ask);
        self.asked_at = now;
        if self.lacks_since.0 == NONE.0 {
            self.lacks_since = now;
        }
    }

    /// Nobody wants anything of it at the moment, so nothing is lacking.
    pub(crate) fn wants_nothing(&mut self) {
        if self.lacks_since != NEVER_LEASED {
            self.lacks_since = NONE;
        }
    }

    /// Gives a question up that has waited for as long as its lease would have lived: by now
    /// nobody could spend it.
    pub(crate) fn give_up_late(&mut self, now: UnixMillis) {
        let life_ms = u64::from(self.life_ms);
        if now < self.asked_at || now.millis_since(self.asked_at) >= life_ms {
            self.give_up();
        }
    }

    /// Whatever was lent for the question goes back whole: no more than was asked for.
    fn give_up(&mut self) {
        if let Some(Ask { id, asked }) = self.question.take() {
            self.owe(Return { id, unused: asked });
        }
    }

    /// Takes an answer, once; none where the server does not lease this.
    ///
    /// Where it brings no slice to be spent, the key pauses, and no longer than until there is
    /// more: a window that begins must not find it waiting for the rest of a pause. Once within
    /// [`AGAIN_MS`], that is: a limit that has more all the time is not asked all the time.
    pub(crate) fn answered(&mut self, id: LeaseId, grant: Option<Grant>, now: UnixMillis) {
        let Some(ask) = self.question.filter(|ask| ask.id == id) else { return };
        self.question = None;
        let Some(grant) = grant else {
            self.lacks_since = NEVER_LEASED;
            self.pause(AGAIN_MS, now);
            return;
        };
        self.lacks_since = NONE;
        let grant = Grant { granted: grant.granted.min(ask.asked), ..grant };
        if let Some(over) = self.borrower.granted(id, grant, self.asked_at, now) {
            self.owe(over);
        }
        if self.borrower.lease() == Some(id) {
            self.pause_ms = 0;
        } else if self.was_in_vain_within(AGAIN_MS, now) {
            self.pause(AGAIN_MS, now);
        } else {
            let reset_ms = u16::try_from(grant.reset_ms).unwrap_or(AGAIN_MS);
            self.pause(reset_ms.clamp(LEAST_AGAIN_MS, AGAIN_MS), now);
        }
    }

    const fn pause(&mut self, millis: u16, now: UnixMillis) {
        self.vain_at = now;
        self.pause_ms = millis;
    }

    /// Whether the server has let this key wait for so long.
    pub(crate) const fn lacks(&self, patience_ms: u64, now: UnixMillis) -> bool {
        self.lacks_since.0 != NONE.0 && now.millis_since(self.lacks_since) >= patience_ms
    }

    /// Notes that a slice is spent or has ended. Looks at no other, so that a look changes
    /// nothing.
    pub(crate) fn note_end(&mut self, now: UnixMillis) {
        if self.borrower.lease().is_some()
            && self.borrower.left(now) == 0
            && let Some(over) = self.borrower.unused_at_end(now)
        {
            self.owe(over);
        }
    }

    /// The clock went back: nobody can say how old anything here is, nor for how long what the
    /// server has said holds.
    pub(crate) fn end(&mut self, now: UnixMillis) {
        if let Some(over) = self.borrower.end() {
            self.owe(over);
        }
        self.borrower.forget_answer();
        self.give_up();
        self.pause(0, NONE);
        self.lacks_since = self.lacks_since.min(now);
    }

    /// The server has heard of it.
    pub(crate) fn returned(&mut self, id: LeaseId) {
        if self.owed.is_some_and(|owed| owed.id == id) {
            self.owed = None;
        }
    }

    /// There is room for one: of two, the one that is worth more. The other's lease ends by
    /// itself, and nobody is credited with what was left of it.
    fn owe(&mut self, over: Return) {
        if self.owed.is_none_or(|owed| owed.unused <= over.unused) {
            self.owed = Some(over);
        }
    }

    /// Whether forgetting it loses nothing.
    pub(crate) fn is_forgettable(&self, now: UnixMillis) -> bool {
        self.question.is_none() && self.owed.is_none() && self.borrower.is_forgettable(now)
    }

    /// How much would be lost with it. Whoever has a slice stays before whoever has had one or
    /// owes for one, these before whoever has asked for one, and these before whoever would like
    /// to: a flood of new keys, of which each has asked soon, must not take slices away.
    pub(crate) fn worth(&self, now: UnixMillis) -> u8 {
        let is_owed = self.owed.is_some() || self.borrower.lease().is_some();
        if self.is_forgettable(now) {
            0
        } else if self.borrower.left(now) > 0 {
            4
        } else if is_owed || self.borrower.debt() > 0 {
            3
        } else if self.question.is_some() {
            2
        } else {
            1
        }
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let mut from = bytes.as_slice();
        Self {
            fingerprint: number(&mut from),
            owner: number(&mut from),
            key: take(&mut from),
            stamp: number(&mut from),
            life_ms: u32::from_le_bytes(take(&mut from)),
            question: lease(&mut from).map(|(id, asked)| Ask { id, asked }),
            asked_at: UnixMillis(number(&mut from)),
            vain_at: UnixMillis(number(&mut from)),
            pause_ms: u16::from_le_bytes(take(&mut from)),
            lacks_since: UnixMillis(number(&mut from)),
            owed: lease(&mut from).map(|(id, unused)| Return { id, unused }),
            borrower: Borrower::decode(from),
        }
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let question = self.question.map_or((LeaseId::default(), 0), |ask| (ask.id, ask.asked));
        let owed = self.owed.map_or((LeaseId::default(), 0), |owed| (owed.id, owed.unused));
        bytes.extend_from_slice(&self.fingerprint.to_le_bytes());
        bytes.extend_from_slice(&self.owner.to_le_bytes());
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.stamp.to_le_bytes());
        bytes.extend_from_slice(&self.life_ms.to_le_bytes());
        bytes.extend_from_slice(&question.0.0);
        for number in [question.1, self.asked_at.0, self.vain_at.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.pause_ms.to_le_bytes());
        bytes.extend_from_slice(&self.lacks_since.0.to_le_bytes());
        bytes.extend_from_slice(&owed.0.0);
        bytes.extend_from_slice(&owed.1.to_le_bytes());
        bytes.extend_from_slice(&self.borrower.encode());
    }
}

/// The next bytes; zeros where there are too few, which does not happen.
fn take<const N: usize>(from: &mut &[u8]) -> [u8; N] {
    let Some((head, rest)) = from.split_first_chunk::<N>() else { return [0; N] };
    *from = rest;
    *head
}

fn number(from: &mut &[u8]) -> u64 {
    u64::from_le_bytes(take(from))
}

/// A lease and a number; an id of zeros is none, and nobody draws it.
fn lease(from: &mut &[u8]) -> Option<(LeaseId, u64)> {
    let (id, number) = (LeaseId(take(from)), number(from));
    (id != LeaseId::default()).then_some((id, number))
}

#[cfg(test)]
mod tests;
