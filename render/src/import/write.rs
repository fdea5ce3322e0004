//! From cells to the document's text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::auth::{Auth, Rules, Tokens};
use super::cell::{Access, Cell};
use super::path::Path;
use super::rate_limit::Limits;
use super::report::Report;
use super::target::{Target, unused};
use super::tokens::Known;

/// What documents are made of.
pub(super) struct Parts<'a> {
    pub(super) cells: &'a [Cell],
    pub(super) targets: &'a [Target],
    /// The ports of targets' pods.
    pub(super) ports: &'a BTreeMap<usize, Option<u16>>,
    pub(super) known: &'a Known,
    pub(super) limits: &'a Limits,
    pub(super) trust_domain: &'a str,
    pub(super) root_namespace: &'a str,
}

/// Most SPIFFE ids that a route looks at.
const MAX_PEERS: usize = 64;
const DROP_TOKEN: &str = "drop-token";
/// Stands where nobody said which service account pods have: none has this one.
const NO_ACCOUNT: &str = "replace-me";

/// Cells that are alike but for host and method.
struct Route<'c> {
    hosts: BTreeSet<&'c str>,
    methods: BTreeSet<&'c str>,
    cell: &'c Cell,
}

impl Parts<'_> {
    /// The document.
    pub(super) fn document(&self, report: &mut Report) -> Value {
        let guarded = self.guarded();
        let mut document = Map::new();
        document.insert("version".to_owned(), json!(1));
        if !self.known.is_empty() {
            document.insert("credentials".to_owned(), json!({"jwt": self.known.to_json()}));
        }
        let (workloads, names) = self.workloads(&guarded, report);
        document.insert("services".to_owned(), self.services(&names, report));
        if !workloads.is_empty() {
            document.insert("workloads".to_owned(), Value::Object(workloads));
            let mesh = json!({
                "trust_domain": self.trust_domain,
                "root_namespace": self.root_namespace,
            });
            document.insert("mesh".to_owned(), mesh);
        }
        if let Some(filter) = &self.limits.filter {
            document.insert("rate_limit_filter".to_owned(), filter.clone());
        }
        let limits = self.limits.limits.iter().enumerate();
        let limits: Map<String, Value> =
            limits.map(|(index, limit)| (limit_name(index), limit.clone())).collect();
        if !limits.is_empty() {
            document.insert("limits".to_owned(), Value::Object(limits));
        }
        let headers = self.known.headers();
        let routes = self.routes(&guarded, !headers.is_empty(), report);
        let drops = |route: &Value| route.get("transform").is_some();
        if routes.iter().any(drops) {
            let rule = json!({"request": {"remove": headers}});
            let mut transforms = Map::new();
            transforms.insert(DROP_TOKEN.to_owned(), rule);
            document.insert("transforms".to_owned(), Value::Object(transforms));
        }
        document.insert("routes".to_owned(), Value::Array(routes));
        Value::Object(document)
    }

    /// The targets with routes that look at connections: those have to be enforced beside their
    /// pods.
    fn guarded(&self) -> BTreeSet<usize> {
        let asks =
            |cell: &&Cell| matches!(&cell.access, Access::Auth(auth) if auth.peers.is_some());
        self.cells.iter().filter(asks).map(|cell| cell.target).collect()
    }

    /// Workloads, and the name of each target's. Targets with the same pods share one.
    fn workloads(
        &self,
        guarded: &BTreeSet<usize>,
        report: &mut Report,
    ) -> (Map<String, Value>, BTreeMap<usize, String>) {
        type Pods<'t> = (&'t str, &'t BTreeMap<String, String>);
        let mut by_pods: BTreeMap<Pods<'_>, Vec<(usize, &Target)>> = BTreeMap::new();
        for index in guarded {
            if let Some(target) = self.targets.get(*index) {
                let pods = (target.namespace.as_str(), &target.selector);
                by_pods.entry(pods).or_default().push((*index, target));
            }
        }
        let (mut workloads, mut names) = (Map::new(), BTreeMap::new());
        for ((namespace, labels), targets) in by_pods {
            let Some((_, first)) = targets.first() else { continue };
            let ports = targets.iter().flat_map(|(index, target)| {
                let port = self.ports.get(index).copied().flatten();
                [Some(target.asked_at(port)), port]
            });
            let ports: BTreeSet<u16> = ports.flatten().collect();
            let account = targets.iter().find_map(|(_, target)| target.account.as_deref());
            if account.is_none() {
                let why = "which service account its pods have is not in the files";
                let advice = "give its Deployment too, or name it in `workloads`";
                report.fill_in(&first.origin.below("serviceAccountName"), why, advice);
            }
            let workload = json!({
                "namespace": namespace,
                "labels": labels,
                "service_account": account.unwrap_or(NO_ACCOUNT),
                "ports": ports,
            });
            workloads.insert(first.name.clone(), workload);
            names.extend(targets.iter().map(|(index, _)| (*index, first.name.clone())));
        }
        (workloads, names)
    }

    /// Services that routes lead to.
    fn services(&self, workloads: &BTreeMap<usize, String>, report: &mut Report) -> Value {
        let used: BTreeSet<usize> = self.cells.iter().map(|cell| cell.target).collect();
        let mut services = Map::new();
        for index in used {
            let Some(target) = self.targets.get(index) else { continue };
            let port = target.asked_at(self.ports.get(&index).copied().flatten());
            let upstream = target.upstream(port);
            let mut service = Map::new();
            if target.service.is_none() {
                let why = format!(
                    "which Service stands before these pods is not in the files; `{upstream}` \
                     leads nowhere"
                );
                let advice = "give the Services too, or name the upstream";
                report.fill_in(&target.origin.below("selector"), why, advice);
            }
            service.insert("upstream".to_owned(), json!(upstream));
            if let Some(workload) = workloads.get(&index) {
                service.insert("workload".to_owned(), json!(workload));
                service.insert("guard".to_owned(), json!("workload"));
            }
            services.insert(target.name.clone(), Value::Object(service));
        }
        Value::Object(services)
    }

    fn routes(&self, guarded: &BTreeSet<usize>, can_drop: bool, report: &mut Report) -> Vec<Value> {
        let mut names = BTreeSet::new();
        let mut written = Vec::new();
        for route in self.grouped() {
            let cell = route.cell;
            let Some(target) = self.targets.get(cell.target) else { continue };
            let mut matches = Map::new();
            matches.insert("path".to_owned(), json!(cell.key.path.to_template()));
            for (field, values) in [("methods", &route.methods), ("hosts", &route.hosts)] {
                if !values.is_empty() {
                    matches.insert(field.to_owned(), json!(values));
                }
            }
            let name = unused(&name_of(target, &cell.key.path, &route.methods), &mut names);
            let mut fields = Map::new();
            fields.insert("name".to_owned(), json!(name));
            fields.insert("match".to_owned(), Value::Object(matches));
            fields.insert("service".to_owned(), json!(target.name));
            let (auth, peers) = self.access(&cell.access);
            fields.insert("auth".to_owned(), auth);
            if let Some(peers) = peers {
                fields.insert("peers".to_owned(), json!(peers));
            }
            if let Some(timeout) = &cell.timeout {
                fields.insert("timeout".to_owned(), json!(timeout));
            }
            if can_drop && cell.strips && takes_tokens(&cell.access) {
                fields.insert("transform".to_owned(), json!([DROP_TOKEN]));
            }
            let count = self.limits.limits.len();
            if count > 0 && guarded.contains(&cell.target) {
                let why = "its routes count no addresses: beside the pods, all requests come from \
                           the gateway's";
                report.left_out(&target.origin.below("limits"), why, "limit at the gateway");
            } else if count > 0 {
                let limits: Vec<String> = (0..count).map(limit_name).collect();
                fields.insert("limits".to_owned(), json!(limits));
            }
            written.push(Value::Object(fields));
        }
        written
    }

    /// Cells that one route stands for: those that differ in the method, or in the host, alone.
    fn grouped(&self) -> Vec<Route<'_>> {
        let mut routes: Vec<Route<'_>> = Vec::new();
        for cell in self.cells {
            let (host, method) = (cell.key.host.as_deref(), cell.key.method.as_deref());
            let hosts: BTreeSet<&str> = host.into_iter().collect();
            let known = routes.iter_mut().find(|route| {
                route.hosts == hosts && !route.methods.is_empty() && is_alike(route.cell, cell)
            });
            match (known, method) {
                (Some(known), Some(method)) => {
                    known.methods.insert(method);
                }
                _ => routes.push(Route { hosts, methods: method.into_iter().collect(), cell }),
            }
        }
        let mut grouped: Vec<Route<'_>> = Vec::with_capacity(routes.len());
        for route in routes {
            let known = grouped.iter_mut().find(|known| {
                known.methods == route.methods
                    && !known.hosts.is_empty()
                    && !route.hosts.is_empty()
                    && is_alike(known.cell, route.cell)
            });
            match known {
                Some(known) => known.hosts.extend(route.hosts),
                None => grouped.push(route),
            }
        }
        grouped
    }

    /// `auth` and `peers`.
    fn access<'c>(&self, access: &'c Access) -> (Value, Option<&'c BTreeSet<String>>) {
        match access {
            Access::Closed => (self.closed(), None),
            Access::Auth(auth) => {
                // What cannot be written was closed before.
                let written = self.auth(auth).unwrap_or_else(|| self.closed());
                (written, auth.peers.as_ref())
            }
        }
    }

    /// Nobody: a token says who has issued it, and no issuer of this name is known.
    fn closed(&self) -> Value {
        let mut nobody = "nobody".to_owned();
        while self.known.names().any(|name| *name == nobody) {
            nobody.push('-');
        }
        json!({"any": ["jwt"], "claims": {"iss": [nobody]}})
    }

    /// Whether a route can ask for this.
    pub(super) fn is_writable(known: &Known, auth: &Auth) -> bool {
        let few = auth.peers.as_ref().is_none_or(|peers| peers.len() <= MAX_PEERS);
        few && match &auth.tokens {
            Tokens::Ignored => true,
            Tokens::Optional(rules) | Tokens::Required(rules) => audiences(known, rules).is_ok(),
        }
    }

    fn auth(&self, auth: &Auth) -> Option<Value> {
        let (rules, is_optional) = match &auth.tokens {
            Tokens::Ignored => return Some(json!("none")),
            Tokens::Optional(rules) => (rules, true),
            Tokens::Required(rules) => (rules, false),
        };
        let mut written = Map::new();
        written.insert("any".to_owned(), json!(["jwt"]));
        if is_optional {
            written.insert("optional".to_owned(), json!(true));
        }
        if !self.known.names().eq(rules.issuers.keys()) {
            let issuers: Vec<&String> = rules.issuers.keys().collect();
            written.insert("issuers".to_owned(), json!(issuers));
        }
        if let Some(audiences) = audiences(self.known, rules).ok()? {
            written.insert("audiences".to_owned(), json!(audiences));
        }
        if !rules.scopes.is_empty() {
            written.insert("scopes".to_owned(), json!(rules.scopes));
        }
        if !rules.claims.is_empty() {
            written.insert("claims".to_owned(), json!(rules.claims));
        }
        Some(Value::Object(written))
    }
}

/// What one list of audiences cannot say.
struct TooMany;

/// The audiences that a route has to ask for, besides those that its issuers ask for anyway: a
/// list of which every item is enough for each issuer.
fn audiences(known: &Known, rules: &Rules) -> Result<Option<BTreeSet<String>>, TooMany> {
    let asks_anyway = |(issuer, wanted): (&String, &BTreeSet<String>)| {
        wanted.is_empty() || known.audiences(issuer) == Some(wanted)
    };
    let mut asked = rules.audiences.clone();
    if !rules.issuers.iter().all(asks_anyway) {
        for wanted in rules.issuers.values().filter(|wanted| !wanted.is_empty()) {
            let both = match &asked {
                Some(known) => known.intersection(wanted).cloned().collect(),
                None => wanted.clone(),
            };
            asked = Some(both);
        }
    }
    let is_text =
        |text: &String| (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control);
    match asked {
        Some(asked) if asked.is_empty() || !asked.iter().all(is_text) => Err(TooMany),
        asked => Ok(asked),
    }
}

fn takes_tokens(access: &Access) -> bool {
    matches!(access, Access::Auth(auth) if auth.tokens != Tokens::Ignored)
}

fn is_alike(a: &Cell, b: &Cell) -> bool {
    a.key.path == b.key.path
        && a.access == b.access
        && a.target == b.target
        && a.timeout == b.timeout
        && a.strips == b.strips
}

fn limit_name(index: usize) -> String {
    match index {
        0 => "per-address".to_owned(),
        _ => format!("per-address-{}", index + 1),
    }
}

/// The service, words of the path, and the methods where there are few.
fn name_of(target: &Target, path: &Path, methods: &BTreeSet<&str>) -> String {
    let mut words = vec![target.name.as_str()];
    words.extend(path.words().filter(|word| *word != target.name));
    if (1..=2).contains(&methods.len()) {
        words.extend(methods);
    }
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_of_audiences_is_enough_for_every_issuer() {
        let set = |values: &[&str]| -> BTreeSet<String> {
            values.iter().map(|value| (*value).to_owned()).collect()
        };
        let rules = |issuers: &[(&str, &[&str])], own: Option<&[&str]>| Rules {
            issuers: issuers.iter().map(|(name, list)| ((*name).to_owned(), set(list))).collect(),
            audiences: own.map(set),
            ..Rules::default()
        };
        let known = Known::default();
        for (rules, expected) in [
            (rules(&[("a", &[])], None), Some(None)),
            (rules(&[("a", &[])], Some(&["x"])), Some(Some(set(&["x"])))),
            (rules(&[("a", &["x", "y"])], None), Some(Some(set(&["x", "y"])))),
            (rules(&[("a", &["x", "y"]), ("b", &["y"])], None), Some(Some(set(&["y"])))),
            (rules(&[("a", &["x"]), ("b", &["y"])], None), None),
            (rules(&[("a", &["x"])], Some(&["y"])), None),
            (rules(&[("a", &["x\n"])], None), None),
        ] {
            assert_eq!(audiences(&known, &rules).ok(), expected, "{rules:?}");
        }
    }
}
