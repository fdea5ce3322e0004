//! How Envoy reaches the server: the feed, its credential, TLS, certificates of callers.

use super::*;

const SHA256: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A document with these members besides a route; `jwt` stands beside the issuer.
fn asking(members: &Value, jwt: &Value, jwks: &Value) -> Document {
    let mut issuer = json!({"issuer": "https://i.test", "audiences": ["a"]});
    let mut credentials = jwt.clone();
    if !jwks.is_null() {
        issuer["jwks"] = jwks.clone();
    }
    credentials["issuers"] = json!([issuer]);
    let mut text = json!({
        "version": 1,
        "services": {"plain": {"upstream": "10.0.0.1:80"}},
        "credentials": {"jwt": credentials},
        "routes": [{"name": "all", "match": {"path": "/{rest=**}"}, "service": "plain",
                    "auth": {"any": ["jwt"]}}],
    });
    for (name, value) in members.as_object().unwrap() {
        text[name] = value.clone();
    }
    load(&text)
}

fn fetched() -> Value {
    json!({"uri": "https://keys.test/jwks"})
}

/// A document with revocation and these settings of the feed.
fn revoking(feed: &Value) -> Document {
    let rules = json!({"max_staleness": "12s", "when_stale": "deny"});
    asking(&json!({"revocation": rules, "feed": feed}), &json!({}), &fetched())
}

/// A document that needs no feed.
fn calm() -> Document {
    asking(&json!({}), &json!({}), &fetched())
}

/// What the bundle is configured with.
fn bundle(config: &Value) -> Value {
    let filters = manager(config)["http_filters"].as_array().unwrap();
    let bundle = filters.iter().find(|filter| filter["name"] == "postern").unwrap();
    let text = &bundle["typed_config"]["config"]["configuration"]["value"];
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

fn protocol(cluster: &Value) -> &Value {
    &cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
}

fn with_tls(name: Option<&str>, client: bool) -> EnvoyOptions {
    let client =
        client.then(|| ClientCertificate { chain: "/c.pem".to_owned(), key: "/c.key".to_owned() });
    let tls = ServerTls { ca: "/ca.pem".to_owned(), name: name.map(str::to_owned), client };
    EnvoyOptions { server_tls: Some(tls), ..options() }
}

#[test]
fn the_feed_is_asked_where_the_document_needs_it() {
    let calm = read(&calm(), &options());
    assert_eq!(bundle(&calm)["feed"], Value::Null);
    assert!(cluster(&calm, "postern_feed").is_none());
    // For its circuit.
    assert_eq!(bundle(&rendered())["feed"]["wait_ms"], 10_000);
    assert!(cluster(&rendered(), "postern_feed").is_some());

    let options = EnvoyOptions { workload: Some("shop".to_owned()), ..options() };
    let config = read(&revoking(&json!({})), &options);
    assert_eq!(
        bundle(&config)["feed"],
        json!({"cluster": "postern_feed", "authority": "postern_feed", "workload": "shop",
               "wait_ms": 4000, "poll_ms": 0})
    );
    let config = read(&revoking(&json!({"poll": "1s"})), &options);
    let feed = &bundle(&config)["feed"];
    assert_eq!((&feed["wait_ms"], &feed["poll_ms"]), (&json!(0), &json!(1000)));
}

#[test]
fn waiting_calls_are_not_counted_with_decisions() {
    let config = read(&revoking(&json!({})), &options());
    let (feed, grpc) = ("postern_feed", "postern-grpc");
    let place = |name: &str| {
        let endpoints = &cluster(&config, name).unwrap()["load_assignment"]["endpoints"];
        endpoints[0]["lb_endpoints"][0]["endpoint"]["address"].clone()
    };
    assert_eq!(place(feed), place(grpc));
    let feed = cluster(&config, feed).unwrap();
    assert!(protocol(feed)["explicit_http_config"]["http2_protocol_options"].is_object());
    assert_eq!(protocol(feed)["http_filters"], Value::Null, "there is no credential to add");
}

#[test]
fn keys_by_the_feed_are_fetched_by_no_envoy() {
    let by_server = json!({"uri": "https://keys.test/jwks", "fetched_by": "server"});
    let service = json!({"service": "plain", "path": "/jwks", "fetched_by": "server"});
    for jwks in [by_server, service, Value::Null] {
        let config = read(&asking(&json!({}), &json!({}), &jwks), &options());
        let bundle = bundle(&config);
        assert_eq!(bundle["key_sources"], Value::Null, "{jwks}");
        assert_eq!(bundle["feed"]["wait_ms"], 10_000, "{jwks}");
        assert!(cluster(&config, "jwks-0").is_none(), "{jwks}");
        assert!(cluster(&config, "postern_feed").is_some(), "{jwks}");
    }
    let config = read(&asking(&json!({}), &json!({}), &fetched()), &options());
    assert_eq!(bundle(&config)["key_sources"][0]["cluster"], "jwks-0");
    assert!(cluster(&config, "postern_feed").is_none());
}

#[test]
fn the_credential_is_read_from_its_file_and_shown_to_the_feed_only() {
    let file = "/run/secrets/feed";
    let options = EnvoyOptions { feed_credential: Some(file.to_owned()), ..options() };
    let config = read(&revoking(&json!({})), &options);
    assert_eq!(
        config["static_resources"]["secrets"],
        json!([{"name": "postern_feed_credential",
                "generic_secret": {"secret": {"filename": file}}}])
    );
    let filters = &protocol(cluster(&config, "postern_feed").unwrap())["http_filters"];
    let names: Vec<&Value> =
        filters.as_array().unwrap().iter().map(|filter| &filter["name"]).collect();
    assert_eq!(
        names,
        ["envoy.filters.http.credential_injector", "envoy.filters.http.upstream_codec"]
    );
    let generic = &filters[0]["typed_config"]["credential"]["typed_config"];
    assert_eq!(generic["header"], "x-postern-feed-credential");
    assert_eq!(generic["credential"]["name"], "postern_feed_credential");
    let text = config.to_string();
    assert_eq!(text.matches("credential_injector.v3").count(), 1);

    let calm = read(&calm(), &options).to_string();
    assert!(!calm.contains("feed_credential"), "nobody asks for it");
}

#[test]
fn tls_to_the_server_is_for_its_grpc_port_and_verified() {
    let config = read(&revoking(&json!({})), &with_tls(Some("postern.test"), true));
    for name in ["postern-grpc", "postern_feed"] {
        let context = &cluster(&config, name).unwrap()["transport_socket"]["typed_config"];
        assert_eq!(context["sni"], "postern.test");
        assert_eq!(
            context["common_tls_context"],
            json!({
                "alpn_protocols": ["h2"],
                "tls_certificates": [{"certificate_chain": {"filename": "/c.pem"},
                                      "private_key": {"filename": "/c.key"}}],
                "validation_context": {
                    "trusted_ca": {"filename": "/ca.pem"},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": "postern.test"}},
                    ],
                },
            })
        );
    }
    assert_eq!(cluster(&config, "postern-public").unwrap()["transport_socket"], Value::Null);

    let config = read(&document(), &with_tls(None, false));
    let context = &cluster(&config, "postern-grpc").unwrap()["transport_socket"]["typed_config"];
    assert_eq!(context["sni"], Value::Null, "an address is no name");
    let common = &context["common_tls_context"];
    assert_eq!(common["tls_certificates"], Value::Null);
    let verified = &common["validation_context"]["match_typed_subject_alt_names"][0];
    assert_eq!(verified["san_type"], "IP_ADDRESS");
    assert_eq!(verified["matcher"]["exact"], "127.0.0.1");
}

#[test]
fn a_forwarded_certificate_is_left_only_where_the_document_goes_by_it() {
    for (bound, expected) in [
        (json!({}), "SANITIZE"),
        (json!({"bound": {"certificate": "connection"}}), "SANITIZE"),
        (json!({"bound": {"certificate": "forwarded"}}), "ALWAYS_FORWARD_ONLY"),
    ] {
        let document = asking(&json!({}), &bound, &fetched());
        let config = read(&document, &options());
        assert_eq!(manager(&config)["forward_client_cert_details"], expected, "{bound}");
        let warnings = warnings(&document, &options());
        let warned = warnings.iter().any(|warning| warning.contains("bound.certificate"));
        assert_eq!(warned, bound != json!({}), "{warnings:?}");
    }
}

#[test]
fn what_the_server_would_refuse_is_warned_of() {
    let peers = |peer: &Value| json!({"peers": [peer]});
    let named = peers(&json!({"name": "e", "credential_sha256": SHA256, "workloads": ["edge"]}));
    let mesh = peers(&json!({"spiffe": "spiffe://mesh/edge", "workloads": ["edge"]}));
    let other = peers(&json!({"spiffe": "spiffe://mesh/edge", "workloads": ["shop"]}));
    let mut forwarded = mesh.clone();
    forwarded["forwarded_client_cert"] = json!("local_proxy");

    let away = |options: EnvoyOptions| EnvoyOptions {
        server_grpc: "postern.test:9191".parse().unwrap(),
        ..options
    };
    let credential = |options: EnvoyOptions| EnvoyOptions {
        feed_credential: Some("/credential".to_owned()),
        ..options
    };
    for (feed, options, expected) in [
        (&json!({}), options(), vec![]),
        (&json!({}), away(options()), vec!["without `feed.peers`", "make some up: "]),
        (&named, options(), vec!["--feed-credential-file"]),
        (&named, credential(options()), vec![]),
        (&named, credential(away(options())), vec!["make some up, take the feed's credential: "]),
        (&named, credential(away(with_tls(None, false))), vec![]),
        (&named, credential(with_tls(None, true)), vec!["the certificate counts"]),
        (&json!({}), credential(options()), vec!["without `feed.peers`"]),
        (&mesh, options(), vec!["--client-cert"]),
        (&mesh, credential(options()), vec!["--client-cert"]),
        (&mesh, with_tls(None, true), vec![]),
        (&other, with_tls(None, true), vec!["the workload `edge`"]),
        (&forwarded, options(), vec![]),
        (&forwarded, away(options()), vec!["`postern.test` in clear text"]),
    ] {
        assert_warned(&revoking(feed), &options, &expected);
    }
    let of_circuits = ["without `feed.peers`", "can open circuits and close them: "];
    assert_warned(&document(), &away(options()), &of_circuits);
    assert_warned(&calm(), &away(options()), &[]);
}

/// These warnings, each with this in it, and no others.
fn assert_warned(document: &Document, options: &EnvoyOptions, expected: &[&str]) {
    let warnings = warnings(document, options);
    assert_eq!(warnings.len(), expected.len(), "{expected:?}: {warnings:?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.contains(expected), "{expected}: {warning}");
    }
}

#[test]
fn keys_that_come_in_clear_text_are_warned_of() {
    let own = "https://i.test";
    let feed = json!({"peers": [{"spiffe": "spiffe://mesh/edge", "workloads": ["edge"]}],
                      "forwarded_client_cert": "local_proxy"});
    let members = json!({"issuer": own, "feed": feed});
    let away = |options: EnvoyOptions| EnvoyOptions {
        server_grpc: "postern.test:9191".parse().unwrap(),
        ..options
    };
    let here = EnvoyOptions { server_public: "127.0.0.1:9192".parse().unwrap(), ..options() };
    let plain = json!({"uri": "http://keys.test/jwks"});
    let plain_by_server = json!({"uri": "http://keys.test/jwks", "fetched_by": "server"});
    let service = json!({"service": "plain", "path": "/jwks"});
    let ours = json!({"service": "postern"});
    let ours_by_server = json!({"service": "postern", "fetched_by": "server"});
    let by_feed = "can sign for the issuers whose keys come by it: ";
    for (jwks, options, expected) in [
        (&fetched(), options(), vec![]),
        (&plain, options(), vec!["`https://i.test` come in clear text from `keys.test:80`"]),
        (&plain_by_server, options(), vec!["clear text from `keys.test:80`"]),
        (&plain_by_server, away(options()), vec!["clear text from `keys.test:80`", by_feed]),
        (&service, options(), vec!["clear text from `10.0.0.1:80`"]),
        (&ours, options(), vec!["clear text from `postern.test`"]),
        (&ours, here, vec![]),
        (&ours_by_server, options(), vec![]),
        (&ours_by_server, away(options()), vec![by_feed]),
        (&ours_by_server, away(with_tls(None, true)), vec![]),
        (&Value::Null, away(options()), vec![by_feed]),
        (&Value::Null, away(with_tls(None, true)), vec![]),
    ] {
        assert_warned(&asking(&members, &json!({}), jwks), &options, &expected);
    }
}
