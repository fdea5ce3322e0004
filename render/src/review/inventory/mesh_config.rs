//! MeshConfig, wherever it stands: in a file of its own, in the ConfigMap of istiod, in the
//! values of an installation.

use postern_document::yaml::{Problems, parse_all};
use postern_request::normalize::Normalization;
use serde_json::Value;

use super::duration::millis;
use super::{Inventory, Resource, list, text, value};
use crate::review::model::Place;

/// The parts of MeshConfig that a review asks about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::review) struct MeshConfig {
    pub(in crate::review) root_namespace: Option<String>,
    /// `trustDomain`
    pub(in crate::review) trust_domain: Option<String>,
    /// `trustDomainAliases`: names of the same trust domain.
    pub(in crate::review) aliases: Vec<String>,
    /// `caCertificates[].trustDomains`: others whose certificates workloads take, too
    /// (`pilot/pkg/networking/plugin/authn/util.go`, `TrustDomainsForValidation`).
    pub(in crate::review) foreign_domains: Vec<String>,
    /// `pathNormalization.normalization`
    pub(in crate::review) normalization: Option<String>,
    /// Authorizers; none where it has no list at all.
    pub(in crate::review) providers: Option<Vec<Provider>>,
}

/// An authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Provider {
    pub(in crate::review) name: String,
    pub(in crate::review) grpc: bool,
    /// Where it is asked: a service and its port, and what stands in front of paths.
    pub(in crate::review) asked: String,
    pub(in crate::review) fail_open: bool,
    /// How long it may take, in milliseconds; none where that has no end.
    pub(in crate::review) timeout_ms: Option<u64>,
}

/// MeshConfig, and where it was found.
#[derive(Debug, Clone)]
pub(in crate::review) struct Found {
    pub(in crate::review) config: MeshConfig,
    pub(in crate::review) place: Place,
    origin: Origin,
    /// The resource that it stands in; empty where it stands in none.
    namespace: String,
    name: String,
}

/// Where MeshConfig may stand: what istiod reads itself, what an installation makes that of, and
/// files of somebody's own, such as the rendered part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Cluster,
    Installation,
    Bare,
}

/// What was found of MeshConfig.
pub(in crate::review) struct Configs<'i> {
    /// That which counts first.
    all: Vec<&'i Found>,
    /// ConfigMaps that istiod does not read.
    pub(in crate::review) strays: Vec<&'i Found>,
}

impl<'i> Configs<'i> {
    /// What holds in the mesh, as far as it is known.
    pub(in crate::review) fn counts(&self) -> Option<&'i Found> {
        self.all.first().copied()
    }

    /// What does not hold, unless it says the same.
    pub(in crate::review) fn others(&self) -> impl Iterator<Item = &'i Found> {
        self.all.iter().skip(1).copied()
    }
}

impl Found {
    pub(super) fn bare(config: MeshConfig, place: Place) -> Self {
        let (namespace, name) = (String::new(), String::new());
        Self { config, place, origin: Origin::Bare, namespace, name }
    }

    /// How reports call it.
    pub(in crate::review) fn told(&self) -> String {
        match self.origin {
            Origin::Cluster => format!("ConfigMap {}/{}", self.namespace, self.name),
            Origin::Installation => format!("installation {}/{}", self.namespace, self.name),
            Origin::Bare => format!("MeshConfig in {}", self.place.file),
        }
    }

    /// istiod reads the ConfigMap of its own namespace and revision.
    fn is_read(&self, root: &str) -> bool {
        let is_named = self.name == "istio" || self.name.starts_with("istio-");
        self.origin != Origin::Cluster || self.namespace == root && is_named
    }
}

impl Inventory {
    /// MeshConfig: the cluster's own before what an installation is made of, and that before files
    /// of somebody's own. `root` is the namespace of istiod.
    pub(in crate::review) fn configs(&self, root: &str) -> Configs<'_> {
        let (mut all, strays): (Vec<&Found>, Vec<&Found>) =
            self.configs.iter().partition(|found| found.is_read(root));
        all.sort_by(|a, b| (a.origin, &a.name, &a.place).cmp(&(b.origin, &b.name, &b.place)));
        Configs { all, strays }
    }
}

/// Members by which MeshConfig is told from other files.
const TOLD_BY: [&str; 7] = [
    "caCertificates",
    "extensionProviders",
    "pathNormalization",
    "rootNamespace",
    "trustDomain",
    "trustDomainAliases",
    "meshConfig",
];

/// MeshConfig that is no resource: itself, or the values of istiod's chart.
pub(super) fn bare(value: &Value) -> Option<MeshConfig> {
    let members = value.as_object()?;
    let is_resource = members.contains_key("apiVersion") && members.contains_key("kind");
    if is_resource || !TOLD_BY.iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    Some(read(value.get("meshConfig").unwrap_or(value)))
}

/// MeshConfig within a resource.
pub(super) fn of_resource(resource: &Resource) -> Option<Found> {
    let found = |origin: Origin, config: MeshConfig| Found {
        config,
        place: resource.place.clone(),
        origin,
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
    };
    match resource.kind.as_str() {
        "IstioOperator" | "Istio" => {
            let of_sail = resource.value.pointer("/spec/values/meshConfig");
            let config = resource.value.pointer("/spec/meshConfig").or(of_sail)?;
            Some(found(Origin::Installation, read(config)))
        }
        "ConfigMap" => {
            let mesh = resource.text("/data/mesh")?;
            // What stands there is istiod's to refuse; here it only says nothing.
            let mut problems = Problems::new(Vec::new());
            let node = parse_all(mesh, 0, &mut problems).into_iter().next()?;
            let mut config = read(&value(&node));
            // This is all that istiod reads: where it lists no providers, there are none, and
            // where it names no trust domain, that is the default (`pkg/config/mesh/mesh.go`).
            config.providers.get_or_insert_with(Vec::new);
            config.trust_domain.get_or_insert_with(|| DEFAULT_TRUST_DOMAIN.to_owned());
            Some(found(Origin::Cluster, config))
        }
        _ => None,
    }
}

const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";

fn read(config: &Value) -> MeshConfig {
    let own = |name: &str| text(config, name).filter(|text| !text.is_empty()).map(str::to_owned);
    // istiod leaves empty ones out.
    let domains = |all: &[Value]| -> Vec<String> {
        let named = all.iter().filter_map(Value::as_str).filter(|name| !name.is_empty());
        named.map(str::to_owned).collect()
    };
    let certificates = list(config, "/caCertificates").iter();
    let providers = config.get("extensionProviders").and_then(Value::as_array);
    MeshConfig {
        root_namespace: own("/rootNamespace"),
        trust_domain: own("/trustDomain"),
        aliases: domains(list(config, "/trustDomainAliases")),
        foreign_domains: certificates
            .flat_map(|certificate| domains(list(certificate, "/trustDomains")))
            .collect(),
        normalization: own("/pathNormalization/normalization"),
        providers: providers.map(|all| all.iter().filter_map(provider).collect()),
    }
}

/// A provider that authorizes; others trace and log.
fn provider(value: &Value) -> Option<Provider> {
    let kinds = [("envoyExtAuthzGrpc", true), ("envoyExtAuthzHttp", false)];
    let (settings, grpc) =
        kinds.iter().find_map(|(kind, grpc)| Some((value.get(*kind)?, *grpc)))?;
    let of = |name: &str| text(settings, name).unwrap_or_default();
    let port = settings.get("port").map_or_else(String::new, ToString::to_string);
    Some(Provider {
        name: text(value, "/name")?.to_owned(),
        grpc,
        asked: format!("{}:{port}{}", of("/service"), of("/pathPrefix")),
        fail_open: settings.get("failOpen").and_then(Value::as_bool).unwrap_or(false),
        // Envoy reads 0 as no end.
        timeout_ms: text(settings, "/timeout").and_then(millis).filter(|millis| *millis > 0),
    })
}

impl MeshConfig {
    /// How proxies of the mesh read paths; none where the word is not known.
    pub(in crate::review) fn reads_paths(word: &str) -> Option<Normalization> {
        Some(match word {
            "NONE" => Normalization::ISTIO_NONE,
            "BASE" | "DEFAULT" => Normalization::ISTIO_BASE,
            "MERGE_SLASHES" => Normalization::ISTIO_MERGE,
            "DECODE_AND_MERGE_SLASHES" => Normalization::ISTIO_DECODE,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    const BARE: &str = "extensionProviders:\n- name: a\n  envoyExtAuthzGrpc: {service: s, port: 1}\n\
                        - name: log\n  envoyFileAccessLog: {path: /dev/stdout}\n";

    fn map(id: &str, timeout: &str) -> String {
        let (namespace, name) = id.split_once('/').unwrap();
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             data:\n  mesh: |\n    extensionProviders:\n    - name: a\n      \
             envoyExtAuthzGrpc: {{service: s, port: 1{timeout}}}\n"
        )
    }

    #[test]
    fn mesh_config_is_found_where_it_may_stand() {
        let operator = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n\
                        metadata: {name: i}\nspec:\n  meshConfig:\n    extensionProviders:\n    \
                        - name: a\n      envoyExtAuthzGrpc: {service: s, port: 1}\n";
        for text in [BARE, &map("r/istio", ""), operator] {
            let found = load(text);
            let configs = found.inventory.configs("r");
            let providers = configs.counts().unwrap().config.providers.clone().unwrap();
            assert_eq!(providers.len(), 1, "{text}");
            assert!(providers[0].grpc && !providers[0].fail_open, "{text}");
            assert_eq!(providers[0].asked, "s:1", "{text}");
            assert_eq!(providers[0].timeout_ms, None);
        }
    }

    #[test]
    fn the_clusters_own_counts_and_no_other_config_map() {
        let read = |text: &str| {
            let found = load(text);
            let configs = found.inventory.configs("r");
            let told: Vec<String> = configs.others().map(Found::told).collect();
            (configs.counts().map(Found::told), told, configs.strays.len())
        };
        let both = format!("{BARE}---\n{}", map("r/istio", ""));
        let cluster = Some("ConfigMap r/istio".to_owned());
        assert_eq!(read(&both), (cluster, vec!["MeshConfig in f.yaml".to_owned()], 0));
        for stray in ["other/istio", "r/mesh"] {
            assert_eq!(read(&map(stray, "")), (None, Vec::new(), 1), "{stray}");
        }
        let revision = Some("ConfigMap r/istio-canary".to_owned());
        assert_eq!(read(&map("r/istio-canary", "")), (revision, Vec::new(), 0));
    }

    #[test]
    fn trust_domains_are_those_of_the_mesh_and_of_its_certificates() {
        let document = postern_document::load(
            &[postern_document::Source {
                name: "gateway.yaml".to_owned(),
                text: "version: 1\nmesh: {trust_domain: own.test}\n\
                       services: {a: {upstream: 'a:80'}}\n\
                       routes: [{name: a, match: {path: /a}, service: a, auth: none}]\n"
                    .to_owned(),
            }],
            &|_| Err(String::new()),
        )
        .unwrap();
        let mesh = |text: &str| {
            let mesh = load(text).mesh(&document);
            (mesh.trust_domains.join(" "), mesh.foreign_domains.join(" "), mesh.any_trust_domain)
        };
        let told = |own: &str, foreign: &str| (own.to_owned(), foreign.to_owned(), false);
        let foreign = "caCertificates: [{pem: a, trustDomains: [b, '']}, {pem: c}, \
                       {spiffeBundleUrl: d, trustDomains: [e]}]\n";
        for (text, expected) in [
            (foreign.to_owned(), told("own.test", "b e")),
            // An alias is no trust domain of its own.
            ("trustDomainAliases: [old]\n".to_owned(), told("own.test old", "")),
            (
                format!("trustDomain: td\ntrustDomainAliases: [old]\n{foreign}"),
                told("td old", "b e"),
            ),
            (map("istio-system/istio", ""), told("cluster.local", "")),
            ("rootNamespace: r\ncaCertificates: [{pem: a}]\n".to_owned(), told("own.test", "")),
        ] {
            assert_eq!(mesh(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_timeout_of_zero_is_none() {
        let timeout = |text: &str| {
            let found = load(&map("r/istio", text));
            found.inventory.configs("r").counts().unwrap().config.providers.as_ref().unwrap()[0]
                .timeout_ms
        };
        assert_eq!(timeout(", timeout: 0.25s"), Some(250));
        assert_eq!(timeout(", timeout: 10m"), Some(600_000));
        assert_eq!(timeout(", timeout: 0s"), None);
        assert_eq!(timeout(", timeout: soon"), None);
    }
}
