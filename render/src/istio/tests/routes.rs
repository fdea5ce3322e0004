//! Routes, hosts, and the gateway that they are bound to.

use super::*;

#[test]
fn every_route_says_how_long_and_how_often() {
    let document = document();
    for (_, resource) in virtual_services(&document, &options(30)) {
        for route in resource["spec"]["http"].as_array().unwrap() {
            let answers = route.get("directResponse").is_some();
            assert!(answers || (route["timeout"].is_string() && route["retries"].is_object()));
        }
    }
    let payments = http_route(&document, "payments");
    assert_eq!(payments["timeout"], "1.500s");
    assert_eq!(
        payments["retries"],
        json!({"attempts": 2, "retryOn": "connect-failure,refused-stream"})
    );
    let orders = http_route(&document, "orders");
    assert_eq!(orders["timeout"], "3s");
    assert_eq!(orders["retries"], json!({"attempts": 0}), "Istio's default would try again");
}

#[test]
fn routes_match_and_go_where_the_document_says() {
    let document = document();
    let content = http_route(&document, "content");
    assert_eq!(
        content["match"],
        json!([{"uri": {"prefix": "/content/"}, "method": {"regex": "GET|HEAD"}}])
    );
    assert_eq!(
        content["headers"],
        json!({"request": {"set": {"x-gateway": "100%% postern"}, "remove": ["x-debug"]}})
    );
    let orders = http_route(&document, "orders");
    assert_eq!(orders["match"], json!([{"uri": {"regex": "/orders/[^/]+/items"}}]));
    assert_eq!(
        orders["route"],
        json!([{"destination": {
            "host": "partner.example.test", "port": {"number": 443}, "subset": "partner",
        }}])
    );
    let payments = http_route(&document, "payments");
    assert_eq!(payments["match"][0]["method"], json!({"exact": "POST"}));
    let host = &payments["route"][0]["destination"]["host"];
    assert_eq!(host, "payments.shop.svc.cluster.local");
    assert_eq!(payments["headers"], json!({"response": {"set": {"x-fixed": "a"}}}));
    let health = http_route(&document, "health");
    assert_eq!(health["match"], json!([{"uri": {"exact": "/health"}}]));
    let own = json!({"host": "postern.postern-system.svc.cluster.local", "port": {"number": 9192}});
    assert_eq!(health["route"], json!([{"destination": own}]));
}

#[test]
fn hosts_have_their_own_routes_and_an_end() {
    let names = |resource: &Value| -> Vec<String> {
        let routes = resource["spec"]["http"].as_array().unwrap().iter();
        routes.map(|route| route["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = virtual_services(&document(), &options(30));
    let [(below, tenants), (any, others)] = all.as_slice() else { panic!("two hosts") };
    assert_eq!((below.as_str(), any.as_str()), ("postern-below.tenants.test", "postern"));
    assert_eq!(tenants["spec"]["hosts"], json!(["*.tenants.test"]));
    assert_eq!(names(tenants), ["tenants"], "what takes everything is the last");
    assert_eq!(others["spec"]["hosts"], json!(["*"]));
    assert_eq!(names(others), ["content", "health", "orders", "payments", NO_ROUTE]);
    assert_eq!(others["spec"]["http"][4]["directResponse"], json!({"status": 404}));
}

#[test]
fn offered_hosts_narrow_what_is_served() {
    let document = document();
    let offer = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        IstioOptions { hosts, ..options(30) }
    };
    let served = |hosts: &[&str]| -> Vec<Value> {
        let all = virtual_services(&document, &offer(hosts));
        all.into_iter().map(|(_, resource)| resource["spec"]["hosts"].clone()).collect()
    };
    assert_eq!(
        served(&["api.test", "a.tenants.test"]),
        [json!(["a.tenants.test"]), json!(["api.test"])]
    );
    assert_eq!(served(&["*.tenants.test"]), [json!(["*.tenants.test"])]);
    let error = render(&document, &offer(&["api.test"])).unwrap_err();
    let RenderError::RouteHost { route, host, .. } = &error else { panic!("{error}") };
    assert_eq!((route.as_str(), host.as_str()), ("tenants", "*.tenants.test"));
}

#[test]
fn the_gateway_binds_its_own_namespace_and_has_no_plain_port_beside_tls() {
    let document = document();
    let gateway = |options: &IstioOptions| {
        let rendering = rendering(&document, options);
        gateway::all(&rendering).unwrap()[0].resource(&rendering)["spec"]["servers"].clone()
    };
    assert_eq!(
        gateway(&options(30)),
        json!([{
            "hosts": ["./*"],
            "port": {"name": "https", "number": 443, "protocol": "HTTPS"},
            "tls": {"mode": "SIMPLE", "credentialName": "postern-gateway-tls",
                    "minProtocolVersion": "TLSV1_2"},
        }])
    );
    let plain = IstioOptions { gateway_tls_secret: None, ..options(30) };
    assert_eq!(gateway(&plain)[0]["port"]["number"], 80);
    assert!(gateway(&plain)[0].get("tls").is_none());
}
