//! Paths: those of policies as the document writes them, less of them, or more.
//!
//! What lets requests in is written as it is or narrower, what keeps them out as it is or wider.

use postern_document::{PathTemplate, Segment};

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// These characters; the empty one follows a last slash.
    Literal(String),
    /// One that is not empty.
    One,
    /// All that is left behind a slash, which may be nothing.
    Rest,
}

/// A path of the document, its parameters without names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(Vec<Part>);

/// What of a policy's path the document can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Within {
    pub(super) paths: Vec<Path>,
    /// Why that is less; none where it is all of it.
    pub(super) less: Option<&'static str>,
}

const TEMPLATE: &str = "a parameter of the document takes characters at which Envoy's `{*}` stops, \
                        such as `*`";
const SUFFIX: &str = "the document has no paths that only end in something";
const WORD: &str = "the document's paths end with a segment, not within one";
const LITERAL: &str = "this is no path that the document could have";

impl Path {
    /// Every path.
    pub(super) fn everything() -> Self {
        Self(vec![Part::Rest])
    }

    /// Exactly this path; none where the document has no such path.
    fn exact(text: &str) -> Option<Self> {
        let template = PathTemplate::parse(text).ok()?;
        let literal = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(Part::Literal(text.clone())),
            // What the document reads as parameters is text to a policy.
            Segment::Param(_) | Segment::Rest(_) => None,
        };
        template.segments().iter().map(literal).collect::<Option<_>>().map(Self)
    }

    /// Everything that begins with this text, which ends in a slash.
    fn below(prefix: &str) -> Option<Self> {
        let Self(mut parts) = Self::exact(prefix)?;
        match parts.last_mut() {
            Some(last) if *last == Part::Literal(String::new()) => *last = Part::Rest,
            _ => return None,
        }
        Some(Self(parts))
    }

    /// What of a policy's path lets requests in.
    pub(super) fn within(pattern: &str) -> Within {
        let all = |path: Option<Self>| Within {
            less: path.is_none().then_some(LITERAL),
            paths: path.into_iter().collect(),
        };
        let none = |why| Within { paths: Vec::new(), less: Some(why) };
        if pattern == "*" {
            return all(Some(Self::everything()));
        }
        if pattern.contains("{*}") || pattern.contains("{**}") {
            return none(TEMPLATE);
        }
        if pattern.starts_with('*') {
            return none(SUFFIX);
        }
        match pattern.strip_suffix('*') {
            None => all(Self::exact(pattern)),
            Some(prefix) if prefix.ends_with('/') => all(Self::below(prefix)),
            Some(prefix) => {
                let paths = [Self::exact(prefix), Self::below(&format!("{prefix}/"))];
                let paths: Vec<Self> = paths.into_iter().flatten().collect();
                let less = if paths.is_empty() { LITERAL } else { WORD };
                Within { paths, less: Some(less) }
            }
        }
    }

    /// A policy's path, or more: what keeps requests out.
    pub(super) fn around(pattern: &str) -> Self {
        let path = if pattern.contains("{*}") || pattern.contains("{**}") {
            Self::around_template(pattern)
        } else if pattern.starts_with('*') {
            None
        } else if let Some(prefix) = pattern.strip_suffix('*') {
            let end = prefix.rfind('/').map_or(0, |at| at + 1);
            prefix.get(..end).and_then(Self::below)
        } else {
            Self::exact(pattern)
        };
        path.unwrap_or_else(Self::everything)
    }

    fn around_template(pattern: &str) -> Option<Self> {
        let mut parts = Vec::new();
        for text in pattern.strip_prefix('/')?.split('/') {
            match text {
                "{*}" => parts.push(Part::One),
                "{**}" => {
                    parts.push(Part::Rest);
                    break;
                }
                _ => parts.push(Part::Literal(text.to_owned())),
            }
        }
        let path = Self(parts);
        PathTemplate::parse(&path.to_template()).ok().map(|_| path)
    }

    /// What both match: one path, or nothing.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let mut met = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        loop {
            let ((first, rest_a), (second, rest_b)) = match (a.split_first(), b.split_first()) {
                (None, None) => return Some(Self(met)),
                (Some(a), Some(b)) => (a, b),
                _ => return None,
            };
            match (first, second) {
                (Part::Rest, _) => {
                    met.extend_from_slice(b);
                    return Some(Self(met));
                }
                (_, Part::Rest) => {
                    met.extend_from_slice(a);
                    return Some(Self(met));
                }
                (Part::One, Part::One) => met.push(Part::One),
                (Part::Literal(text), Part::One) | (Part::One, Part::Literal(text)) => {
                    if text.is_empty() {
                        return None;
                    }
                    met.push(Part::Literal(text.clone()));
                }
                (Part::Literal(text), Part::Literal(same)) if text == same => {
                    met.push(Part::Literal(text.clone()));
                }
                _ => return None,
            }
            (a, b) = (rest_a, rest_b);
        }
    }

    /// Whether everything that the other matches is matched by this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.meet(other).as_ref() == Some(other)
    }

    /// Whether some of it may begin with a text, which need not end where a segment does.
    pub(super) fn may_begin_with(&self, text: &str) -> bool {
        let mut begins = String::new();
        for part in &self.0 {
            begins.push('/');
            match part {
                Part::Literal(literal) => begins.push_str(literal),
                Part::One | Part::Rest => {
                    return begins.starts_with(text) || text.starts_with(&begins);
                }
            }
        }
        begins.starts_with(text)
    }

    /// As the document writes it.
    pub(super) fn to_template(&self) -> String {
        let mut text = String::new();
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(literal) => {
                    text.push('/');
                    text.push_str(literal);
                }
                Part::One => text.push_str(&format!("/{{p{at}}}")),
                Part::Rest => text.push_str("/{rest=**}"),
            }
        }
        text
    }

    /// Words for a route's name.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(text) if !text.is_empty() => Some(text.as_str()),
            Part::Literal(_) | Part::One | Part::Rest => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(pattern: &str) -> (Vec<String>, bool) {
        let Within { paths, less } = Path::within(pattern);
        (paths.iter().map(Path::to_template).collect(), less.is_some())
    }

    #[test]
    fn what_lets_in_is_never_wider() {
        for (pattern, paths, less) in [
            ("*", vec!["/{rest=**}"], false),
            ("/*", vec!["/{rest=**}"], false),
            ("/", vec!["/"], false),
            ("/a/b", vec!["/a/b"], false),
            ("/a/", vec!["/a/"], false),
            ("/a/*", vec!["/a/{rest=**}"], false),
            ("/a*", vec!["/a", "/a/{rest=**}"], true),
            ("*.php", vec![], true),
            ("/a/{*}", vec![], true),
            ("/a/{**}", vec![], true),
            // To a policy these are texts, to the document parameters.
            ("/a/*/b", vec![], true),
            ("/a/:id", vec![], true),
            ("/a//b", vec![], true),
            ("/a/**", vec![], true),
            ("a", vec![], true),
        ] {
            let expected = paths.into_iter().map(str::to_owned).collect::<Vec<String>>();
            assert_eq!(within(pattern), (expected, less), "{pattern}");
        }
    }

    #[test]
    fn what_keeps_out_is_never_narrower() {
        for (pattern, path) in [
            ("*", "/{rest=**}"),
            ("/a", "/a"),
            ("/a/*", "/a/{rest=**}"),
            ("/a/b*", "/a/{rest=**}"),
            ("/a*", "/{rest=**}"),
            ("*.php", "/{rest=**}"),
            ("/a/{*}", "/a/{p1}"),
            ("/a/{*}/{**}", "/a/{p1}/{rest=**}"),
            ("/a/{**}/b", "/a/{rest=**}"),
            ("/a//b", "/{rest=**}"),
        ] {
            assert_eq!(Path::around(pattern).to_template(), path, "{pattern}");
        }
    }

    #[test]
    fn a_path_begins_as_its_segments_do() {
        for (path, text, expected) in [
            ("/b", "/a", false),
            ("/ab", "/a", true),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/b/*", "/a", false),
            ("/ab/*", "/a", true),
            ("/a/*", "/a/b", true),
            ("/a/*", "/ab", false),
            ("/a/{*}", "/a/b", true),
            ("/*", "/a", true),
            ("/b", "", true),
        ] {
            assert_eq!(Path::around(path).may_begin_with(text), expected, "{path} {text}");
        }
    }

    #[test]
    fn two_paths_meet_in_one_or_nowhere() {
        for (a, b, expected) in [
            ("/a", "/a", Some("/a")),
            ("/a", "/b", None),
            ("/a", "/a/", None),
            ("/a/*", "/a/", Some("/a/")),
            ("/a/*", "/a", None),
            ("/*", "/a/b", Some("/a/b")),
            ("/*", "/", Some("/")),
            ("/{*}/b", "/a/{*}", Some("/a/b")),
            ("/{*}", "/", None),
            ("/a/{**}", "/{*}/b", Some("/a/b")),
        ] {
            let (a, b) = (Path::around(a), Path::around(b));
            let met = |a: &Path, b: &Path| a.meet(b).map(|path| path.to_template());
            assert_eq!(met(&a, &b).as_deref(), expected);
            assert_eq!(met(&b, &a).as_deref(), expected);
        }
        assert!(Path::around("/a/*").covers(&Path::around("/a/{*}")));
        assert!(!Path::around("/a/{*}").covers(&Path::around("/a/*")));
    }
}
