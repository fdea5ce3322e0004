//! Pages, and certificates of clients.

use super::*;

/// A document with more of `oauth`, and of a route to pages.
fn serving(oauth: &Value, bound: &Value, route: &Value) -> Document {
    let mut pages = json!({
        "name": "pages", "match": {"path": "/login"}, "service": "postern", "auth": "none",
    });
    for (member, value) in route.as_object().unwrap() {
        pages[member] = value.clone();
    }
    let mut jwt = json!({"issuers": [{
        "issuer": "https://a.test", "audiences": ["a"], "jwks": {"service": "postern"},
    }]});
    if !bound.is_null() {
        jwt["bound"] = json!({"certificate": bound});
    }
    load(&json!({
        "version": 1, "issuer": "https://a.test", "oauth": oauth, "credentials": {"jwt": jwt},
        "transforms": {"framed": {"response": {"set": {"x-frame-options": "SAMEORIGIN"}}}},
        "routes": [pages],
    }))
}

/// What a list of headers says of each.
fn written(headers: &Value) -> Vec<(&str, &str)> {
    let headers = headers.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let pairs = headers.map(|header| {
        assert_eq!(header["append_action"], "OVERWRITE_IF_EXISTS_OR_ADD");
        let header = &header["header"];
        (header["key"].as_str().unwrap(), header["value"].as_str().unwrap())
    });
    pairs.collect()
}

#[test]
fn pages_have_headers_of_their_own_and_everything_else_those_of_all() {
    let web = json!({"security_headers": "web", "transform": ["framed"]});
    let config = read(&serving(&json!({}), &Value::Null, &web), &options());
    let of_all = &manager(&config)["route_config"];
    assert_eq!(of_all["most_specific_header_mutations_wins"], true);
    let of_all = written(&of_all["response_headers_to_add"]);
    assert!(of_all.contains(&("referrer-policy", "no-referrer")));
    let pages = routes_of(&config).iter().find(|route| route["name"] == "pages").unwrap();
    let own = written(&pages["response_headers_to_add"]);
    assert!(own.contains(&("referrer-policy", "same-origin")), "{own:?}");
    assert!(own.iter().any(|(name, value)| {
        *name == "content-security-policy" && value.contains("script-src 'self'")
    }));
    let framing: Vec<_> = own.iter().filter(|(name, _)| *name == "x-frame-options").collect();
    assert_eq!(framing, [&("x-frame-options", "SAMEORIGIN")], "a transform has the last word");
    let plain = read(&serving(&json!({}), &Value::Null, &json!({})), &options());
    for route in routes_of(&plain) {
        assert_eq!(route["response_headers_to_add"], Value::Null);
    }
}

#[test]
fn clients_certificates_are_told_where_the_document_says_they_are_seen() {
    let seen = |oauth: Value, bound: Value| {
        let document = serving(&oauth, &bound, &json!({}));
        let config = read(&document, &options());
        let manager = manager(&config);
        let warnings = warnings(&document, &options());
        (
            manager["forward_client_cert_details"].clone(),
            manager["set_current_client_cert_details"].clone(),
            warnings.iter().filter(|warning| warning.contains("certificate")).count(),
        )
    };
    let mutual = |source: &str| json!({"mutual_tls": source});
    let told = json!({"subject": true, "dns": true, "uri": true});
    let (nobody, as_it_comes) = (json!("SANITIZE"), json!("ALWAYS_FORWARD_ONLY"));
    assert_eq!(seen(json!({}), Value::Null), (nobody, Value::Null, 0));
    let on_connection = (json!("SANITIZE_SET"), told, 1);
    assert_eq!(seen(mutual("connection"), Value::Null), on_connection);
    assert_eq!(seen(mutual("connection"), json!("connection")), on_connection);
    let forwarded = (as_it_comes, Value::Null, 1);
    assert_eq!(seen(mutual("forwarded"), Value::Null), forwarded);
    assert_eq!(seen(mutual("forwarded"), json!("forwarded")), forwarded);
    let both = (forwarded.0, Value::Null, 2);
    assert_eq!(seen(mutual("forwarded"), json!("connection")), both);
}

#[test]
fn an_issuer_on_this_machine_is_where_envoy_listens() {
    for (issuer, is_told) in [
        ("http://127.0.0.1:8080", false),
        ("http://127.0.0.1:8081", true),
        ("http://127.0.0.1", true),
        ("https://127.0.0.1:8081", false),
        ("https://gate.test", false),
    ] {
        let document = load(&json!({
            "version": 1, "issuer": issuer, "services": {"s": {"upstream": "10.0.0.1:80"}},
            "routes": [
                {"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"},
            ],
        }));
        let warnings = warnings(&document, &options());
        let told = warnings.iter().any(|text| text.contains("issuer") && text.contains("8080"));
        assert_eq!(told, is_told, "{issuer}: {warnings:?}");
    }
}
