//! Where listeners, clusters and routes come from.

use super::*;

fn from_files() -> EnvoyOptions {
    let source = Source::Files { folder: "/etc/envoy/".to_owned() };
    EnvoyOptions { source, ..options() }
}

fn from_server(tls: bool) -> EnvoyOptions {
    let tls = tls.then(|| ServerTls { ca: "/ca.pem".to_owned(), name: None, client: None });
    let source = Source::Ads { server: "xds.test:18000".parse().unwrap(), tls };
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
    assert_eq!(names, ["envoy.json", "cds.json", "lds.json", "rds.json"]);
    let [(_, bootstrap), (_, clusters), (_, listeners), (_, routes)] = files.as_slice() else {
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
