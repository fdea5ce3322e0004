//! A bell for each service, within a process: for those who wait until something has changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// The bells of all services that somebody here waits for.
#[derive(Debug, Default)]
pub struct Bells(Mutex<HashMap<String, watch::Sender<u64>>>);

impl Bells {
    /// An ear for a service: it hears what rings from now on.
    pub fn listen(&self, service: &str) -> watch::Receiver<u64> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(service) {
            return bell.subscribe();
        }
        let (bell, ear) = watch::channel(0);
        bells.insert(service.to_owned(), bell);
        ear
    }

    /// Something is different about a service.
    pub fn ring(&self, service: &str) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bells.get(service) {
            Some(bell) if bell.receiver_count() > 0 => bell.send_modify(|rings| *rings += 1),
            Some(_) => drop(bells.remove(service)),
            None => {}
        }
    }

    /// Anything may be different about any of them.
    pub fn ring_all(&self) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|_, bell| bell.receiver_count() > 0);
        bells.values().for_each(|bell| bell.send_modify(|rings| *rings += 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rings_for_those_who_listen_by_then() {
        let bells = Bells::default();
        bells.ring("shop");
        let mut ear = bells.listen("shop");
        let other = bells.listen("pay");
        assert!(!ear.has_changed().unwrap());
        bells.ring("shop");
        assert!(ear.has_changed().unwrap() && !other.has_changed().unwrap());
        ear.mark_unchanged();
        bells.ring_all();
        assert!(ear.has_changed().unwrap() && other.has_changed().unwrap());
        drop((ear, other));
        bells.ring("shop");
        bells.ring_all();
        assert!(bells.0.lock().unwrap().is_empty(), "nobody listens any more");
    }
}
