//! Path templates: `{*}` for one segment, `{**}` for what may be several.

/// A path with `{*}` and `{**}`, as Envoy's URI template reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `{*}`
    One,
    /// `{**}`
    Any,
}

const ONE: &str = "{*}";
const ANY: &str = "{**}";

impl Template {
    /// Whether a path is a template at all; if not, braces have no place in it.
    pub(crate) fn is_one(path: &str) -> bool {
        path.contains(ONE) || path.contains(ANY)
    }

    /// Reads a template as istiod and Envoy both do: what either of them refuses is an error.
    pub(crate) fn read(path: &str) -> Result<Self, &'static str> {
        let Some(rest) = path.strip_prefix('/') else {
            return Err("a path with `{*}` or `{**}` begins with `/`");
        };
        let mut segments = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let operator = match part {
                ONE => Some(Segment::One),
                ANY => Some(Segment::Any),
                _ => None,
            };
            match operator {
                Some(_) if segments.contains(&Segment::Any) => {
                    return Err("`{**}` is the last of `{*}` and `{**}` in a path");
                }
                Some(operator) => segments.push(operator),
                // The slash at the end.
                None if part.is_empty() && parts.peek().is_none() => {
                    segments.push(Segment::Literal(String::new()));
                }
                None if part.contains(['{', '}']) => {
                    return Err("braces stand in paths as `{*}` and `{**}` between slashes alone");
                }
                None if part.is_empty() || !part.chars().all(is_literal) => {
                    return Err("beside `{*}` and `{**}` a path has plain segments alone");
                }
                None => segments.push(Segment::Literal(part.to_owned())),
            }
        }
        Ok(Self { segments })
    }

    /// What every path that it matches begins with.
    pub(crate) fn beginning(&self) -> String {
        let literals = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(literal) => Some(format!("{literal}/")),
            Segment::One | Segment::Any => None,
        });
        core::iter::once("/".to_owned()).chain(literals).collect()
    }

    /// `path` has no query any more.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/') else { return false };
        let mut segments = self.segments.iter();
        while let Some(segment) = segments.next() {
            if *segment == Segment::Any {
                return matches_any(rest, segments.as_slice());
            }
            let is_last = segments.as_slice().is_empty();
            let (part, behind) = match rest.split_once('/') {
                Some((part, behind)) => (part, Some(behind)),
                None => (rest, None),
            };
            if is_last != behind.is_none() || !segment.matches(part) {
                return false;
            }
            rest = behind.unwrap_or_default();
        }
        true
    }
}

/// `{**}` takes what the literal segments behind it leave, slashes too, and nothing as well.
fn matches_any(text: &str, behind: &[Segment]) -> bool {
    let mut taken = text;
    for segment in behind.iter().rev() {
        let Segment::Literal(literal) = segment else { return false };
        let before = taken.strip_suffix(literal.as_str()).and_then(|t| t.strip_suffix('/'));
        let Some(before) = before else { return false };
        taken = before;
    }
    taken.chars().all(|c| c == '/' || is_taken(c))
}

impl Segment {
    fn matches(&self, part: &str) -> bool {
        match self {
            Self::Literal(literal) => part == literal,
            Self::One => !part.is_empty() && part.chars().all(is_taken),
            Self::Any => false,
        }
    }
}

/// What Envoy takes in a path where an operator stands.
const fn is_taken(c: char) -> bool {
    is_literal(c) || c == '*'
}

/// RFC 3986 §3.3's `pchar` without `*`: what Envoy takes in a template's segment.
const fn is_literal(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '-' | '.' | '_' | '~' | '%' | '!' | '$' | '&' | '\'' | '(' | ')' | '+' | ',' | ';'
        )
        || matches!(c, ':' | '@' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_as_envoy_does() {
        for (template, matched, missed) in [
            // The reference's own examples.
            ("/foo/{*}", "/foo/bar", "/foo/bar/baz"),
            ("/foo/{**}/", "/foo/bar/", "/foo/bar/baz"),
            ("/foo/{**}/", "/foo/bar/baz.txt/", "/foo//baz"),
            ("/{*}/bar/{**}", "/buzz/bar/buzz/a", "/buzz/baz/buzz"),
            ("/{*}/baz/{*}", "/x/baz/y", "/x/baz/y/"),
            ("/{*}/bar/{**}", "/foo/bar/", "/foo/bar"),
            // None of a segment, or an empty one.
            ("/foo/{*}", "/foo/a", "/foo/"),
            ("/foo/{**}", "/foo/", "/foo"),
            ("/foo/{**}/bar", "/foo//bar", "/foo/bar"),
            ("/foo/{**}/bar", "/foo/a/b/bar", "/foo/a/b/bar/c"),
            ("/{**}", "/", ""),
            // What no segment may hold.
            ("/foo/{*}", "/foo/a=b", "/foo/a[b"),
            ("/foo/{*}", "/foo/a*b", "/foo/a*b/"),
            ("/foo/{**}", "/foo/a*b/c", "/foo/a|b"),
            ("/foo/{**}", "/foo/a%2Fb", "/foo/ä"),
            ("/f.o/{*}", "/f.o/x", "/fxo/x"),
        ] {
            let read = Template::read(template).unwrap();
            assert!(read.matches(matched), "{template} {matched}");
            assert!(!read.matches(missed), "{template} {missed}");
        }
    }

    #[test]
    fn what_comes_first_is_always_there() {
        for (template, expected) in
            [("/a/{*}", "/a/"), ("/a/b/{**}/c", "/a/b/"), ("/{**}", "/"), ("/{*}/a", "/")]
        {
            assert_eq!(Template::read(template).unwrap().beginning(), expected);
        }
    }

    #[test]
    fn what_is_no_template() {
        for template in [
            "{*}",
            "foo/{*}",
            "/{**}/{*}",
            "/{**}/{**}",
            "/{*}x",
            "/x{**}",
            "/{*}/{id}",
            "//{*}",
            "/{*}//",
            "/{*}//x",
            "/a*/{*}",
            "/a b/{*}",
        ] {
            assert!(Template::is_one(template));
            assert!(Template::read(template).is_err(), "{template}");
        }
    }
}
