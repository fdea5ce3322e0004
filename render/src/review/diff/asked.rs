//! Requests that get another answer.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use postern_document::{Auth, Document, HostPattern, Route};
use postern_explain::{Part, Request};
use postern_request::UnixMillis;
use postern_request::normalize::{Normalization, normalize};
use postern_request::path::without_query;

use super::super::ask::{Answer, Caller, Oracle, guard, others, parts};
use super::super::model::ChangeKind;
use super::super::witness::{self, METHODS, Target, crossings, spellings};
use super::moved::Moved;
use super::{Noted, way};
use crate::path_tree::PathTree;

/// A host that no document has a reason to name.
const STRANGE_HOST: &str = "postern-review.invalid";

/// Something to ask of both documents.
struct Probe {
    route: String,
    caller: String,
    line: String,
    request: Request,
    workload: Option<String>,
    part: Option<Part>,
    lacks_something: bool,
    /// Made of what the later document takes.
    is_new: bool,
}

/// What requests that are told of together have in common: which way it is, what is concerned, who
/// asks, what was answered and what is.
type SameAnswers = (ChangeKind, String, String, String, String);

/// What is answered otherwise, and which requests belong to another route than before.
pub(super) fn changes(before: &Document, after: &Document, now: UnixMillis) -> (Vec<Noted>, Moved) {
    let (old, new) = (Oracle::new(before, now), Oracle::new(after, now));
    let alike = Alike::new(before, after);
    let mut all = probes(after, &new, &alike);
    all.iter_mut().for_each(|probe| probe.is_new = true);
    all.extend(probes(before, &old, &alike));
    tell_apart(&mut all, before, after);
    // Of two callers who show the same, the one is told of who says what is missing.
    all.sort_by_key(|probe| !probe.lacks_something);
    let mut folded: BTreeMap<SameAnswers, (String, usize)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut moved = Moved::default();
    for probe in all {
        // A route of both documents is probed twice; one that asks for other things, by other
        // callers.
        let identity = (probe.part.clone(), probe.line.clone(), shown(&probe.request));
        if !seen.insert(identity) {
            continue;
        }
        let part = probe.part.as_ref();
        let was = old.judge(&probe.request, probe.workload.as_deref(), part);
        let is = new.judge(&probe.request, probe.workload.as_deref(), part);
        moved.note(was.route.as_deref(), is.route.as_deref(), &probe.line);
        if was.allowed == is.allowed && was.text == is.text {
            continue;
        }
        if part.is_some() {
            let workload = probe.workload.as_deref();
            let usually = |oracle: &Oracle<'_>| oracle.judge(&probe.request, workload, None);
            if follows([&usually(&old), &usually(&new)], [&was, &is]) {
                continue;
            }
        }
        let kind = way(was.allowed, is.allowed);
        let key = (kind, probe.route, probe.caller, was.text, is.text);
        let (_, more) = folded.entry(key).or_insert_with(|| (probe.line, 0));
        *more += 1;
    }
    let told =
        |((kind, route, caller, before, after), (line, count)): (SameAnswers, (String, usize))| {
            let request = match count {
                1 => line,
                count => format!("{line} and {} more", count - 1),
            };
            let (owner, member) = (format!("routes.{route}"), String::new());
            Noted { kind, owner, member, caller, request, before, after }
        };
    (folded.into_iter().map(told).collect(), moved)
}

/// Whether what a part's absence changes is only what has changed while it is there, too: the same,
/// or another refusal of whoever got in before, or gets in now.
fn follows([was, is]: [&Answer; 2], [was_away, is_away]: [&Answer; 2]) -> bool {
    let same = (was.allowed, &was.text, is.allowed, &is.text)
        == (was_away.allowed, &was_away.text, is_away.allowed, &is_away.text);
    same || was.allowed != is.allowed && !was_away.allowed && !is_away.allowed
}

/// Two callers of one name who show different things get names of their own: what is good by one
/// document is not what is good by the other.
fn tell_apart(probes: &mut [Probe], before: &Document, after: &Document) {
    let mut shown_by: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for probe in probes.iter() {
        let mut hasher = DefaultHasher::new();
        shown(&probe.request).hash(&mut hasher);
        shown_by.entry(probe.key()).or_default().insert(hasher.finish());
    }
    for probe in probes.iter_mut().filter(|probe| !probe.lacks_something) {
        if shown_by.get(&probe.key()).is_none_or(|all| all.len() < 2) {
            continue;
        }
        let when = if probe.is_new { "from now on" } else { "until now" };
        let [old, new] = [before, after].map(|document| scopes(document, &probe.route));
        let own = if probe.is_new { new } else { old };
        let scopes = match own {
            [] => String::new(),
            _ if old == new => String::new(),
            own => format!(" ({})", own.join(" ")),
        };
        let caller = &probe.caller;
        probe.caller = if let Some(rest) = caller.strip_prefix("a good token") {
            format!("a token good {when}{scopes}{rest}")
        } else if let Some(rest) = caller.strip_prefix("a good API key") {
            format!("an API key good {when}{scopes}{rest}")
        } else {
            format!("{caller} (good {when})")
        };
    }
}

/// The scopes that a route of a document asks for.
fn scopes<'d>(document: &'d Document, route: &str) -> &'d [String] {
    match document.route(route).map(|route| &route.auth) {
        Some(Auth::Rules { scopes, .. }) => scopes,
        Some(Auth::None) | None => &[],
    }
}

/// What tells two requests of one line apart.
fn shown(request: &Request) -> String {
    format!("{:?} {:?} {:?}", request.shown, request.peer, request.certificate)
}

fn probes(document: &Document, oracle: &Oracle<'_>, alike: &Alike<'_>) -> Vec<Probe> {
    let mut all = Vec::new();
    let paths = PathTree::of(document.routes.iter().map(|route| &route.path));
    for route in &document.routes {
        let Some(first) = witness::first(document, route) else { continue };
        if !(alike.around && alike.is_answered_alike(&first)) {
            all.extend(of_first(document, oracle, route, &first));
        }
        if alike.matching {
            continue;
        }
        // Where another route begins to take what was this one's, the examples may not show it.
        let is_same = alike.routes.contains(route.name.as_str());
        let beside = if is_same { Vec::new() } else { crossings(document, route, &paths) };
        for target in further(document, route).into_iter().chain(beside) {
            if target != first && !alike.is_answered_alike(&target) {
                let callers = Caller::of(route).into_iter();
                all.extend(callers.map(|caller| Probe::new(oracle, route, caller, &target)));
            }
        }
        for spelling in spellings(&first.path) {
            let target = first.with_path(spelling);
            if !alike.is_answered_alike(&target) {
                all.push(Probe::new(oracle, route, Caller::Nobody, &target));
            }
        }
    }
    all
}

/// Everybody whom a route knows, with every value that it takes, and with every part away.
fn of_first(document: &Document, oracle: &Oracle<'_>, route: &Route, first: &Target) -> Vec<Probe> {
    let mut all: Vec<Probe> = Caller::of(route)
        .into_iter()
        .map(|caller| Probe::new(oracle, route, caller, first))
        .collect();
    let best = Caller::best(route);
    for other in others(document, route) {
        all.push(Probe {
            caller: other.told(document, route),
            request: oracle.request_with(route, best, Some(other), first),
            ..Probe::new(oracle, route, best, first)
        });
    }
    for part in parts(document, route) {
        let probe = Probe::new(oracle, route, best, first);
        let caller = format!("{}, {part} away", probe.caller);
        all.push(Probe { caller, part: Some(part), ..probe });
    }
    all
}

impl Probe {
    fn new(oracle: &Oracle<'_>, route: &Route, caller: Caller, target: &Target) -> Self {
        Self {
            route: route.name.clone(),
            caller: caller.told(route),
            line: target.line(),
            request: oracle.request(route, caller, target),
            workload: guard(route).map(str::to_owned),
            part: None,
            lacks_something: caller.lacks_something(),
            is_new: false,
        }
    }

    /// How reports tell it from others, but for what is shown.
    fn key(&self) -> String {
        let Self { route, caller, line, part, .. } = self;
        format!("{route} {caller} {line} {part:?}")
    }
}

/// A target for each host and method, and for hosts that the usual ones may hide: a route that took
/// one host of the examples takes all of them after the change.
fn further(document: &Document, route: &Route) -> Vec<Target> {
    let mut all = witness::all(document, route);
    let strange = |host: &HostPattern| match host {
        HostPattern::Exact(_) => None,
        HostPattern::Suffix(suffix) => Some(format!("postern-review{suffix}")),
        HostPattern::Any => Some(STRANGE_HOST.to_owned()),
    };
    let hosts: Vec<String> = if route.hosts.is_empty() {
        vec![STRANGE_HOST.to_owned()]
    } else {
        route.hosts.iter().filter_map(strange).collect()
    };
    let listed: Vec<&str> = route.methods.iter().map(String::as_str).collect();
    let methods = if listed.is_empty() { METHODS.as_slice() } else { listed.as_slice() };
    for host in &hosts {
        all.extend(
            methods.iter().filter_map(|method| witness::target(document, route, host, method)),
        );
    }
    all
}

/// What is the same in two documents, so that asking both would be in vain. It spares nearly all
/// requests where a change is small.
struct Alike<'d> {
    before: &'d Document,
    after: &'d Document,
    /// Routes that say the same, with all that they name.
    routes: BTreeSet<&'d str>,
    /// All the rest says the same, as far as answers depend on it.
    around: bool,
    /// Requests belong to routes of the same names.
    matching: bool,
}

impl<'d> Alike<'d> {
    fn new(before: &'d Document, after: &'d Document) -> Self {
        let text = |route: &Arc<Route>| format!("{route:?}");
        let old: BTreeMap<&str, String> =
            before.routes.iter().map(|route| (route.name.as_str(), text(route))).collect();
        let is_same = |route: &&Arc<Route>| old.get(route.name.as_str()) == Some(&text(route));
        let same = after.routes.iter().filter(is_same).map(|route| route.name.as_str());
        Self {
            before,
            after,
            routes: same.collect(),
            around: around(before) == around(after),
            matching: matching(before) == matching(after),
        }
    }

    /// Whether a request finds the same route in both documents, one that says the same in both.
    fn is_answered_alike(&self, target: &Target) -> bool {
        // What Envoy refuses, it refuses with every document.
        let Ok(path) = normalize(without_query(&target.path), Normalization::ENVOY) else {
            return true;
        };
        // Whether these may stand in paths is up to the document.
        if path.contains(';') && !self.around {
            return false;
        }
        let find = |document: &'d Document| {
            let found = document.find_route(&target.host, &target.method, &path);
            found.map(|found| found.map(|route| route.name.as_str()))
        };
        match (find(self.before), find(self.after)) {
            (Ok(Some(old)), Ok(Some(new))) => old == new && self.routes.contains(new),
            (Ok(None), Ok(None)) | (Err(_), Err(_)) => true,
            _ => false,
        }
    }
}

/// What answers depend on beside the routes.
fn around(document: &Document) -> String {
    let credentials = (
        &document.issuers,
        &document.token_places,
        &document.bound,
        &document.api_keys,
        &document.revocation,
    );
    let rest = (
        document.trusted_proxies,
        document.allow_matrix_parameters,
        &document.failures,
        &document.rate_limit_filter,
        &document.workloads,
        &document.mesh,
        &document.stores,
    );
    format!("{credentials:?} {rest:?}")
}

/// Which requests belong to which routes.
fn matching(document: &Document) -> BTreeMap<&str, String> {
    let one = |route: &Route| format!("{:?} {:?} {:?}", route.hosts, route.path, route.methods);
    document.routes.iter().map(|route| (route.name.as_str(), one(route))).collect()
}

#[cfg(test)]
mod tests {
    use postern_document::{Source, load};

    use super::*;

    const ROUTES: usize = 100;

    /// A document of many routes; the first one's scope, the issuer's leeway and what comes last
    /// are given.
    fn many(scope: &str, leeway: &str, more: &str) -> Document {
        let mut text = format!(
            "version: 1\ncredentials:\n  jwt:\n    issuers:\n    \
             - {{issuer: 'https://idp.example.test', audiences: [shop], leeway: {leeway}, \
             jwks: {{uri: 'https://idp.example.test/jwks'}}}}\n\
             services:\n  shop: {{upstream: 'shop.test:80'}}\nroutes:\n"
        );
        for at in 0..ROUTES {
            let scope = if at == 0 { scope } else { "read" };
            text.push_str(&format!(
                "- {{name: r{at}, match: {{path: /r{at}}}, service: shop, \
                 auth: {{any: [jwt], scopes: [{scope}]}}}}\n"
            ));
        }
        text.push_str(more);
        let source = Source { name: "gateway.yaml".to_owned(), text };
        let none = |_: &str| Err(String::new());
        load(&[source], &none).unwrap()
    }

    /// How many requests are asked.
    fn asked(before: &Document, after: &Document) -> usize {
        let alike = Alike::new(before, after);
        let now = UnixMillis(1_781_481_600_000);
        [before, after]
            .into_iter()
            .map(|document| probes(document, &Oracle::new(document, now), &alike).len())
            .sum()
    }

    #[test]
    fn what_cannot_differ_is_not_asked() {
        let base = many("read", "60s", "");
        assert_eq!(asked(&base, &many("read", "60s", "")), 0);
        let scope = asked(&base, &many("write", "60s", ""));
        assert!((2..20).contains(&scope), "{scope}");
        let open = "- {name: new, match: {path: /new}, service: shop, auth: none}\n";
        let route = asked(&base, &many("read", "60s", open));
        assert!((8..80).contains(&route), "{route}");
        // What every route rests on is asked of each of them, by few requests.
        let leeway = asked(&base, &many("read", "90s", ""));
        assert!((2 * ROUTES..12 * ROUTES).contains(&leeway), "{leeway}");
    }

    #[test]
    fn what_is_not_asked_is_what_is_answered_alike() {
        let (old, new) = (many("read", "60s", ""), many("write", "60s", ""));
        let alike = Alike::new(&old, &new);
        let target = |path: &str| Target {
            method: "GET".to_owned(),
            host: "api.example.test".to_owned(),
            path: path.to_owned(),
        };
        for (path, expected) in [
            ("/r1", true),
            ("/r0", false),
            ("/./r0", false),
            ("//r0", false),
            ("/%72%30", false),
            ("/nothing", true),
            ("/a%zz", true),
        ] {
            assert_eq!(alike.is_answered_alike(&target(path)), expected, "{path}");
        }
    }
}
