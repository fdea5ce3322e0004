//! From texts to the tree of all domains.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postern_document::yaml::{Node as Value, Problems, parse};
use postern_document::{Position, Problem, Source};

use crate::fields::{Fields, Reported};
use crate::reader::{Reader, Seen, place};
use crate::replaces::{Link, circular};
use crate::tree::{Descriptors, Level};

/// What the files say of one domain.
#[derive(Default)]
struct Domain {
    level: Level,
    seen: Seen,
    links: Vec<Link>,
    at: Position,
}

impl Descriptors {
    /// Reads all files. A domain stands in one of them, unless `merge_domains`: then their
    /// descriptors stand side by side, as if in one file. Without files there are no domains.
    ///
    /// # Errors
    /// Every problem of all files, by file and line.
    pub fn load(sources: &[Source], merge_domains: bool) -> Result<Self, Vec<Problem>> {
        let names = sources.iter().map(|source| source.name.clone()).collect();
        let mut problems = Problems::new(names);
        let mut loader = Loader { sources, merge_domains, domains: HashMap::new(), count: 0 };
        for (file, source) in sources.iter().enumerate() {
            if let Some(node) = parse(&source.text, file, &mut problems) {
                let lines: Vec<&str> = source.text.lines().collect();
                loader.file(&node, &lines, &mut problems);
            }
        }
        let mut domains = HashMap::with_capacity(loader.domains.len());
        for (name, domain) in loader.domains {
            for at in circular(&domain.links) {
                let message = "`replaces` goes round in a circle: of these rules none would count";
                problems.report(at, message);
            }
            domains.insert(name, domain.level);
        }
        if problems.is_empty() { Ok(Self { domains }) } else { Err(problems.into_sorted()) }
    }
}

struct Loader<'s> {
    sources: &'s [Source],
    merge_domains: bool,
    domains: HashMap<String, Domain>,
    /// How many descriptors were read.
    count: usize,
}

impl Loader<'_> {
    fn file(&mut self, node: &Value, lines: &[&str], problems: &mut Problems) {
        let Some(fields) = Fields::open(node, &["domain", "descriptors"], lines, problems) else {
            return;
        };
        let name = fields.text("domain", problems);
        let name = fields.required("domain", name, problems);
        // The descriptors of a domain that may not stand here have problems all the same.
        let mut apart = Domain::default();
        let domain = match &name {
            Err(Reported) => &mut apart,
            Ok(name) => match self.domains.entry(name.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Domain { at: fields.place("domain"), ..Domain::default() })
                }
                Entry::Occupied(occupied) if self.merge_domains => occupied.into_mut(),
                Entry::Occupied(occupied) => {
                    let first = place(self.sources, occupied.get().at, None);
                    let name = name.escape_debug();
                    let message = format!("the domain `{name}` stands {first} already");
                    problems.report(fields.place("domain"), message);
                    &mut apart
                }
            },
        };
        let Some(node) = fields.get("descriptors") else { return };
        let mut reader = Reader {
            sources: self.sources,
            lines,
            domain: name.as_deref().unwrap_or_default(),
            links: &mut domain.links,
            count: self.count,
            steps: Vec::new(),
        };
        problems.within("descriptors", |problems| {
            reader.descriptors(node, &mut domain.level, &mut domain.seen, problems);
        });
        self.count = reader.count;
    }
}
