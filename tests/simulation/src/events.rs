//! What happens when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Microseconds since the simulation began.
pub type Micros = u64;

/// Events in the order of their time; those of one moment in the order in which they were put in.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Scheduled<E>>,
    number: u64,
}

#[derive(Debug)]
struct Scheduled<E> {
    at: Micros,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    /// Nothing happens.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }

    /// Puts an event in.
    pub fn put(&mut self, at: Micros, event: E) {
        self.number += 1;
        self.heap.push(Scheduled { at, number: self.number, event });
    }

    /// Takes the next one out, if it is before `end`.
    pub fn next_before(&mut self, end: Micros) -> Option<(Micros, E)> {
        if self.heap.peek()?.at >= end {
            return None;
        }
        self.heap.pop().map(|next| (next.at, next.event))
    }
}

/// The largest is the one that comes first: a heap gives out its largest.
impl<E> Ord for Scheduled<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Scheduled<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b'), (9, 'e')] {
            queue.put(at, event);
        }
        let mut seen = String::new();
        while let Some((_, event)) = queue.next_before(9) {
            seen.push(event);
        }
        assert_eq!(seen, "abcd");
    }
}
