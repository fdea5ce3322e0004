//! In which order members stand in what is written: that of the page about documents. Whoever has
//! to go on with a document reads it from above.

/// Members, wherever they are; one list is enough, as no two of its mappings disagree.
pub(super) const MEMBERS: &[&str] = &[
    // A document.
    "version",
    "credentials",
    "workloads",
    "mesh",
    "rate_limit_filter",
    "services",
    // A route; its limits come behind its `auth`, a document's behind its services.
    "name",
    "match",
    "service",
    "auth",
    "peers",
    "limits",
    "transform",
    "transforms",
    "timeout",
    "routes",
    // What a route matches.
    "path",
    "methods",
    "hosts",
    // Tokens: where they stand, whose they are, what they have to say.
    "from",
    "any",
    "optional",
    "issuer",
    "issuers",
    "audiences",
    "scopes",
    "claims",
    "jwks",
    "claim_headers",
    // A workload.
    "namespace",
    "labels",
    "service_account",
    "ports",
    // A service.
    "upstream",
    "workload",
    "guard",
    // The mesh, and the rate limit filter.
    "trust_domain",
    "root_namespace",
    "domain",
    "on_failure",
    // A limit.
    "key",
    "rate",
    "algorithm",
    "shadow",
    "mode",
    "ipv6_prefix",
];
