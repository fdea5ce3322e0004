//! What became of everything that was read, for whoever goes on by hand.

use core::fmt;

/// How a part of the mesh's configuration fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Nothing of it is in the document.
    LeftOut,
    /// The document lets in less than it does.
    Narrowed,
    /// The document holds a stand-in, through which nothing gets.
    FillIn,
    /// Nothing was lost; it is good to know.
    Noted,
}

impl Fate {
    /// In a word or two.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::Narrowed => "narrowed",
            Self::FillIn => "fill in",
            Self::Noted => "note",
        }
    }
}

/// One thing to know, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// The text that it is about.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// `KIND NAMESPACE/NAME`, or what a file is.
    pub subject: String,
    /// The field.
    pub field: String,
    /// What became of it.
    pub fate: Fate,
    /// Why.
    pub why: String,
    /// What to do.
    pub advice: String,
}

/// On one line: names and values are others', and say nothing to a terminal.
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, subject, field, fate, why, advice } = self;
        let text =
            format!("{file}:{line}: {subject}: {field}: {} — {why} — {advice}", fate.as_str());
        let is_shown = |c: &char| !(c.is_control() || is_invisible(*c));
        f.write_str(&text.chars().filter(is_shown).collect::<String>())
    }
}

/// Marks that turn the direction of what follows.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a remark is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) subject: String,
    /// Where in the resource, such as `rules[0]`.
    pub(super) field: String,
}

impl Origin {
    /// A part of the same resource.
    pub(super) fn part(&self, line: usize, field: impl Into<String>) -> Self {
        Self { line, field: field.into(), ..self.clone() }
    }

    /// The same with a field below.
    pub(super) fn below(&self, field: &str) -> Self {
        let field = if self.field.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.field)
        };
        Self { field, ..self.clone() }
    }
}

/// All remarks, each once.
#[derive(Debug, Default)]
pub(super) struct Report {
    remarks: Vec<Remark>,
}

impl Report {
    pub(super) fn left_out(&mut self, of: &Origin, why: impl Into<String>, advice: &str) {
        self.add(Fate::LeftOut, of, why, advice);
    }

    pub(super) fn narrowed(&mut self, of: &Origin, why: impl Into<String>, advice: &str) {
        self.add(Fate::Narrowed, of, why, advice);
    }

    pub(super) fn fill_in(&mut self, of: &Origin, why: impl Into<String>, advice: &str) {
        self.add(Fate::FillIn, of, why, advice);
    }

    pub(super) fn note(&mut self, of: &Origin, why: impl Into<String>, advice: &str) {
        self.add(Fate::Noted, of, why, advice);
    }

    fn add(&mut self, fate: Fate, of: &Origin, why: impl Into<String>, advice: &str) {
        let Origin { file, line, subject, field } = of.clone();
        let field = if field.is_empty() { "all of it".to_owned() } else { field };
        let (why, advice) = (why.into(), advice.to_owned());
        self.remarks.push(Remark { file, line, subject, field, fate, why, advice });
    }

    /// By file and line.
    pub(super) fn into_remarks(self) -> Vec<Remark> {
        let mut remarks = self.remarks;
        remarks.sort();
        remarks.dedup();
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_one_line_and_told_once() {
        let origin = Origin {
            file: "a.yaml".to_owned(),
            line: 3,
            subject: "AuthorizationPolicy shop/x".to_owned(),
            field: "rules[0]".to_owned(),
        };
        let mut report = Report::default();
        for _ in 0..2 {
            report.left_out(&origin.below("to"), "a\nb\u{202e}", "c");
        }
        let remarks = report.into_remarks();
        let expected = "a.yaml:3: AuthorizationPolicy shop/x: rules[0].to: left out — ab — c";
        assert_eq!(remarks.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}
