//! What holds in a mesh and is in no rule, as [`Fact`]s: a change of it lets somebody in although
//! no policy was touched.

use postern_policies::JwtRule;

use super::super::super::mesh::View;
use super::super::fact::{Fact, Says};
use super::super::facts::fingerprint;

pub(super) fn facts(view: &View<'_>) -> Vec<Fact> {
    let around = view.around();
    let mut facts = Vec::new();
    let mut say = |owner: &str, member: &str, says: Says| {
        let (owner, member) = (owner.to_owned(), member.to_owned());
        facts.push(Fact { owner, member, instead: None, says });
    };
    let domains = around.trust_domains.map_or(Says::AnyOf(None), Says::any_of);
    say("MeshConfig", " trust domains", domains);
    // What a policy means under another one, requests show.
    say("MeshConfig", " root namespace", Says::Plain(around.root_namespace.to_owned()));
    say("MeshConfig", " path normalization", Says::Plain(around.normalization.to_owned()));
    for (name, asked) in around.providers {
        say(&format!("MeshConfig extensionProviders {name}"), "", Says::Root(asked.to_owned()));
    }
    for (workload, rules) in &around.issuers {
        let owner = format!("Workload {workload}");
        let names = rules.iter().map(|rule| named(rule).to_owned());
        say(&owner, " issuers", Says::any_of(names));
        for rule in rules {
            let owner = format!("{owner} issuer {}", named(rule));
            say(&owner, " keys", Says::Root(keys(rule)));
            say(&owner, " audiences", Says::any_of_or_all(&rule.audiences));
            say(&owner, " token places", Says::any_of(places(rule)));
        }
    }
    facts
}

/// A rule without an issuer takes whatever its keys have signed.
fn named(rule: &JwtRule) -> &str {
    if rule.issuer.is_empty() { "any" } else { &rule.issuer }
}

fn keys(rule: &JwtRule) -> String {
    match (&rule.jwks_uri, &rule.jwks) {
        // A query may hold a secret.
        (Some(uri), _) => match uri.split_once('?') {
            None => uri.clone(),
            Some((uri, query)) => format!("{uri}?{}", fingerprint(query)),
        },
        (None, Some(keys)) => format!("keys {}", fingerprint(keys)),
        (None, None) => "what the issuer itself names".to_owned(),
    }
}

/// Where tokens may stand; without a word, that is `authorization` and a query parameter
/// (`pilot/pkg/security/authn/policy_applier.go`, `convertToEnvoyJwtConfig`).
fn places(rule: &JwtRule) -> Vec<String> {
    let headers = rule.from_headers.iter().map(|header| format!("header {}", header.name));
    let params = rule.from_params.iter().map(|name| format!("query {name}"));
    let cookies = rule.from_cookies.iter().map(|name| format!("cookie {name}"));
    let mut all: Vec<String> = headers.chain(params).chain(cookies).collect();
    if all.is_empty() {
        all.extend(["header authorization", "query access_token"].map(str::to_owned));
    }
    all
}
