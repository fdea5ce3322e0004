//! The code that a user types in (RFC 8628 §6.1).

use core::fmt;

/// Consonants alone: nobody reads a word into them, and none looks like another.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of a code: 20⁸ are 34 bits, which hold for as long as guesses are limited (§5.1).
const LETTERS: usize = 8;
/// Letters before the dash.
const HALF: usize = 4;
/// Bytes below this are shared out evenly among the letters. The others are drawn again, because
/// a remainder of all 256 would favour the first letters.
const EVEN: u8 = 240;

/// A user code. `Debug` shows nothing of it: whoever reads it in a log could be first to use it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode([u8; LETTERS]);

impl UserCode {
    /// A code out of random bytes; none where too many of them had to be passed over, which of
    /// sixteen is as good as never so.
    #[must_use]
    pub fn from_random(random: &[u8]) -> Option<Self> {
        let even = random.iter().filter(|byte| **byte < EVEN);
        let mut letters = even.filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        let mut code = [0; LETTERS];
        for place in &mut code {
            *place = *letters.next()?;
        }
        Some(Self(code))
    }

    /// Reads what somebody has typed in: small letters are as good, and dashes and spaces are for
    /// reading alone. Everything else is no code.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let mut letters = typed.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
        let mut code = [0; LETTERS];
        for place in &mut code {
            let letter = letters.next()?.to_ascii_uppercase();
            *place = Some(letter).filter(|letter| ALPHABET.contains(letter))?;
        }
        letters.next().is_none().then_some(Self(code))
    }

    /// The letters, to be hashed with a key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As devices and pages show it: `BCDF-GHJK`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(LETTERS + 1);
        for (at, letter) in self.0.iter().enumerate() {
            if at == HALF {
                text.push('-');
            }
            text.push(char::from(*letter));
        }
        text
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_typed_in_as_people_type() {
        let code = UserCode::parse("WDJB-MJHT").unwrap();
        for typed in ["WDJBMJHT", "wdjb-mjht", "wd jb mj ht", "  WDJB - MJHT ", "WDJB--MJHT"] {
            assert_eq!(UserCode::parse(typed).as_ref(), Some(&code), "{typed}");
        }
        assert_eq!((code.to_text().as_str(), code.as_bytes()), ("WDJB-MJHT", &b"WDJBMJHT"[..]));
        for other in [
            "",
            "WDJB-MJH",
            "WDJB-MJHTB",
            "ADJB-MJHT",
            "WDJB-MJH0",
            "WDJB_MJHT",
            "WDJB\u{2011}MJHT",
            "ẂDJB-MJHT",
            "WDJB-MJHT\n",
        ] {
            assert_eq!(UserCode::parse(other), None, "{other}");
        }
        assert_eq!(format!("{code:?}"), "UserCode(…)");
    }

    #[test]
    fn every_letter_comes_as_often_as_every_other() {
        let mut counts = [0_u32; 256];
        for byte in 0..EVEN {
            let code = UserCode::from_random(&[byte; LETTERS]).unwrap();
            counts[usize::from(code.as_bytes()[0])] += 1;
        }
        for letter in ALPHABET {
            assert_eq!(counts[usize::from(*letter)], 12, "{letter}");
        }
        for byte in EVEN..=u8::MAX {
            assert_eq!(UserCode::from_random(&[byte; 64]), None, "{byte}");
        }
        let late = [[255; 8], [0; 8]].concat();
        assert_eq!(UserCode::from_random(&late).unwrap().to_text(), "BBBB-BBBB");
    }

    proptest! {
        /// Whatever is drawn can be typed in again, and whatever is typed in is one code or none.
        #[test]
        fn codes_are_read_as_they_are_shown(
            random in prop::collection::vec(any::<u8>(), 0..40),
            typed in "\\PC{0,16}",
        ) {
            if let Some(code) = UserCode::from_random(&random) {
                prop_assert_eq!(UserCode::parse(&code.to_text()), Some(code.clone()));
                prop_assert_eq!(UserCode::parse(&code.to_text().to_lowercase()), Some(code));
            }
            if let Some(code) = UserCode::parse(&typed) {
                prop_assert_eq!(UserCode::parse(&code.to_text()), Some(code));
            }
        }
    }
}
