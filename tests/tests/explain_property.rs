//! `postern explain` decides as the gateway does: it is asked about random requests under random
//! documents beside the bundle's own gatekeeper and `ext_authz`'s own authorizer, each with a store
//! in memory; routes that a workload guards are judged at the edge and beside it. What Envoy does
//! before and behind them is not here: `tests/tests/explain.rs` replays whole requests.

mod chain;
mod documents;
mod host;
mod requests;

use std::cell::RefCell;
use std::collections::BTreeMap;

use postern_document::{Document, Enforce};
use postern_explain::{Assumptions, By, Explanation, Outcome, Part, Revoked, explain};
use postern_jose::soft::SoftVerifier;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use chain::{Answer, Chain, Passed};
use documents::DocumentSpec;
use requests::{NOW, RequestSpec};

/// How many pairs are tried: more by `POSTERN_EXPLAIN_CASES`.
const CASES: u32 = 3_000;

/// What holds around a request.
#[derive(Debug, Clone)]
struct World {
    server_away: bool,
    store_away: bool,
    /// Of the service `guarded`, at the edge.
    circuit_open: bool,
    /// Everything that limits allow was taken before.
    used_up: bool,
    revoked: Revoked,
    /// Decides which share a request belongs to.
    request_id: u8,
}

fn world() -> impl Strategy<Value = World> {
    let revoked = prop_oneof![
        6 => Just(Revoked::No),
        1 => Just(Revoked::Yes),
        1 => Just(Revoked::Unknown),
    ];
    let rarely = || prop::bool::weighted(0.1);
    let (open, used_up) = (prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    (rarely(), rarely(), open, used_up, revoked, any::<u8>()).prop_map(
        |(server_away, store_away, circuit_open, used_up, revoked, request_id)| World {
            server_away,
            store_away,
            circuit_open,
            used_up,
            revoked,
            request_id,
        },
    )
}

impl World {
    /// What fits the document: a bundle that has never heard of the feed knows no revocation.
    fn fitting(mut self, document: &Document, request: &RequestSpec) -> Self {
        // Only Envoy knows whom it would ask about it.
        self.server_away &= !chain::reads_two_ways(document, request);
        if document.revocation.is_some() && self.revoked == Revoked::Yes {
            self.revoked = Revoked::No;
        }
        // What is shown a second time would be refused for that.
        self.used_up &= !request.has_proof();
        self
    }

    fn request_id(&self) -> String {
        format!("00000000-0000-4000-8000-0000000001{:02x}", self.request_id)
    }

    fn assume(&self, document: &Document, request: &RequestSpec) -> Assumptions<'static> {
        let mut assume = Assumptions::at(NOW);
        assume.workload = request.caller().map(|_| "inside");
        if self.server_away {
            assume.failed.insert(Part::Server);
        }
        if self.store_away {
            assume.failed.insert(Part::VolatileStore);
        }
        if document.revocation.is_some() {
            assume.failed.insert(Part::Feed);
        }
        if self.circuit_open {
            assume.open_circuits.extend(["guarded", "spare"].map(str::to_owned));
        }
        if self.used_up {
            assume.used_up = document.limits.iter().map(|limit| limit.name.clone()).collect();
        }
        assume.revoked = self.revoked;
        // Where it is left to chance at all, the id decides, and all shares here are the same.
        let half = Enforce::parse("50%").unwrap();
        assume.enforced = Some(half.applies(self.request_id().as_bytes()));
        assume
    }
}

#[test]
fn the_order_of_stages_is_that_of_the_filters() {
    let cases = std::env::var("POSTERN_EXPLAIN_CASES").ok().and_then(|text| text.parse().ok());
    let cases = cases.unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seen: RefCell<BTreeMap<String, u32>> = RefCell::default();
    let strategy = (documents::document(), requests::request(), world());
    // The same pairs each time: what is seen below must not be a matter of luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&strategy, |(document, request, world)| {
        let what = compare(&document, &request, world)?;
        *seen.borrow_mut().entry(what).or_default() += 1;
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // A comparison that never gets beyond the first answers would compare nothing.
    let seen = seen.into_inner();
    for expected in [
        "passed",
        "passed to another version",
        "passed to another service",
        "passed inside",
        "bundle 403 peer_unknown",
        "ext_authz 403 peer_unknown",
        "bundle 400 path_ambiguous",
        "bundle 404 no_route",
        "bundle 401 credential_missing",
        "bundle 401 token_unusable",
        "bundle 403 scope_missing",
        "bundle 429 limit_exceeded",
        "bundle 503 circuit_open",
        "bundle 204 circuit_open",
        "ext_authz 401 credential_missing",
        "ext_authz 401 api_key_unknown",
        "ext_authz 403 scope_missing",
        "ext_authz 429 limit_exceeded",
        "ext_authz 401 mfa_missing",
        "ext_authz 401 mfa_stale",
        "ext_authz 401 session_unknown",
        "ext_authz 403 session_cross_site",
        "sent to log in",
        "envoy 503 ",
    ] {
        assert!(seen.contains_key(expected), "never seen: {expected}; seen: {seen:#?}");
    }
    let of_tokens = seen.keys().filter(|what| what.contains(" token_")).count();
    assert!(of_tokens >= 8, "{seen:#?}");
}

/// Compares, and says what came of it.
fn compare(
    spec: &DocumentSpec,
    request: &RequestSpec,
    world: World,
) -> Result<String, TestCaseError> {
    let text = spec.to_json();
    let document = match postern_document::from_json(text.as_bytes()) {
        Ok(document) => document,
        Err(problems) => {
            return Err(TestCaseError::fail(format!("no document: {problems:?}\n{text}")));
        }
    };
    let world = world.fitting(&document, request);
    let mut chain = Chain::new(&document, &world);
    if world.used_up {
        chain.ask(request);
    }
    if world.circuit_open {
        chain.open_circuits();
    }
    let answer = chain.ask(request);
    let assume = world.assume(&document, request);
    let asked = request.to_explain(&document);
    let explanation = explain(&document, &asked, &assume, &mut SoftVerifier);
    let differs = |why: &str| {
        TestCaseError::fail(format!("{why}\n{answer:#?}\n{explanation:#?}\n{request:?}\n{text}"))
    };
    match same(&answer, &explanation, chain::reads_two_ways(&document, request)) {
        Ok(what) => Ok(what),
        Err(why) => Err(differs(why)),
    }
}

/// Whether both say the same, and what that is. `unclear_who` where only Envoy knows whom it asks
/// first.
fn same(
    answer: &Answer,
    explanation: &Explanation,
    unclear_who: bool,
) -> Result<String, &'static str> {
    match (answer, &explanation.outcome) {
        (Answer::Passed(passed), Outcome::Forwarded(forwarded)) => {
            let Passed { at, service, subject, headers, target, version } = passed;
            if forwarded.at != *at {
                return Err("at another place");
            }
            if forwarded.service != *service {
                return Err("another service");
            }
            let versions: Vec<(String, u8)> =
                version.iter().map(|version| (version.clone(), 100)).collect();
            if forwarded.versions != versions {
                return Err("another version");
            }
            let told = forwarded.principal.as_ref().map(|principal| principal.subject.as_str());
            if told != subject.as_deref() {
                return Err("another caller");
            }
            if forwarded.target != *target {
                return Err("another target");
            }
            for name in requests::NAMES {
                let real: Vec<_> = headers.iter().filter(|(known, _)| known == name).collect();
                let real = match real.as_slice() {
                    [(_, value)] => Some(String::from_utf8_lossy(value).into_owned()),
                    _ => None,
                };
                if forwarded.header(name) != real {
                    return Err("another header");
                }
            }
            let how = match (*at, service.as_str(), version.as_deref()) {
                ("inside", ..) => "passed inside",
                (_, "spare", _) => "passed to another service",
                (_, _, Some("two")) => "passed to another version",
                _ => "passed",
            };
            Ok(how.to_owned())
        }
        (Answer::Sent { at, location }, Outcome::Refused(refusal)) => {
            let told = refusal.sent.as_ref().map(|sent| sent.location.as_str());
            if refusal.at != *at || refusal.status != 302 || told != Some(location) {
                return Err("another way to log in");
            }
            Ok("sent to log in".to_owned())
        }
        (Answer::Refused { by, at, status, error, reason }, Outcome::Refused(refusal)) => {
            if refusal.sent.is_some() {
                return Err("one is sent to log in and the other is not");
            }
            let denial = &refusal.denial;
            if refusal.at != *at {
                return Err("at another place");
            }
            let told = if refusal.is_plain { "" } else { denial.code.as_str() };
            if refusal.status != *status || told != error {
                return Err("another answer");
            }
            if !unclear_who && refusal.by != *by {
                return Err("by somebody else");
            }
            // `ext_authz` tells its reasons to its log alone.
            if reason.as_ref().is_some_and(|reason| denial.reason != reason) {
                return Err("for another reason");
            }
            let by: By = refusal.by;
            Ok(format!("{} {status} {}", by.as_str(), denial.reason))
        }
        _ => Err("one passes and the other does not"),
    }
}
