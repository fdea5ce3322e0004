//! The circumstances of a case, and a stack in which they hold.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use postern_explain::cases::{ApiKey, Case};
use postern_explain::{Part, Revoked, UpstreamFailure};
use serde_json::Value;
use tempfile::TempDir;

use super::parts::{
    ext_proc_elsewhere, feed_elsewhere, listen, rate_limits_elsewhere, with_one_an_hour,
};
use super::sent::Prepared;
use crate::client::{Call, Client, Protocol};
use crate::gateway::{Gateway, Store};
use crate::redis::Redis;
use crate::server::{self, Durable};
use crate::upstream::Upstream;
use crate::{keys, ports};

/// How often a failing service is asked at most until its circuit is open.
const FAILURES: usize = 40;
/// What the rate limit service counts by, of a document that asks it: nothing that a test uses up.
const RATE_LIMITS: &str = "\
domain: shop
descriptors:
  - key: area
    rate_limit: {unit: year, requests_per_unit: 1000000}
";
/// Where issuers publish their keys that a document names by `$KEYS_AT`.
const KEYS_PATH: &str = "/keys/kit";

type TakeAway = fn(&mut Value);

/// Parts that Envoy's configuration takes away.
const TAKEN_AWAY: [(Part, TakeAway); 3] = [
    (Part::ExtProc, ext_proc_elsewhere),
    (Part::Feed, feed_elsewhere),
    (Part::RateLimitService, rate_limits_elsewhere),
];

/// The circumstances that cases share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Setting {
    pub(super) failed: BTreeSet<Part>,
    pub(super) open: BTreeSet<String>,
    pub(super) used_up: BTreeSet<String>,
    pub(super) revoked: bool,
}

impl Setting {
    /// Those of a case.
    ///
    /// # Panics
    /// When nobody can bring them about: such a case must say that it is not replayed.
    pub(super) fn of(case: &Case) -> Self {
        let given = &case.given;
        assert_ne!(
            given.revoked,
            Revoked::Unknown,
            "{}: say `failed: [feed]`, which a stack can bring about",
            case.name
        );
        assert!(
            !given.failed.contains(&Part::Bundle),
            "{}: no Envoy of a replay runs without its bundle; say that it is not replayed",
            case.name
        );
        Self {
            failed: given.failed.clone(),
            open: given.open.clone(),
            used_up: given.used_up.clone(),
            revoked: given.revoked == Revoked::Yes,
        }
    }

    /// Whether it takes nothing but requests: no part is away, and nobody revokes anything.
    pub(super) fn is_of_requests(&self) -> bool {
        self.failed.is_empty() && self.open.is_empty() && !self.revoked
    }

    fn has_failed(&self, part: &Part) -> bool {
        self.failed.contains(part)
    }

    fn upstream(&self) -> Option<UpstreamFailure> {
        self.failed.iter().find_map(|part| match part {
            Part::Upstream(failure) => Some(*failure),
            _ => None,
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> =
            self.failed.iter().map(|part| format!("{part} failed")).collect();
        words.extend(self.open.iter().map(|service| format!("circuit of {service} open")));
        words.extend(self.used_up.iter().map(|limit| format!("{limit} used up")));
        words.extend(self.revoked.then(|| "revoked".to_owned()));
        let text = words.join(", ");
        f.write_str(if text.is_empty() { "all well" } else { &text })
    }
}

/// A stack, and what else must live as long.
pub(super) struct Stack {
    pub(super) gateway: Gateway,
    /// API keys of the durable store, by what they are in the case file.
    stored: Vec<(ApiKey, String)>,
    _rate_limits: Option<TempDir>,
    _issuers: Upstream,
    _redis: Option<Redis>,
}

impl Stack {
    /// Starts one; none where it takes a Redis process and there is none.
    pub(super) async fn start(document: &str, setting: &Setting, cases: &[&Case]) -> Option<Self> {
        let redis = match setting.has_failed(&Part::VolatileStore) {
            true => Some(Redis::down_or_skip()?),
            false => None,
        };
        let issuers = Upstream::start().await;
        publish_keys(&issuers).await;
        let document = in_setting(document, setting, issuers.address()).await;
        let stored = stored_keys(cases);
        let needs_durable = setting.revoked
            || setting.has_failed(&Part::DurableStore)
            || !stored.is_empty()
            || document.contains("\nrevocation:");
        let asks_rate_limits = document.contains("\nrate_limit_filter:");
        let mut builder = Gateway::builder().document(document);
        if needs_durable {
            builder = builder.durable();
        }
        if let Some(redis) = &redis {
            builder = builder.store(Store::At(redis.url()));
        }
        let rate_limits = asks_rate_limits.then(rate_limit_rules);
        if let Some(folder) = &rate_limits {
            let folder = folder.path().display().to_string();
            builder = builder.serve_with(["--rate-limit-config".to_owned(), folder]);
        }
        let away: Vec<TakeAway> = TAKEN_AWAY
            .iter()
            .filter(|(part, _)| setting.has_failed(part))
            .map(|(_, take_away)| *take_away)
            .collect();
        let builder = builder.edit_envoy(move |config| {
            for take_away in away {
                take_away(config);
            }
        });
        let gateway = builder.start().await;
        let stack = Self {
            gateway,
            stored: Vec::new(),
            _rate_limits: rate_limits,
            _issuers: issuers,
            _redis: redis,
        };
        Some(stack.with_keys(stored).await)
    }

    /// Makes API keys in the durable store.
    async fn with_keys(mut self, wanted: Vec<ApiKey>) -> Self {
        for key in wanted {
            let durable = self.gateway.durable.as_ref().expect("a durable store");
            let text = create_key(durable, &key).await;
            self.stored.push((key, text));
        }
        self
    }

    /// The text of an API key.
    pub(super) fn key(&self, key: &ApiKey) -> String {
        match key {
            ApiKey::Text(text) => text.clone(),
            ApiKey::OfDocument { id, .. } => {
                panic!("nobody knows the text of the API key {id}: write `text` into the case file")
            }
            ApiKey::Stored(_) => {
                let found = self.stored.iter().find(|(known, _)| known == key);
                found.expect("a key that was created").1.clone()
            }
        }
    }

    /// Takes parts away and fails services, once all runs.
    pub(super) async fn bring_about(&mut self, setting: &Setting, cases: &[&Case]) {
        self.warm_up(setting, cases).await;
        if setting.upstream() == Some(UpstreamFailure::Status) {
            for case in cases {
                self.gateway.upstream.fail(first_segment(&case.request.path), 500);
            }
        }
        for service in &setting.open {
            self.open_circuit(service, cases).await;
        }
        if setting.has_failed(&Part::DurableStore) {
            let durable = self.gateway.durable.clone().expect("a durable store");
            // It never ends: the stack is for these cases alone.
            let _outage = durable.take_away();
        }
        if setting.has_failed(&Part::Server) {
            self.gateway.server.take_down();
        }
    }

    /// One request each: what a part is asked for first may take it longer than its budget allows,
    /// and Envoy's answer then could look like the one that is expected. Keys that the server is
    /// not to know are not shown to it.
    async fn warm_up(&self, setting: &Setting, cases: &[&Case]) {
        let forgets = setting.has_failed(&Part::DurableStore);
        for case in cases {
            let is_stored = matches!(case.request.api_key.as_deref(), Some(ApiKey::Stored(_)));
            if !(forgets && is_stored) {
                Prepared::of(case, self).send(self.gateway.port()).await;
            }
        }
    }

    /// By requests of a case that expects to find it open.
    async fn open_circuit(&self, service: &str, cases: &[&Case]) {
        let opener = cases.iter().find(|case| case.expect.error.as_deref() == Some("CIRCUIT_OPEN"));
        let opener =
            opener.unwrap_or_else(|| panic!("no case finds the circuit of {service} open"));
        let segment = first_segment(&opener.request.path);
        self.gateway.upstream.fail(segment, 500);
        let prepared = Prepared::of(opener, self);
        for _ in 0..FAILURES {
            if prepared.send(self.gateway.port()).await.status == 503 {
                return;
            }
        }
        panic!("the circuit of {service} stays closed after {FAILURES} failures");
    }

    /// Revokes the token of a case.
    pub(super) async fn revoke(&self, prepared: &Prepared<'_>) {
        let token = prepared.token().expect("a token to revoke");
        self.gateway.revoke(&[token]).await;
    }
}

/// The sample upstream counts and fails by it.
fn first_segment(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

async fn publish_keys(issuers: &Upstream) {
    let call = Call::new("PUT", &format!("/_sample/static?path={KEYS_PATH}"));
    let client = Client::new(Protocol::Http1, issuers.address().port());
    client.send(&call.body(keys::JWKS)).await.expect(200);
}

/// Fills in where issuers publish their keys.
pub(super) fn with_keys_at(document: &str, keys_at: SocketAddr) -> String {
    document.replace("$KEYS_AT", &keys_at.to_string()).replace("$KEYS", KEYS_PATH)
}

/// The document as it brings a setting about.
async fn in_setting(document: &str, setting: &Setting, issuers: SocketAddr) -> String {
    let nobody = ports::local(ports::free());
    let mut parts = setting.failed.iter();
    let never = parts.any(|part| matches!(part, Part::IssuerKeys { never: true, .. }));
    let mut document = with_keys_at(document, if never { nobody } else { issuers });
    let misbehaving = match setting.upstream() {
        Some(UpstreamFailure::Refused) => Some(nobody),
        Some(UpstreamFailure::Hang) => Some(listen(false).await),
        Some(UpstreamFailure::Reset) => Some(listen(true).await),
        Some(UpstreamFailure::Status) | None => None,
    };
    if let Some(address) = misbehaving {
        document = document.replace("$UPSTREAM", &address.to_string());
    }
    for limit in &setting.used_up {
        document = with_one_an_hour(&document, limit);
    }
    document
}

/// A folder with the rate limit service's configuration.
fn rate_limit_rules() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rules.yaml"), RATE_LIMITS).expect("the rules");
    folder
}

/// API keys that cases take for stored, each once.
fn stored_keys(cases: &[&Case]) -> Vec<ApiKey> {
    let mut stored: Vec<ApiKey> = Vec::new();
    for key in cases.iter().filter_map(|case| case.request.api_key.as_deref()) {
        if matches!(key, ApiKey::Stored(_)) && !stored.contains(key) {
            stored.push(key.clone());
        }
    }
    stored
}

async fn create_key(durable: &Durable, key: &ApiKey) -> String {
    let ApiKey::Stored(principal) = key else { panic!("not of the durable store: {key:?}") };
    let scopes = principal.scopes.join(" ");
    let mut words = vec!["apikey", "create", "--json", "--subject", &principal.subject];
    words.extend(["--scopes", &scopes]);
    if let Some(client) = &principal.client_id {
        words.extend(["--client-id", client]);
    }
    if let Some(tier) = &principal.tier {
        words.extend(["--tier", tier]);
    }
    let text = server::run(durable.arguments(&words)).await.expect_success();
    let created: Value = serde_json::from_str(&text).expect("JSON");
    created["key"].as_str().expect("a key").to_owned()
}
