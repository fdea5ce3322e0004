//! What routes ask of tokens beside their scopes, and what access logs and policies can read of
//! them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::client::{Call, Protocol};
use postern_e2e::envoy::for_each_object;
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use serde_json::{Value, json};

use super::{
    FORBIDDEN, INVALID, KINDS, PASSES, Verdict, assert_everywhere, assert_verdict, both_kinds,
    id_of, logged, ready,
};

const DOCUMENT: &str = include_str!("../../fixtures/tokens-rules.yaml");
const INSUFFICIENT: Verdict = (403, "INSUFFICIENT_SCOPE");

/// Names in the filter state: those of the document.
const STATES: [&str; 3] = ["tenant", "org", "groups"];
/// The tenants that the policies of this test turn away: by the filter state, and by CEL.
const BLOCKED: [&str; 2] = ["blocked", "blocked-by-cel"];

fn token() -> Token {
    Token::of("alice").scope("content.read")
}

fn tenant(value: Value) -> Token {
    token().claim("tenant", value)
}

/// A good token of the issuer that asks for more.
fn strict() -> Token {
    let token = tenant(json!("acme")).claim("org", json!({"id": 7}));
    token.claim("iss", json!("https://strict.example.test"))
}

fn verified(org: Value, email_verified: Value) -> Token {
    token().claim("org", org).claim("email_verified", email_verified)
}

/// What is asked, of which token, and what comes of it.
fn asked() -> Vec<(&'static str, &'static str, Token, Verdict)> {
    let groups = |value: Value| token().claim("groups", value);
    vec![
        ("strict", "its issuer", strict(), PASSES),
        ("strict", "another issuer", token(), FORBIDDEN),
        ("any", "an issuer that is known", strict(), PASSES),
        ("any", "a required claim is missing", strict().without("tenant"), INVALID),
        ("any", "a required path is missing", strict().claim("org", json!({"name": 7})), INVALID),
        ("any", "a required claim is null", strict().claim("tenant", json!(null)), INVALID),
        ("any", "a required claim says anything", strict().claim("tenant", json!([])), PASSES),
        ("payments", "one of two", token().claim("aud", json!(["gateway", "orders"])), PASSES),
        ("payments", "none", token(), FORBIDDEN),
        ("payments", "of the route alone", token().claim("aud", json!("payments")), INVALID),
        ("tenant", "one of the values", tenant(json!("acme")), PASSES),
        ("tenant", "a text of digits", tenant(json!("7")), PASSES),
        ("tenant", "a number", tenant(json!(7)), PASSES),
        ("tenant", "one of a list", tenant(json!(["other", "acme"])), PASSES),
        ("tenant", "another value", tenant(json!("Acme")), FORBIDDEN),
        ("tenant", "none", token(), FORBIDDEN),
        ("tenant", "a fraction", tenant(json!(7.5)), FORBIDDEN),
        ("tenant", "a boolean", tenant(json!(true)), FORBIDDEN),
        ("tenant", "null", tenant(json!(null)), FORBIDDEN),
        ("tenant", "an object", tenant(json!({"acme": 1})), FORBIDDEN),
        ("tenant", "a list of others", tenant(json!(["other", 8])), FORBIDDEN),
        ("tenant", "a list in a list", tenant(json!([["acme"]])), FORBIDDEN),
        ("org", "a path and a boolean", verified(json!({"id": 7}), json!(true)), PASSES),
        ("org", "texts of both", verified(json!({"id": "7"}), json!("true")), PASSES),
        ("org", "another number", verified(json!({"id": 8}), json!(true)), FORBIDDEN),
        ("org", "another boolean", verified(json!({"id": 7}), json!(false)), FORBIDDEN),
        ("org", "half a path", verified(json!("id"), json!(true)), FORBIDDEN),
        ("org", "one of two rules", token().claim("org", json!({"id": 7})), FORBIDDEN),
        (
            "org",
            "a claim named as the path",
            token().claim("org.id", json!(7)).claim("email_verified", json!(true)),
            PASSES,
        ),
        ("staff", "scope and claim", groups(json!(["staff"])), PASSES),
        ("staff", "the claim alone", groups(json!(["staff"])).scope("other"), INSUFFICIENT),
        ("staff", "the scope alone", groups(json!(["pupils"])), FORBIDDEN),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_routes_ask_of_tokens() {
    let builder = Gateway::builder().document(both_kinds(DOCUMENT));
    let gateway = builder.edit_envoy(observe_claims).start().await;
    ready(&gateway).await;
    for (path, what, token, expected) in asked() {
        let token = token.sign();
        let call = |kind: &str| Call::get(&format!("/{kind}/{path}")).bearer(&token);
        assert_everywhere(&gateway, expected, what, call).await;
    }
    in_shadow_nobody_is_refused(&gateway).await;
    policies_and_logs_read_claims(&gateway).await;
}

/// Whoever would have been refused passes as nobody.
async fn in_shadow_nobody_is_refused(gateway: &Gateway) {
    let good = tenant(json!("acme")).sign();
    for protocol in Protocol::ALL {
        for kind in KINDS {
            let call = Call::get(&format!("/{kind}/shadow"));
            for (what, call, subject) in [
                ("a good token", call.clone().bearer(&good), Some("alice")),
                ("another tenant", call.clone().bearer(&tenant(json!("other")).sign()), None),
                ("a bad token", call.clone().bearer(&keys::tampered(&good)), None),
                ("no token", call.clone(), None),
            ] {
                let answer = gateway.client(protocol).send(&call).await;
                assert_verdict(&answer, PASSES, what);
                let known = answer.upstream_header("x-postern-subject");
                assert_eq!(known, subject.map(Value::from), "{what}: {call} ({protocol:?})");
            }
        }
    }
}

async fn policies_and_logs_read_claims(gateway: &Gateway) {
    let full = tenant(json!("acme")).claim("org", json!({"id": 7}));
    let full = full.claim("groups", json!(["staff", "admin"]));
    // What could be read in two ways, or would break a line.
    let odd = tenant(json!("a\nb")).claim("org", json!({"id": {"x": 1}}));
    let odd = odd.claim("groups", json!(["a,b", "c"]));
    let (mut ids, mut expected) = (Vec::new(), Vec::new());
    for kind in KINDS {
        let before = gateway.upstream.total();
        for (token, verdict, states) in [
            (&full, PASSES, [Some("acme"), Some("7"), Some("staff,admin")]),
            (&token(), PASSES, [None; 3]),
            (&odd, PASSES, [None; 3]),
            (&tenant(json!(BLOCKED[0])), FORBIDDEN, [Some(BLOCKED[0]), None, None]),
            (&tenant(json!(BLOCKED[1])), FORBIDDEN, [Some(BLOCKED[1]), None, None]),
        ] {
            let call = Call::get(&format!("/{kind}/any")).bearer(&token.sign());
            let answer = gateway.send(&call).await;
            assert_verdict(&answer, verdict, &format!("{states:?}: {call}"));
            ids.push(id_of(&answer));
            expected.push(states);
        }
        assert_eq!(gateway.upstream.total(), before + 3, "a policy has let somebody through");
    }
    for (line, expected) in logged(gateway, &ids).await.iter().zip(expected) {
        let found = STATES.map(|name| line[name].as_str());
        assert_eq!(found, expected, "{line}");
    }
}

/// Has the access log show claims, and policies turn tenants away.
fn observe_claims(config: &mut Value) {
    let (mut logs, mut chains) = (0, 0);
    for_each_object(config, &mut |members| {
        if let Some(Value::Object(format)) = members.get_mut("json_format")
            && format.contains_key("subject")
        {
            for name in STATES {
                let text = format!("%FILTER_STATE({}:PLAIN)%", state(name));
                format.insert(name.to_owned(), json!(text));
            }
            logs += 1;
        }
        if let Some(Value::Array(filters)) = members.get_mut("http_filters") {
            // Before the router, which is the last.
            filters.insert(filters.len() - 1, policies());
            chains += 1;
        }
    });
    assert_eq!((logs, chains), (1, 1), "the rendered configuration has other parts");
}

/// Envoy's name of a claim.
fn state(name: &str) -> String {
    format!("wasm.postern.claim.{name}")
}

fn policies() -> Value {
    let tenant = state("tenant");
    let any = json!([{"any": true}]);
    let by_state = json!({"filter_state": {"key": tenant, "string_match": {"exact": BLOCKED[0]}}});
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {
                "by-state": {"permissions": any, "principals": [by_state]},
                "by-cel": {"permissions": any, "principals": any, "condition": condition(&tenant)},
            }},
        },
    })
}

/// `filter_state["wasm.postern.claim.tenant"] == b"blocked-by-cel"`: to CEL a claim is bytes.
fn condition(key: &str) -> Value {
    let call = |function: &str, arguments: [Value; 2]| json!({"call_expr": {"function": function, "args": arguments}});
    let all = json!({"ident_expr": {"name": "filter_state"}});
    let one = call("_[_]", [all, json!({"const_expr": {"string_value": key}})]);
    let value = json!({"const_expr": {"bytes_value": STANDARD.encode(BLOCKED[1])}});
    call("_==_", [one, value])
}
