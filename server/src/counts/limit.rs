//! Which count of a limit of the document is meant.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use postern_document::{
    Allowance, Counted, Document, JwtIssuer, Limit, LimitMode, PathTemplate, Route, Segment,
};
use postern_limits::key::{KeyPart, stamp};
use postern_request::principal::Credential;
use postern_request::{Principal, address};
use postern_store::volatile::{LimitKey, Take};

use super::part::Said;
use super::unclear::{Names, Unclear};
use super::{Caller, Count, Counter};

/// Which count is meant, as an operator says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meant {
    /// The limit's name.
    pub limit: String,
    /// `PART=VALUE`, with parts as the limit's key spells them.
    pub parts: Vec<String>,
    /// Parts that the requests have not.
    pub without: Vec<String>,
    /// The route.
    pub route: Option<String>,
    /// The caller's tier.
    pub tier: Option<String>,
    /// The caller's `client_id`.
    pub client: Option<String>,
    /// Whose tokens the caller has.
    pub issuer: Option<String>,
    /// What the caller shows.
    pub credential: Option<Credential>,
}

/// Finds the count.
///
/// # Errors
/// When it is not clear which one is meant, or there is none.
pub fn of_limit(document: &Document, meant: &Meant) -> Result<Count, Unclear> {
    let Some(limit) = document.limits.iter().find(|limit| limit.name == meant.limit) else {
        let names = document.limits.iter().map(|limit| limit.name.clone());
        return Err(Unclear::NoLimit(Names(names.collect())));
    };
    if limit.mode == LimitMode::Local {
        return Err(Unclear::Local(limit.name.clone()));
    }
    let has_it = |route: &&Route| {
        let mut kept = route.exact_limits.iter().chain(&route.leased_limits);
        kept.any(|used| used.limit == *limit)
    };
    let routes: Vec<&Route> = document.routes.iter().map(Arc::as_ref).filter(has_it).collect();
    let said = Said::read(limit, meant)?;
    let route = route(limit, &routes, meant, &said)?;
    let takes_tokens = routes.iter().any(|route| route.auth.accepts(Credential::Jwt));
    let principal = principal(document, takes_tokens, meant, &said)?;
    let (path, headers) = (path(&route.path, &said), headers(&said));
    let counted = Counted {
        address: said.value(&KeyPart::Ip).map(address_of).transpose()?,
        principal: principal.as_ref(),
        headers: &headers,
        method: said.value(&KeyPart::Method).unwrap_or("GET"),
        authority: said.value(&KeyPart::Host).unwrap_or_default(),
        path: &path,
    };
    Ok(Count {
        name: limit.name.clone(),
        caller: principal.as_ref().and_then(|principal| caller(principal, &said)),
        counter: counter(limit, route, &counted),
    })
}

/// What `ext_authz` would take from, or of a leased limit whoever lends; and nothing of it.
fn counter(limit: &Limit, route: &Route, counted: &Counted<'_>) -> Counter {
    let allowance = limit.allowance_for(counted.principal);
    let counted_under = limit.key_of(route, counted, allowance);
    let key = LimitKey::of(&limit.owner_of(counted, &counted_under), &counted_under);
    let (key, take) = match (allowance, limit.mode) {
        (Allowance::Unlimited, _) => return Counter::Unlimited,
        // An Envoy names that key, and what is lent for it is counted under another.
        (Allowance::Rate(spec), LimitMode::Leased { .. }) => {
            (key.leased(stamp(&limit.name, spec)), Take::Rate { spec, cost: 0 })
        }
        (Allowance::Rate(spec), _) => (key, Take::Rate { spec, cost: 0 }),
        (Allowance::InFlight(spec), _) => (key, Take::InFlight { spec, id: 0 }),
    };
    Counter::Kept { key, take }
}

/// A route whose requests are counted there. Which of several does not matter where the limit
/// does not count by it.
fn route<'d>(
    limit: &Limit,
    routes: &[&'d Route],
    meant: &Meant,
    said: &Said<'_>,
) -> Result<&'d Route, Unclear> {
    if routes.is_empty() {
        return Err(Unclear::Unused(limit.name.clone()));
    }
    let names = |routes: &[&Route]| Names(routes.iter().map(|route| route.name.clone()).collect());
    let name = meant.route.as_deref().or_else(|| said.value(&KeyPart::Route));
    let service = said.value(&KeyPart::Service);
    let is_meant = |route: &&Route| {
        name.is_none_or(|name| route.name == name)
            && service.is_none_or(|service| route.service_name() == service)
    };
    let fitting: Vec<&Route> = routes.iter().copied().filter(is_meant).collect();
    let limit_name = || limit.name.clone();
    let [first, others @ ..] = fitting.as_slice() else {
        return Err(Unclear::NoRoute { limit: limit_name(), routes: names(routes) });
    };
    if limit.key.contains(&KeyPart::Route) && !others.is_empty() {
        return Err(Unclear::Which { limit: limit_name(), part: "route", names: names(&fitting) });
    }
    let is_another = |route: &&Route| route.service_name() != first.service_name();
    if limit.key.contains(&KeyPart::Service) && others.iter().any(is_another) {
        let mut services: Vec<String> =
            fitting.iter().map(|route| route.service_name().to_owned()).collect();
        services.sort_unstable();
        services.dedup();
        let names = Names(services);
        return Err(Unclear::Which { limit: limit_name(), part: "service", names });
    }
    Ok(*first)
}

/// The caller, where something is known of one.
fn principal(
    document: &Document,
    takes_tokens: bool,
    meant: &Meant,
    said: &Said<'_>,
) -> Result<Option<Principal>, Unclear> {
    let (subject, api_key) = (said.value(&KeyPart::Subject), said.value(&KeyPart::ApiKey));
    let client = said.value(&KeyPart::Client).or(meant.client.as_deref());
    let tier = said.value(&KeyPart::Tier).or(meant.tier.as_deref());
    let mut claims = Vec::new();
    for (part, value) in said.values() {
        if let KeyPart::Claim(name) = part {
            claims.push((name.as_str(), value));
        }
    }
    let named = [subject, api_key, client, tier].iter().any(Option::is_some) || !claims.is_empty();
    if said.get(&KeyPart::Subject) == Some(None) && named {
        return Err(Unclear::Nobody);
    }
    if !named {
        return Ok(None);
    }
    let credential = credential(takes_tokens, meant, said, !claims.is_empty())?;
    if let (Some(subject), Some(api_key)) = (subject, api_key)
        && subject != api_key
    {
        return Err(Unclear::Subjects);
    }
    let mut principal = Principal {
        subject: subject.or(api_key).unwrap_or_default().to_owned(),
        client_id: client.map(str::to_owned),
        tier: tier.map(str::to_owned),
        credential,
        ..Principal::default()
    };
    if credential == Credential::Session {
        principal.issuer = document.issuer.clone().unwrap_or_default();
    }
    if credential == Credential::Jwt && (subject.is_some() || !claims.is_empty()) {
        let issuer = issuer(document, meant.issuer.as_deref())?;
        principal.issuer.clone_from(&issuer.issuer.issuer);
        for (name, value) in claims {
            principal.claim_headers.push((claim_header(issuer, name)?, value.to_owned()));
        }
    }
    Ok(Some(principal))
}

/// What the caller has shown; tokens where nothing says otherwise.
fn credential(
    takes_tokens: bool,
    meant: &Meant,
    said: &Said<'_>,
    has_claims: bool,
) -> Result<Credential, Unclear> {
    let of_tokens = has_claims || meant.issuer.is_some();
    let shown = match (said.get(&KeyPart::ApiKey), meant.credential) {
        (Some(Some(_)), Some(Credential::Jwt | Credential::Session))
        | (Some(None), Some(Credential::ApiKey)) => return Err(Unclear::Credential),
        (Some(Some(_)), _) => Credential::ApiKey,
        (_, Some(credential)) => credential,
        (Some(None), None) => Credential::Jwt,
        (None, None) if takes_tokens || of_tokens => Credential::Jwt,
        (None, None) => Credential::ApiKey,
    };
    match shown {
        Credential::ApiKey | Credential::Session if of_tokens => Err(Unclear::NoToken),
        shown => Ok(shown),
    }
}

fn issuer<'d>(document: &'d Document, name: Option<&str>) -> Result<&'d JwtIssuer, Unclear> {
    let names =
        || Names(document.issuers.iter().map(|known| known.issuer.issuer.clone()).collect());
    match (name, document.issuers.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Unclear::WhichIssuer(names())),
        (Some(name), known) => known
            .iter()
            .find(|known| known.issuer.issuer == name)
            .ok_or_else(|| Unclear::NoIssuer(names())),
    }
}

/// The header by which limits know a claim.
fn claim_header(issuer: &JwtIssuer, claim: &str) -> Result<String, Unclear> {
    let headers = &issuer.issuer.rules.claim_headers;
    let header = headers.iter().find(|(_, known)| known == claim).map(|(header, _)| header.clone());
    header.ok_or_else(|| Unclear::NoClaim(claim.to_owned()))
}

/// What the key says of the caller: to others with the same subject or claim, credential and
/// issuer make the difference.
fn caller(principal: &Principal, said: &Said<'_>) -> Option<Caller> {
    let tells = |(part, _): (&KeyPart, &str)| {
        matches!(part, KeyPart::Subject | KeyPart::ApiKey | KeyPart::Claim(_))
    };
    let credential = principal.credential;
    let issuer = (credential == Credential::Jwt).then(|| principal.issuer.clone());
    said.values().any(tells).then_some(Caller { credential, issuer })
}

fn address_of(text: &str) -> Result<IpAddr, Unclear> {
    address::parse(text).ok_or(Unclear::Address)
}

fn headers(said: &Said<'_>) -> Vec<(String, Vec<u8>)> {
    let header = |(part, value): (&KeyPart, &str)| match part {
        KeyPart::Header(name) => Some((name.clone(), value.as_bytes().to_vec())),
        _ => None,
    };
    said.values().filter_map(header).collect()
}

/// A path of the route with these parameters; what stands in the others does not matter.
fn path(template: &PathTemplate, said: &Said<'_>) -> String {
    let mut path = String::new();
    for segment in template.segments() {
        path.push('/');
        let is_rest = matches!(segment, Segment::Rest(_));
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Param(name) | Segment::Rest(name) => {
                let value = said.value(&KeyPart::PathParam(name.clone()));
                push_escaped(&mut path, value.unwrap_or("-"), is_rest);
            }
        }
    }
    path
}

/// Values are told as limits read them, decoded. So that they are read as they are told, they are
/// escaped here.
fn push_escaped(path: &mut String, value: &str, keeps_slashes: bool) {
    for byte in value.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain || (keeps_slashes && byte == b'/') {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
}
