//! Whose connections a route takes requests from.

use super::*;

const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";

fn document() -> Document {
    let issuers = json!([{"issuer": ISSUER, "audiences": ["gateway"], "jwks": {"inline": JWKS}}]);
    let route = |name: &str, enforce: &str, limits: &[&str]| {
        json!({"name": name, "match": {"path": format!("/{name}")}, "service": "s",
               "auth": {"any": ["jwt"]}, "limits": limits, "enforce": enforce,
               "peers": [WEB, "edge"]})
    };
    let document = json!({
        "version": 1,
        "workloads": {
            "edge": {"gateway": true, "namespace": "istio-system", "labels": {"a": "edge"},
                     "service_account": "edge"},
            "s": {"namespace": "shop", "labels": {"app": "s"}, "service_account": "s",
                  "ports": [1]},
        },
        "services": {"s": {"upstream": "h:1", "workload": "s", "guard": "workload"}},
        "limits": {"few": {"key": ["claim.sub"], "mode": "exact", "rate": "1/1h"}},
        "credentials": {"jwt": {"issuers": issuers}},
        "routes": [route("held", "100%", &["few"]), route("tried", "shadow", &[])],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

fn from(peer: Option<&str>, path: &str) -> Incoming {
    let bearer = format!("Bearer {}", token(&json!({})));
    let request = request("GET", path, &[("authorization", &bearer)]);
    Incoming { peer: peer.map(str::to_owned), ..request }
}

#[tokio::test]
async fn only_known_peers_pass_and_strangers_cost_nothing() {
    let gateway = Gateway::of(document(), memory(), |_| {});
    for stranger in [None, Some(""), Some("spiffe://cluster.local/ns/shop/sa/web2"), Some("web")] {
        assert_eq!(gateway.status(&from(stranger, "/held"), NOW).await, 403, "{stranger:?}");
    }
    assert_eq!(gateway.status(&from(Some(WEB), "/held"), NOW).await, 200, "none was counted");
    assert_eq!(gateway.status(&from(Some(WEB), "/held"), NOW).await, 429);
    let edge = Some("spiffe://cluster.local/ns/istio-system/sa/edge");
    let gateway = Gateway::of(document(), memory(), |_| {});
    assert_eq!(gateway.status(&from(edge, "/held"), NOW).await, 200);
}

#[tokio::test]
async fn in_shadow_a_stranger_passes_as_nobody() {
    let gateway = Gateway::of(document(), memory(), |_| {});
    let (evidence, _) = gateway.passes(&from(None, "/tried"), NOW).await;
    assert_eq!(evidence.principal, None);
}
