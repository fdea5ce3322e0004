use postern_document::FingerprintPart;

use super::*;
use crate::login::fixture::{NOW, caller, rules, vault};

const ID: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

#[test]
fn a_cookie_is_an_id_and_a_secret_or_nothing() {
    let secret = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";
    let good = format!("{ID}.{secret}");
    assert_eq!(read_cookie(good.as_bytes()), Some((ID, secret)));
    for bad in [
        String::new(),
        ID.to_owned(),
        format!("{ID}."),
        format!("{ID}.{secret}x"),
        format!("{ID}.{}", secret.replace('a', "=")),
        format!("{ID}x.{secret}"),
        format!("{}.{secret}", "0".repeat(36)),
        format!("{ID}.{secret}.{secret}"),
        format!(" {good}"),
        format!("{good}\0"),
    ] {
        assert_eq!(read_cookie(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(read_cookie(b"\xff.\xff"), None);
}

fn record() -> SessionRecord {
    let authenticated =
        Authenticated { user_id: "u1".to_owned(), several: false, methods: vec!["pwd"] };
    let person = Person { role: "student".to_owned(), ..Person::default() };
    of_browser(&rules(), &vault(), &person, &authenticated, &caller(), false, NOW).unwrap().record
}

#[test]
fn a_grants_session_is_opened_by_no_secret() {
    let mut record = record();
    record.secret = None;
    for secret in ["", "a"] {
        assert!(!is_opened_by(&record, secret));
    }
    record.secret = Some(random::sha256(b"a"));
    assert!(is_opened_by(&record, "a") && !is_opened_by(&record, "b"));
}

#[test]
fn a_session_says_what_its_role_may_and_keeps_no_secret() {
    let authenticated =
        Authenticated { user_id: "u1".to_owned(), several: true, methods: vec!["pwd", "otp"] };
    let person = Person { role: "student".to_owned(), ..Person::default() };
    let begun =
        of_browser(&rules(), &vault(), &person, &authenticated, &caller(), false, NOW).unwrap();
    assert_eq!(begun.record.scopes, ["content.read"]);
    assert_eq!(begun.record.mfa_at, Some(NOW));
    let kept = Person::decode(&begun.record.person).unwrap();
    assert_eq!(kept.tier.as_deref(), Some("basic"), "the role's");
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let caller = Caller { user_agent: agent.to_owned(), ..caller() };
    let shown = of_browser(&rules(), &vault(), &person, &authenticated, &caller, false, NOW);
    let kept = shown.unwrap().record.person;
    let text = String::from_utf8(kept.clone()).unwrap();
    assert!(text.contains("Firefox") && !text.contains("140"), "{text}");
    assert_eq!(Person::decode(&kept).unwrap().agent.system, Some("Linux"));
    let (_, secret) = begun.cookie.expose().split_once('.').unwrap();
    assert!(!format!("{:?}", begun.record).contains(secret));
}

#[test]
fn another_authentication_adds_to_the_session_and_takes_nothing_away() {
    let authenticated = Authenticated {
        user_id: "u1".to_owned(),
        several: true,
        methods: vec!["pwd", "otp", "mfa"],
    };
    let (before, now) = (record(), UnixMillis(NOW.0 + 60_000));
    let begun = again(&rules(), before.clone(), &authenticated, &caller(), now, now).unwrap();
    assert_eq!(begun.record.methods, ["pwd", "otp", "mfa"]);
    assert_eq!((begun.record.mfa_at, begun.record.authenticated_at), (Some(now), now));
    assert_eq!((&begun.record.id, begun.record.ends_at), (&before.id, before.ends_at));
    assert_ne!(begun.record.secret, before.secret);
    let once = Authenticated { several: false, methods: vec!["pwd"], ..authenticated };
    let later = UnixMillis(now.0 + 1);
    let later = again(&rules(), begun.record, &once, &caller(), later, later).unwrap();
    assert_eq!(later.record.mfa_at, Some(now), "that was then");
    assert_eq!(later.record.methods, ["pwd"], "and this is how it was now");
}

#[test]
fn a_fingerprint_is_of_what_the_document_looks_at() {
    let looks_at = |parts: &[FingerprintPart]| {
        let mut rules = rules();
        rules.login.fingerprint.parts = parts.to_vec();
        rules
    };
    let of = |parts: &[FingerprintPart], caller: &Caller| {
        fingerprint(&looks_at(parts), &vault(), caller)
    };
    let one = caller();
    assert_eq!(of(&[], &one), None);
    let agent = Caller { user_agent: "Other/2".to_owned(), ..one.clone() };
    let near = Caller { ip: Some([192, 0, 2, 200].into()), ..one.clone() };
    let far = Caller { ip: Some([192, 0, 3, 1].into()), ..one.clone() };
    for (part, other, is_same) in [
        (FingerprintPart::UserAgent, &agent, false),
        (FingerprintPart::UserAgent, &far, true),
        (FingerprintPart::IpPrefix, &agent, true),
        (FingerprintPart::IpPrefix, &near, true),
        (FingerprintPart::IpPrefix, &far, false),
        (FingerprintPart::AcceptLanguage, &agent, true),
        (FingerprintPart::ClientHint, &agent, true),
    ] {
        assert_eq!(of(&[part], &one) == of(&[part], other), is_same, "{part:?} {other:?}");
    }
    let both = [FingerprintPart::UserAgent, FingerprintPart::AcceptLanguage];
    let left = Caller { user_agent: "ab".to_owned(), accept_language: "c".to_owned(), ..caller() };
    let right = Caller { user_agent: "a".to_owned(), accept_language: "bc".to_owned(), ..caller() };
    assert_ne!(of(&both, &left), of(&both, &right));
}

#[test]
fn a_browsers_fingerprint_is_under_its_own_cookie_and_each_new_one() {
    let mut rules = rules();
    rules.login.fingerprint.parts = vec![FingerprintPart::UserAgent];
    let authenticated =
        Authenticated { user_id: "u1".to_owned(), several: true, methods: vec!["pwd", "otp"] };
    let (person, caller) = (Person::default(), caller());
    let begun = of_browser(&rules, &vault(), &person, &authenticated, &caller, false, NOW).unwrap();
    let again = again(&rules, begun.record.clone(), &authenticated, &caller, NOW, NOW).unwrap();
    let other = Caller { user_agent: "Other/2".to_owned(), ..caller.clone() };
    for Begun { record, cookie, .. } in [&begun, &again] {
        let (_, secret) = read_cookie(cookie.expose().as_bytes()).unwrap();
        assert_eq!(record.fingerprint, fingerprint_of_browser(&rules, secret, &caller));
        assert_ne!(record.fingerprint, fingerprint_of_browser(&rules, secret, &other));
    }
    assert_ne!(begun.record.fingerprint, again.record.fingerprint);
}

#[test]
fn an_authentication_of_before_the_last_one_changes_nothing_of_that() {
    let (rules, person) = (rules(), Person::default());
    let several =
        Authenticated { user_id: "u1".to_owned(), several: true, methods: vec!["pwd", "otp"] };
    let begun = of_browser(&rules, &vault(), &person, &several, &caller(), false, NOW).unwrap();
    let elsewhere = Authenticated { several: false, methods: Vec::new(), ..several };
    let now = UnixMillis(NOW.0 + 60_000);
    for (at, authenticated_at, methods) in [
        (UnixMillis(NOW.0 - 1), NOW, &["pwd", "otp"][..]),
        (UnixMillis(NOW.0 + 1), UnixMillis(NOW.0 + 1), &[][..]),
    ] {
        let before = begun.record.clone();
        let after = again(&rules, before, &elsewhere, &caller(), at, now).unwrap().record;
        assert_eq!((after.authenticated_at, after.last_used), (authenticated_at, now));
        assert_eq!(after.methods, methods);
    }
}
