//! The changes, by the way that each of them is.

use super::{Edit, edit};

/// What lets more through, and nothing less.
pub(super) const LOOSER: &[Edit] = &[
    edit("scope", &[], "scopes: [items.read, items.list]", "scopes: [items.read]"),
    edit("auth none", &[], "auth: {any: [api_key], scopes: [items.read]}", "auth: none"),
    edit(
        "optional",
        &[("any: [api_key], scopes: [items.read]}", "any: [api_key]}")],
        "any: [api_key]}",
        "any: [api_key], optional: true}",
    ),
    edit(
        "another credential",
        &[],
        "{any: [jwt], scopes: [items.write]",
        "{any: [jwt, api_key], scopes: [items.write]",
    ),
    edit("proof", &[], "scopes: [items.write], proof: dpop", "scopes: [items.write]"),
    edit(
        "issuer of the document",
        &[],
        "    - issuer: https://two",
        "    - issuer: https://three.example.test\n      audiences: [shop]\n      jwks: {uri: 'https://three.example.test/jwks'}\n    - issuer: https://two",
    ),
    edit(
        "issuer of the route",
        &[],
        "issuers: ['https://one.example.test']",
        "issuers: ['https://one.example.test', 'https://two.example.test']",
    ),
    edit("any issuer", &[], "issuers: ['https://one.example.test'], ", ""),
    edit(
        "audience of the issuer",
        &[],
        "audiences: [shop]\n      leeway",
        "audiences: [shop, other]\n      leeway",
    ),
    edit("audience of the route", &[], "audiences: [items]", "audiences: [items, other]"),
    edit("any audience of the route", &[], "audiences: [items], ", ""),
    edit("claim value", &[], "role: [admin]", "role: [admin, user]"),
    edit("claim", &[], "role: [admin], site: [a]", "site: [a]"),
    edit("required claim", &[], "      required_claims: [tenant]\n", ""),
    edit("leeway", &[], "leeway: 30s", "leeway: 5m"),
    edit("header of a claim", &[], "      claim_headers: {x-tenant: tenant}\n", ""),
    edit(
        "key",
        &[],
        r#""11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#""11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"OKP","crv":"Ed25519","kid":"b","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#,
    ),
    edit("keys in clear text", &[], "uri: 'https://one", "uri: 'http://one"),
    edit("refresh", &[], "refresh: 5m", "refresh: 1h"),
    edit("bound certificate", &[], "bound: {dpop", "bound: {certificate: connection, dpop"),
    edit(
        "forwarded certificate",
        &[("bound: {dpop", "bound: {certificate: connection, dpop")],
        "bound: {certificate: connection",
        "bound: {certificate: forwarded",
    ),
    edit("age of proofs", &[], "max_age: 60s", "max_age: 5m"),
    edit(
        "place query",
        &[],
        "from: [{header: authorization}]",
        "from: [{header: authorization}, {query: access_token}]",
    ),
    edit(
        "place cookie",
        &[],
        "from: [{header: authorization}]",
        "from: [{header: authorization}, {cookie: session}]",
    ),
    edit(
        "API key",
        &[],
        "    - {id: k1",
        "    - {id: k2, sha256: '0b00000000000000000000000000000000000000000000000000000000000002', subject: two}\n    - {id: k1",
    ),
    edit(
        "scope of an API key",
        &[],
        "subject: one, scopes: [items.read]",
        "subject: one, scopes: [items.read, items.write]",
    ),
    edit("tier of an API key", &[], "subject: one, scopes", "subject: one, tier: premium, scopes"),
    edit("method", &[], "methods: [POST]", "methods: [POST, DELETE]"),
    edit("any method", &[], "methods: [POST], ", ""),
    edit(
        "host",
        &[],
        "methods: [POST], hosts: [api.example.test]",
        "methods: [POST], hosts: [api.example.test, other.example.test]",
    ),
    edit(
        "hosts below",
        &[],
        "methods: [POST], hosts: [api.example.test]",
        "methods: [POST], hosts: [api.example.test, '*.example.test']",
    ),
    edit("any host", &[], "methods: [POST], hosts: [api.example.test]", "methods: [POST]"),
    edit(
        "route",
        &[],
        "- name: keyed",
        "- name: more\n  match: {path: /more}\n  service: shop\n  auth: {any: [jwt]}\n  limits: [per-user]\n- name: keyed",
    ),
    edit(
        "route below",
        &[],
        "- name: keyed",
        "- name: below\n  match: {path: /items/public, methods: [GET], hosts: [api.example.test]}\n  service: shop\n  auth: none\n  limits: [per-ip, {limit: all, weight: 5}]\n  enforce: 50%\n- name: keyed",
    ),
    edit(
        "route below without a limit",
        &[],
        "- name: keyed",
        "- name: below\n  match: {path: /items/new, methods: [POST], hosts: [api.example.test]}\n  service: shop\n  auth: {any: [jwt], scopes: [items.write], proof: dpop}\n  limits: [slots]\n- name: keyed",
    ),
    edit("limit away", &[], "limits: [per-user, slots]", "limits: [slots]"),
    edit("more in the same time", &[], "rate: 100/1h", "rate: 200/1h"),
    edit("the same in less time", &[], "rate: 100/1h", "rate: 100/1s"),
    edit("burst", &[], "burst: 50", "burst: 80"),
    edit("unlimited", &[], "rate: 50/1m, when", "rate: unlimited, when"),
    edit("tier", &[], "premium: 100/1m", "premium: 1000/1m"),
    edit("a tier with more", &[], "{premium: 100/1m}", "{gold: 1000/1m, premium: 100/1m}"),
    edit(
        "a tier that had less",
        &[("tiers: {premium: 100/1m}", "tiers: {premium: 100/1m, slow: 5/1m}")],
        "tiers: {premium: 100/1m, slow: 5/1m}",
        "tiers: {premium: 100/1m}",
    ),
    edit("client", &[], "app: 200/1m", "app: 2000/1m"),
    edit("one more part", &[], "key: [ip], mode: local", "key: [header.x-foo, ip], mode: local"),
    edit("prefix", &[], "ipv6_prefix: 64", "ipv6_prefix: 128"),
    edit("weight", &[], "{limit: all, weight: 5}", "all"),
    edit("skip", &[], "mode: exact, rate: 50/1m", "mode: exact, skip: successful, rate: 50/1m"),
    edit("only counts", &[], "rate: 50/1m, when", "rate: 50/1m, shadow: true, when"),
    edit("in flight", &[], "in_flight: 5", "in_flight: 9"),
    edit("life of a slot", &[], "slot_life: 60s", "slot_life: 5s"),
    edit(
        "exact to local",
        &[],
        "mode: exact, rate: 50/1m, when_store_fails: deny",
        "mode: local, rate: 50/1m",
    ),
    edit(
        "store of a limit",
        &[],
        "rate: 50/1m, when_store_fails: deny",
        "rate: 50/1m, when_store_fails: allow",
    ),
    edit("lent", &[], "outstanding: 10%", "outstanding: 50%"),
    edit("credit", &[], "start: strict", "start: optimistic, allowance: 20"),
    edit(
        "a window with two halves",
        &[("mode: exact, rate: 50/1m", "mode: exact, algorithm: sliding_log, rate: 50/1m")],
        "algorithm: sliding_log, rate: 50/1m",
        "algorithm: sliding_window, rate: 50/1m",
    ),
    edit("enforce", &[], "enforce: 50%", "enforce: 25%"),
    edit("shadow", &[], "enforce: 50%", "enforce: shadow"),
    edit(
        "ext_authz not asked",
        &[("limits: [per-ip, {limit: all, weight: 5}]", "limits: [per-ip]")],
        "  ext_authz: true\n",
        "",
    ),
    edit("header let in", &[], "remove: [x-internal], ", ""),
    edit("header not written", &[], ", set: {x-zone: inner}", ""),
    edit("header let out", &[], ", response: {remove: [x-debug]}", ""),
    edit("failures ext_proc", &[], "ext_proc: deny", "ext_proc: allow"),
    edit("staleness", &[], "max_staleness: 10s", "max_staleness: 5m"),
    edit("when stale", &[], "when_stale: deny", "when_stale: allow"),
    edit("revocation", &[], "revocation: {max_staleness: 10s, when_stale: deny}\n", ""),
    edit("trusted proxies", &[], "trusted_proxies: 1", "trusted_proxies: 2"),
    edit("matrix", &[], "matrix_parameters: refuse", "matrix_parameters: allow"),
    edit("security headers", &[], "security_headers: api", "security_headers: none"),
    edit("replicas", &[], "replicas: 3", "replicas: 2"),
    edit("upstream tls", &[], "tls: true", "tls: false"),
    edit("no bound on time", &[], "timeout: 30s", "timeout: 20m"),
    edit("circuit", &[], "circuit: {failures: 5", "circuit: {failures: 50"),
    edit("no circuit", &[], ", circuit: {failures: 5, recovery: 60s}", ""),
    edit("recovery", &[], "recovery: 60s", "recovery: 5s"),
    edit(
        "longest recovery",
        &[("recovery: 60s", "recovery: 60s, recovery_longest: 10m")],
        "recovery_longest: 10m",
        "recovery_longest: 2m",
    ),
    edit("no ratio", &[("failures: 5,", "failures: 5, ratio: 20%,")], ", ratio: 20%", ""),
    edit("ratio", &[("failures: 5,", "failures: 5, ratio: 20%,")], "ratio: 20%", "ratio: 90%"),
    edit(
        "slower calls",
        &[("failures: 5,", "failures: 5, slow: {over: 1s, share: 80%},")],
        "over: 1s",
        "over: 5s",
    ),
    edit(
        "calls of a circuit",
        &[("failures: 5,", "failures: 5, ratio: 20%, minimum: 10,")],
        "minimum: 10",
        "minimum: 100",
    ),
    edit("reporters", &[], "circuit: {failures: 5", "circuit: {reporters: 3, failures: 5"),
    edit(
        "probes",
        &[],
        "circuit: {failures: 5",
        "circuit: {probes: {per_interval: 9}, failures: 5",
    ),
    edit(
        "statuses that are failures",
        &[],
        "circuit: {failures: 5",
        "circuit: {counts: {statuses: [503]}, failures: 5",
    ),
    edit(
        "an open circuit that only counts",
        &[],
        "  service: slow\n",
        "  service: slow\n  fallback: {shadow: true}\n",
    ),
    edit(
        "another service while a circuit is open",
        &[],
        "  service: slow\n",
        "  service: slow\n  fallback: {service: shop}\n",
    ),
    edit(
        "forwarded client certificate",
        &[],
        "feed:\n",
        "feed:\n  forwarded_client_cert: local_proxy\n",
    ),
    edit(
        "feed peer",
        &[],
        "  peers:\n",
        "  peers:\n  - {name: second, credential_sha256: '0b00000000000000000000000000000000000000000000000000000000000002', workloads: [edge]}\n",
    ),
    edit("workload of a feed peer", &[], "workloads: [edge]}", "workloads: [edge, other]}"),
    edit(
        "header of a claim of one more issuer",
        &[],
        "      audiences: [shop]\n      jwks: {inline",
        "      audiences: [shop]\n      claim_headers: {x-tenant: org}\n      jwks: {inline",
    ),
    edit(
        "endpoints without names",
        &[(
            "upstream: 'slow.shop.svc.cluster.local:8080'",
            "endpoints: [{address: 10.0.0.1, port: 8080, service_account: slow}]",
        )],
        ", service_account: slow}]",
        "}]",
    ),
    edit(
        "owner",
        &[],
        "trusted_proxies: 1",
        "owners: {team: {paths: [/team/], hosts: [a.example.test]}}\ntrusted_proxies: 1",
    ),
    edit("hosts of an owner", OWNER, "hosts: [a.example.test]}}", "hosts: ['*.example.test']}}"),
    edit("any host of an owner", OWNER, ", hosts: [a.example.test]}}", "}}"),
    edit("paths of an owner", OWNER, "paths: [/team/]", "paths: [/]"),
];

/// Somebody whose files may add routes.
const OWNER: &[(&str, &str)] = &[(
    "trusted_proxies: 1",
    "owners: {team: {paths: [/team/], hosts: [a.example.test]}}\ntrusted_proxies: 1",
)];

/// The same of the other document.
pub(super) const LOOSER_IN_MESH: &[Edit] = &[
    edit(
        "peer",
        &[],
        "peers: ['spiffe://cluster.local/ns/shop/sa/web'",
        "peers: ['spiffe://cluster.local/ns/shop/sa/evil', 'spiffe://cluster.local/ns/shop/sa/web'",
    ),
    edit("wider peer", &[], "ns/shop/sa/web'", "ns/shop/sa/*'"),
    edit(
        "any peer",
        &[],
        "  peers: ['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/istio-system/sa/edge']\n",
        "",
    ),
    edit(
        "guard",
        &[(
            "  peers: ['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/istio-system/sa/edge']\n",
            "",
        )],
        "guard: workload",
        "guard: edge",
    ),
    edit("descriptor", &[], "[{remote_address: true}], ", ""),
    edit(
        "port of a workload",
        &[],
        "ports: [8080]}\ncredentials",
        "ports: [8080, 9090]}\ncredentials",
    ),
    edit("workload", SPARE, SPARE_WORKLOAD, "workloads:\n"),
    edit(
        "workload of an owner",
        &[("rate_limit_filter", "owners: {team: {paths: [/team/]}}\nrate_limit_filter")],
        "paths: [/team/]}}",
        "paths: [/team/], workloads: [pay]}}",
    ),
    edit("rate limit filter fails open", &[], "on_failure: deny", "on_failure: allow"),
    edit(
        "shorter wait for the rate limit service",
        &[("on_failure: deny", "on_failure: allow")],
        "timeout: 100ms",
        "timeout: 5ms",
    ),
    edit(
        "identity of a feed peer",
        &[],
        "workloads: [edge]}\nworkloads",
        "workloads: [edge, pay]}\nworkloads",
    ),
    edit(
        "failures of ext_authz",
        &[],
        "version: 1\n",
        "version: 1\nfailures: {ext_authz: allow}\n",
    ),
];

const SPARE_WORKLOAD: &str = "workloads:\n  spare: {namespace: shop, labels: {app: spare}, \
                              service_account: spare, ports: [9090]}\n";
/// A workload that lets in only whom the document says.
const SPARE: &[(&str, &str)] = &[("\nworkloads:\n", SPARE_BEHIND_A_LINE)];
const SPARE_BEHIND_A_LINE: &str = "\nworkloads:\n  spare: {namespace: shop, labels: {app: spare}, \
                                   service_account: spare, ports: [9090]}\n";

/// A service, and the same where a registry says where it is.
const SLOW: &str = "slow: {upstream: 'slow.shop.svc.cluster.local:8080'";
const SLOW_IS_FOUND: &str = "slow: {discover: {registry: slow}";

/// What was trusted or asked for is something else: some get in who did not.
pub(super) const MOVED: &[Edit] = &[
    edit(
        "keys from another host",
        &[],
        "uri: 'https://one.example.test/jwks'",
        "uri: 'https://evil.example.test/jwks'",
    ),
    edit(
        "keys from another path",
        &[],
        "uri: 'https://one.example.test/jwks'",
        "uri: 'https://one.example.test/other'",
    ),
    edit(
        "keys by address",
        &[],
        r#"jwks: {inline: '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'}"#,
        "jwks: {uri: 'https://two.example.test/jwks'}",
    ),
    edit(
        "another key",
        &[],
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
    ),
    edit("another issuer", &[], "issuer: https://two", "issuer: https://evil"),
    edit("another API key", &[], "0a0000", "0c0000"),
    edit("an API key of somebody else", &[], "subject: one", "subject: root"),
    edit("another upstream", &[], "shop.shop.svc.cluster.local:8080", "evil.example.test:80"),
    edit("found by a registry", &[], SLOW, SLOW_IS_FOUND),
    edit(
        "another name in the registry",
        &[(SLOW, SLOW_IS_FOUND)],
        "registry: slow",
        "registry: evil",
    ),
    edit(
        "another registry",
        &[(SLOW, SLOW_IS_FOUND)],
        "version: 1\n",
        "version: 1\ndiscovery: {registry: consul, consul: {address: 'https://consul.example.test'}}\n",
    ),
    edit("another service", &[], "service: slow", "service: shop"),
    edit("another store", &[], "postgres://db.example.test/a", "postgres://evil.example.test/a"),
    edit("a claim header from another claim", &[], "{x-tenant: tenant}", "{x-tenant: nickname}"),
    edit("address to header", &[], "key: [ip], mode: local", "key: [header.x-foo], mode: local"),
    edit("callers share", &[], "key: [ip, route]", "key: [route]"),
    edit(
        "another scope",
        &[],
        "scopes: [items.read, items.list]",
        "scopes: [items.read, items.other]",
    ),
    edit("rate for burst", &[], "rate: 100/1h, burst: 50", "rate: 200/1h, burst: 20"),
];

/// The same of the other document.
pub(super) const MOVED_IN_MESH: &[Edit] = &[
    edit("another domain of limits", &[], "domain: shop", "domain: other"),
    edit("another gateway", &[], "service_account: edge}", "service_account: other}"),
    edit(
        "another trust domain",
        &[],
        "rate_limit_filter",
        "mesh: {trust_domain: other.test}\nrate_limit_filter",
    ),
    edit("another peer", &[], "ns/shop/sa/web'", "ns/shop/sa/evil'"),
    edit("a gateway that the document does not name", &[], "edge: {gateway: true, ", "edge: {"),
];

/// What lets nobody in, and keeps nobody out.
pub(super) const HARMLESS: &[Edit] = &[
    edit(
        "order of scopes",
        &[],
        "scopes: [items.read, items.list]",
        "scopes: [items.list, items.read]",
    ),
    edit("order of methods", &[], "methods: [GET, HEAD]", "methods: [HEAD, GET]"),
    edit("name of a key", &[], r#""kid":"a""#, r#""kid":"b""#),
    edit("window", &[], "circuit: {failures: 5", "circuit: {window: 30s, failures: 5"),
    edit("jitter", &[], "circuit: {failures: 5", "circuit: {jitter: 20%, failures: 5"),
    edit(
        "answer of an open circuit",
        &[],
        "  service: slow\n",
        "  service: slow\n  fallback: {answer: {status: 503}}\n",
    ),
    edit("shorter timeout", &[], "timeout: 30s", "timeout: 10s"),
    edit("longer timeout", &[], "timeout: 30s", "timeout: 60s"),
    edit(
        "retries",
        &[],
        "timeout: 30s",
        "timeout: 30s, retries: {attempts: 2, on: [connect-failure]}",
    ),
    edit("connections", &[], "timeout: 30s", "timeout: 30s, max_connections: 10"),
    edit("checks", &[], "timeout: 30s", "timeout: 30s, health: {path: /healthz}"),
    edit("zones", &[], "timeout: 30s", "timeout: 30s, zones: {prefer: any}"),
    edit(
        "bulkhead",
        &[
            ("timeout: 30s", "timeout: 30s, bulkheads: {slow: {max_pending: 5}}"),
            ("  limits: [per-user, slots]\n", "  limits: [per-user, slots]\n  bulkhead: slow\n"),
        ],
        "limits: [per-ip, {limit: all, weight: 5}]\n",
        "limits: [per-ip, {limit: all, weight: 5}]\n  bulkhead: slow\n",
    ),
    edit(
        "limit headers",
        &[],
        "trusted_proxies: 1",
        "trusted_proxies: 1\nlimit_headers: structured",
    ),
    edit(
        "identity headers",
        &[],
        "trusted_proxies: 1",
        "trusted_proxies: 1\nidentity_headers: [subject, scopes]",
    ),
    edit("who fetches keys", &[], "refresh: 5m", "refresh: 5m, fetched_by: server"),
    edit(
        "claims for logs",
        &[],
        "      claim_headers:",
        "      claim_state: {tenant: tenant}\n      claim_headers:",
    ),
    edit(
        "a limit that only counts",
        &[(
            "transforms:\n",
            "  watch: {key: [ip], mode: local, rate: 1/1h, shadow: true}\ntransforms:\n",
        )],
        "limits: [per-ip]",
        "limits: [per-ip, watch]",
    ),
    edit(
        "a limit that nobody names",
        &[],
        "transforms:\n",
        "  spare: {key: [ip], mode: local, rate: 1/1h}\ntransforms:\n",
    ),
    edit(
        "what a limit that only counts allows",
        &[(
            "transforms:\n",
            "  watch: {key: [ip], mode: local, rate: 1/1h, shadow: true}\ntransforms:\n",
        )],
        "rate: 1/1h, shadow",
        "rate: 9/1s, shadow",
    ),
    edit("the same in another unit", &[], "burst: 50", "algorithm: gcra, burst: 50"),
    edit("value of a header", &[], "x-zone: inner", "x-zone: other"),
    edit(
        "a header that is taken away instead of set",
        &[("set: {x-zone: inner}", "set: {x-zone: inner, x-role: guest}")],
        "remove: [x-internal], set: {x-zone: inner, x-role: guest}",
        "remove: [x-internal, x-role], set: {x-zone: inner}",
    ),
    edit("another version of HTTP", &[], "tls: true", "tls: true, http2: true"),
    edit(
        "port of https",
        &[],
        "https://one.example.test/jwks",
        "https://one.example.test:443/jwks",
    ),
];

/// The same of the other document.
pub(super) const HARMLESS_IN_MESH: &[Edit] = &[
    edit(
        "order of peers",
        &[],
        "['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/istio-system/sa/edge']",
        "['spiffe://cluster.local/ns/istio-system/sa/edge', 'spiffe://cluster.local/ns/shop/sa/web']",
    ),
    edit(
        "a peer that another one takes in",
        &[("['spiffe://cluster.local/ns/shop/sa/web'", "['spiffe://cluster.local/ns/shop/sa/*'")],
        "['spiffe://cluster.local/ns/shop/sa/*'",
        "['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/shop/sa/*'",
    ),
    edit(
        "order of descriptors",
        &[],
        "[[{remote_address: true}], [{principal: true}]]",
        "[[{principal: true}], [{remote_address: true}]]",
    ),
    edit("slower polling", &[], "feed:\n", "feed:\n  poll: 5s\n"),
    edit(
        "fault",
        &[],
        "  service: shop\n  auth",
        "  service: shop\n  fault: {abort: {share: 1%, status: 503}}\n  auth",
    ),
];
