use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const NOTHING: Known = Known {
    totp: false,
    passkey: false,
    recovery: false,
    role_asks: false,
    must_change_password: false,
};
const TOTP: Known = Known { totp: true, recovery: true, ..NOTHING };

fn flow(wants: Acr) -> Flow {
    Flow::new(ReturnTo::default(), wants, NOW)
}

fn first(flow: &mut Flow, factor: Factor, known: Known) -> Step {
    advance(flow, Input::First(factor, "u1"), known, NOW)
}

fn done(step: Step) -> Authenticated {
    match step {
        Step::Done(authenticated) => authenticated,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_is_enough_where_nobody_asks_for_more() {
    let authenticated = done(first(&mut flow(Acr::OneFactor), Factor::Password, NOTHING));
    assert_eq!(authenticated.user_id, "u1");
    assert_eq!((authenticated.several, authenticated.methods), (false, vec!["pwd"]));
}

#[test]
fn who_asks_for_a_second_factor_gets_one() {
    let mfa = Screen::Mfa { totp: true, passkey: false, recovery: true };
    let role = Known { role_asks: true, ..NOTHING };
    for (wants, factor, known, expected) in [
        (Acr::OneFactor, Factor::Password, TOTP, Some(mfa)),
        (Acr::OneFactor, Factor::Password, Known { role_asks: true, ..TOTP }, Some(mfa)),
        (Acr::SeveralFactors, Factor::Password, TOTP, Some(mfa)),
        (Acr::SeveralFactors, Factor::Password, NOTHING, Some(Screen::EnrolTotp)),
        (Acr::OneFactor, Factor::Password, role, Some(Screen::EnrolTotp)),
        (Acr::OneFactor, Factor::Outside, TOTP, None),
        (Acr::OneFactor, Factor::Outside, Known { role_asks: true, ..TOTP }, Some(mfa)),
        (Acr::SeveralFactors, Factor::VerifiedPasskey, role, None),
        (Acr::SeveralFactors, Factor::Passkey, TOTP, Some(mfa)),
    ] {
        let step = first(&mut flow(wants), factor, known);
        match expected {
            Some(screen) => assert_eq!(step, Step::Ask(screen), "{wants:?} {factor:?}"),
            None => drop(done(step)),
        }
    }
}

#[test]
fn two_factors_are_several() {
    for (second, methods) in
        [(Factor::Totp, ["pwd", "otp", "mfa"]), (Factor::Recovery, ["pwd", "otp", "mfa"])]
    {
        let mut flow = flow(Acr::SeveralFactors);
        first(&mut flow, Factor::Password, TOTP);
        let authenticated = done(advance(&mut flow, Input::Second(second), TOTP, NOW));
        assert!(authenticated.several);
        assert_eq!(authenticated.methods, methods);
    }
    assert_eq!(methods(&[Factor::VerifiedPasskey]), ["hwk", "user", "mfa"]);
    for one in [Factor::Password, Factor::Totp, Factor::Recovery, Factor::Passkey, Factor::Outside]
    {
        assert!(!are_several(&[one, one]), "{one:?} twice");
    }
    assert!(!are_several(&[Factor::Totp, Factor::Recovery]));
    assert!(!are_several(&[Factor::Password, Factor::Outside]));
}

#[test]
fn a_second_factor_alone_opens_nothing() {
    for input in [Input::Second(Factor::Totp), Input::Resume] {
        let mut flow = flow(Acr::OneFactor);
        assert_eq!(advance(&mut flow, input, TOTP, NOW), Step::Refused(LoginError::Expired));
        assert!(flow.passed.is_empty());
    }
}

#[test]
fn a_password_that_has_to_be_changed_is_changed_last() {
    let known = Known { must_change_password: true, ..TOTP };
    let mut flow = flow(Acr::OneFactor);
    assert!(matches!(first(&mut flow, Factor::Password, known), Step::Ask(Screen::Mfa { .. })));
    let step = advance(&mut flow, Input::Second(Factor::Totp), known, NOW);
    assert_eq!(step, Step::Ask(Screen::ChangePassword));
    assert_eq!(flow.screen(Some(known)), Screen::ChangePassword);
    assert_eq!(advance(&mut flow, Input::Resume, known, NOW), Step::Ask(Screen::ChangePassword));
    done(advance(&mut flow, Input::Resume, TOTP, NOW));
}

#[test]
fn five_failures_end_a_log_in() {
    let mut flow = flow(Acr::OneFactor);
    for _ in 0..4 {
        let step = advance(&mut flow, Input::Wrong, NOTHING, NOW);
        assert_eq!(step, Step::Refused(LoginError::Credentials));
    }
    let step = advance(&mut flow, Input::Wrong, NOTHING, NOW);
    assert_eq!(step, Step::Refused(LoginError::Exhausted));
    let step = first(&mut flow, Factor::Password, NOTHING);
    assert_eq!(step, Step::Refused(LoginError::Expired), "the right one comes too late");
}

#[test]
fn a_log_in_ends_with_its_time() {
    let mut flow = flow(Acr::OneFactor);
    let late = UnixMillis(NOW.0 + FLOW_LIFE_MS);
    let input = Input::First(Factor::Password, "u1");
    assert_eq!(advance(&mut flow, input, NOTHING, late), Step::Refused(LoginError::Expired));
    done(advance(&mut flow, input, NOTHING, UnixMillis(late.0 - 1)));
}

#[test]
fn somebody_else_takes_over_neither_session_nor_factors() {
    let mut flow = flow(Acr::SeveralFactors);
    (flow.user, flow.session) = (Some("u1".to_owned()), Some("s1".to_owned()));
    flow.passed = vec![Factor::PasswordBefore];
    flow.vouched_by = Some("corp".to_owned());
    assert!(matches!(flow.screen(Some(TOTP)), Screen::Mfa { .. }));
    let step = advance(&mut flow, Input::First(Factor::Password, "u2"), TOTP, NOW);
    assert!(matches!(step, Step::Ask(Screen::Mfa { .. })));
    assert_eq!((flow.user.as_deref(), flow.session.as_deref()), (Some("u2"), None));
    assert_eq!((flow.rests_on_session(), flow.vouched_by), (false, None));
    assert_eq!(flow.passed, [Factor::Password]);
}

#[test]
fn a_password_that_has_become_known_changes_after_the_second_factor() {
    let mut flow = flow(Acr::OneFactor);
    flow.must_change = true;
    assert!(matches!(first(&mut flow, Factor::Password, TOTP), Step::Ask(Screen::Mfa { .. })));
    let second = advance(&mut flow, Input::Second(Factor::Totp), TOTP, NOW);
    assert_eq!(second, Step::Ask(Screen::ChangePassword));
    assert_eq!(flow.screen(Some(TOTP)), Screen::ChangePassword, "and again");
    flow.must_change = false;
    assert_eq!(done(advance(&mut flow, Input::Resume, TOTP, NOW)).user_id, "u1");
}

#[test]
fn a_log_in_is_read_as_it_was_kept() {
    let issuer = "https://api.example.test";
    let bare = flow(Acr::OneFactor);
    let whole = Flow {
        return_to: ReturnTo::parse("/portal?a=1", issuer, &[]).unwrap(),
        wants: Acr::SeveralFactors,
        user: Some("u\"1".to_owned()),
        passed: FACTORS_OF_ALL.to_vec(),
        failures: 3,
        remember: true,
        session: Some("s".to_owned()),
        as_of: Some(NOW),
        vouched_by: Some("corp".to_owned()),
        vouched_at: Some(NOW),
        max_age_secs: Some(900),
        enrolling: Some("f".to_owned()),
        must_change: true,
        started_at: NOW,
    };
    for flow in [bare, whole.clone()] {
        assert_eq!(Flow::decode(&flow.encode(), issuer, &[]), Some(flow));
    }
    for bad in [&b""[..], b"{}", b"[]", b"null"] {
        assert_eq!(Flow::decode(bad, issuer, &[]), None);
    }
    let text = String::from_utf8(whole.encode()).unwrap();
    for (from, to) in [("\"totp\"", "\"x\""), (":3", ":300"), (":true", ":1")] {
        assert_eq!(Flow::decode(text.replace(from, to).as_bytes(), issuer, &[]), None, "{to}");
    }
    let elsewhere = text.replace("/portal?a=1", "//evil.test/");
    let read = Flow::decode(elsewhere.as_bytes(), issuer, &[]).unwrap();
    assert_eq!(read.return_to, ReturnTo::default(), "what was kept is not believed");
}

const FACTORS_OF_ALL: [Factor; 7] = [
    Factor::Password,
    Factor::PasswordBefore,
    Factor::Totp,
    Factor::Recovery,
    Factor::Passkey,
    Factor::VerifiedPasskey,
    Factor::Outside,
];
