use postern_store::durable::Profile;

use super::soft::SoftPasskey;
use super::*;
use crate::login::fixture::NOW;

/// What is done to an authenticator, and what that is.
type Lie = (&'static str, fn(&mut SoftPasskey));

const ISSUER: &str = "https://login.example.test";
const RP_ID: &str = "example.test";
const USER: &str = "0b6f6c3e-51f1-4d0e-9c4a-6d6f7a3f2f10";

fn passkeys() -> WebauthnPasskeys {
    WebauthnPasskeys::new(ISSUER, RP_ID, "Example").unwrap()
}

fn user() -> UserRecord {
    UserRecord {
        id: USER.to_owned(),
        email: "ada@example.test".to_owned(),
        role: "student".to_owned(),
        is_active: true,
        profile: Profile::default(),
        password: None,
        must_change_password: false,
        tier: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Registers a passkey, and what is kept of it.
fn registered(soft: &mut SoftPasskey) -> NewPasskey {
    let begun = passkeys().start_registration(&user(), &[]).unwrap();
    let answer = soft.create(&json(&begun.options)).to_string();
    passkeys().finish_registration(&begun.state, &answer).unwrap()
}

#[test]
fn a_passkey_is_made_and_logs_its_user_in() {
    let mut soft = SoftPasskey::new(1, ISSUER);
    let made = registered(&mut soft);
    assert_eq!(made.credential_id, base64url::encode(&soft.id));
    assert_eq!(soft.rp_id, RP_ID);
    let mut record = made.record;
    for _ in 0..3 {
        let begun = passkeys().start_login().unwrap();
        let answer = soft.get(&json(&begun.options)).to_string();
        let shown = passkeys().credential_of(&answer).unwrap();
        assert_eq!(shown.credential_id, made.credential_id);
        assert_eq!(shown.user_id, USER, "told apart by the store, as it is written there");
        let used = passkeys().finish_login(&begun.state, &answer, &record).unwrap();
        assert!(used.user_verified);
        record = used.record.expect("another counter");
    }
}

#[test]
fn what_does_not_count_stays_the_same() {
    let mut soft = SoftPasskey::new(1, ISSUER);
    soft.counts = false;
    let made = registered(&mut soft);
    let begun = passkeys().start_login().unwrap();
    let answer = soft.get(&json(&begun.options)).to_string();
    let used = passkeys().finish_login(&begun.state, &answer, &made.record).unwrap();
    assert_eq!(used.record, None);
}

#[test]
fn registration_takes_no_lies() {
    let lies: [Lie; 3] = [
        ("origin", |soft| "https://login.example.test.evil.test".clone_into(&mut soft.origin)),
        ("http", |soft| "http://login.example.test".clone_into(&mut soft.origin)),
        ("user", |soft| soft.verifies_user = false),
    ];
    for (what, lie) in lies {
        let mut soft = SoftPasskey::new(1, ISSUER);
        lie(&mut soft);
        let begun = passkeys().start_registration(&user(), &[]).unwrap();
        let answer = soft.create(&json(&begun.options)).to_string();
        let refused = passkeys().finish_registration(&begun.state, &answer);
        assert_eq!(refused, Err(PasskeyError::Answer), "{what}");
    }
    let mut soft = SoftPasskey::new(1, ISSUER);
    let begun = passkeys().start_registration(&user(), &[]).unwrap();
    let mut options = json(&begun.options);
    options["publicKey"]["rp"]["id"] = Value::from("evil.test");
    let answer = soft.create(&options).to_string();
    let refused = passkeys().finish_registration(&begun.state, &answer);
    assert_eq!(refused, Err(PasskeyError::Answer), "another relying party");
    let other = passkeys().start_registration(&user(), &[]).unwrap();
    let answer = soft.create(&json(&begun.options)).to_string();
    let refused = passkeys().finish_registration(&other.state, &answer);
    assert_eq!(refused, Err(PasskeyError::Answer), "the challenge of another ceremony");
}

#[test]
fn a_log_in_takes_no_lies() {
    let lies: [Lie; 5] = [
        ("origin", |soft| "https://evil.test".clone_into(&mut soft.origin)),
        ("port", |soft| "https://login.example.test:8443".clone_into(&mut soft.origin)),
        ("relying party", |soft| "evil.test".clone_into(&mut soft.rp_id)),
        ("user", |soft| soft.verifies_user = false),
        ("counter", |soft| soft.counter = 0),
    ];
    for (what, lie) in lies {
        let mut soft = SoftPasskey::new(1, ISSUER);
        soft.counter = 7;
        let made = registered(&mut soft);
        lie(&mut soft);
        let begun = passkeys().start_login().unwrap();
        let answer = soft.get(&json(&begun.options)).to_string();
        let refused = passkeys().finish_login(&begun.state, &answer, &made.record);
        assert_eq!(refused, Err(PasskeyError::Answer), "{what}");
    }
}

#[test]
fn an_answer_is_of_its_challenge_and_its_key() {
    let mut soft = SoftPasskey::new(1, ISSUER);
    let made = registered(&mut soft);
    let (begun, other) = (passkeys().start_login().unwrap(), passkeys().start_login().unwrap());
    let answer = soft.get(&json(&begun.options)).to_string();
    let replayed = passkeys().finish_login(&other.state, &answer, &made.record);
    assert_eq!(replayed, Err(PasskeyError::Answer), "another challenge");
    // Somebody who knows the id and has a key of their own.
    let mut thief = SoftPasskey::new(2, ISSUER);
    (thief.id, thief.user) = (soft.id.clone(), soft.user.clone());
    thief.rp_id.clone_from(&soft.rp_id);
    let answer = thief.get(&json(&begun.options)).to_string();
    let refused = passkeys().finish_login(&begun.state, &answer, &made.record);
    assert_eq!(refused, Err(PasskeyError::Answer), "another key");
    // A good answer, held against the record of somebody else's passkey.
    let mut foreign = SoftPasskey::new(3, ISSUER);
    let others = registered(&mut foreign);
    let answer = soft.get(&json(&begun.options)).to_string();
    let refused = passkeys().finish_login(&begun.state, &answer, &others.record);
    assert_eq!(refused, Err(PasskeyError::Answer), "another passkey");
}

#[test]
fn whoever_has_a_passkey_is_asked_for_another_one() {
    let mut soft = SoftPasskey::new(1, ISSUER);
    let made = registered(&mut soft);
    let begun = passkeys().start_registration(&user(), std::slice::from_ref(&made.record)).unwrap();
    let options = json(&begun.options);
    let excluded = options["publicKey"]["excludeCredentials"].as_array().unwrap();
    assert_eq!(excluded.len(), 1);
    assert_eq!(excluded[0]["id"], made.credential_id.as_str());
    // A browser that makes the same one all the same.
    let answer = soft.create(&options).to_string();
    let refused = passkeys().finish_registration(&begun.state, &answer);
    assert_eq!(refused, Err(PasskeyError::Answer));
}

#[test]
fn what_cannot_be_read_is_nobodys() {
    let mut soft = SoftPasskey::new(1, ISSUER);
    let made = registered(&mut soft);
    let begun = passkeys().start_login().unwrap();
    let mut answer = soft.get(&json(&begun.options));
    answer["response"]["userHandle"] = Value::Null;
    let refused = passkeys().credential_of(&answer.to_string());
    assert_eq!(refused, Err(PasskeyError::Answer), "of nobody");
    for bad in ["", "{}", "[]", "null", "{\"id\":1}"] {
        assert_eq!(passkeys().credential_of(bad), Err(PasskeyError::Answer), "{bad}");
        let refused = passkeys().finish_login(&begun.state, bad, &made.record);
        assert_eq!(refused, Err(PasskeyError::Answer), "{bad}");
        let state = passkeys().start_registration(&user(), &[]).unwrap().state;
        let refused = passkeys().finish_registration(&state, bad);
        assert_eq!(refused, Err(PasskeyError::Answer), "{bad}");
    }
    let answer = soft.get(&json(&begun.options)).to_string();
    let refused = passkeys().finish_login(b"{}", &answer, &made.record);
    assert_eq!(refused, Err(PasskeyError::Kept));
    let refused = passkeys().finish_login(&begun.state, &answer, b"{}");
    assert_eq!(refused, Err(PasskeyError::Kept));
}

#[test]
fn passkeys_are_bound_to_a_name_of_the_issuers() {
    for (issuer, rp_id, expected) in [
        (ISSUER, "login.example.test", true),
        (ISSUER, "example.test", true),
        ("http://localhost:8080", "localhost", true),
        (ISSUER, "ogin.example.test", false),
        (ISSUER, "evil.test", false),
        ("http://127.0.0.1:8080", "127.0.0.1", false),
        ("no URL", "example.test", false),
    ] {
        let made = WebauthnPasskeys::new(issuer, rp_id, "Example");
        assert_eq!(made.is_ok(), expected, "{issuer} {rp_id}");
    }
}

/// Another crate for passkeys is a change of one file, and what can be reached of OpenSSL is what
/// that file reaches.
#[test]
fn one_file_knows_the_crate() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("use webauthn_rs") {
                found.push(path.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    assert_eq!(found, ["passkeys.rs", "passkeys/tests.rs"], "the second is this test's own text");
}
