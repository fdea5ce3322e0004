//! Strings, as the reader finds them.

use std::borrow::Cow;

use super::read::Reader;
use crate::path::hex;

impl<'a> Reader<'a> {
    /// A string, quotes included.
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.step(b'"')?;
        let plain = self.plain()?;
        if self.step(b'"').is_some() {
            return Some(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        while self.step(b'"').is_none() {
            self.step(b'\\')?;
            text.push(self.escaped()?);
            text.push_str(self.plain()?);
        }
        Some(Cow::Owned(text))
    }

    /// What stands for itself: up to the next quote, backslash or control character.
    fn plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        // One by one: the strings of a token are too short for words of eight bytes to pay.
        let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
        self.at += self.rest().iter().take_while(is_plain).count();
        // Each end is beside a character of ASCII or the end of the text: never none.
        self.text.get(start..self.at)
    }

    /// What follows a backslash.
    fn escaped(&mut self) -> Option<char> {
        let escaped = match self.peek()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        };
        self.at += 1;
        Some(escaped)
    }

    /// From the `u` on: one code unit of UTF-16, or the two of a pair (RFC 8259 §7). Half a pair
    /// is no character, and readers differ in what they make of it.
    fn unicode(&mut self) -> Option<char> {
        let start = self.at;
        let code = match self.code_unit()? {
            high @ 0xd800..=0xdbff => {
                self.step(b'\\')?;
                let low = self.code_unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400);
                low.map(|low| 0x1_0000 + ((high - 0xd800) << 10) + low)
            }
            code => Some(code),
        };
        let character = code.and_then(char::from_u32);
        if character.is_none() {
            self.at = start;
        }
        character
    }

    fn code_unit(&mut self) -> Option<u32> {
        self.step(b'u')?;
        let digits = self.rest().first_chunk::<4>()?;
        let unit =
            digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | u32::from(hex(*digit)?)))?;
        self.at += digits.len();
        Some(unit)
    }
}
