//! Who is asked, and for how long: providers of MeshConfig, and routes of VirtualServices.

use postern_policies::Action;

use super::super::catalogue::{PROVIDER_BAD, SEVERAL_PROVIDERS, UNBOUNDED_TIMEOUT};
use super::super::model::Finding;
use super::view::View;

/// The longest that a request may be held by a question about it.
const LONG_TIMEOUT_MS: u64 = 10_000;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    let config = view.configs.counts().and_then(|found| found.config.providers.as_ref());
    for provider in config.into_iter().flatten().filter(|one| is_used(view, &one.name)) {
        let mut push = |text: &str| {
            let subject = format!("MeshConfig extensionProviders {}", provider.name);
            found.push(Finding::new(&PROVIDER_BAD, subject, text));
        };
        if provider.fail_open {
            push("requests pass unasked while it is away (failOpen)");
        }
        match provider.timeout_ms {
            None => push("it has no timeout: while it hangs, requests wait for 600 s"),
            Some(millis) if millis > LONG_TIMEOUT_MS => {
                let seconds = millis.div_ceil(1000);
                push(&format!("while it hangs, requests wait for {seconds} s"));
            }
            Some(_) => {}
        }
    }
    several(view, found);
    for service in view.inventory.of(&["VirtualService"]) {
        for (index, route) in service.list("/spec/http").iter().enumerate() {
            let is_route = route.get("route").is_some();
            if is_route && route.get("timeout").is_none() {
                let name = route.get("name").and_then(serde_json::Value::as_str);
                let which = name.map_or_else(|| format!("http[{index}]"), str::to_owned);
                let text = format!("{which} has no timeout: Envoy waits for as long as it takes");
                let finding = Finding::new(&UNBOUNDED_TIMEOUT, service.subject(), text);
                found.push(finding.at(Some(service.place.clone())));
            }
        }
    }
}

pub(super) fn is_used(view: &View<'_>, name: &str) -> bool {
    let mut all = view.resources.authorization().iter();
    all.any(|policy| matches!(&policy.action, Action::Custom { provider } if provider == name))
}

/// PR209 where Istio takes several providers: each of them can write the evidence that the bundle
/// believes, because all their filters have one name.
fn several(view: &View<'_>, found: &mut Vec<Finding>) {
    if !view.mesh.several_providers {
        return;
    }
    for known in &view.workloads {
        let policies = view.resources.authorization_for(&view.mesh, &known.workload);
        let name = |policy: &&postern_policies::AuthorizationPolicy| match &policy.action {
            Action::Custom { provider } => Some(provider.clone()),
            Action::Allow | Action::Deny | Action::Audit => None,
        };
        let mut names: Vec<String> = policies.iter().filter_map(name).collect();
        names.sort();
        names.dedup();
        if names.len() > 1 {
            let text = format!(
                "{} are asked there, and each can write what the bundle takes for the server's word",
                names.join(" and ")
            );
            let finding = Finding::new(&SEVERAL_PROVIDERS, known.subject(), text);
            found.push(finding.at(known.place.clone()));
        }
    }
}
