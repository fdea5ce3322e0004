//! What only logs say: who refused, why, and by which route.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_document::Document;
use postern_explain::By;
use postern_explain::cases::Case;
use serde_json::Value;

use crate::gateway::Gateway;
use crate::wait;

/// Envoy writes its log every ten seconds.
const LONGEST: Duration = Duration::from_secs(40);
/// What Envoy's flags call an answer that it gave for the service.
const OF_UPSTREAM: [&str; 8] = ["UF", "UC", "UT", "UH", "UO", "URX", "LR", "UR"];

/// The lines of both logs, by correlation id.
pub(super) struct Logs {
    access: BTreeMap<String, Value>,
    refusals: BTreeMap<String, Value>,
}

/// What the logs say of one request.
#[derive(Debug, Default)]
pub(super) struct Found {
    by: Option<By>,
    reason: Option<String>,
    route: Option<String>,
    /// The cluster that it was sent to.
    cluster: Option<String>,
}

impl Logs {
    /// Waits for the lines of these requests.
    pub(super) async fn of(gateway: &Gateway, ids: &[String]) -> Self {
        Self::read(&|| gateway.envoy.log(), &|| gateway.server.log(), ids).await
    }

    /// The same in the logs of an Envoy and of the server, wherever they are.
    pub(super) async fn read(
        envoy: &dyn Fn() -> String,
        server: &dyn Fn() -> String,
        ids: &[String],
    ) -> Self {
        let access = wait::until("line of each request", LONGEST, || async {
            let lines = by_id(&envoy());
            match ids.iter().find(|id| !lines.contains_key(*id)) {
                Some(missing) => Err(missing.clone()),
                None => Ok(lines),
            }
        })
        .await;
        Self { access, refusals: by_id(&server()) }
    }

    /// What they say of a request.
    ///
    /// # Panics
    /// When the server refused it and has not said why.
    pub(super) fn find(&self, id: &str) -> Found {
        let line = &self.access[id];
        let text = |name: &str| line[name].as_str().filter(|text| !matches!(*text, "" | "-"));
        // The rendering's name for what no route is.
        let route = text("route").filter(|name| *name != "postern-no-route").map(str::to_owned);
        let of = |by: By, reason: Option<&str>| Found {
            by: Some(by),
            reason: reason.map(str::to_owned),
            route: route.clone(),
            cluster: text("upstream").map(str::to_owned),
        };
        if let Some(reason) = text("reason") {
            return of(By::Bundle, Some(reason));
        }
        if text("details") == Some("ext_authz_denied") {
            let refusal = self.refusals.get(id).and_then(|refusal| refusal["reason"].as_str());
            let reason = refusal.unwrap_or_else(|| {
                panic!(
                    "the server says nothing of {id}: it must run with \
                     POSTERN_LOG=info,postern_ext_authz=debug"
                )
            });
            return of(By::ExtAuthz, Some(reason));
        }
        let flags = text("flags").unwrap_or_default();
        let of_upstream = flags.split(',').any(|flag| OF_UPSTREAM.contains(&flag));
        of(if of_upstream { By::Router } else { By::Envoy }, None)
    }
}

impl Found {
    /// What is otherwise than the case expects.
    pub(super) fn differences(&self, case: &Case, document: &Document) -> Vec<String> {
        let expect = &case.expect;
        let mut found = Vec::new();
        if let Some(version) = &expect.version {
            found.extend(self.other_version(version, document));
        }
        if expect.allowed && self.reason.is_some() {
            found.push(format!("refused by {:?}: {:?}", self.by, self.reason));
        }
        if let Some(route) = &expect.route
            && self.route != *route
        {
            found.push(format!("route {:?}, expected {route:?}", self.route));
        }
        if expect.by.is_some() && self.by != expect.by {
            found.push(format!("by {:?}, expected {:?}", self.by, expect.by));
        }
        if expect.reason.is_some() && self.reason != expect.reason {
            found.push(format!("reason {:?}, expected {:?}", self.reason, expect.reason));
        }
        found
    }

    /// Whether another version got it. Of a draw nobody can say who will: then it must be one that
    /// has a share.
    fn other_version(&self, expected: &str, document: &Document) -> Option<String> {
        let route = document.routes.iter().find(|route| Some(&route.name) == self.route.as_ref());
        let Some(route) = route else { return Some("no route, and so no version".to_owned()) };
        let share = |name: &str| {
            let found = route.split.iter().find(|(version, _)| version.name == name);
            found.map_or(0, |(_, percent)| *percent)
        };
        let prefix = format!("service-{}--", route.service_name());
        let got = self.cluster.as_deref().and_then(|name| name.strip_prefix(&prefix));
        let is_drawn = (1..100).contains(&share(expected));
        let is_good = got.is_some_and(|got| got == expected || (is_drawn && share(got) > 0));
        (!is_good).then(|| format!("version {got:?} of {:?}, expected {expected}", self.cluster))
    }
}

/// The JSON lines of a log that name a correlation id, the last of each.
fn by_id(log: &str) -> BTreeMap<String, Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let named = lines.filter_map(|line| {
        let id = line["correlation_id"].as_str()?.to_owned();
        Some((id, line))
    });
    named.collect()
}
