//! Looking things up in what was read. What is not there, or is of another kind, says nothing.

use std::collections::BTreeMap;

use postern_document::Position;
use postern_document::yaml::{Kind, Node};

/// A member of a mapping.
pub(super) fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    members(Some(node)).iter().find(|(known, ..)| known == name).map(|(.., value)| value)
}

/// What stands somewhere below.
pub(super) fn below<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, name| member(node, name))
}

/// The members of a mapping.
pub(super) fn members(node: Option<&Node>) -> &[(String, Position, Node)] {
    match node.map(|node| &node.kind) {
        Some(Kind::Map(members)) => members,
        _ => &[],
    }
}

/// The items of a list.
pub(super) fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.kind) {
        Some(Kind::List(items)) => items,
        _ => &[],
    }
}

/// A text.
pub(super) fn text(node: Option<&Node>) -> Option<&str> {
    match node.map(|node| &node.kind) {
        Some(Kind::Text(text)) => Some(text),
        _ => None,
    }
}

/// The texts of a list.
pub(super) fn texts(node: Option<&Node>) -> Vec<String> {
    items(node).iter().filter_map(|item| text(Some(item))).map(str::to_owned).collect()
}

/// A mapping from names to texts.
pub(super) fn pairs(node: Option<&Node>) -> BTreeMap<String, String> {
    let pair = |(name, _, value): &(String, Position, Node)| {
        Some((name.clone(), text(Some(value))?.to_owned()))
    };
    members(node).iter().filter_map(pair).collect()
}

/// A port's number.
pub(super) fn port(node: Option<&Node>) -> Option<u16> {
    match node.map(|node| &node.kind) {
        Some(Kind::Whole(number)) => u16::try_from(*number).ok().filter(|port| *port > 0),
        _ => None,
    }
}
