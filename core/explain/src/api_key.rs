//! Whose an API key is.

use postern_request::headers::{self, HeaderView as _, Single};
use postern_request::principal::Credential;
use postern_request::{Denial, Principal, api_key};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::assume::Part;
use crate::credential::GIVEN_KEY;
use crate::envoy::Incoming;
use crate::request::Shown;
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

impl Walk<'_, '_> {
    /// Whose an API key is: `by_api_key` of `ext-authz/src/authorizer.rs`, and `find` of
    /// `ext-authz/src/api_keys.rs`.
    pub(crate) fn by_api_key(
        &mut self,
        incoming: &Incoming,
        shown: &Shown,
    ) -> Result<Option<Principal>, Denial> {
        let refused = |reason| (Denial::invalid_api_key(reason), reason);
        let found = match incoming.headers.single(headers::API_KEY) {
            Single::Absent => return Ok(None),
            Single::Repeated => Err(refused("api_key_repeated")),
            Single::One(key) => match (shown, core::str::from_utf8(key)) {
                (Shown::Key(principal), _) if key == GIVEN_KEY => self.given_key(principal),
                (_, Err(_)) => Err(refused("api_key_not_text")),
                (_, Ok(key)) => match self.look_up(key) {
                    Some(Ok(principal)) => Ok(principal),
                    Some(Err(())) => Err(away()),
                    None => Err(refused("api_key_unknown")),
                },
            },
        };
        let found = match found {
            Ok(_) if self.is_key_revoked(incoming)? => Err(refused("api_key_revoked")),
            found => found,
        };
        match found {
            Ok(principal) => {
                let text = format!("API key of {}", principal.subject);
                let verdict = match shown {
                    Shown::Key(_) => Verdict::Assumed("the key counts as known"),
                    _ => Verdict::Passed,
                };
                self.push(Stage::Credential, By::ExtAuthz, verdict, Vec::new(), text);
                Ok(Some(principal))
            }
            Err((denial, text)) => {
                let text = text.replace('_', " ");
                Err(self.deny(Stage::Credential, By::ExtAuthz, denial, Vec::new(), text))
            }
        }
    }

    /// Whether the key was revoked, by the list where one is at hand.
    fn is_key_revoked(&mut self, incoming: &Incoming) -> Result<bool, Denial> {
        let key = incoming.headers.single(headers::API_KEY).one();
        let id = key.and_then(|key| core::str::from_utf8(key).ok()).and_then(api_key::id);
        let listed = self.assume.revocations.zip(id).map(|(list, id)| list.has_api_key(id));
        self.check_named_revoked("API key", listed)
    }

    fn given_key(&self, given: &Principal) -> Result<Principal, (Denial, &'static str)> {
        let principal = Principal { credential: Credential::ApiKey, ..given.clone() };
        let is_own = self.document.api_keys.iter().any(|own| own.principal == principal);
        if !is_own && self.assume.has_failed(&Part::DurableStore) {
            return Err(away());
        }
        Ok(principal)
    }

    /// None where nobody knows the key; an error where nobody can be asked.
    fn look_up(&mut self, key: &str) -> Option<Result<Principal, ()>> {
        let id = api_key::id(key)?;
        let presented: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        if let Some(own) = self.document.api_keys.iter().find(|own| own.id == id) {
            let equal = bool::from(own.sha256.ct_eq(&presented));
            return equal.then(|| Ok(own.principal.clone()));
        }
        if self.assume.has_failed(&Part::DurableStore) {
            return Some(Err(()));
        }
        let Some(stored) = self.assume.stored_key else {
            self.assumed("the store of API keys is not at hand: keys of it are unknown");
            return None;
        };
        let known = stored(id)?;
        let equal = bool::from(known.sha256.ct_eq(&presented));
        let over = known.expires.is_some_and(|end| end <= self.assume.now);
        if !known.limits.is_empty() {
            let names = known.limits.join(", ");
            self.assumed(format!("limits of the key's own have room: {names}"));
        }
        (equal && !over).then_some(Ok(known.principal))
    }
}

fn away() -> (Denial, &'static str) {
    (Denial::unavailable("api_keys_unavailable", 1), "api_keys_unavailable")
}
