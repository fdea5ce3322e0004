//! A number that can be switched off.

use postern_request::json::Value;

use super::leaves::is_beyond;
use super::{Decode, Positive};
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};
use crate::schema;

const OFF: &str = "off";

/// A whole number, one or more, or `off`: neither zero nor a missing field means that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrOff {
    /// Not at all.
    Off(Position),
    /// So many.
    Number(Positive),
}

impl Decode for OrOff {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) if text == OFF => Some(Self::Off(node.at)),
            Kind::Whole(_) => Positive::decode(node, problems).map(Self::Number),
            kind if is_beyond(kind) => {
                let most = i64::MAX;
                problems
                    .report(node.at, told!("expected a whole number from 1 to {most} or `off`"));
                None
            }
            kind => {
                let found = kind.describe();
                problems.report(node.at, told!("expected a whole number or `off`, found {found}"));
                None
            }
        }
    }

    fn encode(&self) -> Option<Value> {
        match self {
            Self::Off(_) => Some(Value::String(OFF.to_owned())),
            Self::Number(number) => number.encode(),
        }
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        match self {
            Self::Off(at) => Some(*at),
            Self::Number(number) => Some(number.at),
        }
    }

    fn schema() -> Value {
        schema::any_of(vec![Positive::schema(), schema::one_of_words(&[OFF])])
    }
}
