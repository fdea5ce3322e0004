//! Mappings whose names the author chooses (services, limits, transforms) or somebody else
//! (headers, claims).

use postern_request::json::Value;

use super::{At, Decode, Text};
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};
use crate::schema;

/// Named values in the order of the document; names are unique.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T>(
    /// What could be read.
    pub Vec<(String, Position, T)>,
    /// Names whose values could not: referring to them is no mistake of its own.
    pub Vec<String>,
);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Named<T> {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(candidate, ..)| candidate == name).map(|(.., value)| value)
    }

    /// Whether a name is there, readable or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.1.iter().any(|broken| broken == name)
    }

    /// All names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, ..)| name.as_str()).collect()
    }
}

/// Names become metric labels, header parts, Envoy names and Kubernetes names: the narrowest of
/// these (RFC 1123 labels) is what all of them take.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// What to say about anything else.
pub(crate) const NAME_RULE: &str = "names are 1 to 63 lower-case letters, digits and inner hyphens";

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Kind::Map(members) = &node.kind else {
            let found = node.kind.describe();
            problems.report(node.at, told!("expected a mapping of names, found {found}"));
            return None;
        };
        let mut read = Vec::with_capacity(members.len());
        let mut broken = Vec::new();
        for (name, at, value) in members {
            if !is_name(name) {
                problems.report(*at, told!("`{}`: {NAME_RULE}", name.escape_debug()));
            }
            match problems.within(name, |problems| T::decode(value, problems)) {
                Some(value) => read.push((name.clone(), *at, value)),
                None => broken.push(name.clone()),
            }
        }
        Some(Self(read, broken))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn encode(&self) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        let members = self
            .0
            .iter()
            .filter_map(|(name, _, value)| Some((name.clone(), value.encode()?)))
            .collect();
        Some(Value::Object(members))
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        let (name, rest) = path.split_first()?;
        let (_, at, value) = self.0.iter().find(|(known, ..)| known == name)?;
        if rest.is_empty() { Some(*at) } else { value.place(rest).or(Some(*at)) }
    }

    fn schema() -> Value {
        schema::map_of(T::schema())
    }
}

/// Values by names that somebody else chose, headers or claims, in the order of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<T>(pub Vec<(Text, T)>);

impl<T: Decode> Decode for Entries<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Kind::Map(members) = &node.kind else {
            let found = node.kind.describe();
            problems.report(node.at, told!("expected a mapping, found {found}"));
            return None;
        };
        // What cannot be read is reported and left out, so that the rest is checked too.
        let read = members.iter().filter_map(|(name, at, value)| {
            let value = problems.within(name, |problems| T::decode(value, problems))?;
            Some((At { value: name.clone(), at: *at }, value))
        });
        Some(Self(read.collect()))
    }

    fn encode(&self) -> Option<Value> {
        let members = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.value.clone(), value.encode_present()?)));
        Some(Value::Object(members.collect()))
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        let (name, rest) = path.split_first()?;
        let (known, value) = self.0.iter().find(|(known, _)| known.value == *name)?;
        if rest.is_empty() { Some(known.at) } else { value.place(rest).or(Some(known.at)) }
    }

    fn schema() -> Value {
        Value::Object(vec![
            ("type".to_owned(), Value::String("object".to_owned())),
            ("additionalProperties".to_owned(), T::schema()),
        ])
    }
}
