//! JWT claims (RFC 7519 §4, RFC 9068 §2.2), as far as a decision needs them.

mod read;
mod rules;

use postern_request::json::{Item, Members, parse_members};
use postern_request::principal::{Credential, Principal};

use crate::TokenError;
use crate::confirmation::Confirmation;

pub(crate) use read::seconds;
pub use rules::{ClaimValue, ClaimsRules};

/// Longest claim that is taken over, in bytes.
const MAX_CLAIM_BYTES: usize = 1024;
/// Most scopes and audiences that one token may name.
const MAX_LIST: usize = 128;

/// Claims of a token, read strictly and not judged yet. `iss` is the principal's issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `aud`, one or several.
    pub audiences: Vec<String>,
    /// `exp`, in seconds since the epoch.
    pub expires_at: u64,
    /// `nbf`, in seconds since the epoch.
    pub not_before: Option<u64>,
    /// `iat`, in seconds since the epoch.
    pub issued_at: Option<u64>,
    /// `jti`
    pub token_id: Option<String>,
    /// `cnf`: what its holder must prove to possess.
    pub confirmation: Confirmation,
    /// Claims that routes ask about, in the order of [`ClaimsRules::kept`].
    pub kept: Vec<Option<ClaimValue>>,
    /// Who it speaks for.
    pub principal: Principal,
}

/// What was found so far.
#[derive(Default)]
struct Draft {
    issuer: Option<String>,
    subject: Option<String>,
    audiences: Vec<String>,
    expires_at: Option<u64>,
    not_before: Option<u64>,
    issued_at: Option<u64>,
    token_id: Option<String>,
    confirmation: Confirmation,
    principal: Principal,
}

impl Claims {
    /// Reads a token's payload.
    ///
    /// # Errors
    /// [`TokenError::Claims`] when a claim has another type than its RFC says, is repeated,
    /// or could not stand in a header; [`TokenError::Required`] when one is missing that
    /// `rules` ask for; [`TokenError::Confirmation`] for a `cnf` that is not understood.
    pub fn parse(payload: &[u8], rules: &ClaimsRules) -> Result<Self, TokenError> {
        Self::read(parse_object(payload)?, rules)
    }

    /// Reads members that [`parse_object`] has parsed. Each is looked at once, and what is
    /// taken over is moved where it can be: see `postern_request::json::Item`.
    pub(crate) fn read(members: Members<'_>, rules: &ClaimsRules) -> Result<Self, TokenError> {
        rules.check_required(&members)?;
        let claim_headers = rules.headers_of(&members)?;
        let kept = rules.keep(&members);
        let mut draft = Draft::default();
        for (name, item) in members {
            draft.take(&name, item)?;
        }
        Ok(Self {
            audiences: draft.audiences,
            expires_at: draft.expires_at.ok_or(TokenError::Claims)?,
            not_before: draft.not_before,
            issued_at: draft.issued_at,
            token_id: draft.token_id,
            confirmation: draft.confirmation,
            kept,
            principal: Principal {
                subject: draft.subject.ok_or(TokenError::Claims)?,
                issuer: draft.issuer.ok_or(TokenError::Claims)?,
                credential: Credential::Jwt,
                claim_headers,
                ..draft.principal
            },
        })
    }

    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.principal.issuer
    }

    /// What the kept claims hold on the heap, near enough for a budget.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let values = self.kept.iter().flatten().map(ClaimValue::weight).sum::<usize>();
        values + self.kept.len() * size_of::<Option<ClaimValue>>()
    }
}

impl Draft {
    fn take(&mut self, name: &str, item: Item<'_>) -> Result<(), TokenError> {
        let text = |item| read::text(item).map(Some);
        let seconds = |item: Item<'_>| read::seconds(&item).map(Some);
        match name {
            "iss" => self.issuer = text(item)?,
            "sub" => self.subject = text(item)?,
            "aud" => self.audiences = read::list(item)?,
            "exp" => self.expires_at = seconds(item)?,
            "nbf" => self.not_before = seconds(item)?,
            "iat" => self.issued_at = seconds(item)?,
            "jti" => self.token_id = text(item)?,
            "cnf" => {
                let Item::Other(cnf) = item else { return Err(TokenError::Confirmation) };
                self.confirmation = Confirmation::read(&cnf)?;
            }
            "client_id" => self.principal.client_id = text(item)?,
            "scope" => self.principal.scopes = read::scopes(&item)?,
            "tier" => self.principal.tier = text(item)?,
            "sessionId" => self.principal.session = text(item)?,
            "deviceId" => self.principal.device = text(item)?,
            "country" => self.principal.country = text(item)?,
            "role" => self.principal.role = text(item)?,
            _ => {}
        }
        Ok(())
    }
}

/// A payload as an object.
pub(crate) fn parse_object(payload: &[u8]) -> Result<Members<'_>, TokenError> {
    parse_members(payload).map_err(|_| TokenError::Claims)
}

/// `iss`, not checked any further: it only chooses whose rules and keys are asked.
pub(crate) fn issuer<'m>(members: &'m Members<'_>) -> Result<&'m str, TokenError> {
    let found = members.iter().find(|(name, _)| name == "iss");
    found.and_then(|(_, item)| item.as_str()).ok_or(TokenError::Claims)
}

#[cfg(test)]
mod tests;
