//! How many take a snapshot at once. A mesh that comes up all at once must not make the server
//! send a thousand snapshots side by side, each slower than a few one after the other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::PeerIdentity;

/// Who takes a snapshot: a peer's Envoy.
pub(crate) type Taker = (PeerIdentity, String);

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

    /// Whether there is a place, for a first piece or a further one.
    pub(crate) fn enter(&self, taker: &Taker, now: Instant) -> bool {
        let mut takers = self.takers.lock().unwrap_or_else(PoisonError::into_inner);
        if !takers.contains_key(taker) && takers.len() >= self.places {
            takers.retain(|_, last| now.saturating_duration_since(*last) <= self.pause);
            if takers.len() >= self.places {
                return false;
            }
        }
        takers.insert(taker.clone(), now);
        true
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

    #[test]
    fn places_are_held_and_given_back() {
        let pause = Duration::from_secs(10);
        let admission = Admission::new(2, pause);
        let now = Instant::now();
        let taker = |name: &str| (PeerIdentity::Loopback, name.to_owned());
        assert!(admission.enter(&taker("a"), now));
        assert!(admission.enter(&taker("b"), now));
        assert!(!admission.enter(&taker("c"), now));
        assert!(admission.enter(&taker("a"), now + pause), "a further piece");
        admission.leave(&taker("a"));
        assert!(admission.enter(&taker("c"), now + pause));
        let later = now + pause + Duration::from_secs(1);
        assert!(admission.enter(&taker("d"), later), "b has been silent for too long");
        assert!(!admission.enter(&taker("b"), later), "and must wait for a place");
        assert_eq!(admission.taken(), 2);
    }
}
