//! Dependencies point inward: the one list of who may use whom.
//!
//! A crate that is not in the table fails as an edge does that no row allows:
//! whoever adds a crate says here where it stands.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths::Workspace;
use crate::say;

/// One crate: which of ours it may use, and the rule that says so.
struct Row {
    package: &'static str,
    may_use: &'static [&'static [&'static str]],
    rule: &'static str,
}

const CORE: &[&str] = &[
    "postern-request",
    "postern-jose",
    "postern-oauth",
    "postern-limits",
    "postern-leases",
    "postern-circuit",
    "postern-revocation",
    "postern-document",
    "postern-xds",
];
/// Core that only the server and tools have a use for: what others' configuration says, and what
/// a request would meet.
const TOOLS: &[&str] = &["postern-descriptors", "postern-policies", "postern-explain"];
/// Core of the registry of services, which no filter has a use for.
const REGISTRY: &[&str] = &["postern-registry"];
/// What stages may build on: all of the core but the authorization server's part.
const STAGE_CORE: &[&str] = &[
    "postern-request",
    "postern-jose",
    "postern-limits",
    "postern-leases",
    "postern-circuit",
    "postern-revocation",
    "postern-document",
];
const STAGES: &[&str] = &[
    "postern-filter-jwt-auth",
    "postern-filter-local-rate-limit",
    "postern-filter-leased-rate-limit",
    "postern-filter-circuit-breaker",
    "postern-filter-feed",
];
const PROTO: &[&str] = &["postern-proto"];
/// The port through which stages reach what all workers share.
const SHARED_DATA: &[&str] = &["postern-filter-shared-data"];
const FILTER_HOST: &[&str] = &["postern-filter-host"];
const BUNDLE: &[&str] = &["postern-bundle"];
const STORE: &[&str] = &["postern-store"];
const STORE_ADAPTERS: &[&str] =
    &["postern-store-redis", "postern-store-sql", "postern-store-consul"];
const TELEMETRY: &[&str] = &["postern-telemetry"];
/// How configuration is read from files, and looked at again.
const FILES: &[&str] = &["postern-files"];
const SERVICES: &[&str] = &[
    "postern-ext-authz",
    "postern-ext-proc",
    "postern-rate-limit",
    "postern-feed",
    "postern-ads",
    "postern-identity",
];
/// What pages look like: pure, and known to nobody but those who send them.
const PAGES: &[&str] = &["postern-identity-pages"];
const RENDER: &[&str] = &["postern-render"];
const SERVER: &str = "postern-server";
const TRIVIAL_FILTER: &str = "postern-trivial-filter";
const TESTS: &[&str] = &[
    "postern-e2e",
    "postern-sample-upstream",
    TRIVIAL_FILTER,
    "postern-bench",
    "postern-simulation",
    "postern-mesh",
];

const REQUEST: &[&str] = &["postern-request"];
const LIMITS: &[&str] = &["postern-limits"];
const DOCUMENT: &[&str] = &["postern-document"];
const TICKETS: &[&str] = &["postern-ext-authz"];
const TRUST: &[&str] = &["postern-feed"];
const LOCAL_LIMITS: &[&str] = &["postern-filter-local-rate-limit"];
const JOSE: &[&str] = &["postern-jose"];

/// What a test crate may use: all but the server, whose binary it runs, and xtask.
const BY_TESTS: &[&[&str]] = &[
    CORE,
    TOOLS,
    REGISTRY,
    FILTER_HOST,
    SHARED_DATA,
    STAGES,
    BUNDLE,
    PROTO,
    STORE,
    STORE_ADAPTERS,
    TELEMETRY,
    FILES,
    SERVICES,
    PAGES,
    RENDER,
    TESTS,
];

const CORE_RULE: &str =
    "in core/, request ← jose ← oauth and revocation, the rest depends on request";
const STAGE_RULE: &str = "a filter stage depends on core (but oauth), shared data and proto alone";
const ADAPTER_RULE: &str = "a store's adapter depends on store and core alone";
const SERVICE_RULE: &str = "a service depends on core, proto, store's ports and telemetry alone";
const TESTS_RULE: &str = "tests depend on anything but the server, whose binary they run";

const TABLE: &[Row] = &[
    row("postern-request", &[], CORE_RULE),
    row("postern-jose", &[REQUEST], CORE_RULE),
    row("postern-oauth", &[REQUEST, JOSE], CORE_RULE),
    row("postern-limits", &[REQUEST], CORE_RULE),
    row("postern-circuit", &[REQUEST], CORE_RULE),
    row("postern-revocation", &[REQUEST, JOSE], CORE_RULE),
    row("postern-document", &[CORE], "core/document depends on core alone"),
    row("postern-descriptors", &[LIMITS, DOCUMENT], "core/descriptors depends on core alone"),
    row("postern-policies", &[REQUEST, DOCUMENT], "core/policies depends on core alone"),
    row("postern-explain", &[CORE], "core/explain depends on core alone"),
    row("postern-leases", &[REQUEST, LIMITS], CORE_RULE),
    row("postern-registry", &[REQUEST], CORE_RULE),
    row("postern-xds", &[], "core/xds knows nobody: what resources say is bytes to it"),
    row(
        "postern-filter-host",
        &[REQUEST, JOSE, SHARED_DATA],
        "filters/host knows no core crate but request and jose",
    ),
    row("postern-filter-shared-data", &[], "filters/shared-data is a port and knows nobody"),
    row("postern-filter-jwt-auth", &[STAGE_CORE], STAGE_RULE),
    row("postern-filter-local-rate-limit", &[STAGE_CORE, SHARED_DATA], STAGE_RULE),
    row(
        "postern-filter-leased-rate-limit",
        &[STAGE_CORE, SHARED_DATA, PROTO, LOCAL_LIMITS],
        "leased limits count as local ones do while there are no leases, and else are a stage as \
         others are",
    ),
    row("postern-filter-circuit-breaker", &[STAGE_CORE, SHARED_DATA, PROTO], STAGE_RULE),
    row("postern-filter-feed", &[STAGE_CORE, SHARED_DATA, PROTO], STAGE_RULE),
    row(
        "postern-bundle",
        &[STAGES, SHARED_DATA, PROTO, FILTER_HOST, CORE],
        "filters/bundle depends on the stages, filters/host and core alone",
    ),
    row("postern-proto", &[], "proto knows nobody of ours"),
    row("postern-store", &[CORE, REGISTRY], "store depends on core alone"),
    row("postern-store-redis", &[STORE, CORE, REGISTRY], ADAPTER_RULE),
    row("postern-store-sql", &[STORE, CORE, REGISTRY], ADAPTER_RULE),
    row("postern-store-consul", &[STORE, CORE, REGISTRY], ADAPTER_RULE),
    row("postern-telemetry", &[REQUEST], "telemetry knows nothing of ours but request"),
    row("postern-files", &[], "files knows nobody of ours: what texts mean is for others"),
    row("postern-ext-authz", &[CORE, STORE, TELEMETRY], SERVICE_RULE),
    row(
        "postern-ext-proc",
        &[CORE, STORE, TELEMETRY, TICKETS],
        "ext-proc goes by ext-authz's documents, settles what it has written down, and else is a \
         service as others are",
    ),
    row("postern-rate-limit", &[CORE, TOOLS, STORE, TELEMETRY, FILES], SERVICE_RULE),
    row("postern-feed", &[CORE, PROTO, STORE, TELEMETRY], SERVICE_RULE),
    row(
        "postern-ads",
        &[CORE, RENDER, TRUST, TELEMETRY],
        "xds tells what render says to those whom feed believes, and else is a service as others \
         are",
    ),
    row(
        "postern-identity",
        &[CORE, REGISTRY, STORE, TELEMETRY, PAGES],
        "identity sends its pages, and else is a service as others are",
    ),
    row(
        "postern-identity-pages",
        &[REQUEST],
        "identity/pages makes HTML of what it is handed, and knows nothing of ours but request",
    ),
    row("postern-render", &[CORE, TOOLS], "render depends on core alone"),
    row(
        SERVER,
        &[CORE, TOOLS, REGISTRY, STORE, STORE_ADAPTERS, TELEMETRY, FILES, SERVICES, RENDER],
        "server puts everything native together, and knows neither filters nor tests",
    ),
    row("postern-e2e", BY_TESTS, TESTS_RULE),
    row("postern-sample-upstream", BY_TESTS, TESTS_RULE),
    row(TRIVIAL_FILTER, BY_TESTS, TESTS_RULE),
    row("postern-simulation", BY_TESTS, TESTS_RULE),
    row("postern-bench", BY_TESTS, TESTS_RULE),
    row("postern-mesh", BY_TESTS, TESTS_RULE),
    row("xtask", &[], "xtask knows none of our crates: it builds them"),
];

/// What ties code to an operating system, a runtime or a host.
const OUTSIDE: &[&str] = &["axum", "proxy-wasm", "redis", "reqwest", "sqlx", "tokio", "tonic"];
const PROXY_WASM: &str = "proxy-wasm";

const fn row(
    package: &'static str,
    may_use: &'static [&'static [&'static str]],
    rule: &'static str,
) -> Row {
    Row { package, may_use, rule }
}

impl Row {
    fn allows(&self, package: &str) -> bool {
        self.may_use.iter().any(|group| group.contains(&package))
    }
}

/// A dependency as a manifest declares it.
struct Edge<'a> {
    to: &'a str,
    /// `normal`, `dev` or `build`.
    kind: &'a str,
    /// It names a folder, so it can only be one of ours.
    by_path: bool,
}

/// `./dev arrows`
pub fn run(workspace: &Workspace) -> Result<()> {
    let metadata = workspace.metadata();
    let mut problems = check(metadata)?;
    problems.extend(stale_rows(metadata)?);
    if !problems.is_empty() {
        bail!("dependencies must point inward:\n  {}", problems.join("\n  "));
    }
    say::ok(&format!("arrows: the dependencies of {} crates point inward", TABLE.len()));
    Ok(())
}

/// The crates that must build for wasm32.
pub fn wasm_packages() -> impl Iterator<Item = &'static str> {
    let groups: [&[&str]; 8] =
        [CORE, TOOLS, REGISTRY, FILTER_HOST, STAGES, BUNDLE, PROTO, &[TRIVIAL_FILTER]];
    groups.into_iter().flatten().copied()
}

/// Every wrong edge in `cargo metadata --no-deps`, with the rule it breaks.
fn check(metadata: &Value) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in packages(metadata)? {
        let name = name_of(package)?;
        let Some(row) = TABLE.iter().find(|row| row.package == name) else {
            problems.push(format!("{name}: not in the table of xtask/src/arrows.rs"));
            continue;
        };
        for edge in edges(package)? {
            if let Some(rule) = broken_rule(row, &edge) {
                let (to, kind) = (edge.to, edge.kind);
                problems.push(format!("{name} → {to} ({kind} dependency): {rule}"));
            }
        }
    }
    Ok(problems)
}

/// Rows that speak of crates which are gone.
fn stale_rows(metadata: &Value) -> Result<Vec<String>> {
    let members = packages(metadata)?.iter().map(name_of).collect::<Result<BTreeSet<&str>>>()?;
    Ok(TABLE
        .iter()
        .filter(|row| !members.contains(row.package))
        .map(|row| format!("{}: in the table of xtask/src/arrows.rs, but no crate", row.package))
        .collect())
}

fn broken_rule(row: &Row, edge: &Edge) -> Option<&'static str> {
    let ours = edge.by_path || TABLE.iter().any(|row| row.package == edge.to);
    if !ours {
        return third_party_rule(row.package, edge);
    }
    // Their own tests may need the rest of the core: a document names limits,
    // a token check is tried on requests.
    let tests_in_core =
        edge.kind == "dev" && ["postern-jose", "postern-document"].contains(&row.package);
    if row.allows(edge.to) || (tests_in_core && CORE.contains(&edge.to)) {
        return None;
    }
    Some(if edge.to == SERVER {
        "nothing depends on the server"
    } else if TESTS.contains(&edge.to) {
        "nothing but tests depends on tests"
    } else {
        row.rule
    })
}

fn third_party_rule(package: &str, edge: &Edge) -> Option<&'static str> {
    if edge.to == PROXY_WASM {
        let allowed = FILTER_HOST.contains(&package) || package == TRIVIAL_FILTER;
        return (!allowed).then_some("only filters/host knows proxy-wasm (and the bench's filter)");
    }
    // Tests of pure code may use whatever they like.
    let pure = [CORE, TOOLS, REGISTRY, STAGES, FILTER_HOST, BUNDLE, PAGES]
        .iter()
        .any(|group| group.contains(&package));
    (pure && edge.kind != "dev" && OUTSIDE.contains(&edge.to))
        .then_some("core, filters and pages know no runtime, network or store")
}

fn packages(metadata: &Value) -> Result<&Vec<Value>> {
    metadata.get("packages").and_then(Value::as_array).context("cargo metadata has no packages")
}

fn name_of(value: &Value) -> Result<&str> {
    value.get("name").and_then(Value::as_str).context("cargo metadata holds something nameless")
}

fn edges(package: &Value) -> Result<Vec<Edge<'_>>> {
    let dependencies = package
        .get("dependencies")
        .and_then(Value::as_array)
        .context("a package of cargo metadata has no dependencies")?;
    dependencies
        .iter()
        .map(|dependency| {
            Ok(Edge {
                to: name_of(dependency)?,
                kind: dependency.get("kind").and_then(Value::as_str).unwrap_or("normal"),
                by_path: dependency.get("path").is_some_and(Value::is_string),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
