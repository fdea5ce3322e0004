//! From nodes to fields: what may stand where, and what it says.

use postern_document::Position;
use postern_document::yaml::{Kind, Node, Problems, mapping};

/// Something is wrong, and it was said.
#[derive(Debug)]
pub(crate) struct Reported;

/// A field that need not be there.
type Optional<T> = Result<Option<T>, Reported>;

/// A field that somebody forgot to fill in is not one that was left out.
const NO_VALUE: &str = "there is no value here; write one or remove the field";

/// The members of one mapping, while they are read.
pub(crate) struct Fields<'n> {
    at: Position,
    members: &'n [(String, Position, Node)],
    /// The lines of the file.
    lines: &'n [&'n str],
}

impl<'n> Fields<'n> {
    /// Opens a mapping; names that are not `known` are reported.
    pub(crate) fn open(
        node: &'n Node,
        known: &[&str],
        lines: &'n [&'n str],
        problems: &mut Problems,
    ) -> Option<Self> {
        Some(Self { at: node.at, members: mapping(node, known, problems)?, lines })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members.iter().find(|(candidate, ..)| candidate == name).map(|(.., node)| node)
    }

    /// Where a field stands, or would.
    pub(crate) fn place(&self, name: &str) -> Position {
        self.get(name).map_or(self.at, |node| node.at)
    }

    /// Text that is not empty.
    pub(crate) fn text(&self, name: &str, problems: &mut Problems) -> Optional<String> {
        let Some(node) = self.get(name) else { return Ok(None) };
        let text = match &node.kind {
            Kind::Text(text) => text.clone(),
            Kind::Whole(number) => self.as_written(number.to_string(), name, node, problems)?,
            Kind::Bool(value) => self.as_written(value.to_string(), name, node, problems)?,
            _ => return expected("text", name, node, problems),
        };
        if text.is_empty() {
            return refuse(name, node.at, "is empty, which means nothing here", problems);
        }
        Ok(Some(text))
    }

    /// A number or a truth value where text is meant counts as it is spelled. The reader keeps
    /// what `007` or `TRUE` mean, not how they are written.
    fn as_written(
        &self,
        text: String,
        name: &str,
        node: &Node,
        problems: &mut Problems,
    ) -> Result<String, Reported> {
        let line = node.at.line.checked_sub(1).and_then(|index| self.lines.get(index));
        let mut words = line.into_iter().flat_map(|line| line.split(is_between_words));
        if words.any(|word| word == text) {
            return Ok(text);
        }
        refuse(name, node.at, "must stand in quotes, or its spelling is lost", problems)
    }

    pub(crate) fn flag(&self, name: &str, problems: &mut Problems) -> Result<bool, Reported> {
        match self.get(name) {
            None => Ok(false),
            Some(Node { kind: Kind::Bool(value), .. }) => Ok(*value),
            Some(node) => expected("true or false", name, node, problems),
        }
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&self, name: &str, least: u32, problems: &mut Problems) -> Optional<u32> {
        let Some(node) = self.get(name) else { return Ok(None) };
        match &node.kind {
            Kind::Whole(number) => match u32::try_from(*number) {
                Ok(number) if number >= least => Ok(Some(number)),
                _ => {
                    let message = format!("is a number from {least} to {}", u32::MAX);
                    refuse(name, node.at, &message, problems)
                }
            },
            _ => expected("a whole number", name, node, problems),
        }
    }

    /// What must be there is reported where it is not.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        found: Optional<T>,
        problems: &mut Problems,
    ) -> Result<T, Reported> {
        match found? {
            Some(value) => Ok(value),
            None => {
                problems.report(self.at, format!("`{name}` is missing"));
                Err(Reported)
            }
        }
    }
}

fn is_between_words(c: char) -> bool {
    !c.is_alphanumeric()
}

/// Says what is wrong with a field.
pub(crate) fn refuse<T>(
    name: &str,
    at: Position,
    message: &str,
    problems: &mut Problems,
) -> Result<T, Reported> {
    problems.within(name, |problems| problems.report(at, format!("`{name}` {message}")));
    Err(Reported)
}

fn expected<T>(
    what: &str,
    name: &str,
    node: &Node,
    problems: &mut Problems,
) -> Result<T, Reported> {
    let message = match &node.kind {
        Kind::Null => NO_VALUE.to_owned(),
        other => format!("expected {what}, found {}", other.describe()),
    };
    problems.within(name, |problems| problems.report(node.at, message));
    Err(Reported)
}

/// The items of a list; anything else is reported.
pub(crate) fn list<'n>(node: &'n Node, problems: &mut Problems) -> &'n [Node] {
    let message = match &node.kind {
        Kind::List(items) => return items,
        Kind::Null => NO_VALUE.to_owned(),
        other => format!("expected a list, found {}", other.describe()),
    };
    problems.report(node.at, message);
    &[]
}
