//! From nodes to records: every field checked, every problem reported, nothing ignored.
//!
//! The [`record!`] macro declares a record once; reading, writing and the JSON Schema all come
//! from that declaration, so they cannot drift apart.

mod amounts;
mod elsewhere;
mod leaves;
mod named;
mod or_off;
mod share;
mod size;

use postern_request::json::Value;

use crate::node::{Kind, Node};
use crate::problem::{Position, Problems, told};

pub use amounts::{Allowed, Amount, AtOnce, RateText};
pub use elsewhere::Elsewhere;
pub use leaves::{At, Duration, Percent, Positive, Text, Whole};
pub use named::{Entries, Named};
pub(crate) use named::{NAME_RULE, is_name};
pub use or_off::OrOff;
pub use share::Share;
pub use size::Size;

/// Something that stands in a document.
pub(crate) trait Decode: Sized {
    /// Whether it is looked at; else it is as if it were absent, whatever stands there.
    const IS_READ: bool = true;
    /// Whether it is a word, and never a secret: messages may repeat it.
    const IS_WORD: bool = false;

    /// Reads it; on a problem reports it and returns none.
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// What an absent field means; none where the field must be there.
    fn absent() -> Option<Self> {
        None
    }

    /// What to go on with where it could not be read, so that what stands beside it is checked
    /// too; none where that would bring up problems that are none. Never part of a document:
    /// one with a problem is none.
    fn stand_in(_at: Position) -> Option<Self> {
        None
    }

    /// Writes it; none where the field is best left out.
    fn encode(&self) -> Option<Value>;

    /// Writes it where leaving it out would mean something else.
    fn encode_present(&self) -> Option<Value> {
        self.encode()
    }

    /// Where that stands to which a path leads: names of fields, and places or names in lists. What
    /// knows no place of its own stands where that does which holds it, which is then the answer.
    fn place(&self, _path: &[&str]) -> Option<Position> {
        None
    }

    /// What may be written, where that is a few words; empty otherwise.
    fn forms() -> String {
        String::new()
    }

    /// Whether it is known by a name among its like in a list.
    fn goes_by(&self, _name: &str) -> bool {
        false
    }

    /// Its JSON Schema.
    fn schema() -> Value;
}

/// Fields as others call them, ours, and how that is written.
const OF_OTHERS: [(&str, &str, &str); 3] = [
    ("jwks_uri", "jwks", "jwks: {uri: …}"),
    ("jwksUri", "jwks", "jwks: {uri: …}"),
    ("jwks_url", "jwks", "jwks: {uri: …}"),
];

fn hint(name: &str, known: &[&str]) -> String {
    let mut of_others = OF_OTHERS.iter().filter(|(_, ours, _)| known.contains(ours));
    if let Some((.., written)) = of_others.find(|(theirs, ..)| *theirs == name) {
        return format!("write `{written}`");
    }
    match closest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The fields of one mapping, while they are read.
pub(crate) struct Fields<'n> {
    node: &'n Node,
}

impl<'n> Fields<'n> {
    /// Opens a mapping and reports names that are not `known`.
    pub(crate) fn open(node: &'n Node, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Kind::Map(members) = &node.kind else {
            let found = node.kind.describe();
            problems.report(node.at, told!("expected a mapping, found {found}"));
            return None;
        };
        for (name, at, _) in members {
            if !known.contains(&name.as_str()) {
                problems.report(*at, told!("unknown field `{name}`; {}", hint(name, known)));
            }
        }
        Some(Self { node })
    }

    /// Reads one field.
    pub(crate) fn read<T: Decode>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        if !T::IS_READ {
            return T::absent();
        }
        let found = match &self.node.kind {
            Kind::Map(members) => members.iter().find(|(candidate, ..)| candidate == name),
            _ => None,
        };
        match found {
            Some((_, _, value)) => problems.within(name, |problems| T::decode(value, problems)),
            None => T::absent().or_else(|| {
                problems.report(self.node.at, told!("`{name}` is missing{}", what::<T>()));
                None
            }),
        }
    }
}

/// What is to be written, behind a colon.
fn what<T: Decode>() -> String {
    let forms = T::forms();
    if forms.is_empty() { forms } else { format!(": {forms}") }
}

/// The words of a choice: `local, exact or leased`.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// Which of these words is meant, where something else stands that is close to it.
pub(crate) fn meant(node: &Node, words: &[&str]) -> String {
    let word = match &node.kind {
        Kind::Text(text) => closest(text, words),
        _ => None,
    };
    word.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// The known name that a typing error most likely meant.
pub(crate) fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (distance(&folded(name), &folded(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.bytes()) {
            let substituted = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = substituted.min(left + 1).min(diagonal + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Declares a record: a mapping with these fields and no others.
macro_rules! record {
    ($(
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $field:ident = $key:literal : $type:ty, )*
        }
    )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            /// Where it stands.
            pub at: $crate::problem::Position,
            $( $(#[doc = $field_doc])* pub $field: $type, )*
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::node::Node,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                let fields = $crate::decode::Fields::open(node, &[$($key),*], problems)?;
                $( let $field = fields.read::<$type>($key, problems); )*
                $( let $field =
                    $field.or_else(|| <$type as $crate::decode::Decode>::stand_in(node.at)); )*
                Some(Self { at: node.at, $( $field: $field? ),* })
            }

            fn encode(&self) -> Option<postern_request::json::Value> {
                let mut members = Vec::new();
                $( if let Some(value) = $crate::decode::Decode::encode(&self.$field) {
                    members.push(($key.to_owned(), value));
                } )*
                Some(postern_request::json::Value::Object(members))
            }

            fn place(&self, path: &[&str]) -> Option<$crate::problem::Position> {
                let found = path.split_first().and_then(|(first, rest)| match *first {
                    $( $key => $crate::decode::Decode::place(&self.$field, rest), )*
                    _ => None,
                });
                found.or(Some(self.at))
            }

            fn schema() -> postern_request::json::Value {
                $crate::schema::object(
                    concat!($($doc),*),
                    vec![$( $crate::schema::Property {
                        name: $key,
                        doc: concat!($($field_doc),*),
                        schema: <$type as $crate::decode::Decode>::schema(),
                        required: <$type as $crate::decode::Decode>::absent().is_none(),
                    } ),*],
                )
            }
        }
    )* };
}
pub(crate) use record;

/// Declares a choice: one of these words.
macro_rules! choice {
    ($(
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $( $(#[doc = $variant_doc:literal])* $variant:ident = $word:literal, )*
        }
    )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $variant_doc])* $variant, )* }

        impl $name {
            /// As the document spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::decode::Decode for $name {
            const IS_WORD: bool = true;

            fn decode(
                node: &$crate::node::Node,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                match &node.kind {
                    $( $crate::node::Kind::Text(text) if text == $word => Some(Self::$variant), )*
                    _ => {
                        let words: &[&str] = &[$($word),*];
                        let message = $crate::problem::told!(
                            "expected one of {}{}",
                            words.join(", "),
                            $crate::decode::meant(node, words)
                        );
                        problems.report(node.at, message);
                        None
                    }
                }
            }

            fn encode(&self) -> Option<postern_request::json::Value> {
                Some(postern_request::json::Value::String(self.as_str().to_owned()))
            }

            fn forms() -> String {
                $crate::decode::one_of(&[$($word),*])
            }

            fn schema() -> postern_request::json::Value {
                $crate::schema::one_of_words(&[$($word),*])
            }
        }
    )* };
}
pub(crate) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_get_a_hint() {
        let known = ["audiences", "issuer", "jwks", "rate"];
        assert_eq!(closest("audience", &known), Some("audiences"));
        assert_eq!(closest("Issuer", &known), Some("issuer"));
        assert_eq!(closest("quota", &known), None);
    }

    #[test]
    fn fields_as_others_call_them_get_ours() {
        assert_eq!(hint("jwks_uri", &["issuer", "jwks"]), "write `jwks: {uri: …}`");
        assert_eq!(hint("jwks_uri", &["issuer"]), "known here: issuer");
    }

    #[test]
    fn words_are_listed_as_people_do() {
        assert_eq!(one_of(&["local", "exact", "leased"]), "local, exact or leased");
        assert_eq!(one_of(&["api"]), "api");
    }

    #[test]
    fn what_is_nearly_a_word_is_taken_for_it() {
        let meant = |text: &str| {
            let node = Node { at: Position::default(), kind: Kind::Text(text.to_owned()) };
            meant(&node, &["local", "exact"])
        };
        assert_eq!(meant("locla"), "; did you mean `local`?");
        assert_eq!(meant("hush-hush"), "");
    }
}
