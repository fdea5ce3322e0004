//! A table of changes, each of which a review must know the way of: by both documents, and by a
//! review that was written of the older one.

mod documents;
mod edits;

use proptest::prelude::*;

use self::documents::{EDGE, MESH};
use self::edits::{HARMLESS, HARMLESS_IN_MESH, LOOSER, LOOSER_IN_MESH, MOVED, MOVED_IN_MESH};
use super::*;

/// A change of one of the documents below.
struct Edit {
    name: &'static str,
    /// What makes the document ready for it.
    first: &'static [(&'static str, &'static str)],
    from: &'static str,
    to: &'static str,
}

const fn edit(
    name: &'static str,
    first: &'static [(&'static str, &'static str)],
    from: &'static str,
    to: &'static str,
) -> Edit {
    Edit { name, first, from, to }
}

impl Edit {
    /// The texts before and after it.
    fn of(&self, text: &str) -> (String, String) {
        let replace = |text: &str, from: &str, to: &str| {
            assert!(text.contains(from), "{}: {from}", self.name);
            text.replacen(from, to, 1)
        };
        let mut before = text.to_owned();
        for (from, to) in self.first {
            before = replace(&before, from, to);
        }
        let after = replace(&before, self.from, self.to);
        (before, after)
    }
}

fn reviewed_with(document: &Document, before: Option<Before<'_>>) -> Review {
    let options = IstioOptions::default();
    review(&Input { before, ..input(document, &options) }).unwrap()
}

fn by_documents(before: &str, after: &str) -> Vec<Change> {
    let (before, after) = (document(before), document(after));
    reviewed_with(&after, Some(Before::Document(&before, None))).changes.unwrap()
}

fn by_review(before: &str, after: &str) -> Vec<Change> {
    let (before, after) = (document(before), document(after));
    let written = to_json(&reviewed_with(&before, None));
    reviewed_with(&after, Some(Before::Review(&written))).changes.unwrap()
}

/// From the texts of two documents.
type Compare = fn(&str, &str) -> Vec<Change>;

/// The two ways to compare.
const WAYS: [(&str, Compare); 2] = [("documents", by_documents), ("a review", by_review)];

fn opens(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.kind == ChangeKind::Opened)
}

/// What is said of a table; all of its failures at once.
fn each(tables: [(&str, &[Edit]); 2], wrong: impl Fn(&[Change], &[Change]) -> bool) {
    let mut failed = Vec::new();
    for (text, table) in tables {
        for edit in table {
            let (before, after) = edit.of(text);
            for (way, changed) in WAYS {
                let (there, back) = (changed(&before, &after), changed(&after, &before));
                if wrong(&there, &back) {
                    failed.push(format!("{} by {way}:\n{there:#?}\nback:\n{back:#?}", edit.name));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn whatever_lets_more_through_opens_and_the_opposite_does_not() {
    let tables = [(EDGE, LOOSER), (MESH, LOOSER_IN_MESH)];
    assert!(tables.iter().map(|(_, table)| table.len()).sum::<usize>() >= 40);
    each(tables, |there, back| !opens(there) || opens(back) || back.is_empty());
}

#[test]
fn another_root_of_trust_opens_whichever_came_first() {
    let tables = [(EDGE, MOVED), (MESH, MOVED_IN_MESH)];
    each(tables, |there, back| !opens(there) || !opens(back));
}

#[test]
fn what_lets_nobody_in_is_told_and_opens_nothing() {
    let tables = [(EDGE, HARMLESS), (MESH, HARMLESS_IN_MESH)];
    let is_wrong = |all: &[Change]| {
        all.is_empty() || all.iter().any(|change| change.kind != ChangeKind::Changed)
    };
    each(tables, |there, back| is_wrong(there) || is_wrong(back));
}

/// Asking both documents shows what a route's path takes; a review that was written cannot ask.
#[test]
fn a_wider_path_opens_and_only_asking_shows_that_a_narrower_one_does_not() {
    let (narrow, wide) = edit(
        "path",
        &[("path: /keyed", "path: '/keyed/{id}'")],
        "path: '/keyed/{id}'",
        "path: '/keyed/{rest=**}'",
    )
    .of(EDGE);
    assert!(opens(&by_documents(&narrow, &wide)) && opens(&by_review(&narrow, &wide)));
    assert!(!opens(&by_documents(&wide, &narrow)));
}

/// No secret of a document stands in what is told, or kept.
#[test]
fn secrets_are_told_apart_and_not_told() {
    let after = EDGE
        .replace("redis://127", "redis://user:hunter2@127")
        .replace("one.example.test/jwks", "one.example.test/jwks?token=hunter2")
        .replace("x-zone: inner", "x-zone: hunter2")
        .replace("0a0000", "0c0000");
    let review = reviewed_with(&document(&after), Some(Before::Document(&document(EDGE), None)));
    assert!(opens(review.changes.as_deref().unwrap()));
    for text in [to_json(&review), to_markdown(&review), to_html(&review)] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains("0c0000000000"), "{text}");
    }
}

/// A document with some of the changes, as far as they go together.
fn some_document(picks: &[usize]) -> String {
    let all: Vec<&Edit> = [LOOSER, MOVED, HARMLESS].into_iter().flatten().collect();
    let none = |_: &str| Err(String::new());
    let mut text = EDGE.to_owned();
    for pick in picks {
        let edit = all[pick % all.len()];
        let changed = text.replacen(edit.from, edit.to, 1);
        if load(&[source(&changed)], &none).is_ok() {
            text = changed;
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_differs_from_itself_and_something_from_anything_else(
        one in prop::collection::vec(0..1000_usize, 0..6),
        other in prop::collection::vec(0..1000_usize, 0..6),
    ) {
        let (one, other) = (some_document(&one), some_document(&other));
        let same = document(&one).digest == document(&other).digest;
        for (way, changed) in WAYS {
            prop_assert_eq!(changed(&one, &one), Vec::<Change>::new(), "{}", way);
            prop_assert_eq!(changed(&one, &other).is_empty(), same, "{}", way);
        }
    }
}
