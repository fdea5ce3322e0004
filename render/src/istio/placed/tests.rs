use postern_document::from_json;

use super::*;

fn document(workloads: &str) -> Document {
    let text = format!(
        r#"{{"version": 1, {workloads}
            "services": {{"a": {{"upstream": "a.b.svc.cluster.local:80"}}}},
            "routes": [{{"name": "a", "match": {{"path": "/"}}, "service": "a",
                         "auth": "none"}}]}}"#
    );
    from_json(text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

const EDGE: &str = r#""workloads": {"in": {"gateway": true, "namespace": "edge-ns",
    "labels": {"app": "in"}, "service_account": "in-account"}},
    "mesh": {"trust_domain": "mesh.test"},"#;

fn labels(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn an_old_document_is_placed_where_istios_charts_put_a_gateway() {
    let (document, options) = (document(""), IstioOptions::default());
    let rendering = Rendering::of(&document, &options).unwrap();
    let gateway = &rendering.gateway;
    assert_eq!((gateway.workload.as_str(), gateway.namespace.as_str()), ("edge", "istio-system"));
    assert_eq!(gateway.attach, Attach::Labels(labels("istio", "ingressgateway")));
    assert_eq!(
        gateway.principal,
        "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
    );
    assert_eq!(gateway.routes.len(), 1);
    assert!(rendering.namespaces().is_empty());
}

#[test]
fn the_documents_gateway_is_the_gateway() {
    let (document, options) = (document(EDGE), IstioOptions::default());
    let rendering = Rendering::of(&document, &options).unwrap();
    let gateway = &rendering.gateway;
    assert_eq!((gateway.workload.as_str(), gateway.namespace.as_str()), ("in", "edge-ns"));
    assert_eq!(gateway.attach, Attach::Labels(labels("app", "in")));
    assert_eq!(gateway.principal, "mesh.test/ns/edge-ns/sa/in-account");
    let options = IstioOptions {
        api: Api::Gateway,
        workload: Some("in".to_owned()),
        gateway_namespace: Some("edge-ns".to_owned()),
        ..IstioOptions::default()
    };
    let rendering = Rendering::of(&document, &options).unwrap();
    assert_eq!(rendering.gateway.attach, Attach::Gateway("postern".to_owned()));
}

/// Its own routes are not the gateway's, and by default a gateway is called so too.
#[test]
fn a_workload_of_the_document_that_is_no_gateway_is_refused_as_one() {
    let workload = r#""workloads": {"edge": {"namespace": "shop", "labels": {"app": "edge"},
        "service_account": "edge"}},"#;
    let document = document(workload);
    let error = Rendering::of(&document, &IstioOptions::default()).unwrap_err();
    let RenderError::Workload { workload, problem } = &error else { panic!("{error}") };
    assert_eq!(workload, "edge");
    assert!(problem.contains("`gateway: true`"), "{problem}");
    let options = IstioOptions { workload: Some("other".to_owned()), ..IstioOptions::default() };
    assert!(Rendering::of(&document, &options).is_ok());
}

#[test]
fn pods_that_istiod_runs_for_a_gateway_go_by_its_name() {
    let options = IstioOptions {
        api: Api::Gateway,
        gateway_name: "shop".to_owned(),
        gateway_namespace: Some("gateways".to_owned()),
        ..IstioOptions::default()
    };
    let document = document("");
    let rendering = Rendering::of(&document, &options).unwrap();
    assert_eq!(rendering.gateway.principal, "cluster.local/ns/gateways/sa/shop-istio");
}

#[test]
fn options_that_contradict_the_document_are_refused_by_name() {
    let document = document(EDGE);
    let other = || Some("other".to_owned());
    for (expected, options) in [
        ("workload", IstioOptions { workload: other(), ..IstioOptions::default() }),
        (
            "gateway_namespace",
            IstioOptions { gateway_namespace: other(), ..IstioOptions::default() },
        ),
        (
            "gateway_selector",
            IstioOptions {
                gateway_selector: Some(labels("app", "other")),
                ..IstioOptions::default()
            },
        ),
    ] {
        let error = Rendering::of(&document, &options).unwrap_err();
        let RenderError::BadOption { option, problem } = &error else { panic!("{error}") };
        assert_eq!(*option, expected);
        assert!(problem.contains("document"), "{problem}");
    }
}

#[test]
fn a_workload_that_cannot_be_rendered_for_is_refused_by_name() {
    let with = |name: &str, namespace: &str| {
        document(&format!(
            r#""workloads": {{"{name}": {{"namespace": "{namespace}", "labels": {{"a": "b"}},
                "service_account": "x", "ports": [80]}}}},"#
        ))
    };
    let options = IstioOptions::default();
    assert!(Rendering::of(&with("web", "shop"), &options).is_ok());
    let long = "a".repeat(MAX_NAME + 1);
    for (name, namespace, expected) in
        [(long.as_str(), "shop", "at most 40"), ("web", "istio-system", "the whole mesh")]
    {
        let document = with(name, namespace);
        let error = Rendering::of(&document, &options).unwrap_err();
        let RenderError::Workload { workload, problem } = &error else { panic!("{error}") };
        assert_eq!(workload, name);
        assert!(problem.contains(expected), "{problem}");
    }
}
