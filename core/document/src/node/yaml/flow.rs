//! Lists and mappings in brackets that go on at the indentation of their name, or left of it:
//!
//! ```yaml
//! rules: [
//!   {}
//! ]
//! ```
//!
//! YAML wants all of it indented further (§8.2.1), and the scanner goes by that. The readers of
//! Kubernetes do not mind, and people write it. Within brackets, blanks at the beginning of a line
//! mean nothing, so such lines are indented before the text is read. Which lines these are, the
//! scanner says: it refuses them.

use std::borrow::Cow;

use saphyr_parser::{Parser, ScanError};

/// How far a refused line is indented; until it is not refused any more.
const BLANKS: &str = "                                                                ";
/// How much is read again, in bytes, for all refused lines of a text.
const MAX_REREAD: usize = 64 << 20;
/// Moving text is so much faster than reading it.
const MOVING: usize = 64;

/// The text, with every line indented that has to be.
pub(super) fn indented(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let mut reread = 0_usize;
    while reread <= MAX_REREAD {
        let refused = Parser::new_from_str(&text).find_map(Result::err);
        let Some(start) = refused
            .filter(is_of_indentation)
            .and_then(|error| start_of(&text, error.marker().line()))
        else {
            break;
        };
        reread = reread.saturating_add(start + text.len() / MOVING + 1);
        text.to_mut().insert_str(start, BLANKS);
    }
    text
}

/// Outside of brackets, the scanner has other names for what is wrong.
fn is_of_indentation(error: &ScanError) -> bool {
    matches!(error.info(), "invalid indentation" | "invalid indentation in flow construct")
}

/// Where a line begins, which is not the first.
fn start_of(text: &str, line: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_end = |(at, byte): &(usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    bytes.iter().enumerate().filter(is_end).nth(line.checked_sub(2)?).map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problems;
    use crate::yaml::{Node, parse_all};

    fn read(text: &str) -> (Vec<Node>, Vec<String>) {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        let nodes = parse_all(text, 0, &mut problems);
        (nodes, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn brackets_may_close_at_the_indentation_of_their_name() {
        for (written, meant) in [
            ("a: [\n]\n", "a: [\n ]\n"),
            ("a: [\n  {}\n]\n", "a: [\n  {}\n ]\n"),
            ("a:\n  b: {\n    'c': d\n  }\n", "a:\n  b: {\n    'c': d\n   }\n"),
            ("a:\n  b: {\n    'c': 'd'\n  }\n", "a:\n  b: {\n    'c': 'd'\n   }\n"),
            ("a:\n  b: [\n'c', d,\n{e: f}\n]\n", "a:\n  b: [\n     'c', d,\n     {e: f}\n     ]\n"),
            ("- [\n]\n- b\n", "- [\n  ]\n- b\n"),
            ("a: [\r\n  {}\r\n]\r\n", "a: [\r\n  {}\r\n ]\r\n"),
            ("a: [\n]\n---\nb: [\n]\n", "a: [\n ]\n---\nb: [\n ]\n"),
        ] {
            let (nodes, problems) = read(written);
            assert_eq!(problems, [""; 0], "{written}");
            assert_eq!((nodes, Vec::new()), read(meant), "{written}");
        }
    }

    #[test]
    fn what_needs_no_indentation_is_left_as_it_is() {
        for text in ["a: [\n  b]\n", "a:\n- b\n", "a: |\n  [\n  ]\nb: c\n", "a: \"[\n  ]\"\n"] {
            assert!(matches!(indented(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let (nodes, problems) = read("a: [\n]\n---\nb: !x 1\n");
        assert_eq!(nodes.len(), 1);
        assert_eq!(problems, ["f:4: tags (!name) are not read"]);
    }

    #[test]
    fn what_is_not_yaml_is_still_refused() {
        for text in ["a: [\n", "a: [\n---\nb: ]\n", "a:\n  b: c\n d: e\n", "a: ]\n"] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(problems[0].contains("not YAML"), "{problems:?}");
        }
    }

    #[test]
    fn a_text_full_of_such_lines_ends() {
        let many = "a: [\n]\n---\n".repeat(300);
        let (nodes, problems) = read(&many);
        assert_eq!((nodes.len(), problems), (300, Vec::new()));
    }
}
