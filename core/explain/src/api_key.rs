//! Whose an API key is.

use postern_request::headers::{self, HeaderView as _, Single};
use postern_request::principal::Credential;
use postern_request::{Denial, Principal};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::assume::Part;
use crate::credential::GIVEN_KEY;
use crate::envoy::Incoming;
use crate::request::Shown;
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

const MAX_KEY_BYTES: usize = 256;

impl Walk<'_, '_> {
    /// Whose an API key is: `by_api_key` of `ext-authz/src/authorizer.rs`, and `find` of
    /// `ext-authz/src/api_keys.rs`.
    pub(crate) fn by_api_key(
        &mut self,
        incoming: &Incoming,
        shown: &Shown,
    ) -> Result<Option<Principal>, Denial> {
        let refused = |reason| (Denial::invalid_token(reason), reason);
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
        let id = key_id(key)?;
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
        (equal && !over).then_some(Ok(known.principal))
    }
}

fn away() -> (Denial, &'static str) {
    (Denial::unavailable("api_keys_unavailable", 1), "api_keys_unavailable")
}

/// The id within a key: `read_id` of `ext-authz/src/api_keys.rs`.
fn key_id(key: &str) -> Option<&str> {
    if key.len() > MAX_KEY_BYTES {
        return None;
    }
    let (id, secret) = key.strip_prefix("pk_")?.split_once('_')?;
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_id && !secret.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_read_strictly() {
        assert_eq!(key_id("pk_abc1_secret_with_more"), Some("abc1"));
        for bad in ["", "pk_", "pk__x", "pk_a", "pk_a_", "sk_a_b", "pk_a-b_c", "pk_\u{e9}_c"] {
            assert_eq!(key_id(bad), None, "{bad}");
        }
        assert_eq!(key_id(&format!("pk_a_{}", "x".repeat(MAX_KEY_BYTES))), None);
    }
}
