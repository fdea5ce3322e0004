//! How much a limit allows, as it is written: a rate, a whole number, or `unlimited`.

use postern_limits::Rate;
use postern_request::json::Value;

use super::{Decode, Text, closest};
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};
use crate::schema;

/// No bound at all must be written out: neither zero nor a missing field means it.
const UNLIMITED: &str = "unlimited";
/// What other tools write for it.
const ELSEWHERE: [&str; 12] = [
    "none", "no", "no limit", "no-limit", "no_limit", "nolimit", "off", "inf", "infinite",
    "infinity", "∞", "-1",
];

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Any number.
    Unlimited,
    /// So many in what time.
    Rate(Rate),
    /// So many at once.
    AtOnce(u64),
}

/// What a limit allows some of its callers: a rate, a whole number, or `unlimited`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// How much.
    pub amount: Amount,
    /// As it was written.
    pub text: String,
    /// Its place.
    pub at: Position,
}

/// A rate, written `2000/1m`, or `unlimited`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateText(pub Allowed);

/// How many at once, or `unlimited`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtOnce(pub Allowed);

/// Reads the word. What was meant as such gets a hint, because the error of a rate or a number
/// would not lead there; anything else is none.
fn unlimited(text: &str) -> Option<Result<Amount, String>> {
    if text == UNLIMITED {
        return Some(Ok(Amount::Unlimited));
    }
    if !cfg!(feature = "messages") {
        return None;
    }
    let folded = text.trim().to_ascii_lowercase();
    let is_meant = ELSEWHERE.contains(&folded.as_str()) || closest(&folded, &[UNLIMITED]).is_some();
    is_meant.then(|| Err(format!("where there is no bound, write `{UNLIMITED}`")))
}

fn rate_or_unlimited(text: &str) -> Result<Amount, String> {
    let rate = || Rate::parse(text).map(Amount::Rate).map_err(|error| told!("{error}"));
    unlimited(text).unwrap_or_else(rate)
}

impl Allowed {
    /// Reads a whole number, or what `read` makes of a text.
    fn read(
        node: &Node,
        expected: &str,
        read: impl FnOnce(&str) -> Option<Result<Amount, String>>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let at = node.at;
        let message = match &node.kind {
            Kind::Whole(number) => {
                return Some(Self {
                    amount: Amount::AtOnce(*number),
                    text: number.to_string(),
                    at,
                });
            }
            Kind::Text(text) => match read(text) {
                Some(Ok(amount)) => return Some(Self { amount, text: text.clone(), at }),
                Some(Err(message)) => message,
                None => told!("expected {expected}"),
            },
            kind => told!("expected {expected}, found {}", kind.describe()),
        };
        problems.report(at, message);
        None
    }

    fn to_value(&self) -> Value {
        match self.amount {
            Amount::AtOnce(number) => i64::try_from(number).map_or(Value::Null, Value::Integer),
            Amount::Unlimited | Amount::Rate(_) => Value::String(self.text.clone()),
        }
    }
}

fn rate_schema() -> Value {
    schema::text_like("^[0-9]+ */ *[0-9]+(ms|s|m|h|d|w|mo)$")
}

fn unlimited_schema() -> Value {
    schema::one_of_words(&[UNLIMITED])
}

impl Decode for RateText {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        // As a text, so that `rate: 100` is told of the period that it lacks.
        let text = Text::decode(node, problems)?;
        match rate_or_unlimited(&text.value) {
            Ok(amount) => Some(Self(Allowed { amount, text: text.value, at: node.at })),
            Err(message) => {
                problems.report(node.at, message);
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        Some(self.0.to_value())
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.0.at)
    }

    fn schema() -> Value {
        schema::any_of(vec![rate_schema(), unlimited_schema()])
    }
}

impl Decode for AtOnce {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let expected = "how many at once, a whole number, or `unlimited`";
        Allowed::read(node, expected, unlimited, problems).map(Self)
    }

    fn encode(&self) -> Option<Value> {
        Some(self.0.to_value())
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.0.at)
    }

    fn schema() -> Value {
        schema::any_of(vec![schema::whole_number(1), unlimited_schema()])
    }
}

impl Decode for Allowed {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let expected = "a rate such as 100/1m, a whole number where the limit is by `in_flight`, \
                        or `unlimited`";
        Self::read(node, expected, |text| Some(rate_or_unlimited(text)), problems)
    }

    fn encode(&self) -> Option<Value> {
        Some(self.to_value())
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::any_of(vec![rate_schema(), schema::whole_number(1), unlimited_schema()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bound_is_one_word() {
        assert_eq!(unlimited("unlimited"), Some(Ok(Amount::Unlimited)));
        for other in ["Unlimited", "UNLIMITED", "unlimted", "none", "Infinity", "-1", " no limit "]
        {
            let message = unlimited(other).unwrap().unwrap_err();
            assert!(message.contains("`unlimited`"), "{other}: {message}");
        }
        for bad in ["", "0/1m", "limit", "NaN", "5"] {
            assert_eq!(unlimited(bad), None, "{bad}");
            assert!(rate_or_unlimited(bad).is_err(), "{bad}");
        }
    }
}
