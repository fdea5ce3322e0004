//! Texts, numbers, durations; optional values and lists.

use core::ops::Deref;

use postern_limits::rate::parse_duration_ms;
use postern_request::json::Value;

use super::Decode;
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};
use crate::schema;

/// A value that knows where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub at: Position,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A text.
pub type Text = At<String>;
/// A whole number, zero or more.
pub type Whole = At<u64>;

/// A whole number, one or more. A zero is read, because checks know the bounds and say more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positive {
    /// The value.
    pub value: u64,
    /// Its place.
    pub at: Position,
}

/// A duration of at least one millisecond, written `250ms`, `30s`, `15m`, `24h` or `7d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duration {
    /// Milliseconds, at least 1.
    pub millis: u64,
    /// Its place.
    pub at: Position,
}

/// A share of something, written `10%`. Checks know its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Percent {
    /// In percent.
    pub value: u64,
    /// Its place.
    pub at: Position,
}

fn expected<T>(what: &str, node: &Node, problems: &mut Problems) -> Option<T> {
    problems.report(node.at, told!("expected {what}, found {}", node.kind.describe()));
    None
}

/// A whole number; `least` is for the message alone.
fn whole(least: u64, node: &Node, problems: &mut Problems) -> Option<u64> {
    match &node.kind {
        Kind::Whole(number) => return Some(*number),
        kind if is_beyond(kind) => {
            let most = i64::MAX;
            problems.report(node.at, told!("expected a whole number from {least} to {most}"));
        }
        _ => return expected("a whole number", node, problems),
    }
    None
}

/// Whether it is a number that no field takes: with a sign, or too long. Only messages tell it from
/// other texts.
pub(super) fn is_beyond(kind: &Kind) -> bool {
    let Kind::Text(text) = kind else { return false };
    if !cfg!(feature = "messages") {
        return false;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.bytes().all(is_digit);
    is_whole && (digits.len() < text.len() || digits.parse::<i64>().is_err())
}

/// How a list is written of the one word that stands there instead.
fn as_list<T: Decode>(node: &Node) -> String {
    let word = match &node.kind {
        Kind::Text(text) if T::IS_WORD => Some(in_list(text)),
        Kind::Whole(number) if T::IS_WORD => Some(number.to_string()),
        _ => None,
    };
    word.map(|word| format!(": write [{word}]")).unwrap_or_default()
}

/// A text as it stands between brackets, in quotes where YAML would read something else.
fn in_list(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'/');
    if begins && text.bytes().all(is_plain) { text.to_owned() } else { format!("{text:?}") }
}

impl Decode for Text {
    const IS_WORD: bool = true;

    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) => Some(Self { value: text.clone(), at: node.at }),
            // A name such as `123` or `true` is a text where a text is asked for.
            Kind::Whole(number) => Some(Self { value: number.to_string(), at: node.at }),
            _ => expected("text", node, problems),
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::String(self.value.clone()))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn goes_by(&self, name: &str) -> bool {
        self.value == name
    }

    fn schema() -> Value {
        schema::of_type("string")
    }
}

impl Decode for Whole {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole(0, node, problems).map(|value| Self { value, at: node.at })
    }

    fn stand_in(at: Position) -> Option<Self> {
        Some(Self { value: 1, at })
    }

    fn encode(&self) -> Option<Value> {
        Some(i64::try_from(self.value).map_or(Value::Null, Value::Integer))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::whole_number(0)
    }
}

impl Decode for Positive {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole(1, node, problems).map(|value| Self { value, at: node.at })
    }

    fn stand_in(at: Position) -> Option<Self> {
        Some(Self { value: 1, at })
    }

    fn encode(&self) -> Option<Value> {
        Whole { value: self.value, at: self.at }.encode()
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::whole_number(1)
    }
}

impl Decode for bool {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Bool(value) => Some(*value),
            _ => expected("true or false", node, problems),
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::Bool(*self))
    }

    fn schema() -> Value {
        schema::of_type("boolean")
    }
}

impl Decode for Duration {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = Text::decode(node, problems)?;
        match parse_duration_ms(&text.value) {
            Some(0) => problems.report(node.at, "a duration of zero means nothing here"),
            Some(millis) if millis <= postern_limits::rate::MAX_PERIOD_MS => {
                return Some(Self { millis, at: node.at });
            }
            Some(_) => problems.report(node.at, "a duration is at most 366 days"),
            None => problems.report(
                node.at,
                "write a duration as a whole number and ms, s, m, h or d, for example 30s",
            ),
        }
        None
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::String(format!("{}ms", self.millis)))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::text_like("^[0-9]+(ms|s|m|h|d)$")
    }
}

impl Decode for Percent {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let written = "a share as a whole number and %, for example 10%";
        let Kind::Text(text) = &node.kind else { return expected(written, node, problems) };
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(is_digit));
        if let Some(value) = digits.and_then(|digits| digits.parse().ok()) {
            return Some(Self { value, at: node.at });
        }
        problems.report(node.at, told!("write {written}"));
        None
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::String(format!("{}%", self.value)))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::text_like("^[0-9]+%$")
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.kind == Kind::Null {
            // `limits:` with nothing after it is more often a mistake than an intent.
            problems.report(node.at, "there is no value here; write one or remove the field");
            return Some(None);
        }
        // What is wrong is reported; reading on as if it were absent finds the other problems.
        Some(T::decode(node, problems))
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn encode(&self) -> Option<Value> {
        self.as_ref().and_then(Decode::encode_present)
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        self.as_ref().and_then(|value| value.place(path))
    }

    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            problems.report(
                node.at,
                told!("expected a list, found {}{}", node.kind.describe(), as_list::<T>(node)),
            );
            return None;
        };
        // Items that cannot be read are reported and left out, so that the rest is checked too.
        let read = items.iter().enumerate().filter_map(|(index, item)| {
            problems.at_index(index, |problems| T::decode(item, problems))
        });
        Some(read.collect())
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn encode(&self) -> Option<Value> {
        if self.is_empty() {
            return None;
        }
        self.encode_present()
    }

    fn encode_present(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(Decode::encode).collect()))
    }

    /// That of an item, by its place in the list or its name; of the first where none is asked for.
    fn place(&self, path: &[&str]) -> Option<Position> {
        let Some((name, rest)) = path.split_first() else {
            return self.first().and_then(|item| item.place(path));
        };
        let at = name.parse().ok().or_else(|| self.iter().position(|item| item.goes_by(name)))?;
        self.get::<usize>(at).and_then(|item| item.place(rest))
    }

    fn schema() -> Value {
        schema::list_of(T::schema())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::OrOff;

    fn told<T: Decode>(kind: Kind) -> String {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        let node = Node { at: Position::default(), kind };
        assert!(Vec::<T>::decode(&node, &mut problems).is_none());
        problems.into_sorted().remove(0).message
    }

    #[test]
    fn one_word_is_shown_as_a_list() {
        for (text, expected) in [
            ("GET", "[GET]"),
            ("/payments/", "[/payments/]"),
            ("*.example.test", "[\"*.example.test\"]"),
            ("a, b", "[\"a, b\"]"),
            ("", "[\"\"]"),
        ] {
            let told = told::<Text>(Kind::Text(text.to_owned()));
            assert_eq!(told, format!("expected a list, found text: write {expected}"));
        }
        assert_eq!(told::<Text>(Kind::Whole(7)), "expected a list, found a number: write [7]");
    }

    fn told_of<T: Decode>(text: &str) -> String {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        let node = Node { at: Position::default(), kind: Kind::Text(text.to_owned()) };
        assert!(T::decode(&node, &mut problems).is_none(), "{text}");
        problems.into_sorted().remove(0).message
    }

    #[test]
    fn a_number_that_no_field_takes_is_told_the_bounds() {
        for text in ["-1", "+1", "99999999999999999999", "-99999999999999999999"] {
            let from = |least: u64| format!("expected a whole number from {least} to {}", i64::MAX);
            assert_eq!(told_of::<Whole>(text), from(0), "{text}");
            assert_eq!(told_of::<Positive>(text), from(1), "{text}");
            assert_eq!(told_of::<OrOff>(text), format!("{} or `off`", from(1)), "{text}");
        }
        for text in ["", "-", "1.5", "5", "1e3", "five"] {
            assert_eq!(told_of::<Whole>(text), "expected a whole number, found text", "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let key = Kind::Text("pk_a_hush".to_owned());
        assert_eq!(told::<crate::raw::RawApiKey>(key), "expected a list, found text");
        assert_eq!(told::<Text>(Kind::Null), "expected a list, found nothing");
    }
}
