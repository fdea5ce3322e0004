//! From nodes to fields. What cannot be read is reported, and what is returned in its place only
//! finds further problems: with one of them there are no resources.

use postern_document::Position;
use postern_document::yaml::{Kind, Node, Problems, mapping};

/// A field that somebody forgot to fill in is not one that was left out.
const NO_VALUE: &str = "there is no value here; write one or remove the field";

/// The members of one mapping, while they are read.
pub(super) struct Fields<'n> {
    pub(super) at: Position,
    members: &'n [(String, Position, Node)],
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

    /// Where a field stands, or would.
    pub(super) fn place(&self, name: &str) -> Position {
        self.get(name).map_or(self.at, |node| node.at)
    }

    /// Text that is not empty.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        let node = self.get(name)?;
        problems.within(name, |problems| {
            let text = text(node, problems)?;
            if text.is_empty() {
                problems.report(node.at, format!("`{name}` is empty"));
            }
            Some(text)
        })
    }

    /// Text that may be empty.
    pub(super) fn optional_text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        let node = self.get(name)?;
        problems.within(name, |problems| text(node, problems))
    }

    /// Text that must be there, and is not empty.
    pub(super) fn required(&self, name: &str, problems: &mut Problems) -> Option<String> {
        if self.get(name).is_none() {
            problems.report(self.at, format!("`{name}` is missing"));
        }
        self.text(name, problems)
    }

    /// Texts, each with its place; none where the field is not there.
    pub(super) fn texts(
        &self,
        name: &str,
        most: usize,
        problems: &mut Problems,
    ) -> Vec<(String, Position)> {
        let items = self.list(name, most, problems).unwrap_or_default();
        problems.within(name, |problems| {
            let one = |(index, node): (usize, &Node)| {
                problems.at_index(index, |problems| Some((text(node, problems)?, node.at)))
            };
            items.iter().enumerate().filter_map(one).collect()
        })
    }

    /// Texts that are not empty.
    pub(super) fn names(&self, name: &str, most: usize, problems: &mut Problems) -> Vec<String> {
        let texts = self.texts(name, most, problems);
        for (index, (_, at)) in texts.iter().enumerate().filter(|(_, (text, _))| text.is_empty()) {
            problems.within(name, |problems| {
                problems.at_index(index, |problems| problems.report(*at, "is empty"));
            });
        }
        texts.into_iter().map(|(text, _)| text).collect()
    }

    /// The items of a list; none where the field is not there.
    pub(super) fn list(
        &self,
        name: &str,
        most: usize,
        problems: &mut Problems,
    ) -> Option<&'n [Node]> {
        let node = self.get(name)?;
        problems.within(name, |problems| {
            let message = match &node.kind {
                Kind::List(items) if items.len() <= most => return Some(items.as_slice()),
                Kind::List(_) => format!("at most {most} items"),
                Kind::Null => NO_VALUE.to_owned(),
                other => format!("expected a list, found {}", other.describe()),
            };
            problems.report(node.at, message);
            None
        })
    }

    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> bool {
        let Some(node) = self.get(name) else { return false };
        if let Kind::Bool(value) = node.kind {
            return value;
        }
        let message = format!("expected true or false, found {}", node.kind.describe());
        problems.within(name, |problems| problems.report(node.at, message));
        false
    }

    /// A mapping from names to texts.
    pub(super) fn pairs(
        &self,
        name: &str,
        problems: &mut Problems,
    ) -> Vec<(String, String, Position)> {
        let Some(node) = self.get(name) else { return Vec::new() };
        problems.within(name, |problems| {
            let Kind::Map(members) = &node.kind else {
                let message = match &node.kind {
                    Kind::Null => NO_VALUE.to_owned(),
                    other => format!("expected a mapping, found {}", other.describe()),
                };
                problems.report(node.at, message);
                return Vec::new();
            };
            let one = |(name, at, node): &(String, Position, Node)| {
                let text = problems.within(name, |problems| text(node, problems))?;
                Some((name.clone(), text, *at))
            };
            members.iter().filter_map(one).collect()
        })
    }
}

/// What must be text for Kubernetes must be written so that its tools read text.
fn text(node: &Node, problems: &mut Problems) -> Option<String> {
    let message = match &node.kind {
        Kind::Text(text) => return Some(text.clone()),
        Kind::Null => NO_VALUE.to_owned(),
        Kind::Bool(_) | Kind::Whole(_) | Kind::Number(_) => {
            format!("expected text, found {}: put it in quotes", node.kind.describe())
        }
        other => format!("expected text, found {}", other.describe()),
    };
    problems.report(node.at, message);
    None
}
