use super::{check, instance};
use crate::{Check, CheckParts, Instance, Probe};

/// Which value is wrong; none where all are right.
fn wrong(instance: &Instance) -> Option<&'static str> {
    instance.validate().err().map(|invalid| invalid.what)
}

#[test]
fn what_nobody_says_more_of_may_be_registered() {
    assert_eq!(wrong(&instance(1)), None);
    let full = Instance {
        weight: 1_000,
        base_path: "/api".to_owned(),
        check: Some(check()),
        version: Some("2.1.0".to_owned()),
        environment: Some("production".to_owned()),
        region: Some("eu-central".to_owned()),
        zone: Some("a".to_owned()),
        ttl_ms: 180_000,
        stays: true,
        ..instance(1)
    };
    assert_eq!(wrong(&full), None);
    assert_eq!(full.health_path().as_deref(), Some("/api/health"));
    assert_eq!(full.place(), "10.0.0.1:8080");
}

#[test]
fn every_bound_is_held() {
    let named = |service: &str, id: &str| Instance {
        service: service.to_owned(),
        id: id.to_owned(),
        ..instance(1)
    };
    let label = |text: &str| Some(text.to_owned());
    for (instance, expected) in [
        (named("", "a"), "service"),
        (named("a{b}", "a"), "service"),
        (named("a:b", "a"), "service"),
        (named("-a", "a"), "service"),
        (named(&"a".repeat(64), "a"), "service"),
        (named("a", ""), "instance"),
        (named("a", "a b"), "instance"),
        (named("a", "ä"), "instance"),
        (named("a", &"a".repeat(129)), "instance"),
        (Instance { port: 0, ..instance(1) }, "port"),
        (Instance { weight: 0, ..instance(1) }, "weight"),
        (Instance { weight: 1_001, ..instance(1) }, "weight"),
        (Instance { max_connections: 0, ..instance(1) }, "connections"),
        (Instance { ttl_ms: 4_999, ..instance(1) }, "ttl"),
        (Instance { ttl_ms: 3_600_001, ..instance(1) }, "ttl"),
        (Instance { ttl_ms: 179_999, stays: true, ..instance(1) }, "ttl"),
        (Instance { base_path: "api".to_owned(), ..instance(1) }, "base path"),
        (Instance { base_path: "/api/".to_owned(), ..instance(1) }, "base path"),
        (Instance { version: label(""), ..instance(1) }, "version"),
        (Instance { environment: label("a b"), ..instance(1) }, "environment"),
        (Instance { region: label(&"a".repeat(64)), ..instance(1) }, "region"),
        (Instance { zone: label("a"), ..instance(1) }, "zone"),
    ] {
        assert_eq!(wrong(&instance), Some(expected), "{instance:?}");
    }
}

#[test]
fn an_address_is_one_of_one_machine() {
    for (address, is_good) in [
        ("10.0.0.1", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("2001:db8::1", true),
        ("0.0.0.0", false),
        ("255.255.255.255", false),
        ("224.0.0.1", false),
        ("169.254.169.254", false),
        ("::ffff:169.254.169.254", false),
        ("::169.254.169.254", false),
        ("64:ff9b::169.254.169.254", false),
        ("64:ff9b::10.0.0.1", true),
        ("fd00:ec2::254", false),
        ("fd00:ec2::253", true),
        ("::", false),
        ("ff02::1", false),
        ("fe80::1", false),
    ] {
        let instance = Instance { address: address.parse().unwrap(), ..instance(1) };
        assert_eq!(wrong(&instance).is_none(), is_good, "{address}");
    }
    let v6 = Instance { address: "2001:db8::1".parse().unwrap(), ..instance(1) };
    assert_eq!(v6.place(), "[2001:db8::1]:8080");
}

#[test]
fn numbers_of_checks_have_bounds_that_fit_together() {
    let with = |check: Check| Instance { check: Some(check), ..instance(1) };
    let path = |path: &str| Check { probe: Probe::Http { path: path.to_owned() }, ..check() };
    for (check, expected) in [
        (Check { interval_ms: 999, ..check() }, "interval"),
        (Check { timeout_ms: 99, ..check() }, "timeout"),
        (Check { timeout_ms: 2_000, interval_ms: 1_999, ..check() }, "timeout"),
        (Check { tries: 0, ..check() }, "retries"),
        (Check { tries: 11, ..check() }, "retries"),
        (Check { threshold: 0, ..check() }, "failure threshold"),
        (Check { recovery_ms: 3_600_001, ..check() }, "recovery"),
        (path("health"), "health path"),
        (path("/a b"), "health path"),
        (path(&format!("/{}", "a".repeat(255))), "health path"),
    ] {
        assert_eq!(wrong(&with(check.clone())), Some(expected), "{check:?}");
    }
    assert_eq!(wrong(&with(Check::new(Probe::Tcp))), None);
    assert_eq!(with(Check::new(Probe::Tcp)).health_path(), None);
}

#[test]
fn a_check_is_what_is_said_of_it_and_else_as_usual() {
    let parts = |protocol: Option<&str>, path: Option<&str>| CheckParts {
        protocol: protocol.map(str::to_owned),
        health_path: path.map(str::to_owned),
        ..CheckParts::default()
    };
    assert_eq!(parts(None, None).check(), Ok(None));
    assert_eq!(parts(Some("tcp"), None).check(), Ok(Some(Check::new(Probe::Tcp))));
    for protocol in [None, Some("http")] {
        assert_eq!(parts(protocol, Some("/health")).check(), Ok(Some(check())));
    }
    let all = CheckParts {
        interval_ms: Some(1),
        timeout_ms: Some(2),
        tries: Some(3),
        threshold: Some(4),
        recovery_ms: Some(5),
        ..parts(Some("tcp"), None)
    };
    let expected = Check {
        probe: Probe::Tcp,
        interval_ms: 1,
        timeout_ms: 2,
        tries: 3,
        threshold: 4,
        recovery_ms: 5,
    };
    assert_eq!(all.check(), Ok(Some(expected)));
    for (interval_ms, timeout_ms) in [(1_000, 1_000), (5_000, 5_000), (6_000, 5_000)] {
        let said = CheckParts { interval_ms: Some(interval_ms), ..parts(Some("tcp"), None) };
        let check = said.check().unwrap().unwrap();
        assert_eq!((check.interval_ms, check.timeout_ms), (interval_ms, timeout_ms));
        assert_eq!(check.validate(), Ok(()), "nobody gave a timeout");
    }
    for (parts, what) in [
        (parts(Some("udp"), None), "protocol"),
        (parts(Some("http"), None), "health path"),
        (parts(Some("tcp"), Some("/")), "health path"),
        (CheckParts { tries: Some(1), ..CheckParts::default() }, "protocol"),
        (CheckParts { recovery_ms: Some(1), ..CheckParts::default() }, "protocol"),
    ] {
        assert_eq!(parts.check().map_err(|invalid| invalid.what), Err(what));
    }
}
