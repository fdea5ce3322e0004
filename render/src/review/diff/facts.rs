//! Everything that a document guarantees, as [`Fact`]s: what no single request shows, and what
//! many would have to.

mod credentials;
mod limits;
mod login;
mod oauth;
mod routes;
mod services;

use postern_document::{
    Document, FeedIdentity, FeedPeer, ForwardedCert, OnFailure, SecurityHeaders, ServiceRegistry,
};
use postern_limits::key;

use super::super::traffic::duration;
use super::fact::{Fact, Says, UNBOUNDED};

/// All of a document, in its order.
pub(in crate::review) fn of(document: &Document) -> Vec<Fact> {
    let mut facts = Facts::default();
    whole(document, &mut facts);
    parts_away(document, &mut facts);
    feed(document, &mut facts);
    owners(document, &mut facts);
    mesh(document, &mut facts);
    credentials::say(document, &mut facts);
    oauth::say(document, &mut facts);
    login::say(document, &mut facts);
    services::say(document, &mut facts);
    limits::say(document, &mut facts);
    routes::say(document, &mut facts);
    facts.0
}

/// Which requests belong to which route: only for who cannot ask both documents, as asking shows
/// better what a route takes from the others.
pub(in crate::review) fn matching(document: &Document) -> Vec<Fact> {
    let mut facts = Facts::default();
    routes::matching(document, &mut facts);
    facts.0
}

/// Facts as they are said.
#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn say(&mut self, owner: &str, member: &str, says: Says) {
        let (owner, member) = (owner.to_owned(), member.to_owned());
        self.0.push(Fact { owner, member, instead: None, says });
    }

    /// The same of something for which another fact holds where nobody says it.
    fn say_instead_of(&mut self, owner: &str, member: &str, instead: (&str, &str), says: Says) {
        self.say(owner, member, says);
        if let Some(fact) = self.0.last_mut() {
            fact.instead = Some((instead.0.to_owned(), instead.1.to_owned()));
        }
    }
}

/// What tells two texts apart and shows neither.
pub(super) fn fingerprint(text: &str) -> String {
    let (_, hash) = key::hashed("review", text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("none").to_owned()
}

fn whole(document: &Document, facts: &mut Facts) {
    let proxies = u64::from(document.trusted_proxies);
    facts.say("trusted_proxies", "", Says::amount(proxies, proxies.to_string()));
    let matrix = document.allow_matrix_parameters;
    let word = if matrix { "allow" } else { "refuse" };
    facts.say("matrix_parameters", "", Says::amount(u64::from(matrix), word));
    facts.say("security_headers", "", security_headers(document.security_headers));
    let form = format!("{:?}", document.limit_headers).to_lowercase();
    facts.say("limit_headers", "", Says::Plain(form));
    let identity: Vec<&str> =
        document.identity_headers.iter().map(|header| header.as_str()).collect();
    facts.say("identity_headers", "", Says::Plain(identity.join(", ")));
    facts.say("issuer", "", Says::Plain(or_none(document.issuer.as_deref())));
    let stores = &document.stores;
    let volatile = store(stores.volatile.as_deref());
    // What is in memory, every server counts for itself.
    let alone = u64::from(volatile == MEMORY);
    facts.say("stores", ".volatile", Says::amount(alone, volatile));
    // API keys, clients and users are whatever stands there.
    facts.say("stores", ".durable", Says::Root(store(stores.durable.as_deref())));
    // The fewer share a limit, the larger is each one's share.
    let share = Says::Bounds(vec![(1, stores.replicas)], stores.replicas.to_string());
    facts.say("stores", ".replicas", share);
    // Services that are found there are wherever it says.
    let registry = match &document.registry {
        ServiceRegistry::Store => "store".to_owned(),
        ServiceRegistry::Consul { address, .. } => format!("consul {address}"),
    };
    facts.say("discovery", ".registry", Says::Root(registry));
    let token = match &document.registry {
        ServiceRegistry::Store => None,
        ServiceRegistry::Consul { token, .. } => token.as_deref(),
    };
    facts.say("discovery", ".consul.token", Says::Plain(or_none(token)));
}

/// The more a browser may do with an answer, the more it is open.
fn security_headers(profile: SecurityHeaders) -> Says {
    let rank = match profile {
        SecurityHeaders::Api => 0,
        SecurityHeaders::Web => 1,
        SecurityHeaders::None => 2,
    };
    Says::amount(rank, profile.as_str())
}

const MEMORY: &str = "memory";

/// A store without the password that may stand in it.
fn store(of: Option<&str>) -> String {
    match of {
        None | Some(MEMORY) => MEMORY.to_owned(),
        Some(text) if text.starts_with("env:") => text.to_owned(),
        Some(text) => {
            let kind = text.split_once(':').map_or("a store", |(kind, _)| kind);
            format!("{kind} {}", fingerprint(text))
        }
    }
}

fn parts_away(document: &Document, facts: &mut Facts) {
    let failures = document.failures;
    for (member, answer) in [(".ext_authz", failures.ext_authz), (".ext_proc", failures.ext_proc)] {
        let says = Says::amount(u64::from(answer == OnFailure::Allow), answer.as_str());
        facts.say("failures", member, says);
    }
    // Without it, nobody asks whether a token was revoked.
    let revocation = document.revocation;
    let staleness = revocation.map_or_else(
        || Says::Bounds(vec![UNBOUNDED], "not asked".to_owned()),
        |of| Says::amount(of.max_staleness_ms, duration(of.max_staleness_ms)),
    );
    facts.say("revocation", ".max_staleness", staleness);
    let stale = match revocation.map(|of| of.when_stale) {
        Some(answer @ OnFailure::Deny) => Says::amount(0, answer.as_str()),
        Some(answer @ OnFailure::Allow) => Says::amount(1, answer.as_str()),
        None => Says::amount(2, "not asked"),
    };
    facts.say("revocation", ".when_stale", stale);
}

fn feed(document: &Document, facts: &mut Facts) {
    let feed = &document.feed;
    let forwarded = match feed.forwarded_client_cert {
        None => Says::amount(0, "nobody's"),
        Some(whose @ ForwardedCert::LocalProxy) => Says::amount(1, whose.as_str()),
        Some(whose @ ForwardedCert::Anyone) => Says::amount(2, whose.as_str()),
    };
    facts.say("feed", ".forwarded_client_cert", forwarded);
    let poll = feed.poll_ms.map_or_else(|| "waits".to_owned(), duration);
    facts.say("feed", ".poll", Says::Plain(poll));
    let mut peers: Vec<String> = feed.peers.iter().flat_map(feed_peer).collect();
    if peers.is_empty() {
        peers.push("the server's own machine".to_owned());
    }
    facts.say("feed", ".peers", Says::any_of(peers));
}

fn feed_peer(peer: &FeedPeer) -> impl Iterator<Item = String> {
    let who = match &peer.identity {
        FeedIdentity::Spiffe(id) => id.clone(),
        FeedIdentity::Credential { name, sha256 } => {
            format!("{name} {}", fingerprint(&hex(sha256)))
        }
    };
    peer.workloads.iter().map(move |workload| format!("{who} for {workload}"))
}

/// Whose files may add routes, and for what.
fn owners(document: &Document, facts: &mut Facts) {
    let names = document.owners().map(|(name, _)| name.to_owned());
    facts.say("owners", "", Says::any_of(names));
    let patterns = |all: Vec<String>| Says::Patterns((!all.is_empty()).then_some(all));
    for (name, may) in document.owners() {
        let owner = format!("owners.{name}");
        let paths = may.paths.iter().map(|prefix| format!("{}*", prefix.value)).collect();
        facts.say(&owner, ".paths", patterns(paths));
        let hosts = may.hosts.iter().map(|host| host.value.clone()).collect();
        facts.say(&owner, ".hosts", patterns(hosts));
        let workloads = may.workloads.iter().map(|workload| workload.value.clone());
        facts.say(&owner, ".workloads", Says::any_of(workloads));
    }
}

fn mesh(document: &Document, facts: &mut Facts) {
    let mesh = &document.mesh;
    facts.say("mesh", ".trust_domain", Says::Root(mesh.trust_domain.clone()));
    // Every workload lets it in.
    let gateway = document.gateway().map_or_else(
        || "as the options say".to_owned(),
        |gateway| format!("{}/{}", gateway.namespace, gateway.service_account),
    );
    facts.say("mesh", ".gateway", Says::Root(gateway));
    // Whom none of these policies is for, policies of the rendering protect no more.
    let names = document.workloads.iter().map(|workload| workload.name.clone());
    facts.say("workloads", "", Says::all_of(names));
    facts.say("mesh", ".root_namespace", Says::Plain(mesh.root_namespace.clone()));
    for workload in &document.workloads {
        let owner = format!("workloads.{}", workload.name);
        let labels: Vec<String> =
            workload.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // Whose calls are let in, and where rules are held.
        let selector = format!("{} {}", workload.namespace, labels.join(","));
        facts.say(&owner, ".labels", Says::Root(selector));
        facts.say(&owner, ".service_account", Says::Root(workload.service_account.clone()));
        // Where the gateway and peers are let in; without a list, everywhere.
        let ports: Vec<String> = workload.ports.iter().map(ToString::to_string).collect();
        facts.say(&owner, ".ports", Says::any_of_or_all(&ports));
        facts.say(&owner, ".gateway", Says::Plain(workload.gateway.to_string()));
    }
    let filter = document.rate_limit_filter.as_ref();
    let answer = match filter.map(|filter| filter.on_failure) {
        Some(answer @ OnFailure::Deny) => Says::amount(0, answer.as_str()),
        Some(answer @ OnFailure::Allow) => Says::amount(1, answer.as_str()),
        None => Says::amount(2, "not asked"),
    };
    facts.say("rate_limit_filter", ".on_failure", answer);
    if let Some(filter) = filter {
        facts.say("rate_limit_filter", ".domain", Says::Root(filter.domain.clone()));
        // Where it lets through, the shorter the wait, the more pass uncounted.
        let uncounted = match filter.on_failure {
            OnFailure::Deny => (0, 1),
            OnFailure::Allow => (1, filter.timeout_ms),
        };
        let told = format!("{}, then {}", duration(filter.timeout_ms), filter.on_failure.as_str());
        let says = Says::Bounds(vec![uncounted], told);
        facts.say("rate_limit_filter", ".timeout", says);
    }
}
