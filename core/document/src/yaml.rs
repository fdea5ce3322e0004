//! The document's YAML reader, for other files that people write: values that know their line,
//! and all problems in one run.

pub use crate::node::yaml::{parse, parse_all};
pub use crate::node::{Kind, Node};
pub use crate::problem::Problems;

use crate::decode::Fields;
use crate::problem::Position;

/// The members of a mapping, each with the place of its name; names that are not `known` are
/// reported, and so is anything but a mapping.
#[must_use]
pub fn mapping<'n>(
    node: &'n Node,
    known: &[&str],
    problems: &mut Problems,
) -> Option<&'n [(String, Position, Node)]> {
    Fields::open(node, known, problems)?;
    match &node.kind {
        Kind::Map(members) => Some(members),
        _ => None,
    }
}
