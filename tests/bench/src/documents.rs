//! The documents that entries run: a hundred routes and two issuers each, and what guards the
//! routes.

pub mod identity;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use postern_e2e::keys;

/// Routes of every document.
pub const ROUTES: usize = 100;

/// A limit that no load reaches: what is measured is counting, not refusing.
const NEVER_REACHED: &str = "10000000/1s";

/// Tokens may be revoked. What is not known is refused, so that no run is about a feed that
/// nobody hears; and a machine that stands still for a while changes nothing.
const REVOCATION: &str = "
revocation:
  max_staleness: 1m
  when_stale: deny
";
/// The feed is asked so often instead of being waited for.
const POLLED: &str = "
feed:
  poll: 1s
";

/// [`NEVER_REACHED`] in a period that leases suit, by the terms that a document has if it says
/// nothing else. Where no slices can be had, requests are refused: no run is about what Envoys
/// count for themselves.
const LEASED: &str = "
limits:
  wide:
    key: [header.x-client]
    mode: leased
    rate: 600000000/1m
    lease: {sidecars: 1}
    when_store_fails: deny
";

/// Exact limits by what they count by: a user's own, and those that many share.
const EXACT: [(&str, &str); 4] = [
    ("per-user", "claim.sub"),
    ("per-client", "claim.client_id"),
    ("per-ip", "ip"),
    ("per-endpoint", "route"),
];

/// What guards all routes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    Open,
    /// A token.
    Token,
    /// A local limit by a header, and no credential.
    LocalLimit,
    /// The same limit, leased: the server lends slices of it.
    LeasedLimit,
    /// A token, and a local limit by its subject.
    TokenAndLocalLimit,
    /// A token, and four exact limits, of which one is by its subject: the server decides.
    TokenAndExactLimits,
    /// A token that is not revoked: the feed is waited for.
    TokenAndRevocation,
    /// The same: the feed is asked every second.
    TokenAndPolledRevocation,
    /// A token that is not revoked, and a local limit by its subject.
    TokenRevocationAndLocalLimit,
    /// No credential, and a circuit of each service, which stays closed.
    Circuit,
    /// No credential, and header rules whose values the server works out.
    HeaderRules,
}

impl Guard {
    /// A name for files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token => "token",
            Self::LocalLimit => "local-limit",
            Self::LeasedLimit => "leased-limit",
            Self::TokenAndLocalLimit => "token-and-local-limit",
            Self::TokenAndExactLimits => "token-and-exact-limits",
            Self::TokenAndRevocation => "token-and-revocation",
            Self::TokenAndPolledRevocation => "token-and-polled-revocation",
            Self::TokenRevocationAndLocalLimit => "token-revocation-and-local-limit",
            Self::Circuit => "circuit",
            Self::HeaderRules => "header-rules",
        }
    }

    /// Writes the document into a folder; its file.
    pub fn write(self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join(format!("{}.yaml", self.name()));
        fs::write(&file, self.document()).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// The document.
    fn document(self) -> String {
        let (parts, of_route) = self.fragments();
        let mut text = format!(
            "version: 1
identity_headers: [subject, client, scopes]
security_headers: none

credentials:
  jwt:
    issuers:
      - issuer: https://another-issuer.example.test
        audiences: [{audience}]
        jwks:
          inline: '{jwks}'
      - issuer: {issuer}
        audiences: [{audience}]
        jwks:
          inline: '{jwks}'
{parts}
services:
",
            audience = keys::AUDIENCE,
            issuer = keys::ISSUER,
            jwks = keys::JWKS.trim(),
        );
        let circuit = if self == Self::Circuit { "    circuit: {}\n" } else { "" };
        // Writing to a string cannot fail.
        for service in 0..ROUTES / 2 {
            // Nobody is ever asked there: Envoy answers by itself.
            let _ = write!(text, "  service-{service:02}:\n    upstream: 127.0.0.1:9\n{circuit}");
        }
        text.push_str("\nroutes:\n");
        for service in 0..ROUTES / 2 {
            for (name, path) in [("items", "items"), ("rest", "{rest=**}")] {
                let _ = write!(
                    text,
                    "  - name: service-{service:02}-{name}
    match:
      path: /service-{service:02}/{path}
    service: service-{service:02}
{of_route}"
                );
            }
        }
        text
    }

    /// What the document has beside routes, and what every route says.
    fn fragments(self) -> (String, &'static str) {
        let limits = |mode: &str, limits: &[(&str, &str)]| {
            let mut text = "\nlimits:\n".to_owned();
            for (name, key) in limits {
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "  {name}:
    key: [{key}]
    mode: {mode}
    rate: {NEVER_REACHED}
"
                );
            }
            text
        };
        let local = |key: &str| limits("local", &[("wide", key)]);
        let limit = "    auth: none\n    limits: [wide]\n";
        let token = "    auth:
      any: [jwt]
      scopes: [content.read]
";
        let token_and_limit = "    auth:
      any: [jwt]
      scopes: [content.read]
    limits: [wide]
";
        match self {
            Self::Open | Self::Circuit => (String::new(), "    auth: none\n"),
            Self::Token => (String::new(), token),
            Self::LocalLimit => (local("header.x-client"), limit),
            Self::LeasedLimit => (LEASED.to_owned(), limit),
            Self::TokenAndLocalLimit => (local("claim.sub"), token_and_limit),
            Self::TokenAndExactLimits => (
                limits("exact", &EXACT),
                "    auth:
      any: [jwt]
      scopes: [content.read]
    limits: [per-user, per-client, per-ip, per-endpoint]
",
            ),
            Self::TokenAndRevocation => (REVOCATION.to_owned(), token),
            Self::TokenAndPolledRevocation => (format!("{REVOCATION}{POLLED}"), token),
            Self::TokenRevocationAndLocalLimit => {
                (format!("{REVOCATION}{}", local("claim.sub")), token_and_limit)
            }
            Self::HeaderRules => (
                "
transforms:
  tell-route:
    request:
      set:
        x-caller-route: \"{route.name}; {service.name}\"
        x-caller-time: \"{time.unix}\"
    response:
      set:
        x-served-by: \"{service.name}\"
"
                .to_owned(),
                "    auth: none\n    transform: [tell-route]\n",
            ),
        }
    }
}

/// A path of the route at this place in the document.
pub fn path(route: usize) -> String {
    let route = route % ROUTES;
    let rest = if route.is_multiple_of(2) { "items" } else { "orders/4711" };
    format!("/service-{:02}/{rest}", route / 2)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postern_document::{Allowance, Document, Service, Source};

    use super::*;

    const GUARDS: [Guard; 11] = [
        Guard::Open,
        Guard::Token,
        Guard::LocalLimit,
        Guard::LeasedLimit,
        Guard::TokenAndLocalLimit,
        Guard::TokenAndExactLimits,
        Guard::TokenAndRevocation,
        Guard::TokenAndPolledRevocation,
        Guard::TokenRevocationAndLocalLimit,
        Guard::Circuit,
        Guard::HeaderRules,
    ];

    fn load(guard: Guard) -> Document {
        let source = Source { name: guard.name().to_owned(), text: guard.document() };
        let no_file = |name: &str| Err(format!("no file {name}"));
        postern_document::load(&[source], &no_file)
            .unwrap_or_else(|problems| panic!("{guard:?}: {problems:?}"))
    }

    #[test]
    fn every_document_holds_and_finds_its_routes() {
        for guard in GUARDS {
            let document = load(guard);
            assert_eq!((document.routes.len(), document.issuers.len()), (ROUTES, 2));
            for (index, route) in document.routes.iter().enumerate() {
                let found = document.find_route("127.0.0.1:1", "GET", &path(index));
                assert_eq!(found.unwrap().map(|found| &found.name), Some(&route.name), "{guard:?}");
            }
        }
    }

    #[test]
    fn only_what_needs_the_server_asks_it() {
        let asks = |guard| {
            let document = load(guard);
            (document.needs_ext_authz(), document.needs_ext_proc())
        };
        for guard in GUARDS {
            let expected = match guard {
                Guard::TokenAndExactLimits => (true, false),
                Guard::HeaderRules => (false, true),
                _ => (false, false),
            };
            assert_eq!(asks(guard), expected, "{guard:?}");
        }
    }

    #[test]
    fn the_feed_is_heard_where_tokens_may_be_revoked() {
        for guard in GUARDS {
            let document = load(guard);
            let expected = matches!(
                guard,
                Guard::TokenAndRevocation
                    | Guard::TokenAndPolledRevocation
                    | Guard::TokenRevocationAndLocalLimit
            );
            assert_eq!(document.revocation.is_some(), expected, "{guard:?}");
            let polled = guard == Guard::TokenAndPolledRevocation;
            assert_eq!(document.feed.poll_ms, polled.then_some(1_000), "{guard:?}");
        }
    }

    #[test]
    fn each_service_has_a_circuit_where_circuits_are_measured() {
        for guard in GUARDS {
            let document = load(guard);
            let expected = guard == Guard::Circuit;
            let is_there = |service: &Arc<Service>| service.circuit.is_some() == expected;
            assert!(document.services.iter().all(is_there), "{guard:?}");
        }
    }

    #[test]
    fn slices_are_lent_of_a_limit_that_is_leased() {
        for guard in GUARDS {
            assert_eq!(load(guard).needs_leases(), guard == Guard::LeasedLimit, "{guard:?}");
        }
        let per_second = |guard| {
            let Allowance::Rate(spec) = load(guard).limits[0].allowance else {
                panic!("{guard:?}")
            };
            spec.rate().requests() * 1000 / spec.rate().period_ms()
        };
        assert_eq!(per_second(Guard::LeasedLimit), per_second(Guard::LocalLimit));
        let document = load(Guard::LeasedLimit);
        assert!(document.routes.iter().all(|route| route.leased_limits.len() == 1));
    }

    #[test]
    fn every_exact_limit_is_on_every_route() {
        let document = load(Guard::TokenAndExactLimits);
        for route in &document.routes {
            let names: Vec<&str> =
                route.exact_limits.iter().map(|applied| applied.limit.name.as_str()).collect();
            assert_eq!(names, EXACT.map(|(name, _)| name), "{}", route.name);
        }
    }
}
