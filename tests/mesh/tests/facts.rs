//! What the rendering relies on and Istio's documentation does not promise, asked of Istio itself.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use postern_e2e::keys::{self, Token};
use postern_e2e::raw::Answer;
use postern_mesh::caller::{send, until_status};
use postern_mesh::mesh::{HOST, Mesh};
use postern_mesh::raw::{self, Tls};
use serde_json::{Value, json};

/// An EnvoyFilter of the gateway with one patch.
fn patch(name: &str, apply_to: &str, matches: &Value, patch: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": {
            "priority": 100,
            "workloadSelector": {"labels": {"istio": "ingressgateway"}},
            "configPatches": [{"applyTo": apply_to, "match": matches, "patch": patch}],
        },
    })
}

/// A patch that marks answers of every route that it reaches.
fn marked(name: &str, apply_to: &str, matches: &Value) -> Value {
    let mark = json!({"operation": "MERGE", "value": {
        "response_headers_to_add": [{"header": {"key": "x-marked", "value": name}}],
    }});
    patch(name, apply_to, matches, &mark)
}

/// The entry of a VirtualService's `http` that is called so.
fn entry<'a>(resource: &'a mut Value, name: &str) -> Option<(&'a mut Vec<Value>, usize)> {
    let entries = resource["spec"]["http"].as_array_mut()?;
    let at = entries.iter().position(|one| one["name"] == name)?;
    Some((entries, at))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_one_name_are_patched_alike() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    mesh.render_again(|one| {
        if let Some((entries, at)) = entry(one, "open") {
            let mut canary = entries[at].clone();
            canary["match"][0]["headers"] = json!({"x-canary": {"exact": "yes"}});
            canary["headers"] = json!({"response": {"set": {"x-canary": "yes"}}});
            entries.insert(at, canary);
        }
        true
    })
    .await;
    let by_name = json!({"context": "GATEWAY", "routeConfiguration": {"vhost": {
        "route": {"name": "open"},
    }}});
    mesh.put("marked", &[marked("both", "HTTP_ROUTE", &by_name)]).await;
    assert_eq!(mesh.gateway().routes("open").await.len(), 2);
    for canary in ["yes", "no"] {
        let request = outside.get("/content/open/a").header("x-canary", canary);
        let answer = send(request).await.expect(200);
        assert_eq!(answer.header("x-canary").is_some(), canary == "yes", "{answer}");
        assert_eq!(answer.header("x-marked"), Some("both"), "{answer}");
    }
    let elsewhere = send(outside.get("/nowhere")).await;
    assert_eq!(elsewhere.header("x-marked"), None, "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_apply_to_proxies_whose_version_they_match() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    for (version, applies) in [
        (r"^1\.31\.", true),
        (r"^1\.(30|31)\.", true),
        (r"^1\.(29|30)\.", false),
        (r"^1\.3\.", false),
    ] {
        let of_version = json!({"context": "GATEWAY", "proxy": {"proxyVersion": version}});
        mesh.put("marked", &[marked("version", "ROUTE_CONFIGURATION", &of_version)]).await;
        let answer = send(outside.get("/content/open/a")).await.expect(200);
        assert_eq!(answer.header("x-marked").is_some(), applies, "{version}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_off_is_switched_on_by_its_own_message_alone() {
    let mesh = Mesh::start().await;
    let switch = |message: Value| {
        let value = json!({"typed_per_filter_config": {"envoy.filters.http.ext_proc": message}});
        let patched = json!({"operation": "MERGE", "value": value});
        let gateway = json!({"context": "GATEWAY"});
        patch("switch", "ROUTE_CONFIGURATION", &gateway, &patched)
    };
    // Envoy would take this for "on"; Istio does not let it through.
    let generic = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
    mesh.control_plane.put("switch", &[switch(json!({"@type": generic, "config": {}}))]);
    let errors = mesh.control_plane.try_apply().await["errors"].clone();
    assert!(errors.to_string().contains("doesn't have '@type'"), "{errors}");

    let own = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute";
    mesh.put("switch", &[switch(json!({"@type": own, "overrides": {}}))]).await;
    let outside = mesh.outside();
    let token = Token::of(&keys::subject("buyer")).sign();
    let buying = || outside.get("/commerce/a").bearer_auth(&token);
    let answer = until_status(200, buying).await;
    assert!(answer.upstream_header("x-caller").is_some(), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_come_before_timeouts_and_retries() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    let with = |fault: Value| {
        move |one: &mut Value| {
            if let Some((entries, at)) = entry(one, "open") {
                entries[at]["fault"] = fault.clone();
                entries[at]["timeout"] = json!("0.5s");
                entries[at]["retries"] = json!({"attempts": 2, "retryOn": "5xx"});
            }
            true
        }
    };
    let all = json!({"value": 100.0});

    // A delay is no part of the time that an upstream has.
    mesh.render_again(with(json!({"delay": {"percentage": all, "fixedDelay": "1s"}}))).await;
    let began = Instant::now();
    send(outside.get("/content/open/a")).await.expect(200);
    // Far beyond the timeout; Envoy's timers may be a little early.
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());

    // What is aborted is not tried again.
    mesh.render_again(with(json!({"abort": {"percentage": all, "httpStatus": 503}}))).await;
    let before = (mesh.upstream.total(), mesh.gateway().count(".fault.aborts_injected").await);
    send(outside.get("/content/open/a")).await.expect(503);
    let after = (mesh.upstream.total(), mesh.gateway().count(".fault.aborts_injected").await);
    assert_eq!(after, (before.0, before.1 + 1));

    // A refused request meets no fault.
    send(outside.get("/content/a")).await.expect_denial(401, "UNAUTHORIZED");
    assert_eq!(mesh.gateway().count(".fault.aborts_injected").await, after.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_taken_away_before_any_filter_where_envoy_is_told_so() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    // Whoever deletes the module must not thereby let forged identities in.
    let without_module =
        |one: &mut Value| one["kind"] != "TrafficExtension" && one["kind"] != "WasmPlugin";
    mesh.render_again(without_module).await;
    let mutation = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
    let managers = json!({"context": "GATEWAY", "listener": {"filterChain": {"filter": {
        "name": "envoy.filters.network.http_connection_manager",
    }}}});
    let manager =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let early = json!({"operation": "MERGE", "value": {"typed_config": {
        "@type": format!("type.googleapis.com/{manager}"),
        "early_header_mutation_extensions": [{
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": format!("type.googleapis.com/{mutation}"),
                "mutations": [{"remove_on_match": {"key_matcher": {"prefix": "x-postern-"}}}],
            },
        }],
    }}});
    mesh.put("early", &[patch("early", "NETWORK_FILTER", &managers, &early)]).await;
    let forged = outside
        .get("/content/open/a")
        .header("x-postern-scope-admin", "true")
        .header("x-other", "stays");
    let answer = send(forged).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-scope-admin"), None, "{answer}");
    assert_eq!(answer.upstream_header("x-other"), Some("stays".into()), "{answer}");
}

/// Istio has its proxies take what Envoy by itself refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fragment_is_cut_off_before_anybody_judges_the_path() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    let (to, tls) = (mesh.entrance(), Tls::from_outside(HOST));
    for (path, status) in [("/content/open/a#b", 200), ("/content/a#/../open/b", 401)] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let received = raw::exchange(from, to, Some(tls.clone()), request.into_bytes()).await;
        let answer = Answer::of(&received);
        assert_eq!(answer.status, Some(status), "{path}: {}", answer.text);
        assert!(!answer.text.contains('#'), "{path}: {}", answer.text);
    }
}
