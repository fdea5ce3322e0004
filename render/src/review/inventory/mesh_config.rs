//! MeshConfig, wherever it stands: in a file of its own, in the ConfigMap of istiod, in the
//! values of an installation.

use postern_document::yaml::{Problems, parse_all};
use postern_request::normalize::Normalization;
use serde_json::Value;

use super::{Resource, list, text, value};

/// The parts of MeshConfig that a review asks about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::review) struct MeshConfig {
    pub(in crate::review) root_namespace: Option<String>,
    /// The trust domain, then its aliases; empty where it names none.
    pub(in crate::review) trust_domains: Vec<String>,
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
    pub(in crate::review) fail_open: bool,
    pub(in crate::review) has_timeout: bool,
}

/// Members by which MeshConfig is told from other files.
const TOLD_BY: [&str; 6] = [
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
pub(super) fn of_resource(resource: &Resource) -> Option<MeshConfig> {
    match resource.kind.as_str() {
        "IstioOperator" | "Istio" => {
            let of_sail = resource.value.pointer("/spec/values/meshConfig");
            resource.value.pointer("/spec/meshConfig").or(of_sail).map(read)
        }
        "ConfigMap" => {
            let mesh = resource.text("/data/mesh")?;
            // What stands there is istiod's to refuse; here it only says nothing.
            let mut problems = Problems::new(Vec::new());
            let node = parse_all(mesh, 0, &mut problems).into_iter().next()?;
            Some(read(&value(&node)))
        }
        _ => None,
    }
}

fn read(config: &Value) -> MeshConfig {
    let own = |name: &str| text(config, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let aliases = list(config, "/trustDomainAliases").iter().filter_map(Value::as_str);
    let domain = own("/trustDomain");
    let providers = config.get("extensionProviders").and_then(Value::as_array);
    MeshConfig {
        root_namespace: own("/rootNamespace"),
        trust_domains: domain.into_iter().chain(aliases.map(str::to_owned)).collect(),
        normalization: own("/pathNormalization/normalization"),
        providers: providers.map(|all| all.iter().filter_map(provider).collect()),
    }
}

/// A provider that authorizes; others trace and log.
fn provider(value: &Value) -> Option<Provider> {
    let kinds = [("envoyExtAuthzGrpc", true), ("envoyExtAuthzHttp", false)];
    let (settings, grpc) =
        kinds.iter().find_map(|(kind, grpc)| Some((value.get(*kind)?, *grpc)))?;
    Some(Provider {
        name: text(value, "/name")?.to_owned(),
        grpc,
        fail_open: settings.get("failOpen").and_then(Value::as_bool).unwrap_or(false),
        has_timeout: settings.get("timeout").is_some(),
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

    #[test]
    fn mesh_config_is_found_where_it_may_stand() {
        let bare = "extensionProviders:\n- name: a\n  envoyExtAuthzGrpc: {service: s, port: 1}\n\
                    - name: log\n  envoyFileAccessLog: {path: /dev/stdout}\n";
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: i}\n\
                   data:\n  mesh: |\n    extensionProviders:\n    - name: a\n      \
                   envoyExtAuthzGrpc: {service: s, port: 1}\n";
        let operator = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n\
                        metadata: {name: i}\nspec:\n  meshConfig:\n    extensionProviders:\n    \
                        - name: a\n      envoyExtAuthzGrpc: {service: s, port: 1}\n";
        for text in [bare, map, operator] {
            let mesh = load(text).inventory.mesh.unwrap();
            let providers = mesh.providers.unwrap();
            assert_eq!(providers.len(), 1, "{text}");
            assert!(providers[0].grpc && !providers[0].has_timeout && !providers[0].fail_open);
        }
    }
}
