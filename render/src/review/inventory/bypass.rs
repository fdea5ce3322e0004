//! How connections reach a pod without its sidecar: none is injected, or ports are left out of what
//! it takes. Then no policy holds, and no bundle decides.

use serde_json::Value;

use super::{Resource, list, text};

/// Annotations of Istio, and the label that keeps the sidecar away.
const INJECT: &str = "sidecar.istio.io/inject";
const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const INTERCEPTION: &str = "sidecar.istio.io/interceptionMode";
/// The label of namespaces, and that of namespaces and pods which names a revision instead.
const INJECTION: &str = "istio-injection";
const REVISION: &str = "istio.io/rev";
/// What an injected container is called.
const PROXY: &str = "istio-proxy";

/// What lets connections come past a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::review) struct Bypass {
    /// Why there is no sidecar at all, or none that takes anything.
    without: Option<Past>,
    /// Ports that alone are taken; none takes all.
    included: Option<String>,
    /// Ports that are not taken.
    excluded: Option<String>,
    /// The pod asks for a sidecar, which counts where its namespace says nothing.
    is_wanted: bool,
    /// The manifest is of a pod that has its sidecar already.
    is_there: bool,
}

/// Why connections come past a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Past {
    pub(in crate::review) why: String,
    /// Whatever istiod's own settings are.
    pub(in crate::review) is_sure: bool,
}

impl Past {
    const fn sure(why: String) -> Self {
        Self { why, is_sure: true }
    }
}

impl Bypass {
    /// What stands in a manifest of pods; `meta` and `spec` point to those of the pods.
    pub(super) fn of(resource: &Resource, meta: &str, spec: &str) -> Self {
        let of = |part: &str, name: &str| -> Option<String> {
            let members = resource.value.pointer(&format!("{meta}/{part}"))?;
            Some(match members.get(name)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let inject = of("labels", INJECT).or_else(|| of("annotations", INJECT));
        let word = inject.map(|word| word.to_ascii_lowercase());
        let on_host = resource.value.pointer(&format!("{spec}/hostNetwork"));
        let without = if on_host == Some(&Value::Bool(true)) {
            Some("its pods are on their machines' network, where no sidecar is".to_owned())
        } else if word.as_deref().is_some_and(|word| matches!(word, "false" | "no" | "n" | "off")) {
            Some(format!("`{INJECT}` keeps the sidecar away"))
        } else if of("annotations", INTERCEPTION).is_some_and(|word| word == "NONE") {
            Some(format!("`{INTERCEPTION}: NONE` lets connections come past the sidecar"))
        } else {
            None
        };
        // The webhook is called for labels alone, whatever annotations say.
        let is_wanted = of("labels", INJECT).is_some_and(|word| word == "true")
            || of("labels", REVISION).is_some();
        let of_proxy = |container: &Value| text(container, "/name") == Some(PROXY);
        // Newer sidecars are containers that start first and stay.
        let containers = ["containers", "initContainers"].map(|name| format!("{spec}/{name}"));
        let is_there =
            containers.iter().any(|name| list(&resource.value, name).iter().any(of_proxy));
        let (included, excluded) = (of("annotations", INCLUDED), of("annotations", EXCLUDED));
        Self { without: without.map(Past::sure), included, excluded, is_wanted, is_there }
    }

    /// What the pods' namespace says, where it is known: which of them istiod's webhook is called
    /// for (`manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`).
    pub(super) fn in_namespace<'r>(
        &mut self,
        mut namespaces: impl Iterator<Item = &'r Resource>,
        name: &str,
    ) {
        if self.without.is_some() || self.is_there {
            return;
        }
        let Some(namespace) = namespaces.find(|namespace| namespace.name == name) else { return };
        let labels = namespace.labels("/metadata/labels");
        self.without = match labels.get(INJECTION).map(String::as_str) {
            Some("enabled") => None,
            // Pods cannot overrule it.
            Some(word) => {
                let why = format!("`{INJECTION}: {word}` of its namespace keeps it away");
                Some(Past::sure(why))
            }
            None if self.is_wanted || labels.contains_key(REVISION) => None,
            None => Some(Past {
                why: format!(
                    "neither its namespace nor its pods ask for a sidecar (`{INJECTION}`, \
                     `{REVISION}`, `{INJECT}`), so that there is none unless istiod injects them \
                     unasked (`enableNamespacesByDefault`)"
                ),
                is_sure: false,
            }),
        };
    }

    /// Why a port is reached without a sidecar; none where it is not. Of a port that is not known
    /// only what is for all of them can be told.
    pub(in crate::review) fn of_port(&self, port: Option<u16>) -> Option<Past> {
        if let Some(without) = &self.without {
            return Some(without.clone());
        }
        let names = |list: &str| {
            let mut all = list.split(',').map(str::trim);
            all.any(|one| {
                one == "*" || port.is_some_and(|port| one.parse::<u16>().ok() == Some(port))
            })
        };
        if let Some(excluded) = self.excluded.as_deref().filter(|list| names(list)) {
            return Some(Past::sure(format!("`{EXCLUDED}: {excluded}` leaves it out")));
        }
        let included = self.included.as_deref()?;
        let is_left_out = !names(included) && (port.is_some() || included.trim().is_empty());
        is_left_out.then(|| Past::sure(format!("`{INCLUDED}: {included}` leaves it out")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::Past;

    /// Why port 8080 of a pod is reached without its sidecar.
    fn past(meta: &str, spec: &str) -> Option<Past> {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: shop, {meta}}}\n\
             spec: {{containers: [], {spec}}}\n"
        );
        load(&text).inventory.workloads()[0].bypass.of_port(Some(8080))
    }

    #[test]
    fn ports_that_no_sidecar_takes() {
        let annotated = |name: &str, value: &str| {
            past(&format!("annotations: {{{name}: '{value}'}}"), "restartPolicy: Always")
        };
        assert!(annotated(super::EXCLUDED, "9090,8080").is_some());
        assert!(annotated(super::EXCLUDED, "9090").is_none());
        assert!(annotated(super::INCLUDED, "9090").is_some());
        assert!(annotated(super::INCLUDED, "").is_some());
        assert!(annotated(super::INCLUDED, "*").is_none());
        assert!(annotated(super::INCLUDED, "8080").is_none());
        assert!(annotated(super::INTERCEPTION, "NONE").is_some());
        assert!(annotated(super::INTERCEPTION, "REDIRECT").is_none());
        let label = |word: &str| past(&format!("labels: {{{}: '{word}'}}", super::INJECT), "a: b");
        assert!(label("false").is_some() && label("true").is_none());
        assert!(past("labels: {a: b}", "hostNetwork: true").is_some());
        assert!(past("labels: {a: b}", "hostNetwork: false").is_none());
    }

    #[test]
    fn a_namespace_may_keep_sidecars_away() {
        let of = |namespace: &str, pod: &str, spec: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{namespace}}}}}\n\
                 ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: shop, {pod}}}\n\
                 spec: {{{spec}}}\n"
            );
            let past = load(&text).inventory.workloads()[0].bypass.of_port(None);
            past.map(|past| past.is_sure)
        };
        let wanted = "labels: {'sidecar.istio.io/inject': 'true'}";
        let sidecar = |list: &str| format!("{list}: [{{name: web}}, {{name: istio-proxy}}]");
        for (namespace, pod, spec, expected) in [
            ("istio-injection: enabled", "labels: {a: b}", "", None),
            ("istio-injection: disabled", "labels: {a: b}", "", Some(true)),
            ("istio-injection: other", "labels: {a: b}", "", Some(true)),
            // Of the two labels of a namespace this one counts, and no pod overrules it.
            ("istio-injection: disabled", wanted, "", Some(true)),
            ("istio-injection: disabled, istio.io/rev: a", "labels: {a: b}", "", Some(true)),
            ("istio.io/rev: a", "labels: {a: b}", "", None),
            ("a: b", "labels: {a: b}", "", Some(false)),
            ("a: b", wanted, "", None),
            ("a: b", "labels: {istio.io/rev: a}", "", None),
            ("a: b", "annotations: {'sidecar.istio.io/inject': 'true'}", "", Some(false)),
            ("a: b", "labels: {a: b}", &sidecar("containers"), None),
            ("istio-injection: disabled", "labels: {a: b}", &sidecar("initContainers"), None),
        ] {
            assert_eq!(of(namespace, pod, spec), expected, "{namespace} {pod} {spec}");
        }
        // Of a namespace that no manifest describes, nothing is said.
        assert!(past("labels: {a: b}", "restartPolicy: Always").is_none());
    }
}
