//! Which values match all that others do.

use super::{Form, Pattern, Text, Texts};

impl Pattern {
    /// Whether this matches whatever `other` matches, both of them as values of one attribute, in
    /// every mesh. Where that cannot be told from the two alone, it is not said to: so it may be
    /// relied on, and its contrary may not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.texts != other.texts {
            return false;
        }
        if self.form == other.form {
            return true;
        }
        match (&self.form, &other.form) {
            (Form::Text(a), Form::Text(b)) => match self.texts {
                Texts::Principals => principals(self, a, other, b),
                Texts::Lines => a.covers(b),
                Texts::Any => with_line_breaks(a, b),
            },
            (Form::Item(a), Form::Item(b)) => with_line_breaks(a, b),
            (Form::Text(Text::Any), Form::Template(_)) => true,
            (Form::Text(Text::Prefix(prefix)), Form::Template(template)) => {
                template.beginning().starts_with(prefix.as_str())
            }
            (Form::Template(template), Form::Text(Text::Exact(path))) => template.matches(path),
            (Form::Block(a), Form::Block(b)) => a.covers(*b),
            (Form::Subject(a), Form::Subject(b)) => {
                with_line_breaks(&a.issuer, &b.issuer) && with_line_breaks(&a.subject, &b.subject)
            }
            (Form::Namespace(_), Form::Namespace(_))
            | (Form::TrustDomain(_), Form::TrustDomain(_)) => self.text == "*",
            _ => false,
        }
    }
}

/// `*` matches no line break, and no empty text.
fn with_line_breaks(a: &Text, b: &Text) -> bool {
    match (a, b) {
        (Text::Any, Text::Any) => true,
        (Text::Any, Text::Exact(text)) => a.matches(text),
        (Text::Any, Text::Prefix(_) | Text::Suffix(_)) => false,
        _ => a.covers(b),
    }
}

/// Principals that are written in full may move to other trust domains, and which those are is
/// the mesh's affair: see [`super::is_principal`].
fn principals(wide: &Pattern, a: &Text, narrow: &Pattern, b: &Text) -> bool {
    match (moves(&wide.text), moves(&narrow.text)) {
        _ if *a == Text::Any => true,
        (None, None) => a.covers(b),
        // Both move alike.
        (Some((one, _)), Some((other, _))) => one == other && !one.contains('*') && a.covers(b),
        // Whatever trust domain comes in front, what follows is the same.
        (None, Some((_, rest))) => match (a, b) {
            (Text::Suffix(suffix), Text::Exact(_)) => format!("/{rest}").ends_with(suffix.as_str()),
            _ => false,
        },
        (Some(_), None) => false,
    }
}

/// The trust domain of a principal that may move, and what follows it.
fn moves(principal: &str) -> Option<(&str, &str)> {
    let is_whole = principal.split('/').count() == 5;
    principal.split_once('/').filter(|(domain, _)| is_whole && *domain != "*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Attribute;

    fn covers(attribute: &Attribute, wide: &str, narrow: &str) -> bool {
        let read = |text: &str| Pattern::read(attribute, text, "foo").unwrap();
        read(wide).covers(&read(narrow))
    }

    #[test]
    fn what_covers_paths_and_what_does_not() {
        for (wide, narrow, expected) in [
            ("*", "/a*", true),
            ("*", "/a/{**}", true),
            ("/a*", "/ab*", true),
            ("/a*", "/a", true),
            ("/a*", "/a/{*}/b", true),
            ("/a/{*}", "/a/b", true),
            ("/a/{*}", "/a/{*}", true),
            ("/ab*", "/a*", false),
            ("/a/*", "/a", false),
            ("/a/b*", "/a/{*}", false),
            ("/a/{*}", "/a/b/c", false),
            ("/a/{**}", "/a/{*}", false),
            ("*b", "*ab", true),
            ("*b", "/a*", false),
        ] {
            assert_eq!(covers(&Attribute::Path, wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn principals_are_covered_wherever_they_move() {
        for (wide, narrow, expected) in [
            ("*", "td/ns/a/sa/b", true),
            ("td/ns/a/sa/*", "td/ns/a/sa/b", true),
            ("*/ns/a/sa/b", "td/ns/a/sa/b", true),
            ("td/ns/*", "td/ns/a*", true),
            // In a mesh of another trust domain, the second one alone is in that.
            ("td/*", "td/ns/a/sa/b", false),
            ("td/ns/a/sa/b", "*/ns/a/sa/b", false),
            ("td/ns/a/sa/*", "td2/ns/a/sa/b", false),
            ("*d/ns/a/sa/b", "td/ns/a/sa/b", false),
        ] {
            assert_eq!(covers(&Attribute::Principal, wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn claims_may_have_line_breaks() {
        let claim = Attribute::Claim(vec!["a".to_owned()]);
        assert!(covers(&claim, "*", "a"));
        assert!(!covers(&claim, "*", "a*"));
        assert!(!covers(&claim, "*", "a\nb"));
        assert!(covers(&Attribute::Header("a".to_owned()), "*", "a*"));
    }

    #[test]
    fn the_same_name_in_two_namespaces_is_two_accounts() {
        let account =
            |namespace| Pattern::read(&Attribute::ServiceAccount, "web", namespace).unwrap();
        assert!(account("a").covers(&account("a")));
        assert!(!account("a").covers(&account("b")));
    }
}
