//! A document as a large platform has it: many services of one form.

use std::fmt::Write as _;

/// Its services.
pub(super) const SERVICES: usize = 50;
/// What each of them has several of: a list of things, single ones, and what lies below those.
const KINDS: usize = 5;
/// Its routes.
pub(super) const ROUTES: usize = SERVICES * KINDS * FORMS.len();

/// Everything but services and routes.
const HEAD: &str = "version: 1
identity_headers: [subject, client, scopes]
credentials:
  jwt:
    issuers:
      - issuer: https://issuer.example.test
        audiences: [gateway]
        jwks:
          uri: https://issuer.example.test/keys
  api_key:
    keys:
      - id: partner
        sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
        subject: partner
        scopes: [read]
limits:
  per-subject: {key: [claim.sub], mode: local, rate: 1000/1m}
  per-address: {key: [ip], mode: local, rate: 2000/1m}
  per-route: {key: [route], mode: exact, rate: 10000/1m}
services:
";

/// Which hosts a service's routes are for.
const HOSTS: [&str; 4] =
    ["", "      hosts: [api.example.test]\n", "      hosts: ['*.example.test']\n", ""];

/// One of the routes that each kind of thing has.
struct Form {
    name: &'static str,
    below: &'static str,
    methods: &'static str,
    rules: &'static str,
}

const FORMS: [Form; 4] = [
    Form {
        name: "list",
        below: "",
        methods: "      methods: [GET]\n",
        rules: "    auth: {any: [jwt, api_key], scopes: [read]}
    limits: [per-subject, per-address]
",
    },
    Form {
        name: "one",
        below: "/{id}",
        methods: "      methods: [GET, DELETE]\n",
        rules: "    auth: {any: [jwt], scopes: [read]}
    limits: [per-address]
",
    },
    Form {
        name: "change",
        below: "/{id}",
        methods: "      methods: [POST, PUT]\n",
        rules: "    auth: {any: [jwt], scopes: [write]}
    limits: [per-subject, per-route]
",
    },
    Form {
        name: "parts",
        below: "/{id}/parts/{rest=**}",
        methods: "",
        rules: "    auth: {any: [jwt], scopes: [read]}
    limits: [per-subject]
",
    },
];

/// The document.
pub(super) fn document() -> String {
    let mut text = HEAD.to_owned();
    // Writing to a string cannot fail.
    for service in 0..SERVICES {
        let upstream = format!("service-{service:02}.shop.svc.cluster.local:8080");
        let _ = write!(text, "  service-{service:02}:\n    upstream: {upstream}\n");
    }
    text.push_str("routes:\n");
    for service in 0..SERVICES {
        let hosts = HOSTS.iter().cycle().nth(service).copied().unwrap_or_default();
        for kind in 0..KINDS {
            for Form { name, below, methods, rules } in &FORMS {
                let _ = write!(
                    text,
                    "  - name: service-{service:02}-{kind}-{name}
    match:
      path: '/service-{service:02}/kind-{kind}{below}'
{methods}{hosts}    service: service-{service:02}
{rules}"
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use postern_document::{HostPattern, Source};

    use super::*;

    #[test]
    fn the_document_has_what_large_documents_have() {
        let source = Source { name: "gateway.yaml".to_owned(), text: document() };
        let no_file = |name: &str| Err(format!("no file {name}"));
        let document = postern_document::load(&[source], &no_file)
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!((document.routes.len(), document.services.len()), (1_000, 50));
        assert_eq!(ROUTES, 1_000);
        assert!(document.needs_ext_authz(), "its limits are of both kinds");
        let hosts: std::collections::BTreeSet<&HostPattern> =
            document.routes.iter().flat_map(|route| &route.hosts).collect();
        assert_eq!(hosts.len(), 2);
        for (method, path, expected) in [
            ("GET", "/service-01/kind-2", "service-01-2-list"),
            ("GET", "/service-49/kind-4/7", "service-49-4-one"),
            ("PUT", "/service-49/kind-4/7", "service-49-4-change"),
            ("PUT", "/service-48/kind-0/7/parts/a/b", "service-48-0-parts"),
        ] {
            let found = document.find_route("api.example.test", method, path).unwrap();
            assert_eq!(found.map(|route| route.name.as_str()), Some(expected), "{path}");
        }
    }
}
