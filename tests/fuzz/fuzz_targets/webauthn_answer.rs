//! What a browser says of a passkey: read as JSON, as CBOR and as authenticator data. Whatever it
//! is, nothing ends the process, and nothing that was not signed logs anybody in.
#![no_main]

#[path = "../../src/passkey.rs"]
mod passkey;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use passkey::SoftPasskey;
use postern_identity::WebauthnPasskeys;
use postern_identity::ports::{Ceremony, Passkeys};
use postern_request::UnixMillis;
use postern_store::durable::{Profile, UserRecord};
use serde_json::{Value, json};

const ISSUER: &str = "https://api.example.test";

/// Both ceremonies, begun, and a passkey with its record.
struct Begun {
    passkeys: WebauthnPasskeys,
    registration: Ceremony,
    login: Ceremony,
    soft: SoftPasskey,
    record: Vec<u8>,
}

static BEGUN: LazyLock<Begun> = LazyLock::new(|| {
    let passkeys = WebauthnPasskeys::new(ISSUER, "api.example.test", "Example").expect("passkeys");
    let now = UnixMillis(1_800_000_000_000);
    let user = UserRecord {
        id: "0b6f6c3e-51f1-4d0e-9c4a-6d6f7a3f2f10".to_owned(),
        email: "ada@example.test".to_owned(),
        role: "student".to_owned(),
        is_active: true,
        profile: Profile::default(),
        password: None,
        must_change_password: false,
        tier: None,
        created_at: now,
        updated_at: now,
    };
    let begin = || passkeys.start_registration(&user, &[]).expect("a registration");
    let mut soft = SoftPasskey::new(1, ISSUER);
    let made = begin();
    let answer = soft.create(&parsed(&made.options)).to_string();
    let made = passkeys.finish_registration(&made.state, &answer).expect("a passkey");
    let registration = begin();
    let login = passkeys.start_login().expect("a log-in");
    Begun { passkeys, registration, login, soft, record: made.record }
});

fn parsed(options: &str) -> Value {
    serde_json::from_str(options).expect("options")
}

fn base64url(data: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(data)
}

fn try_login(begun: &Begun, answer: &str) {
    let _ = begun.passkeys.credential_of(answer);
    let used = begun.passkeys.finish_login(&begun.login.state, answer, &begun.record);
    assert!(used.is_err(), "nobody signed this: {answer}");
}

fuzz_target!(|data: &[u8]| {
    let begun = &*BEGUN;
    if let Ok(text) = std::str::from_utf8(data) {
        try_login(begun, text);
        let _ = begun.passkeys.finish_registration(&begun.registration.state, text);
    }
    let data = base64url(data);
    let mut made = begun.soft.clone().create(&parsed(&begun.registration.options));
    made["response"]["attestationObject"] = json!(data);
    let _ = begun.passkeys.finish_registration(&begun.registration.state, &made.to_string());
    let used = begun.soft.clone().get(&parsed(&begun.login.options));
    for member in ["authenticatorData", "clientDataJSON", "signature"] {
        let mut used = used.clone();
        // What was signed itself is good.
        if used["response"][member] != json!(data) {
            used["response"][member] = json!(data);
            try_login(begun, &used.to_string());
        }
    }
});
