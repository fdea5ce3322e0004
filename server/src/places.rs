//! Where the rules of a document stand in its texts.

use postern_document::yaml::{Kind, Node, Problems, parse};
use postern_document::{Position, Source};
use postern_explain::Place;

/// The texts of a document, as what they say.
pub struct Places {
    names: Vec<String>,
    nodes: Vec<Node>,
}

impl Places {
    /// Of texts that make up a document without problems.
    #[must_use]
    pub fn of(sources: &[Source]) -> Self {
        let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        // The document was checked; what is wrong with it was said then.
        let mut problems = Problems::new(names.clone());
        let texts = sources.iter().enumerate();
        let nodes = texts.filter_map(|(file, source)| parse(&source.text, file, &mut problems));
        Self { nodes: nodes.collect(), names }
    }

    /// The line of a rule, by its path: `routes.payments-read.auth.scopes`. Where it says nothing
    /// itself, that of what it belongs to.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Place> {
        let found = self.nodes.iter().filter_map(|node| follow(node, path));
        let (_, at) = found.max_by_key(|(depth, _)| *depth)?;
        Some(Place { file: self.names.get(at.file)?.clone(), line: at.line })
    }
}

/// How far a path leads, and where to; none where it does not lead anywhere.
fn follow(root: &Node, path: &str) -> Option<(usize, Position)> {
    let mut node = root;
    let mut reached = None;
    for (depth, name) in path.split('.').enumerate() {
        let Some((at, next)) = member(node, name) else { break };
        reached = Some((depth, at));
        node = next;
    }
    reached
}

/// What has a name: a member of a mapping, with the place of its name, or the item of a list whose
/// `name` it is.
fn member<'n>(node: &'n Node, name: &str) -> Option<(Position, &'n Node)> {
    match &node.kind {
        Kind::Map(members) => {
            let found = members.iter().find(|(candidate, ..)| candidate == name);
            found.map(|(_, at, node)| (*at, node))
        }
        Kind::List(items) => {
            let is_named = |item: &&Node| match member(item, "name") {
                Some((_, Node { kind: Kind::Text(text), .. })) => text == name,
                _ => false,
            };
            items.iter().find(is_named).map(|item| (item.at, item))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_in_the_text_that_has_it() {
        let text = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        let places = Places::of(&[
            text("a.yaml", "version: 1\nlimits:\n  few:\n    rate: 1/1m\nroutes: []\n"),
            text("b.yaml", "owner: b\nroutes:\n- name: one\n  auth:\n    scopes: [a]\n"),
        ]);
        let line = |path: &str| places.find(path).map(|place| (place.file, place.line));
        let at = |file: &str, line: usize| Some((file.to_owned(), line));
        assert_eq!(line("routes.one.auth.scopes"), at("b.yaml", 5));
        assert_eq!(line("routes.one.limits"), at("b.yaml", 3));
        assert_eq!(line("limits.few.when_store_fails"), at("a.yaml", 3));
        assert_eq!(line("failures.ext_authz"), None);
    }
}
