//! VirtualServices: which requests go to which service.
//!
//! Of each match there is what the document can say of it, or less, and a region around it, or
//! more: what comes behind in the list must not get those requests.

use postern_document::parse_duration_ms;
use postern_document::yaml::Node;

use super::host;
use super::node::{below, items, member, members, port, text, texts};
use super::path::{Path, Within};
use super::report::{Origin, Report};

/// A VirtualService.
#[derive(Debug)]
pub(super) struct VirtualService {
    pub(super) origin: Origin,
    /// None is every host.
    pub(super) hosts: Vec<Option<String>>,
    /// `namespace/name`, or `mesh`.
    pub(super) gateways: Vec<String>,
    pub(super) entries: Vec<Entry>,
}

/// One of its routes.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) origin: Origin,
    pub(super) matches: Vec<Match>,
    /// None where it does something that no route of the document does.
    pub(super) to: Option<Destination>,
    pub(super) timeout: Option<String>,
}

/// One of the matches of a route.
#[derive(Debug)]
pub(super) struct Match {
    /// Paths that it takes, or fewer.
    pub(super) paths: Vec<Path>,
    /// All of its paths, or more.
    pub(super) around: Path,
    /// With what all of its paths begin, where that is known.
    pub(super) begins: Option<String>,
    /// Its method; none is all.
    pub(super) method: Option<String>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// The Service's namespace and name; none for a host outside.
    pub(super) service: Option<(String, String)>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// Fields of a route that change what a service gets, or which one gets it.
const OTHER_ACTIONS: [&str; 4] = ["rewrite", "redirect", "directResponse", "delegate"];
const BY_HAND: &str = "write a route by hand";

pub(super) fn read(
    node: &Node,
    origin: &Origin,
    namespace: &str,
    report: &mut Report,
) -> Option<VirtualService> {
    let spec = member(node, "spec")?;
    for (name, at, _) in members(Some(spec)) {
        let of = origin.part(at.line, name);
        match name.as_str() {
            "hosts" | "gateways" | "http" => {}
            "exportTo" => report.note(&of, "the document has one reader, the gateway", "nothing"),
            _ => report.left_out(&of, "the document routes HTTP alone", BY_HAND),
        }
    }
    let mut hosts = Vec::new();
    for text in texts(member(spec, "hosts")) {
        match host::read(&text) {
            Some(host) => hosts.push(host),
            None => report.left_out(
                &origin.below("hosts"),
                format!("`{text}` is no host that a route could be for"),
                "name it in lower case, without a port",
            ),
        }
    }
    if hosts.is_empty() {
        report.left_out(origin, "no host is left", BY_HAND);
        return None;
    }
    let gateways = texts(member(spec, "gateways")).into_iter().map(|name| {
        if name == "mesh" || name.contains('/') { name } else { format!("{namespace}/{name}") }
    });
    let entries = items(member(spec, "http")).iter().enumerate().map(|(index, node)| {
        let origin = origin.part(node.at.line, format!("http[{index}]"));
        entry(node, origin, namespace, report)
    });
    Some(VirtualService {
        entries: entries.collect(),
        origin: origin.clone(),
        hosts,
        gateways: gateways.collect(),
    })
}

fn entry(node: &Node, origin: Origin, namespace: &str, report: &mut Report) -> Entry {
    let mut to = destination(node, &origin, namespace, report);
    let mut timeout = None;
    for (name, at, value) in members(Some(node)) {
        let of = Origin { line: at.line, ..origin.below(name) };
        match name.as_str() {
            "name" | "match" | "route" => {}
            "timeout" => {
                timeout = text(Some(value)).filter(|text| is_timeout(text)).map(str::to_owned);
                if timeout.is_none() {
                    report.left_out(&of, "the document has no such time", "write `timeout`");
                }
            }
            name if OTHER_ACTIONS.contains(&name) => {
                to = None;
                report.left_out(&of, "no route of the document does this", BY_HAND);
            }
            _ => report.left_out(&of, "only where requests go was taken over", BY_HAND),
        }
    }
    let nodes = items(member(node, "match"));
    let mut matches = Vec::with_capacity(nodes.len().max(1));
    for (index, node) in nodes.iter().enumerate() {
        let of = Origin { line: node.at.line, ..origin.below(&format!("match[{index}]")) };
        matches.push(read_match(node, &of, report));
    }
    if nodes.is_empty() {
        let (paths, around) = (vec![Path::everything()], Path::everything());
        matches.push(Match { paths, around, begins: None, method: None });
    }
    Entry { origin, matches, to, timeout }
}

/// Times are Go's; the document knows those of one unit.
fn is_timeout(text: &str) -> bool {
    parse_duration_ms(text).is_some_and(|millis| millis > 0)
}

fn destination(
    node: &Node,
    origin: &Origin,
    namespace: &str,
    report: &mut Report,
) -> Option<Destination> {
    let origin = origin.below("route");
    let mut found: Vec<Destination> = Vec::new();
    let routes = items(member(node, "route"));
    for route in routes {
        for (name, at, _) in members(Some(route)) {
            if !matches!(name.as_str(), "destination" | "weight") {
                let of = Origin { line: at.line, ..origin.below(name) };
                report.left_out(&of, "only where requests go was taken over", BY_HAND);
            }
        }
        let Some(host) = text(below(route, &["destination", "host"])) else { continue };
        let destination = Destination {
            service: service_of(host, namespace),
            host: host.to_owned(),
            port: port(below(route, &["destination", "port", "number"])),
        };
        if below(route, &["destination", "subset"]).is_some() {
            let why = "subsets were not taken over: all pods of the service get the requests";
            report.left_out(&origin, why, "write `versions` of the service, and `split`");
        }
        if !found.contains(&destination) {
            found.push(destination);
        }
    }
    if found.len() > 1 {
        let why = "it goes to several services, and a route of the document to one";
        report.left_out(&origin, why, "choose one, or make them versions of one service");
        return None;
    }
    if found.is_empty() && !routes.is_empty() {
        report.left_out(&origin, "no destination is named", BY_HAND);
    }
    found.pop()
}

/// Namespace and name of a Service, by one of its names.
fn service_of(host: &str, namespace: &str) -> Option<(String, String)> {
    if !host.contains('.') {
        return Some((namespace.to_owned(), host.to_owned()));
    }
    let (name, rest) = host.split_once('.')?;
    let (namespace, domain) = rest.split_once('.')?;
    (domain == "svc" || domain.starts_with("svc.")).then(|| (namespace.to_owned(), name.to_owned()))
}

fn read_match(node: &Node, origin: &Origin, report: &mut Report) -> Match {
    let (paths, around) = (vec![Path::everything()], Path::everything());
    let mut read = Match { paths, around, begins: None, method: None };
    let mut is_whole = true;
    for (name, at, value) in members(Some(node)) {
        let of = Origin { line: at.line, ..origin.below(name) };
        let why = match name.as_str() {
            "name" | "statPrefix" => continue,
            "uri" => match read_uri(value, &mut read) {
                None => continue,
                Some((true, why)) => {
                    report.narrowed(&of, why, "write another route, if it is missed");
                    continue;
                }
                Some((false, why)) => why,
            },
            "method" => match text(member(value, "exact")) {
                Some(method) if method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                    read.method = Some(method.to_owned());
                    continue;
                }
                _ => "the document lists methods by their names",
            },
            _ => "the document tells requests apart by host, path and method",
        };
        is_whole = false;
        let advice = "write a route by hand; those behind it do not get these requests either";
        report.left_out(&of, why, advice);
    }
    if !is_whole {
        read.paths.clear();
    }
    // Other spellings are taken as well.
    if member(node, "ignoreUriCase").is_some() {
        (read.around, read.begins) = (Path::everything(), None);
    }
    read
}

/// Reads a path; returns what is lost, and whether something is left.
fn read_uri(node: &Node, read: &mut Match) -> Option<(bool, &'static str)> {
    let pattern = match (text(member(node, "exact")), text(member(node, "prefix"))) {
        (Some(exact), None) if !exact.contains(['*', '{', '}']) => exact.to_owned(),
        (None, Some(prefix)) if !prefix.contains(['*', '{', '}']) => format!("{prefix}*"),
        _ => {
            read.paths.clear();
            return Some((false, "the document's paths are no expressions"));
        }
    };
    let Within { paths, less } = Path::within(&pattern);
    read.around = Path::around(&pattern);
    // What is escaped may be read in several ways.
    read.begins = Some(pattern.trim_end_matches('*').to_owned()).filter(|text| !text.contains('%'));
    read.paths = paths;
    less.map(|why| (!read.paths.is_empty(), why))
}
