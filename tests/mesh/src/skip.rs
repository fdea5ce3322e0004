//! Parts that cannot be had. Each is named once, with what stays unmeasured without it.

use std::fs::File;
use std::io::Write as _;

/// The variable that lists parts to do without, separated by commas.
pub const VARIABLE: &str = "POSTERN_MESH_SKIP";

/// The variable that names the file whose lines `./dev test mesh` prints at the end.
const REPORT: &str = "POSTERN_MESH_REPORT";

/// Says something that whoever runs the tests has to know, whatever comes of them: at once, and
/// again at the end.
///
/// # Panics
/// When the report cannot be written.
pub fn report(line: &str) {
    eprintln!("{line}");
    if let Some(path) = std::env::var_os(REPORT).filter(|path| !path.is_empty()) {
        let file = File::options().create(true).append(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.unwrap_or_else(|error| panic!("{REPORT}: {error}"));
    }
}

/// A part that not every machine can get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// istiod of Istio 1.29.
    Istio129,
    /// A Kubernetes API server, which takes manifests and which istiod reads from.
    ApiServer,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Istio129, Self::ApiServer];

    /// As `POSTERN_MESH_SKIP` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Istio129 => "istio-1.29",
            Self::ApiServer => "api-server",
        }
    }

    /// What nobody has measured without it.
    #[must_use]
    pub const fn unmeasured(self) -> &'static str {
        match self {
            Self::Istio129 => {
                "no update is rejected through istiod 1.29 itself (a newer istiod, which translates \
                 what is rendered for 1.29, stands in)"
            }
            Self::ApiServer => {
                "a cluster takes everything (schemas, defaults and CEL rules are checked by the API \
                 server's own packages, what Kubernetes itself knows is not)"
            }
        }
    }

    /// Whether whoever runs the tests does without it; says so then.
    ///
    /// # Panics
    /// When it is missing and nobody said that it may be.
    pub fn is_skipped(self, why_missing: &str) -> bool {
        let list = std::env::var(VARIABLE).unwrap_or_default();
        if names(&list).any(|name| name == self.name()) {
            let (name, unmeasured) = (self.name(), self.unmeasured());
            report(&format!("SKIPPED {name}: {why_missing}. Not measured: {unmeasured}."));
            return true;
        }
        panic!(
            "{}: {why_missing}. To do without it, name it: {VARIABLE}={}",
            self.name(),
            self.name()
        );
    }
}

/// The part without which `./dev test mesh` runs none of these tests.
const CONTROL_PLANE: &str = "control-plane";

/// Names in the list that mean nothing: a misspelt one would skip nothing, silently.
#[must_use]
pub fn unknown_names(list: &str) -> Vec<String> {
    let known =
        |name: &str| name == CONTROL_PLANE || Part::ALL.iter().any(|part| part.name() == name);
    names(list).filter(|name| !known(name)).map(str::to_owned).collect()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_typing_errors() {
        assert!(unknown_names("").is_empty());
        assert!(unknown_names("istio-1.29, api-server,control-plane").is_empty());
        assert_eq!(unknown_names("istio-1.29,istio"), ["istio"]);
    }
}
