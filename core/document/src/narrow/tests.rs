use std::collections::BTreeSet;

use postern_request::json::{self, Value};
use postern_request::principal::{Credential, Principal};
use proptest::prelude::*;

use crate::{Auth, Document, from_json};

/// Everything that filters have no use for.
const TRAFFIC: &str = r#"{"version": 1,
    "workloads": {
        "edge": {"gateway": true, "namespace": "istio-system", "labels": {"istio": "in"},
                 "service_account": "in"},
        "pay": {"namespace": "shop", "labels": {"app": "pay"}, "service_account": "pay",
                "ports": [8080, 8081]}},
    "mesh": {"trust_domain": "mesh.test", "root_namespace": "root"},
    "rate_limit_filter": {"domain": "shop", "on_failure": "deny"},
    "discovery": {"registry": "consul", "consul": {"address": "http://127.0.0.1:8500"}},
    "services": {
        "far": {"endpoints": [{"address": "::1", "port": 8080, "labels": {"v": "1"}},
                              {"address": "10.0.0.7", "port": 8081}],
                "versions": {"one": {"labels": {"v": "1"}}},
                "hash": {"source_ip": true}, "outlier_detection": {"consecutive_5xx": 5},
                "health": {"tcp": true}, "zones": {"prefer": "any"},
                "pool": {"idle_timeout": "5s"}, "bulkheads": {"slow": {"max_pending": 5}},
                "retries": {"attempts": 2, "on": ["connect-failure"], "per_try_timeout": "1s",
                            "backoff": "50ms"},
                "workload": "pay", "guard": "workload"},
        "near": {"upstream": "h:1", "retries": {"attempts": 2, "on": ["gateway-error"]}},
        "told": {"discover": {"registry": "told"}}},
    "routes": [
        {"name": "far", "match": {"path": "/far"}, "service": "far", "auth": "none",
         "peers": ["edge", "spiffe://mesh.test/ns/ops/sa/*"],
         "retries": {"attempts": 2, "on": ["connect-failure"]}, "split": {"one": 100},
         "canary": [{"header": "x-a", "value": {"prefix": "b"}, "version": "one"}],
         "bulkhead": "slow", "fault": {"abort": {"share": "0.1%", "status": 503}},
         "descriptors": [[{"route": true}]]},
        {"name": "near", "match": {"path": "/near"}, "service": "near", "auth": "none",
         "retries": {"attempts": 1}}]}"#;

fn load(text: &str) -> Document {
    from_json(text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                into.insert(name.clone());
                keys(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, into)),
        _ => {}
    }
}

#[test]
fn filters_get_nothing_of_how_requests_reach_services() {
    let document = load(TRAFFIC);
    for config in [document.filter_config(), document.filter_config_for("pay")] {
        let mut found = BTreeSet::new();
        keys(&json::parse(config.as_bytes()).unwrap(), &mut found);
        for gone in [
            "workloads",
            "mesh",
            "rate_limit_filter",
            "discovery",
            "endpoints",
            "discover",
            "versions",
            "hash",
            "outlier_detection",
            "health",
            "zones",
            "pool",
            "bulkheads",
            "workload",
            "guard",
            "retries",
            "split",
            "canary",
            "bulkhead",
            "fault",
            "descriptors",
        ] {
            assert!(!found.contains(gone), "{gone} in {config}");
        }
        let of_filter = load(&config);
        assert_eq!(of_filter.digest, document.digest);
    }
}

#[test]
fn filters_get_an_address_and_ids() {
    let document = load(TRAFFIC);
    let of_filter = load(&document.filter_config_for("pay"));
    let service = &of_filter.services[0];
    assert_eq!((service.host.as_str(), service.port), ("::1", 8080));
    let peers: Vec<String> = of_filter.routes[0].peers.iter().map(ToString::to_string).collect();
    let edge = "spiffe://mesh.test/ns/istio-system/sa/in";
    assert_eq!(peers, [edge, "spiffe://mesh.test/ns/ops/sa/*"]);
}

#[test]
fn the_digest_is_of_all_fields_and_only_those_that_are_there() {
    let with = |more: &str| {
        let text = format!(
            r#"{{"version": 1, "services": {{"s": {{"upstream": "h:1"{more}}}}}, "routes": [
                {{"name": "r", "match": {{"path": "/r"}}, "service": "s", "auth": "none"}}]}}"#
        );
        load(&text)
    };
    let plain = with("");
    let pooled = with(r#", "pool": {"idle_timeout": "5s"}"#);
    assert_ne!(plain.digest, pooled.digest);
    let body = |document: &Document| document.filter_config().replace(&document.digest, "");
    assert_eq!(body(&plain), body(&pooled));
    // As releases have it that know none of these fields.
    assert!(plain.to_json().contains(r#""services":{"s":{"upstream":"h:1"}}"#));
    assert_eq!(load(&pooled.to_json()).services, pooled.services);
}

/// What only the server needs, beside what filters read of it.
const IDENTITY: &str = r#"{"version": 1, "issuer": "https://login.shop.test",
    "credentials": {"session": {}},
    "oauth": {"mutual_tls": "forwarded"},
    "login": {"roles": {"user": {"scopes": ["openid"]}}, "session": {"cookie_domain": "shop.test"}},
    "services": {"web": {"upstream": "h:1"}},
    "routes": [
        {"name": "login", "match": {"path": "/login"}, "service": "postern", "auth": "none",
         "security_headers": "web"},
        {"name": "web", "match": {"path": "/web"}, "service": "web",
         "auth": {"any": ["session"], "mfa": "within 15m", "login": true}}]}"#;

#[test]
fn filters_get_the_cookie_and_nothing_of_log_in() {
    let document = load(IDENTITY);
    let config = document.filter_config();
    let mut found = BTreeSet::new();
    keys(&json::parse(config.as_bytes()).unwrap(), &mut found);
    for gone in ["oauth", "login", "security_headers", "cookie_domain", "roles"] {
        assert!(!found.contains(gone), "{gone} in {config}");
    }
    let of_filter = load(&config);
    assert_eq!(of_filter.digest, document.digest);
    assert_eq!(of_filter.session, document.session);
    assert_eq!(of_filter.session.unwrap().name, "__Secure-postern");
    let (whole, part) = (&document.routes[1], &of_filter.routes[1]);
    assert_eq!(whole.auth, part.auth);
    assert!(whole.login().is_some() && part.login().is_none());
    assert!(part.needs_ext_authz());
}

const GUARDED: &str = r#"{"version": 1, "issuer": "https://own.test",
    "credentials": {"jwt": {"issuers": [{"issuer": "https://own.test", "audiences": ["a"],
        "jwks": {"service": "keys"}, "claim_headers": {"x-tenant": "tenant"}}]}, "api_key": {}},
    "workloads": {
        "edge": {"gateway": true, "namespace": "in", "labels": {"a": "b"}, "service_account": "i"},
        "pay": {"namespace": "shop", "labels": {"app": "pay"}, "service_account": "pay",
                "ports": [8080]},
        "idle": {"namespace": "shop", "labels": {"app": "idle"}, "service_account": "idle"}},
    "services": {
        "keys": {"upstream": "keys:1"},
        "near": {"upstream": "near:1"},
        "pay": {"upstream": "pay:8080", "circuit": {"failures": 3}, "workload": "pay",
                "guard": "workload"}},
    "limits": {
        "each": {"key": ["claim.sub"], "mode": "exact", "rate": "5/1m"},
        "open": {"key": ["ip"], "mode": "local", "rate": "5/1m"},
        "spare": {"key": ["ip"], "mode": "local", "rate": "5/1m"}},
    "transforms": {"stamp": {"request": {"set": {"x-a": "b"}}},
                   "spare": {"request": {"set": {"x-c": "d"}}}},
    "routes": [
        {"name": "near", "match": {"path": "/near"}, "service": "near", "auth": "none",
         "limits": ["open"]},
        {"name": "pay", "match": {"path": "/pay"}, "service": "pay",
         "auth": {"any": ["jwt", "api_key"]}, "limits": ["each"], "transform": ["stamp"],
         "enforce": "shadow", "ext_authz": true, "peers": ["edge"]}]}"#;

fn names<'a, T>(named: &'a [T], name: impl Fn(&'a T) -> &'a str) -> Vec<&'a str> {
    named.iter().map(name).collect()
}

#[test]
fn the_edge_leaves_to_workloads_what_they_enforce() {
    let whole = load(GUARDED);
    for place in ["edge", "no-such-workload"] {
        assert_eq!(whole.filter_config_for(place), whole.filter_config());
    }
    let edge = load(&whole.filter_config());
    assert_eq!(names(&edge.routes, |route| &route.name), ["near", "pay"]);
    assert_eq!(names(&edge.limits, |limit| &limit.name), ["open"]);
    assert_eq!(edge.issuers.len(), 1, "their claims' headers are still taken away");
    let pay = &edge.routes[1];
    assert_eq!((&pay.auth, pay.peers.len(), pay.enforce.percent()), (&Auth::None, 0, 100));
    assert!(!pay.needs_ext_authz() && !pay.needs_ext_proc());
    assert!(!pay.transform.request.is_empty(), "what is written stays written");
    assert_eq!(edge.routes[0].local_limits, whole.routes[0].local_limits, "its own stay whole");
}

#[test]
fn a_workload_has_its_own_routes_whole() {
    let whole = load(GUARDED);
    let pay = load(&whole.filter_config_for("pay"));
    assert_eq!(names(&pay.routes, |route| &route.name), ["pay"]);
    assert_eq!(names(&pay.limits, |limit| &limit.name), ["each"]);
    assert_eq!(names(&pay.services, |service| &service.name), ["keys", "pay"]);
    let (of_whole, of_filter) = (&whole.routes[1], &pay.routes[0]);
    assert_eq!(of_whole.auth, of_filter.auth);
    assert_eq!(of_whole.exact_limits, of_filter.exact_limits);
    assert_eq!((of_whole.enforce, &of_whole.peers), (of_filter.enforce, &of_filter.peers));
    assert_eq!(of_whole.circuit(), of_filter.circuit());
    assert!(of_filter.needs_ext_authz() && pay.needs_feed() && !pay.relies_on_feed());
    // A workload that enforces nothing gets no plugin, and there is no document for one.
    assert!(from_json(whole.filter_config_for("idle").as_bytes()).is_err());
}

#[test]
fn filters_know_what_callers_get_of_an_open_circuit_where_it_is_theirs() {
    let spare = GUARDED
        .replace(
            r#""near": {"upstream": "near:1"}"#,
            r#""near": {"upstream": "near:1", "circuit": {}},
        "spare": {"upstream": "spare:1"}, "idle": {"upstream": "idle:1"}"#,
        )
        .replace(r#""service": "near","#, r#""service": "near", "fallback": {"service": "spare"},"#)
        .replace(r#""service": "pay","#, r#""service": "pay", "fallback": {"stale": {}},"#);
    let whole = load(&spare);
    let edge = load(&whole.filter_config());
    assert_eq!(names(&edge.services, |service| &service.name), ["keys", "near", "spare", "pay"]);
    assert_eq!(edge.routes[0].fallback, whole.routes[0].fallback);
    assert_eq!((edge.routes[1].circuit(), &edge.routes[1].fallback), (None, &None));
    let pay = load(&whole.filter_config_for("pay"));
    assert_eq!(pay.routes[0].fallback, whole.routes[1].fallback);
    assert!(pay.routes[0].fallback.is_some());
}

/// Whether a request passes where a document stands as a whole.
fn passes(document: &Document, path: &str, caller: Option<&Principal>, peer: &str) -> bool {
    let Ok(Some(route)) = document.find_route("h", "GET", path) else {
        return false;
    };
    let is_peer = route.peers.is_empty() || route.peers.iter().any(|known| known.matches(peer));
    is_peer && route.auth.authorize(caller).is_ok()
}

/// A route's path, service and who may call it, all by number.
fn document(routes: &[(usize, usize, usize, bool)]) -> Option<Document> {
    const PATHS: [&str; 5] = ["/a", "/a/{id}", "/a/{rest=**}", "/{rest=**}", "/b"];
    const SERVICES: [&str; 3] = ["edge", "one", "two"];
    const AUTHS: [&str; 4] = [
        r#""none""#,
        r#"{"any": ["jwt"]}"#,
        r#"{"any": ["jwt"], "scopes": ["s"]}"#,
        r#"{"any": ["jwt"], "optional": true}"#,
    ];
    let routes: Vec<String> = routes
        .iter()
        .enumerate()
        .map(|(at, (path, service, auth, peers))| {
            let peers = if *peers && *service > 0 { r#", "peers": ["spiffe://m/in"]"# } else { "" };
            let (path, service, auth) = (PATHS[*path], SERVICES[*service], AUTHS[*auth]);
            format!(
                r#"{{"name": "r{at}", "match": {{"path": "{path}"}}, "service": "{service}",
                     "auth": {auth}{peers}}}"#
            )
        })
        .collect();
    let workload = |name: &str| {
        format!(
            r#""{name}": {{"namespace": "n", "labels": {{"app": "{name}"}}, "service_account": "x",
                "ports": [1]}}"#
        )
    };
    let service = |name: &str| {
        format!(
            r#""{name}": {{"upstream": "{name}:1", "workload": "{name}",
            "guard": "workload"}}"#
        )
    };
    let text = format!(
        r#"{{"version": 1, "workloads": {{{}, {}}},
            "credentials": {{"jwt": {{"issuers": [{{"issuer": "https://a.test",
                "audiences": ["a"]}}]}}}},
            "services": {{"edge": {{"upstream": "e:1"}}, {}, {}}}, "routes": [{}]}}"#,
        workload("one"),
        workload("two"),
        service("one"),
        service("two"),
        routes.join(", ")
    );
    // Routes that hide each other make no document.
    from_json(text.as_bytes()).ok()
}

proptest! {
    /// What the whole document says is what the edge and the workload behind it say together:
    /// nobody comes past one of them to what the other would have refused.
    #[test]
    fn edge_and_workload_together_are_the_whole_document(
        routes in proptest::collection::vec((0..5_usize, 0..3_usize, 0..4_usize, any::<bool>()), 1..5),
        path in "/(a|b|c)(/(a|x)){0,2}",
        scopes in proptest::option::of(proptest::option::of(Just("s"))),
        peer in prop_oneof![Just("spiffe://m/in"), Just("spiffe://m/other"), Just("")],
    ) {
        let Some(whole) = document(&routes) else { return Ok(()) };
        let caller = scopes.map(|scope| Principal {
            subject: "alice".to_owned(),
            scopes: scope.into_iter().map(str::to_owned).collect(),
            credential: Credential::Jwt,
            ..Principal::default()
        });
        let edge = from_json(whole.filter_config().as_bytes()).unwrap();
        let mut through = passes(&edge, &path, caller.as_ref(), peer);
        let route = whole.find_route("h", "GET", &path).ok().flatten();
        if let Some(workload) = route.and_then(|route| route.guarded_by()) {
            let config = whole.filter_config_for(&workload.name);
            let beside = from_json(config.as_bytes()).unwrap();
            through &= passes(&beside, &path, caller.as_ref(), peer);
        }
        prop_assert_eq!(through, passes(&whole, &path, caller.as_ref(), peer));
    }
}
