//! Which Gateway a connection reaches, and whose routes its requests meet there.

use std::collections::BTreeSet;

use postern_document::HostPattern;

use super::*;

/// One path at all hosts; what differs is where it leads.
fn document() -> Document {
    let mut services = json!({});
    let mut routes = Vec::new();
    for (name, host) in [
        ("all", None),
        ("api", Some("api.test")),
        ("below", Some("*.b.test")),
        ("deep", Some("a.b.test")),
    ] {
        let hosts: Vec<&str> = host.into_iter().collect();
        services[name] = json!({"upstream": format!("{name}.n.svc.cluster.local:80")});
        routes.push(json!({
            "name": name, "match": {"path": "/a", "hosts": hosts}, "service": name, "auth": "none",
        }));
    }
    load(&json!({"version": 1, "services": services, "routes": routes}).to_string())
}

fn serving(hosts: &[&str], secrets: &[(&str, &str)]) -> IstioOptions {
    let secrets = secrets.iter();
    IstioOptions {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        host_tls_secrets: secrets
            .map(|(host, name)| ((*host).to_owned(), (*name).to_owned()))
            .collect(),
        ..options(30)
    }
}

/// Hosts that lie in each other, with one certificate and with several.
fn ways_to_serve() -> Vec<IstioOptions> {
    let plain = serving(&["*", "api.test"], &[]);
    vec![
        IstioOptions { gateway_tls_secret: None, ..plain.clone() },
        plain,
        serving(&["*"], &[]),
        serving(&["*", "api.test"], &[("api.test", "api-tls")]),
        serving(&["*", "*.b.test", "api.test"], &[("*.b.test", "b-tls")]),
        serving(&["*", "*.b.test", "a.b.test"], &[("*.b.test", "b-tls")]),
        serving(&["*", "*.b.test", "a.b.test"], &[("*.b.test", "b"), ("a.b.test", "a")]),
        serving(&["*", "*.b.test", "a.b.test", "api.test"], &[("*", "b"), ("a.b.test", "b")]),
        serving(&["api.test", "*.b.test", "*.c.test"], &[("*.c.test", "c")]),
        serving(&["*", "other.test", "x.b.test"], &[("x.b.test", "x"), ("other.test", "x")]),
    ]
}

/// What Istio makes of a Gateway: hosts by which a connection finds it, and for each of its virtual
/// hosts the routes of one VirtualService after the other.
struct Chain {
    hosts: Vec<HostPattern>,
    virtual_hosts: BTreeMap<HostPattern, Vec<Vec<String>>>,
}

fn chains(document: &Document, options: &IstioOptions) -> Vec<Chain> {
    let rendering = rendering(document, options);
    let destinations = Destinations::of(&rendering).unwrap();
    let hosts = hosts::served(&rendering).unwrap();
    let resources = virtual_service::resources(&rendering, &hosts, &destinations).unwrap();
    let (gateways, services): (Vec<Value>, Vec<Value>) =
        resources.into_iter().partition(|resource| resource["kind"] == "Gateway");
    let chain = |gateway: &Value| {
        let servers = gateway["spec"]["servers"].as_array().unwrap();
        let [server] = servers.as_slice() else { panic!("{servers:?}") };
        let hosts = patterns(&server["hosts"]);
        let name = gateway["metadata"]["name"].as_str().unwrap();
        let bound = json!([format!("istio-system/{name}")]);
        let mut virtual_hosts: BTreeMap<HostPattern, Vec<Vec<String>>> = BTreeMap::new();
        for service in services.iter().filter(|service| service["spec"]["gateways"] == bound) {
            let routes = service["spec"]["http"].as_array().unwrap().iter();
            let routes: Vec<String> =
                routes.map(|route| route["name"].as_str().unwrap().to_owned()).collect();
            for host in intersection(&hosts, &patterns(&service["spec"]["hosts"])) {
                virtual_hosts.entry(host).or_default().push(routes.clone());
            }
        }
        Chain { hosts, virtual_hosts }
    };
    gateways.iter().map(chain).collect()
}

fn patterns(hosts: &Value) -> Vec<HostPattern> {
    let hosts = hosts.as_array().unwrap().iter().map(|host| host.as_str().unwrap());
    hosts.map(|host| HostPattern::parse(host.trim_start_matches("./")).unwrap()).collect()
}

/// As Istio has it: of two hosts that overlap, the narrower.
fn intersection(some: &[HostPattern], others: &[HostPattern]) -> BTreeSet<HostPattern> {
    let mut both = BTreeSet::new();
    for one in some {
        for other in others {
            if other.covers(one) {
                both.insert(one.clone());
            } else if one.covers(other) {
                both.insert(other.clone());
            }
        }
    }
    both
}

/// As Envoy chooses a chain of filters, and a virtual host.
fn narrowest(hosts: impl Iterator<Item = HostPattern>, name: &str) -> Option<HostPattern> {
    hosts.filter(|host| host.matches(name)).max_by_key(hosts::narrowness)
}

#[test]
fn no_virtual_host_has_the_routes_of_two_hosts() {
    let document = document();
    for options in ways_to_serve() {
        for chain in chains(&document, &options) {
            for (host, services) in &chain.virtual_hosts {
                assert_eq!(services.len(), 1, "{host}: {services:?}, {:?}", options.hosts);
            }
            let overlaps = |host: &&HostPattern| {
                chain.hosts.iter().any(|other| other != *host && other.covers(host))
            };
            assert_eq!(chain.hosts.iter().find(overlaps), None, "{:?}", options.hosts);
        }
    }
}

/// A connection may ask for one host, and its requests be for another.
#[test]
fn a_request_is_sent_by_the_route_that_judges_it_over_any_connection() {
    let document = document();
    let names = ["api.test", "a.b.test", "c.b.test", "x.b.test", "d.c.test", "other.test"];
    for options in ways_to_serve() {
        let chains = chains(&document, &options);
        for connected in names {
            let all = chains.iter().flat_map(|chain| chain.hosts.iter().cloned());
            let Some(chosen) = narrowest(all, connected) else {
                assert!(!options.hosts.contains(&"*".to_owned()), "{connected}");
                continue;
            };
            let chain = chains.iter().find(|chain| chain.hosts.contains(&chosen)).unwrap();
            for name in names {
                let found = narrowest(chain.virtual_hosts.keys().cloned(), name);
                assert!(found.is_some() || name != connected, "{name}: {:?}", options.hosts);
                // Without a virtual host, Envoy answers 404.
                let Some(found) = found else { continue };
                let judged = document.find_route(name, "GET", "/a").unwrap().unwrap();
                let sent = &chain.virtual_hosts[&found][0][0];
                assert_eq!(*sent, judged.name, "{connected}, {name}: {:?}", options.hosts);
            }
        }
    }
}

fn said(document: &Document, options: &IstioOptions) -> Vec<(String, Value, Value)> {
    let rendering = rendering(document, options);
    let gateways = gateway::all(&rendering).unwrap();
    let said = gateways.iter().map(|gateway| {
        let resource = gateway.resource(&rendering);
        let server = &resource["spec"]["servers"][0];
        let name = resource["metadata"]["name"].as_str().unwrap().to_owned();
        (name, server["hosts"].clone(), server["tls"]["credentialName"].clone())
    });
    said.collect()
}

#[test]
fn a_certificate_has_a_gateway_that_is_called_by_it() {
    let document = document();
    let options = serving(&["a.b.test", "*.c.test", "api.test"], &[("api.test", "api.tls")]);
    assert_eq!(
        said(&document, &options),
        [
            ("postern-tls-api-tls".to_owned(), json!(["./api.test"]), json!("api.tls")),
            (
                "postern".to_owned(),
                json!(["./a.b.test", "./*.c.test"]),
                json!("postern-gateway-tls"),
            ),
        ]
    );
    // One certificate within another within the first: each where a connection looks for it.
    let options = serving(&["*", "*.b.test", "a.b.test"], &[("*.b.test", "b")]);
    let names: Vec<(String, Value)> =
        said(&document, &options).into_iter().map(|(name, hosts, _)| (name, hosts)).collect();
    assert_eq!(
        names,
        [
            ("postern-tls-b".to_owned(), json!(["./*.b.test"])),
            ("postern".to_owned(), json!(["./*"])),
            ("postern-2".to_owned(), json!(["./a.b.test"])),
        ]
    );
}

#[test]
fn a_host_below_another_with_the_same_certificate_is_part_of_it() {
    let document = document();
    let options = serving(&["*", "api.test", "*.b.test"], &[]);
    let default = json!("postern-gateway-tls");
    assert_eq!(said(&document, &options), [("postern".to_owned(), json!(["./*"]), default)]);
}

#[test]
fn virtual_services_are_called_by_host_and_gateway() {
    let options = serving(&["*", "api.test", "*.b.test"], &[("*.b.test", "b")]);
    let all = virtual_services(&document(), &options);
    let all: Vec<(&str, &Value, &Value)> = all
        .iter()
        .map(|(name, resource)| {
            (name.as_str(), &resource["spec"]["gateways"][0], &resource["spec"]["hosts"])
        })
        .collect();
    let (wide, narrow) = (json!("istio-system/postern"), json!("istio-system/postern-tls-b"));
    assert_eq!(
        all,
        [
            ("postern-tls-b.host.a.b.test", &narrow, &json!(["a.b.test"])),
            ("postern-host-a.b.test", &wide, &json!(["a.b.test"])),
            ("postern-host-api.test", &wide, &json!(["api.test"])),
            ("postern-tls-b.below.b.test", &narrow, &json!(["*.b.test"])),
            ("postern-below.b.test", &wide, &json!(["*.b.test"])),
            ("postern", &wide, &json!(["*"])),
        ]
    );
}

#[test]
fn secrets_that_would_give_two_gateways_one_name_are_refused() {
    let document = document();
    let long = "a".repeat(60);
    for secrets in [
        [("api.test", "x-tls"), ("a.b.test", "x.tls")],
        [("api.test", "x"), ("a.b.test", long.as_str())],
    ] {
        let options = serving(&["api.test", "a.b.test", "*.b.test", "c.test"], &secrets);
        let error = render(&document, &options).unwrap_err();
        let RenderError::BadOption { option, .. } = &error else { panic!("{error}") };
        assert_eq!(*option, "host_tls_secrets");
    }
}
