//! PeerAuthentication: the mesh, the namespace, the workload, its ports.

use super::*;

/// The mode of `httpbin`'s port 8000, and who says so.
fn mode(text: &str) -> (MtlsMode, String) {
    let resources = load(text);
    let found = mutual_tls(&resources, &Mesh::default(), &httpbin(), 8000);
    (found.mode, found.by.map(|by| by.meta.to_string()).unwrap_or_default())
}

fn peer(id: &str, spec: &str) -> String {
    resource("PeerAuthentication", id, spec)
}

#[test]
fn the_narrowest_counts() {
    let mesh = peer("istio-system/mesh", "{mtls: {mode: STRICT}}");
    let namespace = peer("foo/ns", "{mtls: {mode: PERMISSIVE}}");
    let unset = peer("foo/ns", "{mtls: {mode: UNSET}}");
    let selector = "selector: {matchLabels: {app: httpbin}}";
    let own = |rest: &str| peer("foo/own", &format!("{{{selector}, {rest}}}"));
    let ports = |mode: &str| own(&format!("portLevelMtls: {{8000: {{mode: {mode}}}}}"));
    let disable = own("mtls: {mode: DISABLE}, portLevelMtls: {9000: {mode: STRICT}}");
    for (text, expected, by) in [
        (String::new(), MtlsMode::Permissive, ""),
        (mesh.clone(), MtlsMode::Strict, "istio-system/mesh"),
        (mesh.clone() + &namespace, MtlsMode::Permissive, "foo/ns"),
        (mesh.clone() + &unset, MtlsMode::Strict, "istio-system/mesh"),
        (unset.clone(), MtlsMode::Permissive, ""),
        (mesh.clone() + &namespace + &disable, MtlsMode::Disable, "foo/own"),
        (mesh.clone() + &ports("PERMISSIVE"), MtlsMode::Permissive, "foo/own"),
        (mesh.clone() + &ports("UNSET"), MtlsMode::Strict, "istio-system/mesh"),
        (ports("STRICT"), MtlsMode::Strict, "foo/own"),
        (
            mesh.clone() + &peer("bar/ns", "{mtls: {mode: DISABLE}}"),
            MtlsMode::Strict,
            "istio-system/mesh",
        ),
        (mesh.clone() + &peer("foo/all", "{selector: {}}"), MtlsMode::Strict, "istio-system/mesh"),
        // With labels it says nothing in the root namespace.
        (
            peer("istio-system/own", &format!("{{{selector}, mtls: {{mode: STRICT}}}}")),
            MtlsMode::Permissive,
            "",
        ),
    ] {
        assert_eq!(mode(&text), (expected, by.to_owned()), "{text}");
    }
}

#[test]
fn the_oldest_counts() {
    let at = |id: &str, time: &str, mode: &str| {
        peer(id, &format!("{{mtls: {{mode: {mode}}}}}")).replace(
            "metadata: {",
            &format!("metadata: {{creationTimestamp: '2026-01-{time}T00:00:00Z', "),
        )
    };
    let (young, old) = (at("foo/a", "02", "DISABLE"), at("foo/b", "01", "STRICT"));
    let expected = (MtlsMode::Strict, "foo/b".to_owned());
    assert_eq!(mode(&(young.clone() + &old)), expected);
    assert_eq!(mode(&(old.clone() + &young)), expected);
    // Even if it says nothing.
    let (silent, mesh) = (at("foo/b", "01", "UNSET"), at("istio-system/m", "03", "STRICT"));
    assert_eq!(mode(&(young + &silent + &mesh)).0, MtlsMode::Strict);
    // Without times, by name.
    let text = peer("foo/b", "{mtls: {mode: STRICT}}") + &peer("foo/a", "{mtls: {mode: DISABLE}}");
    assert_eq!(mode(&text).0, MtlsMode::Disable);
}

#[test]
fn plain_text_and_strict() {
    let strict = peer("istio-system/mesh", "{mtls: {mode: STRICT}}");
    let disable = peer("foo/ns", "{mtls: {mode: DISABLE}}");
    for (text, request, expected) in [
        (&strict, get("/"), "open"),
        (&strict, plain_text(), "plain text"),
        (&disable, plain_text(), "open"),
        (&disable, get("/"), "tls"),
        (&disable, tcp(9000), "open"),
    ] {
        assert_eq!(word(text, &request), expected, "{text} {request:?}");
    }
    // Where nobody ends TLS, nobody sees whose certificate it is.
    let text = disable + &rule("ALLOW", "{from: [{source: {principals: ['*']}}]}");
    assert_eq!(word(&text, &tcp(9000)), "no rule");
    // A gateway has other ways to ask for certificates.
    let gateway = Workload { proxy: Proxy::Gateway, ..httpbin() };
    let resources = load(&strict);
    let verdict = evaluate(&resources, &Mesh::default(), &gateway, &plain_text());
    assert!(verdict.decision.may_pass());
}
