//! What an access token of ours says, as far as an exchange looks at it.

use postern_jose::{Confirmation, VerifiedToken, base64url};
use postern_request::json::{self, Value};

use super::MAX_ACTORS;
use crate::{Acr, Actor, ScopeSet};

/// An access token of ours whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// `sub`
    pub subject: String,
    /// `client_id`: whom it was issued to.
    pub client_id: String,
    /// `scope`
    pub scopes: ScopeSet,
    /// `aud`
    pub audiences: Vec<String>,
    /// `exp`, in seconds since the epoch.
    pub expires_at: u64,
    /// `sessionId`
    pub session: Option<String>,
    /// `cnf`
    pub confirmation: Confirmation,
    /// `auth_time`, in seconds since the epoch.
    pub auth_time: Option<u64>,
    /// `acr`
    pub acr: Option<Acr>,
    /// `amr`
    pub amr: Vec<String>,
    /// `act`: who acts for the subject (RFC 8693 §4.1).
    pub act: Option<Actor>,
    /// `may_act`: who may (§4.4).
    pub may_act: Option<MayAct>,
}

/// Who may act for a subject (RFC 8693 §4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayAct {
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: Option<String>,
}

impl MayAct {
    /// Whether it is the one whom a token speaks for.
    pub(super) fn names(&self, actor: &TokenFacts) -> bool {
        self.subject == actor.subject
            && self.client_id.as_ref().is_none_or(|client_id| *client_id == actor.client_id)
    }
}

impl TokenFacts {
    /// Reads a token that was verified. None where it says something about who acts that is not
    /// understood: passing over that could give away more than was meant.
    #[must_use]
    pub fn read(token: &str, verified: &VerifiedToken) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = json::parse(&base64url::decode(payload)?).ok()?;
        let (claims, principal) = (&verified.claims, verified.principal());
        let methods = payload.get("amr").and_then(Value::as_array).unwrap_or_default();
        let act = match payload.get("act") {
            None => None,
            Some(act) => Some(actor(act, MAX_ACTORS)?),
        };
        let may_act = match payload.get("may_act") {
            None => None,
            Some(value) => {
                let (subject, client_id, rest) = party(value)?;
                rest.is_none().then_some(())?;
                Some(MayAct { subject, client_id })
            }
        };
        Some(Self {
            subject: principal.subject.clone(),
            client_id: principal.client_id.clone()?,
            scopes: ScopeSet::from_names(principal.scopes.iter().map(String::as_str)).ok()?,
            audiences: claims.audiences.clone(),
            expires_at: claims.expires_at,
            session: principal.session.clone(),
            confirmation: claims.confirmation,
            auth_time: match payload.get("auth_time") {
                Some(Value::Integer(at)) => u64::try_from(*at).ok(),
                _ => None,
            },
            acr: payload.get("acr").and_then(Value::as_str).and_then(Acr::parse),
            amr: methods.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            act,
            may_act,
        })
    }
}

/// One who acts, and so many who may have acted before.
fn actor(value: &Value, most: usize) -> Option<Actor> {
    let most = most.checked_sub(1)?;
    let (subject, client_id, former) = party(value)?;
    let former = match former {
        None => None,
        Some(former) => Some(Box::new(actor(former, most)?)),
    };
    Some(Actor { subject, client_id, former })
}

/// A party and who acted before it; none where there is more than that.
fn party(value: &Value) -> Option<(String, Option<String>, Option<&Value>)> {
    let (mut subject, mut client_id, mut former) = (None, None, None);
    for (name, value) in value.as_object()? {
        match (name.as_str(), value) {
            ("sub", Value::String(text)) => subject = Some(text.clone()),
            ("client_id", Value::String(text)) => client_id = Some(text.clone()),
            ("act", Value::Object(_)) => former = Some(value),
            _ => return None,
        }
    }
    Some((subject?, client_id, former))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Actor> {
        actor(&json::parse(text.as_bytes()).unwrap(), MAX_ACTORS)
    }

    #[test]
    fn who_acts_is_read_to_the_last_or_not_at_all() {
        let two = read(r#"{"sub":"a","client_id":"c","act":{"sub":"b"}}"#).unwrap();
        assert_eq!((two.subject.as_str(), two.client_id.as_deref()), ("a", Some("c")));
        assert_eq!(two.former.unwrap().subject, "b");
        let nested = |depth: usize| {
            (1..depth)
                .fold(r#"{"sub":"a"}"#.to_owned(), |act, _| format!(r#"{{"sub":"a","act":{act}}}"#))
        };
        assert!(read(&nested(MAX_ACTORS)).is_some());
        for bad in [
            nested(MAX_ACTORS + 1).as_str(),
            "{}",
            "[]",
            r#""a""#,
            r#"{"sub":1}"#,
            r#"{"client_id":"c"}"#,
            r#"{"sub":"a","iss":"other"}"#,
            r#"{"sub":"a","act":"b"}"#,
            r#"{"sub":"a","act":{}}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
