//! How many wait for news at once, and how many of them one peer may be.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus::IntGauge;

use crate::admission::share_of_one;
use crate::peer::PeerIdentity;

/// The places of those who wait.
pub(crate) struct WaitingRoom {
    places: usize,
    waiting: IntGauge,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// None of them is zero.
    by_peer: HashMap<PeerIdentity, usize>,
}

impl WaitingRoom {
    /// `waiting` shows how many there are.
    pub(crate) fn new(places: usize, waiting: IntGauge) -> Self {
        Self { places, waiting, taken: Mutex::default() }
    }

    /// A place, if there is one left and the peer does not have its share already.
    pub(crate) fn enter<'r>(&'r self, peer: &'r PeerIdentity) -> Option<Waiting<'r>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = taken.by_peer.get(peer).copied().unwrap_or_default();
        if taken.all >= self.places || of_peer >= share_of_one(self.places) {
            return None;
        }
        taken.all += 1;
        taken.by_peer.insert(peer.clone(), of_peer + 1);
        self.waiting.inc();
        Some(Waiting { room: self, peer })
    }

    fn leave(&self, peer: &PeerIdentity) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        match taken.by_peer.get_mut(peer) {
            Some(of_peer) if *of_peer > 1 => *of_peer -= 1,
            _ => {
                taken.by_peer.remove(peer);
            }
        }
        self.waiting.dec();
    }
}

/// Somebody waits, for as long as this lives.
pub(crate) struct Waiting<'r> {
    room: &'r WaitingRoom,
    peer: &'r PeerIdentity,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.leave(self.peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_has_half_of_the_places() {
        let gauge = IntGauge::new("waiting", "for the test").unwrap();
        let room = WaitingRoom::new(4, gauge.clone());
        let [a, b, c] = ["a", "b", "c"].map(|name| PeerIdentity::Credential(name.to_owned()));
        let first = [room.enter(&a), room.enter(&a)];
        assert!(first.iter().all(Option::is_some));
        assert!(room.enter(&a).is_none());
        let second = [room.enter(&b), room.enter(&b)];
        assert!(second.iter().all(Option::is_some));
        assert!(room.enter(&c).is_none(), "all places are taken");
        assert_eq!(gauge.get(), 4);
        drop(first);
        assert_eq!(gauge.get(), 2);
        let third = room.enter(&c);
        assert!(third.is_some() && room.enter(&a).is_some());
        drop((second, third));
        assert_eq!(gauge.get(), 0);
        assert!(room.taken.lock().unwrap().by_peer.is_empty());
    }

    #[test]
    fn one_place_is_for_anybody() {
        let room = WaitingRoom::new(1, IntGauge::new("waiting", "for the test").unwrap());
        assert!(room.enter(&PeerIdentity::Loopback).is_some());
    }
}
