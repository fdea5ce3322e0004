//! How connections reach a pod without its sidecar: none is injected, or ports are left out of what
//! it takes. Then no policy holds, and no bundle decides.

use serde_json::Value;

use super::Resource;

/// Annotations of Istio, and the label that keeps the sidecar away.
const INJECT: &str = "sidecar.istio.io/inject";
const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const INTERCEPTION: &str = "sidecar.istio.io/interceptionMode";
/// The label of namespaces.
const INJECTION: &str = "istio-injection";

/// What lets connections come past a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::review) struct Bypass {
    /// Why there is no sidecar at all, or none that takes anything.
    without: Option<String>,
    /// Ports that alone are taken; none takes all.
    included: Option<String>,
    /// Ports that are not taken.
    excluded: Option<String>,
    /// The pod asks for a sidecar, whatever its namespace says.
    is_wanted: bool,
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
        let is_wanted =
            word.as_deref().is_some_and(|word| matches!(word, "true" | "yes" | "y" | "on"));
        let (included, excluded) = (of("annotations", INCLUDED), of("annotations", EXCLUDED));
        Self { without, included, excluded, is_wanted }
    }

    /// What the pods' namespace says, where it is known.
    pub(super) fn in_namespace<'r>(
        &mut self,
        mut namespaces: impl Iterator<Item = &'r Resource>,
        name: &str,
    ) {
        let is_off = |namespace: &Resource| {
            let labels = namespace.labels("/metadata/labels");
            namespace.name == name && labels.get(INJECTION).is_some_and(|word| word == "disabled")
        };
        if self.without.is_none() && !self.is_wanted && namespaces.any(is_off) {
            self.without = Some(format!("`{INJECTION}: disabled` of its namespace keeps it away"));
        }
    }

    /// Why a port is reached without a sidecar; none where it is not. Of a port that is not known
    /// only what is for all of them can be told.
    pub(in crate::review) fn of_port(&self, port: Option<u16>) -> Option<String> {
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
            return Some(format!("`{EXCLUDED}: {excluded}` leaves it out"));
        }
        let included = self.included.as_deref()?;
        let is_left_out = !names(included) && (port.is_some() || included.trim().is_empty());
        is_left_out.then(|| format!("`{INCLUDED}: {included}` leaves it out"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    /// Why port 8080 of a pod is reached without its sidecar.
    fn past(meta: &str, spec: &str) -> Option<String> {
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
        let of = |word: &str, label: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: \
                 {{istio-injection: {word}}}}}\n---\napiVersion: v1\nkind: Pod\n\
                 metadata: {{name: a, namespace: shop, labels: {{{label}}}}}\nspec: {{}}\n"
            );
            load(&text).inventory.workloads()[0].bypass.of_port(None)
        };
        assert!(of("disabled", "a: b").is_some());
        assert!(of("enabled", "a: b").is_none());
        assert!(of("disabled", "'sidecar.istio.io/inject': 'true'").is_none());
    }
}
