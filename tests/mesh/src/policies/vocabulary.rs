//! What generated policies ask and generated requests are: few words, so that they meet.

use serde_json::{Value, json};

/// What a policy can ask about, where it asks, and values that it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) place: Place,
    /// The field, or the key of a condition.
    pub(super) name: &'static str,
    /// The field that negates it; of conditions it is always the same.
    not: &'static str,
    pub(super) values: &'static [&'static str],
    /// Who asks: CUSTOM policies do not know callers and tokens.
    pub(super) of_custom: bool,
}

/// Where a policy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    From,
    To,
    When,
}

impl Question {
    /// An item of `from`, `to` or `when` that asks for these values, or for none of them.
    pub(super) fn ask(&self, values: &[&str], negated: bool) -> Value {
        let field = if negated { self.not } else { self.name };
        match self.place {
            Place::From => json!({"source": {field: values}}),
            Place::To => json!({"operation": {field: values}}),
            Place::When if negated => json!({"key": self.name, "notValues": values}),
            Place::When => json!({"key": self.name, "values": values}),
        }
    }
}

const fn from(
    name: &'static str,
    not: &'static str,
    values: &'static [&'static str],
    of_custom: bool,
) -> Question {
    Question { place: Place::From, name, not, values, of_custom }
}

const fn to(name: &'static str, not: &'static str, values: &'static [&'static str]) -> Question {
    Question { place: Place::To, name, not, values, of_custom: true }
}

const fn when(name: &'static str, values: &'static [&'static str], of_custom: bool) -> Question {
    Question { place: Place::When, name, not: "", values, of_custom }
}

const PRINCIPALS: &[&str] = &[
    "*",
    "cluster.local/ns/shop/sa/web",
    "cluster.local/ns/shop/*",
    "*/sa/stranger",
    "old.example/ns/shop/sa/web",
    "cluster.local/ns/$HOME/sa/neighbour",
];
const SUBJECTS: &[&str] = &[
    "*",
    "https://issuer.example.test/alice",
    "https://issuer.example.test/*",
    "*/bob",
    "*alice",
    "https://other.example.test/b*",
];
const NAMESPACES: &[&str] = &["shop", "sh*", "*", "istio-system", "$HOME", "*where"];
const ACCOUNTS: &[&str] = &[
    "neighbour",
    "shop/web",
    "istio-system/istio-ingressgateway-service-account",
    "elsewhere/stranger",
];
const TRUST_DOMAINS: &[&str] = &["cluster.local", "cluster.*", "*", "old.example", "new.example"];
const SOURCES: &[&str] = &["127.0.0.1", "127.0.0.0/8", "127.0.0.9/32", "10.0.0.0/8", "::/0"];
const CLIENTS: &[&str] = &["203.0.113.0/24", "127.0.0.1", "198.51.100.7", "2001:db8::/32"];
const PORTS: &[&str] = &["8080", "8081", "9090"];

/// Everything that a policy can ask.
pub(super) const QUESTIONS: &[Question] = &[
    from("principals", "notPrincipals", PRINCIPALS, false),
    from("requestPrincipals", "notRequestPrincipals", SUBJECTS, false),
    from("namespaces", "notNamespaces", NAMESPACES, false),
    from("serviceAccounts", "notServiceAccounts", ACCOUNTS, false),
    from("trustDomains", "notTrustDomains", TRUST_DOMAINS, false),
    from("ipBlocks", "notIpBlocks", SOURCES, true),
    from("remoteIpBlocks", "notRemoteIpBlocks", CLIENTS, true),
    to(
        "hosts",
        "notHosts",
        &["guarded.example.test", "Guarded.Example.test:*", "*.example.test", "*", "api.test:8443"],
    ),
    to("ports", "notPorts", PORTS),
    to("methods", "notMethods", &["GET", "POST", "P*", "*", "*E"]),
    to(
        "paths",
        "notPaths",
        &["/", "/a", "/a*", "*.html", "*", "/a/b", "/api/{*}/users", "/api/{**}", "/{*}/b"],
    ),
    when("source.ip", SOURCES, true),
    when("remote.ip", CLIENTS, true),
    when("source.namespace", NAMESPACES, false),
    when("source.principal", PRINCIPALS, false),
    when("source.serviceAccount", ACCOUNTS, false),
    when("source.trustDomain", TRUST_DOMAINS, false),
    when("request.auth.principal", SUBJECTS, false),
    when("request.auth.audiences", &["gateway", "api", "*", "we*"], false),
    when("request.auth.presenter", &["app", "*li", "*"], false),
    when("destination.ip", &["127.64.0.0/10", "10.0.0.0/8", "0.0.0.0/0"], true),
    when("destination.port", PORTS, true),
    when("connection.sni", &["guarded.example.test", "*.example.test", "*", "other*"], true),
    when("request.headers[x-a]", &["one", "two", "on*", "*wo", "*"], true),
    when("request.auth.claims[groups]", &["staff", "admin", "st*", "*"], false),
    when("request.auth.claims[scope]", &["read", "write", "read write", "*"], false),
    when("request.auth.claims[nested][role]", &["owner", "own*", "*"], false),
];

/// Templates of paths, which are few among all that paths can be.
pub(super) const TEMPLATES: &[&str] = &["/a/{*}", "/a/{**}", "/{*}/v1/{**}", "/api/{**}/users"];

pub(super) const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/ab",
    "/A",
    "/a?x=/b",
    "//a//b",
    "/x.html",
    "/a/x.html?y",
    "/api/v1/users",
    "/api/v1/users/7",
    "/api/",
    "/x/b",
    "/a%2Fb",
    "/b;c=d",
];
pub(super) const METHODS: &[&str] = &["GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS"];
pub(super) const HOSTS: &[&str] = &[
    "guarded.example.test",
    "guarded.example.test",
    "guarded.example.test",
    "GUARDED.example.test",
    "guarded.example.test:8443",
    "api.test:8443",
];
/// Lines of headers, of which a request has none, or one of these.
pub(super) const HEADERS: &[&[&str]] = &[
    &["x-a: one"],
    &["x-a: two"],
    &["x-a: one", "x-a: two"],
    &["x-a: two", "x-a: three"],
    &["x-a:"],
    &["x-b: one"],
    &["x-forwarded-for: 203.0.113.9"],
    &["x-forwarded-for: 203.0.113.9, 198.51.100.7"],
    &["x-forwarded-for: 2001:db8::7"],
];
