//! Tokens that are bound to a certificate or a key.

use super::*;

/// SHA-256 in base64url, as `cnf` has it: 32 times the byte 1.
const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

fn bound(fake: &Fake, how: Value) -> Gatekeeper {
    let mut configuration = configuration(fake);
    let document = &mut configuration["document"];
    if let Value::Array(routes) = &mut document["routes"] {
        for (proof, name) in [("dpop", "proven"), ("certificate", "certified")] {
            if how.get(proof).is_some() {
                routes.push(json!({"name": name, "match": {"path": format!("/{name}")},
                                   "service": "s", "auth": {"any": ["jwt"], "proof": proof}}));
            }
        }
    }
    document["credentials"]["jwt"]["bound"] = how;
    configured(fake, &configuration)
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

fn evidence(shown_key: Option<[u8; 32]>) -> Evidence {
    Evidence {
        route: "proven".to_owned(),
        document: "d1".to_owned(),
        principal: None,
        limit: None,
        shown_certificate: None,
        shown_key,
        stepped_up: false,
    }
}

fn refused(reason: &str) -> (u16, String) {
    (401, reason.to_owned())
}

fn passes() -> (u16, String) {
    (200, String::new())
}

#[test]
fn without_the_section_bound_tokens_are_refused() {
    let fake = Fake { certificate: Some(hex(1)), ..Fake::default() };
    let mut gatekeeper = gatekeeper(&fake);
    for cnf in [json!({"x5t#S256": ONES}), json!({"jkt": ONES})] {
        let token = signed("ec", json!({"cnf": cnf}));
        let answer = ask_as(&mut gatekeeper, &fake, "/plain", &format!("Bearer {token}"));
        assert_eq!(answer, refused("token_confirmation"));
        let answer = ask_as(&mut gatekeeper, &fake, "/plain", &format!("DPoP {token}"));
        assert_eq!(answer, refused("token_unusable"));
    }
}

#[test]
fn the_connections_certificate_is_asked_for_on_every_request() {
    let mut fake = Fake::default();
    let mut gatekeeper = bound(&fake, json!({"certificate": "connection"}));
    let token = format!("Bearer {}", signed("ec", json!({"cnf": {"x5t#S256": ONES}})));
    for (certificate, expected) in [
        (Some(hex(1)), passes()),
        (Some(hex(2)), refused("token_confirmation")),
        (None, refused("token_confirmation")),
        (Some("nonsense".to_owned()), refused("token_confirmation")),
        (Some(hex(1).to_uppercase()), passes()),
    ] {
        fake.certificate = certificate;
        for path in ["/plain", "/certified"] {
            assert_eq!(ask_as(&mut gatekeeper, &fake, path, &token), expected, "{path}");
        }
    }
    // Tokens that are not bound to one cost no question.
    let token = format!("Bearer {}", super::token(""));
    let before = fake.asked.get();
    assert_eq!(ask_as(&mut gatekeeper, &fake, "/plain", &token), passes());
    assert_eq!(fake.asked.get(), before);
    assert_eq!(ask_as(&mut gatekeeper, &fake, "/certified", &token), refused("token_unbound"));
}

#[test]
fn a_forwarded_certificate_is_the_only_ones() {
    // What the connection says does not count then.
    let fake = Fake { certificate: Some(hex(1)), ..Fake::default() };
    let mut gatekeeper = bound(&fake, json!({"certificate": "forwarded"}));
    let token = format!("Bearer {}", signed("ec", json!({"cnf": {"x5t#S256": ONES}})));
    let element = |byte: u8| format!("By=spiffe://a;Hash={}", hex(byte));
    let (right, wrong) = (element(1), element(2));
    let (last, first) = (format!("{wrong},{right}"), format!("{right},{wrong}"));
    let forged = format!("{wrong};URI=spiffe://b,Hash={}", hex(1));
    for (headers, expected) in [
        (&[right.as_str()][..], passes()),
        (&[&last], refused("token_confirmation")),
        (&[&first], refused("token_confirmation")),
        (&[&forged], refused("token_confirmation")),
        (&[&wrong], refused("token_confirmation")),
        (&[&right, &right], refused("token_confirmation")),
        (&["nonsense"], refused("token_confirmation")),
        (&[], refused("token_confirmation")),
    ] {
        let forwarded = headers.iter().map(|value| ("x-forwarded-client-cert", *value));
        let headers: Vec<_> = forwarded.chain([("authorization", token.as_str())]).collect();
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/plain", &headers);
        assert_eq!((status, recorded.reason()), expected, "{headers:?}");
    }
}

#[test]
fn a_key_is_proven_by_what_ext_authz_has_seen() {
    let mut fake = Fake::default();
    let mut gatekeeper = bound(&fake, json!({"dpop": {"max_age": "60s"}}));
    let token = signed("ec", json!({"cnf": {"jkt": ONES}}));
    let (bearer, dpop) = (format!("Bearer {token}"), format!("DPoP {token}"));
    for (shown, expected) in [
        (Some([1; 32]), passes()),
        (Some([2; 32]), refused("token_confirmation")),
        (None, refused("token_confirmation")),
    ] {
        fake.evidence = Some(evidence(shown));
        assert_eq!(ask_as(&mut gatekeeper, &fake, "/proven", &dpop), expected);
        assert_eq!(ask_as(&mut gatekeeper, &fake, "/proven", &bearer), refused("dpop_scheme"));
        // Nobody has looked at a proof there.
        let answer = ask_as(&mut gatekeeper, &fake, "/plain", &dpop);
        assert_eq!(answer, refused("token_confirmation"));
    }
    let unbound = super::token("");
    let answer = ask_as(&mut gatekeeper, &fake, "/plain", &format!("DPoP {unbound}"));
    assert_eq!(answer, refused("dpop_scheme"));
    let answer = ask_as(&mut gatekeeper, &fake, "/proven", &format!("Bearer {unbound}"));
    assert_eq!(answer, refused("token_unbound"));
    assert_eq!(ask_as(&mut gatekeeper, &fake, "/plain", &format!("Bearer {unbound}")), passes());
    fake.evidence = None;
    let answer = ask_as(&mut gatekeeper, &fake, "/proven", &dpop);
    assert_eq!(answer, (503, "evidence_missing".to_owned()));
}

#[test]
fn a_token_that_is_bound_to_both_needs_both() {
    let mut fake = Fake { evidence: Some(evidence(Some([1; 32]))), ..Fake::default() };
    let how = json!({"certificate": "connection", "dpop": {"max_age": "60s"}});
    let mut gatekeeper = bound(&fake, how);
    let token = signed("ec", json!({"cnf": {"jkt": ONES, "x5t#S256": ONES}}));
    let dpop = format!("DPoP {token}");
    let answer = ask_as(&mut gatekeeper, &fake, "/proven", &dpop);
    assert_eq!(answer, refused("token_confirmation"));
    fake.certificate = Some(hex(1));
    assert_eq!(ask_as(&mut gatekeeper, &fake, "/proven", &dpop), passes());
    fake.evidence = Some(evidence(None));
    let answer = ask_as(&mut gatekeeper, &fake, "/proven", &dpop);
    assert_eq!(answer, refused("token_confirmation"));
}
