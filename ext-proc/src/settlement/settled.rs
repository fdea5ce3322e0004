//! Tickets that were settled, so that none is settled twice.

use std::collections::{HashSet, VecDeque};

/// Tickets that are remembered: a few seconds' worth of a busy replica, and 3 MB. Envoy repeats
/// nothing by itself; what it may have sent twice it sends within moments.
const REMEMBERED: usize = 65_536;

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Settled {
    known: HashSet<[u8; 16]>,
    /// The oldest first.
    order: VecDeque<[u8; 16]>,
}

impl Settled {
    /// Whether a ticket was not settled yet; it is from now on.
    pub(super) fn is_first(&mut self, id: [u8; 16]) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut settled = Settled::default();
        for number in 0..REMEMBERED {
            assert!(settled.is_first(id(number)));
        }
        assert!(!settled.is_first(id(0)), "still known");
        assert!(settled.is_first(id(REMEMBERED)), "and now it is forgotten");
        assert!(!settled.is_first(id(1)));
        assert!(settled.is_first(id(0)));
        assert_eq!((settled.known.len(), settled.order.len()), (REMEMBERED, REMEMBERED));
    }
}
