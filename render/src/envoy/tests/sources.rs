//! Where listeners, clusters and routes come from.

use super::*;

fn from_files() -> EnvoyOptions {
    let source = Source::Files { folder: "/etc/envoy/".to_owned() };
    EnvoyOptions { source, ..options() }
}

fn from_server(tls: bool) -> EnvoyOptions {
    let tls = tls.then(|| ServerTls { ca: "/ca.pem".to_owned(), name: None, client: None });
    let server = "xds.test:18000".parse().unwrap();
    let source = Source::Ads { server, tls, protocol: XdsProtocol::Delta };
    EnvoyOptions { source, ..options() }
}

/// Files by their names.
fn files(options: &EnvoyOptions) -> Vec<(String, Value)> {
    let files = render(&document(), options).unwrap().into_iter();
    files.map(|file| (file.name, serde_json::from_str(&file.content).unwrap())).collect()
}

fn names_of(resources: &Value) -> Vec<&str> {
    resources.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn files_hold_together_what_one_bootstrap_holds() {
    let files = files(&from_files());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["envoy.json", "cds.json", "rds.json", "lds.json"]);
    let [(_, bootstrap), (_, clusters), (_, routes), (_, listeners)] = files.as_slice() else {
        panic!("{names:?}");
    };
    let whole = rendered();
    let whole_clusters = names_of(&whole["static_resources"]["clusters"]);
    let mut apart = names_of(&clusters["resources"]);
    apart.extend(names_of(&bootstrap["static_resources"]["clusters"]));
    apart.sort_unstable();
    let mut expected = whole_clusters.clone();
    expected.sort_unstable();
    assert_eq!(apart, expected);

    let digest = document().digest;
    for response in [listeners, clusters, routes] {
        assert_eq!(response["version_info"], digest);
    }
    assert_eq!(bootstrap["static_resources"]["listeners"], Value::Null);
    assert_eq!(bootstrap["node"]["metadata"], Value::Null, "it would soon be another document");
    assert!(!bootstrap.to_string().contains(&digest));

    let in_whole = &manager(&whole)["route_config"];
    let alone = &routes["resources"][0];
    assert_eq!(alone["virtual_hosts"], in_whole["virtual_hosts"]);
    let rds = &listeners["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]["rds"];
    assert_eq!(rds["route_config_name"], alone["name"]);
    assert_eq!(
        rds["config_source"]["path_config_source"],
        json!({"path": "/etc/envoy/rds.json", "watched_directory": {"path": "/etc/envoy/"}})
    );
    let lds = &bootstrap["dynamic_resources"]["lds_config"]["path_config_source"];
    assert_eq!(lds["path"], "/etc/envoy/lds.json");
    let kinds = [listeners, clusters, routes].map(|response| &response["resources"][0]["@type"]);
    assert_eq!(
        kinds,
        [
            "type.googleapis.com/envoy.config.listener.v3.Listener",
            "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        ]
    );
}

#[test]
fn a_server_tells_everything_over_one_stream() {
    let files = files(&from_server(false));
    let [(name, bootstrap)] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(name, "envoy.json");
    let dynamic = &bootstrap["dynamic_resources"];
    assert_eq!(dynamic["lds_config"]["ads"], json!({}));
    assert_eq!(dynamic["cds_config"]["initial_fetch_timeout"], "15s");
    let server = &dynamic["ads_config"]["grpc_services"][0]["envoy_grpc"]["cluster_name"];
    let clusters = &bootstrap["static_resources"]["clusters"];
    assert_eq!(
        names_of(clusters),
        ["postern-grpc", "postern_feed", "postern-public", "postern-xds"]
    );
    assert_eq!(*server, "postern-xds");
    assert_eq!(dynamic["ads_config"]["api_type"], "DELTA_GRPC");
    let asked = cluster(bootstrap, "postern-xds").unwrap();
    let host = &asked["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    assert_eq!(host["socket_address"], json!({"address": "xds.test", "port_value": 18000}));
    assert_eq!(asked["transport_socket"], Value::Null);
    assert!(!bootstrap.to_string().contains(&document().digest));
}

#[test]
fn the_server_that_tells_may_have_tls_of_its_own() {
    let files = files(&from_server(true));
    let (_, bootstrap) = &files[0];
    let context = |name: &str| {
        cluster(bootstrap, name).unwrap()["transport_socket"]["typed_config"]["sni"].clone()
    };
    assert_eq!(context("postern-xds"), "xds.test");
    assert_eq!(context("postern-grpc"), Value::Null);
}

#[test]
fn only_a_server_tells_where_a_registry_says_that_a_service_is() {
    let text = r#"{"version": 1, "services": {"s": {"discover": {"registry": "shop"}}},
        "routes": [{"name": "r", "match": {"path": "/r"}, "service": "s", "auth": "none"}]}"#;
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    for options in [options(), from_files()] {
        let error = render(&document, &options).unwrap_err();
        assert_eq!(error.path().as_deref(), Some("services.s"));
        assert!(error.to_string().contains("--source ads"), "{error}");
    }
    assert!(render(&document, &from_server(false)).is_ok());
    let options = from_server(false);
    let rendering = Rendering::of(&document, &options).unwrap();
    let Clusters { services, .. } = Clusters::of(&rendering).unwrap();
    let [service] = services.as_slice() else { panic!("{services:?}") };
    assert_eq!(service["type"], "EDS");
    assert_eq!(service["load_assignment"], Value::Null);
    assert_eq!(service["eds_cluster_config"]["eds_config"]["ads"], json!({}));
    assert_eq!(service["eds_cluster_config"]["service_name"], Value::Null, "it is the cluster's");
}

#[test]
fn the_server_may_be_asked_for_everything_each_time() {
    let mut options = from_server(false);
    let Source::Ads { protocol, .. } = &mut options.source else { panic!("{options:?}") };
    *protocol = XdsProtocol::StateOfTheWorld;
    let files = files(&options);
    assert_eq!(files[0].1["dynamic_resources"]["ads_config"]["api_type"], "GRPC");
}

#[test]
fn the_server_is_shown_the_feeds_credential() {
    let credential = Some("/credential".to_owned());
    let options = EnvoyOptions { feed_credential: credential, ..from_server(false) };
    let files = files(&options);
    let filters = |name: &str| {
        let options = &cluster(&files[0].1, name).unwrap()["typed_extension_protocol_options"];
        let options = options.as_object().unwrap().values().next().unwrap();
        options["http_filters"].clone()
    };
    assert_eq!(filters("postern-xds"), filters("postern_feed"));
    assert!(filters("postern-xds").is_array());
}

#[test]
fn a_server_that_could_be_anybody_is_warned_of() {
    let is_warned = |options: &EnvoyOptions| {
        let warnings = warnings(&document(), options);
        warnings.iter().any(|warning| warning.contains("`xds.test` in clear text"))
    };
    assert!(is_warned(&from_server(false)));
    assert!(!is_warned(&from_server(true)));
    assert!(!is_warned(&from_files()));
}

#[test]
fn a_server_that_is_meant_for_everything_is_named_for_everything() {
    let about = |options: &EnvoyOptions, word: &str| {
        warnings(&document(), options).into_iter().find(|warning| warning.contains(word))
    };
    let [here, there] =
        ["127.0.0.1:9191", "xds.test:18000"].map(|text| text.parse::<HostPort>().unwrap());
    let none = EnvoyOptions {
        server_grpc: here.clone(),
        server_public: here.clone(),
        ..from_server(true)
    };
    let found = about(&none, "its own machine").unwrap();
    assert!(found.contains("--server-grpc and --server-public"), "{found}");
    let some = EnvoyOptions { server_grpc: there.clone(), ..none };
    let found = about(&some, "its own machine").unwrap();
    assert!(!found.contains("--server-grpc"), "{found}");
    assert!(about(&some, "--server-ca too").is_some());
    let all =
        EnvoyOptions { server_grpc: there.clone(), server_public: there, ..from_server(false) };
    for word in ["its own machine", "--server-ca too"] {
        assert_eq!(about(&all, word), None);
        assert_eq!(about(&from_files(), word), None);
    }
}
