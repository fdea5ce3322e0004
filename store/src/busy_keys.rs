//! Whose limits are used up: a bounded list of what was near its limit or over it, most often
//! first. It is for operators' eyes: kept in memory, never logged, and no metric's label.

use std::sync::{Mutex, PoisonError};

use postern_limits::top::{TopKey, TopKeys};

/// Keys that are kept.
const KEYS: usize = 1024;
/// Bytes of each.
const MAX_BYTES: usize = 256;

/// The list.
pub struct BusyKeys(Mutex<TopKeys<String>>);

impl Default for BusyKeys {
    fn default() -> Self {
        Self(Mutex::new(TopKeys::new(KEYS)))
    }
}

impl BusyKeys {
    /// Notes that a key was near its limit or over it; `parts` make its text. Requests with room
    /// to spare should not come here: they would wait for each other.
    pub fn note<'p>(&self, parts: impl IntoIterator<Item = &'p str>) {
        let mut text = String::with_capacity(MAX_BYTES);
        parts.into_iter().for_each(|part| push(&mut text, part));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hit(text, 1);
    }

    /// So many of them, the most frequent first.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<TopKey<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).top(most)
    }
}

/// Appends as many characters as there is room for, without those that would move a cursor.
fn push(text: &mut String, part: &str) {
    for character in part.chars() {
        let character =
            if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        if text.len() + character.len_utf8() > MAX_BYTES {
            return;
        }
        text.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_cut_off_and_their_number_is_bounded() {
        let busy = BusyKeys::default();
        busy.note(["few: ", &"ä".repeat(100_000)]);
        let top = busy.top(1).remove(0);
        assert!(top.key.starts_with("few: ä") && top.key.len() <= MAX_BYTES, "{}", top.key);
        assert_eq!(top.count, 1);
        for number in 0..2 * KEYS {
            busy.note([number.to_string().as_str()]);
        }
        assert!(busy.top(usize::MAX).len() <= KEYS);
    }

    #[test]
    fn control_characters_are_not_told() {
        let busy = BusyKeys::default();
        busy.note(["d: k=", "a\r\n\u{1b}[2J"]);
        assert_eq!(busy.top(1).remove(0).key, "d: k=a\u{fffd}\u{fffd}\u{fffd}[2J");
    }

    #[test]
    fn the_busiest_come_first() {
        let busy = BusyKeys::default();
        for (name, times) in [("a", 1), ("b", 3), ("c", 2)] {
            (0..times).for_each(|_| busy.note([name]));
        }
        let top: Vec<_> = busy.top(2).into_iter().map(|top| (top.key, top.count)).collect();
        assert_eq!(top, [("b".to_owned(), 3), ("c".to_owned(), 2)]);
    }
}
