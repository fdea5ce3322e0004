//! Random documents, without problems by the way they are put together.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::explain_property::requests::{API_KEY, ISSUERS, JWKS};

/// Paths of routes, none of which hides another.
const PATHS: [&str; 5] = ["/a/{id}", "/a/{rest=**}", "/a/x:y", "/b", "/c/{rest=**}"];

/// Who is taken inside, for routes that ask.
const PEERS: [&[&str]; 3] =
    [&["web"], &["front"], &["front", "spiffe://cluster.local/ns/shop/sa/*"]];
/// Headers that choose a version: one that callers write, and one that they cannot.
const PICKS: [(&str, &str); 3] =
    [("x-odd", "1"), ("x-postern-subject", "alice"), ("x-postern-subject", "root")];

/// What callers get while a circuit is open.
const FALLBACKS: [&str; 4] = [
    r#"{"answer": {"status": 204}}"#,
    r#"{"service": "spare"}"#,
    r#"{"shadow": true}"#,
    // Nothing is kept of a service that nobody has asked.
    r#"{"stale": {"private": true}}"#,
];

#[derive(Debug, Clone)]
pub struct DocumentSpec {
    routes: Vec<RouteSpec>,
    /// Cookie, query and `x-token`, beside `authorization`.
    places: [bool; 3],
    authorization_last: bool,
    dpop: bool,
    certificate: bool,
    matrix: bool,
    failures_allow: bool,
    /// `when_stale`, where there is `revocation`.
    revocation: Option<bool>,
    /// `when_store_fails` of the exact limit.
    store_fails: &'static str,
    required: bool,
    /// People log in, and the first issuer is the suite itself.
    session: bool,
}

#[derive(Debug, Clone)]
struct RouteSpec {
    only_get: bool,
    /// Its service has a circuit.
    guarded: bool,
    /// What callers get while that is open: the refusal, or one of [`FALLBACKS`].
    fallback: Option<usize>,
    /// A workload guards its service, and then it has no circuit.
    inside: bool,
    /// Whose calls it takes: anybody's, or one of [`PEERS`].
    peers: Option<usize>,
    /// A header that chooses a version: none, or one of [`PICKS`].
    pick: Option<usize>,
    ext_authz: bool,
    auth: Option<AuthSpec>,
    local: bool,
    exact: bool,
    enforce: &'static str,
}

#[derive(Debug, Clone)]
struct AuthSpec {
    jwt: bool,
    api_key: bool,
    scopes: usize,
    optional: bool,
    issuers: bool,
    audiences: bool,
    claims: bool,
    /// None, by key, by certificate.
    proof: u8,
    session: bool,
    /// None, at any time, a moment ago.
    mfa: u8,
    login: bool,
}

fn auth() -> impl Strategy<Value = AuthSpec> {
    let rarely = || prop::bool::weighted(0.15);
    (
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.35),
        0..3_usize,
        prop::bool::weighted(0.25),
        (rarely(), rarely(), rarely()),
        prop_oneof![8 => Just(0_u8), 1 => Just(1), 1 => Just(2)],
        (
            prop::bool::weighted(0.75),
            prop_oneof![4 => Just(0_u8), 1 => Just(1), 3 => Just(2)],
            any::<bool>(),
        ),
    )
        .prop_map(|(jwt, api_key, scopes, optional, rarely, proof, (session, mfa, login))| {
            let (issuers, audiences, claims) = rarely;
            AuthSpec {
                jwt,
                api_key,
                scopes,
                optional,
                issuers,
                audiences,
                claims,
                proof,
                session,
                mfa,
                login,
            }
        })
}

fn route() -> impl Strategy<Value = RouteSpec> {
    let enforce = prop_oneof![7 => Just("100%"), 1 => Just("50%"), 1 => Just("shadow")];
    let peers = prop::option::weighted(0.5, 0..PEERS.len());
    let pick = prop::option::weighted(0.4, 0..PICKS.len());
    let fallback = prop::option::weighted(0.6, 0..FALLBACKS.len());
    (
        prop::bool::weighted(0.2),
        (prop::bool::weighted(0.25), fallback),
        (prop::bool::weighted(0.3), peers, pick),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.85, auth()),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
        enforce,
    )
        .prop_map(
            |(only_get, circuit, (inside, peers, pick), ext_authz, auth, local, exact, enforce)| {
                let (guarded, fallback) = circuit;
                RouteSpec {
                    only_get,
                    guarded,
                    fallback,
                    inside,
                    peers,
                    pick,
                    ext_authz,
                    auth,
                    local,
                    exact,
                    enforce,
                }
            },
        )
}

pub fn document() -> impl Strategy<Value = DocumentSpec> {
    let rarely = || prop::bool::weighted(0.2);
    (
        prop::collection::vec(route(), PATHS.len()),
        (any::<[bool; 3]>(), rarely()),
        (any::<bool>(), any::<bool>(), rarely()),
        any::<bool>(),
        prop::option::weighted(0.15, any::<bool>()),
        prop::sample::select(vec!["allow", "deny", "local_share"]),
        (rarely(), any::<bool>()),
    )
        .prop_map(|(routes, places, bound, failures_allow, revocation, store_fails, more)| {
            let (required, session) = more;
            DocumentSpec {
                routes,
                places: places.0,
                authorization_last: places.1,
                dpop: bound.0,
                certificate: bound.1,
                matrix: bound.2,
                failures_allow,
                revocation,
                store_fails,
                required,
                session,
            }
        })
}

impl DocumentSpec {
    pub fn to_json(&self) -> String {
        // Nobody but the server can check API keys and proofs, so documents that have any may not
        // go on without it.
        let is_asked = |auth: &AuthSpec| {
            auth.api_key || auth.proof > 0 || (self.session && (auth.session || auth.mfa > 0))
        };
        let asked = self.routes.iter().filter_map(|route| route.auth.as_ref()).any(is_asked);
        let goes_on = self.failures_allow && !asked && !self.dpop && !self.certificate;
        let answer = if goes_on { "allow" } else { "deny" };
        let mut document = json!({
            "version": 1,
            "workloads": {
                "front": {"gateway": true, "namespace": "ingress", "labels": {"app": "front"},
                          "service_account": "front"},
                "web": {"namespace": "shop", "labels": {"app": "web"}, "service_account": "web"},
                "inside": {"namespace": "shop", "labels": {"app": "inside"},
                           "service_account": "inside", "ports": [1]},
            },
            "services": {
                "plain": {"upstream": "h:1", "versions": {"one": {"labels": {"v": "1"}},
                                                          "two": {"labels": {"v": "2"}}}},
                "guarded": {"upstream": "h:1", "circuit": {"failures": 1, "recovery": "10s"}},
                "spare": {"upstream": "h:1"},
                "inside": {"upstream": "inside:1", "workload": "inside", "guard": "workload"},
            },
            // `ext_proc` is not in this chain.
            "failures": {"ext_authz": answer, "ext_proc": "allow"},
            "credentials": {"jwt": self.jwt(), "api_key": {"keys": [API_KEY.to_json()]}},
            "limits": {
                "here": {"key": ["ip"], "mode": "local", "rate": "1/1h"},
                "there": {"key": ["ip"], "mode": "exact", "rate": "1/1h",
                          "when_store_fails": self.store_fails},
                // Inside, all have the gateway's address.
                "within": {"key": ["method"], "mode": "local", "rate": "1/1h"},
                "beyond": {"key": ["method"], "mode": "exact", "rate": "1/1h",
                           "when_store_fails": self.store_fails},
            },
            "routes": self.routes(),
        });
        if self.session {
            document["issuer"] = json!(ISSUERS[0]);
            document["oauth"] = json!({});
            document["login"] = json!({"roles": {"user": {}}});
            document["credentials"]["session"] = json!({});
        }
        if self.matrix {
            document["matrix_parameters"] = json!("allow");
            // Then what stands in may be cut off as well.
            document["services"]["spare"]["circuit"] = json!({"failures": 1, "recovery": "10s"});
        }
        if let Some(allow) = self.revocation {
            let when_stale = if allow { "allow" } else { "deny" };
            document["revocation"] = json!({"max_staleness": "10s", "when_stale": when_stale});
        }
        document.to_string()
    }

    fn jwt(&self) -> Value {
        let [cookie, query, header] = self.places;
        let others = [
            (cookie, json!({"cookie": "at"})),
            (query, json!({"query": "at"})),
            (header, json!({"header": "x-token"})),
        ];
        let mut from = vec![json!({"header": "authorization"})];
        from.extend(others.into_iter().filter(|(there, _)| *there).map(|(_, place)| place));
        if self.authorization_last {
            from.rotate_left(1);
        }
        let mut strict = json!({
            "issuer": ISSUERS[0], "audiences": ["gate"], "jwks": {"inline": JWKS},
            "claim_headers": {"x-tenant": "tenant"},
        });
        if self.required {
            strict["required_claims"] = json!(["tenant"]);
        }
        let issuers = [
            strict,
            json!({"issuer": ISSUERS[1], "audiences": ["gate", "other"], "jwks": {"inline": JWKS}}),
        ];
        let mut jwt = json!({"from": from, "issuers": issuers});
        let mut bound = json!({});
        if self.dpop {
            bound["dpop"] = json!({});
        }
        if self.certificate {
            bound["certificate"] = json!("forwarded");
        }
        if self.dpop || self.certificate {
            jwt["bound"] = bound;
        }
        jwt
    }

    fn routes(&self) -> Vec<Value> {
        let keep = |name: &str, service: &str, limits: [&str; 2]| {
            let mut value = json!({"name": name, "match": {"path": format!("/{name}")},
                                   "service": service, "auth": "none", "limits": limits});
            if service == "plain" {
                value["split"] = json!({"one": 100, "two": 0});
            }
            value
        };
        let routes = self.routes.iter().zip(PATHS).enumerate();
        let routes = routes.map(|(at, (route, path))| self.route(at, route, path));
        // What no route used would be a problem.
        let kept = [
            keep("keep", "plain", ["here", "there"]),
            keep("kept", "guarded", ["here", "there"]),
            keep("held", "inside", ["within", "beyond"]),
        ];
        routes.chain(kept).collect()
    }

    fn route(&self, at: usize, route: &RouteSpec, path: &str) -> Value {
        // Whose certificate it was, and by which id a share is drawn, nobody knows inside.
        let takes_tokens = route.auth.as_ref().is_some_and(|auth| auth.jwt || !auth.api_key);
        let inside = route.inside && !(self.certificate && takes_tokens) && route.enforce != "50%";
        let mut matches = json!({"path": path});
        if route.only_get {
            matches["methods"] = json!(["GET"]);
        }
        // A proof names the URL outside, so nobody inside may have to judge one.
        let may_ask = !(inside && self.dpop);
        let (local, exact) = if inside { ("within", "beyond") } else { ("here", "there") };
        let limits = [(route.local, local), (route.exact && may_ask, exact)];
        let limits: Vec<&str> =
            limits.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let service = match (inside, route.guarded) {
            (true, _) => "inside",
            (false, true) => "guarded",
            (false, false) => "plain",
        };
        let mut value = json!({
            "name": format!("r{at}"),
            "match": matches,
            "service": service,
            "auth": self.auth(route.auth.as_ref(), inside, may_ask),
            "limits": limits,
            "enforce": route.enforce,
        });
        if route.ext_authz && may_ask {
            value["ext_authz"] = json!(true);
        }
        if let (true, Some(peers)) = (inside, route.peers) {
            value["peers"] = json!(PEERS[peers]);
        }
        if let ("guarded", Some(fallback)) = (service, route.fallback) {
            value["fallback"] = serde_json::from_str(FALLBACKS[fallback]).unwrap();
        }
        if service == "plain" {
            value["split"] = json!({"one": 100, "two": 0});
            if let Some((header, wanted)) = route.pick.map(|pick| PICKS[pick]) {
                value["canary"] = json!([{"header": header, "value": wanted, "version": "two"}]);
            }
        }
        value
    }

    /// `may_ask`: whether the server may be needed for tokens.
    fn auth(&self, auth: Option<&AuthSpec>, inside: bool, may_ask: bool) -> Value {
        let Some(auth) = auth else { return json!("none") };
        // The edge takes the cookie away, and beside a workload nobody would see one.
        let session = auth.session && self.session && !inside;
        let api_key = auth.api_key && (may_ask || !auth.jwt);
        let jwt = auth.jwt || !(api_key || session);
        let kinds = [(jwt, "jwt"), (api_key, "api_key"), (session, "session")];
        let any: Vec<&str> = kinds.iter().filter(|(on, _)| *on).map(|(_, kind)| *kind).collect();
        let mut value = json!({"any": any});
        if auth.optional {
            value["optional"] = json!(true);
        } else if auth.scopes > 0 {
            value["scopes"] = json!(["read", "write"].get(..auth.scopes).unwrap_or_default());
        }
        if session && auth.login && !auth.optional {
            value["login"] = json!(true);
        }
        if self.session && !api_key && !auth.optional && may_ask {
            match auth.mfa {
                1 => value["mfa"] = json!("required"),
                2 => value["mfa"] = json!("within 15m"),
                _ => {}
            }
        }
        if !jwt {
            return value;
        }
        if auth.issuers {
            value["issuers"] = json!([ISSUERS[0]]);
        }
        if auth.audiences {
            value["audiences"] = json!(["gate"]);
        }
        if auth.claims {
            value["claims"] = json!({"tenant": ["blue"]});
        }
        match auth.proof {
            1 if self.dpop && may_ask => value["proof"] = json!("dpop"),
            2 if self.certificate => value["proof"] = json!("certificate"),
            _ => {}
        }
        value
    }
}
