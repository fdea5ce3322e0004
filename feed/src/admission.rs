//! How many take a snapshot at once. A mesh that comes up all at once must not make the server
//! send a thousand snapshots side by side, each slower than a few one after the other. Nor may
//! one peer, under as many names as it likes, take the places of all others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::PeerIdentity;

/// Who takes a snapshot: a peer's Envoy.
pub(crate) type Taker = (PeerIdentity, String);

/// What one peer may have of the places for all: half of them, and where there is one alone, that.
#[must_use]
pub const fn share_of_one(places: usize) -> usize {
    if places > 1 { places / 2 } else { places }
}

/// How a taker came by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has just got it.
    New,
    /// It has had it since an earlier piece.
    Held,
}

/// The places. One is held from the first piece to the last, or until no piece was asked for
/// for a while.
pub(crate) struct Admission {
    places: usize,
    pause: Duration,
    takers: Mutex<HashMap<Taker, Instant>>,
}

impl Admission {
    pub(crate) fn new(places: usize, pause: Duration) -> Self {
        Self { places, pause, takers: Mutex::default() }
    }

    /// A place, for a first piece or a further one; none when there is none left, or when the
    /// peer has its share.
    pub(crate) fn enter(&self, taker: &Taker, now: Instant) -> Option<Place> {
        let is_held = |last: Instant| now.saturating_duration_since(last) <= self.pause;
        let mut takers = self.takers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = takers.get_mut(taker).filter(|last| is_held(**last)) {
            *last = now;
            return Some(Place::Held);
        }
        if self.is_full_for(&taker.0, &takers) {
            takers.retain(|_, last| is_held(*last));
            if self.is_full_for(&taker.0, &takers) {
                return None;
            }
        }
        takers.insert(taker.clone(), now);
        Some(Place::New)
    }

    fn is_full_for(&self, peer: &PeerIdentity, takers: &HashMap<Taker, Instant>) -> bool {
        let of_peer = || takers.keys().filter(|(other, _)| other == peer).count();
        takers.len() >= self.places || of_peer() >= share_of_one(self.places)
    }

    /// The last piece is on its way.
    pub(crate) fn leave(&self, taker: &Taker) {
        self.takers.lock().unwrap_or_else(PoisonError::into_inner).remove(taker);
    }

    /// Places taken.
    pub(crate) fn taken(&self) -> usize {
        self.takers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn taker(peer: &str, name: &str) -> Taker {
        (PeerIdentity::Credential(peer.to_owned()), name.to_owned())
    }

    #[test]
    fn places_are_held_and_given_back() {
        let admission = Admission::new(2, PAUSE);
        let now = Instant::now();
        let taker = |name: &str| taker(name, name);
        assert_eq!(admission.enter(&taker("a"), now), Some(Place::New));
        assert_eq!(admission.enter(&taker("b"), now), Some(Place::New));
        assert_eq!(admission.enter(&taker("c"), now), None);
        assert_eq!(admission.enter(&taker("a"), now + PAUSE), Some(Place::Held));
        admission.leave(&taker("a"));
        assert_eq!(admission.enter(&taker("c"), now + PAUSE), Some(Place::New));
        let later = now + PAUSE + Duration::from_secs(1);
        let entered = admission.enter(&taker("d"), later);
        assert_eq!(entered, Some(Place::New), "b has been silent for too long");
        assert_eq!(admission.enter(&taker("b"), later), None, "and must wait for a place");
        assert_eq!(admission.taken(), 2);
    }

    #[test]
    fn who_was_silent_for_too_long_holds_no_place() {
        let admission = Admission::new(4, PAUSE);
        let now = Instant::now();
        let (a, later) = (taker("a", "1"), now + PAUSE + Duration::from_secs(1));
        assert_eq!(admission.enter(&a, now), Some(Place::New));
        assert_eq!(admission.enter(&a, later), Some(Place::New), "though nobody has taken it");
        assert_eq!(admission.taken(), 1);
    }

    #[test]
    fn one_peer_takes_half_of_the_places_whatever_it_calls_itself() {
        let admission = Admission::new(4, PAUSE);
        let now = Instant::now();
        let enters = |peer, name| admission.enter(&taker(peer, name), now).is_some();
        assert!(enters("a", "1") && enters("a", "2"));
        assert!(!enters("a", "3"));
        assert!(enters("a", "1"), "a further piece");
        assert!(enters("b", "1") && enters("c", "1"));
        assert!(!enters("d", "1"), "all places are taken");
        let alone = Admission::new(1, PAUSE);
        assert!(alone.enter(&(PeerIdentity::Loopback, "1".to_owned()), now).is_some());
    }
}
