//! From texts to cases. Every problem of all texts is reported.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use postern_document::yaml::{Kind, Node, Problems, parse};
use postern_document::{Document, Position, Problem, Source};
use postern_request::UnixMillis;

use super::fields::{Fields, expected, items, members, text, texts};
use super::request::{Chosen, Defaults, Named};
use super::room::{MAX_NAME, Room, is_enough};
use super::{Case, CaseFile, Given, expect, given, key, request, time, token};

const FIELDS: [&str; 5] = ["version", "defaults", "tokens", "keys", "cases"];
const OF_DEFAULTS: [&str; 5] = ["host", "scheme", "address", "now", "workload"];
const OF_CASE: [&str; 6] = ["name", "each", "request", "given", "expect", "replay"];
/// What `each` may go through.
const OF_EACH: [&str; 8] =
    ["method", "scheme", "host", "path", "token", "api_key", "peer", "workload"];
/// When cases are judged that do not say it: 2026-01-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

/// Reads case files about a document.
///
/// # Errors
/// Every problem of all texts, by file and line.
pub fn read(document: &Document, sources: &[Source]) -> Result<Vec<CaseFile>, Vec<Problem>> {
    let names = sources.iter().map(|source| source.name.clone()).collect();
    let mut problems = Problems::new(names);
    let mut files = Vec::with_capacity(sources.len());
    let mut room = Room::new();
    for (place, source) in sources.iter().enumerate() {
        room.next_file();
        let node = parse(&source.text, place, &mut problems);
        let cases = node.and_then(|node| file(&node, document, &mut room, &mut problems));
        files.push(CaseFile { name: source.name.clone(), cases: cases.unwrap_or_default() });
    }
    if problems.is_empty() { Ok(files) } else { Err(problems.into_sorted()) }
}

/// What all cases of a file share.
struct Shared<'d> {
    document: &'d Document,
    defaults: Defaults,
    now: UnixMillis,
    named: Named<'d>,
}

fn file(
    node: &Node,
    document: &Document,
    room: &mut Room,
    problems: &mut Problems,
) -> Option<Vec<Case>> {
    let fields = Fields::open(node, &FIELDS, problems)?;
    match fields.get("version").map(|node| &node.kind) {
        Some(Kind::Whole(1)) => {}
        _ => problems.report(fields.place("version"), "`version: 1` is what is read here"),
    }
    let (defaults, now) = defaults(&fields, document, problems);
    let tokens =
        fields.read("tokens", problems, |node, problems| Some(token::read(node, room, problems)));
    let keys =
        fields.read("keys", problems, |node, problems| Some(key::read(node, document, problems)));
    let named = Named {
        document,
        tokens: tokens.unwrap_or_default().into_iter().map(Arc::new).collect(),
        keys: keys.unwrap_or_default(),
    };
    let shared = Shared { document, defaults, now, named };
    let Some(node) = fields.get("cases") else {
        problems.report(fields.at, "`cases` is missing");
        return None;
    };
    problems.within("cases", |problems| cases(node, &shared, room, problems))
}

fn defaults(
    fields: &Fields<'_>,
    document: &Document,
    problems: &mut Problems,
) -> (Defaults, UnixMillis) {
    let mut defaults = Defaults {
        host: "gateway.example.test".to_owned(),
        scheme: "https".to_owned(),
        // Of documentation (RFC 5737).
        address: IpAddr::from([203, 0, 113, 7]),
        workload: None,
    };
    let mut now = NOW;
    let Some(node) = fields.get("defaults") else { return (defaults, now) };
    problems.within("defaults", |problems| {
        let Some(fields) = Fields::open(node, &OF_DEFAULTS, problems) else { return };
        if let Some(host) = fields.text("host", problems) {
            defaults.host = host;
        }
        if let Some(scheme) = fields.text("scheme", problems) {
            request::check_scheme(&scheme, fields.place("scheme"), problems);
            defaults.scheme = scheme;
        }
        if let Some(address) = fields.read("address", problems, request::address) {
            defaults.address = address;
        }
        if let Some(name) = fields.text("workload", problems) {
            let at = fields.place("workload");
            defaults.workload = request::workload(&name, at, document, problems);
        }
        if let Some(instant) = fields.read("now", problems, instant) {
            now = instant;
        }
    });
    (defaults, now)
}

fn instant(node: &Node, problems: &mut Problems) -> Option<UnixMillis> {
    let instant = time::instant(&text(node, problems)?);
    if instant.is_none() {
        problems.report(node.at, format!("expected {}", time::INSTANT));
    }
    instant
}

fn cases(
    node: &Node,
    shared: &Shared<'_>,
    room: &mut Room,
    problems: &mut Problems,
) -> Option<Vec<Case>> {
    let mut reading = Reading { shared, room, names: BTreeSet::new(), read: Vec::new() };
    let items = items(node, problems)?;
    if items.is_empty() {
        problems.report(node.at, "there is no case here");
    }
    for (index, node) in items.iter().enumerate() {
        // What comes behind the end of the room, and behind more than anybody reads, is not read.
        let go_on = problems.at_index(index, |problems| reading.entry(node, problems));
        if go_on.is_none() || is_enough(problems) {
            break;
        }
    }
    Some(reading.read)
}

/// The cases of a file, while they are read.
struct Reading<'r, 'd> {
    shared: &'r Shared<'d>,
    room: &'r mut Room,
    names: BTreeSet<String>,
    read: Vec<Case>,
}

impl Reading<'_, '_> {
    /// The cases of one entry: one for each combination of its `each`. None where there is no room
    /// for them.
    fn entry(&mut self, node: &Node, problems: &mut Problems) -> Option<()> {
        let Some(fields) = Fields::open(node, &OF_CASE, problems) else { return Some(()) };
        let (shared, document) = (self.shared, self.shared.document);
        let name = fields.required("name", problems).unwrap_or_default();
        if name.len() > MAX_NAME {
            let message = format!("a name has at most {MAX_NAME} bytes");
            problems.report(fields.place("name"), message);
            return Some(());
        }
        let given = fields.read("given", problems, |node, problems| {
            given::read(node, shared.now, document, problems)
        });
        let expect = fields
            .read("expect", problems, |node, problems| expect::read(node, document, problems));
        if !fields.has("expect") {
            problems.report(node.at, "`expect` is missing");
        }
        let not_replayed = fields.read("replay", problems, replay);
        let given = given.unwrap_or_else(|| Given { now: shared.now, ..Given::default() });
        let expect = expect.unwrap_or_default();
        let each = match fields.get("each") {
            Some(_) => match fields.read("each", problems, Each::read) {
                Some(each) => each,
                None => return Some(()),
            },
            None => Each::default(),
        };
        self.room.take_cases(each.count(), node.at, problems)?;
        for at in 0..each.count() {
            let chosen = each.combination(at);
            let name = full_name(&name, &chosen);
            if !self.names.insert(name.clone()) {
                problems.report(node.at, format!("there is another case `{name}`"));
            }
            let request = problems.within("request", |problems| {
                let (node, at) = (fields.get("request"), fields.place("request"));
                request::read(node, at, &chosen, &shared.defaults, &shared.named, problems)
            });
            if is_enough(problems) {
                break;
            }
            let Some(request) = request else { continue };
            let case = Case {
                name,
                line: node.at.line,
                request,
                given: given.clone(),
                expect: expect.clone(),
                not_replayed: not_replayed.clone(),
            };
            self.room.take_case(&case, node.at, problems)?;
            self.read.push(case);
        }
        Some(())
    }
}

fn full_name(name: &str, chosen: &Chosen<'_>) -> String {
    if chosen.is_empty() {
        return name.to_owned();
    }
    let words: Vec<&str> = chosen.iter().map(|(_, text, _)| *text).collect();
    format!("{name} [{}]", words.join(" "))
}

/// Why a case is not replayed.
fn replay(node: &Node, problems: &mut Problems) -> Option<String> {
    Fields::open(node, &["skip"], problems)?.required("skip", problems)
}

/// What `each` goes through: fields, each with its values.
#[derive(Default)]
struct Each<'n> {
    fields: Vec<(&'n str, Vec<(String, Position)>)>,
}

impl<'n> Each<'n> {
    fn read(node: &'n Node, problems: &mut Problems) -> Option<Self> {
        let mut each = Self::default();
        for (field, at, node) in members(node, problems)? {
            if !OF_EACH.contains(&field.as_str()) {
                let message = format!("`each` goes through {}", OF_EACH.join(", "));
                problems.report(*at, message);
                continue;
            }
            let values = problems.within(field, |problems| {
                let values = texts(node, problems)?;
                if values.is_empty() {
                    return expected("one or more values", node, problems);
                }
                Some(values)
            });
            each.fields.push((field.as_str(), values?));
        }
        Some(each)
    }

    /// How many combinations there are.
    fn count(&self) -> usize {
        self.fields.iter().fold(1, |count, (_, values)| count.saturating_mul(values.len()))
    }

    /// One of them, in the order of the fields and of their values: the last field is the fastest.
    fn combination(&self, at: usize) -> Chosen<'_> {
        let mut left = at;
        let mut chosen = Chosen::with_capacity(self.fields.len());
        for (field, values) in self.fields.iter().rev() {
            let at = left.checked_rem(values.len()).unwrap_or_default();
            left = left.checked_div(values.len()).unwrap_or_default();
            chosen.extend(values.get(at).map(|(text, at)| (*field, text.as_str(), *at)));
        }
        chosen.reverse();
        chosen
    }
}
