//! What a server tells, and what it must know of an Envoy for that.

use std::collections::BTreeMap;

use super::*;

fn asks() -> EnvoyOptions {
    let server = "xds.test:18000".parse().unwrap();
    let source = Source::Ads { server, tls: None, protocol: XdsProtocol::Delta };
    EnvoyOptions { source, ..options() }
}

/// The resources of a file, without their types.
fn resources(files: &[RenderedFile], name: &str) -> Vec<Value> {
    let file = files.iter().find(|file| file.name == name).unwrap();
    let mut response: Value = serde_json::from_str(&file.content).unwrap();
    let Value::Array(mut resources) = response["resources"].take() else { panic!("{response}") };
    for resource in &mut resources {
        resource.as_object_mut().unwrap().remove("@type");
    }
    resources
}

/// But for where routes and hosts come from.
#[test]
fn a_server_tells_what_files_hold() {
    let told = discovered(&document(), &asks(), &Endpoints::new()).unwrap();
    let source = Source::Files { folder: "/etc/envoy/".to_owned() };
    let files = render(&document(), &EnvoyOptions { source, ..options() }).unwrap();
    assert_eq!(told.routes, resources(&files, "rds.json"));

    let rds = |listeners: &mut Vec<Value>| {
        listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]["rds"]["config_source"]
            .take()
    };
    let (mut listeners, mut expected) = (told.listeners, resources(&files, "lds.json"));
    let from = rds(&mut listeners);
    assert_eq!((&from["ads"], &from["initial_fetch_timeout"]), (&json!({}), &json!("0s")));
    assert!(rds(&mut expected)["path_config_source"].is_object());
    assert_eq!(listeners, expected);

    let expected = resources(&files, "cds.json");
    assert_eq!(told.clusters.len(), expected.len());
    for (cluster, expected) in told.clusters.iter().zip(&expected) {
        let assignment =
            told.assignments.iter().find(|one| one["cluster_name"] == expected["name"]);
        if expected["type"] == "STATIC" {
            assert_eq!(assignment, Some(&expected["load_assignment"]));
            assert_eq!(cluster["type"], "EDS");
            assert_eq!(cluster["load_assignment"], Value::Null);
            assert_eq!(cluster["eds_cluster_config"]["eds_config"]["ads"], json!({}));
            assert_eq!(cluster["circuit_breakers"], expected["circuit_breakers"]);
        } else {
            assert_eq!((cluster, assignment), (expected, None));
        }
    }
    assert_eq!(told.assignments.len(), 1, "the others are behind names");
}

/// Who goes on with an earlier listener goes on with its routes: under a name they never change.
#[test]
fn routes_are_named_by_what_they_say() {
    let text = |service: &str, limit: u32, port: u16| {
        load(&json!({
            "version": 1,
            "services": {
                "a": {"endpoints": [{"address": "10.0.0.1", "port": port}]},
                "b": {"upstream": "b.test:80"},
            },
            "limits": {"l": {"key": ["ip"], "mode": "local", "rate": format!("{limit}/1m")}},
            "routes": [{"name": "r", "match": {"path": "/r"}, "service": service, "auth": "none",
                        "limits": ["l"]}],
        }))
    };
    let name = |document: &Document, options: &EnvoyOptions| {
        let told = discovered(document, options, &Endpoints::new()).unwrap();
        let name = told.routes[0]["name"].as_str().unwrap().to_owned();
        let manager = &told.listeners[0]["filter_chains"][0]["filters"][0]["typed_config"];
        assert_eq!(manager["rds"]["route_config_name"], name.as_str());
        assert!(name.starts_with("postern-") && name.len() == "postern-".len() + 16, "{name}");
        name
    };
    let first = name(&text("a", 1, 80), &asks());
    assert_eq!(name(&text("a", 2, 81), &asks()), first, "rules and places are not the routes'");
    assert_ne!(name(&text("b", 1, 80), &asks()), first);
    let elsewhere = EnvoyOptions { listen: "127.0.0.1:8081".parse().unwrap(), ..asks() };
    assert_eq!(name(&text("a", 1, 80), &elsewhere), first);
}

fn endpoint(address: &str, labels: &[(&str, &str)]) -> KnownEndpoint {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let endpoint = Endpoint {
        address: address.parse().unwrap(),
        port: 80,
        weight: 1,
        zone: None,
        labels: labels.collect(),
        service_account: None,
    };
    KnownEndpoint { endpoint, is_healthy: true }
}

fn addresses<'v>(told: &'v Discovered, cluster: &str) -> Vec<&'v str> {
    let mut assignments = told.assignments.iter();
    let assignment = assignments.find(|one| one["cluster_name"] == cluster).unwrap();
    let localities = assignment["endpoints"].as_array().unwrap().iter();
    let endpoints = localities.flat_map(|one| one["lb_endpoints"].as_array().unwrap());
    let address = |end: &'v Value| &end["endpoint"]["address"]["socket_address"]["address"];
    endpoints.map(|end| address(end).as_str().unwrap()).collect()
}

#[test]
fn services_are_where_somebody_knows_them_to_be() {
    let text = json!({
        "version": 1,
        "services": {
            "a": {
                "endpoints": [{"address": "10.0.0.1", "port": 80, "labels": {"v": "1"}}],
                "versions": {"v1": {"labels": {"v": "1"}}},
            },
            "b": {"upstream": "b.test:80"},
        },
        "routes": [
            {"name": "a", "match": {"path": "/a"}, "service": "a", "auth": "none",
             "split": {"v1": 100}},
            {"name": "b", "match": {"path": "/b"}, "service": "b", "auth": "none"},
        ],
    });
    let document = load(&text);
    let told = |endpoints: &Endpoints| discovered(&document, &asks(), endpoints).unwrap();
    let as_written = told(&Endpoints::new());
    assert_eq!(addresses(&as_written, "service-a"), ["10.0.0.1"]);
    assert_eq!(addresses(&as_written, "service-a--v1"), ["10.0.0.1"]);
    assert_eq!(as_written.assignments.len(), 2);

    let known = |a: Vec<KnownEndpoint>, b: Vec<KnownEndpoint>| {
        told(&Endpoints::from([("a".to_owned(), Arc::from(a)), ("b".to_owned(), Arc::from(b))]))
    };
    let a = vec![endpoint("10.0.0.2", &[("v", "1")]), endpoint("10.0.0.3", &[])];
    let first = known(a, Vec::new());
    assert_eq!(addresses(&first, "service-a"), ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(addresses(&first, "service-a--v1"), ["10.0.0.2"]);
    assert!(addresses(&first, "service-b").is_empty(), "nowhere at the moment");
    // Endpoints come and go without their clusters.
    let second = known(Vec::new(), vec![endpoint("10.0.0.4", &[])]);
    assert_eq!(second.clusters, first.clusters);
    assert!(addresses(&second, "service-a--v1").is_empty());
    assert_eq!(addresses(&second, "service-b"), ["10.0.0.4"]);
}

#[test]
fn what_a_registry_has_not_said_yet_is_awaited() {
    let document = load(&json!({
        "version": 1,
        "services": {"shop": {
            "discover": {"registry": "shop"}, "zones": {"prefer": "own"},
            "outlier_detection": {"consecutive_5xx": 5},
            "bulkheads": {"slow": {"max_connections": 2, "max_requests": 3}},
        }},
        "routes": [
            {"name": "shop", "match": {"path": "/shop"}, "service": "shop", "auth": "none",
             "bulkhead": "slow"},
        ],
    }));
    let near = EnvoyOptions { zone: Some("eu/eu-1".to_owned()), ..asks() };
    let told = |endpoints: &Endpoints| discovered(&document, &near, endpoints).unwrap();
    let nothing = told(&Endpoints::new());
    assert_eq!(nothing.awaited, ["service-shop", "service-shop--slow"]);
    assert!(nothing.assignments.is_empty(), "{nothing:?}");

    let at = |address: &str, zone: &str, is_healthy| {
        let KnownEndpoint { endpoint, .. } = endpoint(address, &[]);
        let endpoint = Endpoint { zone: Some(zone.to_owned()), ..endpoint };
        KnownEndpoint { endpoint, is_healthy }
    };
    let instances = [at("10.0.0.1", "us/us-1", true), at("10.0.0.2", "eu/eu-1", false)];
    let something = told(&Endpoints::from([("shop".to_owned(), Arc::from(instances))]));
    assert_eq!(something.clusters, nothing.clusters, "they stay, whatever is known");
    assert_eq!(something.awaited, [""; 0]);
    assert_eq!(something.assignments.len(), 2, "one for each cluster");
    let localities = &something.assignments[0]["endpoints"];
    assert_eq!(localities[0]["lb_endpoints"][0]["health_status"], "UNHEALTHY");
    assert_eq!((&localities[0]["priority"], &localities[1]["priority"]), (&Value::Null, &json!(1)));
    let nobody = told(&Endpoints::from([("shop".to_owned(), Arc::from(Vec::new()))]));
    assert_eq!((nobody.assignments.len(), nobody.awaited.len()), (2, 0), "nobody runs it");

    let error = discovered(&document, &asks(), &Endpoints::new()).unwrap_err();
    assert!(error.to_string().contains("--zone"), "{error}");
}

/// What its bootstrap says of it.
fn said(options: &EnvoyOptions) -> BTreeMap<String, String> {
    let files = render(&document(), options).unwrap();
    let bootstrap: Value = serde_json::from_str(&files[0].content).unwrap();
    serde_json::from_value(bootstrap["node"]["metadata"]["postern"].clone()).unwrap()
}

#[test]
fn an_envoy_says_of_itself_what_the_answer_depends_on() {
    let own = ClientCertificate { chain: "/own.pem".to_owned(), key: "/key.pem".to_owned() };
    let by_files = MeshTls::Files { ca: "/ca.pem".to_owned(), own };
    let by_agent = MeshTls::Agent { socket: "/agent.sock".to_owned() };
    let workload = Some("edge-eu".to_owned());
    let access_log = Some("/dev/stdout".to_owned());
    let zone = Some("eu/eu-1".to_owned());
    for options in [
        asks(),
        EnvoyOptions { mesh_tls: Some(by_files), workload, ..asks() },
        EnvoyOptions { mesh_tls: Some(by_agent), access_log, zone, ..asks() },
    ] {
        let found = EnvoyOptions::of_node(&said(&options)).unwrap();
        let told = |options| discovered(&document(), options, &Endpoints::new()).unwrap();
        assert_eq!(told(&found), told(&options), "{:?}", said(&options));
        assert_eq!((found.workload, found.zone), (options.workload, options.zone));
    }
    let kind = Kind::Sidecar { upstream_port: Some(8080) };
    let told = node::told(&EnvoyOptions { kind, ..asks() }).into_iter();
    let told = told.map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(EnvoyOptions::of_node(&told).unwrap().kind, kind);
}

#[test]
fn an_envoy_that_says_something_else_is_told_nothing() {
    let good = [("kind", "edge"), ("listen", "127.0.0.1:8080"), ("wasm", "/bundle.wasm")];
    let of = |changed: &[(&str, &str)]| {
        let said = good.iter().chain(changed);
        let said = said.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        EnvoyOptions::of_node(&said.collect())
    };
    assert!(of(&[]).is_ok());
    for (changed, expected) in [
        (&[("colour", "red")][..], NodeError::Unknown),
        (&[("kind", "gateway")], NodeError::Value("kind")),
        (&[("listen", "8080")], NodeError::Value("listen")),
        (&[("upstream_port", "8080")], NodeError::Value("upstream_port")),
        (&[("kind", "sidecar"), ("upstream_port", "x")], NodeError::Value("upstream_port")),
        (&[("mesh_ca", "/ca.pem")], NodeError::Value("mesh_cert")),
        (&[("mesh_ca", "/ca.pem"), ("mesh_agent", "/a")], NodeError::Value("mesh_agent")),
    ] {
        assert_eq!(of(changed), Err(expected), "{changed:?}");
    }
    assert_eq!(EnvoyOptions::of_node(&BTreeMap::new()), Err(NodeError::Missing("kind")));
}
