//! The commonest slip: `{path: /a/{id}}`. Between brackets YAML takes the second `{` for a mapping,
//! and says nothing of quotes.

/// What to say of an error of the scanner, `info`, on a line of a text; nothing where it is
/// another one.
pub(super) fn hint(text: &str, line: usize, info: &str) -> String {
    if !info.contains("expected ',' or") {
        return String::new();
    }
    let line = line.checked_sub(1).and_then(|line| text.lines().nth(line)).unwrap_or_default();
    match path(line) {
        Some(path) => {
            format!("; between brackets a path with parameters needs quotes: \"{path}\"")
        }
        None => String::new(),
    }
}

/// The first path with a parameter that stands on a line without quotes.
fn path(line: &str) -> Option<&str> {
    let mut quote: Option<char> = None;
    let mut start = 0;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '#') if before.is_whitespace() => return None,
            (None, '{') if before == '/' => return line.get(start..).map(until_its_end),
            (None, ' ' | '\t' | ',' | '[' | '{') => start = at + 1,
            _ => {}
        }
        before = c;
    }
    None
}

/// A path up to what it stands between.
fn until_its_end(rest: &str) -> &str {
    let mut open = 0_usize;
    let end = rest.char_indices().find_map(|(at, c)| {
        match c {
            '{' => open += 1,
            '}' if open > 0 => open -= 1,
            '}' | ' ' | '\t' | ',' | ']' => return Some(at),
            _ => {}
        }
        None
    });
    end.and_then(|end| rest.get(..end)).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::path;
    use crate::problem::Problems;
    use crate::yaml::parse;

    fn problem(text: &str) -> String {
        let mut problems = Problems::new(vec!["f".to_owned()]);
        assert_eq!(parse(text, 0, &mut problems), None, "{text}");
        problems.into_sorted().remove(0).to_string()
    }

    #[test]
    fn a_path_without_its_quotes_is_shown_with_them() {
        for (line, written) in [
            ("- {match: {path: /a/{id}}}", "/a/{id}"),
            ("- {name: x, path: /a/{id}/b/{rest=**}, methods: [GET]}", "/a/{id}/b/{rest=**}"),
            ("- {name: 'x', paths: [/{rest=**}]}", "/{rest=**}"),
        ] {
            let found = problem(&format!("routes:\n{line}\n"));
            let expected = format!("needs quotes: \"{written}\"");
            assert!(found.starts_with("f:2: not YAML: ") && found.ends_with(&expected), "{found}");
        }
    }

    #[test]
    fn other_mistakes_get_no_such_hint() {
        for text in [
            "a: {b: \"/a/{id}\", c: [d] e}\n",
            "a: {b: '/{x}', c: {d: e} f}\n",
            "a: {b: [d] e} # /a/{id}\n",
        ] {
            let found = problem(text);
            assert!(found.ends_with("did not find expected ',' or '}'"), "{found}");
        }
        assert_eq!(path("it's {path: /a/{id}}"), Some("/a/{id}"));
        assert_eq!(path("path: /a/b"), None);
    }
}
