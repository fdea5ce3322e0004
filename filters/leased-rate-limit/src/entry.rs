//! One key in shared data: how the server knows it, what is under way with it, and its slice.
//!
//! A lease changes hands by a change of its entry and in no other way, so whatever reaches several
//! workers, or one of them twice, counts once. A question that stands here may be asked by anybody
//! as often as it takes. Whoever takes it away is the only one who does: with its answer, which
//! makes it a slice, or by giving it up, which makes it something to return.

use postern_leases::{Ask, Borrower, ENCODED_BYTES, Grant, LeaseId, Return};
use postern_request::UnixMillis;

/// What an entry takes: the fields of [`Entry`] in their order, little-endian.
pub(crate) const ENTRY_BYTES: usize = 104 + ENCODED_BYTES;

/// How often the server is asked, where nothing is urgent.
pub(crate) const POLL_MS: u64 = 1_000;
/// A key of which nothing was to be had is not asked for again within this time, however urgent
/// it seems: a little less than from one poll to the next.
const AGAIN_MS: u64 = 750;

/// The server does not lease this at all: leases cannot be had, and no waiting makes it so.
const NEVER_LEASED: UnixMillis = UnixMillis(1);
const NONE: UnixMillis = UnixMillis(0);

/// What slices of a key are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Source {
    /// The document whose numbers these are; two may be in use.
    pub(crate) document: u32,
    /// The place of the limit among those that it leases.
    pub(crate) limit: u16,
    pub(crate) allowance: u16,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub(crate) fingerprint: u64,
    /// As stores know the key, see [`postern_limits::key::hashed`].
    pub(crate) owner: u64,
    pub(crate) key: [u8; 16],
    pub(crate) source: Source,
    /// What the server is asked for.
    pub(crate) question: Option<Ask>,
    /// When the question was sent for the first time; without one, when the last was answered
    /// with nothing.
    pub(crate) asked_at: UnixMillis,
    /// Since when questions wait for an answer, one after the other; zero where none does.
    lacks_since: UnixMillis,
    /// What the server has not heard of yet.
    pub(crate) owed: Option<Return>,
    pub(crate) borrower: Borrower,
}

impl Entry {
    pub(crate) fn new(fingerprint: u64, (owner, key): (u64, [u8; 16]), source: Source) -> Self {
        Self { fingerprint, owner, key, source, ..Self::default() }
    }

    /// How much to ask the server for, if it is time to.
    pub(crate) fn wants(&self, now: UnixMillis) -> Option<u64> {
        let again_at = self.asked_at.0.saturating_add(AGAIN_MS);
        let in_vain = now >= self.asked_at && now.0 < again_at;
        if self.question.is_some() || in_vain {
            return None;
        }
        self.borrower.want(now, POLL_MS)
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
    pub(crate) fn give_up_late(&mut self, life_ms: u64, now: UnixMillis) {
        if now < self.asked_at || now.millis_since(self.asked_at) >= life_ms {
            self.give_up();
        }
    }

    /// Whatever was lent for the question goes back whole: no more than was asked for.
    fn give_up(&mut self) {
        if let Some(Ask { id, asked }) = self.question.take() {
            self.asked_at = NONE;
            self.owe(Return { id, unused: asked });
        }
    }

    /// Takes an answer, once; none where the server does not lease this.
    pub(crate) fn answered(&mut self, id: LeaseId, grant: Option<Grant>, now: UnixMillis) {
        let Some(ask) = self.question.filter(|ask| ask.id == id) else { return };
        self.question = None;
        let sent = core::mem::replace(&mut self.asked_at, now);
        let Some(grant) = grant else {
            self.lacks_since = NEVER_LEASED;
            return;
        };
        self.lacks_since = NONE;
        let grant = Grant { granted: grant.granted.min(ask.asked), ..grant };
        if grant.granted > 0 {
            self.asked_at = NONE;
        }
        if let Some(over) = self.borrower.granted(id, grant, sent, now) {
            self.owe(over);
        }
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

    /// The clock went back: nobody can say how old anything here is.
    pub(crate) fn end(&mut self, now: UnixMillis) {
        if let Some(over) = self.borrower.end() {
            self.owe(over);
        }
        self.give_up();
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
        let mut borrower = self.borrower;
        // Nobody is told how much passed.
        let _ = borrower.report();
        self.question.is_none() && self.owed.is_none() && borrower.is_forgettable(now)
    }

    /// Whether nobody comes any more and nothing is to be paid for: of a document whose limits
    /// this worker cannot name, that has to do.
    pub(crate) fn is_deserted(&self, now: UnixMillis) -> bool {
        let mut rest = Self { question: None, owed: None, ..*self };
        let _ = rest.borrower.end();
        rest.is_forgettable(now)
    }

    /// How much would be lost with it. Whoever has a slice stays before whoever would like one:
    /// a flood of new keys must not take slices away.
    pub(crate) fn worth(&self, now: UnixMillis) -> u8 {
        if self.is_forgettable(now) {
            0
        } else if self.question.is_some() || self.borrower.lease().is_some() {
            3
        } else if self.owed.is_some() || self.borrower.debt() > 0 {
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
            source: Source {
                document: u32::from_le_bytes(take(&mut from)),
                limit: u16::from_le_bytes(take(&mut from)),
                allowance: u16::from_le_bytes(take(&mut from)),
            },
            question: lease(&mut from).map(|(id, asked)| Ask { id, asked }),
            asked_at: UnixMillis(number(&mut from)),
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
        bytes.extend_from_slice(&self.source.document.to_le_bytes());
        bytes.extend_from_slice(&self.source.limit.to_le_bytes());
        bytes.extend_from_slice(&self.source.allowance.to_le_bytes());
        bytes.extend_from_slice(&question.0.0);
        for number in [question.1, self.asked_at.0, self.lacks_since.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const ASK: Ask = Ask { id: LeaseId([1; 16]), asked: 10 };

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(NOW.0 + ms)
    }

    fn grant(granted: u64) -> Option<Grant> {
        Some(Grant { granted, life_ms: 5000, remaining: 500, reset_ms: 0 })
    }

    fn asking() -> Entry {
        let mut entry = Entry::new(7, (8, [9; 16]), Source::default());
        entry.ask(ASK, NOW);
        entry
    }

    #[test]
    fn a_question_is_answered_once() {
        let mut entry = asking();
        entry.answered(LeaseId([2; 16]), grant(10), later(3));
        assert_eq!((entry.question, entry.borrower.lease()), (Some(ASK), None), "another's");
        entry.answered(ASK.id, grant(99), later(3));
        assert_eq!(entry.borrower.left(later(3)), 10, "no more than was asked for");
        entry.answered(ASK.id, grant(10), later(4));
        assert_eq!((entry.question, entry.owed, entry.borrower.left(later(4))), (None, None, 10));
    }

    #[test]
    fn a_question_that_waited_too_long_goes_back_whole() {
        for (now, given_up) in [(later(4999), false), (later(5000), true), (UnixMillis(5), true)] {
            let mut entry = asking();
            entry.give_up_late(5000, now);
            let expected = given_up.then_some(Return { id: ASK.id, unused: 10 });
            assert_eq!((entry.owed, entry.question.is_none()), (expected, given_up), "{now:?}");
            entry.answered(ASK.id, grant(10), later(4000));
            assert_eq!(entry.borrower.lease().is_none(), given_up, "{now:?}: its answer is late");
        }
    }

    #[test]
    fn what_is_not_answered_is_told_from_what_is_answered_with_nothing() {
        let mut entry = asking();
        assert!(!entry.lacks(3000, later(2999)) && entry.lacks(3000, later(3000)));
        entry.give_up_late(5000, later(5000));
        entry.ask(Ask { id: LeaseId([3; 16]), asked: 1 }, later(5000));
        assert!(entry.lacks(3000, later(5001)), "a new question is no answer");
        entry.answered(LeaseId([3; 16]), grant(0), later(5100));
        assert!(!entry.lacks(3000, later(60_000)));
        entry.ask(ASK, later(60_000));
        entry.answered(ASK.id, None, later(60_001));
        assert!(entry.lacks(3000, later(60_001)), "the server does not lease it");
    }

    #[test]
    fn of_two_returns_the_larger_is_kept_until_it_was_heard() {
        let mut entry = asking();
        entry.answered(ASK.id, grant(4), NOW);
        entry.ask(Ask { id: LeaseId([2; 16]), asked: 9 }, NOW);
        entry.end(UnixMillis(NOW.0 - 1));
        assert_eq!(entry.owed, Some(Return { id: LeaseId([2; 16]), unused: 9 }));
        entry.returned(ASK.id);
        assert!(entry.owed.is_some());
        entry.returned(LeaseId([2; 16]));
        assert_eq!(entry.owed, None);
    }

    proptest! {
        #[test]
        fn bytes_are_read_as_they_are_written(
            bytes in prop::collection::vec(any::<u8>(), ENTRY_BYTES),
        ) {
            let entry = Entry::decode(bytes.first_chunk().unwrap());
            let mut written = Vec::new();
            entry.encode(&mut written);
            prop_assert_eq!(written.len(), ENTRY_BYTES);
            prop_assert_eq!(Entry::decode(written.first_chunk().unwrap()), entry);
        }

        #[test]
        fn any_entry_and_clock_will_do(
            bytes in prop::collection::vec(any::<u8>(), ENTRY_BYTES),
            now in any::<u64>(),
            life_ms in any::<u64>(),
        ) {
            let now = UnixMillis(now);
            let mut entry = Entry::decode(bytes.first_chunk().unwrap());
            entry.wants(now);
            entry.lacks(life_ms, now);
            entry.note_end(now);
            entry.give_up_late(life_ms, now);
            entry.ask(ASK, now);
            entry.answered(ASK.id, grant(life_ms), now);
            entry.worth(now);
            entry.is_deserted(now);
            entry.end(now);
        }
    }
}
