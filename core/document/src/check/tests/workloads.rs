use super::{load, only};
use crate::Guard;

const EDGE: &str = r#""edge": {"gateway": true, "namespace": "istio-system",
    "labels": {"istio": "ingressgateway"}, "service_account": "gateway"}"#;
const PAY: &str = r#""pay": {"namespace": "shop", "labels": {"app": "pay"},
    "service_account": "pay", "ports": [8080]}"#;

fn workloads(all: &[&str]) -> String {
    format!(r#""workloads": {{{}}},"#, all.join(", "))
}

fn service(members: &str) -> String {
    format!(r#""services": {{"s": {{"upstream": "pay:8080", {members}}}}},"#)
}

const GUARDED: &str = r#""workload": "pay", "guard": "workload""#;

fn route(members: &str) -> String {
    format!(r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "s", {members}}}"#)
}

#[test]
fn workloads_are_read() {
    let mesh = r#""mesh": {"trust_domain": "mesh.test"},"#;
    let members = format!("{mesh} {} {}", workloads(&[EDGE, PAY]), service(GUARDED));
    let peers = r#""auth": "none", "peers": ["edge", "spiffe://mesh.test/ns/ops/sa/*"]"#;
    let document = load(&members, &[&route(peers)]).unwrap();
    assert_eq!(document.gateway().map(|edge| edge.name.as_str()), Some("edge"));
    let pay = document.workload("pay").unwrap();
    assert_eq!((pay.namespace.as_str(), pay.ports.as_slice()), ("shop", &[8080][..]));
    assert_eq!(pay.labels.get("app").map(String::as_str), Some("pay"));
    assert_eq!(document.mesh.root_namespace, "istio-system");
    let service = &document.services[0];
    assert_eq!((service.guard, service.guarded_by()), (Guard::Workload, Some(pay)));
    let peers: Vec<String> = document.routes[0].peers.iter().map(|peer| peer.to_istio()).collect();
    assert_eq!(peers, ["mesh.test/ns/istio-system/sa/gateway", "mesh.test/ns/ops/sa/*"]);
    let refused = |id: &str| document.routes[0].check_peer(id).err().map(|denial| denial.reason);
    for known in ["spiffe://mesh.test/ns/istio-system/sa/gateway", "spiffe://mesh.test/ns/ops/sa/a"]
    {
        assert_eq!(refused(known), None, "{known}");
    }
    for stranger in ["", "edge", "spiffe://mesh.test/ns/ops/sa/", "spiffe://mesh.test/ns/shop/sa/a"]
    {
        assert_eq!(refused(stranger), Some("peer_unknown"), "{stranger}");
    }
    let again = crate::from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!((again.workloads, again.mesh), (document.workloads, document.mesh));
}

#[test]
fn where_a_workload_is_known_by_name_alone_the_edge_guards() {
    let members = format!("{} {}", workloads(&[PAY]), service(r#""workload": "pay""#));
    let document = load(&members, &[&route(r#""auth": "none""#)]).unwrap();
    let service = &document.services[0];
    assert_eq!((service.guard, service.guarded_by()), (Guard::Edge, None));
    assert!(service.workload.is_some());
    assert!(document.routes[0].check_peer("").is_ok(), "without a list it takes anybody");
}

#[test]
fn workloads_are_told_apart() {
    let open = super::OPEN;
    let pay = |from: &str, to: &str| workloads(&[EDGE, &PAY.replace(from, to)]);
    let labels = "workloads.pay.labels";
    let renamed = |name: &str| PAY.replace(r#""pay": {"#, &format!(r#""{name}": {{"#));
    let narrower = renamed("new").replace(r#""app": "pay""#, r#""app": "pay", "tier": "v2""#);
    for (members, place, word) in [
        (pay(r#""shop""#, r#""Shop""#), "workloads.pay.namespace", "lower-case"),
        (pay(r#""shop""#, r#""a.b""#), "workloads.pay.namespace", "lower-case"),
        (pay(r#"{"app": "pay"}"#, "{}"), labels, "at least one label"),
        (pay(r#""app": "pay""#, r#""app": "*""#), "workloads.pay.labels.app", "`*`"),
        (pay(r#""app": "pay""#, r#""app": "-a""#), "workloads.pay.labels.app", "value"),
        (pay(r#""app": "#, r#""a/b/c": "#), labels, "name"),
        (pay(r#""app": "#, r#""A.b/": "#), labels, "name"),
        (pay(r#"account": "pay""#, r#"account": "Pay""#), "workloads.pay.service_account", "name"),
        (pay("8080", "0"), "workloads.pay.ports", "1 to 65535"),
        (pay("8080", "65536"), "workloads.pay.ports", "1 to 65535"),
        (pay("8080", "15006"), "workloads.pay.ports", "Istio"),
        (pay("8080", "8080, 8080"), "workloads.pay.ports", "twice"),
        (
            workloads(&[EDGE, &EDGE.replace(r#""edge""#, r#""other""#).replace("istio-s", "s")]),
            "workloads.other.gateway",
            "`edge`",
        ),
        (workloads(&[PAY, &renamed("all")]), "workloads.all.labels", "`pay`"),
        (workloads(&[PAY, &narrower]), "workloads.new.labels", "`pay`"),
        (workloads(&[&narrower, PAY]), "workloads.pay.labels", "`new`"),
        (r#""mesh": {"trust_domain": "Mesh"},"#.to_owned(), "mesh.trust_domain", "lower-case"),
        (r#""mesh": {"root_namespace": "a.b"},"#.to_owned(), "mesh.root_namespace", "lower-case"),
    ] {
        only(&members, &[open], place, word);
    }
    // Labels that do not cover each other, or another namespace.
    for other in
        [PAY.replace(r#""app": "pay""#, r#""app": "web""#), PAY.replace(r#""shop""#, r#""ops""#)]
    {
        let other = other.replace(r#""pay": {"#, r#""other": {"#);
        assert!(load(&workloads(&[PAY, &other]), &[open]).is_ok(), "{other}");
    }
}

#[test]
fn a_service_is_guarded_where_its_pods_are() {
    let open = route(r#""auth": "none""#);
    let with = |members: &str| format!("{} {}", workloads(&[EDGE, PAY]), service(members));
    for (members, place, word) in [
        (with(r#""guard": "workload""#), "services.s.guard", "`workload`"),
        (with(r#""workload": "pya""#), "services.s.workload", "did you mean `pay`"),
        (with(r#""workload": "edge""#), "services.s.workload", "gateway"),
        (with(&format!(r#"{GUARDED}, "tls": true"#)), "services.s.tls", "leave `tls` out"),
        (with(GUARDED).replace("pay:8080", "pay:80"), "services.s.guard", "port 80 "),
        (with(GUARDED).replace("[8080]", "[9090]"), "services.s.guard", "nobody would enforce"),
        (with(GUARDED).replace(r#", "ports": [8080]"#, ""), "services.s.guard", "port 8080 "),
        (
            with(GUARDED).replace(r#""ports": [8080]"#, r#""ports": []"#),
            "services.s.guard",
            "port 8080 ",
        ),
    ] {
        only(&members, &[&open], place, word);
    }
    let versions = r#", "versions": {"new": {"upstream": "pay-2:9090"}}"#;
    let split = route(r#""auth": "none", "split": {"new": 100}"#);
    only(&with(&format!("{GUARDED}{versions}")), &[&split], "services.s.guard", "port 9090 ");
}

#[test]
fn peers_are_for_routes_that_workloads_enforce() {
    let with = |peers: &str| route(&format!(r#""auth": "none", "peers": [{peers}]"#));
    let guarded = format!("{} {}", workloads(&[EDGE, PAY]), service(GUARDED));
    let edge = format!("{} {}", workloads(&[EDGE, PAY]), service(r#""workload": "pay""#));
    let (place, web) = ("routes.r.peers", r#""spiffe://mesh/ns/a/sa/web""#);
    only(&edge, &[&with(web)], place, "`guard: workload`");
    let own = super::OPEN.replace(r#""auth""#, r#""peers": ["spiffe://mesh/a"], "auth""#);
    only("", &[&own], place, "`guard: workload`");
    let many: Vec<String> = (0..65).map(|at| format!(r#""spiffe://mesh/{at}""#)).collect();
    let (twice, too_many) = (format!("{web}, {web}"), many.join(", "));
    for (peers, at, word) in [
        ("", "", "nobody"),
        (r#""egde""#, "[0]", "did you mean `edge`"),
        (r#""spiffe://mesh/*/a""#, "[0]", "`spiffe://mesh/*/a`: expected a SPIFFE id"),
        (r#""https://mesh/a""#, "[0]", "SPIFFE id"),
        (r#""spiffe://*""#, "[0]", "SPIFFE id"),
        (r#""edge", "mesh/ns/a/sa/b""#, "[1]", "write spiffe://mesh/ns/a/sa/b"),
        (r#""mesh//b""#, "[0]", "`mesh//b`: expected a SPIFFE id"),
        (twice.as_str(), "[1]", "twice"),
        (r#""edge", "spiffe://cluster.local/ns/istio-system/sa/gateway""#, "[1]", "twice"),
        (too_many.as_str(), "", "at most 64"),
    ] {
        only(&guarded, &[&with(peers)], &format!("{place}{at}"), word);
    }
    assert!(load(&guarded, &[&with(&many[..64].join(", "))]).is_ok());
    // The service's own problem is not told as the route's.
    let lost = edge.replace(r#""workload": "pay""#, r#""workload": "gone", "guard": "workload""#);
    only(&lost, &[&with(web)], "services.s.workload", "there is no workload `gone`");
}

#[test]
fn a_workload_sees_the_gateway_and_not_the_client() {
    let credentials = |bound: &str| {
        format!(
            r#""issuer": "https://own.test", "credentials": {{"jwt": {{{bound} "issuers": [
                {{"issuer": "https://own.test", "audiences": ["a"],
                  "jwks": {{"service": "postern"}}}}]}}}},"#
        )
    };
    let limits = r#""limits": {"few": {"key": ["route", "ip"], "mode": "exact", "rate": "5/1m"}},"#;
    let place = format!("{} {}", workloads(&[PAY]), service(GUARDED));
    let jwt = r#""auth": {"any": ["jwt"]}"#;
    let with = |bound: &str| format!("{} {limits} {place}", credentials(bound));
    let by_ip = route(&format!(r#"{jwt}, "limits": ["few"]"#));
    only(&with(""), &[&by_ip], "routes.r.limits", "gateway's address");
    let connection = r#""bound": {"certificate": "connection"},"#;
    only(&with(connection), &[&route(jwt)], "routes.r.service", "the gateway's");
    assert!(load(&with(connection), &[&route(r#""auth": "none""#)]).is_ok());
    let forwarded = r#""bound": {"certificate": "forwarded"},"#;
    only(&with(forwarded), &[&route(jwt)], "routes.r.service", "`bound.certificate: forwarded`");
    assert!(load(&with(forwarded), &[&route(r#""auth": "none""#)]).is_ok());
    let dpop = r#""bound": {"dpop": {}},"#;
    let asked = route(&format!(r#"{jwt}, "ext_authz": true"#));
    assert!(load(&with(dpop), &[&route(jwt)]).is_ok(), "such tokens count nowhere there");
    only(&with(dpop), &[&asked], "routes.r.service", "DPoP");
    for (hosts, is_good) in [
        (r#""own.test""#, true),
        (r#""own.test", "other.test""#, false),
        (r#""*.own.test""#, false),
        (r#""other.test""#, false),
    ] {
        let path = format!(r#""path": "/r", "hosts": [{hosts}]"#);
        let asked = asked.replace(r#""path": "/r""#, &path);
        assert_eq!(load(&with(dpop), &[&asked]).is_ok(), is_good, "{hosts}");
    }
    // None of it concerns what the edge enforces.
    for bound in [connection, forwarded] {
        let edge = with(bound).replace(r#", "guard": "workload""#, "");
        assert!(load(&edge, &[&by_ip]).is_ok());
    }
}

#[test]
fn services_of_the_same_pods_have_one_guard() {
    let web = PAY.replace("pay", "web");
    let with = |other: &str| {
        let s = format!(r#""s": {{"upstream": "pay.shop.svc:8080", {GUARDED}}}"#);
        let all = workloads(&[EDGE, PAY, &web]);
        format!(r#"{all} "services": {{{s}, "t": {{{other}}}}},"#)
    };
    let open = route(r#""auth": "none""#);
    let place = "services.t.guard";
    for (other, word) in [
        // The edge would open what the workload never heard of.
        (r#""upstream": "other:8080", "workload": "pay""#, "runs on `pay` too"),
        (r#""upstream": "pay.shop.svc:8080""#, "the same address"),
        (r#""upstream": "Pay.shop.svc.cluster.local:8080""#, "the same address"),
        (
            r#""upstream": "pay.shop:8080", "workload": "web", "guard": "workload""#,
            "the same address",
        ),
    ] {
        only(&with(other), &[&open], place, word);
    }
    for good in [
        r#""upstream": "pay.shop.svc:8080", "workload": "pay", "guard": "workload""#,
        r#""upstream": "web.shop.svc:8080", "workload": "web""#,
        r#""upstream": "pay.shop.svc:8081""#,
    ] {
        assert!(load(&with(good), &[&open]).is_ok(), "{good}");
    }
    // In either order, and by machines too.
    let machines = r#""endpoints": [{"address": "10.0.0.1", "port": 8080},
                                    {"address": "10.0.0.2", "port": 8080}]"#;
    let services = format!(
        r#"{} "services": {{"t": {{{machines}}}, "s": {{"upstream": "10.0.0.2:8080", {GUARDED}}}}},"#,
        workloads(&[PAY])
    );
    only(&services, &[&open], "services.s.guard", "`t` is asked at the same address");
}

#[test]
fn what_is_decided_behind_the_edge_chooses_nothing_at_the_edge() {
    let guarded = |more: &str| {
        let claims = r#""credentials": {"jwt": {"issuers": [{"issuer": "https://a.test",
            "audiences": ["a"], "claim_headers": {"x-tenant": "tenant"}}]}},"#;
        let versions = r#""versions": {"new": {"labels": {"v": "2"}}}"#;
        let service = service(&format!("{GUARDED}, {versions}{more}"));
        format!("{claims} {} {service}", workloads(&[EDGE, PAY]))
    };
    let edge = |more: &str| guarded(more).replace(r#", "guard": "workload""#, "");
    let hash = |header: &str| format!(r#", "hash": {{"header": "{header}"}}"#);
    let with = |more: &str| route(&format!(r#""auth": "none", "split": {{"new": 100}}{more}"#));
    let canary = |header: &str| {
        with(&format!(r#", "canary": [{{"header": "{header}", "value": "a", "version": "new"}}]"#))
    };
    for header in ["x-postern-tier", "x-tenant"] {
        only(&guarded(&hash(header)), &[&with("")], "services.s.hash.header", header);
        only(&guarded(""), &[&canary(header)], "routes.r.canary[0].header", header);
        assert!(load(&edge(&hash(header)), &[&canary(header)]).is_ok(), "{header}");
    }
    assert!(load(&guarded(&hash("x-session")), &[&canary("x-beta")]).is_ok());
}

#[test]
fn whoever_names_the_request_draws_no_share() {
    let guarded = format!("{} {}", workloads(&[EDGE, PAY]), service(GUARDED));
    let edge = guarded.replace(r#", "guard": "workload""#, "");
    let with = |enforce: &str| route(&format!(r#""auth": "none", "enforce": "{enforce}""#));
    for share in ["1%", "99%"] {
        only(&guarded, &[&with(share)], "routes.r.enforce", "`x-request-id`");
        assert!(load(&edge, &[&with(share)]).is_ok());
    }
    for whole in ["100%", "shadow"] {
        assert!(load(&guarded, &[&with(whole)]).is_ok(), "{whole}");
    }
}
