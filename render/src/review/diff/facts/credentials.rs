//! Whom a document believes: issuers and their keys, API keys, and where tokens may stand.

use std::collections::BTreeSet;

use postern_document::{
    ApiKey, CertificateSource, Document, JwksSource, JwtIssuer, Limit, TokenPlace,
};
use postern_jose::base64url;

use super::super::super::traffic::duration;
use super::super::fact::Says;
use super::{Facts, fingerprint, hex, limits, or_none};

pub(super) fn say(document: &Document, facts: &mut Facts) {
    let jwt = "credentials.jwt";
    // The first place that holds a token decides, so their order says something, too.
    let places: Vec<String> = document.token_places.iter().map(place).collect();
    facts.say(jwt, ".from", Says::AnyOf(Some(places)));
    bound(document, facts);
    facts.say(jwt, ".advertise", Says::Plain(document.advertise.to_string()));
    let cookie = document.session.as_ref().map(|session| session.name.as_str());
    facts.say("credentials.session", ".cookie", Says::Plain(or_none(cookie)));
    let names = document.issuers.iter().map(|one| one.issuer.issuer.clone());
    facts.say(jwt, ".issuers", Says::any_of(names));
    // Whatever the bundle writes it takes away where callers send it; what no issuer names any
    // more, callers may say of themselves.
    let written: BTreeSet<&str> = document.claim_headers().collect();
    facts.say(jwt, ".claim_headers", Says::all_of(written.iter().map(ToString::to_string)));
    // Of what some tokens say already, each further issuer's may say more.
    for header in written {
        facts.say(jwt, &claim_header(header), Says::any_of(Vec::new()));
    }
    for one in &document.issuers {
        issuer(one, facts);
    }
    let ids = document.api_keys.iter().map(|key| key.id.clone());
    facts.say("credentials.api_key", ".keys", Says::any_of(ids));
    let used = limits::used(document);
    for key in &document.api_keys {
        api_key(key, &used, facts);
    }
}

fn claim_header(header: &str) -> String {
    format!(".claim_headers.{header}")
}

fn place(place: &TokenPlace) -> String {
    match place {
        TokenPlace::Authorization => "header authorization".to_owned(),
        TokenPlace::Header(name) => format!("header {name}"),
        TokenPlace::Cookie(name) => format!("cookie {name}"),
        TokenPlace::Query(name) => format!("query {name}"),
        TokenPlace::WebSocketProtocol(marker) => format!("websocket_protocol {marker}"),
    }
}

fn bound(document: &Document, facts: &mut Facts) {
    let certificate = match document.bound.certificate {
        None => Says::amount(0, "not taken"),
        Some(source @ CertificateSource::Connection) => Says::amount(1, source.as_str()),
        Some(source @ CertificateSource::Forwarded) => Says::amount(2, source.as_str()),
    };
    facts.say("credentials.jwt.bound", ".certificate", certificate);
    let dpop = document.bound.dpop.map_or_else(
        || Says::amount(0, "not taken"),
        |dpop| Says::amount(dpop.max_age_secs, format!("proofs of {}s", dpop.max_age_secs)),
    );
    facts.say("credentials.jwt.bound", ".dpop", dpop);
}

fn issuer(one: &JwtIssuer, facts: &mut Facts) {
    let issuer = &one.issuer;
    let owner = format!("credentials.jwt.issuers[{}]", issuer.issuer);
    for (header, claim) in &issuer.rules.claim_headers {
        let (member, says) = (claim_header(header), Says::any_of([claim.clone()]));
        facts.say_instead_of(&owner, &member, ("credentials.jwt", &member), says);
    }
    let mut say = |member: &str, says| facts.say(&owner, member, says);
    say(".audiences", Says::any_of_or_all(&issuer.audiences));
    say(".leeway", Says::amount(issuer.leeway_secs, format!("{}s", issuer.leeway_secs)));
    say(".required_claims", Says::all_of(issuer.rules.required.iter().cloned()));
    let kept = |place: &usize| or_none(issuer.rules.kept.get(*place).map(String::as_str));
    let state: Vec<String> =
        one.claim_state.iter().map(|(name, place)| format!("{name}: {}", kept(place))).collect();
    say(".claim_state", Says::Plain(state.join(", ")));
    say(".jwks.fetched_by", Says::Plain(format!("{:?}", one.keys_by).to_lowercase()));
    say(".jwks", keys(&one.jwks));
    if let JwksSource::Uri { tls, .. } = &one.jwks {
        say(".jwks.tls", Says::amount(u64::from(!tls), if *tls { "https" } else { "http" }));
    }
    match &one.jwks {
        JwksSource::Inline(_) => {}
        // Until then, a key that was withdrawn still counts.
        JwksSource::Uri { refresh_ms, .. }
        | JwksSource::Service { refresh_ms, .. }
        | JwksSource::Discovery { refresh_ms } => {
            say(".jwks.refresh", Says::amount(*refresh_ms, duration(*refresh_ms)));
        }
    }
}

fn keys(from: &JwksSource) -> Says {
    match from {
        // By what they are, whatever they are called.
        JwksSource::Inline(set) => Says::any_of(set.keys.iter().map(|key| {
            format!("{} {}", key.algorithm.as_str(), base64url::encode(&key.thumbprint()))
        })),
        JwksSource::Uri { tls, authority, path, .. } => {
            let usual = if *tls { ":443" } else { ":80" };
            let authority = authority.strip_suffix(usual).unwrap_or(authority);
            // A query may hold a secret.
            Says::Root(match path.split_once('?') {
                None => format!("{authority}{path}"),
                Some((path, query)) => format!("{authority}{path}?{}", fingerprint(query)),
            })
        }
        JwksSource::Service { service, path, .. } => Says::Root(format!("service {service}{path}")),
        JwksSource::Discovery { .. } => Says::Root("what the issuer itself names".to_owned()),
    }
}

fn api_key(key: &ApiKey, used: &[&Limit], facts: &mut Facts) {
    let owner = format!("credentials.api_key.keys.{}", key.id);
    let principal = &key.principal;
    facts.say(&owner, ".sha256", Says::Root(fingerprint(&hex(&key.sha256))));
    facts.say(&owner, ".subject", Says::Root(principal.subject.clone()));
    let client = or_none(principal.client_id.as_deref());
    facts.say(&owner, ".client_id", Says::Root(client));
    // What it grants, not what it asks for.
    facts.say(&owner, ".scopes", Says::any_of(principal.scopes.iter().cloned()));
    facts.say(&owner, ".tier", Says::Plain(or_none(principal.tier.as_deref())));
    for limit in used {
        let allowance = limit.allowance_for(Some(principal));
        if allowance != limit.allowance {
            let (member, base) = (format!(".limits.{}", limit.name), limits::owner(limit));
            facts.say_instead_of(&owner, &member, (&base, ""), limits::allowance(allowance));
        }
    }
}
