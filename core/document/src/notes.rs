//! What is no problem, and hardly meant.

mod identity;
mod tokens;

use std::sync::Arc;

use crate::model::{Document, Route};
use crate::problem::Problem;
use crate::template::Segment;

impl Document {
    /// What a person should look at, by file and line. None of it is a problem.
    #[must_use]
    pub fn notes(&self) -> Vec<Problem> {
        let patterns = self.routes.iter().filter_map(|route| self.like_a_pattern(route));
        let owners = self.owners_without_fragment().into_iter();
        let of_identity = self.identity_notes().into_iter().chain(self.token_notes());
        owners.chain(patterns).chain(of_identity).collect()
    }

    fn owners_without_fragment(&self) -> Option<Problem> {
        let first = self.silent_owners.first()?;
        let names: Vec<String> =
            self.silent_owners.iter().map(|name| format!("`{name}`")).collect();
        let have = if names.len() == 1 { "has" } else { "have" };
        let alone = if self.files.len() == 1 { ": is this one file of a folder?" } else { "" };
        let message = format!("{} {have} no fragment here{alone}", names.join(", "));
        Some(self.note(&format!("owners.{first}"), "owners", message))
    }

    /// Characters that paths do have, where they stand as they would in a regular expression.
    fn like_a_pattern(&self, route: &Arc<Route>) -> Option<Problem> {
        let mut literals = route.path.segments().iter().filter_map(|segment| match segment {
            Segment::Literal(text) => Some(text),
            Segment::Param(_) | Segment::Rest(_) => None,
        });
        let text = literals.find(|text| is_like_a_pattern(text))?;
        let path = format!("routes.{}.match.path", route.name);
        let message = format!(
            "`{text}` is compared as it is written: paths are no regular expressions, and {{id}} \
             stands for one segment"
        );
        Some(self.note(&path, &path, message))
    }

    /// A note at the place of `at`, about `path`.
    fn note(&self, at: &str, path: &str, message: String) -> Problem {
        let (file, line) = self.place_of(at).map(|at| (at.file, at.line)).unwrap_or_default();
        Problem { file, line, path: path.to_owned(), message }
    }
}

/// `$metadata` and `users(7)` are names that servers have; `a$` and `(a)` hardly.
fn is_like_a_pattern(text: &str) -> bool {
    text.starts_with('(') || text.ends_with(['$', '+'])
}

#[cfg(test)]
mod tests {
    use crate::from_json;

    fn notes(path: &str) -> Vec<String> {
        let text = format!(
            r#"{{"version": 1, "owners": {{"team": {{"paths": ["/b/"]}}}}, "routes": [
                {{"name": "r", "match": {{"path": "{path}"}}, "service": "postern",
                  "auth": "none"}}]}}"#
        );
        let document = from_json(text.as_bytes()).unwrap();
        document.notes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_looks_like_a_pattern_is_noted() {
        for path in ["/a/(b)", "/a$", "/a/b+/c"] {
            let found = notes(path);
            let [only] = found.as_slice() else { panic!("{path} {found:?}") };
            assert!(
                only.starts_with("configuration: routes.r.match.path: ")
                    && only.contains("no regular expressions"),
                "{only}"
            );
        }
        // Fragments are joined there, so that nobody lacks one.
        for path in ["/$metadata", "/users(7)", "/a+b", "/a/{id}"] {
            assert_eq!(notes(path), [""; 0], "{path}");
        }
    }
}
