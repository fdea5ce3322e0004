//! Paths of routes as a tree: which of them have paths in common with another one, without a look
//! at each. Ten thousand routes have fifty million pairs.

use std::collections::BTreeMap;

use postern_document::{PathTemplate, Segment};

/// Paths, each by its place in a list.
#[derive(Debug, Default)]
pub(crate) struct PathTree<'d> {
    literals: BTreeMap<&'d str, PathTree<'d>>,
    param: Option<Box<PathTree<'d>>>,
    /// Paths that end here.
    here: Vec<usize>,
    /// Paths that take all that follows: one segment at least, which may be empty.
    rest: Vec<usize>,
}

impl<'d> PathTree<'d> {
    /// The paths of a list.
    pub(crate) fn of(paths: impl IntoIterator<Item = &'d PathTemplate>) -> Self {
        let mut tree = Self::default();
        for (place, path) in paths.into_iter().enumerate() {
            tree.insert(path, place);
        }
        tree
    }

    /// Adds a path.
    pub(crate) fn insert(&mut self, path: &'d PathTemplate, place: usize) {
        let mut node = self;
        for segment in path.segments() {
            node = match segment {
                Segment::Rest(_) => {
                    node.rest.push(place);
                    return;
                }
                Segment::Param(_) => node.param.get_or_insert_default().as_mut(),
                Segment::Literal(text) => node.literals.entry(text).or_default(),
            };
        }
        node.here.push(place);
    }

    /// The places of those that match some path which these segments match, too; in order.
    pub(crate) fn meeting(&self, path: &[Segment]) -> Vec<usize> {
        let mut found = Vec::new();
        self.add_meeting(path, &mut found);
        found.sort_unstable();
        found
    }

    /// The places of those that match every path which these segments match; in order.
    pub(crate) fn covering(&self, path: &[Segment]) -> Vec<usize> {
        let mut found = Vec::new();
        self.add_covering(path, &mut found);
        found.sort_unstable();
        found
    }

    /// The places of those whose paths are all matched by these segments; in order.
    pub(crate) fn covered_by(&self, path: &[Segment]) -> Vec<usize> {
        let mut found = Vec::new();
        self.add_covered_by(path, &mut found);
        found.sort_unstable();
        found
    }

    fn add_meeting(&self, path: &[Segment], found: &mut Vec<usize>) {
        let Some((first, others)) = path.split_first() else {
            found.extend(&self.here);
            return;
        };
        match first {
            Segment::Rest(_) => return self.add_below(found),
            Segment::Literal(text) => {
                for node in self.of_text(text) {
                    node.add_meeting(others, found);
                }
            }
            Segment::Param(_) => {
                for node in self.of_param() {
                    node.add_meeting(others, found);
                }
            }
        }
        found.extend(&self.rest);
    }

    fn add_covering(&self, path: &[Segment], found: &mut Vec<usize>) {
        let Some((first, others)) = path.split_first() else {
            found.extend(&self.here);
            return;
        };
        match first {
            Segment::Rest(_) => {}
            Segment::Literal(text) => {
                for node in self.of_text(text) {
                    node.add_covering(others, found);
                }
            }
            Segment::Param(_) => {
                if let Some(node) = &self.param {
                    node.add_covering(others, found);
                }
            }
        }
        found.extend(&self.rest);
    }

    fn add_covered_by(&self, path: &[Segment], found: &mut Vec<usize>) {
        let Some((first, others)) = path.split_first() else {
            found.extend(&self.here);
            return;
        };
        match first {
            Segment::Rest(_) => self.add_below(found),
            Segment::Literal(text) => {
                if let Some(node) = self.literals.get(text.as_str()) {
                    node.add_covered_by(others, found);
                }
            }
            Segment::Param(_) => {
                for node in self.of_param() {
                    node.add_covered_by(others, found);
                }
            }
        }
    }

    /// All that have a segment more than what leads here.
    fn add_below(&self, found: &mut Vec<usize>) {
        for node in self.literals.values().chain(self.param.as_deref()) {
            found.extend(&node.here);
            node.add_below(found);
        }
        found.extend(&self.rest);
    }

    /// Where a text leads. No parameter is empty.
    fn of_text(&self, text: &str) -> impl Iterator<Item = &Self> {
        let param = self.param.as_deref().filter(|_| !text.is_empty());
        self.literals.get(text).into_iter().chain(param)
    }

    /// Where a segment leads that is anything but empty.
    fn of_param(&self) -> impl Iterator<Item = &Self> {
        let named = self.literals.iter().filter(|(text, _)| !text.is_empty());
        named.map(|(_, node)| node).chain(self.param.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meet(a: &[Segment], b: &[Segment]) -> bool {
        let (Some((first, a)), Some((other, b))) = (a.split_first(), b.split_first()) else {
            return a.is_empty() && b.is_empty();
        };
        match (first, other) {
            (Segment::Rest(_), _) | (_, Segment::Rest(_)) => true,
            (Segment::Literal(text), Segment::Literal(other)) => text == other && meet(a, b),
            (Segment::Literal(text), Segment::Param(_))
            | (Segment::Param(_), Segment::Literal(text)) => !text.is_empty() && meet(a, b),
            (Segment::Param(_), Segment::Param(_)) => meet(a, b),
        }
    }

    fn covers(wide: &[Segment], narrow: &[Segment]) -> bool {
        let (Some((first, wide)), Some((other, narrow))) =
            (wide.split_first(), narrow.split_first())
        else {
            return wide.is_empty() && narrow.is_empty();
        };
        match (first, other) {
            (Segment::Rest(_), _) => true,
            (_, Segment::Rest(_)) | (Segment::Literal(_), Segment::Param(_)) => false,
            (Segment::Literal(a), Segment::Literal(b)) => a == b && covers(wide, narrow),
            (Segment::Param(_), Segment::Literal(b)) => !b.is_empty() && covers(wide, narrow),
            (Segment::Param(_), Segment::Param(_)) => covers(wide, narrow),
        }
    }

    #[test]
    fn a_path_covers_what_lies_within_it() {
        let read = |text: &str| PathTemplate::parse(text).unwrap();
        for (wide, narrow, expected) in [
            ("/{rest=**}", "/a", true),
            ("/a/{rest=**}", "/a/b/{c}", true),
            ("/a/{rest=**}", "/a", false),
            ("/a/{rest=**}", "/a/", true),
            ("/a/{b}", "/a/c", true),
            ("/a/{b}", "/a/", false),
            ("/a/{b}", "/a/c/d", false),
            ("/a/c", "/a/{b}", false),
            ("/a/{b}", "/a/{rest=**}", false),
            ("/{a}/c", "/b/c", true),
        ] {
            let (wide_path, narrow_path) = (read(wide), read(narrow));
            let covered = PathTree::of([&narrow_path]).covered_by(wide_path.segments());
            assert_eq!(covered == [0], expected, "{wide} {narrow}");
            let covering = PathTree::of([&wide_path]).covering(narrow_path.segments());
            assert_eq!(covering == [0], expected, "{wide} {narrow}");
        }
    }

    fn path() -> impl Strategy<Value = PathTemplate> {
        "(/(a|b|\\*)){0,3}/(a|b|\\*|\\*\\*)?".prop_map(|text| PathTemplate::parse(&text).unwrap())
    }

    proptest! {
        /// Looking paths up finds what comparing with each of them finds.
        #[test]
        fn a_tree_finds_what_pairs_show(
            paths in prop::collection::vec(path(), 1..12),
            asked in path(),
        ) {
            let tree = PathTree::of(&paths);
            let asked = asked.segments();
            let those = |fits: &dyn Fn(&[Segment]) -> bool| -> Vec<usize> {
                let all = paths.iter().enumerate();
                all.filter(|(_, path)| fits(path.segments())).map(|(place, _)| place).collect()
            };
            prop_assert_eq!(tree.meeting(asked), those(&|other| meet(asked, other)));
            prop_assert_eq!(tree.covering(asked), those(&|other| covers(other, asked)));
            prop_assert_eq!(tree.covered_by(asked), those(&|other| covers(asked, other)));
        }
    }
}
