//! Which of the mesh's two APIs routes are written in, and how policies find the gateway in each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resource::set;

/// How routes and the gateway are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Api {
    /// Istio's own: Gateway and VirtualService.
    #[default]
    Istio,
    /// The Kubernetes Gateway API: Gateway and HTTPRoute.
    Gateway,
}

impl Api {
    /// As the command line spells it, and errors name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::Gateway => "gateway",
        }
    }
}

/// How a policy finds the Envoys that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attach {
    /// By the labels of their pods, within the policy's namespace.
    Labels(BTreeMap<String, String>),
    /// By the Gateway that istiod runs them for: of a Gateway of the Gateway API, Istio goes by
    /// nothing else.
    Gateway(String),
}

impl Attach {
    /// Says so in the spec of a policy: AuthorizationPolicy, RequestAuthentication, Telemetry,
    /// TrafficExtension, WasmPlugin.
    pub(super) fn policy(&self, spec: &mut Value) {
        match self {
            Self::Labels(labels) => set(spec, "selector", json!({"matchLabels": labels})),
            Self::Gateway(name) => set(spec, "targetRefs", target_refs(name)),
        }
    }

    /// Says so in the spec of an EnvoyFilter, which has a word of its own for labels.
    pub(super) fn envoy_filter(&self, spec: &mut Value) {
        match self {
            Self::Labels(labels) => set(spec, "workloadSelector", json!({"labels": labels})),
            Self::Gateway(name) => set(spec, "targetRefs", target_refs(name)),
        }
    }
}

fn target_refs(name: &str) -> Value {
    json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_bound_by_labels_or_by_the_gateway_and_never_by_nothing() {
        let labels = Attach::Labels(BTreeMap::from([("app".to_owned(), "web".to_owned())]));
        let gateway = Attach::Gateway("postern".to_owned());
        let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway",
                             "name": "postern"}]);
        let spec = |say: &dyn Fn(&mut Value)| {
            let mut spec = json!({});
            say(&mut spec);
            spec
        };
        assert_eq!(
            spec(&|spec| labels.policy(spec)),
            json!({"selector": {"matchLabels": {"app": "web"}}})
        );
        assert_eq!(
            spec(&|spec| labels.envoy_filter(spec)),
            json!({"workloadSelector": {"labels": {"app": "web"}}})
        );
        assert_eq!(spec(&|spec| gateway.policy(spec)), json!({"targetRefs": target}));
        assert_eq!(spec(&|spec| gateway.envoy_filter(spec)), json!({"targetRefs": target}));
    }
}
