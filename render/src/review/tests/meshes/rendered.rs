//! What a review says of the document's own rendering.

use super::*;

/// A workload that guards itself, asks the server, and lists the gateway among its callers.
fn guarded() -> Document {
    document(
        &gateway(&format!(
            "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
             ingressgateway}}, service_account: gateway}}\n  shop: {{namespace: default, labels: \
             {{app: shop}}, service_account: shop, ports: [8080]}}\nroutes:\n- {{name: a, match: \
             {{path: /a}}, service: shop, ext_authz: true, peers: [edge], {READ}}}\n"
        ))
        .replace(
            "shop: {upstream: shop.default.svc.cluster.local:8080}",
            "shop: {upstream: 'shop.default.svc.cluster.local:8080', workload: shop, \
             guard: workload}",
        )
        .replace("refresh: 5m", "refresh: 5m, fetched_by: server")
        .replace(
            "workloads:\n",
            "feed:\n  forwarded_client_cert: local_proxy\n  peers:\n  \
             - {spiffe: 'spiffe://cluster.local/ns/istio-system/sa/gateway', workloads: [edge]}\n  \
             - {spiffe: 'spiffe://cluster.local/ns/default/sa/shop', workloads: [shop]}\n\
             workloads:\n",
        )
        .replace("limits:\n  few: {key: [ip], mode: local, rate: 10/1m}\n", ""),
    )
}

fn reviewed_beside(more: &str, edit: &dyn Fn(String) -> String) -> Review {
    let document = guarded();
    let files: Vec<(String, String)> =
        rendering(&document).into_iter().map(|(name, text)| (name, edit(text))).collect();
    let mut texts: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    texts.push(("more.yaml", more));
    reviewed_of(&document, &texts, &IstioOptions::default())
}

#[test]
fn what_is_rendered_is_not_blamed_for_pods_that_no_manifest_describes() {
    let policy = "AuthorizationPolicy postern-system/postern-workloads-decide";
    let told_unknown = |review: &Review| review.unknown.iter().any(|line| line.starts_with(policy));
    let review = reviewed_beside(&pods(), &|text| text);
    assert!(!has(&told(&review), "PR201"), "{:#?}", told(&review));
    assert!(told_unknown(&review), "{:#?}", review.unknown);
    // Where there are pods, and none is meant, somebody has taken a label away.
    let suite = |label: &str| {
        resource(
            "Deployment",
            "postern-system/postern",
            &format!("{{template: {{metadata: {{labels: {{{label}}}}}, spec: {{}}}}}}"),
        )
    };
    let review = reviewed_beside(&(pods() + &suite("app: postern")), &|text| text);
    assert!(has(&told(&review), &format!("PR201 medium {policy}")), "{:#?}", told(&review));
    let meant = suite("postern.dev/decide: 'true'");
    let review = reviewed_beside(&(pods() + &meant), &|text| text);
    assert!(!has(&told(&review), "PR201") && !told_unknown(&review), "{:#?}", told(&review));
    // Whoever wrote a policy by hand can correct it.
    let by_hand = |text: String| text.replace("postern.dev/document", "example.test/document");
    let review = reviewed_beside(&pods(), &by_hand);
    assert!(has(&told(&review), &format!("PR201 medium {policy}")), "{:#?}", told(&review));
}

#[test]
fn a_rule_that_is_rendered_and_superfluous_is_left_alone() {
    let review = reviewed_beside(&pods(), &|text| text);
    assert!(!has(&told(&review), "PR208"), "{:#?}", told(&review));
    let by_hand = |text: String| text.replace("postern.dev/document", "example.test/document");
    let review = reviewed_beside(&pods(), &by_hand);
    let rule = "PR208 low AuthorizationPolicy default/postern-shop-callers";
    assert!(has(&told(&review), rule), "{:#?}", told(&review));
}
