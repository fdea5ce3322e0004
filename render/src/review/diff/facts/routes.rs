//! What routes ask of callers, and what becomes of their requests.

use postern_document::{
    Auth, DescriptorEntry, Document, Fallback, HeaderRules, LoginAt, Mfa, Proof, Route,
};
use postern_request::principal::Credential;

use super::super::super::traffic;
use super::super::fact::{Says, UNBOUNDED};
use super::{Facts, fingerprint, limits, security_headers};

/// What the review calls unbounded (PR109).
const LONG_TIMEOUT_MS: u64 = 300_000;

pub(super) fn say(document: &Document, facts: &mut Facts) {
    for route in &document.routes {
        let owner = owner(route);
        auth(document, route, &owner, facts);
        peers(route, &owner, facts);
        counted(route, &owner, facts);
        headers(route, &owner, facts);
        way(route, &owner, facts);
        fallback(route, &owner, facts);
    }
}

/// Which requests are a route's.
pub(super) fn matching(document: &Document, facts: &mut Facts) {
    for route in &document.routes {
        let owner = owner(route);
        facts.say(&owner, ".match.methods", Says::any_of_or_all(&route.methods));
        let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
        let hosts = Some(hosts).filter(|hosts| !hosts.is_empty());
        facts.say(&owner, ".match.hosts", Says::Patterns(hosts));
        facts.say(&owner, ".match.path", Says::Root(route.path.to_string()));
    }
}

fn owner(route: &Route) -> String {
    format!("routes.{}", route.name)
}

fn auth(document: &Document, route: &Route, owner: &str, facts: &mut Facts) {
    let mut say = |member: &str, says| facts.say(owner, member, says);
    say(".auth.mfa", mfa(route.auth.mfa()));
    let login = route.login().map_or_else(|| "nowhere".to_owned(), login_at);
    say(".auth.login", Says::Plain(login));
    let Auth::Rules { any, scopes, optional, token, .. } = &route.auth else {
        // Everybody, and nothing is asked of anybody.
        say(".auth.any", Says::AnyOf(None));
        for member in [".auth.scopes", ".auth.claims", ".auth.proof"] {
            say(member, Says::AllOf(Vec::new()));
        }
        for member in [".auth.issuers", ".auth.audiences"] {
            say(member, Says::AnyOf(None));
        }
        return;
    };
    let kinds = any.iter().map(|kind| kind.as_str().to_owned());
    let nobody = optional.then(|| "nobody".to_owned());
    say(".auth.any", Says::any_of(kinds.chain(nobody)));
    say(".auth.scopes", Says::all_of(scopes.iter().cloned()));
    let name = |index: &usize| {
        let known = document.issuers.get(*index);
        known.map_or_else(|| index.to_string(), |known| known.issuer.issuer.clone())
    };
    let issuers: Vec<String> = token.issuers.iter().map(name).collect();
    say(".auth.issuers", Says::any_of_or_all(&issuers));
    say(".auth.audiences", Says::any_of_or_all(&token.audiences));
    say(".auth.claims", Says::all_of(token.claims.iter().map(|rule| rule.claim.clone())));
    for rule in &token.claims {
        let member = format!(".auth.claims.{}", rule.claim);
        say(&member, Says::any_of(rule.values.iter().cloned()));
    }
    let proof = token.proof.map(|proof| proof.as_str().to_owned());
    say(".auth.proof", Says::all_of(proof));
}

/// How old an authentication by several factors may be. Where only that there was one counts, it is
/// as old as what is shown may be: longer than anything that can be asked for.
fn mfa(mfa: Option<Mfa>) -> Says {
    const LONGER_SECS: u64 = 366 * 86_400;
    match mfa.map(|mfa| mfa.within_secs) {
        None => Says::Bounds(vec![UNBOUNDED], "not asked".to_owned()),
        Some(None) => Says::amount(LONGER_SECS, "required"),
        Some(Some(secs)) => Says::amount(secs, format!("within {secs}s")),
    }
}

fn login_at(at: &LoginAt) -> String {
    match at {
        LoginAt::Pages => "the pages".to_owned(),
        LoginAt::Outside(name) => format!("the provider {name}"),
    }
}

/// Who may come, how many are held to the rules, and whether the server is asked.
fn peers(route: &Route, owner: &str, facts: &mut Facts) {
    let peers: Vec<String> = route.peers.iter().map(ToString::to_string).collect();
    let peers = Some(peers).filter(|peers| !peers.is_empty());
    facts.say(owner, ".peers", Says::Patterns(peers));
    let percent = route.enforce.percent();
    let loose = 100_u64.saturating_sub(u64::from(percent));
    facts.say(owner, ".enforce", Says::amount(loose, format!("{percent} %")));
    // Where another member needs the server anyhow, this says nothing of its own.
    let by_proof = route.auth.token().is_some_and(|token| token.proof == Some(Proof::Dpop));
    let anyhow = by_proof
        || route.auth.accepts(Credential::ApiKey)
        || route.auth.accepts(Credential::Session)
        || route.auth.mfa().is_some()
        || !route.exact_limits.is_empty();
    if !anyhow {
        let asked = route.needs_ext_authz();
        let told = if asked { "asked" } else { "not asked" };
        facts.say(owner, ".ext_authz", Says::amount(u64::from(!asked), told));
    }
}

fn counted(route: &Route, owner: &str, facts: &mut Facts) {
    let (only_count, refuse): (Vec<_>, Vec<_>) =
        limits::all(route).partition(|applied| applied.limit.shadow);
    let names = refuse.iter().map(|applied| applied.limit.name.clone());
    facts.say(owner, ".limits", Says::all_of(names));
    for applied in refuse {
        let member = format!(".limits.{}.weight", applied.limit.name);
        // The less one counts, the more pass.
        let says = Says::Bounds(vec![(1, applied.weight)], applied.weight.to_string());
        facts.say(owner, &member, says);
    }
    let names: Vec<&str> = only_count.iter().map(|applied| applied.limit.name.as_str()).collect();
    facts.say(owner, ".limits.shadow", Says::Plain(names.join(", ")));
    let descriptors = route.descriptors.iter().map(|members| descriptor(members));
    facts.say(owner, ".descriptors", Says::all_of(descriptors));
}

fn descriptor(members: &[DescriptorEntry]) -> String {
    let member = |entry: &DescriptorEntry| match entry {
        DescriptorEntry::RemoteAddress => "remote_address".to_owned(),
        DescriptorEntry::Principal => "principal".to_owned(),
        DescriptorEntry::Route => "route".to_owned(),
        DescriptorEntry::Method => "method".to_owned(),
        DescriptorEntry::Header { key, header } => format!("{key} by {header}"),
        DescriptorEntry::Fixed { key, value } => format!("{key}={value}"),
    };
    members.iter().map(member).collect::<Vec<String>>().join(" + ")
}

/// Headers that neither callers nor services choose, and what they say. A value may be a secret.
fn headers(route: &Route, owner: &str, facts: &mut Facts) {
    if let Some(profile) = route.security_headers {
        let says = security_headers(profile);
        facts.say_instead_of(owner, ".security_headers", ("security_headers", ""), says);
    }
    let sides = [("request", &route.transform.request), ("response", &route.transform.response)];
    for (side, rules) in sides {
        let HeaderRules { set, remove } = rules;
        let names = set.iter().map(|(name, _)| name).chain(remove).cloned();
        facts.say(owner, &format!(".transform.{side}"), Says::all_of(names));
        for (name, value) in set {
            let member = format!(".transform.{side}.{name}");
            facts.say(owner, &member, Says::Plain(fingerprint(&format!("{value:?}"))));
        }
        // What was set and is only taken away now is on the list before and after.
        let is_set = |name: &str| set.iter().any(|(known, _)| known == name);
        for name in remove.iter().filter(|name| !is_set(name.as_str())) {
            let member = format!(".transform.{side}.{name}");
            facts.say(owner, &member, Says::Plain("taken away".to_owned()));
        }
    }
}

/// Where requests go, and how.
fn way(route: &Route, owner: &str, facts: &mut Facts) {
    // Its callers reach what they did not reach before.
    facts.say(owner, ".service", Says::Root(route.service_name().to_owned()));
    let bound = if route.timeout_ms > LONG_TIMEOUT_MS { route.timeout_ms } else { 0 };
    facts.say(owner, ".timeout", Says::amount(bound, traffic::duration(route.timeout_ms)));
    let retries = &route.retries;
    let mut told = format!("{} on {}", retries.attempts, retries.on.join(", "));
    for (what, millis) in [("each", retries.per_try_timeout_ms), ("apart", retries.backoff_ms)] {
        if let Some(millis) = millis {
            told.push_str(&format!(", {what} {}", traffic::duration(millis)));
        }
    }
    facts.say(owner, ".retries", Says::Plain(told));
    let split: Vec<String> =
        route.split.iter().map(|(version, share)| format!("{} {share} %", version.name)).collect();
    facts.say(owner, ".split", Says::Plain(split.join(", ")));
    let pick = |pick: &postern_document::CanaryPick| {
        format!("{} by {} {:?}", pick.version.name, pick.header, pick.value)
    };
    let canary: Vec<String> = route.canary.iter().map(pick).collect();
    facts.say(owner, ".canary", Says::Plain(canary.join(", ")));
    let bulkhead = route.bulkhead.as_ref().map(|bulkhead| bulkhead.name.clone());
    facts.say(owner, ".bulkhead", Says::Plain(bulkhead.unwrap_or_else(|| "none".to_owned())));
    let fault = traffic::fault(route).unwrap_or_else(|| "none".to_owned());
    facts.say(owner, ".fault", Says::Plain(fault));
}

/// What an open circuit comes to: in shadow it refuses nobody, and where another service answers,
/// callers reach that one.
fn fallback(route: &Route, owner: &str, facts: &mut Facts) {
    let told = traffic::fallback(route).unwrap_or_else(|| "refused".to_owned());
    let (passes, other, rest) = match &route.fallback {
        None => (false, None, None),
        Some(Fallback::Shadow) => (true, None, None),
        Some(Fallback::Service(other)) => (false, Some(other.name.clone()), None),
        Some(Fallback::Answer(answer)) => (false, None, Some(format!("{answer:?}"))),
        Some(Fallback::Stale(stale)) => (false, None, Some(format!("{stale:?}"))),
    };
    facts.say(owner, ".fallback", Says::amount(u64::from(passes), told));
    facts.say(owner, ".fallback.service", Says::any_of(other));
    let rest = rest.map_or_else(|| "none".to_owned(), |rest| fingerprint(&rest));
    facts.say(owner, ".fallback.answer", Says::Plain(rest));
}
