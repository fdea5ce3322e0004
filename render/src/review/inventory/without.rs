//! Texts without some of their documents, every line where it was.

/// The same text, in which the documents that begin on these lines are empty.
pub(super) fn documents(text: &str, begin: &[usize]) -> String {
    if begin.is_empty() {
        return text.to_owned();
    }
    let mut lines: Vec<&str> = text.split('\n').collect();
    for line in begin {
        let at = line.saturating_sub(1);
        let is_marker = |line: &&str| is(line, "---") || is(line, "...");
        // A marker may stand on the line itself, with the document behind it.
        let first = lines.iter().take(at + 1).rposition(is_marker).unwrap_or(0);
        let behind = lines.iter().skip(at + 1).position(is_marker);
        let last = behind.map_or(lines.len(), |count| at + 1 + count);
        for line in lines.iter_mut().take(last).skip(first) {
            *line = if is(line, "---") { "---" } else { "" };
        }
    }
    lines.join("\n")
}

/// Whether a line begins with a marker.
fn is(line: &str, marker: &str) -> bool {
    let behind = line.strip_prefix(marker);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_documents_stay_where_they_are() {
        for (text, begin, expected) in [
            ("a: 1\nb: 2\n---\nc: 3\n", vec![1], "\n\n---\nc: 3\n"),
            ("a: 1\n---\nc: 3\n", vec![3], "a: 1\n---\n\n"),
            ("--- {a: 1}\n---\nc: 3", vec![1], "---\n---\nc: 3"),
            (
                "a: 1\n---\n# x\nb: |\n  y\n...\n---\nc: 3",
                vec![4],
                "a: 1\n---\n\n\n\n...\n---\nc: 3",
            ),
            ("a: 1\n", vec![], "a: 1\n"),
            ("a: 1\n---\nb: 2\n---\nc: 3", vec![1, 5], "\n---\nb: 2\n---\n"),
        ] {
            assert_eq!(documents(text, &begin), expected, "{text}");
        }
    }
}
