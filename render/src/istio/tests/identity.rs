//! Pages, and certificates of clients.

use super::*;

fn serving(oauth: &str, route: &str) -> Document {
    load(&format!(
        r#"{{"version": 1, "issuer": "https://a.test", "oauth": {{{oauth}}}, "routes": [
            {{"name": "pages", "match": {{"path": "/login"}}, "service": "postern",
              "auth": "none" {route}}},
            {{"name": "other", "match": {{"path": "/other"}}, "service": "postern",
              "auth": "none"}}]}}"#
    ))
}

#[test]
fn pages_have_headers_of_their_own() {
    let document = serving("", r#", "security_headers": "web""#);
    let pages = http_route(&document, "pages");
    let set = &pages["headers"]["response"]["set"];
    assert_eq!(set["referrer-policy"], "same-origin");
    assert!(set["content-security-policy"].as_str().unwrap().contains("script-src 'self'"));
    assert_eq!(http_route(&document, "other")["headers"], Value::Null);
    // What a route says goes before what is merged into what holds for all.
    let filter = envoy_filter(&document, "postern-routes");
    let merged = &filter["spec"]["configPatches"][0]["patch"]["value"];
    assert_eq!(merged["most_specific_header_mutations_wins"], true);
}

#[test]
fn the_gateway_api_says_them_too() {
    let document = serving("", r#", "security_headers": "web""#);
    let options = IstioOptions { api: Api::Gateway, ..options(30) };
    let files = render(&document, &options).unwrap();
    let rules = files.iter().find(|file| file.content.contains("HTTPRoute")).unwrap();
    assert!(rules.content.contains("ResponseHeaderModifier"), "{}", rules.content);
    assert!(rules.content.contains("script-src"), "{}", rules.content);
}

#[test]
fn what_the_gateway_does_with_certificates_is_not_ours_to_say() {
    let connection = serving(r#""mutual_tls": "connection""#, "");
    for api in [Api::Istio, Api::Gateway] {
        let error = render(&connection, &IstioOptions { api, ..options(30) }).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("mutual_tls: connection") && told.contains("`forwarded`"), "{told}");
    }
    let forwarded = serving(r#""mutual_tls": "forwarded""#, "");
    let filter = envoy_filter(&forwarded, "postern-connection-manager");
    let patch = &filter["spec"]["configPatches"][0]["patch"]["value"];
    assert_eq!(patch["typed_config"]["forward_client_cert_details"], "ALWAYS_FORWARD_ONLY");
    assert!(warnings(&forwarded, &quiet()).iter().any(|one| one.contains("oauth.mutual_tls")));
    let off = serving("", "");
    assert!(!warnings(&off, &quiet()).iter().any(|one| one.contains("certificate")));
}
