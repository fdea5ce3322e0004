//! Requests from headers to answer: identity, refusals, evidence, limits.

use super::*;
use proptest::prelude::*;

#[test]
fn a_good_token_becomes_identity_headers() {
    let fake = Fake::default();
    let mut gatekeeper = gatekeeper(&fake);
    let bearer = format!("Bearer {}", token("read write"));
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-postern-subject", "root"),
        ("x_tenant", "other"),
        ("x-postern-anything", "1"),
    ];
    let (status, recorded) = ask(&mut gatekeeper, &fake, "/read/7?x=/../", &headers);
    assert_eq!(status, 200);
    assert_eq!(recorded.removed, ["x-postern-subject", "x_tenant", "x-postern-anything"]);
    let value = |name: &str| {
        recorded.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    };
    assert_eq!(value("x-postern-subject"), Some("alice"));
    assert_eq!(value("x-postern-scopes"), Some("read write"));
    assert_eq!(value("x-tenant"), Some("t1"));
    assert!(correlation::is_uuid(value("x-correlation-id").unwrap().as_bytes()));
    assert!(correlation::is_traceparent(value("traceparent").unwrap().as_bytes()));
    assert_eq!(recorded.state, [("postern.subject".to_owned(), b"alice".to_vec())]);
}

#[test]
fn every_refusal_has_its_status() {
    let fake = Fake::default();
    let mut gatekeeper = gatekeeper(&fake);
    let good = format!("Bearer {}", token(""));
    let tampered = good.replace("eyJ", "eyK");
    for (path, authorization, expected) in [
        ("/open", None, 200),
        ("/open", Some("Bearer nonsense"), 200),
        ("/read/7", None, 401),
        ("/read/7", Some("Basic x"), 401),
        ("/read/7", Some(tampered.as_str()), 401),
        ("/read/7", Some(good.as_str()), 403),
        ("/maybe", None, 200),
        ("/maybe", Some("Bearer nonsense"), 401),
        ("/shadow", None, 200),
        ("/nowhere", None, 404),
        ("/open/", None, 404),
        ("/read/7/../8", Some(good.as_str()), 400),
        ("/%6fpen", None, 400),
        ("//open", None, 400),
    ] {
        let headers: Vec<_> =
            authorization.map(|value| ("authorization", value)).into_iter().collect();
        let (status, _) = ask(&mut gatekeeper, &fake, path, &headers);
        assert_eq!(status, expected, "{path} {authorization:?}");
    }
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(ask(&mut gatekeeper, &fake, "/limited", &twice).0, 401, "repeated");
}

#[test]
fn a_refusal_leaves_its_id_and_reason_for_the_access_log() {
    let fake = Fake::default();
    let mut gatekeeper = gatekeeper(&fake);
    let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    for (sent, expected) in [(id, Some(id)), ("<script>", None)] {
        let headers = [("x-correlation-id", sent), ("authorization", "Bearer nonsense")];
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/read/7", &headers);
        assert_eq!(status, 401);
        let [(name, value)] = recorded.set.as_slice() else { panic!("{recorded:?}") };
        assert_eq!(name, "x-correlation-id");
        assert!(correlation::is_uuid(value.as_bytes()));
        assert!(expected.is_none_or(|expected| expected == value));
        assert_eq!(recorded.state, [("postern.denied".to_owned(), b"token_form".to_vec())]);
    }
}

#[test]
fn responses_are_written_over_unless_envoy_has_cleaned_them() {
    /// Refuses the kind of write that is not expected.
    struct Only {
        adds: bool,
        written: Vec<String>,
    }
    impl Effects for Only {
        fn set_header(&mut self, name: &str, _: &str) {
            assert!(!self.adds, "{name}");
            self.written.push(name.to_owned());
        }
        fn add_header(&mut self, name: &str, _: &str) {
            assert!(self.adds, "{name}");
            self.written.push(name.to_owned());
        }
        fn rewrite_header(&mut self, _: &str, _: &[u8]) {}
        fn remove_header(&mut self, _: &str) {}
        fn header(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn headers(&self) -> HeaderList {
            HeaderList::new()
        }
        fn set_filter_state(&mut self, _: &str, _: &[u8]) {}
        fn log(&mut self, _: &str) {}
    }
    let fake = Fake::default();
    let mut gatekeeper = gatekeeper(&fake);
    let bearer = format!("Bearer {}", token("read"));
    let limited = [(":path", "/limited"), ("authorization", bearer.as_str())];
    let list = |headers: &[(&str, &str)]| -> HeaderList {
        let all = [(":method", "GET"), (":authority", "h")].iter().chain(headers);
        all.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    };
    for clean in [false, true] {
        gatekeeper.clean_responses = clean;
        let asked = gatekeeper.on_request_headers(&fake, &list(&limited), &mut Recorded::default());
        let Outcome::Continue(Some(mut stream)) = asked else { panic!("{asked:?}") };
        let mut only = Only { adds: clean, written: Vec::new() };
        gatekeeper.on_response_headers(&fake, &mut stream, &mut only);
        assert_eq!(only.written.len(), 9, "{:?}", only.written);
    }
    // Its own answers have the headers of their denial already.
    let refused = list(&[(":path", "/limited")]);
    let asked = gatekeeper.on_request_headers(&fake, &refused, &mut Recorded::default());
    let Outcome::Deny(_, mut stream) = asked else { panic!("{asked:?}") };
    let mut only = Only { adds: false, written: Vec::new() };
    gatekeeper.on_response_headers(&fake, &mut stream, &mut only);
}

#[test]
fn evidence_must_be_for_this_route_and_document() {
    let bearer = format!("Bearer {}", token(""));
    let evidence = |route: &str, document: &str| Evidence {
        route: route.to_owned(),
        document: document.to_owned(),
        principal: Some(Principal {
            subject: "service".to_owned(),
            credential: Credential::ApiKey,
            ..Principal::default()
        }),
        limit: None,
        shown_certificate: None,
        shown_key: None,
        stepped_up: false,
    };
    for (found, expected) in [
        (Some(evidence("keyed", "d1")), 200),
        (Some(evidence("open", "d1")), 503),
        (Some(evidence("keyed", "d0")), 503),
        (None, 503),
    ] {
        let fake = Fake { evidence: found.clone(), ..Fake::default() };
        let mut gatekeeper = gatekeeper(&fake);
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/keyed", &[]);
        assert_eq!(status, expected, "{found:?}");
        let subject = ("x-postern-subject".to_owned(), "service".to_owned());
        assert_eq!(recorded.set.contains(&subject), expected == 200);
        let with_token = [("authorization", bearer.as_str())];
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/keyed", &with_token);
        assert_eq!(status, expected, "a good token does not make up for it");
        let subject = ("x-postern-subject".to_owned(), "alice".to_owned());
        assert_eq!(recorded.set.contains(&subject), expected == 200, "the token wins");
    }
}

#[test]
fn the_local_limit_counts_callers() {
    let fake = Fake::default();
    let mut first = gatekeeper(&fake);
    let mut second = gatekeeper(&fake);
    let bearer = format!("Bearer {}", token(""));
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(ask(&mut first, &fake, "/limited", &headers).0, 200);
    assert_eq!(ask(&mut second, &fake, "/limited", &headers).0, 200, "another worker");
    assert_eq!(ask(&mut first, &fake, "/limited", &headers).0, 429);
}

#[test]
fn broken_configurations_are_refused_with_every_problem() {
    let fake = Fake::default();
    assert!(Gatekeeper::configure(&fake, b"").is_err());
    assert!(Gatekeeper::configure(&fake, b"{").is_err());
    let problems =
        Gatekeeper::configure(&fake, br#"{"version":2,"routes":[],"x":1}"#).err().unwrap();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

proptest! {
    /// Whatever the headers hold, the answer is a clean pass or a clean denial.
    #[test]
    fn no_headers_bring_it_down(
        headers in prop::collection::vec((
            prop_oneof![
                Just(":path".to_owned()), Just(":method".to_owned()), Just(":authority".to_owned()),
                Just("authorization".to_owned()), Just("x-correlation-id".to_owned()),
                Just("traceparent".to_owned()), "[a-z_-]{1,12}",
            ],
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                "Bearer [A-Za-z0-9_.-]{0,80}".prop_map(String::into_bytes),
                "/(read|open|limited)[/%a-f0-9.]{0,8}".prop_map(String::into_bytes),
            ],
        ), 0..12),
    ) {
        let fake = Fake::default();
        let mut gatekeeper = gatekeeper(&fake);
        let mut recorded = Recorded::default();
        match gatekeeper.on_request_headers(&fake, &headers, &mut recorded) {
            Outcome::Continue(_) => {}
            Outcome::Deny(denial, _) => prop_assert!((400..=503).contains(&denial.status)),
            Outcome::Answer(answer, _) => prop_assert!(false, "nothing is open: {:?}", answer),
        }
        for (_, value) in &recorded.set {
            prop_assert!(headers::is_safe_value(value));
        }
    }
}
