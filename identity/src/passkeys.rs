//! Passkeys by `webauthn-rs`: the one file that knows that crate, and through it OpenSSL.
//!
//! Every ceremony asks for a passkey that the browser finds by itself (`residentKey: required`)
//! and that makes sure who uses it (`userVerification: required`), and for no attestation: which
//! make of authenticator somebody has is theirs to know.

use postern_jose::base64url;
use postern_store::durable::UserRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::ports::{Ceremony, NewPasskey, PasskeyError, Passkeys, ShownPasskey, UsedPasskey};

/// Longest id of a credential, in bytes (WebAuthn Level 3 §5.8.3).
const MAX_ID_BYTES: usize = 1023;

/// Passkeys of one relying party, on pages of one origin.
#[derive(Debug)]
pub struct WebauthnPasskeys {
    webauthn: Webauthn,
}

impl WebauthnPasskeys {
    /// Passkeys for the pages of `issuer`, bound to `rp_id`, which is its host or a domain above
    /// it. `title` is what browsers show.
    ///
    /// # Errors
    /// [`PasskeyError::Internal`] where the issuer is no URL, or the id does not belong to it.
    pub fn new(issuer: &str, rp_id: &str, title: &str) -> Result<Self, PasskeyError> {
        let origin =
            Url::parse(issuer).map_err(|_| PasskeyError::Internal("the issuer is no URL"))?;
        let foreign = |_| PasskeyError::Internal("the issuer's host is not within the `rp_id`");
        let builder = WebauthnBuilder::new(rp_id, &origin).map_err(foreign)?;
        let webauthn = builder.rp_name(title).build().map_err(foreign)?;
        Ok(Self { webauthn })
    }
}

impl Passkeys for WebauthnPasskeys {
    fn start_registration(
        &self,
        user: &UserRecord,
        known: &[Vec<u8>],
    ) -> Result<Ceremony, PasskeyError> {
        let id = Uuid::parse_str(&user.id)
            .map_err(|_| PasskeyError::Internal("a user's id is no UUID"))?;
        let mut excluded = Vec::with_capacity(known.len());
        for record in known {
            excluded.push(kept::<Passkey>(record)?.cred_id().clone());
        }
        let (options, state) = self
            .webauthn
            .start_passkey_registration(id, &user.email, &display_name(user), Some(excluded))
            .map_err(|error| failed(&error))?;
        let mut options = serde_json::to_value(&options).map_err(|_| UNWRITTEN)?;
        ask_for_residence(&mut options)?;
        Ok(Ceremony { options: options.to_string(), state: written(&state)? })
    }

    fn finish_registration(&self, state: &[u8], answer: &str) -> Result<NewPasskey, PasskeyError> {
        let state: PasskeyRegistration = kept(state)?;
        let answer: RegisterPublicKeyCredential = read(answer)?;
        let passkey = self
            .webauthn
            .finish_passkey_registration(&answer, &state)
            .map_err(|error| refused(&error))?;
        let id = passkey.cred_id().as_slice();
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(PasskeyError::Answer);
        }
        Ok(NewPasskey { credential_id: base64url::encode(id), record: written(&passkey)? })
    }

    fn start_login(&self) -> Result<Ceremony, PasskeyError> {
        let (options, state) =
            self.webauthn.start_discoverable_authentication().map_err(|error| failed(&error))?;
        let options = serde_json::to_string(&options).map_err(|_| UNWRITTEN)?;
        Ok(Ceremony { options, state: written(&state)? })
    }

    fn credential_of(&self, answer: &str) -> Result<ShownPasskey, PasskeyError> {
        let answer: PublicKeyCredential = read(answer)?;
        let (user, credential) = self
            .webauthn
            .identify_discoverable_authentication(&answer)
            .map_err(|_| PasskeyError::Answer)?;
        if credential.is_empty() || credential.len() > MAX_ID_BYTES {
            return Err(PasskeyError::Answer);
        }
        Ok(ShownPasskey { credential_id: base64url::encode(credential), user_id: user.to_string() })
    }

    fn finish_login(
        &self,
        state: &[u8],
        answer: &str,
        record: &[u8],
    ) -> Result<UsedPasskey, PasskeyError> {
        let state: DiscoverableAuthentication = kept(state)?;
        let mut passkey: Passkey = kept(record)?;
        let answer: PublicKeyCredential = read(answer)?;
        let keys = [DiscoverableKey::from(&passkey)];
        let result = self
            .webauthn
            .finish_discoverable_authentication(&answer, state, &keys)
            .map_err(|error| refused(&error))?;
        // None where the answer is of another credential, which was looked at already.
        let is_changed = passkey.update_credential(&result).ok_or(PasskeyError::Answer)?;
        let record = if is_changed { Some(written(&passkey)?) } else { None };
        Ok(UsedPasskey { record, user_verified: result.user_verified() })
    }
}

const UNWRITTEN: PasskeyError = PasskeyError::Internal("something cannot be written as JSON");

/// The crate asks authenticators not to keep the passkey, for the sake of old ones with little
/// room. One that is not kept finds nobody who has not said a name.
fn ask_for_residence(options: &mut Value) -> Result<(), PasskeyError> {
    let selection = options
        .get_mut("publicKey")
        .and_then(|options| options.get_mut("authenticatorSelection"))
        .and_then(Value::as_object_mut)
        .ok_or(PasskeyError::Internal("the options select no authenticator"))?;
    selection.insert("residentKey".to_owned(), Value::from("required"));
    selection.insert("requireResidentKey".to_owned(), Value::from(true));
    Ok(())
}

/// What browsers show beside the e-mail.
fn display_name(user: &UserRecord) -> String {
    let profile = &user.profile;
    let name = [profile.first_name.as_str(), profile.last_name.as_str()].join(" ");
    let name = name.trim();
    if name.is_empty() { user.email.clone() } else { name.to_owned() }
}

/// What a browser says.
fn read<T: DeserializeOwned>(answer: &str) -> Result<T, PasskeyError> {
    serde_json::from_str(answer).map_err(|_| PasskeyError::Answer)
}

/// What was written here.
fn kept<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PasskeyError> {
    serde_json::from_slice(bytes).map_err(|_| PasskeyError::Kept)
}

fn written<T: Serialize>(value: &T) -> Result<Vec<u8>, PasskeyError> {
    serde_json::to_vec(value).map_err(|_| UNWRITTEN)
}

/// An answer that does not hold. Its `Debug` form escapes whatever came from outside.
fn refused(error: &WebauthnError) -> PasskeyError {
    if matches!(error, WebauthnError::CredentialPossibleCompromise) {
        tracing::warn!("a passkey's counter went back: there may be two of it");
    } else {
        tracing::info!(?error, "a passkey's answer does not hold");
    }
    PasskeyError::Answer
}

fn failed(error: &WebauthnError) -> PasskeyError {
    tracing::error!(?error, "a passkey's ceremony cannot begin");
    PasskeyError::Internal("a ceremony cannot begin")
}

/// The kit's own authenticator: what the end-to-end tests use, these use, too.
#[cfg(test)]
#[path = "../../tests/src/passkey.rs"]
pub(crate) mod soft;
#[cfg(test)]
mod tests;
