//! An authenticator in software, and the browser around it: as much of WebAuthn as a test needs to
//! make a passkey and to use it, well or badly.
//!
//! The unit tests of `postern-identity` use this file, too: nothing in it knows the kit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Flags of authenticator data (WebAuthn Level 2 §6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_CREDENTIAL: u8 = 1 << 6;

/// A passkey, and what its browser says. Tests change the fields to lie.
#[derive(Clone)]
pub struct SoftPasskey {
    key: SigningKey,
    /// The credential's id.
    pub id: Vec<u8>,
    /// Whose it is (`userHandle`).
    pub user: Vec<u8>,
    /// The origin of the page that the browser is at.
    pub origin: String,
    /// What the passkey is bound to.
    pub rp_id: String,
    /// How often it was used; 0 for ever where it does not count.
    pub counter: u32,
    /// Whether it counts.
    pub counts: bool,
    /// Whether it makes sure who uses it.
    pub verifies_user: bool,
}

impl SoftPasskey {
    /// An authenticator without a passkey, in a browser at a page of this origin. Two of one seed,
    /// which is not 0 and not 255, are the same one.
    ///
    /// # Panics
    /// When the seed is one of these.
    #[must_use]
    pub fn new(seed: u8, origin: &str) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).expect("a private key");
        Self {
            key,
            id: vec![seed; 16],
            user: Vec::new(),
            origin: origin.to_owned(),
            rp_id: String::new(),
            counter: 0,
            counts: true,
            verifies_user: true,
        }
    }

    /// Makes the passkey that these options ask for; the browser's answer.
    ///
    /// # Panics
    /// When they are none, or ask for something else than a passkey that is found by itself and
    /// makes sure who uses it.
    pub fn create(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        let selection = &options["authenticatorSelection"];
        assert_eq!(selection["residentKey"], "required", "{options}");
        assert_eq!(selection["userVerification"], "required", "{options}");
        let wanted = options["attestation"].as_str().unwrap_or("none");
        assert_eq!(wanted, "none", "{options}");
        let algorithms = options["pubKeyCredParams"].as_array().expect("algorithms");
        assert!(algorithms.iter().any(|one| one["alg"] == -7), "ES256: {options}");
        self.user = bytes(&options["user"]["id"]);
        text(&options["rp"]["id"]).clone_into(&mut self.rp_id);
        let mut data = self.authenticator_data(HAS_CREDENTIAL);
        data.extend_from_slice(&[0; 16]);
        let length = u16::try_from(self.id.len()).expect("a short id");
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&self.id);
        data.extend_from_slice(&self.public_key());
        let client = self.client_data("webauthn.create", &options["challenge"]);
        json!({
            "id": encoded(&self.id),
            "rawId": encoded(&self.id),
            "type": "public-key",
            "response": {
                "attestationObject": encoded(&attestation_object(&data)),
                "clientDataJSON": encoded(&client),
            },
        })
    }

    /// Uses the passkey as these options ask; the browser's answer.
    ///
    /// # Panics
    /// When they are none, or name credentials.
    pub fn get(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        assert_eq!(options["userVerification"], "required", "{options}");
        let allowed = options["allowCredentials"].as_array();
        assert!(allowed.is_none_or(Vec::is_empty), "nobody has said a name: {options}");
        if self.counts {
            self.counter += 1;
        }
        let data = self.authenticator_data(0);
        let client = self.client_data("webauthn.get", &options["challenge"]);
        let mut signed = data.clone();
        signed.extend_from_slice(&Sha256::digest(&client));
        let signature: Signature = self.key.sign(&signed);
        json!({
            "id": encoded(&self.id),
            "rawId": encoded(&self.id),
            "type": "public-key",
            "response": {
                "authenticatorData": encoded(&data),
                "clientDataJSON": encoded(&client),
                "signature": encoded(signature.to_der().as_bytes()),
                "userHandle": encoded(&self.user),
            },
        })
    }

    fn authenticator_data(&self, more: u8) -> Vec<u8> {
        let mut flags = USER_PRESENT | more;
        if self.verifies_user {
            flags |= USER_VERIFIED;
        }
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": text(challenge),
            "origin": self.origin,
            "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    /// As COSE has it (RFC 9053 §7.1.1): a map of five, of which each key and each small number is
    /// one byte of CBOR.
    fn public_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_encoded_point(false);
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01];
        for (label, coordinate) in [(0x21, point.x()), (0x22, point.y())] {
            let coordinate = coordinate.expect("a point that is not compressed");
            key.extend_from_slice(&[label, 0x58, 32]);
            key.extend_from_slice(coordinate);
        }
        key
    }
}

/// `{"fmt": "none", "attStmt": {}, "authData": …}` in CBOR.
fn attestation_object(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short data");
    let mut object = vec![0xa3];
    object.extend_from_slice(&text_in_cbor("fmt"));
    object.extend_from_slice(&text_in_cbor("none"));
    object.extend_from_slice(&text_in_cbor("attStmt"));
    object.push(0xa0);
    object.extend_from_slice(&text_in_cbor("authData"));
    object.push(0x59);
    object.extend_from_slice(&length.to_be_bytes());
    object.extend_from_slice(data);
    object
}

/// A text of fewer than 24 bytes.
fn text_in_cbor(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    assert!(length < 24, "{text}");
    let mut written = vec![0x60 + length];
    written.extend_from_slice(text.as_bytes());
    written
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text(value)).expect("base64url")
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
