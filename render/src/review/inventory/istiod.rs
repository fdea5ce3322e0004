//! How istiod is started. Some of its variables change what policies mean. It reads them from its
//! own environment (`pilot/pkg/features`); what MeshConfig names for proxies
//! (`defaultConfig.proxyMetadata`) is the proxies' environment, and says nothing to it.

use serde_json::Value;

use super::{Inventory, Resource, list, text};

/// Sidecars take certificates of all trust domains (`pilot/pkg/features/security.go`,
/// `SkipValidateTrustDomain`).
const ANY_TRUST_DOMAIN: &str = "PILOT_SKIP_VALIDATE_TRUST_DOMAIN";
/// Several CUSTOM providers on one workload are all asked.
const SEVERAL_PROVIDERS: &str = "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS";

impl Inventory {
    /// Whether istiod is started so that it takes several CUSTOM providers.
    pub(in crate::review) fn takes_several_providers(&self) -> bool {
        self.is_set(SEVERAL_PROVIDERS)
    }

    /// Whether istiod is started so that workloads take certificates of all trust domains.
    pub(in crate::review) fn takes_any_trust_domain(&self) -> bool {
        self.is_set(ANY_TRUST_DOMAIN)
    }

    /// Whether a variable of istiod's is true; of several istiods, of any. What an installation is
    /// made of counts where no istiod is known, as with MeshConfig.
    fn is_set(&self, name: &str) -> bool {
        let pods = self.of(&["Deployment"]);
        let containers: Vec<&Value> =
            pods.flat_map(|pods| pods.list("/spec/template/spec/containers")).collect();
        let says = |container: &&Value| is_true_in(list(container, "/env"), name);
        if containers.iter().any(says) {
            return true;
        }
        let is_known = containers.iter().any(|container| is_istiod(container));
        !is_known && self.is_installed(name)
    }

    fn is_installed(&self, name: &str) -> bool {
        let is_in_values = |values: &Value| {
            // The chart takes both; the newer ones have no `pilot` in front.
            let all = ["/pilot/env", "/env"].into_iter().filter_map(|place| values.pointer(place));
            all.filter_map(|all| all.get(name)).any(is_true)
        };
        let is_in = |installation: &Resource| {
            is_true_in(installation.list("/spec/components/pilot/k8s/env"), name)
                || installation.value.pointer("/spec/values").is_some_and(is_in_values)
        };
        self.values.iter().any(is_in_values) || self.of(&["IstioOperator", "Istio"]).any(is_in)
    }
}

/// As the charts call it, and as it is called.
fn is_istiod(container: &Value) -> bool {
    let mut args = list(container, "/args").iter();
    text(container, "/name") == Some("discovery") || args.any(|arg| arg == "discovery")
}

/// Of variables of one name, a container gets the last one. What stands elsewhere (`valueFrom`)
/// nobody knows here, and so it is taken for what opens more.
fn is_true_in(variables: &[Value], name: &str) -> bool {
    let mut named = variables.iter().rev().filter(|one| text(one, "/name") == Some(name));
    named.next().is_some_and(|one| match one.get("value") {
        Some(value) => is_true(value),
        None => one.get("valueFrom").is_some(),
    })
}

/// As Go reads it (`pkg/env/var.go`, `strconv.ParseBool`); what is neither true nor false says
/// nothing. Charts take what is no text, too.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_u64() == Some(1),
        Value::String(text) => {
            matches!(text.as_str(), "1" | "t" | "T" | "TRUE" | "true" | "True")
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    fn istiod(container: &str, env: &str) -> String {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: istiod, namespace: \
             istio-system}}\nspec: {{template: {{spec: {{containers: [{{name: {container}, env: \
             [{env}]}}]}}}}}}\n"
        )
    }

    fn set(value: &str) -> String {
        format!("{{name: {ANY_TRUST_DOMAIN}, {value}}}")
    }

    fn is_open(text: &str) -> bool {
        load(text).inventory.takes_any_trust_domain()
    }

    #[test]
    fn a_variable_is_true_as_go_reads_it() {
        for (value, expected) in [
            ("value: 'true'", true),
            ("value: '1'", true),
            ("value: T", true),
            ("value: 'false'", false),
            ("value: ''", false),
            ("value: 'yes'", false),
            ("value: ' true'", false),
            ("valueFrom: {configMapKeyRef: {name: a, key: b}}", true),
        ] {
            assert_eq!(is_open(&istiod("discovery", &set(value))), expected, "{value}");
        }
        let twice = format!("{}, {}", set("value: 'true'"), set("value: 'false'"));
        assert!(!is_open(&istiod("discovery", &twice)), "the last one counts");
        let other = "{name: PILOT_SKIP_VALIDATE_TRUST_DOMAINS, value: 'true'}";
        assert!(!is_open(&istiod("discovery", other)));
    }

    #[test]
    fn an_installation_says_it_in_its_values() {
        let operator = |spec: &str| {
            format!(
                "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: \
                 i}}\nspec: {spec}\n"
            )
        };
        let values = |env: &str| format!("meshConfig: {{trustDomain: td}}\n{env}\n");
        for text in [
            operator(&format!(
                "{{components: {{pilot: {{k8s: {{env: [{}]}}}}}}}}",
                set("value: t")
            )),
            operator(&format!("{{values: {{pilot: {{env: {{{ANY_TRUST_DOMAIN}: true}}}}}}}}")),
            operator(&format!("{{values: {{env: {{{ANY_TRUST_DOMAIN}: 'true'}}}}}}")),
            values(&format!("pilot: {{env: {{{ANY_TRUST_DOMAIN}: 'true'}}}}")),
            values(&format!("env: {{{ANY_TRUST_DOMAIN}: 1}}")),
        ] {
            assert!(is_open(&text), "{text}");
            // What runs counts, whatever it was made of.
            let running = istiod("discovery", "{name: A, value: b}");
            assert!(!is_open(&format!("{text}---\n{running}")), "{text}");
            let other = istiod("web", "{name: A, value: b}");
            assert!(is_open(&format!("{text}---\n{other}")), "{text}");
        }
        assert!(!is_open(&values("pilot: {env: {A: 'true'}}")));
    }

    #[test]
    fn the_environment_of_proxies_is_not_istiods() {
        let metadata = format!("proxyMetadata: {{{ANY_TRUST_DOMAIN}: 'true'}}");
        for text in [
            format!("trustDomain: td\ndefaultConfig: {{{metadata}}}\n"),
            format!(
                "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: \
                 i}}\nspec: {{meshConfig: {{defaultConfig: {{{metadata}}}}}}}\n"
            ),
            format!(
                "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {{name: a, \
                 namespace: b}}\nspec: {{environmentVariables: {{{ANY_TRUST_DOMAIN}: 'true'}}}}\n"
            ),
        ] {
            assert!(!is_open(&text), "{text}");
        }
    }

    #[test]
    fn one_variable_is_not_the_other() {
        let several = format!("{{name: {SEVERAL_PROVIDERS}, value: 'true'}}");
        let found = load(&istiod("discovery", &several));
        assert!(found.inventory.takes_several_providers());
        assert!(!found.inventory.takes_any_trust_domain());
    }
}
