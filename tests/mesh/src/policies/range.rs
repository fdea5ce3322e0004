//! Envoys that answer cases: each stands before a workload `guarded` in a namespace of its own, so
//! that one case is in force there and nothing else.
//!
//! An answer says more than a status, because the Envoys are told to: refusals say by which policy,
//! all answers whether an AUDIT rule matched. A CUSTOM policy's provider is the sample upstream; it
//! leaves a header by which the request that goes on tells that it was asked.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use postern_e2e::policies::expected::{self, LABELS, PORTS, PROVIDERS, TRUST_DOMAINS};
use postern_e2e::policies::{Answer, Caller, Case, HOST, Places, ROOT, Recorded, Sent, TCP_PORT};
use postern_e2e::{keys, wait};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::mesh::Mesh;
use crate::program;
use crate::raw::{self, Tls};
use crate::workload::{Kind, Port, Workload};

/// The workloads: names, namespaces, and the values of the label that each has alone.
const SLOTS: [(&str, &str, &str); 12] = [
    ("guarded-00", "home-00", "00"),
    ("guarded-01", "home-01", "01"),
    ("guarded-02", "home-02", "02"),
    ("guarded-03", "home-03", "03"),
    ("guarded-04", "home-04", "04"),
    ("guarded-05", "home-05", "05"),
    ("guarded-06", "home-06", "06"),
    ("guarded-07", "home-07", "07"),
    ("guarded-08", "home-08", "08"),
    ("guarded-09", "home-09", "09"),
    ("guarded-10", "home-10", "10"),
    ("guarded-11", "home-11", "11"),
];
/// The last part of the first one's address.
const FIRST: u8 = 50;
/// A namespace that nobody lives in.
const AWAY: &str = "away";
/// Where the provider is, and what it leaves behind.
const PROVIDERS_NAMESPACE: &str = "providers";
const PROVIDER_HOST: &str = "permit.providers.test";
const PROVIDER_PORT: u16 = 8000;
const ASKED: &str = "x-powered-by";
const AUDITED: &str = "x-audited: true";
/// What a DENY rule is called that istiod makes of a CUSTOM rule without a provider.
const NO_PROVIDER: &str = "-deny-due-to-bad-CUSTOM-action";
/// The longest that listeners warm up.
const SETTLE: Duration = Duration::from_secs(20);
/// How long an answer that nobody expects may be one of rules that were in force before.
const AGAIN: Duration = Duration::from_secs(1);

/// A mesh with such Envoys.
#[derive(Debug)]
pub struct Range {
    /// The mesh.
    pub mesh: Mesh,
    slots: Vec<Slot>,
}

/// One of the Envoys.
#[derive(Debug, Clone)]
struct Slot {
    address: IpAddr,
    places: Places,
    identities: Vec<(Caller, Tls, Tls)>,
}

impl Range {
    /// Starts everything.
    pub async fn start() -> Self {
        let mut mesh = Mesh::builder().edit_mesh_config(configure).start().await;
        let upstream = mesh.upstream.address();
        mesh.control_plane.put("policies", &surroundings(upstream));
        mesh.add_all(&workloads(upstream.port())).await;
        let mut slots = Vec::new();
        for (name, namespace, slot) in SLOTS {
            let mut identities = Vec::new();
            for caller in Caller::ALL {
                if let Some((namespace, account)) = caller.identity(namespace) {
                    let pair = mesh.certificates.of_workload(namespace, account).await;
                    let http = Tls::of_workload(&pair, HOST);
                    identities.push((caller, http, Tls::of_workload_over_tcp(&pair, HOST)));
                }
            }
            let places = Places {
                home: namespace.to_owned(),
                slot: slot.to_owned(),
                jwks: keys::JWKS.trim().to_owned(),
            };
            let address = mesh.address_of(name).parse().expect("an address");
            slots.push(Slot { address, places, identities });
        }
        Self { mesh, slots }
    }

    /// Has all cases answered.
    pub async fn answer(&self, cases: Vec<Case>) -> Recorded {
        let (alone, beside): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(Case::is_for_all);
        let mut answered = Vec::new();
        for batch in beside.chunks(SLOTS.len()).chain(alone.chunks(1)) {
            answered.extend(self.batch(batch).await);
        }
        let (istiod, envoy) = (program::istio_version().await, self.mesh.gateway().version().await);
        Recorded { istiod, envoy, cases: answered }
    }

    /// Puts cases into force beside each other.
    async fn batch(&self, cases: &[Case]) -> Vec<Case> {
        let placed = || cases.iter().zip(&self.slots);
        let objects: Vec<Value> =
            placed().flat_map(|(case, slot)| case.resources(&slot.places)).collect();
        self.mesh.put("cases", &objects).await;
        self.listeners().await;
        let mut tasks = JoinSet::new();
        for (at, (case, slot)) in placed().enumerate() {
            let (case, slot) = (case.clone(), slot.clone());
            tasks.spawn(async move { (at, slot.answer(&case).await) });
        }
        let mut answered = tasks.join_all().await;
        answered.sort_by_key(|(at, _)| *at);
        answered.into_iter().map(|(_, case)| case).collect()
    }

    /// Waits for listeners: an Envoy has taken one before it serves.
    async fn listeners(&self) {
        for (name, ..) in SLOTS {
            let proxy = self.mesh.proxy(name);
            wait::until("listener that serves", SETTLE, || async {
                let stats = proxy.stats().await;
                match stats.get("listener_manager.total_listeners_warming") {
                    Some(0) => Ok(()),
                    other => Err(format!("{name}: {other:?} are warming")),
                }
            })
            .await;
        }
    }
}

impl Slot {
    async fn answer(&self, case: &Case) -> Case {
        let answered = self.ask_all(case).await;
        if expected::differences(&answered).is_empty() {
            return answered;
        }
        tokio::time::sleep(AGAIN).await;
        self.ask_all(case).await
    }

    async fn ask_all(&self, case: &Case) -> Case {
        let mut requests = Vec::with_capacity(case.requests.len());
        for (sent, _) in &case.requests {
            let text = self.ask(sent).await;
            let answer = read(&text, &self.places);
            let answer = answer.unwrap_or_else(|| {
                panic!(
                    "{}: {} was answered\n{text}",
                    case.name,
                    String::from_utf8_lossy(&sent.bytes())
                )
            });
            requests.push((sent.clone(), Some(answer)));
        }
        Case { name: case.name.clone(), policies: case.policies.clone(), requests }
    }

    async fn ask(&self, sent: &Sent) -> String {
        let identity = self.identities.iter().find(|(caller, ..)| *caller == sent.from);
        let tls = identity.map(|(_, http, tcp)| {
            let tls = if sent.is_http() { http } else { tcp };
            tls.clone()
        });
        let to = SocketAddr::new(self.address, sent.port);
        let received = raw::exchange(sent.source, to, tls, sent.bytes()).await;
        String::from_utf8_lossy(&received).into_owned()
    }
}

/// What an Envoy's answer says; none where it is none that these Envoys give.
fn read(text: &str, places: &Places) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let Some(status) = head.strip_prefix("HTTP/1.1 ") else { return Some(Answer::Closed) };
    let status: u16 = status.split(' ').next()?.parse().ok()?;
    let audited = head.lines().any(|line| line.eq_ignore_ascii_case(AUDITED));
    if status == 200 {
        let echo: Value = serde_json::from_str(body).ok()?;
        let asked = !echo["headers"][ASKED].is_null();
        return Some(Answer::Passed { asked, audited });
    }
    if body.starts_with("jwt_authn_access_denied") {
        return Some(Answer::Token(status));
    }
    let policy =
        body.strip_prefix("rbac_access_denied_matched_policy[").filter(|_| status == 403)?;
    let policy = policy.trim_end().strip_suffix(']')?;
    if policy == "none" {
        return Some(Answer::Denied { by: None, audited });
    }
    let by = rule(policy, places)?;
    Some(match policy.ends_with(NO_PROVIDER) {
        true => Answer::NoProvider { by },
        false => Answer::Denied { by: Some(by), audited },
    })
}

/// A rule by the name that istiod gives it.
fn rule(policy: &str, places: &Places) -> Option<String> {
    let (_, rest) = policy.split_once("ns[")?;
    let (namespace, rest) = rest.split_once("]-policy[")?;
    let (name, rest) = rest.split_once("]-rule[")?;
    let (number, _) = rest.split_once(']')?;
    Some(places.rule(namespace, name, number))
}

/// What an installation says besides.
fn configure(config: &mut Value) {
    config["trustDomainAliases"] = json!([TRUST_DOMAINS[1]]);
    let providers = config["extensionProviders"].as_array_mut().expect("providers");
    providers.extend(PROVIDERS.map(|name| {
        json!({"name": name, "envoyExtAuthzHttp": {
            "service": PROVIDER_HOST,
            "port": PROVIDER_PORT,
            "pathPrefix": "/permit",
            "headersToUpstreamOnAllow": [ASKED],
            "timeout": "5s",
        }})
    }));
}

fn workloads(upstream: u16) -> Vec<Workload> {
    let one =
        |(last, (name, namespace, slot)): (u8, (&'static str, &'static str, &'static str))| {
            let port = |(number, name): (u16, &'static str)| Port {
                number,
                name,
                protocol: if number == TCP_PORT { "TCP" } else { "HTTP" },
                program: upstream,
            };
            Workload {
                name,
                namespace,
                service_account: "guarded",
                labels: LABELS.into_iter().chain([("slot", slot)]).collect(),
                kind: Kind::Sidecar,
                last,
                ports: PORTS.into_iter().zip(["http-a", "http-b", "tcp-c"]).map(port).collect(),
                sees: vec!["./*", "providers/*"],
            }
        };
    (FIRST..).zip(SLOTS).map(one).collect()
}

fn surroundings(upstream: SocketAddr) -> Vec<Value> {
    let namespaces = SLOTS.map(|(_, namespace, _)| namespace);
    let mut objects: Vec<Value> = namespaces
        .into_iter()
        .chain([AWAY, PROVIDERS_NAMESPACE])
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .collect();
    objects.push(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "permit", "namespace": PROVIDERS_NAMESPACE},
        "spec": {
            "hosts": [PROVIDER_HOST],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "ports": [{"name": "http", "number": PROVIDER_PORT, "protocol": "HTTP"}],
            "endpoints": [{"address": upstream.ip().to_string(), "ports": {"http": upstream.port()}}],
        },
    }));
    objects.push(tell());
    objects
}

/// Has Envoys say why they answer as they do.
fn tell() -> Value {
    const MANAGER: &str = "envoy.filters.network.http_connection_manager";
    const TYPED: &str = "type.googleapis.com/envoy.extensions.filters.network.\
                         http_connection_manager.v3.HttpConnectionManager";
    let audited = "%DYNAMIC_METADATA(envoy.common:access_log_hint)%";
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "tell", "namespace": ROOT},
        "spec": {"priority": 1000, "configPatches": [
            {
                "applyTo": "NETWORK_FILTER",
                "match": {
                    "context": "SIDECAR_INBOUND",
                    "listener": {"filterChain": {"filter": {"name": MANAGER}}},
                },
                "patch": {"operation": "MERGE", "value": {"typed_config": {
                    "@type": TYPED,
                    "local_reply_config": {"body_format": {"text_format_source": {
                        "inline_string": "%RESPONSE_CODE_DETAILS%",
                    }}},
                }}},
            },
            {
                "applyTo": "ROUTE_CONFIGURATION",
                "match": {"context": "SIDECAR_INBOUND"},
                "patch": {"operation": "MERGE", "value": {"response_headers_to_add": [
                    {"header": {"key": "x-audited", "value": audited}},
                ]}},
            },
        ]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_each_other() {
        let places =
            Places { home: "home-03".to_owned(), slot: "03".to_owned(), jwks: String::new() };
        let refused = |status: &str, body: &str| {
            read(&format!("HTTP/1.1 {status} X\r\nx-audited: false\r\n\r\n{body}"), &places)
        };
        let word = |answer: Option<Answer>| answer.map(|answer| answer.to_string());
        let rbac = |policy: &str| {
            word(refused("403", &format!("rbac_access_denied_matched_policy[{policy}]")))
        };
        assert_eq!(rbac("none").as_deref(), Some("denied none"));
        assert_eq!(rbac("ns[home-03]-policy[p]-rule[1]").as_deref(), Some("denied $HOME/p/1"));
        let root = "ns[istio-system]-policy[p-03]-rule[0]";
        assert_eq!(rbac(root).as_deref(), Some("denied istio-system/p-$SLOT/0"));
        let custom = format!("istio-ext-authz-nobody-ns[home-03]-policy[c]-rule[0]{NO_PROVIDER}");
        assert_eq!(rbac(&custom).as_deref(), Some("provider $HOME/c/0"));
        let token = refused("401", "jwt_authn_access_denied{Jwt_is_expired}");
        assert_eq!(word(token).as_deref(), Some("token 401"));
        assert_eq!(refused("503", "upstream"), None);
        assert_eq!(refused("403", "something else"), None);
        assert_eq!(read("", &places), Some(Answer::Closed));
        let passed = |headers: &str| {
            let text =
                format!("HTTP/1.1 200 OK\r\nx-audited: true\r\n\r\n{{\"headers\":{headers}}}");
            word(read(&text, &places))
        };
        assert_eq!(passed("{}").as_deref(), Some("pass audited"));
        assert_eq!(passed("{\"x-powered-by\":\"sample\"}").as_deref(), Some("asked audited"));
    }
}
