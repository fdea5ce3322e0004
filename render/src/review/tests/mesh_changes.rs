//! What a change of the mesh's manifests opens, with the same document on both sides.

use super::*;

const DEPLOYED: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: default, name: shop}
spec: {template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}}}
---
apiVersion: v1
kind: Service
metadata: {namespace: default, name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 8080}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {namespace: istio-system, name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {namespace: istio-system, name: postern}
spec:
  pluginName: postern
  selector: {matchLabels: {istio: ingressgateway}}
  url: 'oci://registry.example.test/bundle@sha256:00'
  phase: AUTHN
  failStrategy: FAIL_CLOSE
  match: [{mode: CLIENT}]
---
";

const CALLERS: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {namespace: default, name: callers}
spec:
  selector: {matchLabels: {app: shop}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/istio-system/sa/gateway]}}]
    to: [{operation: {methods: [GET], ports: ['8080']}}]
";

fn shop() -> Document {
    document(&gateway(&format!(
        "workloads:\n  edge: {{gateway: true, namespace: istio-system, labels: {{istio: \
         ingressgateway}}, service_account: gateway}}\nroutes:\n{}",
        route("a", "/a", READ)
    )))
}

fn policies(text: &str) -> Policies {
    Policies::load(&[source(text)]).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", told.join("\n"))
    })
}

fn reviewed_with(mesh: &str, before: Option<&str>) -> Review {
    let (document, mesh, old) = (shop(), policies(mesh), before.map(policies));
    let options = IstioOptions::default();
    let before = old.as_ref().map(|old| Before::Document(&document, Some(old)));
    review(&Input { policies: Some(&mesh), before, ..input(&document, &options) }).unwrap()
}

fn changed(before: &str, after: &str) -> Vec<Change> {
    reviewed_with(after, Some(before)).changes.unwrap()
}

fn opens(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.kind == ChangeKind::Opened)
}

fn good() -> String {
    format!("{DEPLOYED}{CALLERS}")
}

/// The good mesh with one more policy.
fn with(rule: &str) -> String {
    format!(
        "{}---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{namespace: default, name: more}}\nspec:\n  \
         selector: {{matchLabels: {{app: shop}}}}\n  {rule}\n",
        good()
    )
}

fn replaced(from: &str, to: &str) -> String {
    let good = good();
    assert!(good.contains(from), "{from}");
    good.replace(from, to)
}

#[test]
fn the_same_mesh_is_the_same() {
    assert_eq!(changed(&good(), &good()), []);
}

#[test]
fn whatever_more_gets_through_opens_and_the_opposite_does_not() {
    let evil = "cluster.local/ns/evil/sa/evil";
    for (name, after) in [
        ("more methods", replaced("methods: [GET]", "methods: [GET, POST, DELETE]")),
        (
            "one more caller",
            with(&format!("rules: [{{from: [{{source: {{principals: [{evil}]}}}}]}}]")),
        ),
        ("a namespace", with("rules: [{from: [{source: {namespaces: [evil]}}]}]")),
        ("anybody on a path", with("rules: [{to: [{operation: {paths: [/admin/*]}}]}]")),
        (
            "anybody by a header",
            with("rules: [{when: [{key: 'request.headers[x-debug]', values: ['1']}]}]"),
        ),
        ("another port", replaced("ports: ['8080']", "ports: ['8080', '9090']")),
        (
            "all but one",
            replaced(
                "principals: [cluster.local/ns/istio-system/sa/gateway]",
                &format!("notPrincipals: [{evil}]"),
            ),
        ),
        ("plain text", replaced("mode: STRICT", "mode: PERMISSIVE")),
    ] {
        let there = changed(&good(), &after);
        assert!(opens(&there), "{name}: {there:#?}");
        let back = changed(&after, &good());
        assert!(!opens(&back), "{name}, back: {back:#?}");
    }
}

#[test]
fn a_denial_that_goes_opens_and_one_that_comes_does_not() {
    let denied = with("action: DENY\n  rules: [{to: [{operation: {methods: [GET]}}]}]");
    assert!(opens(&changed(&denied, &good())));
    let closed = changed(&good(), &denied);
    let closes = |change: &Change| change.kind == ChangeKind::Closed;
    assert!(closed.iter().any(closes) && !opens(&closed), "{closed:#?}");
}

#[test]
fn the_last_of_many_values_opens() {
    let many = |count: usize, of: &str, before: &str| {
        let all: Vec<String> = (0..count).map(|at| format!("{before}{at}")).collect();
        with(&format!("rules: [{{{}}}]", of.replace("ALL", &all.join(", "))))
    };
    let callers = "from: [{source: {principals: [ALL]}}]";
    let paths = "from: [{source: {namespaces: [evil]}}], to: [{operation: {paths: [ALL]}}]";
    let headers = "when: [{key: 'request.headers[x-a]', values: [ALL]}]";
    for (of, text) in [(callers, "cluster.local/ns/e/sa/e"), (paths, "/p"), (headers, "v")] {
        let (few, more) = (many(40, of, text), many(41, of, text));
        let there = changed(&few, &more);
        assert!(opens(&there), "{of}: {there:#?}");
        let back = changed(&more, &few);
        assert!(!opens(&back) && !back.is_empty(), "{of}, back: {back:#?}");
    }
    let too_many = reviewed_with(&many(300, headers, "v"), None).unknown;
    let is_told = |line: &String| line.contains("more than was asked");
    assert!(too_many.iter().any(is_told), "{too_many:#?}");
}

#[test]
fn what_a_denial_leaves_out_opens_where_another_policy_lets_it_in() {
    let asking = "    when: [{key: 'request.headers[x-a]', values: ['1']}]\n    to: [{";
    let denying = |paths: &str| {
        let rule = format!("{{to: [{{operation: {{methods: [GET], notPaths: [{paths}]}}}}]}}");
        with(&format!("action: DENY\n  rules: [{rule}]")).replace("    to: [{", asking)
    };
    let there = changed(&denying("/x"), &denying("/x, /y"));
    assert!(opens(&there), "{there:#?}");
    assert!(!opens(&changed(&denying("/x, /y"), &denying("/x"))));
}

#[test]
fn a_plugin_that_goes_opens() {
    let (before, rest) = DEPLOYED.split_once("apiVersion: extensions").unwrap();
    let (_, after) = rest.split_once("---\n").unwrap();
    let without = format!("{before}{after}{CALLERS}");
    let changes = changed(&good(), &without);
    let missing = |change: &Change| change.after.starts_with("PR223 critical");
    assert!(changes.iter().any(missing), "{changes:#?}");
}

#[test]
fn another_name_of_a_policy_opens_and_closes_nothing() {
    let renamed = replaced("name: callers", "name: other");
    let changes = changed(&good(), &renamed);
    let moves = |change: &Change| change.kind != ChangeKind::Changed;
    assert!(!changes.iter().any(moves), "{changes:#?}");
}

#[test]
fn a_port_that_is_new_is_told() {
    let (two, any) = ("[{containerPort: 8080}, {containerPort: 9090}]", ", ports: ['8080']");
    let before = replaced(any, "");
    let after = before.replace("[{containerPort: 8080}]", two);
    let changes = changed(&before, &after);
    let of_port = |change: &Change| {
        change.kind == ChangeKind::Opened
            && change.subject == "Workload default/shop port 9090"
            && change.before == "no such port"
    };
    assert!(changes.iter().any(of_port), "{changes:#?}");
}

/// The good mesh with MeshConfig.
fn configured(more: &str) -> String {
    format!("{}---\ntrustDomain: cluster.local\n{more}", good())
}

const ISTIOD: &str = "---\napiVersion: apps/v1\nkind: Deployment\n\
                      metadata: {namespace: istio-system, name: istiod}\nspec: {template: {spec: \
                      {containers: [{name: discovery, env: [{name: \
                      PILOT_SKIP_VALIDATE_TRUST_DOMAIN, value: 'true'}]}]}}}\n";

#[test]
fn trust_domains_that_are_taken_besides_open() {
    let plain = configured("");
    for more in [
        configured("caCertificates: [{pem: a, trustDomains: [other.test]}]\n"),
        configured("trustDomainAliases: [old.test]\n"),
        format!("{plain}{ISTIOD}"),
    ] {
        let there = changed(&plain, &more);
        let domains = |change: &Change| {
            change.kind == ChangeKind::Opened && change.subject == "MeshConfig trust domains"
        };
        assert!(there.iter().any(domains), "{more}: {there:#?}");
        let back = changed(&more, &plain);
        assert!(!opens(&back) && !back.is_empty(), "{more}, back: {back:#?}");
    }
    let without = format!("{plain}{}", ISTIOD.replace("'true'", "'false'"));
    assert_eq!(changed(&plain, &without), []);
}

/// A mesh in which somebody is asked about the shop.
fn asking(provider: &str, service: &str) -> String {
    let rule = format!(
        "action: CUSTOM\n  provider: {{name: {provider}}}\n  rules: [{{to: [{{operation: \
         {{ports: ['8080']}}}}]}}]"
    );
    let of = |name: &str, service: &str| {
        format!(
            "- {{name: {name}, envoyExtAuthzGrpc: {{service: {service}, port: 1, timeout: 1s}}}}\n"
        )
    };
    let (first, second) = (of("first", service), of("second", "s.second"));
    format!("{}---\nextensionProviders:\n{first}{second}", with(&rule))
}

#[test]
fn another_judge_opens_whichever_came_first() {
    let before = asking("first", "s.first");
    for after in [asking("first", "s.evil"), asking("second", "s.first")] {
        let (there, back) = (changed(&before, &after), changed(&after, &before));
        assert!(opens(&there), "{there:#?}");
        assert!(opens(&back), "{back:#?}");
    }
    assert_eq!(changed(&before, &before), []);
    // Of a provider that nobody names, nothing is said.
    let other = before.replace("s.second", "s.other");
    assert_eq!(changed(&before, &other), []);
}

/// A mesh in which the shop takes tokens.
fn issuing(rules: &str, policy: &str) -> String {
    format!(
        "{}---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {{namespace: default, name: jwt}}\nspec: {{jwtRules: [{rules}]}}\n",
        with(policy)
    )
}

#[test]
fn issuers_that_policies_rest_on_are_compared() {
    let asks = "rules: [{from: [{source: {requestPrincipals: ['*']}}]}]";
    let (one, two) = ("{issuer: i, jwksUri: 'https://i.test/a'}", "{issuer: j}");
    let before = issuing(one, asks);
    let (there, back) = {
        let after = issuing(&format!("{one}, {two}"), asks);
        (changed(&before, &after), changed(&after, &before))
    };
    assert!(opens(&there), "{there:#?}");
    assert!(!opens(&back), "{back:#?}");
    for moved in ["https://evil.test/a", "https://i.test/a?key=hunter2"] {
        let after = issuing(&one.replace("https://i.test/a", moved), asks);
        let there = changed(&before, &after);
        assert!(opens(&there) && !format!("{there:?}").contains("hunter2"), "{there:#?}");
    }
    // Where no policy asks what a token says, nobody gets in by one.
    let silent = "rules: [{to: [{operation: {methods: [PUT]}}]}]";
    let (before, after) = (issuing(one, silent), issuing(&format!("{one}, {two}"), silent));
    assert_eq!(changed(&before, &after), []);
}

#[test]
fn what_was_not_compared_is_said() {
    let (document, mesh) = (shop(), policies(&good()));
    let options = IstioOptions::default();
    let unknown = |before: Before<'_>, policies: Option<&Policies>| {
        let before = Some(before);
        review(&Input { policies, before, ..input(&document, &options) }).unwrap().unknown
    };
    let old = Before::Document(&document, None);
    let says = |unknown: &[String], what: &str| unknown.iter().any(|line| line.contains(what));
    assert!(says(&unknown(old, Some(&mesh)), "`--policies-old`"));
    assert!(!says(&unknown(old, None), "`--policies-old`"));
    let written = to_json(&review(&input(&document, &options)).unwrap());
    assert!(says(&unknown(Before::Review(&written), Some(&mesh)), "has no mesh"));
}

#[test]
fn an_older_review_keeps_its_mesh() {
    let (document, options) = (shop(), IstioOptions::default());
    let written = to_json(&reviewed_with(&good(), None));
    let compared = |mesh: &str| {
        let (mesh, before) = (policies(mesh), Some(Before::Review(&written)));
        let input = Input { policies: Some(&mesh), before, ..input(&document, &options) };
        review(&input).unwrap().changes.unwrap()
    };
    assert_eq!(compared(&good()), []);
    let plain = compared(&replaced("mode: STRICT", "mode: PERMISSIVE"));
    let mode = |change: &Change| change.before == "STRICT" && change.after == "PERMISSIVE";
    assert!(plain.iter().any(mode) && opens(&plain), "{plain:#?}");
    let caller = with("rules: [{from: [{source: {principals: [cluster.local/ns/evil/sa/evil]}}]}]");
    assert!(opens(&compared(&caller)));
}
