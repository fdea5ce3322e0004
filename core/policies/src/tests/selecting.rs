//! Which workloads a policy is for.

use super::*;

/// The names of the policies that are for a workload.
fn selected(text: &str, workload: &Workload) -> Vec<String> {
    let resources = load(text);
    let policies = resources.authorization_for(&Mesh::default(), workload);
    policies.into_iter().map(|policy| policy.meta.to_string()).collect()
}

fn labelled(namespace: &str, labels: &[(&str, &str)], proxy: Proxy) -> Workload {
    let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Workload {
        namespace: namespace.to_owned(),
        labels: pairs.collect(),
        proxy,
        ..Workload::default()
    }
}

#[test]
fn by_namespace_and_labels() {
    let text = authorization("foo/all", "{}")
        + &authorization("foo/empty", "{selector: {}}")
        + &authorization("foo/httpbin", "{selector: {matchLabels: {app: httpbin}}}")
        + &authorization("foo/both", "{selector: {matchLabels: {app: httpbin, version: v1}}}")
        + &authorization("bar/other", "{}")
        + &authorization("istio-system/mesh", "{}")
        + &authorization("istio-system/mesh-httpbin", "{selector: {matchLabels: {app: httpbin}}}")
        + &authorization("foo/attached", "{targetRefs: [{kind: Service, name: httpbin}]}");
    assert_eq!(
        selected(&text, &httpbin()),
        ["foo/all", "foo/empty", "foo/httpbin", "istio-system/mesh", "istio-system/mesh-httpbin"]
    );
    let elsewhere = labelled("baz", &[("app", "httpbin")], Proxy::Sidecar);
    assert_eq!(selected(&text, &elsewhere), ["istio-system/mesh", "istio-system/mesh-httpbin"]);
    let version = labelled("foo", &[("app", "httpbin"), ("version", "v1")], Proxy::Sidecar);
    assert!(selected(&text, &version).contains(&"foo/both".to_owned()));
    // In the root namespace there is no more than that.
    let root = labelled("istio-system", &[], Proxy::Sidecar);
    assert_eq!(selected(&text, &root), ["istio-system/mesh"]);
}

#[test]
fn gateways_of_the_gateway_api() {
    let text = authorization(
        "foo/to-gateway",
        "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gw}]}",
    ) + &authorization(
        "foo/to-another",
        "{targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: other}}",
    ) + &authorization("foo/all", "{}")
        + &authorization("istio-system/mesh", "{}")
        + &authorization(
            "istio-system/same-name",
            "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gw}]}",
        );
    let gateway =
        labelled("foo", &[("gateway.networking.k8s.io/gateway-name", "gw")], Proxy::Gateway);
    assert_eq!(selected(&text, &gateway), ["foo/all", "istio-system/mesh", "foo/to-gateway"]);
    let mesh = Mesh { select_gateways: false, ..Mesh::default() };
    let resources = load(&text);
    let policies = resources.authorization_for(&mesh, &gateway);
    assert_eq!(policies.len(), 1);
    assert_eq!(policies[0].meta.name, "to-gateway");
}

#[test]
fn waypoints() {
    let text = authorization("bar/svc", "{targetRefs: [{kind: Service, name: reviews}]}")
        + &authorization("bar/other-svc", "{targetRefs: [{kind: Service, name: ratings}]}")
        + &authorization("foo/not-there", "{targetRefs: [{kind: Service, name: reviews}]}")
        + &authorization("foo/all", "{}")
        + &authorization("istio-system/mesh", "{}")
        + &authorization(
            "istio-system/class",
            "{targetRefs: [{kind: GatewayClass, group: gateway.networking.k8s.io, name: \
             istio-waypoint}]}",
        )
        + &authorization(
            "foo/wp",
            "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: wp}]}",
        )
        + &authorization(
            "bar/entry",
            "{targetRefs: [{kind: ServiceEntry, group: networking.istio.io, name: reviews}]}",
        );
    let mut waypoint =
        labelled("foo", &[("gateway.networking.k8s.io/gateway-name", "wp")], Proxy::Waypoint);
    assert_eq!(selected(&text, &waypoint), ["istio-system/class", "foo/wp"]);
    let service = |external: bool| {
        Some(Service { name: "reviews".to_owned(), namespace: "bar".to_owned(), external })
    };
    waypoint.service = service(false);
    assert_eq!(selected(&text, &waypoint), ["istio-system/class", "bar/svc", "foo/wp"]);
    waypoint.service = service(true);
    assert_eq!(selected(&text, &waypoint), ["istio-system/class", "bar/entry", "foo/wp"]);
}

#[test]
fn request_authentication_is_selected_alike() {
    let text = resource("RequestAuthentication", "istio-system/a", "{jwtRules: [{issuer: a}]}")
        + &resource("RequestAuthentication", "foo/b", "{jwtRules: [{issuer: b}]}")
        + &resource("RequestAuthentication", "bar/c", "{jwtRules: [{issuer: c}]}")
        + &resource(
            "RequestAuthentication",
            "foo/d",
            "{selector: {matchLabels: {app: other}}, jwtRules: [{issuer: d}]}",
        );
    let resources = load(&text);
    let known = resources.request_for(&Mesh::default(), &httpbin());
    let names: Vec<&str> = known.iter().map(|resource| resource.meta.name.as_str()).collect();
    assert_eq!(names, ["b", "a"], "the workload's own namespace first");
}
