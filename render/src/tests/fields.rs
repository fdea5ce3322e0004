//! No field of a document is dropped without a word: it changes what proxies do, or the bundle reads
//! it, or it is the server's own; and what a rendering has no words for, it refuses by name.

mod table;

use std::collections::BTreeSet;

use postern_document::{from_json, json_schema};
use serde_json::Value;

use super::*;

/// A document with everything that changes what proxies do.
const ROUTED: &str = include_str!("fields/routed.json");
/// One with everything else.
const JUDGED: &str = include_str!("fields/judged.json");
/// The key file that it names.
const KEYS: &str = include_str!("../../../tests/fixtures/jwks.json");

/// What no proxy and no bundle is told: addresses, secrets, who may say or ask what, and how people
/// log in.
const OF_THE_SERVER: [&str; 80] = [
    "credentials.api_key.keys[].client_id",
    "credentials.api_key.keys[].id",
    "credentials.api_key.keys[].scopes",
    "credentials.api_key.keys[].sha256",
    "credentials.api_key.keys[].subject",
    "credentials.api_key.keys[].tier",
    "credentials.jwt.issuers[].jwks.file",
    "discovery.consul.address",
    "discovery.consul.token",
    "discovery.registry",
    "feed.forwarded_client_cert",
    "feed.peers[].credential_sha256",
    "feed.peers[].name",
    "feed.peers[].spiffe",
    "feed.peers[].workloads",
    "login.default_role",
    "login.fingerprint",
    "login.hosts",
    "login.limits.email",
    "login.limits.ip",
    "login.limits.pair",
    "login.on_change",
    "login.outside[].client_id",
    "login.outside[].client_secret",
    "login.outside[].domains",
    "login.outside[].issuer",
    "login.outside[].name",
    "login.outside[].role",
    "login.outside[].role_claim.claim",
    "login.outside[].role_claim.values",
    "login.outside[].scopes",
    "login.outside[].title",
    "login.outside[].users",
    "login.pages.accent",
    "login.pages.background",
    "login.pages.languages",
    "login.pages.logo",
    "login.pages.privacy",
    "login.pages.terms",
    "login.pages.text",
    "login.pages.title",
    "login.passkeys.rp_id",
    "login.passwords.breached.file",
    "login.passwords.breached.range_url",
    "login.passwords.breached.when_unavailable",
    "login.passwords.iterations",
    "login.passwords.memory",
    "login.passwords.min_length",
    "login.roles.*.mfa",
    "login.roles.*.scopes",
    "login.roles.*.tier",
    "login.session.absolute",
    "login.session.cookie_domain",
    "login.session.idle",
    "login.session.remembered",
    "oauth.access_token.algorithm",
    "oauth.access_token.lifetime",
    "oauth.code.lifetime",
    "oauth.cors_origins",
    "oauth.device.interval",
    "oauth.device.lifetime",
    "oauth.grants",
    "oauth.keys.rotate_every",
    "oauth.refresh_token.grace",
    "oauth.refresh_token.lifetime",
    "oauth.refresh_token.remembered",
    "oauth.registration.mode",
    "oauth.registration.scopes",
    "oauth.registration.unused_for",
    "oauth.require_pushed_requests",
    "oauth.resources[].resource",
    "oauth.resources[].scopes",
    "oauth.scopes",
    "owners.*.hosts",
    "owners.*.paths",
    "owners.*.workloads",
    "routes[].auth.login",
    "stores.durable",
    "stores.replicas",
    "stores.volatile",
];

/// What means nothing to an Envoy at the edge without a mesh: Kubernetes' names, and whom the bundle
/// beside a workload takes calls of.
const NOT_AT_THE_EDGE: [&str; 5] = [
    "mesh.root_namespace",
    "routes[].peers",
    "services.*.endpoints[].labels",
    "workloads.*.labels",
    "workloads.*.ports",
];

/// The fields of a schema, as paths: `*` stands for names that authors choose, `[]` for items.
fn fields(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        fields(one, at, found);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = below(at, name);
        found.insert(path.clone());
        fields(inner, &path, found);
    }
    if schema["items"].is_object() {
        fields(&schema["items"], &format!("{at}[]"), found);
    }
    if schema["additionalProperties"].is_object() {
        fields(&schema["additionalProperties"], &format!("{at}.*"), found);
    }
}

/// Those that a value has.
fn present(schema: &Value, value: &Value, at: &str, found: &mut BTreeSet<String>) {
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        present(one, value, at, found);
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = below(at, name);
        if let Some(inner) = schema["properties"].get(name) {
            found.insert(path.clone());
            present(inner, value, &path, found);
        } else if schema["additionalProperties"].is_object() {
            present(&schema["additionalProperties"], value, &format!("{at}.*"), found);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        present(&schema["items"], item, &format!("{at}[]"), found);
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The main file's schema; fragments have nothing of their own.
fn schema() -> Value {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    schema["anyOf"][0].clone()
}

fn holds(path: &str, other: &str) -> bool {
    other.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Fields that hold no others.
fn leaves(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    fields(schema, "", &mut all);
    all.iter().filter(|path| !all.iter().any(|other| holds(path, other))).cloned().collect()
}

#[test]
fn every_field_is_somebodys() {
    let schema = schema();
    let all = leaves(&schema);
    let bundle: Value = serde_json::from_str(&of_yaml(JUDGED, KEYS).filter_config()).unwrap();
    let mut known = BTreeSet::new();
    present(&schema, &bundle["document"], "", &mut known);
    for field in OF_THE_SERVER {
        assert!(!known.contains(field), "the bundle is told `{field}`");
        known.insert(field.to_owned());
    }
    known.extend(table::ROWS.iter().map(|(field, _)| (*field).to_owned()));
    let unknown: Vec<&String> = all.difference(&known).collect();
    assert!(unknown.is_empty(), "whose are these, and what do they change? {unknown:?}");
    let listed = table::ROWS.iter().map(|(field, _)| *field);
    for field in listed.chain(OF_THE_SERVER).chain(NOT_AT_THE_EDGE) {
        assert!(all.contains(field), "there is no field `{field}`");
    }
}

/// `routed.json` with some edits.
fn edited(edits: &[(&str, &str)]) -> Document {
    let mut document: Value = serde_json::from_str(ROUTED).unwrap();
    for (pointer, text) in edits {
        let (holder, name) = pointer.rsplit_once('/').unwrap();
        let holder = document.pointer_mut(holder).unwrap();
        if text.is_empty() {
            holder.as_object_mut().unwrap().remove(name).unwrap();
            continue;
        }
        let value: Value = serde_json::from_str(text).unwrap();
        match holder {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            other => other[name] = value,
        }
    }
    from_json(document.to_string().as_bytes()).unwrap()
}

/// What proxies are told, without what they only hand to the bundle.
fn told(document: &Document, target: Target) -> Result<Files, String> {
    let files = rendered(document, target)?.into_iter().filter(|(name, _)| name != "plugin.yaml");
    let files = files.map(|(name, text)| {
        if !name.ends_with(".json") {
            return (name, anonymous(&text, document));
        }
        let mut value: Value = serde_json::from_str(&text).unwrap();
        without_the_bundle(&mut value);
        (name, anonymous(&value.to_string(), document))
    });
    Ok(files.collect())
}

fn without_the_bundle(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("configuration");
            members.values_mut().for_each(without_the_bundle);
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_bundle),
        _ => {}
    }
}

/// Whether an error names something of what was edited.
fn is_named(error: &str, edits: &[(&str, &str)]) -> bool {
    let mut names = edits.iter().flat_map(|(pointer, text)| {
        pointer.split('/').chain([text.trim_matches('"')]).filter(|name| !name.is_empty())
    });
    names.any(|name| error.contains(&format!("`{name}`")))
}

#[test]
fn what_proxies_do_is_in_every_rendering_or_refused_by_name() {
    for target in [Target::Istio, Target::GatewayApi, Target::Edge] {
        let before = told(&edited(&[]), target).unwrap();
        for (field, edits) in table::ROWS {
            let is_nothing = target == Target::Edge && NOT_AT_THE_EDGE.contains(field);
            match told(&edited(edits), target) {
                Ok(after) => {
                    let changes = after != before;
                    assert_eq!(changes, !is_nothing, "{target:?}: `{field}`, by {edits:?}");
                }
                Err(error) => {
                    assert!(!is_nothing && is_named(&error, edits), "{target:?}: {field}: {error}");
                }
            }
        }
    }
}
