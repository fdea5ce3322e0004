//! What holds in the mesh and is in no rule: whose certificates and tokens are taken, and who is
//! asked.

use postern_policies::{JwtRule, Rule};

use super::providers::is_used;
use super::view::View;

/// All of it.
pub(in crate::review) struct Around<'v> {
    /// Trust domains whose certificates workloads take; none is all of them.
    pub(in crate::review) trust_domains: Option<Vec<String>>,
    pub(in crate::review) root_namespace: &'v str,
    /// How paths are read before they are compared.
    pub(in crate::review) normalization: &'v str,
    /// Authorizers that policies name, and where each is asked; none where no MeshConfig is known.
    pub(in crate::review) providers: Vec<(&'v str, &'v str)>,
    /// Whose tokens are taken by workloads of the document whose policies ask what tokens say.
    pub(in crate::review) issuers: Vec<(String, Vec<&'v JwtRule>)>,
}

impl View<'_> {
    pub(in crate::review) fn around(&self) -> Around<'_> {
        let mesh = &self.mesh;
        let domains = mesh.trust_domains.iter().chain(&mesh.foreign_domains);
        let domains: Vec<String> = domains.filter(|name| !name.is_empty()).cloned().collect();
        let takes_all = mesh.any_trust_domain || domains.is_empty();
        let config = self.configs.counts().and_then(|found| found.config.providers.as_ref());
        let used = config.into_iter().flatten().filter(|one| is_used(self, &one.name));
        Around {
            trust_domains: (!takes_all).then_some(domains),
            root_namespace: &mesh.root_namespace,
            normalization: &self.normalization,
            providers: used.map(|one| (one.name.as_str(), one.asked.as_str())).collect(),
            issuers: self.issuers(),
        }
    }

    fn issuers(&self) -> Vec<(String, Vec<&JwtRule>)> {
        let mut all = Vec::new();
        for known in self.ours() {
            let policies = self.resources.authorization_for(&self.mesh, &known.workload);
            let counting = policies.iter().filter(|policy| !policy.dry_run);
            let mut tests = counting.flat_map(|policy| &policy.rules).flat_map(Rule::tests);
            if tests.any(|test| test.attribute.is_from_token()) {
                let known_there = self.resources.request_for(&self.mesh, &known.workload);
                let rules = known_there.into_iter().flat_map(|resource| &resource.rules);
                all.push((known.name(), rules.collect()));
            }
        }
        all
    }
}
