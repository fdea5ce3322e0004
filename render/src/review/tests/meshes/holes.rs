//! Who gets past the gateway, and what is told of that where something is not known.

use super::*;

/// A rule for port 8080.
fn allow(from: &str, to: &str) -> String {
    let from =
        if from.is_empty() { String::new() } else { format!("from: [{{source: {from}}}], ") };
    rule("ALLOW", &format!("{{{from}to: [{{operation: {{ports: ['8080']{to}}}}}]}}"))
}

fn of_gateway() -> String {
    allow(&format!("{{principals: ['{GATEWAY}']}}"), "")
}

#[test]
fn calls_past_the_gateway() {
    for open in [
        allow("{namespaces: ['*']}", ""),
        allow("{namespaces: [shop, evil]}", ""),
        // The gateway is not alone there.
        allow("{namespaces: [istio-system]}", ""),
        allow("{principals: [cluster.local/ns/evil/sa/evil]}", ""),
        allow("{principals: ['cluster.local/ns/evil/*']}", ""),
        allow("{serviceAccounts: [evil/evil]}", ""),
        allow("{ipBlocks: [10.0.0.0/8]}", ""),
        allow("{notPrincipals: [cluster.local/ns/postern-review/sa/stranger]}", ""),
        allow("{notNamespaces: ['p*', 'q*']}", ""),
        allow("", ", paths: ['/admin/*']"),
        allow("", ", methods: [DELETE]"),
        allow("", ", hosts: ['intern.test:*'], notMethods: [GET]"),
        rule(
            "ALLOW",
            "{to: [{operation: {ports: ['8080']}}], when: [{key: 'request.headers[x-debug]', \
             values: ['1']}]}",
        ),
        // A port that no manifest names may be there all the same.
        rule("ALLOW", "{to: [{operation: {ports: ['9999']}}]}"),
    ] {
        added("PR222 high Workload default/shop", &open, &of_gateway());
    }
}

#[test]
fn a_port_that_is_none_of_the_documents_may_have_callers_of_its_own() {
    let of = |port: &str| {
        rule(
            "ALLOW",
            &format!(
                "{{from: [{{source: {{principals: [cluster.local/ns/a/sa/b]}}}}], to: \
                 [{{operation: {{ports: ['{port}']}}}}]}}"
            ),
        )
    };
    added("PR222 high", &of("8080"), &of("5432"));
}

#[test]
fn a_finding_says_who_gets_in_by_which_rule() {
    let open = allow("{namespaces: [evil]}", ", methods: [DELETE], paths: ['/admin/*']");
    let mesh = good() + &open;
    let review = reviewed_with(&[("mesh.yaml", &mesh)], &IstioOptions::default());
    let past: Vec<_> = review.findings.iter().filter(|one| one.id == "PR222").collect();
    assert_eq!(past.len(), 1, "{past:#?}");
    assert!(past[0].text.contains("port 8080") && past[0].text.contains("default/p rule 0"));
    assert!(past[0].evidence[0].starts_with("DELETE /admin/"), "{past:#?}");
    let anybody = "anybody in the namespace evil (tried as sa/stranger)";
    assert!(past[0].text.contains(anybody), "{past:#?}");
    assert!(past[0].evidence.iter().all(|line| line.contains(anybody)), "{past:#?}");
}

#[test]
fn whoever_has_the_gateways_name_has_its_way_in() {
    let pods = |account: &str| {
        resource(
            "Deployment",
            "istio-system/job",
            &format!(
                "{{template: {{metadata: {{labels: {{app: job}}}}, spec: {{{account}containers: \
                 [{{name: c}}]}}}}}}"
            ),
        )
    };
    let same = pods("serviceAccountName: gateway, ");
    let id = "PR222 high Workload istio-system/job";
    added(id, &same, &pods("serviceAccountName: job, "));
    added(id, &same, &pods(""));
    // The same name in another namespace is another one.
    let elsewhere = same.replace("namespace: istio-system", "namespace: default");
    assert!(!has(&found_in(&(good() + &elsewhere)), "PR222"));
}

#[test]
fn callers_of_other_trust_domains_are_tried() {
    let found = |rule: &str, config: &str| {
        let (mesh, config) = (good() + rule, format!("trustDomain: cluster.local\n{config}"));
        let texts = [("mesh.yaml", mesh.as_str()), ("config.yaml", config.as_str())];
        told(&reviewed_with(&texts, &IstioOptions::default()))
    };
    let (past, foreign) = (
        "PR222 high Workload default/shop",
        "caCertificates: [{pem: a, trustDomains: [b.test]}]\n",
    );
    // In the mesh's own trust domain this is the gateway alone.
    let rule = allow("{principals: ['*/ns/istio-system/sa/gateway']}", "");
    assert!(!has(&found(&rule, ""), past), "{:#?}", found(&rule, ""));
    assert!(has(&found(&rule, foreign), past), "{:#?}", found(&rule, foreign));
    let exact = allow(&format!("{{principals: ['{GATEWAY}']}}"), "");
    assert!(!has(&found(&exact, foreign), past), "{:#?}", found(&exact, foreign));
    let istiod = resource(
        "Deployment",
        "istio-system/istiod",
        "{template: {spec: {containers: [{name: discovery, env: [{name: \
         PILOT_SKIP_VALIDATE_TRUST_DOMAIN, value: 'true'}]}]}}}",
    );
    assert!(has(&found(&(rule + &istiod), ""), past));
}

#[test]
fn addresses_that_policies_tell_apart_are_tried() {
    let mesh = |denied: &str| {
        rule("ALLOW", "{}")
            + &policy(
                "default/q",
                &format!("{{action: DENY, rules: [{{from: [{{source: {denied}}}]}}]}}"),
            )
    };
    let by_address = mesh("{notIpBlocks: [10.0.0.0/8]}");
    added("PR222 high", &by_address, &mesh(&format!("{{notPrincipals: ['{GATEWAY}']}}")));
    let text = good() + &by_address;
    let review = reviewed_with(&[("mesh.yaml", &text)], &IstioOptions::default());
    let row = review.mesh.iter().find(|row| row.port == Some(8080)).unwrap();
    let stranger = row.reach.iter().find(|(who, _)| who == "any workload of the mesh").unwrap();
    assert!(stranger.1.starts_with("passes") && stranger.1.contains("from 10.0.0.0"), "{row:#?}");
}

/// Pods of which no port is known, and their service.
fn without_ports(container: &str) -> String {
    let known = unguarded();
    let (_, policies) = known.split_once("---\napiVersion: security").unwrap();
    resource(
        "Deployment",
        "default/shop",
        &format!(
            "{{template: {{metadata: {{labels: {{app: shop}}}}, spec: {{containers: [{{name: c{container}}}]}}}}}}"
        ),
    ) + &resource(
        "Service",
        "default/shop",
        "{selector: {app: shop}, ports: [{name: http, port: 8080, targetPort: web}]}",
    ) + "---\napiVersion: security"
        + policies
}

#[test]
fn ports_that_are_not_known_are_asked_about_and_told() {
    let anybody = rule("ALLOW", "{to: [{operation: {methods: [GET]}}]}");
    let told_of = |container: &str| {
        let mesh = without_ports(container) + &anybody;
        reviewed_with(&[("mesh.yaml", &mesh)], &IstioOptions::default())
    };
    let unknown = |review: &Review| {
        review.unknown.iter().filter(|one| one.contains("Workload default/shop")).count()
    };
    let nameless = told_of("");
    for id in ["PR202 high", "PR222 high"] {
        assert!(has(&told(&nameless), id), "{id}: {:#?}", told(&nameless));
    }
    assert_eq!(unknown(&nameless), 2, "{:#?}", nameless.unknown);
    let named = told_of(", ports: [{name: web, containerPort: 8081}]");
    assert_eq!(unknown(&named), 0, "{:#?}", named.unknown);
    assert!(named.mesh.iter().any(|row| row.port == Some(8081)), "{:#?}", named.mesh);
    let plain = without_ports("").replace("STRICT", "PERMISSIVE");
    let denied = rule("DENY", "{from: [{source: {principals: ['cluster.local/ns/x/sa/y']}}]}");
    assert!(has(&found_in(&(plain + &denied)), "PR204 high"));
}

#[test]
fn policies_in_a_file_with_mesh_config_are_read() {
    let open = allow("{namespaces: ['*']}", "");
    let config = "trustDomain: cluster.local\n";
    tells_apart("PR222 high", &format!("{config}{}{open}", good()), &format!("{config}{}", good()));
}

#[test]
fn the_clusters_own_mesh_config_counts() {
    let custom = policy(
        "default/c",
        "{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {ports: ['8080']}}]}]}",
    );
    let mesh = good() + &custom;
    let provider = |more: &str| {
        format!(
            "extensionProviders:\n- {{name: opa, envoyExtAuthzGrpc: {{service: s, port: 1, timeout: \
             1s{more}}}}}\n"
        )
    };
    let cluster = |namespace: &str, more: &str| {
        let indented = provider(more).replace('\n', "\n    ");
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: {namespace}}}\n\
             data:\n  mesh: |\n    {indented}\n"
        )
    };
    let found = |cluster: &str| {
        let fragment = provider("");
        let texts =
            [("mesh.yaml", mesh.as_str()), ("a.yaml", fragment.as_str()), ("b.yaml", cluster)];
        told(&reviewed_with(&texts, &IstioOptions::default()))
    };
    let (same, open) = (cluster("istio-system", ""), cluster("istio-system", ", failOpen: true"));
    assert!(has(&found(&open), "PR210 high MeshConfig"), "{:#?}", found(&open));
    assert!(has(&found(&open), "PR231 medium MeshConfig in a.yaml"), "{:#?}", found(&open));
    for id in ["PR210", "PR231"] {
        assert!(!has(&found(&same), id), "{:#?}", found(&same));
        // Elsewhere it is somebody's own.
        let stray = found(&cluster("default", ", failOpen: true"));
        assert!(!has(&stray, id), "{stray:#?}");
    }
}
