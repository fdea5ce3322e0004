//! Path templates: `/a/{id}/b`, `/a/{rest=**}`.

use core::fmt;

use crate::problem::told;
use postern_request::path;

/// Most segments a template may have.
pub const MAX_SEGMENTS: usize = 32;

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// These characters; the empty one is what follows a last slash.
    Literal(String),
    /// One segment that is not empty, with the parameter's name.
    Param(String),
    /// All that is left, with the parameter's name; only at the end. It may be empty, but the
    /// slash before it must be there: `/a/{rest=**}` matches `/a/` and not `/a`.
    Rest(String),
}

/// A path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("a path begins with a slash")?;
        let texts: Vec<&str> = rest.split('/').collect();
        if texts.len() > MAX_SEGMENTS {
            return Err(told!("a path has at most {MAX_SEGMENTS} segments"));
        }
        let mut segments: Vec<Segment> = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            let segment = read_segment(text)?;
            let last = at + 1 == texts.len();
            match &segment {
                Segment::Rest(_) if !last => return Err("`**` stands only at the end".to_owned()),
                Segment::Literal(literal) if literal.is_empty() && !last => {
                    return Err("a path has no empty segments".to_owned());
                }
                _ => {}
            }
            let name = segment.param_name();
            if name.is_some() && segments.iter().any(|s| s.param_name() == name) {
                return Err(told!("the parameter `{}` stands here twice", name.unwrap_or("")));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The segments in order; at least one.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the template has a parameter of this name.
    #[must_use]
    pub fn has_param(&self, name: &str) -> bool {
        self.segments.iter().any(|segment| segment.param_name() == Some(name))
    }

    /// The value of a parameter in a path that the template matches.
    #[must_use]
    pub fn param<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let mut rest = path.strip_prefix('/')?;
        for segment in &self.segments {
            if let Segment::Rest(param) = segment {
                return (param == name).then_some(rest);
            }
            let (head, tail) = rest.split_once('/').unwrap_or((rest, ""));
            if segment.param_name() == Some(name) {
                return Some(head);
            }
            rest = tail;
        }
        None
    }

    /// The text before the first parameter, e.g. `/a/` for `/a/{id}/b`.
    #[must_use]
    pub fn literal_prefix(&self) -> String {
        let mut prefix = String::new();
        for segment in &self.segments {
            prefix.push('/');
            match segment {
                Segment::Literal(text) => prefix.push_str(text),
                Segment::Param(_) | Segment::Rest(_) => return prefix,
            }
        }
        prefix
    }

    /// One text for all templates that match the same paths: it leaves out what parameters are
    /// called. No literal has an asterisk.
    pub(crate) fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            shape.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Param(_) => "*",
                Segment::Rest(_) => "**",
            });
        }
        shape
    }

    /// Whether two templates match the same paths: parameters differ in name only.
    #[must_use]
    pub fn same_shape(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(a), Segment::Literal(b)) => a == b,
                (Segment::Param(_), Segment::Param(_)) | (Segment::Rest(_), Segment::Rest(_)) => {
                    true
                }
                _ => false,
            })
    }
}

impl Segment {
    /// The parameter's name; anonymous ones (`*`) have none.
    #[must_use]
    pub fn param_name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Param(name) | Self::Rest(name) => Some(name.as_str()).filter(|n| !n.is_empty()),
        }
    }
}

fn read_segment(text: &str) -> Result<Segment, String> {
    // No URL has these in a path (RFC 3986 §3.3), so that nothing else can be meant. Filters read
    // what was checked before.
    if cfg!(feature = "messages") && text.contains(['[', ']', '^', '|', '\\']) {
        return Err("paths are no regular expressions: write {id} for one segment".to_owned());
    }
    match text {
        "*" => return Ok(Segment::Param(String::new())),
        "**" => return Ok(Segment::Rest(String::new())),
        _ => {}
    }
    if let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        let (name, rest) = match inner.split_once('=') {
            Some((name, "**")) => (name, true),
            Some((name, "*")) => (name, false),
            Some(_) => return Err("write {name}, {name=*} or {name=**}".to_owned()),
            None => (inner, false),
        };
        let named = !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !named {
            return Err("parameter names are lower-case letters, digits and _".to_owned());
        }
        let name = name.to_owned();
        return Ok(if rest { Segment::Rest(name) } else { Segment::Param(name) });
    }
    if let Some(name) = text.strip_prefix(':') {
        // How other routers spell a parameter; here it would match these characters alone.
        let name = if name.is_empty() { "id" } else { name };
        return Err(told!("for a parameter, write {{{name}}} instead of {text}"));
    }
    if cfg!(feature = "messages") && text.contains('?') {
        return Err("a path has no query: a route takes requests with any".to_owned());
    }
    if text.contains(['{', '}', '*', '?', '#']) {
        return Err("a segment is either plain text or one {parameter}".to_owned());
    }
    if !text.is_empty() {
        // Not as the last one, which may have no name: `/;x` is nothing that a route is for.
        path::check(&format!("/{text}/"), true).map_err(|problem| told!("{problem}"))?;
    }
    Ok(Segment::Literal(text.to_owned()))
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param(name) if name.is_empty() => f.write_str("/*")?,
                Segment::Param(name) => write!(f, "/{{{name}}}")?,
                Segment::Rest(name) if name.is_empty() => f.write_str("/**")?,
                Segment::Rest(name) => write!(f, "/{{{name}=**}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_and_written() {
        for text in ["/", "/a", "/a/", "/a/{id}/b", "/a/{rest=**}", "/*/x/**"] {
            assert_eq!(PathTemplate::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/{rest=**}/a",
            "/{a}/{a}",
            "/{A}",
            "/x{a}",
            "/{a=b}",
            "/a/../b",
            "/a/..;x/b",
            "/a/.%3Bx",
            "/a/;x",
            "/a%2Fb",
            "/a?b",
            "/a/:id",
        ] {
            assert!(PathTemplate::parse(bad).is_err(), "{bad}");
        }
        assert!(PathTemplate::parse(&"/a".repeat(MAX_SEGMENTS + 1)).is_err());
        assert!(PathTemplate::parse("/v1/users:delete").is_ok());
        let hint = PathTemplate::parse("/a/:id").unwrap_err();
        assert!(hint.contains("write {id}"), "{hint}");
    }

    #[test]
    fn regular_expressions_are_no_paths() {
        for regex in
            ["/shipments/[0-9]+", "/a/(b|c)", "/^a$", "/a/{id:[0-9]+}", r"/a/\d+", "/a/[^/]+"]
        {
            let hint = PathTemplate::parse(regex).unwrap_err();
            assert!(hint.contains("no regular expressions: write {id}"), "{regex}: {hint}");
        }
        // These may be meant as they stand.
        for literal in ["/a+b", "/users('7')", "/$metadata", "/a/(b)"] {
            assert!(PathTemplate::parse(literal).is_ok(), "{literal}");
        }
        let query = PathTemplate::parse("/a?b=c").unwrap_err();
        assert!(query.contains("a path has no query"), "{query}");
    }

    #[test]
    fn templates_of_one_shape_have_one_text() {
        let texts = ["/", "/a", "/a/", "/a/{x}", "/a/{y}", "/a/*", "/a/{x=**}", "/a/**", "/a/{x}/"];
        for a in texts {
            for b in texts {
                let [one, other] = [a, b].map(|text| PathTemplate::parse(text).unwrap());
                let is_one = one.shape() == other.shape();
                assert_eq!(is_one, one.same_shape(&other), "{a} and {b}");
            }
        }
    }

    #[test]
    fn parameters_are_found_in_a_path() {
        let template = PathTemplate::parse("/a/{id}/{rest=**}").unwrap();
        assert_eq!(template.param("/a/7/b/c", "id"), Some("7"));
        assert_eq!(template.param("/a/7/b/c", "rest"), Some("b/c"));
        assert_eq!(template.param("/a/7/", "rest"), Some(""));
        assert_eq!(template.param("/a/7/b", "other"), None);
        assert_eq!(template.literal_prefix(), "/a/");
    }
}
