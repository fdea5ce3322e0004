//! Checking a raw document against itself. Every check goes on after a problem.

mod circuits;
mod credentials;
#[cfg(feature = "messages")]
mod discovery;
mod feed;
mod issuers;
mod limits;
#[cfg(feature = "messages")]
mod login;
mod numbers;
#[cfg(feature = "messages")]
mod oauth;
mod routes;
mod services;
mod session;
mod tokens;
#[cfg(feature = "messages")]
mod traffic;
mod transforms;
#[cfg(feature = "messages")]
mod urls;
#[cfg(feature = "messages")]
mod workloads;

use postern_request::LimitHeaders;
use postern_request::principal::IdentityHeader;

#[cfg(feature = "messages")]
pub(crate) use self::oauth::KNOWN_SCOPES;
#[cfg(feature = "yaml")]
pub(crate) use self::services::read_upstream;
#[cfg(feature = "messages")]
use crate::lookup::Lookup;
use crate::matcher::{Entry, Matcher};
#[cfg(feature = "messages")]
use crate::model::TokenPlace;
use crate::model::{
    Auth, Document, Failures, OnFailure, Proof, Revocation, SecurityHeaders, Stores,
};
use crate::problem::{Problems, told};
use crate::raw::{
    RawDocument, RawFailures, RawLimitHeaders, RawRevocation, RawStores, RefuseAllow,
};

/// What a document is, besides what stands in it.
pub(crate) struct Origin {
    /// The digest of the whole document.
    pub(crate) digest: String,
    /// Whether this is the whole document; else it is what filters get of it.
    pub(crate) is_whole: bool,
}

/// Checks a document and resolves its names; none when a part could not be made sense of.
/// Problems may be there even where something is returned.
pub(crate) fn document(
    raw: RawDocument,
    origin: Origin,
    problems: &mut Problems,
) -> Option<Document> {
    if *raw.version != 1 {
        problems.report_as(raw.version.at, "version", "this release reads version 1");
    }
    let issuer = check_issuer(&raw, problems);
    let trusted_proxies = check_trusted_proxies(&raw, problems);
    let stores = check_stores(raw.stores.as_ref(), problems);
    // Before anything is checked: what could not be read is reported, and missing here.
    let all_issuers_read = !problems.any_below("credentials");
    let credentials = raw.credentials.as_ref();
    let jwt = credentials.and_then(|credentials| credentials.jwt.as_ref());
    let token_places = tokens::check_places(jwt, problems);
    let bound = tokens::check_bound(jwt, problems);
    let session = session::cookie(&raw, &token_places, problems);
    let advertise = check_advertise(&raw, problems);
    #[cfg(feature = "messages")]
    let (oauth, login) = (oauth::check(&raw, problems), login::check(&raw, problems));
    #[cfg(feature = "messages")]
    if origin.is_whole {
        session::check_origin(&raw, problems);
    }
    // Where nothing that ends up in a configuration may come from.
    #[cfg(feature = "messages")]
    let secret_places: Vec<TokenPlace> = {
        let of_session = session.iter().map(|cookie| TokenPlace::Cookie(cookie.name.clone()));
        token_places.iter().cloned().chain(of_session).collect()
    };
    #[cfg(feature = "messages")]
    let (workloads, mesh) = (workloads::check(&raw, problems), workloads::mesh(&raw, problems));
    let context = services::Context {
        raw: &raw,
        #[cfg(feature = "messages")]
        token_places: &secret_places,
        #[cfg(feature = "messages")]
        workloads: &workloads,
    };
    let services = services::check(&context, problems);
    #[cfg(feature = "messages")]
    let registry = discovery::registry(&raw, problems);
    let issuers = issuers::check(&raw, &token_places, problems);
    let api_keys = credentials::check(credentials, problems);
    let limits = limits::check(&raw.limits, &issuers, problems);
    let transforms = transforms::check(&raw.transforms, problems);
    check_owners(&raw, problems);
    let context = routes::Context {
        issuers: &issuers,
        all_issuers_read,
        bound,
        services: &services,
        limits: &limits,
        transforms: &transforms,
        raw: &raw,
        #[cfg(feature = "messages")]
        token_places: &secret_places,
        #[cfg(feature = "messages")]
        workloads: &workloads,
        #[cfg(feature = "messages")]
        mesh: &mesh,
        #[cfg(feature = "messages")]
        is_whole: origin.is_whole,
    };
    let routes = routes::check(&context, problems);
    #[cfg(feature = "messages")]
    traffic::check_used(&raw, &services, &routes, problems);
    #[cfg(feature = "messages")]
    let rate_limit_filter = traffic::rate_limit_filter(&raw, problems);
    check_failures(raw.failures.as_ref(), &routes, problems);
    let revocation = raw.revocation.as_ref().map(|raw| check_revocation(raw, problems));
    let feed = feed::check(raw.feed.as_ref(), raw.revocation.as_ref(), problems);
    let matcher = Matcher::new(routes.iter().map(|route| Entry::of(route)));
    #[cfg(feature = "messages")]
    let lookup = Lookup::of(&routes);
    problems.is_empty().then(|| Document {
        digest: origin.digest,
        issuer,
        trusted_proxies,
        allow_matrix_parameters: raw.matrix_parameters == Some(RefuseAllow::Allow),
        security_headers: raw.security_headers.unwrap_or(SecurityHeaders::Api),
        limit_headers: match raw.limit_headers {
            None | Some(RawLimitHeaders::Integers) => LimitHeaders::Integers,
            Some(RawLimitHeaders::Structured) => LimitHeaders::Structured,
        },
        identity_headers: identity_headers(&raw),
        stores,
        failures: failures(raw.failures.as_ref()),
        revocation,
        feed,
        token_places,
        bound,
        issuers,
        api_keys,
        session,
        advertise,
        #[cfg(feature = "messages")]
        oauth,
        #[cfg(feature = "messages")]
        login,
        #[cfg(feature = "messages")]
        registry,
        services,
        limits,
        routes,
        matcher,
        #[cfg(feature = "messages")]
        lookup,
        #[cfg(feature = "messages")]
        workloads,
        #[cfg(feature = "messages")]
        mesh,
        #[cfg(feature = "messages")]
        rate_limit_filter,
        #[cfg(feature = "messages")]
        files: problems.files().to_vec(),
        #[cfg(feature = "messages")]
        raw,
        // Whoever reads files knows them.
        #[cfg(feature = "messages")]
        silent_owners: Vec::new(),
    })
}

/// The host of an http or https URL, as hosts of requests are compared.
#[cfg(feature = "messages")]
pub(crate) fn host_of_url(url: &str) -> Option<String> {
    urls::Web::parse(url).map(|web| crate::host::host_of(web.authority))
}

fn check_issuer(raw: &RawDocument, problems: &mut Problems) -> Option<String> {
    let issuer = raw.issuer.as_ref()?;
    if !is_issuer_url(issuer) || issuer.ends_with('/') {
        problems.report_as(
            issuer.at,
            "issuer",
            "an issuer is an https URL without query, fragment or final slash (http only on loopback)",
        );
    }
    Some(issuer.value.clone())
}

/// RFC 8414 §2: an https URL without query or fragment. On loopback plain http will do.
fn is_issuer_url(issuer: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let secure = issuer.starts_with("https://") && issuer.len() > "https://".len();
    let local = loopback.iter().any(|prefix| {
        issuer
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    (secure || local) && !issuer.contains(['?', '#', ' '])
}

/// Whether refusals say where the authorization server is (RFC 9728 §5.1).
fn check_advertise(raw: &RawDocument, problems: &mut Problems) -> bool {
    let jwt = raw.credentials.as_ref().and_then(|credentials| credentials.jwt.as_ref());
    let Some(jwt) = jwt.filter(|jwt| jwt.advertise == Some(true)) else { return false };
    if raw.issuer.is_none() {
        let message = "without an `issuer` at the top of the document there is nothing to name";
        problems.report_as(jwt.at, "credentials.jwt.advertise", message);
    }
    true
}

fn check_trusted_proxies(raw: &RawDocument, problems: &mut Problems) -> u8 {
    let Some(count) = &raw.trusted_proxies else {
        return 0;
    };
    u8::try_from(count.value).ok().filter(|count| *count <= 16).unwrap_or_else(|| {
        problems.report_as(count.at, "trusted_proxies", "at most 16 proxies can be trusted");
        0
    })
}

fn check_stores(raw: Option<&RawStores>, problems: &mut Problems) -> Stores {
    let Some(raw) = raw else {
        return Stores { replicas: 1, ..Stores::default() };
    };
    let mut check = |field: &Option<crate::raw::Text>, name: &str, prefixes: &[&str]| {
        let text = field.as_ref()?;
        let known = prefixes.iter().any(|prefix| {
            if goes_on(prefix) {
                text.len() > prefix.len() && text.starts_with(prefix)
            } else {
                text.as_str() == *prefix
            }
        });
        if !known {
            // The text itself stays out of the message: it may hold a password.
            let message = told!("expected one of {}", shown(prefixes).join(", "));
            problems.report_as(text.at, &told!("stores.{name}"), message);
        }
        Some(text.value.clone())
    };
    let redis = [
        "memory",
        "redis://",
        "rediss://",
        "redis+sentinel://",
        "rediss+sentinel://",
        "redis+cluster://",
        "rediss+cluster://",
        "env:",
    ];
    let volatile = check(&raw.volatile, "volatile", &redis);
    let databases = ["memory", "sqlite:", "postgres://", "postgresql://", "env:"];
    let durable = check(&raw.durable, "durable", &databases);
    let replicas = raw.replicas.as_ref().map_or(1, |replicas| {
        if !(1..=10_000).contains(&replicas.value) {
            problems.report_as(replicas.at, "stores.replicas", "expected 1 to 10000 replicas");
        }
        replicas.value
    });
    if replicas > 1 && durable.as_deref().is_some_and(|store| store.starts_with("sqlite:")) {
        let message = "sqlite serves one replica; with more, use a database that they share";
        problems.report_as(raw.at, "stores", message);
    }
    Stores { volatile, durable, replicas }
}

/// Whether an address that begins so has more behind it.
fn goes_on(prefix: &str) -> bool {
    prefix.ends_with(':') || prefix.ends_with('/')
}

/// How addresses that begin so are written.
fn shown(prefixes: &[&str]) -> Vec<String> {
    let dots = |prefix: &str| if goes_on(prefix) { "…" } else { "" };
    prefixes.iter().map(|prefix| format!("{prefix}{}", dots(prefix))).collect()
}

fn check_owners(raw: &RawDocument, problems: &mut Problems) {
    for (name, at, owner) in &raw.owners.0 {
        if owner.paths.is_empty() && owner.hosts.is_empty() {
            let message = "an owner speaks for paths or hosts; name at least one";
            problems.report_as(*at, &told!("owners.{name}"), message);
        }
        for prefix in &owner.paths {
            if !prefix.starts_with('/') || !prefix.ends_with('/') {
                let message = "a prefix begins and ends with a slash, for example /payments/";
                problems.report_as(prefix.at, &told!("owners.{name}.paths"), message);
            }
        }
        for (at, host) in owner.hosts.iter().enumerate() {
            if let Err(message) = crate::host::HostPattern::parse(host) {
                let message = told!("`{}`: {message}", host.escape_debug());
                problems.report_as(host.at, &told!("owners.{name}.hosts[{at}]"), message);
            }
        }
        #[cfg(feature = "messages")]
        workloads::check_owned(raw, owner, &format!("owners.{name}.workloads"), problems);
    }
}

fn failures(raw: Option<&RawFailures>) -> Failures {
    Failures {
        ext_authz: raw.and_then(|raw| raw.ext_authz).unwrap_or(OnFailure::Deny),
        ext_proc: raw.and_then(|raw| raw.ext_proc).unwrap_or(OnFailure::Deny),
    }
}

fn check_revocation(raw: &RawRevocation, problems: &mut Problems) -> Revocation {
    let max_staleness = &raw.max_staleness;
    if !(2_000..=3_600_000).contains(&max_staleness.millis) {
        problems.report_as(max_staleness.at, "revocation.max_staleness", "expected 2s to 1h");
    }
    Revocation { max_staleness_ms: max_staleness.millis, when_stale: raw.when_stale }
}

/// Going on without `ext_authz` is possible only where the filter can decide alone.
fn check_failures(
    raw: Option<&RawFailures>,
    routes: &[std::sync::Arc<crate::model::Route>],
    problems: &mut Problems,
) {
    use postern_request::principal::Credential;
    let Some(raw) = raw else { return };
    if raw.ext_authz != Some(OnFailure::Allow) {
        return;
    }
    let asks_for_proofs =
        |auth: &Auth| auth.token().is_some_and(|token| token.proof == Some(Proof::Dpop));
    let first = routes.iter().find_map(|route| match &route.auth {
        auth if auth.accepts(Credential::ApiKey) => Some(("API keys", route)),
        auth if auth.accepts(Credential::Session) => Some(("sessions", route)),
        auth if auth.mfa().is_some() => Some(("second factors", route)),
        auth if asks_for_proofs(auth) => Some(("proofs", route)),
        _ => None,
    });
    if let Some((what, route)) = first {
        problems.report_as(
            raw.at,
            "failures.ext_authz",
            told!(
                "cannot be `allow`: only the server can check the {what} of route `{}`",
                route.name
            ),
        );
    }
}

fn identity_headers(raw: &RawDocument) -> Vec<IdentityHeader> {
    let Some(wanted) = &raw.identity_headers else {
        return IdentityHeader::ALL.to_vec();
    };
    IdentityHeader::ALL
        .into_iter()
        .filter(|header| wanted.iter().any(|want| want.as_str() == header.as_str()))
        .collect()
}

#[cfg(test)]
mod tests;
