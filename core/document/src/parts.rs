//! Which of a document's texts is the main file, and which are fragments. What is neither is said
//! once, and nothing is made of it: one file in the wrong folder is one problem.

use postern_request::json::Value;

use crate::decode::Decode as _;
use crate::node::{Kind, Node};
use crate::problem::{Position, Problems};
use crate::raw::{RawDocument, RawFragment};

const VERSION: &str = "version";
const OWNER: &str = "owner";

/// The texts of a document, each in its place.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) main: Option<Node>,
    /// Each has an owner.
    pub(crate) fragments: Vec<Node>,
    /// Fragments that name no owner, which is a problem.
    pub(crate) ownerless: Vec<Node>,
}

/// The fields that only one of the two forms has.
struct Fields {
    of_main: Vec<String>,
    of_fragments: Vec<String>,
}

impl Fields {
    fn known() -> Self {
        let names = |schema: &Value| match schema.get("properties") {
            Some(Value::Object(members)) => {
                members.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
            }
            _ => Vec::new(),
        };
        let mut of_main = names(&RawDocument::schema());
        let of_fragments = names(&RawFragment::schema());
        of_main.retain(|name| !of_fragments.contains(name));
        Self { of_main, of_fragments }
    }

    /// How much a text looks like the main file; none where it cannot be.
    fn likeness(&self, node: &Node, all_read: bool) -> Option<u8> {
        let names = || members(node).iter().map(|(name, ..)| name);
        let (has_version, has_owner) = (has(node, VERSION), has(node, OWNER));
        let has_more = names().any(|name| name != VERSION && self.of_main.contains(name));
        // A text that could not be read may be the main file: then nothing is guessed.
        let is_one = if all_read { has_version || !has_owner } else { has_version && !has_owner };
        let score = 2 * u8::from(has_version) + 2 * u8::from(has_more) + u8::from(!has_owner);
        is_one.then_some(score)
    }
}

/// Tells the texts apart. `all_read` is whether there are no others, which could not be read.
pub(crate) fn sort(nodes: Vec<Node>, all_read: bool, problems: &mut Problems) -> Parts {
    let is_alone = problems.files().len() == 1;
    let (resources, mut nodes): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(is_resource);
    for node in resources {
        problems.report(
            node.at,
            if is_alone {
                "a Kubernetes resource, and no gateway document"
            } else {
                "a Kubernetes resource: move it out of this folder"
            },
        );
    }
    let fields = Fields::known();
    let likeness = nodes.iter().map(|node| fields.likeness(node, all_read));
    let likeness: Vec<Option<u8>> = likeness.collect();
    // Of several that are alike, the first.
    let best = likeness.iter().copied().flatten().max();
    let main = best.and_then(|best| likeness.iter().position(|score| *score == Some(best)));
    let mut main = main.map(|at| nodes.remove(at));
    if let Some(node) = &mut main {
        refuse_owner(node, problems);
    }
    let name = main.as_ref().map(|node| name_of(node.at, problems));
    let mut parts = Parts { main, ..Parts::default() };
    for mut node in nodes {
        if has(&node, OWNER) {
            refuse_fields_of_main(&mut node, &fields, name.as_deref(), problems);
            parts.fragments.push(node);
        } else if let Some(main) = &name {
            place_ownerless(node, &fields, main, &mut parts, problems);
        }
    }
    parts
}

/// A text that is neither the main file nor names an owner.
fn place_ownerless(
    mut node: Node,
    fields: &Fields,
    main: &str,
    parts: &mut Parts,
    problems: &mut Problems,
) {
    let is_fragment = members(&node).iter().any(|(name, ..)| fields.of_fragments.contains(name));
    let message = if !matches!(node.kind, Kind::Map(_)) {
        format!("expected a mapping, found {}", node.kind.describe())
    } else if has(&node, VERSION) {
        format!("a second main file beside {main}; a fragment begins with `owner`")
    } else if is_fragment {
        format!("a fragment begins with `owner`; the main file is {main}")
    } else {
        format!(
            "neither the main file, which is {main}, nor a fragment: move it out of this folder"
        )
    };
    problems.report(node.at, message);
    if is_fragment && !has(&node, VERSION) {
        refuse_fields_of_main(&mut node, fields, Some(main), problems);
        if let Kind::Map(members) = &mut node.kind {
            let owner = Node { at: node.at, kind: Kind::Text(String::new()) };
            members.push((OWNER.to_owned(), node.at, owner));
        }
        parts.ownerless.push(node);
    }
}

/// Takes what a fragment has of the main file out of it.
fn refuse_fields_of_main(
    node: &mut Node,
    fields: &Fields,
    main: Option<&str>,
    problems: &mut Problems,
) {
    let Kind::Map(members) = &mut node.kind else { return };
    members.retain(|(name, at, _)| {
        let is_foreign = fields.of_main.contains(name);
        if is_foreign {
            let which = main.map(|main| format!(", which is {main}")).unwrap_or_default();
            let message = format!("`{name}` stands in the main file alone{which}");
            problems.report(*at, message);
        }
        !is_foreign
    });
}

fn refuse_owner(node: &mut Node, problems: &mut Problems) {
    let Kind::Map(members) = &mut node.kind else { return };
    members.retain(|(name, at, _)| {
        let is_owner = name == OWNER;
        if is_owner {
            let message = "`owner` begins a fragment, and `version` the main file: leave one of \
                           them out";
            problems.report(*at, message);
        }
        !is_owner
    });
}

fn is_resource(node: &Node) -> bool {
    has(node, "apiVersion") && has(node, "kind")
}

fn has(node: &Node, name: &str) -> bool {
    members(node).iter().any(|(known, ..)| known == name)
}

fn members(node: &Node) -> &[(String, Position, Node)] {
    match &node.kind {
        Kind::Map(members) => members,
        _ => &[],
    }
}

fn name_of(at: Position, problems: &Problems) -> String {
    problems.files().get(at.file).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
