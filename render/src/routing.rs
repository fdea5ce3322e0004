//! How the document's routes are said to Envoy, shared by both renderings.

use postern_document::{PathTemplate, Segment};

/// A path template in the terms of a proxy's route match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathMatch {
    /// This path and no other.
    Exact(String),
    /// Everything below; ends in a slash.
    Prefix(String),
    /// RE2, anchored at both ends.
    Regex(String),
}

/// Translates a template. All three forms match exactly the paths that the document's own
/// matcher matches, given that the path has been normalised.
pub(crate) fn path_match(template: &PathTemplate) -> PathMatch {
    let segments = template.segments();
    if segments.iter().all(|segment| matches!(segment, Segment::Literal(_))) {
        return PathMatch::Exact(template.to_string());
    }
    let literal_head = segments.split_last().is_some_and(|(last, head)| {
        matches!(last, Segment::Rest(_))
            && head.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    });
    if literal_head {
        return PathMatch::Prefix(template.literal_prefix());
    }
    PathMatch::Regex(regex(template))
}

/// A template as RE2, anchored at both ends, whatever tighter form there may be.
pub(crate) fn regex(template: &PathTemplate) -> String {
    let mut regex = String::new();
    for segment in template.segments() {
        regex.push('/');
        match segment {
            Segment::Literal(text) => regex.push_str(&escape(text)),
            Segment::Param(_) => regex.push_str("[^/]+"),
            Segment::Rest(_) => regex.push_str(".*"),
        }
    }
    regex
}

/// RE2 with every character that means something escaped.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '~' | '%' | '/') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_has_its_tightest_form() {
        for (template, expected) in [
            ("/", PathMatch::Exact("/".to_owned())),
            ("/a/b/", PathMatch::Exact("/a/b/".to_owned())),
            ("/{rest=**}", PathMatch::Prefix("/".to_owned())),
            ("/a/{rest=**}", PathMatch::Prefix("/a/".to_owned())),
            ("/a/{id}", PathMatch::Regex("/a/[^/]+".to_owned())),
            ("/a.b/{id}/c/**", PathMatch::Regex("/a\\.b/[^/]+/c/.*".to_owned())),
        ] {
            assert_eq!(path_match(&PathTemplate::parse(template).unwrap()), expected);
        }
    }

    #[test]
    fn every_template_can_be_said_as_a_regular_expression() {
        for (template, expected) in [
            ("/", "/"),
            ("/a+b/", "/a\\+b/"),
            ("/{rest=**}", "/.*"),
            ("/a/{rest=**}", "/a/.*"),
            ("/a/{id}", "/a/[^/]+"),
        ] {
            assert_eq!(regex(&PathTemplate::parse(template).unwrap()), expected);
        }
    }
}
