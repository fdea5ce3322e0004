//! From nodes to fields. What cannot be read is reported, and what is returned in its place only
//! finds further problems: with one of them there are no cases.

use postern_document::Position;
use postern_document::yaml::{Kind, Node, Problems, mapping};
use postern_request::json::Value;

/// A field that somebody forgot to fill in is not one that was left out.
const NO_VALUE: &str = "there is no value here; write one or remove the field";

/// One member of a mapping.
pub(super) type Member = (String, Position, Node);

/// The members of one mapping, while they are read.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    pub(super) at: Position,
    members: &'n [Member],
}

impl<'n> Fields<'n> {
    /// Opens a mapping; names that are not `known` are reported.
    pub(super) fn open(node: &'n Node, known: &[&str], problems: &mut Problems) -> Option<Self> {
        if node.kind == Kind::Null {
            problems.report(node.at, NO_VALUE);
            return None;
        }
        Some(Self { at: node.at, members: mapping(node, known, problems)? })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members.iter().find(|(candidate, ..)| candidate == name).map(|(.., node)| node)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Where a field stands, or would.
    pub(super) fn place(&self, name: &str) -> Position {
        self.get(name).map_or(self.at, |node| node.at)
    }

    /// Reads a field, where it is there.
    pub(super) fn read<T>(
        &self,
        name: &str,
        problems: &mut Problems,
        read: impl FnOnce(&'n Node, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(name)?;
        problems.within(name, |problems| read(node, problems))
    }

    /// Text that is not empty.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        self.read(name, problems, |node, problems| {
            let text = text(node, problems)?;
            if text.is_empty() {
                problems.report(node.at, "is empty, which means nothing here");
            }
            Some(text)
        })
    }

    /// Text that must be there, and is not empty.
    pub(super) fn required(&self, name: &str, problems: &mut Problems) -> Option<String> {
        if !self.has(name) {
            problems.report(self.at, format!("`{name}` is missing"));
        }
        self.text(name, problems)
    }

    /// Texts, each with its place; none where the field is not there.
    pub(super) fn texts(
        &self,
        name: &str,
        problems: &mut Problems,
    ) -> Option<Vec<(String, Position)>> {
        self.read(name, problems, texts)
    }

    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        self.read(name, problems, |node, problems| match node.kind {
            Kind::Bool(value) => Some(value),
            _ => expected("true or false", node, problems),
        })
    }
}

/// Text. A name such as `123` or `true` is one where text is asked for.
pub(super) fn text(node: &Node, problems: &mut Problems) -> Option<String> {
    match &node.kind {
        Kind::Text(text) => Some(text.clone()),
        Kind::Whole(number) => Some(number.to_string()),
        Kind::Bool(value) => Some(value.to_string()),
        _ => expected("text", node, problems),
    }
}

/// A list of texts, each with its place.
pub(super) fn texts(node: &Node, problems: &mut Problems) -> Option<Vec<(String, Position)>> {
    let items = items(node, problems)?.iter().enumerate();
    let read = items.filter_map(|(index, item)| {
        problems.at_index(index, |problems| Some((text(item, problems)?, item.at)))
    });
    Some(read.collect())
}

/// The items of a list.
pub(super) fn items<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::List(items) => Some(items),
        _ => expected("a list", node, problems),
    }
}

/// The members of a mapping whose names the author chooses.
pub(super) fn members<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n [Member]> {
    match &node.kind {
        Kind::Map(members) => Some(members),
        _ => expected("a mapping", node, problems),
    }
}

/// What a node says as JSON: for claims, which may be anything.
pub(super) fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Text(text) => Value::String(text.clone()),
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Whole(number) => match i64::try_from(*number) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Number(number.to_string()),
        },
        Kind::Number(text) => Value::Number(text.clone()),
        Kind::List(items) => Value::Array(items.iter().map(json).collect()),
        Kind::Map(members) => Value::Object(
            members.iter().map(|(name, _, node)| (name.clone(), json(node))).collect(),
        ),
    }
}

/// Says that something else was expected.
pub(super) fn expected<T>(what: &str, node: &Node, problems: &mut Problems) -> Option<T> {
    let message = match &node.kind {
        Kind::Null => NO_VALUE.to_owned(),
        other => format!("expected {what}, found {}", other.describe()),
    };
    problems.report(node.at, message);
    None
}
