//! Providers elsewhere that vouch for people.

use postern_request::shown::is_one_line;

use super::super::credentials::is_scope;
use super::super::tokens::check_claim;
use super::super::urls::{self, Web};
use super::check_role;
use crate::decode::{NAME_RULE, is_name};
use crate::model::{OutsideProvider, OutsideUsers, RoleClaim};
use crate::problem::Problems;
use crate::raw::{RawDocument, RawLogin, RawOutside, RawRoleClaim, Text};

const DEFAULT_SCOPES: [&str; 3] = ["openid", "profile", "email"];
const MAX_TITLE_CHARS: usize = 100;
const MAX_CLIENT_ID_BYTES: usize = 256;

pub(super) fn check(
    document: &RawDocument,
    raw: &RawLogin,
    problems: &mut Problems,
) -> Vec<OutsideProvider> {
    let mut providers: Vec<OutsideProvider> = Vec::with_capacity(raw.outside.len());
    for (at, provider) in raw.outside.iter().enumerate() {
        let path = format!("login.outside[{at}]");
        if providers.iter().any(|known| known.name == provider.name.value) {
            problems.report_as(provider.name.at, &path, "this provider is there twice");
        }
        check_addresses(document, provider, &path, problems);
        check_roles(raw, provider, &path, problems);
        providers.push(OutsideProvider {
            name: provider.name.value.clone(),
            issuer: provider.issuer.value.clone(),
            client_id: provider.client_id.value.clone(),
            client_secret: provider.client_secret.value.clone(),
            scopes: check_scopes(provider, &path, problems),
            title: check_title(provider, &path, problems),
            users: provider.users.unwrap_or(OutsideUsers::None),
            role: provider.role.as_ref().map(|role| role.value.clone()),
            role_claim: provider.role_claim.as_ref().map(
                |RawRoleClaim { claim, values, .. }| {
                    let value =
                        |(value, role): &(Text, Text)| (value.value.clone(), role.value.clone());
                    RoleClaim {
                        claim: claim.value.clone(),
                        values: values.0.iter().map(value).collect(),
                    }
                },
            ),
            domains: check_domains(provider, &path, problems),
        });
    }
    providers
}

/// Name, issuer, and whom the suite is there.
fn check_addresses(document: &RawDocument, raw: &RawOutside, path: &str, problems: &mut Problems) {
    if !is_name(&raw.name) {
        problems.report_as(raw.name.at, &format!("{path}.name"), NAME_RULE);
    }
    let is_good = |web: &Web<'_>| web.is_safe() && !web.rest.contains(['?', '#']);
    let own = document.issuer.as_ref().map(|issuer| issuer.as_str());
    if Web::parse(&raw.issuer).is_none_or(|web| !is_good(&web)) {
        let message = "expected the provider's issuer: an https URL without query and fragment \
                       (http on loopback only)";
        problems.report_as(raw.issuer.at, &format!("{path}.issuer"), message);
    } else if own == Some(raw.issuer.as_str()) {
        let message = "this is the suite itself, which vouches for nobody but its own users";
        problems.report_as(raw.issuer.at, &format!("{path}.issuer"), message);
    }
    let client_id = raw.client_id.as_bytes();
    if !(1..=MAX_CLIENT_ID_BYTES).contains(&client_id.len())
        || !client_id.iter().all(|byte| (0x20..=0x7e).contains(byte))
    {
        let message = format!("expected 1 to {MAX_CLIENT_ID_BYTES} characters of ASCII");
        problems.report_as(raw.client_id.at, &format!("{path}.client_id"), message);
    }
    let secret = &raw.client_secret;
    let is_elsewhere = |prefix: &str| secret.strip_prefix(prefix).is_some_and(|at| !at.is_empty());
    if !is_elsewhere("env:") && !is_elsewhere("file:") {
        // The text itself stays out of the message: it may be the secret.
        let message = "a secret does not stand here: say where it is, env:NAME or file:PATH";
        problems.report_as(secret.at, &format!("{path}.client_secret"), message);
    }
}

fn check_scopes(raw: &RawOutside, path: &str, problems: &mut Problems) -> Vec<String> {
    let Some(scopes) = &raw.scopes else {
        return DEFAULT_SCOPES.map(str::to_owned).to_vec();
    };
    let path = format!("{path}.scopes");
    if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope)) {
        problems.report_as(scope.at, &path, "a scope has no spaces, quotes or backslashes");
    }
    if !scopes.iter().any(|scope| scope.as_str() == "openid") && !problems.any_below(&path) {
        let message = "without `openid` a provider says nothing of who somebody is";
        problems.report_as(raw.at, &path, message);
    }
    scopes.iter().map(|scope| scope.value.clone()).collect()
}

fn check_title(raw: &RawOutside, path: &str, problems: &mut Problems) -> String {
    let Some(title) = &raw.title else { return raw.name.value.clone() };
    if !is_one_line(title, MAX_TITLE_CHARS) {
        let message = format!("expected 1 to {MAX_TITLE_CHARS} characters on one line");
        problems.report_as(title.at, &format!("{path}.title"), message);
    }
    title.value.clone()
}

/// What people of a provider may be.
fn check_roles(login: &RawLogin, raw: &RawOutside, path: &str, problems: &mut Problems) {
    let path_of_role = format!("{path}.role");
    if let Some(role) = &raw.role {
        check_role(&login.roles, role, &path_of_role, problems);
    } else if raw.users == Some(OutsideUsers::Create) && !problems.any_below(&path_of_role) {
        let message = "say what users become that it brings";
        problems.report_as(raw.at, &path_of_role, message);
    }
    let Some(RawRoleClaim { at, claim, values }) = &raw.role_claim else { return };
    let path = format!("{path}.role_claim");
    check_claim(claim, &format!("{path}.claim"), problems);
    let path = format!("{path}.values");
    if values.0.is_empty() && !problems.any_below(&path) {
        problems.report_as(*at, &path, "say which value stands for which role");
    }
    for (_, role) in &values.0 {
        check_role(&login.roles, role, &path, problems);
    }
}

fn check_domains(raw: &RawOutside, path: &str, problems: &mut Problems) -> Vec<String> {
    let mut domains: Vec<String> = Vec::with_capacity(raw.domains.len());
    for (at, domain) in raw.domains.iter().enumerate() {
        let path = format!("{path}.domains[{at}]");
        if !urls::is_host_name(domain) {
            let message = "write what stands behind the @, in lower case: example.test";
            problems.report_as(domain.at, &path, message);
        } else if domains.contains(&domain.value) {
            problems.report_as(domain.at, &path, "this domain is there twice");
        }
        domains.push(domain.value.clone());
    }
    domains
}
