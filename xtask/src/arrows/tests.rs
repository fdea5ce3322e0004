//! The check on made-up metadata.

use serde_json::json;

use super::*;

/// Metadata of one crate with one dependency; `kind` as cargo writes it.
fn one(package: &str, to: &str, kind: Option<&str>) -> Value {
    json!({"packages": [{"name": package, "dependencies": [{"name": to, "kind": kind}]}]})
}

fn problems(package: &str, to: &str, kind: Option<&str>) -> Vec<String> {
    check(&one(package, to, kind)).unwrap()
}

#[test]
fn inward_edges_pass() {
    for (package, to, kind) in [
        ("postern-jose", "postern-request", None),
        ("postern-oauth", "postern-jose", None),
        ("postern-document", "postern-oauth", None),
        ("postern-jose", "postern-limits", Some("dev")),
        ("postern-bundle", "postern-filter-jwt-auth", None),
        ("postern-bundle", "postern-filter-host", None),
        ("postern-filter-jwt-auth", "postern-document", None),
        ("postern-filter-host", "proxy-wasm", None),
        ("postern-trivial-filter", "proxy-wasm", None),
        ("postern-store-redis", "redis", None),
        ("postern-jose", "tokio", Some("dev")),
        ("postern-jose", "sha2", None),
        ("postern-server", "postern-store-sql", None),
        ("postern-server", "postern-feed", None),
        ("postern-feed", "postern-proto", None),
        ("postern-proto", "tonic", None),
        ("postern-identity", "postern-identity-pages", None),
        ("postern-identity-pages", "postern-request", None),
        ("postern-identity-pages", "tokio", Some("dev")),
        ("postern-e2e", "postern-sample-upstream", Some("dev")),
        ("postern-e2e", "postern-bundle", None),
        ("xtask", "anyhow", None),
    ] {
        assert_eq!(problems(package, to, kind), Vec::<String>::new());
    }
}

#[test]
fn other_edges_fail_with_their_rule() {
    for (package, to, kind, rule) in [
        ("postern-request", "postern-jose", None, CORE_RULE),
        ("postern-jose", "postern-oauth", None, CORE_RULE),
        ("postern-limits", "postern-circuit", None, CORE_RULE),
        ("postern-limits", "postern-jose", Some("dev"), CORE_RULE),
        ("postern-limits", "postern-document", Some("build"), CORE_RULE),
        ("postern-filter-host", "postern-document", None, "filters/host"),
        ("postern-filter-jwt-auth", "postern-filter-host", None, STAGE_RULE),
        ("postern-filter-jwt-auth", "postern-oauth", None, STAGE_RULE),
        ("postern-filter-jwt-auth", "proxy-wasm", None, "only filters/host"),
        ("postern-bundle", "proxy-wasm", None, "only filters/host"),
        ("postern-bundle", "postern-store", None, "filters/bundle"),
        ("postern-ext-authz", "postern-store-redis", None, SERVICE_RULE),
        ("postern-ext-authz", "postern-ext-proc", None, SERVICE_RULE),
        ("postern-ext-authz", "postern-feed", None, SERVICE_RULE),
        ("postern-feed", "postern-store-sql", None, SERVICE_RULE),
        ("postern-proto", "postern-revocation", None, "proto knows"),
        ("postern-telemetry", "postern-store", None, "telemetry"),
        ("postern-render", "postern-store", None, "render"),
        ("postern-server", "postern-bundle", None, "server puts"),
        ("postern-server", "postern-e2e", Some("dev"), "nothing but tests"),
        ("postern-e2e", "postern-server", Some("dev"), "nothing depends on the server"),
        ("postern-identity", "postern-server", None, "nothing depends on the server"),
        ("postern-identity-pages", "postern-store", None, "identity/pages"),
        ("postern-identity-pages", "postern-identity", None, "identity/pages"),
        ("postern-identity-pages", "axum", None, "no runtime"),
        ("postern-server", "postern-identity-pages", None, "server puts"),
        ("postern-limits", "tokio", None, "no runtime"),
        ("postern-limits", "reqwest", Some("build"), "no runtime"),
        ("postern-filter-local-rate-limit", "tonic", None, "no runtime"),
        ("xtask", "postern-request", None, "xtask"),
    ] {
        let found = problems(package, to, kind);
        assert_eq!(found.len(), 1, "{package} → {to}: {found:?}");
        assert!(found.iter().all(|problem| problem.contains(rule)), "{found:?}");
        let edge = format!("{package} → {to} ({} dependency)", kind.unwrap_or("normal"));
        assert!(found.iter().all(|problem| problem.starts_with(&edge)), "{found:?}");
    }
}

#[test]
fn every_wrong_edge_is_listed() {
    let metadata = json!({"packages": [
        {"name": "postern-request", "dependencies": [
            {"name": "tokio", "kind": null},
            {"name": "postern-store", "kind": null},
        ]},
        {"name": "postern-newcomer", "dependencies": []},
    ]});
    let found = check(&metadata).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("postern-newcomer: not in the table")));
}

#[test]
fn a_folder_outside_the_table_is_no_way_around_it() {
    let metadata = json!({"packages": [{"name": "postern-request", "dependencies": [
        {"name": "elsewhere", "kind": null, "path": "/elsewhere"},
    ]}]});
    assert_eq!(check(&metadata).unwrap().len(), 1);
}

#[test]
fn rows_of_crates_that_are_gone_are_reported() {
    let members: Vec<Value> =
        TABLE.iter().skip(1).map(|row| json!({"name": row.package})).collect();
    let found = stale_rows(&json!({"packages": members})).unwrap();
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|problem| problem.starts_with("postern-request")));
}

#[test]
fn the_table_names_each_crate_once_and_only_known_ones() {
    let rows: BTreeSet<&str> = TABLE.iter().map(|row| row.package).collect();
    assert_eq!(rows.len(), TABLE.len());
    for row in TABLE {
        for used in row.may_use.iter().flat_map(|group| group.iter()) {
            assert!(rows.contains(used), "{} may use {used}, which has no row", row.package);
        }
    }
    assert!(wasm_packages().all(|package| rows.contains(package)));
}

#[test]
fn broken_metadata_is_an_error() {
    assert!(check(&json!({})).is_err());
    assert!(check(&json!({"packages": [{"name": "postern-request"}]})).is_err());
}
