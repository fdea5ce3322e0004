//! Access tokens as credentials of the admin API: of our own issuer, with the scope for it.

use std::sync::Arc;

use postern_document::{Current, Document, Role};
use postern_identity::admin::Actor;
use postern_identity::ports::RevokedTokens;
use postern_identity::{ADMIN_SCOPE, TokenIssuer};
use postern_jose::{CompactJws, TokenError, VerifiedToken};
use postern_oauth::Acr;
use postern_request::json::{self, Value};
use postern_request::{Challenge, Denial, ErrorCode, UnixMillis};

/// Judges access tokens. It checks them with the public keys that are published, and can make
/// none.
pub struct AdminTokens {
    issuer: TokenIssuer,
    revoked: Arc<dyn RevokedTokens>,
    document: Current<Document>,
}

/// Why a token opens nothing here.
#[derive(Debug)]
pub struct Refused {
    /// The answer.
    pub denial: Denial,
    /// Who it was, where the token holds and does not reach far enough.
    pub who: Option<Actor>,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, who: None }
    }
}

impl AdminTokens {
    /// Of an issuer, whose tokens may be revoked.
    pub fn new(
        issuer: TokenIssuer,
        revoked: Arc<dyn RevokedTokens>,
        document: Current<Document>,
    ) -> Self {
        Self { issuer, revoked, document }
    }

    /// Whether some role of the document may administer the gateway: without one, and without the
    /// credential, nobody could come in.
    pub fn are_had(&self) -> bool {
        let document = self.document.load();
        let login = document.login.as_ref();
        login.is_some_and(|login| login.roles.iter().any(Role::opens_admin_api))
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        self.issuer.issuer()
    }

    /// What a token says, whoever shows it; whether it was revoked is asked apart.
    ///
    /// # Errors
    /// Where it does not hold.
    pub fn inspect(&self, token: &str, now: UnixMillis) -> Result<VerifiedToken, TokenError> {
        self.issuer.inspect_bound(token, now)
    }

    /// Whether it was revoked, or what is known of that is too old.
    pub fn is_revoked(&self, token: &VerifiedToken, now: UnixMillis) -> bool {
        self.revoked.is_revoked(token, now)
    }

    /// Who shows a token that opens the admin API. One that is bound to a key or a certificate
    /// does not: nothing here asks for the proof. Nor does one by which somebody acts for another.
    ///
    /// # Errors
    /// The first check that failed; the caller is not told which.
    pub fn judge(&self, shown: &[u8], now: UnixMillis) -> Result<Actor, Refused> {
        let wrong = |reason| Refused::from(Denial::invalid_token(reason));
        let text = str::from_utf8(shown).map_err(|_| wrong("admin_credential_wrong"))?;
        let token = self.issuer.inspect(text, now).map_err(|_| wrong("admin_credential_wrong"))?;
        if self.is_revoked(&token, now) {
            let mut denial = Denial::new(ErrorCode::TokenRevoked, "admin_token_revoked");
            denial.challenge = Some(Challenge::InvalidToken);
            return Err(denial.into());
        }
        // What was made for a service opens that service.
        if !token.claims.audiences.iter().any(|audience| audience == self.issuer.issuer()) {
            return Err(wrong("admin_token_audience"));
        }
        let said = payload(text).ok_or_else(|| wrong("admin_credential_wrong"))?;
        // What somebody does by a token of another one, under that one's name, is not for here.
        if said.get("act").is_some() {
            return Err(wrong("admin_token_delegated"));
        }
        let principal = token.principal();
        let who = Actor::of_token(&principal.subject, principal.client_id.as_deref());
        if !principal.scopes.iter().any(|scope| scope == ADMIN_SCOPE) {
            let denial = Denial::insufficient_scope(&[ADMIN_SCOPE.to_owned()]);
            return Err(Refused { denial, who: Some(who) });
        }
        if self.wants_several_factors(principal.role.as_deref()) && !has_several_factors(&said) {
            let code = ErrorCode::InsufficientUserAuthentication;
            let mut denial = Denial::new(code, "admin_token_one_factor");
            denial.challenge = Some(Challenge::Missing);
            return Err(Refused { denial, who: Some(who) });
        }
        Ok(who)
    }

    /// As the document says of the token's role.
    fn wants_several_factors(&self, role: Option<&str>) -> bool {
        let document = self.document.load();
        let roles = document.login.as_ref().map(|login| login.roles.as_slice());
        roles.unwrap_or_default().iter().any(|known| Some(known.name.as_str()) == role && known.mfa)
    }
}

/// What a token that holds says, every claim of it.
fn payload(token: &str) -> Option<Value> {
    let jws = CompactJws::parse(token).ok()?;
    json::parse(&jws.payload).ok()
}

/// By its `acr`.
fn has_several_factors(said: &Value) -> bool {
    let acr = said.get("acr").and_then(Value::as_str);
    acr.and_then(Acr::parse).is_some_and(|acr| acr.satisfies(Acr::SeveralFactors))
}

#[cfg(test)]
mod tests;
