//! Another token for one that is there (RFC 8693): a service that was called with a user's token
//! calls the next one for that user.
//!
//! What is issued is never wider or longer than what was shown, and bound to the same key or
//! certificate. Whether it says who acts ([`Actor`]) is the client's choice; that it may act at
//! all is an operator's: a client without a word about it in its record (`may_act_for`) makes its
//! own tokens smaller and nothing else.

mod facts;

use postern_request::UnixMillis;

use crate::token::{check_grant, confirmation, is_same_key, lifetime};
use crate::{
    Actor, Client, ClientKind, Form, GrantType, Issue, IssueAccessToken, OAuthError,
    OFFLINE_ACCESS, ScopeSet, Secret, ServerRules, resource,
};

pub use facts::{MayAct, TokenFacts};

/// How RFC 8693 §3 calls an access token: the one kind that is issued.
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same, by its form.
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Most parties that one token may name as acting one for the other.
pub(crate) const MAX_ACTORS: usize = 4;

/// A request of RFC 8693 §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenExchange {
    /// `subject_token`: whom the new token shall speak for.
    pub subject: Secret,
    /// `actor_token`: who shall act for them.
    pub actor: Option<Secret>,
    /// `scope`; none asks for all that the subject's token has and the client may have.
    pub scope: Option<ScopeSet>,
    /// `resource` and `audience`: where the new token shall be usable. A target service has no
    /// other name here than its URI.
    pub resources: Vec<String>,
}

/// What a request has proven to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// The thumbprint of a key (RFC 9449).
    pub key: Option<[u8; 32]>,
    /// The hash of a certificate (RFC 8705).
    pub certificate: Option<[u8; 32]>,
}

impl TokenExchange {
    pub(crate) fn parse(form: &Form) -> Result<Self, OAuthError> {
        let token = |name: &str| form.get(name).map(|text| Secret::new(text.to_owned()));
        let is_known = |kind: &str| [ACCESS_TOKEN_TYPE, JWT_TYPE].contains(&kind);
        let (Some(subject), Some(kind)) = (token("subject_token"), form.get("subject_token_type"))
        else {
            return Err(OAuthError::invalid_request(
                "The parameters subject_token and subject_token_type are required",
            ));
        };
        let actor = token("actor_token");
        let actor_kind = form.get("actor_token_type");
        if actor.is_some() != actor_kind.is_some() {
            return Err(OAuthError::invalid_request(
                "The parameters actor_token and actor_token_type go together",
            ));
        }
        if !is_known(kind) || !actor_kind.is_none_or(is_known) {
            return Err(OAuthError::invalid_request("Access tokens alone are exchanged here"));
        }
        let wanted = form.get("requested_token_type");
        if wanted.is_some_and(|wanted| wanted != ACCESS_TOKEN_TYPE) {
            return Err(OAuthError::invalid_request("Access tokens alone are issued here"));
        }
        let scope = form.get("scope").map(ScopeSet::parse).transpose();
        Ok(Self {
            subject,
            actor,
            scope: scope.map_err(|_| OAuthError::invalid_scope("A scope is malformed"))?,
            resources: resource::parse(form.all("resource").chain(form.all("audience")))?,
        })
    }

    /// Decides, for a client that has proven who it is. `subject` and `actor` are what the two
    /// tokens say, which are ours, good now and not revoked.
    ///
    /// # Errors
    /// Why nothing is issued. What is wrong with a token is `invalid_request` (§2.2.2).
    pub fn decide(
        &self,
        client: &Client,
        subject: &TokenFacts,
        actor: Option<&TokenFacts>,
        held: Held,
        server: &ServerRules,
        now: UnixMillis,
    ) -> Result<Issue, OAuthError> {
        // An id alone is no credential, and the token could be anybody's.
        if client.kind != ClientKind::Confidential {
            return Err(OAuthError::invalid_client());
        }
        check_grant(client, server, GrantType::TokenExchange)?;
        if self.actor.is_some() != actor.is_some() {
            return Err(bad_token());
        }
        for token in actor.into_iter().chain([subject]) {
            check_held(token, held)?;
        }
        let reach = reach(client, subject);
        let act = match actor {
            None if reach == Reach::Nothing => return Err(OAuthError::unauthorized_client()),
            None => subject.act.clone(),
            Some(actor) => Some(delegate(client, subject, actor, reach)?),
        };
        let audiences = self.audiences(client, subject, reach, server)?;
        let now_secs = now.as_secs();
        let left = actor.into_iter().chain([subject]).map(|token| token.expires_at).min();
        let left = left.unwrap_or_default().saturating_sub(now_secs);
        let lifetime_secs = lifetime(client, server).min(left);
        if lifetime_secs == 0 {
            return Err(bad_token());
        }
        // What the caller has proven binds the new token, and by `check_held` the old one's
        // binding is part of that.
        let mut bound = confirmation(client, server, held.key, held.certificate)?;
        bound.certificate = bound.certificate.or(subject.confirmation.certificate);
        let access = IssueAccessToken {
            subject: subject.subject.clone(),
            client_id: client.client_id.clone(),
            scopes: server.scopes_at(&audiences, &self.scopes(client, subject)?),
            audiences,
            lifetime_secs,
            session: subject.session.clone(),
            confirmation: bound,
            auth_time: subject.auth_time,
            acr: subject.acr,
            amr: subject.amr.clone(),
            act,
            ..IssueAccessToken::default()
        };
        let issued_token_type = Some(ACCESS_TOKEN_TYPE);
        Ok(Issue { access, refresh: None, id_token: None, issued_token_type })
    }

    /// Never more than the subject's token has, nor than the client may have, and nothing that
    /// outlives it.
    fn scopes(&self, client: &Client, subject: &TokenFacts) -> Result<ScopeSet, OAuthError> {
        let may = subject.scopes.filtered(|name| client.scopes.contains(name));
        let may = may.filtered(|name| name != OFFLINE_ACCESS);
        let scopes = may
            .narrow(self.scope.as_ref())
            .map_err(|_| OAuthError::invalid_scope("A scope is not the token's or the client's"))?;
        if scopes.is_empty() && !subject.scopes.is_empty() {
            return Err(OAuthError::invalid_scope("Nothing of the token's scopes is the client's"));
        }
        Ok(scopes)
    }

    /// Where the token can be used: where the old one can, or with an operator's word wherever the
    /// client's own tokens can.
    fn audiences(
        &self,
        client: &Client,
        subject: &TokenFacts,
        reach: Reach,
        server: &ServerRules,
    ) -> Result<Vec<String>, OAuthError> {
        let audiences = match reach {
            Reach::Others if !self.resources.is_empty() => self.resources.clone(),
            _ => resource::narrow(&subject.audiences, &self.resources)?,
        };
        server.check_resources(client, &audiences)?;
        Ok(audiences)
    }
}

/// For whose tokens a client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Its record names the client that the token was issued to.
    Others,
    /// It is that client.
    Own,
    Nothing,
}

fn reach(client: &Client, subject: &TokenFacts) -> Reach {
    let names = |one: &String| one == Client::ALL || *one == subject.client_id;
    match subject.client_id == client.client_id {
        _ if client.may_act_for.iter().any(names) => Reach::Others,
        true => Reach::Own,
        false => Reach::Nothing,
    }
}

/// Whoever shows a token that is bound has to hold what it is bound to: a stolen one would become
/// a good one here otherwise.
fn check_held(token: &TokenFacts, held: Held) -> Result<(), OAuthError> {
    let bound = &token.confirmation;
    let holds =
        is_same_key(bound.key, held.key) && is_same_key(bound.certificate, held.certificate);
    if holds { Ok(()) } else { Err(bad_token()) }
}

/// Who acts for the subject (§4.1), where they may: the subject's token says who (§4.4), else the
/// client's record.
fn delegate(
    client: &Client,
    subject: &TokenFacts,
    actor: &TokenFacts,
    reach: Reach,
) -> Result<Actor, OAuthError> {
    // Whoever holds a token of somebody else is not them.
    if actor.client_id != client.client_id {
        return Err(bad_token());
    }
    let may = match &subject.may_act {
        Some(may_act) => may_act.names(actor),
        None => reach == Reach::Others,
    };
    if !may {
        return Err(OAuthError::unauthorized_client());
    }
    let acts = Actor {
        subject: actor.subject.clone(),
        client_id: Some(actor.client_id.clone()),
        former: subject.act.clone().map(Box::new),
    };
    if acts.depth() > MAX_ACTORS {
        return Err(bad_token());
    }
    Ok(acts)
}

/// The one answer to a token that is none, is over, was revoked, or is not the caller's to show.
const fn bad_token() -> OAuthError {
    OAuthError::invalid_request("A token is invalid, has expired, was revoked, or is not bound so")
}

impl TokenExchange {
    /// What a client is told whose subject or actor token does not hold.
    #[must_use]
    pub const fn bad_token() -> OAuthError {
        bad_token()
    }
}

#[cfg(test)]
mod tests;
