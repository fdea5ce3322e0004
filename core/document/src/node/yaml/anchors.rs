//! What anchors (`&name`) hold and aliases (`*name`) stand for.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::{Kind, Node};
use crate::problem::{Position, Problems};

/// What anchors may hold and aliases may copy, all of one text together: with them, a few lines
/// can stand for billions.
const MAX_NODES: usize = 100_000;
const MAX_BYTES: usize = 4 << 20;

const BEHIND: &str =
    "an alias (*name) stands behind its anchor (&name), not within it, and in the same document";

/// A member of a mapping: its name, where that stands, and its value.
type Member = (String, Position, Node);

/// What has been anchored so far.
#[derive(Default)]
pub(super) struct Anchors {
    held: BTreeMap<usize, (Node, Size)>,
    spent: Size,
}

/// How large a value is.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    /// Of text.
    bytes: usize,
    /// How deep it is nested, 1 where it holds nothing.
    depth: usize,
}

impl Anchors {
    /// Names do not go on in the next document.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// Keeps a value under the number that its anchor has.
    pub(super) fn hold(&mut self, anchor: usize, node: &Node) -> Result<(), String> {
        let size = Size::of(node);
        self.spend(size)?;
        self.held.insert(anchor, (node.clone(), size));
        Ok(())
    }

    /// The value of an anchor, at the place of an alias and at most `deep`.
    pub(super) fn resolve(
        &mut self,
        anchor: usize,
        at: Position,
        deep: usize,
    ) -> Result<Node, String> {
        let Some((node, size)) = self.held.get(&anchor) else {
            return Err(BEHIND.to_owned());
        };
        let (kind, size) = (node.kind.clone(), *size);
        if size.depth > deep {
            return Err("nested too deeply, by what an alias (*name) stands for".to_owned());
        }
        self.spend(size)?;
        Ok(Node { at, kind })
    }

    fn spend(&mut self, size: Size) -> Result<(), String> {
        let (nodes, bytes) = (self.spent.nodes + size.nodes, self.spent.bytes + size.bytes);
        self.spent = Size { nodes, bytes, depth: 0 };
        if nodes > MAX_NODES || bytes > MAX_BYTES {
            return Err(format!(
                "anchors and aliases (&name, *name) stand for more than {MAX_NODES} values or \
                 {} MiB: write fewer of them",
                MAX_BYTES >> 20
            ));
        }
        Ok(())
    }
}

impl Size {
    fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Whole(_) => Self::of_text(""),
            Kind::Text(text) | Kind::Number(text) => Self::of_text(text),
            Kind::List(items) => Self::around(items.iter().map(Self::of)),
            Kind::Map(members) => Self::around(members.iter().map(|(name, _, node)| {
                let size = Self::of(node);
                Self { bytes: size.bytes + name.len(), ..size }
            })),
        }
    }

    const fn of_text(text: &str) -> Self {
        Self { nodes: 1, bytes: text.len(), depth: 1 }
    }

    fn around(parts: impl Iterator<Item = Self>) -> Self {
        parts.fold(Self::of_text(""), |sum, part| Self {
            nodes: sum.nodes + part.nodes,
            bytes: sum.bytes + part.bytes,
            depth: sum.depth.max(part.depth + 1),
        })
    }
}

/// `<<`: members of other mappings, which a mapping has unless it has its own of the same name.
pub(super) struct Merge {
    /// Where it stands.
    pub(super) at: Position,
    /// How many members come before it.
    pub(super) behind: usize,
    /// A mapping, or a list of them, of which the first counts.
    pub(super) value: Node,
}

impl Merge {
    /// Adds the members. Readers differ about a member that stands before `<<`, so that is
    /// reported.
    pub(super) fn into_members(
        self,
        members: &mut Vec<Member>,
        problems: &mut Problems,
    ) -> Result<(), &'static str> {
        let Self { at, behind, value } = self;
        let own: BTreeMap<String, usize> =
            members.iter().enumerate().map(|(index, member)| (member.0.clone(), index)).collect();
        let maps = match value {
            Node { kind: Kind::List(items), .. } => items,
            one => vec![one],
        };
        let mut added = BTreeSet::new();
        for map in maps {
            let Kind::Map(merged) = map.kind else {
                return Err("`<<` takes a mapping, or a list of mappings");
            };
            for (name, place, node) in merged {
                match own.get(&name) {
                    Some(index) if *index < behind => {
                        let message = format!(
                            "`{name}` stands before `<<` and in what that adds: put `<<` first, \
                             or which of the two counts depends on who reads it"
                        );
                        problems.report(at, message);
                    }
                    Some(_) => {}
                    None if added.insert(name.clone()) => members.push((name, place, node)),
                    None => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{parse, parse_all};

    fn read(text: &str) -> (Vec<Node>, Vec<String>) {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        let nodes = parse_all(text, 0, &mut problems);
        (nodes, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    /// The values of a text without their places.
    fn plain(text: &str) -> Vec<String> {
        fn told(node: &Node) -> String {
            match &node.kind {
                Kind::List(items) => {
                    format!("[{}]", items.iter().map(told).collect::<Vec<_>>().join(","))
                }
                Kind::Map(members) => {
                    let one =
                        |(name, _, node): &(String, _, Node)| format!("{name}:{}", told(node));
                    format!("{{{}}}", members.iter().map(one).collect::<Vec<_>>().join(","))
                }
                Kind::Text(text) | Kind::Number(text) => text.clone(),
                Kind::Whole(number) => number.to_string(),
                Kind::Bool(value) => value.to_string(),
                Kind::Null => "null".to_owned(),
            }
        }
        let (nodes, problems) = read(text);
        assert_eq!(problems, [""; 0], "{text}");
        nodes.iter().map(told).collect()
    }

    fn problem(text: &str) -> String {
        let (_, mut problems) = read(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        problems.remove(0)
    }

    #[test]
    fn aliases_stand_for_what_was_anchored() {
        for (text, expected) in [
            ("a: &x 1\nb: *x\n", "{a:1,b:1}"),
            ("a: &x [1, {c: d}]\nb: [*x, *x]\n", "{a:[1,{c:d}],b:[[1,{c:d}],[1,{c:d}]]}"),
            ("a: &x\n  b: c\nd: *x\n", "{a:{b:c},d:{b:c}}"),
            // A name may be given again.
            ("[&x 1, *x, &x 2, *x]", "[1,1,2,2]"),
            ("[&x [&y a], *y, *x]", "[[a],a,[a]]"),
            ("a: '&x'\nb: '*x'\n", "{a:&x,b:*x}"),
        ] {
            assert_eq!(plain(text), [expected], "{text}");
        }
    }

    #[test]
    fn an_alias_stands_where_it_is_written() {
        let (nodes, _) = read("a: &x\n  b: c\nd: *x\n");
        let Kind::Map(members) = &nodes[0].kind else { panic!("{nodes:?}") };
        assert_eq!((members[0].2.at.line, members[1].2.at.line), (1, 3));
    }

    #[test]
    fn mappings_are_merged() {
        for (text, expected) in [
            ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", "{a:{b:1,c:2},d:{c:3,b:1}}"),
            (
                "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
                "{a:{b:1},c:{b:2,d:3},e:{b:1,d:3}}",
            ),
            ("{<<: {a: 1}, b: 2}", "{b:2,a:1}"),
            ("{'<<': {a: 1}}", "{<<:{a:1}}"),
        ] {
            assert_eq!(plain(text), [expected], "{text}");
        }
        assert!(problem("a: &x {b: 1}\nc: {b: 2, <<: *x}\n").contains("put `<<` first"));
        assert!(problem("a: {<<: 1}").contains("`<<` takes a mapping"));
        assert!(problem("a: {<<: {b: 1}, <<: {c: 1}}").contains("twice"));
    }

    #[test]
    fn names_end_with_their_document() {
        assert_eq!(plain("--- &x 1\n--- 2\n"), ["1", "2"]);
        assert!(problem("--- &x 1\n--- *x\n").contains(BEHIND));
        assert!(problem("a: *x\n").contains("unknown anchor"));
    }

    #[test]
    fn what_stands_for_too_much_is_refused() {
        assert_eq!(problem("a: &x [*x]"), format!("f:1: {BEHIND}"));
        let tenfold = |from: usize| {
            let aliases = vec![format!("*a{from}"); 10].join(", ");
            format!("a{0}: &a{0} [{aliases}]\n", from + 1)
        };
        let bomb = |levels: usize| {
            "a0: &a0 lol\n".to_owned() + &(0..levels).map(tenfold).collect::<String>()
        };
        assert!(problem(&bomb(9)).contains("more than 100000 values"));
        assert_eq!(plain(&bomb(3)).len(), 1);
        let long = format!("a: &x {}\nb: [{}]\n", "x".repeat(1 << 20), "*x, ".repeat(5));
        assert!(problem(&long).contains("4 MiB"));
        // What is anchored is held as well, however often it is in itself.
        let nested = format!("{}{}{}", "[&a ".repeat(60), "1, ".repeat(5_000), "]".repeat(60));
        assert!(problem(&nested).contains("more than 100000 values"));
        // Without any, a text may have more.
        assert_eq!(plain(&format!("[{}]", "1, ".repeat(150_000))).len(), 1);
    }

    #[test]
    fn aliases_do_not_nest_deeper_than_texts_may() {
        let deeper = |level: usize| format!("a{0}: &a{0} [*a{level}]\n", level + 1);
        let chain =
            |levels: usize| "a0: &a0 x\n".to_owned() + &(0..levels).map(deeper).collect::<String>();
        assert_eq!(plain(&chain(60)).len(), 1);
        assert!(problem(&chain(80)).contains("nested too deeply"));
    }

    #[test]
    fn documents_of_our_own_have_none() {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        assert_eq!(parse("a: &x 1\nb: *x\n", 0, &mut problems), None);
        let found = problems.into_sorted();
        assert!(found[0].message.contains("anchors (&name) are not read"), "{found:?}");
        let mut problems = Problems::new(vec!["f".to_owned()]);
        assert!(parse("a: {<<: {b: 1}}\n", 0, &mut problems).is_some());
        assert!(problems.is_empty(), "it is a name like others there");
    }
}
