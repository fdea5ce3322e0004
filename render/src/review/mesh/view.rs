//! The mesh as a review sees it: which workloads there are, and which of them are the document's.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use postern_document::Document;
use postern_policies::{Mesh, Meta, Pattern, Resources, Rule};
use postern_request::normalize::Normalization;

use super::super::Input;
use super::super::inventory::{Configs, Inventory, MeshConfig, Policies, Resource};
use super::allowance::Budget;
use super::callers::{self, Who};
use super::kinds::Kinds;
use super::known::{self, GATEWAY_NAME, Known};
use super::plugins::DOCUMENT;
use crate::istio::Api;

/// Istio's own gateway, where neither document nor options say otherwise.
const GATEWAY_NAMESPACE: &str = "istio-system";
const GATEWAY_ACCOUNT: &str = "istio-ingressgateway-service-account";

/// A trust domain that is nobody's.
const STRANGE_DOMAIN: &str = "postern-review.invalid";
/// Most further trust domains whose workloads are tried as callers.
const MOST_DOMAINS: usize = 8;

/// All that is known.
pub(in crate::review) struct View<'a> {
    pub(super) document: &'a Document,
    pub(super) resources: &'a Resources,
    pub(super) inventory: &'a Inventory,
    pub(super) mesh: Rc<Mesh>,
    /// Sorted by namespace and name.
    pub(super) workloads: Vec<Known>,
    /// What workloads have in common.
    pub(super) kinds: Kinds<'a>,
    /// How much may be asked.
    pub(in crate::review) budget: Budget,
    pub(super) reads_paths: Normalization,
    /// The gateway's name in certificates.
    pub(super) gateway: String,
    /// Where the gateway is.
    pub(super) gateway_namespace: String,
    /// The name in certificates of a workload that no policy names.
    pub(super) stranger: String,
    /// What MeshConfig was found, that which counts first.
    pub(super) configs: Configs<'a>,
    /// How the normalisation of paths is called that was taken.
    pub(super) normalization: String,
    /// What was rendered from a document, as `Kind namespace/name`.
    rendered: BTreeSet<String>,
    /// What policies call callers.
    named: HashSet<&'a str>,
}

impl<'a> View<'a> {
    pub(in crate::review) fn new(input: &Input<'a>, policies: &'a Policies) -> Self {
        let document = input.document;
        let configs = policies.inventory.configs(&document.mesh.root_namespace);
        let config = configs.counts().map(|found| found.config.clone()).unwrap_or_default();
        let mesh = Rc::new(policies.mesh(document));
        let trust_domain = mesh.trust_domains.first().cloned().unwrap_or_default();
        let word = input.normalization.map(str::to_owned).or(config.normalization);
        let word = word.unwrap_or_else(|| "BASE".to_owned());
        let reads_paths = MeshConfig::reads_paths(&word).unwrap_or(Normalization::ENVOY);
        let gateway = gateway(input);
        let principal = format!("{trust_domain}/ns/{}/sa/{}", gateway.namespace, gateway.account);
        let resources = policies.inventory.resources.iter();
        let rendered = resources.filter(|resource| resource.annotation(DOCUMENT).is_some());
        let mut view = Self {
            document,
            resources: &policies.resources,
            inventory: &policies.inventory,
            kinds: Kinds::none(&policies.resources, &mesh),
            budget: Budget::new(0),
            mesh,
            workloads: known::all(document, &policies.inventory, &gateway),
            reads_paths,
            stranger: callers::stranger(&policies.resources, &trust_domain),
            gateway: principal,
            gateway_namespace: gateway.namespace,
            configs,
            normalization: word,
            rendered: rendered.map(Resource::subject).collect(),
            named: named(&policies.resources),
        };
        view.sort_out();
        view
    }

    /// What is not known, and what is taken for granted instead.
    pub(super) fn unknown(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        if self.configs.counts().is_none() {
            unknown.push(format!(
                "no MeshConfig was given: providers are taken to be there, paths to be read by \
                 {}, policies of `{}` to be for all namespaces",
                self.normalization, self.mesh.root_namespace
            ));
        }
        unknown.extend(self.configs.strays.iter().map(|stray| {
            let told = stray.told();
            format!("{told}: it looks like MeshConfig, and istiod does not read it there")
        }));
        for known in self.ours().filter(|known| !known.is_gateway()) {
            let subject = known.subject();
            if known.workload.ports.is_empty() {
                unknown.push(format!("{subject}: none of its ports is known; one was made up"));
            }
            let unnamed = known.unnamed.iter();
            unknown.extend(unnamed.map(|told| {
                format!("{subject}: {told}, and none of its containers names a port so")
            }));
        }
        for service in &self.document.services {
            if !self.workloads.iter().any(|known| known.services.contains(&service.name)) {
                unknown.push(format!(
                    "services.{}: no workload behind {} is known",
                    service.name, service.host
                ));
            }
        }
        unknown
    }

    /// Whether a policy was rendered from a document, so that nobody writes it by hand.
    pub(super) fn is_rendered(&self, kind: &str, meta: &Meta) -> bool {
        self.rendered.contains(&format!("{kind} {meta}"))
    }

    /// Who goes by a principal.
    pub(super) fn who(&self, principal: &str) -> Who {
        if principal == self.gateway {
            Who::Gateway
        } else if principal == self.stranger {
            Who::Stranger
        } else {
            Who::Named(principal.to_owned())
        }
    }

    /// How findings call somebody: who was made up, by whom that stands for.
    pub(super) fn told(&self, who: &Who) -> String {
        let Who::Named(name) = who else { return who.told() };
        if self.named.contains(name.as_str()) {
            return name.clone();
        }
        callers::stands_for(name, &self.stranger).unwrap_or_else(|| name.clone())
    }

    /// The principal by which somebody goes.
    pub(super) fn principal(&self, who: &Who) -> Option<String> {
        match who {
            Who::Outside => None,
            Who::Stranger => Some(self.stranger.clone()),
            Who::Gateway => Some(self.gateway.clone()),
            Who::Named(name) => Some(name.clone()),
        }
    }

    /// The name in certificates of a service account of the mesh's own.
    pub(super) fn principal_of(&self, namespace: &str, account: &str) -> String {
        let domain = self.mesh.trust_domains.first().map_or("", String::as_str);
        format!("{domain}/ns/{namespace}/sa/{account}")
    }

    /// Workloads that no policy names: of the mesh, and of each further trust domain whose
    /// certificates workloads take.
    pub(super) fn strangers(&self) -> Vec<String> {
        let (_, rest) = self.stranger.split_once('/').unwrap_or_default();
        let any = self.mesh.any_trust_domain.then_some(STRANGE_DOMAIN);
        let foreign = self.mesh.foreign_domains.iter().map(String::as_str);
        let foreign = foreign.take(MOST_DOMAINS).chain(any);
        let foreign = foreign.map(|domain| format!("{domain}/{rest}"));
        core::iter::once(self.stranger.clone()).chain(foreign).collect()
    }

    /// The workloads of the document, the gateway included.
    pub(in crate::review) fn ours(&self) -> impl Iterator<Item = &Known> {
        self.workloads.iter().filter(|known| known.is_ours)
    }
}

/// What policies call callers, as it is written.
fn named(resources: &Resources) -> HashSet<&str> {
    let rules = resources.authorization().iter().flat_map(|policy| &policy.rules);
    let tests = rules.flat_map(Rule::tests).filter(|test| test.attribute.is_from_certificate());
    tests.flat_map(|test| &test.values).map(Pattern::as_str).collect()
}

/// The gateway of document and options.
pub(super) struct Gateway {
    pub(super) namespace: String,
    pub(super) labels: BTreeMap<String, String>,
    account: String,
    pub(super) name: String,
}

fn gateway(input: &Input<'_>) -> Gateway {
    if let Some(workload) = input.document.gateway() {
        return Gateway {
            namespace: workload.namespace.clone(),
            labels: workload.labels.clone(),
            account: workload.service_account.clone(),
            name: workload.name.clone(),
        };
    }
    let options = input.options;
    let namespace = options.gateway_namespace.clone();
    let namespace = namespace.unwrap_or_else(|| GATEWAY_NAMESPACE.to_owned());
    let name = options.workload.clone().unwrap_or_else(|| "edge".to_owned());
    if options.api == Api::Gateway {
        // The pods are istiod's, and so are their names.
        let labels = BTreeMap::from([(GATEWAY_NAME.to_owned(), options.gateway_name.clone())]);
        let account = format!("{}-istio", options.gateway_name);
        return Gateway { namespace, labels, account, name };
    }
    let default = || BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]);
    Gateway {
        namespace,
        labels: options.gateway_selector.clone().unwrap_or_else(default),
        account: GATEWAY_ACCOUNT.to_owned(),
        name,
    }
}
