use super::{OPEN, load, problems};
use crate::{Discover, ServiceRegistry, Upstream};

const FOUND: &str = r#""services": {"s": {"discover": {"registry": "shop"}}},"#;

fn consul(members: &str) -> String {
    format!(r#"{FOUND} "discovery": {{"registry": "consul", "consul": {{{members}}}}},"#)
}

fn only(members: &str, place: &str, word: &str) {
    let found = problems(members, &[OPEN]);
    let [only] = found.as_slice() else { panic!("{found:?} for {members}") };
    assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
}

#[test]
fn a_service_may_be_found_by_a_registry() {
    let document = load(FOUND, &[OPEN]).unwrap();
    let again = crate::from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!(again.services, document.services, "as it is written out");
    assert_eq!(document.registry, ServiceRegistry::Store);
    let service = &document.services[0];
    assert_eq!(service.discover, Some(Discover { registry: "shop".to_owned() }));
    assert_eq!(service.upstreams(), [] as [Upstream; 0], "it is nowhere in particular");
    // Filters learn that there is a service, and neither where it is nor who knows.
    let config = document.filter_config();
    assert!(config.contains("s.registry.invalid:80"), "{config}");
    assert!(!config.contains("discover") && !config.contains("shop"), "{config}");
}

#[test]
fn what_has_a_place_is_not_looked_for() {
    let with = |member: &str| FOUND.replace(r#""discover":"#, &format!(r#"{member}, "discover":"#));
    for (member, place, word) in [
        (r#""upstream": "h:1""#, "services.s", "`discover`"),
        (r#""endpoints": [{"address": "10.0.0.1", "port": 1}]"#, "services.s", "`discover`"),
        (r#""tls": true"#, "services.s.tls", "verifies a name"),
        (r#""versions": {"a": {"upstream": "h:1"}}"#, "services.s.versions", "of its own"),
    ] {
        let found = problems(&with(member), &[OPEN]);
        let is_it = |problem: &String| problem.starts_with(&format!("{place}: "));
        let told = found.iter().find(|problem| is_it(problem));
        assert!(told.is_some_and(|problem| problem.contains(word)), "{member}: {found:?}");
    }
    for name in ["", "a b", "-a", "a/b", &"a".repeat(64)] {
        only(&FOUND.replace("shop", name), "services.s.discover.registry", "1 to 63");
    }
}

#[test]
fn consul_has_an_address_and_its_token_stands_elsewhere() {
    let good = r#""address": "http://127.0.0.1:8500", "token": "env:CONSUL_HTTP_TOKEN""#;
    let expected = ServiceRegistry::Consul {
        address: "http://127.0.0.1:8500".to_owned(),
        token: Some("env:CONSUL_HTTP_TOKEN".to_owned()),
    };
    assert_eq!(load(&consul(good), &[OPEN]).unwrap().registry, expected);
    for (from, to, place, word) in [
        ("127.0.0.1", "consul.example.test", "discovery.consul.address", "loopback"),
        ("http:", "ftp:", "discovery.consul.address", "https"),
        (":8500", ":8500/v1", "discovery.consul.address", "without path"),
        ("env:CONSUL_HTTP_TOKEN", "hush-hush", "discovery.consul.token", "env:NAME"),
        ("env:CONSUL_HTTP_TOKEN", "file:", "discovery.consul.token", "env:NAME"),
    ] {
        let members = consul(&good.replace(from, to));
        only(&members, place, word);
        assert!(!problems(&members, &[OPEN]).concat().contains("hush"), "{word}");
    }
    let without = FOUND.to_owned() + r#""discovery": {"registry": "consul"},"#;
    only(&without, "discovery.consul", "say where");
    let idle = FOUND.to_owned() + r#""discovery": {"consul": {"address": "https://c.test"}},"#;
    only(&idle, "discovery.consul", "registry: consul");
}

#[test]
fn servers_that_share_no_store_share_no_registry() {
    let stores = |text: &str| format!(r#"{FOUND} "stores": {{{text}}},"#);
    only(&stores(r#""replicas": 2"#), "stores.replicas", "of its own");
    only(&stores(r#""volatile": "memory", "replicas": 2"#), "stores.replicas", "of its own");
    for good in [r#""replicas": 1"#, r#""volatile": "redis://r", "replicas": 2"#] {
        assert_eq!(problems(&stores(good), &[OPEN]), [""; 0], "{good}");
    }
    let consul = consul(r#""address": "https://c.test""#) + r#""stores": {"replicas": 2},"#;
    assert_eq!(problems(&consul, &[OPEN]), [""; 0]);
}

#[test]
fn the_server_fetches_keys_from_places_that_the_document_knows() {
    let members = FOUND.to_owned()
        + r#""credentials": {"jwt": {"issuers": [{"issuer": "https://i.test",
             "audiences": ["a"], "jwks": {"service": "s", "fetched_by": "server"}}]}},"#;
    only(&members, "credentials.jwt.issuers[0].jwks", "discover");
}
