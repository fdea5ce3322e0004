//! What a case expects.

use std::collections::BTreeSet;

use postern_document::Document;
use postern_document::yaml::{Kind, Node, Problems};
use postern_request::{ErrorCode, headers};

use super::Expected;
use super::fields::{Fields, expected, members, text};
use super::given::{check_name, names};
use super::reason;
use crate::here::Here;
use crate::step::By;

const FIELDS: [&str; 12] = [
    "allow", "status", "error", "reason", "by", "at", "route", "service", "version", "path",
    "headers", "limits",
];
/// What only a request has that gets through, and only a refusal.
const OF_ALLOWED: [&str; 5] = ["service", "version", "path", "headers", "limits"];
const OF_REFUSED: [&str; 3] = ["error", "reason", "by"];
/// What stands for no route at all.
const NO_ROUTE: &str = "none";

/// Reads `expect`.
pub(super) fn read(node: &Node, document: &Document, problems: &mut Problems) -> Option<Expected> {
    let fields = Fields::open(node, &FIELDS, problems)?;
    let allowed = fields.flag("allow", problems);
    let status = fields.read("status", problems, status);
    if allowed == Some(false) {
        let message = "say how it is refused: `status: 401`, for example";
        problems.report(fields.place("allow"), message);
    } else if fields.has("allow") == fields.has("status") {
        problems.report(fields.at, "write `allow: true`, or the `status` of a refusal");
    }
    let misplaced: &[&str] = if fields.has("status") { &OF_ALLOWED } else { &OF_REFUSED };
    for name in misplaced.iter().filter(|name| fields.has(name)) {
        let of = if fields.has("status") { "gets through" } else { "is refused" };
        let message = format!("`{name}` is of a request that {of}");
        problems.report(fields.place(name), message);
    }
    let limits: Vec<&str> = document.limits.iter().map(|limit| limit.name.as_str()).collect();
    let limits = fields.has("limits").then(|| names(&fields, "limits", "limit", &limits, problems));
    let route = fields.read("route", problems, |node, problems| route(node, document, problems));
    let of_route = route.as_ref().and_then(Option::as_deref);
    let version = fields
        .read("version", problems, |node, problems| version(node, of_route, document, problems));
    Some(Expected {
        allowed: allowed.unwrap_or_default(),
        status,
        error: fields.read("error", problems, error),
        reason: fields.read("reason", problems, reason::read),
        by: fields.read("by", problems, by),
        at: fields.read("at", problems, |node, problems| at(node, document, problems)),
        route,
        service: fields
            .read("service", problems, |node, problems| service(node, document, problems)),
        version,
        target: fields.text("path", problems),
        headers: fields.read("headers", problems, wanted_headers).unwrap_or_default(),
        limits,
    })
}

fn status(node: &Node, problems: &mut Problems) -> Option<u16> {
    match node.kind {
        Kind::Whole(number) => match u16::try_from(number) {
            // 302: a browser that is sent to log in.
            Ok(status) if status == 302 || (400..600).contains(&status) => Some(status),
            _ => {
                problems.report(node.at, "the status of a refusal is from 400 to 599, or 302");
                None
            }
        },
        _ => expected("a status", node, problems),
    }
}

fn error(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = text(node, problems)?;
    if ErrorCode::ALL.iter().all(|code| code.as_str() != text) {
        let known: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        let message = format!("there is no error `{text}`; known: {}", known.join(", "));
        problems.report(node.at, message);
    }
    Some(text)
}

fn by(node: &Node, problems: &mut Problems) -> Option<By> {
    let by = By::parse(&text(node, problems)?);
    if by.is_none() {
        let known: Vec<&str> = By::ALL.iter().map(|by| by.as_str()).collect();
        problems.report(node.at, format!("expected one of {}", known.join(", ")));
    }
    by
}

fn route(node: &Node, document: &Document, problems: &mut Problems) -> Option<Option<String>> {
    let name = text(node, problems)?;
    if document.route(&name).is_some() {
        return Some(Some(name));
    }
    if name == NO_ROUTE {
        return Some(None);
    }
    let routes: Vec<&str> = document.routes.iter().map(|route| route.name.as_str()).collect();
    check_name(&name, node.at, "route", &routes, problems);
    Some(Some(name))
}

fn service(node: &Node, document: &Document, problems: &mut Problems) -> Option<String> {
    let name = text(node, problems)?;
    let services = || document.routes.iter().map(|route| route.service_name());
    if !services().any(|service| service == name) {
        let known: BTreeSet<&str> = services().collect();
        let known: Vec<&str> = known.into_iter().collect();
        check_name(&name, node.at, "service with a route", &known, problems);
    }
    Some(name)
}

/// A version: of the route's service, where the route is named.
fn version(
    node: &Node,
    route: Option<&str>,
    document: &Document,
    problems: &mut Problems,
) -> Option<String> {
    let routes = document.routes.iter().filter(|known| route.is_none_or(|name| known.name == name));
    let services: Vec<_> = routes.filter_map(|route| route.service.as_ref()).collect();
    let versions = services.iter().flat_map(|service| &service.versions);
    let versions: BTreeSet<&str> = versions.map(|version| version.name.as_str()).collect();
    let versions: Vec<&str> = versions.into_iter().collect();
    known_text("version with a route", &versions, node, problems)
}

/// The place of an Envoy.
fn at(node: &Node, document: &Document, problems: &mut Problems) -> Option<String> {
    let edge = Here::edge(document).name;
    let guards = document.routes.iter().filter_map(|route| route.guarded_by());
    let guards: BTreeSet<&str> = guards.map(|guard| guard.name.as_str()).collect();
    let known: Vec<&str> = std::iter::once(edge.as_str()).chain(guards).collect();
    known_text("Envoy", &known, node, problems)
}

fn known_text(what: &str, known: &[&str], node: &Node, problems: &mut Problems) -> Option<String> {
    let text = text(node, problems)?;
    check_name(&text, node.at, what, known, problems);
    Some(text)
}

/// Names and values; `null` for a header that must not be there.
fn wanted_headers(node: &Node, problems: &mut Problems) -> Option<Vec<(String, Option<String>)>> {
    let members = members(node, problems)?;
    let read = members.iter().filter_map(|(name, at, node)| {
        problems.within(name, |problems| {
            if !headers::is_lowercase_name(name) {
                problems.report(*at, "write a header's name in lower case");
            }
            match node.kind {
                Kind::Null => Some((name.clone(), None)),
                _ => Some((name.clone(), Some(text(node, problems)?))),
            }
        })
    });
    Some(read.collect())
}
