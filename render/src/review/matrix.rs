//! The matrix: a row for each route, read from the document and tried by asking.

use postern_document::{Allowance, AppliedLimit, Auth, Document, LimitMode, Proof, Route};
use postern_limits::Period;

use super::ask::{Caller, Oracle};
use super::model::Row;
use super::{place, traffic, witness};

/// All rows, in the document's order; also routes of which no request could be found.
pub(super) fn rows(document: &Document, oracle: &Oracle<'_>) -> (Vec<Row>, Vec<String>) {
    let mut unknown = Vec::new();
    let rows = document.routes.iter().map(|route| row(document, route, oracle, &mut unknown));
    (rows.collect(), unknown)
}

fn row(document: &Document, route: &Route, oracle: &Oracle<'_>, unknown: &mut Vec<String>) -> Row {
    let target = witness::example(document, route);
    let mut answers = Vec::new();
    let mut failures = Vec::new();
    match &target {
        Some(target) => {
            for caller in Caller::of(route) {
                answers.push(oracle.ask(route, caller, target).to(route, caller, target));
            }
            failures = oracle.failures(route, target);
        }
        None => unknown.push(format!(
            "routes.{}: every request that was tried belongs to a narrower route",
            route.name
        )),
    }
    Row {
        route: route.name.clone(),
        place: place::of(document, &format!("routes.{}", route.name)),
        methods: route.methods.clone(),
        hosts: route.hosts.iter().map(ToString::to_string).collect(),
        path: route.path.to_string(),
        service: route.service_name().to_owned(),
        guarded_by: traffic::guarded_by(route),
        credentials: credentials(route),
        rules: rules(document, route),
        peers: traffic::peers(route),
        principals: Vec::new(),
        limits: limits(route),
        circuit: circuit(route),
        failures,
        notes: notes(route),
        answers,
    }
}

fn credentials(route: &Route) -> Vec<String> {
    let Auth::Rules { any, optional, .. } = &route.auth else { return vec!["none".to_owned()] };
    let mut all: Vec<String> = any.iter().map(|one| one.as_str().to_owned()).collect();
    if *optional {
        all.push("none".to_owned());
    }
    all
}

fn rules(document: &Document, route: &Route) -> Vec<String> {
    let Auth::Rules { scopes, token, .. } = &route.auth else { return Vec::new() };
    let mut all: Vec<String> = scopes.iter().map(|scope| format!("scope {scope}")).collect();
    for index in &token.issuers {
        let issuer = document.issuers.get(*index);
        all.extend(issuer.map(|issuer| format!("issuer {}", issuer.issuer.issuer)));
    }
    if !token.audiences.is_empty() {
        all.push(format!("audience {}", token.audiences.join(" or ")));
    }
    for rule in &token.claims {
        all.push(format!("claim {} is {}", rule.claim, rule.values.join(" or ")));
    }
    match token.proof {
        Some(Proof::Dpop) => all.push("bound to a key (DPoP)".to_owned()),
        Some(Proof::Certificate) => all.push("bound to a certificate".to_owned()),
        None => {}
    }
    all
}

fn limits(route: &Route) -> Vec<String> {
    let all = route.exact_limits.iter().chain(&route.local_limits).chain(&route.leased_limits);
    all.map(limit).collect()
}

/// A limit in a line: what it allows whom, where it counts, and what when its store is away.
pub(super) fn limit(applied: &AppliedLimit) -> String {
    let limit = &applied.limit;
    let key: Vec<String> = limit.key.iter().map(ToString::to_string).collect();
    let (mode, failing) = match limit.mode {
        LimitMode::Local => ("local", None),
        LimitMode::Exact { when_store_fails } => ("exact", Some(when_store_fails)),
        LimitMode::Leased { when_store_fails, .. } => ("leased", Some(when_store_fails)),
    };
    let mut text =
        format!("{} {} by {}, {mode}", limit.name, allowance(limit.allowance), key.join("+"));
    for (name, other) in limit.tiers.iter().chain(&limit.clients) {
        text.push_str(&format!(", {name}: {}", allowance(*other)));
    }
    if applied.weight != 1 {
        text.push_str(&format!(", weight {}", applied.weight));
    }
    if let Some(failing) = failing {
        text.push_str(", store away: ");
        text.push_str(failing.as_str());
    }
    if let Some(skip) = limit.skip {
        text.push_str(", skips ");
        text.push_str(skip.as_str());
    }
    if limit.shadow {
        text.push_str(", only counts");
    }
    text
}

fn allowance(allowance: Allowance) -> String {
    match allowance {
        Allowance::Unlimited => "unlimited".to_owned(),
        Allowance::InFlight(spec) => format!("{} at once", spec.max()),
        Allowance::Rate(spec) => {
            let rate = spec.rate();
            let period = match rate.period() {
                Period::Millis(millis) => traffic::duration(millis.get()),
                Period::Month => "1mo".to_owned(),
            };
            format!("{}/{period}", rate.requests())
        }
    }
}

fn circuit(route: &Route) -> Option<String> {
    let circuit = route.circuit()?;
    let mut rules = Vec::new();
    if circuit.failures > 0 {
        rules.push(format!("{} failures in a row", circuit.failures));
    }
    if let Some(share) = circuit.ratio {
        rules.push(format!("{} failed", traffic::share(share.0)));
    }
    if let Some(slow) = circuit.slow {
        let (share, over) = (traffic::share(slow.share.0), traffic::duration(slow.over_ms));
        rules.push(format!("{share} slower than {over}"));
    }
    let recovery = traffic::duration(circuit.recovery.first_ms);
    Some(format!("{}, for {recovery}", rules.join(" or ")))
}

fn notes(route: &Route) -> Vec<String> {
    let mut notes = Vec::new();
    match route.enforce.percent() {
        100 => {}
        0 => notes.push("not enforced (shadow)".to_owned()),
        percent => notes.push(format!("enforced for {percent} %")),
    }
    if route.needs_ext_authz() {
        notes.push("asks ext_authz".to_owned());
    }
    if route.needs_ext_proc() {
        notes.push("asks ext_proc".to_owned());
    }
    notes.extend(traffic::notes(route));
    notes
}
