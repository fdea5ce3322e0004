//! A module of one stage, beside another filter that does the rest.

use super::*;

#[cfg(feature = "limits")]
#[test]
fn the_limit_stage_alone_counts_and_touches_no_identity() {
    let fake = Fake::default();
    let mut configuration = configuration(&fake);
    let refused = Gatekeeper::configure(&fake, configuration.to_string().as_bytes()).err().unwrap();
    assert!(refused.len() == 1 && refused[0].contains("`few`"), "{refused:?}");
    configuration["document"]["limits"]["few"]["key"] = json!(["ip"]);
    let mut gatekeeper = configured(&fake, &configuration);
    let headers = [("x-postern-subject", "alice"), ("x-tenant", "t1"), ("authorization", "odd")];
    for expected in [200, 200, 429] {
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/limited", &headers);
        assert_eq!((status, recorded.removed), (expected, Vec::<String>::new()));
        assert!(recorded.set.iter().all(|(name, _)| !name.starts_with("x-postern-")));
    }
    // No evidence, no token.
    assert_eq!(ask(&mut gatekeeper, &fake, "/keyed", &[]).0, 200);
    assert_eq!(ask(&mut gatekeeper, &fake, "/nowhere", &[]).0, 404);
    assert_eq!(gatekeeper.tick_ms(), 1_000);
}

#[cfg(feature = "circuits")]
#[test]
fn the_circuit_stage_alone_refuses_and_touches_no_identity() {
    let fake = Fake::default();
    let mut configuration = configuration(&fake);
    configuration["document"]["services"]["s"]["circuit"] = json!({"failures": 1});
    let mut gatekeeper = configured(&fake, &configuration);
    assert_eq!(gatekeeper.tick_ms(), 100);
    let forged = [("x-postern-subject", "alice"), ("x-postern-fallback", "1")];
    let (status, recorded) = ask(&mut gatekeeper, &fake, "/keyed", &forged);
    assert_eq!(status, 200, "no evidence, no token");
    assert_eq!(recorded.removed, ["x-postern-fallback"], "that one is its own");
    let list = [(":method", "GET"), (":path", "/open"), (":authority", "h")]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let asked = gatekeeper.on_request_headers(&fake, &list.to_vec(), &mut Recorded::default());
    let Outcome::Continue(Some(stream)) = asked else { panic!("{asked:?}") };
    fake.details.set(Some("upstream_reset_after_response_started{remote_reset}"));
    gatekeeper.on_end(&fake, stream);
    assert_eq!(ask(&mut gatekeeper, &fake, "/open", &[]).0, 503);
}

#[cfg(feature = "tokens")]
#[test]
fn the_token_stage_alone_says_who_calls_and_counts_nothing() {
    let fake = Fake::default();
    let mut gatekeeper = gatekeeper(&fake);
    let bearer = format!("Bearer {}", token(""));
    for _ in 0..5 {
        let headers = [("authorization", bearer.as_str()), ("x-postern-subject", "root")];
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/limited", &headers);
        assert_eq!((status, recorded.removed), (200, vec!["x-postern-subject".to_owned()]));
        assert!(recorded.set.contains(&("x-postern-subject".to_owned(), "alice".to_owned())));
    }
    assert_eq!(ask(&mut gatekeeper, &fake, "/limited", &[]).0, 401);
}
