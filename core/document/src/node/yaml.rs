//! YAML 1.2 with the core schema, minus what makes documents hard to review: anchors and
//! aliases, tags, several documents in one file, names that are not plain text. Manifests of
//! Kubernetes are other people's: there may be several in one text, plain scalars mean what they
//! mean there, and anchors, aliases and `<<` are resolved.

mod anchors;
mod flow;
mod kubernetes;
mod unquoted;

use std::collections::BTreeSet;

use anchors::{Anchors, Merge};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{Kind, Node};
use crate::problem::{Position, Problems};

/// Longest text that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;
const MAX_DEPTH: usize = 72;

/// Reads one text; none when it is not one YAML document, which is reported.
pub fn parse(text: &str, file: usize, problems: &mut Problems) -> Option<Node> {
    let start = Position { file, line: 1 };
    if text.len() > MAX_BYTES {
        problems.report(start, "the file is larger than 4 MiB");
        return None;
    }
    let mut reader = Reader {
        text,
        events: Parser::new_from_str(text),
        at: start,
        problems,
        failed: false,
        plain,
        anchors: None,
    };
    let node = reader.document();
    if node.is_none() && !reader.failed {
        problems.report(start, "the file is empty");
    }
    node
}

/// Reads all documents of one text as Kubernetes reads them: `yes` and `on` are truth values,
/// `1.5` and `-1` are numbers, aliases stand for what was anchored, and brackets need not be
/// indented. Empty documents are left out. What comes after something that is not YAML is not
/// read, which is reported.
pub fn parse_all(text: &str, file: usize, problems: &mut Problems) -> Vec<Node> {
    let start = Position { file, line: 1 };
    if text.len() > MAX_BYTES {
        problems.report(start, "the file is larger than 4 MiB");
        return Vec::new();
    }
    let text = flow::indented(text);
    let mut reader = Reader {
        text: &text,
        events: Parser::new_from_str(&text),
        at: start,
        problems,
        failed: false,
        plain: kubernetes::plain,
        anchors: Some(Anchors::default()),
    };
    let mut nodes = Vec::new();
    while let Some(event) = reader.next() {
        if matches!(event, Event::DocumentStart(_)) {
            reader.anchors.as_mut().into_iter().for_each(Anchors::forget);
            let node = reader.next().and_then(|first| reader.node(first, MAX_DEPTH));
            nodes.extend(node.filter(|node| node.kind != Kind::Null));
        }
    }
    nodes
}

struct Reader<'p, I> {
    text: &'p str,
    events: I,
    at: Position,
    problems: &'p mut Problems,
    failed: bool,
    /// What a plain scalar means.
    plain: fn(&str) -> Kind,
    /// What has been anchored; none where nothing may be.
    anchors: Option<Anchors>,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<'_, I> {
    /// The next event; what the scanner cannot read ends everything.
    fn next(&mut self) -> Option<Event<'a>> {
        if self.failed {
            return None;
        }
        match self.events.next()? {
            Ok((event, span)) => {
                self.at.line = span.start.line();
                Some(event)
            }
            Err(error) => {
                self.at.line = error.marker().line();
                let hint = unquoted::hint(self.text, self.at.line, error.info());
                self.fail(format!("not YAML: {}{hint}", error.info()));
                None
            }
        }
    }

    fn fail(&mut self, message: impl Into<String>) {
        if !self.failed {
            self.problems.report(self.at, message);
        }
        self.failed = true;
    }

    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        while let Some(event) = self.next() {
            match event {
                Event::DocumentStart(_) if root.is_some() => {
                    self.fail("one document a file; put the rest into files of their own");
                }
                Event::DocumentStart(_) => {
                    let first = self.next()?;
                    root = self.node(first, MAX_DEPTH);
                }
                _ => {}
            }
        }
        if self.failed { None } else { root }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Option<Node> {
        let at = self.at;
        let Some(depth) = depth.checked_sub(1) else {
            self.fail("nested too deeply");
            return None;
        };
        let anchor = match &event {
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _) => *anchor,
            _ => 0,
        };
        if anchor > 0 && self.anchors.is_none() {
            self.fail("anchors (&name) are not read; write the value out");
            return None;
        }
        let kind = match event {
            Event::Alias(anchor) => return self.alias(anchor, depth + 1),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                self.fail("tags (!name) are not read");
                return None;
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => (self.plain)(&text),
            Event::Scalar(text, ..) => Kind::Text(text.into_owned()),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => {
                self.fail("not YAML: a value was expected");
                return None;
            }
        };
        let node = Node { at, kind };
        if anchor > 0 {
            self.at = at;
            self.hold(anchor, &node)?;
        }
        Some(node)
    }

    /// What an alias stands for, at most `deep`.
    fn alias(&mut self, anchor: usize, deep: usize) -> Option<Node> {
        let resolved = match &mut self.anchors {
            Some(anchors) => anchors.resolve(anchor, self.at, deep),
            None => Err("aliases (*name) are not read; write the value out".to_owned()),
        };
        resolved.map_err(|message| self.fail(message)).ok()
    }

    fn hold(&mut self, anchor: usize, node: &Node) -> Option<()> {
        let held = self.anchors.as_mut().map_or(Ok(()), |anchors| anchors.hold(anchor, node));
        held.map_err(|message| self.fail(message)).ok()
    }

    fn list(&mut self, depth: usize) -> Option<Kind> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Some(Kind::List(items)),
                event => items.push(self.node(event, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Kind> {
        let mut members = Vec::new();
        let mut seen = BTreeSet::new();
        let mut merge = None;
        loop {
            let (name, style) = match self.next()? {
                Event::MappingEnd => return self.merged(members, merge),
                Event::Scalar(name, style, 0, None) => (name.into_owned(), style),
                _ => {
                    self.fail("a name must be plain text");
                    return None;
                }
            };
            let at = self.at;
            let event = self.next()?;
            let value = self.node(event, depth)?;
            if !seen.insert(name.clone()) {
                self.problems.report(at, format!("`{name}` stands here twice"));
            } else if name == "<<" && style == ScalarStyle::Plain && self.anchors.is_some() {
                merge = Some(Merge { at, behind: members.len(), value });
            } else {
                members.push((name, at, value));
            }
        }
    }

    fn merged(
        &mut self,
        mut members: Vec<(String, Position, Node)>,
        merge: Option<Merge>,
    ) -> Option<Kind> {
        if let Some(merge) = merge {
            let at = merge.at;
            if let Err(message) = merge.into_members(&mut members, self.problems) {
                self.at = at;
                self.fail(message);
                return None;
            }
        }
        Some(Kind::Map(members))
    }
}

/// The core schema (YAML 1.2 §10.3), without floats: no field takes one.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map_or_else(|_| Kind::Text(text.to_owned()), Kind::Whole)
        }
        _ => Kind::Text(text.to_owned()),
    }
}
