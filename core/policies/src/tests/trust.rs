//! Certificates of other trust domains.

use super::*;

const FOREIGN: &str = "other/ns/x/sa/y";
const ANYBODY_S: &str = "{from: [{source: {principals: ['*/ns/x/sa/y']}}]}";

fn strict() -> String {
    resource("PeerAuthentication", "istio-system/default", "{mtls: {mode: STRICT}}")
}

#[test]
fn the_handshake_of_another_trust_domain_fails() {
    let allowed = rule("ALLOW", ANYBODY_S);
    for text in [allowed.clone(), strict() + &allowed, strict(), String::new()] {
        assert_eq!(word(&text, &from(FOREIGN)), "foreign", "{text}");
    }
    let resources = load(&allowed);
    let verdict = evaluate(&resources, &Mesh::default(), &httpbin(), &from(FOREIGN));
    assert!(!verdict.decision.may_pass());
    let Decision::Denied(by) = verdict.decision else { panic!("{verdict:?}") };
    assert_eq!(by.status(), None, "the connection is closed");
    // The mesh's own one passes by the same rule.
    assert_eq!(word(&allowed, &from("cluster.local/ns/x/sa/y")), "allowed");
}

#[test]
fn a_trust_domain_is_compared_as_a_whole() {
    for principal in ["cluster.local.evil/ns/x/sa/y", "cluster/ns/x/sa/y", "Cluster.local/a", "x"] {
        assert_eq!(word("", &from(principal)), "foreign", "{principal}");
    }
    assert_eq!(word("", &from("cluster.local/anything")), "open");
}

#[test]
fn a_mesh_may_take_others() {
    let allowed = rule("ALLOW", ANYBODY_S);
    let aliases = vec!["cluster.local".to_owned(), "other".to_owned()];
    for mesh in [
        Mesh { trust_domains: aliases, ..Mesh::default() },
        Mesh { foreign_domains: vec!["other".to_owned()], ..Mesh::default() },
        open_mesh(),
        // Without any of its own, istiod has nothing to compare with.
        Mesh { trust_domains: vec![String::new()], ..Mesh::default() },
    ] {
        assert_eq!(word_in(&mesh, &allowed, &from(FOREIGN)), "allowed", "{mesh:?}");
    }
    let third = Mesh { foreign_domains: vec!["third".to_owned()], ..Mesh::default() };
    assert_eq!(word_in(&third, &allowed, &from(FOREIGN)), "foreign");
}

#[test]
fn who_ends_no_mutual_tls_compares_nothing() {
    let disabled = resource("PeerAuthentication", "foo/default", "{mtls: {mode: DISABLE}}");
    let mut request = tcp(9000);
    request.peer.principal = Some(FOREIGN.to_owned());
    assert_eq!(word(&disabled, &request), "open", "TLS goes on to the workload");
    let decide = |proxy: Proxy| {
        let on = Workload { proxy, ..httpbin() };
        let resources = load("");
        let verdict = evaluate(&resources, &Mesh::default(), &on, &from(FOREIGN));
        verdict.decision.may_pass()
    };
    assert!(decide(Proxy::Gateway), "its own servers say whose certificates it takes");
    assert!(!decide(Proxy::Waypoint), "its tunnels are mutual TLS");
}
