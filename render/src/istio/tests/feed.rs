//! The feed in the mesh, keys that come by it, and certificates of callers.

use super::*;

const PEER: &str = r#""peers": [{"spiffe": "spiffe://mesh/gateway", "workloads": ["edge"]}]"#;
const FORWARDED: &str = r#""forwarded_client_cert": "local_proxy""#;
const REVOCATION: &str = r#""revocation": {"max_staleness": "30s", "when_stale": "deny"},"#;

/// A document with these members, and these of `credentials.jwt` beside an issuer with these keys.
fn asking(members: &str, jwt: &str, jwks: &str) -> Document {
    load(&format!(
        r#"{{"version": 1, {members}
            "services": {{"a": {{"upstream": "a.b.svc.cluster.local:80"}},
                          "keys": {{"upstream": "short:80"}}}},
            "credentials": {{"jwt": {{{jwt} "issuers": [
                {{"issuer": "https://login.example.test", "audiences": ["api"] {jwks}}}]}}}},
            "routes": [{{"name": "r", "match": {{"path": "/"}}, "service": "a",
                         "auth": {{"any": ["jwt"]}}}}]}}"#
    ))
}

const FETCHED: &str = r#", "jwks": {"uri": "https://login.example.test/keys"}"#;

fn revoking(feed: &str) -> Document {
    asking(&format!("{REVOCATION} {feed}"), "", FETCHED)
}

fn configuration(document: &Document, options: &IstioOptions) -> Value {
    plugin(document, options)["spec"]["pluginConfig"].clone()
}

#[test]
fn the_bundle_asks_the_suites_service() {
    let document = revoking(&format!(r#""feed": {{{FORWARDED}, {PEER}}},"#));
    assert!(render(&document, &options(29)).is_ok());
    assert_eq!(
        configuration(&document, &options(29))["feed"],
        json!({"cluster": "outbound|9191||postern.postern-system.svc.cluster.local",
               "authority": "postern.postern-system.svc.cluster.local",
               "workload": "edge", "wait_ms": 10_000, "poll_ms": 0})
    );
    let polling = revoking(&format!(r#""feed": {{"poll": "500ms", {FORWARDED}, {PEER}}},"#));
    let feed = &configuration(&polling, &options(29))["feed"];
    assert_eq!((&feed["wait_ms"], &feed["poll_ms"]), (&json!(0), &json!(500)));
    assert_eq!(configuration(&self::document(), &options(29))["feed"], Value::Null);
}

#[test]
fn a_gateway_that_the_server_would_refuse_is_refused_here() {
    let edge = options(30);
    let shop = IstioOptions { workload: Some("shop".to_owned()), ..options(30) };
    let credential = format!(
        r#""peers": [{{"name": "e", "credential_sha256": "{HASH}", "workloads": ["edge"]}}]"#
    );
    for (feed, options, taken) in [
        (String::new(), &edge, false),
        (format!(r#""feed": {{{FORWARDED}}},"#), &edge, false),
        (format!(r#""feed": {{{PEER}}},"#), &edge, false),
        (format!(r#""feed": {{{FORWARDED}, {credential}}},"#), &edge, false),
        (format!(r#""feed": {{{FORWARDED}, {PEER}}},"#), &shop, false),
        (format!(r#""feed": {{{FORWARDED}, {PEER}}},"#), &edge, true),
    ] {
        let rendered = render(&revoking(&feed), options);
        assert_eq!(rendered.is_ok(), taken, "{feed}");
        let Err(error) = rendered else { continue };
        assert!(matches!(error, RenderError::FeedPeer { .. }), "{feed}: {error}");
        let error = error.to_string();
        let peer = format!(
            "`peers: [{{spiffe: spiffe://cluster.local/ns/istio-system/sa/\
             istio-ingressgateway-service-account, workloads: [{}]}}]`",
            options.workload.as_deref().unwrap_or("edge")
        );
        assert!(error.contains("`forwarded_client_cert: local_proxy`"), "{error}");
        assert!(error.contains(&peer), "{error}");
    }
}

/// Any id would let somebody else ask in its name, and the server refuse the Envoy itself.
#[test]
fn a_workload_of_the_document_asks_as_itself_and_nobody_else() {
    let asks = |id: &str| {
        let edge = r#""workloads": {"edge": {"gateway": true, "namespace": "edge-ns",
            "labels": {"app": "in"}, "service_account": "in"}},"#;
        let peers = format!(r#""peers": [{{"spiffe": "{id}", "workloads": ["edge"]}}]"#);
        render(&revoking(&format!(r#"{edge} "feed": {{{FORWARDED}, {peers}}},"#)), &options(30))
    };
    assert!(asks("spiffe://cluster.local/ns/edge-ns/sa/in").is_ok());
    for other in ["spiffe://cluster.local/ns/edge-ns/sa/on", "spiffe://mesh/gateway"] {
        let error = asks(other).unwrap_err();
        let RenderError::FeedPeer { example, .. } = &error else { panic!("{other}: {error}") };
        assert_eq!(example, "spiffe://cluster.local/ns/edge-ns/sa/in", "{other}");
    }
}

#[test]
fn keys_by_the_feed_need_no_place_in_the_mesh() {
    let feed = format!(r#""feed": {{{FORWARDED}, {PEER}}},"#);
    for jwks in [
        "",
        r#", "jwks": {"uri": "https://login.example.test/keys", "fetched_by": "server"}"#,
        // A short name means nothing to the gateway, which need not know it.
        r#", "jwks": {"service": "keys", "path": "/jwks", "fetched_by": "server"}"#,
    ] {
        let document = asking(&feed, "", jwks);
        let configuration = configuration(&document, &options(29));
        assert_eq!(configuration.get("key_sources"), None, "{jwks}");
        assert_eq!(configuration["feed"]["wait_ms"], 10_000, "{jwks}");
        let destinations = made(&document, |rendering| Destinations::of(rendering).unwrap());
        let hosts: Vec<&String> = destinations.hosts.keys().collect();
        assert_eq!(hosts, ["a.b.svc.cluster.local"], "{jwks}");
    }
    let by_the_gateway = asking(&feed, "", FETCHED);
    assert_eq!(configuration(&by_the_gateway, &options(29))["feed"], Value::Null);
}

#[test]
fn a_forwarded_certificate_is_left_only_where_the_document_goes_by_it() {
    let setting = |jwt: &str| {
        let filter = envoy_filter(&asking("", jwt, FETCHED), "postern-connection-manager");
        let patch = &filter["spec"]["configPatches"][0]["patch"]["value"];
        patch["typed_config"]["forward_client_cert_details"].clone()
    };
    let bound = |source: &str| format!(r#""bound": {{"certificate": "{source}"}},"#);
    assert_eq!(setting(""), Value::Null, "the mesh's own");
    assert_eq!(setting(&bound("connection")), Value::Null);
    assert_eq!(setting(&bound("forwarded")), "ALWAYS_FORWARD_ONLY");
}

#[test]
fn what_the_mesh_does_not_keep_to_itself_is_warned_of() {
    const PLAIN: &str = r#", "jwks": {"uri": "http://login.example.test/keys"}"#;
    let pinned = quiet();
    for (jwt, jwks, expected) in [
        ("", FETCHED, None),
        (r#""bound": {"certificate": "connection"},"#, FETCHED, Some("`ca.crt`")),
        (r#""bound": {"certificate": "forwarded"},"#, FETCHED, Some("x-forwarded-client-cert")),
        (r#""from": [{"query": "access_token"}],"#, FETCHED, Some("`access_token`")),
        ("", PLAIN, Some("clear text from `login.example.test:80`")),
    ] {
        let warnings = warnings(&asking("", jwt, jwks), &pinned);
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(warnings.len(), expected.len(), "{jwt}: {warnings:?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.contains(expected), "{jwt}: {warning}");
        }
    }
}
