//! A gatekeeper from its configuration.

use postern_document::{CertificateSource, Document, JwksSource, KeysBy};
use postern_filter_host::{RequestHost, SoftBudget, VerifierSupport};
use postern_filter_jwt_auth::{JwtAuth, TrustedIssuer};
use postern_jose::xfcc;
use postern_request::{TokenPlace, tokens};

use super::Gatekeeper;
use super::stale::Answers;
use crate::circuits::CircuitLink;
use crate::configuration::{self, Configuration, FeedSource, KeySource};
use crate::counters::{Count, Counters};
use crate::feed::{FeedLink, Purpose};
use crate::fetch::KeyFetcher;
use crate::leases::LeaseLink;
use crate::request::OwnHeaders;
use crate::stages::STAGES;

/// Signature checks in Rust that one VM makes in a second, where the host cannot.
const SOFT_CHECKS_PER_SECOND: u32 = 50;

/// The most characters of a node's name that the server is told.
const MAX_NODE_CHARS: usize = 100;

impl Gatekeeper {
    /// Everything is checked, and what the process knows already is known.
    pub(super) fn assemble(
        host: &impl RequestHost,
        configuration: &[u8],
    ) -> Result<Self, Vec<String>> {
        let Configuration { document, key_sources, clean_responses, feed } =
            configuration::read(configuration)?;
        let problems = STAGES.problems(&document);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (seed, random) = host.seed();
        let mut counters = Counters::default();
        if !random {
            // Whoever knows when this Envoy started could aim at slots; seen in the metrics.
            counters.add(Count::WeakSeeds, 1);
        }
        let jwt = token_stage(&document, seed);
        let key_sources = named(&document, key_sources)?;
        let fetcher = KeyFetcher::new(key_sources, &document.digest, |text| jwt.cache().hash(text));
        let source = feed_source(&document, feed)?;
        let name = envoy_id(host, &jwt);
        let circuits = has_circuits(&document).then(|| {
            let feed = source.clone().map(|source| (source, name.clone()));
            CircuitLink::new(feed, &document, seed)
        });
        let (feed, leases) = match source {
            None => (None, None),
            Some(source) => {
                let feed = feed_link(host, &document, source.clone(), name.clone());
                // Also where this document leases nothing: while another is in use beside it, the
                // VM that speaks to the server sees to what that one leases.
                let leases = STAGES.limits.then(|| {
                    let asker = (name, feed.feed.vm());
                    LeaseLink::new(source, &document, asker, host, seed)
                });
                (Some(feed), leases)
            }
        };
        let support =
            if STAGES.tokens { VerifierSupport::probe(host) } else { VerifierSupport::default() };
        let mut gatekeeper = Self {
            own_headers: own_headers(&document),
            places: places(&document),
            strips_tokens: tokens::are_stripped(&document.token_places),
            jwt,
            fetcher,
            support,
            budget: SoftBudget::new(SOFT_CHECKS_PER_SECOND),
            seed,
            counters,
            id_counter: 0,
            clean_responses,
            feed,
            leases,
            circuits,
            answers: Answers::new(&document),
            document,
        };
        for (issuer, keys) in gatekeeper.fetcher.known(host) {
            gatekeeper.jwt.set_keys(issuer, keys);
        }
        gatekeeper.take_keys(host);
        Ok(gatekeeper)
    }
}

fn token_stage(document: &Document, seed: u128) -> JwtAuth {
    let trusted = document.issuers.iter().map(|issuer| TrustedIssuer {
        issuer: issuer.issuer.clone(),
        claim_state: issuer.claim_state.clone(),
    });
    let headers = document.identity_headers.clone();
    let mut jwt = JwtAuth::new(trusted.collect(), headers, document.bound.are_taken(), seed);
    for (index, issuer) in document.issuers.iter().enumerate() {
        if let JwksSource::Inline(keys) = &issuer.jwks {
            jwt.set_keys(index, keys.clone());
        }
    }
    jwt
}

/// Sources with the names of their issuers.
fn named(
    document: &Document,
    sources: Vec<KeySource>,
) -> Result<Vec<(KeySource, String)>, Vec<String>> {
    if !STAGES.tokens {
        return Ok(Vec::new());
    }
    let named = |source: KeySource| {
        let issuer = document.issuers.get(source.issuer);
        let name = issuer.map(|issuer| issuer.issuer.issuer.clone());
        name.map(|name| (source, name))
            .ok_or_else(|| vec!["a key source of an issuer that is not there".to_owned()])
    };
    sources.into_iter().map(named).collect()
}

/// Those of tokens, and the suite's own cookies.
fn places(document: &Document) -> Vec<TokenPlace> {
    let own = document.own_cookies().into_iter().map(TokenPlace::Cookie);
    document.token_places.iter().cloned().chain(own).collect()
}

fn own_headers(document: &Document) -> OwnHeaders {
    let places = places(document);
    let places = places.iter().filter_map(TokenPlace::header);
    let forwarded = document.bound.certificate == Some(CertificateSource::Forwarded);
    let asked = places.chain(forwarded.then_some(xfcc::HEADER)).map(str::to_owned);
    let mut asked: Vec<String> = asked.collect();
    // Each header of each request is compared with all of them.
    asked.dedup();
    OwnHeaders { claims: document.claim_headers().map(str::to_owned).collect(), asked }
}

fn has_circuits(document: &Document) -> bool {
    STAGES.circuits && document.has_circuits()
}

/// Where the feed is, where the document asks for it. Whoever renders must say so: going on without
/// would let revoked tokens in, or keep good ones out for ever. Circuits alone go on without: each
/// Envoy's by itself.
fn feed_source(
    document: &Document,
    source: Option<FeedSource>,
) -> Result<Option<FeedSource>, Vec<String>> {
    if !STAGES.tokens || !document.needs_feed() {
        return Ok(None);
    }
    if source.is_none() && document.relies_on_feed() {
        let problem = "`revocation`, keys that the server fetches or leased limits are asked \
                       for, and no feed is named";
        return Err(vec![problem.to_owned()]);
    }
    Ok(source)
}

fn feed_link(
    host: &impl RequestHost,
    document: &Document,
    source: FeedSource,
    envoy_id: String,
) -> FeedLink {
    let issuers = document.issuers.iter().enumerate();
    let by_feed = issuers.filter(|(_, issuer)| issuer.keys_by == KeysBy::Feed);
    let purpose = Purpose {
        digest: &document.digest,
        envoy_id,
        max_staleness_ms: document.revocation.map(|rules| rules.max_staleness_ms),
        issuers: by_feed.map(|(place, issuer)| (place, issuer.issuer.issuer.clone())).collect(),
        has_circuits: has_circuits(document),
    };
    FeedLink::new(source, purpose, host, host.now())
}

/// This Envoy's own name, another one after a restart. The process's seed makes the difference,
/// by a hash that is keyed with it and says nothing about it.
fn envoy_id(host: &impl RequestHost, jwt: &JwtAuth) -> String {
    let node = host.property(&["node", "id"]).and_then(|id| String::from_utf8(id).ok());
    let node = node.unwrap_or_default();
    let node: String = node.chars().filter(|c| !c.is_control()).take(MAX_NODE_CHARS).collect();
    let node = if node.is_empty() { "envoy" } else { &node };
    let process = jwt.cache().hash(b"this process, as the feed knows it") & u128::from(u32::MAX);
    format!("{node}.{process:08x}")
}
