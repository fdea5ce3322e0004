//! Passkeys: one that is made, used, and asked for once more; and another one that is being made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth;
use serde_json::Value;

use super::everything::text;
use super::secrets::Secrets;
use crate::kit::person::{Asked, Person};

/// A user of their own: behind a passkey no password is enough.
const EMAIL: &str = "hedy@example.test";

/// Somebody who was asked for their passkey, and has not shown it yet.
pub struct Asking {
    person: Person,
    asked: Asked,
}

/// All that there is between a browser and us.
pub async fn ceremonies(gateway: &Gateway, secrets: &mut Secrets) -> Asking {
    oauth::user(gateway, EMAIL, "student").await;
    let mut person = Person::new(gateway, 7);
    person.log_in("/login", EMAIL).await.expect(303);
    secrets.saw_session(&person.browser);

    let asked = person.asked_to_make().await;
    saw(secrets, "challenge of a passkey that was made", &asked);
    let credential = person.soft.create(&asked.options);
    secrets.saw_bytes("public key of a passkey", &public_key(&credential));
    person.made(&asked, &credential).await.expect(200);
    // Its id is public, and by it a passkey is found.
    secrets.knows(&URL_SAFE_NO_PAD.encode(&person.soft.id));

    person.browser = gateway.browser();
    let asked = asked_to_show(&mut person).await;
    saw(secrets, "challenge of a passkey that was shown", &asked);
    let credential = person.soft.get(&asked.options);
    secrets.saw("signature of a passkey", &text(&credential["response"], "signature"));
    person.shown(&asked, &credential).await.expect(200);
    secrets.saw_session(&person.browser);
    let asked = person.asked_to_make().await;
    saw(secrets, "challenge of a passkey that is being made", &asked);

    person.browser = gateway.browser();
    let asked = asked_to_show(&mut person).await;
    saw(secrets, "challenge of a passkey that is asked for", &asked);
    secrets.saw_log_in(&person.browser);
    Asking { person, asked }
}

impl Asking {
    /// Shows it: the challenge was there all the time.
    pub async fn shows(mut self) {
        let credential = self.person.soft.get(&self.asked.options);
        self.person.shown(&self.asked, &credential).await.expect(200);
        assert!(self.person.browser.cookie("postern").is_some(), "they are logged in");
    }
}

async fn asked_to_show(person: &mut Person) -> Asked {
    let page = person.browser.open("/login").await.expect(200);
    person.asked_to_show(&page).await
}

fn saw(secrets: &mut Secrets, what: &'static str, asked: &Asked) {
    secrets.saw(what, &text(&asked.options["publicKey"], "challenge"));
    secrets.saw("token of a script", &asked.csrf);
}

/// The second coordinate, with which what the authenticator made ends. It is no secret; but what
/// is kept of a passkey is sealed as a whole.
fn public_key(credential: &Value) -> Vec<u8> {
    let object = text(&credential["response"], "attestationObject");
    let object = URL_SAFE_NO_PAD.decode(object).expect("base64url");
    object[object.len() - 32..].to_vec()
}
