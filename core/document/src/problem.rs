//! What is wrong with a document, and where.

use core::fmt;

/// A text for people, about a problem. Without the feature `messages` it is empty, and nothing of
/// it is compiled: a filter only has to know whether the document holds, which `postern check`
/// has said in full before.
macro_rules! told {
    ($($text:tt)*) => {
        if cfg!(feature = "messages") { format!($($text)*) } else { String::new() }
    };
}
pub(crate) use told;

/// All that a problem says without the feature `messages`.
const UNTOLD: &str = "this is no document: `postern check` says what is wrong with it";

/// A place in one of the texts that make up a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Position {
    /// Which text, in the order that they were handed in.
    pub file: usize,
    /// Line, from 1; 0 where there are no lines (JSON).
    pub line: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the text.
    pub file: String,
    /// Line, from 1; 0 where there are no lines.
    pub line: usize,
    /// The place within the document, e.g. `routes[2].match.path`.
    pub path: String,
    /// What is wrong and what to do. Never repeats a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Collects problems while a document is read.
#[derive(Debug, Default)]
pub struct Problems {
    files: Vec<String>,
    path: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// None yet, in texts of these names; positions count them from 0.
    #[must_use]
    pub fn new(files: Vec<String>) -> Self {
        Self { files, ..Self::default() }
    }

    /// The names of the texts.
    #[cfg(feature = "messages")]
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// A place, for a problem of another one: files are named, because there may be several.
    pub(crate) fn at(&self, place: Position) -> String {
        let file = self.files.get(place.file).map_or("", String::as_str);
        match place.line {
            0 => format!("in {file}"),
            line => format!("at {file}:{line}"),
        }
    }

    /// Reports a problem at a place in the text and the current path.
    pub fn report(&mut self, at: Position, message: impl Into<String>) {
        if cfg!(feature = "messages") {
            let path = self.path.concat();
            self.report_as(at, path.trim_start_matches('.'), message);
        } else {
            self.note(at);
        }
    }

    /// Reports a problem at a path of the caller's choice.
    pub fn report_as(&mut self, at: Position, path: &str, message: impl Into<String>) {
        if cfg!(feature = "messages") {
            self.found.push(Problem {
                file: self.files.get(at.file).cloned().unwrap_or_default(),
                line: at.line,
                path: path.to_owned(),
                message: message.into(),
            });
        } else {
            self.note(at);
        }
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, at: Position) {
        let (file, path) = (String::new(), String::new());
        self.found.push(Problem { file, line: at.line, path, message: UNTOLD.to_owned() });
    }

    /// Runs `inside` with the path extended by a member's name.
    pub fn within<T>(&mut self, name: &str, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.nested(told!(".{name}"), inside)
    }

    /// Runs `inside` with the path extended by an item's index.
    pub fn at_index<T>(&mut self, index: usize, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.nested(told!("[{index}]"), inside)
    }

    fn nested<T>(&mut self, segment: String, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(segment);
        let result = inside(self);
        self.path.pop();
        result
    }

    /// Whether something below a path is reported already, so that its absence is no news.
    pub(crate) fn any_below(&self, path: &str) -> bool {
        self.found.iter().any(|problem| problem.path.starts_with(path))
    }

    /// Whether something is reported below a path that goes on through `part`.
    pub(crate) fn any_within(&self, path: &str, part: &str) -> bool {
        let goes_on = |rest: &str| rest.contains(part);
        self.found.iter().any(|problem| problem.path.strip_prefix(path).is_some_and(goes_on))
    }

    /// Whether nothing was reported.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were reported.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.found.len()
    }

    /// All problems, in the order of files and lines, each once.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Problem> {
        if cfg!(not(feature = "messages")) {
            return self.found;
        }
        let order = |file: &str| self.files.iter().position(|name| name == file);
        let mut found = self.found.clone();
        found.sort_by(|a, b| {
            (order(&a.file), a.line, &a.path).cmp(&(order(&b.file), b.line, &b.path))
        });
        found.dedup();
        found
    }
}
