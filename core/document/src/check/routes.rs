//! Routes: each for itself, then against each other.

mod fallback;
#[cfg(feature = "messages")]
mod guarded;
mod hidden;
#[cfg(feature = "messages")]
mod hosts;
mod limits;
mod peers;
#[cfg(feature = "messages")]
mod traffic;

use std::borrow::Cow;
use std::sync::Arc;

use postern_request::principal::Credential;

use self::hidden::Earlier;
use super::credentials::is_scope;
use super::services::may_repeat_work;
use super::{session, tokens};
use crate::decode::closest;
use crate::host::HostPattern;
use crate::model::{
    Auth, BoundTokens, Enforce, JwtIssuer, Limit, LimitMode, OWN_SERVICE, Route, Service, Transform,
};
#[cfg(feature = "messages")]
use crate::model::{LoginAt, Mesh, SecurityHeaders, TokenPlace, Workload};
use crate::problem::{Position, Problems, told};
use crate::raw::{RawAuth, RawAuthRules, RawCredential, RawDocument, RawRoute, RawService, Text};
use crate::template::PathTemplate;

/// What routes refer to.
pub(super) struct Context<'a> {
    pub(super) issuers: &'a [JwtIssuer],
    /// Whether `credentials` could be read as a whole.
    pub(super) all_issuers_read: bool,
    pub(super) bound: BoundTokens,
    pub(super) services: &'a [Arc<Service>],
    pub(super) limits: &'a [Arc<Limit>],
    pub(super) transforms: &'a [(String, Transform)],
    pub(super) raw: &'a RawDocument,
    #[cfg(feature = "messages")]
    pub(super) token_places: &'a [TokenPlace],
    #[cfg(feature = "messages")]
    pub(super) workloads: &'a [Arc<Workload>],
    #[cfg(feature = "messages")]
    pub(super) mesh: &'a Mesh,
    /// Whether this is the whole document; else it is what filters get of it.
    #[cfg(feature = "messages")]
    pub(super) is_whole: bool,
}

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) -> Vec<Arc<Route>> {
    let raw = &context.raw.routes;
    if raw.is_empty() && !problems.any_below("routes") {
        problems.report_as(context.raw.at, "routes", "a document without routes serves nothing");
    }
    // What could not be read may be what tells two routes apart.
    let all_read = !problems.any_within("routes[", "].match");
    let mut routes = Earlier::with_room_for(raw.len());
    for route in raw {
        let path = told!("routes.{}", route.name.value);
        let Some(mut checked) = check_route(context, route, &path, problems) else {
            continue;
        };
        checked.is_clear &= all_read;
        routes.add(&path, route, checked, problems);
    }
    let routes = routes.into_routes();
    fallback::check_room(context, &routes, problems);
    #[cfg(feature = "messages")]
    hosts::check(context, &routes, problems);
    routes
}

/// A route that was checked for itself.
struct Checked {
    at: Position,
    /// Of its path; see [`PathTemplate::shape`].
    shape: String,
    route: Arc<Route>,
    /// Whether which requests it is for is clear; else nothing can be said about what it hides.
    is_clear: bool,
}

fn check_route(
    context: &Context<'_>,
    raw: &RawRoute,
    path: &str,
    problems: &mut Problems,
) -> Option<Checked> {
    if !crate::decode::is_name(&raw.name) {
        problems.report_as(raw.name.at, &told!("{path}.name"), crate::decode::NAME_RULE);
    }
    let template = PathTemplate::parse(&raw.matches.path).map_err(|message| {
        problems.report_as(raw.matches.path.at, &told!("{path}.match.path"), message);
    });
    let (hosts, methods, is_clear) = check_match(raw, path, problems);
    let service = check_service(context, raw, path, problems);
    let peers = peers::check(context, raw, path, problems);
    let auth = check_auth(context, &raw.auth, path, problems);
    #[cfg(feature = "messages")]
    let login = check_login(context, &raw.auth, &auth, path, problems);
    #[cfg(feature = "messages")]
    let security_headers = check_security_headers(raw, path, problems);
    let enforce = raw.enforce.as_ref().map_or(Enforce::FULL, |text| {
        Enforce::parse(text).unwrap_or_else(|| {
            let message = "expected 1% to 100%, or shadow";
            problems.report_as(text.at, &told!("{path}.enforce"), message);
            Enforce::FULL
        })
    });
    let template = template.ok();
    let limits = limits::check(context, raw, template.as_ref(), &auth, path, problems);
    let transform = check_transforms(context, raw, path, problems);
    let (mut local_limits, mut exact_limits, mut leased_limits) = (vec![], vec![], vec![]);
    for applied in limits {
        let counted = match applied.limit.mode {
            LimitMode::Local => &mut local_limits,
            LimitMode::Exact { .. } => &mut exact_limits,
            LimitMode::Leased { .. } => &mut leased_limits,
        };
        counted.push(applied);
    }
    let default_timeout = service.as_ref().map_or(30_000, |service| service.timeout_ms);
    let timeout_ms = raw.timeout.as_ref().map_or(default_timeout, |timeout| timeout.millis);
    let fallback = fallback::check(context, raw, service.as_deref(), path, problems);
    #[cfg(feature = "messages")]
    let traffic = {
        let about = traffic::About { service: service.as_deref(), auth: &auth, timeout_ms };
        traffic::check(context, raw, about, path, problems)
    };
    let route = Route {
        name: raw.name.value.clone(),
        hosts,
        path: template?,
        methods,
        service,
        peers,
        auth,
        local_limits,
        exact_limits,
        leased_limits,
        transform,
        enforce,
        timeout_ms,
        fallback,
        #[cfg(feature = "messages")]
        retries: traffic.retries,
        #[cfg(feature = "messages")]
        split: traffic.split,
        #[cfg(feature = "messages")]
        canary: traffic.canary,
        #[cfg(feature = "messages")]
        bulkhead: traffic.bulkhead,
        #[cfg(feature = "messages")]
        fault: traffic.fault,
        #[cfg(feature = "messages")]
        descriptors: traffic.descriptors,
        #[cfg(feature = "messages")]
        security_headers,
        #[cfg(feature = "messages")]
        login,
        asks_ext_authz: raw.ext_authz.unwrap_or(false),
    };
    #[cfg(feature = "messages")]
    guarded::check(context, raw, &route, path, problems);
    Some(Checked { at: raw.at, shape: route.path.shape(), route: Arc::new(route), is_clear })
}

/// Hosts and methods, and whether all of them could be read.
fn check_match(
    raw: &RawRoute,
    path: &str,
    problems: &mut Problems,
) -> (Vec<HostPattern>, Vec<String>, bool) {
    let mut hosts = Vec::new();
    let mut all_read = true;
    for (at, host) in raw.matches.hosts.iter().enumerate() {
        match HostPattern::parse(host) {
            Ok(pattern) => hosts.push(pattern),
            Err(message) => {
                all_read = false;
                let message = told!("`{}`: {message}", host.escape_debug());
                problems.report_as(host.at, &told!("{path}.match.hosts[{at}]"), message);
            }
        }
    }
    let mut methods: Vec<String> = Vec::new();
    for (at, method) in raw.matches.methods.iter().enumerate() {
        let known = !method.is_empty()
            && method.len() <= 32
            && method.bytes().all(|b| b.is_ascii_uppercase());
        let message: Cow<'static, str> = if !known {
            told!(
                "`{}`: write methods in capitals, for example {}",
                method.escape_debug(),
                capitals(method)
            )
            .into()
        } else if method.as_str() == "CONNECT" || method.as_str() == "TRACE" {
            "CONNECT and TRACE do not pass this gateway".into()
        } else if methods.contains(&method.value) {
            "this method is there twice".into()
        } else {
            methods.push(method.value.clone());
            continue;
        };
        all_read = false;
        problems.report_as(method.at, &told!("{path}.match.methods[{at}]"), message);
    }
    (hosts, methods, all_read)
}

/// The method that was meant, or one to show what they look like.
fn capitals(method: &str) -> String {
    let is_name = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_name { method.to_ascii_uppercase() } else { "GET".to_owned() }
}

fn check_service(
    context: &Context<'_>,
    raw: &RawRoute,
    path: &str,
    problems: &mut Problems,
) -> Option<Arc<Service>> {
    let name = raw.service.as_str();
    if name == OWN_SERVICE {
        check_repeats(raw, None, path, problems);
        return None;
    }
    let Some(raw_service) = context.raw.services.get(name) else {
        if !context.raw.services.has(name) {
            let known = context.raw.services.names();
            report_dangling("service", &raw.service, &known, &told!("{path}.service"), problems);
        }
        return None;
    };
    check_repeats(raw, Some(raw_service), path, problems);
    context.services.iter().find(|service| service.name == name).cloned()
}

/// Whether what counts for the route, its own retries or its service's, could do something twice.
fn check_repeats(
    raw: &RawRoute,
    service: Option<&RawService>,
    path: &str,
    problems: &mut Problems,
) {
    let own = raw.retries.get();
    let of_service = service.and_then(|service| service.retries.as_ref());
    let Some(retries) = own.or(of_service) else { return };
    let repeats = |method: &str| matches!(method, "POST" | "PATCH");
    let methods = &raw.matches.methods;
    let is_safe = !methods.is_empty() && !methods.iter().any(|method| repeats(method));
    if is_safe || !may_repeat_work(retries) {
        return;
    }
    let rest = "could repeat a POST or PATCH of this route; retry on connect-failure and \
                refused-stream only, or list idempotent methods";
    if own.is_some() {
        problems.report_as(retries.at, &told!("{path}.retries"), told!("these {rest}"));
    } else {
        let message = told!("the retries of `{}` {rest}", raw.service.value);
        problems.report_as(raw.service.at, &told!("{path}.service"), message);
    }
}

fn check_auth(context: &Context<'_>, raw: &RawAuth, path: &str, problems: &mut Problems) -> Auth {
    let RawAuth::Rules(rules) = raw else {
        return Auth::None;
    };
    let path = told!("{path}.auth");
    if rules.any.is_empty() && !problems.any_below("routes[") {
        problems.report_as(rules.at, &path, "name the credentials in `any`, or write `none`");
    }
    check_configured(context, rules, &path, problems);
    let optional = rules.optional.unwrap_or(false);
    if optional && !rules.scopes.is_empty() {
        let message =
            "scopes cannot be asked of callers without a credential: drop `optional` or `scopes`";
        problems.report_as(rules.at, &path, message);
    }
    let mut scopes: Vec<String> = Vec::new();
    for scope in &rules.scopes {
        if !is_scope(scope) {
            problems.report_as(scope.at, &path, "a scope has no spaces, quotes or backslashes");
        } else if scopes.contains(&scope.value) {
            problems.report_as(scope.at, &path, "this scope is there twice");
        }
        scopes.push(scope.value.clone());
    }
    let any = rules.any.iter().map(|credential| match credential {
        RawCredential::Jwt => Credential::Jwt,
        RawCredential::ApiKey => Credential::ApiKey,
        RawCredential::Session => Credential::Session,
    });
    let any: Vec<Credential> = any.collect();
    let token = tokens::check_rules(context, rules, &any, &path, problems);
    let mfa = session::check_mfa(rules, &any, &path, problems);
    Auth::Rules { any, scopes, optional, token, mfa }
}

#[cfg(feature = "messages")]
fn check_login(
    context: &Context<'_>,
    raw: &RawAuth,
    auth: &Auth,
    path: &str,
    problems: &mut Problems,
) -> Option<LoginAt> {
    let (RawAuth::Rules(rules), Auth::Rules { any, .. }) = (raw, auth) else { return None };
    session::check_login_at(context, rules, any, &format!("{path}.auth"), problems)
}

/// A route's answers have headers of their own where browsers show them as pages. Headers that are
/// written for all answers cannot be left out of some: by then what the service said is gone.
#[cfg(feature = "messages")]
fn check_security_headers(
    raw: &RawRoute,
    path: &str,
    problems: &mut Problems,
) -> Option<SecurityHeaders> {
    let profile = raw.security_headers.get().copied()?;
    if profile == SecurityHeaders::None {
        let message = "`none` is for all routes or for none of them: the services' own headers are \
                       gone where the document's are written. Say it at the top of the document, or \
                       say `api` or `web` here";
        problems.report_as(raw.at, &format!("{path}.security_headers"), message);
    }
    Some(profile)
}

fn check_configured(
    context: &Context<'_>,
    rules: &RawAuthRules,
    path: &str,
    problems: &mut Problems,
) {
    let credentials = context.raw.credentials.as_ref();
    for credential in &rules.any {
        let configured = credentials.is_some_and(|credentials| match credential {
            RawCredential::Jwt => credentials.jwt.is_some(),
            RawCredential::ApiKey => credentials.api_key.is_some(),
            RawCredential::Session => credentials.session.is_some(),
        });
        if !configured {
            let name = credential.as_str();
            let message = told!("`{name}` is asked for, but `credentials.{name}` is missing");
            problems.report_as(rules.at, path, message);
        }
    }
}

fn check_transforms(
    context: &Context<'_>,
    raw: &RawRoute,
    path: &str,
    problems: &mut Problems,
) -> Transform {
    let path = told!("{path}.transform");
    let mut joined = Transform::default();
    for name in &raw.transform {
        let Some((_, rules)) = context.transforms.iter().find(|(known, _)| *known == name.value)
        else {
            if !context.raw.transforms.has(name) {
                report_dangling(
                    "transform",
                    name,
                    &context.raw.transforms.names(),
                    &path,
                    problems,
                );
            }
            continue;
        };
        for (to, from) in
            [(&mut joined.request, &rules.request), (&mut joined.response, &rules.response)]
        {
            let twice = from.set.iter().any(|(name, _)| to.set.iter().any(|(set, _)| set == name));
            if twice {
                let message =
                    told!("`{}` sets a header that another rule here sets too", name.value);
                problems.report_as(name.at, &path, message);
            }
            to.set.extend(from.set.iter().cloned());
            to.remove.extend(from.remove.iter().cloned());
        }
    }
    joined
}

pub(super) fn report_dangling(
    what: &str,
    name: &Text,
    known: &[&str],
    path: &str,
    problems: &mut Problems,
) {
    let hint = || match closest(name, known) {
        Some(known) => format!("; did you mean `{known}`?"),
        None if known.is_empty() => format!("; the document has no {what}s"),
        None => format!("; there are {}", known.join(", ")),
    };
    problems.report_as(name.at, path, told!("there is no {what} `{}`{}", name.value, hint()));
}
