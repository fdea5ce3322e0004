//! The reader: one pass over the bytes of a text that is known to be UTF-8.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Item, JsonError, MAX_DEPTH, MAX_NUMBER_BYTES, Members, Value};

/// Up to so many members are compared with each other; more go into a set first, because whoever
/// writes the text chooses how many there are. It is also what an object has room for from the
/// start: one allocation for nearly every token.
const FEW_MEMBERS: usize = 16;

/// Reads on from a place in a text. Whatever returns none has found something that is not strict
/// JSON, and the place is where.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    /// In bytes; at most the text's length.
    pub(super) at: usize,
    /// How many more levels may be opened. Recursion is as deep as nesting, so this bounds both.
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Reads what the whole of a text is.
    pub(super) fn whole<T>(
        text: &'a [u8],
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, JsonError> {
        let checked =
            str::from_utf8(text).map_err(|error| JsonError::at(text, error.valid_up_to()))?;
        let mut reader = Self { text: checked, at: 0, depth: MAX_DEPTH };
        match read(&mut reader) {
            Some(value) if reader.next_token().is_none() => Ok(value),
            _ => Err(JsonError::at(text, reader.at)),
        }
    }

    /// A value of any kind.
    pub(super) fn value(&mut self) -> Option<Value> {
        match self.next_token()? {
            b'"' => self.string().map(|text| Value::String(text.into_owned())),
            b'{' => self.members(Vec::new(), Self::value).map(Value::Object),
            b'[' => self.array(),
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            _ => self.number(),
        }
    }

    /// A value of any kind, a string borrowed if it can be.
    fn item(&mut self) -> Option<Item<'a>> {
        match self.next_token()? {
            b'"' => self.string().map(Item::String),
            _ => self.value().map(Item::Other),
        }
    }

    /// An object whose own strings are borrowed.
    pub(super) fn object(&mut self) -> Option<Members<'a>> {
        self.next_token().filter(|byte| *byte == b'{')?;
        self.members(Vec::with_capacity(FEW_MEMBERS), Self::item)
    }

    /// From the brace on.
    fn members<N, V>(
        &mut self,
        mut members: Vec<(N, V)>,
        read: fn(&mut Self) -> Option<V>,
    ) -> Option<Vec<(N, V)>>
    where
        N: From<Cow<'a, str>> + AsRef<str>,
    {
        self.open()?;
        if self.next_token()? != b'}' {
            loop {
                let start = self.at;
                let name = self.string()?;
                if members.len() < FEW_MEMBERS
                    && members.iter().any(|(seen, _)| seen.as_ref() == name)
                {
                    self.at = start;
                    return None;
                }
                self.next_token();
                self.step(b':')?;
                members.push((name.into(), read(self)?));
                match self.next_token()? {
                    b'}' => break,
                    _ => self.step(b',')?,
                }
                self.next_token();
            }
        }
        if members.len() > FEW_MEMBERS && has_repeated(&members) {
            return None;
        }
        self.close();
        Some(members)
    }

    /// From the bracket on.
    fn array(&mut self) -> Option<Value> {
        self.open()?;
        let mut items = Vec::new();
        if self.next_token()? != b']' {
            loop {
                items.push(self.value()?);
                match self.next_token()? {
                    b']' => break,
                    _ => self.step(b',')?,
                }
            }
        }
        self.close();
        Some(Value::Array(items))
    }

    fn open(&mut self) -> Option<()> {
        self.depth = self.depth.checked_sub(1)?;
        self.at += 1;
        Some(())
    }

    fn close(&mut self) {
        self.depth += 1;
        self.at += 1;
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.rest().starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }

    /// A number by the grammar of RFC 8259 §6.
    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        // It may be missing, as the fraction may.
        self.step(b'-');
        if self.step(b'0').is_none() {
            self.digits()?;
        }
        if self.step(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.at)?;
        if text.len() > MAX_NUMBER_BYTES {
            self.at = start;
            return None;
        }
        Some(match text.parse() {
            Ok(number) if text != "-0" => Value::Integer(number),
            _ => Value::Number(text.to_owned()),
        })
    }

    /// At least one digit. A second one after a leading zero is found by whatever reads on,
    /// because nothing goes on with a digit.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space and looks at what follows.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Goes past `byte` if it is the next one.
    pub(super) fn step(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }
}

fn has_repeated<N: AsRef<str>, V>(members: &[(N, V)]) -> bool {
    let mut seen = BTreeSet::new();
    members.iter().any(|(name, _)| !seen.insert(name.as_ref()))
}
