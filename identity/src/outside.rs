//! Logging in at an outside provider: the code flow of OpenID Connect (Core §3.1) with PKCE, as a
//! relying party.
//!
//! An answer is somebody's word about somebody, brought along by a browser that anybody may have
//! sent. So it counts once, in the browser that asked for it, on the path of the provider that was
//! asked, and for what that provider has signed with its own keys. What becomes of the person then
//! is the document's to say, and [`LoginService::outside`] does it.
//!
//! Deliberately absent: the provider's tokens. They are looked at and forgotten; nothing here
//! speaks to a provider in anybody's name later on.

mod endpoint;
mod error;
mod exchange;
#[cfg(test)]
pub(crate) mod fixture;
mod id_token;
mod known;
mod metadata;
mod pending;
mod person;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use postern_document::{Current, OutsideProvider};
use postern_jose::{CompactJws, TokenError};
use postern_oauth::{Acr, CHALLENGE_METHOD, Form, RedirectUri, Secret};
use postern_request::UnixMillis;
use postern_request::json::{self, Value};
use postern_request::login::{OUTSIDE_PATH, ReturnTo};
use postern_store::FlowStore;

use crate::login::{LoginRules, OutsidePerson};
use crate::metrics::OutsideOutcome;
use crate::ports::{Outbound, OutboundWith};
use crate::{AwsLcVerifier, Caller, LoginError, LoginService, Outcome, OutsideMetrics, random};
use exchange::{Code, Tokens, exchange, text_of};
use known::Provider;
pub use known::Providers;
use metadata::Metadata;
use pending::Pending;

pub use error::OutsideError;

/// Where a provider sends browsers back to, behind its name.
pub(crate) const CALLBACK: &str = "/callback";

/// What logging in elsewhere works with.
pub struct OutsideParts {
    /// Logs people in, and knows the document.
    pub login: Arc<LoginService>,
    /// Log-ins that are under way elsewhere.
    pub flows: Arc<dyn FlowStore>,
    /// Asks providers.
    pub outbound: Arc<dyn Outbound>,
    /// Asks them what an access token opens.
    pub with_token: Arc<dyn OutboundWith>,
    /// The providers that the document names.
    pub providers: Current<Providers>,
    /// What is counted.
    pub metrics: OutsideMetrics,
}

/// Sends people to outside providers, and understands what they bring back.
pub struct OutsideService {
    login: Arc<LoginService>,
    flows: Arc<dyn FlowStore>,
    outbound: Arc<dyn Outbound>,
    with_token: Arc<dyn OutboundWith>,
    providers: Current<Providers>,
    verifier: AwsLcVerifier,
    metrics: OutsideMetrics,
}

/// How somebody comes to log in elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideStart<'a> {
    /// The cookie of a log-in that is under way.
    pub cookie: Option<&'a [u8]>,
    /// Where the browser goes afterwards; none goes where the log-in under way does.
    pub return_to: Option<ReturnTo>,
    /// How well its user has to authenticate.
    pub wants: Acr,
    /// How long ago that may have been there, in seconds.
    pub max_age_secs: Option<u64>,
}

/// Where somebody goes to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideStarted {
    /// The provider's authorization endpoint, with a request.
    pub location: String,
    /// The cookie of a log-in that has begun; none where one goes on.
    pub cookie: Option<Secret>,
}

impl OutsideService {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: OutsideParts) -> Self {
        let OutsideParts { login, flows, outbound, with_token, providers, metrics } = parts;
        let verifier = AwsLcVerifier::new();
        Self { login, flows, outbound, with_token, providers, verifier, metrics }
    }

    /// Sends somebody to a provider.
    ///
    /// # Errors
    /// [`OutsideError`].
    pub async fn start(
        &self,
        name: &str,
        start: OutsideStart<'_>,
        now: UnixMillis,
    ) -> Result<OutsideStarted, OutsideError> {
        let (rules, providers) = (self.login.rules(), self.providers.load());
        let (provider, known) = provider_of(&providers, name)?;
        let started = self.begin(provider, known, &rules, start, now).await;
        let outcome = match &started {
            Ok(_) => OutsideOutcome::Started,
            Err(error) => OutsideOutcome::of(error),
        };
        self.metrics.count(&provider.name, outcome);
        started
    }

    async fn begin(
        &self,
        provider: &OutsideProvider,
        known: &Provider,
        rules: &LoginRules,
        start: OutsideStart<'_>,
        now: UnixMillis,
    ) -> Result<OutsideStarted, OutsideError> {
        // Before anything is kept: somebody whom nobody can sign in needs no log-in.
        let metadata = known.metadata(&provider.issuer, self.outbound.as_ref(), now).await?;
        let OutsideStart { cookie, return_to, wants, max_age_secs } = start;
        let going_on = match (cookie, &return_to) {
            (Some(cookie), None) => {
                let flow = self.login.flow(cookie, now).await?;
                flow.map(|flow| (cookie, flow.max_age_secs))
            }
            _ => None,
        };
        // Who was sent to log in anew does so there, too: a session of theirs there is no log-in.
        let of_flow = going_on.and_then(|(_, max_age_secs)| max_age_secs);
        let max_age_secs = max_age_secs.into_iter().chain(of_flow).min();
        let made = match going_on {
            Some(_) => None,
            None => Some(self.login.begin(return_to.unwrap_or_default(), wants, now).await?),
        };
        let of_made = made.as_ref().map(|cookie| cookie.expose().as_bytes());
        let Some(cookie) = going_on.map(|(cookie, _)| cookie).or(of_made) else {
            return Err(LoginError::Internal.into());
        };
        let state = random::secret()?;
        let Some(key) = pending::key(state.expose()) else {
            return Err(LoginError::Internal.into());
        };
        let pending = Pending::new(&provider.name, cookie, max_age_secs, now);
        if !self.flows.put(key, &pending.encode(), pending::LIFE_MS, now).await? {
            return Err(LoginError::Internal.into());
        }
        let location = request(&metadata, provider, rules, state.expose(), cookie, max_age_secs);
        Ok(OutsideStarted { location, cookie: made })
    }

    /// What a provider's answer comes to, in the browser with this cookie.
    ///
    /// # Errors
    /// [`OutsideError`].
    pub async fn finish(
        &self,
        name: &str,
        cookie: &[u8],
        answer: &Form,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, OutsideError> {
        let (rules, providers) = (self.login.rules(), self.providers.load());
        let (provider, known) = provider_of(&providers, name)?;
        let done = match self.vouched(provider, known, &rules, cookie, answer, now).await {
            Ok(person) => self.login.outside(cookie, person, caller, now).await,
            Err(error) => Err(error),
        };
        let outcome = match &done {
            Ok(Outcome::Done(_)) => OutsideOutcome::LoggedIn,
            Ok(Outcome::Ask(_)) => OutsideOutcome::Asked,
            Err(error) => {
                tracing::info!(provider = name, %error, "a log-in elsewhere came to nothing");
                OutsideOutcome::of(error)
            }
        };
        self.metrics.count(&provider.name, outcome);
        done
    }

    /// Whom a provider vouches for.
    async fn vouched(
        &self,
        provider: &OutsideProvider,
        known: &Provider,
        rules: &LoginRules,
        cookie: &[u8],
        answer: &Form,
        now: UnixMillis,
    ) -> Result<OutsidePerson, OutsideError> {
        let state = answer.get("state").unwrap_or_default();
        let key = pending::key(state).ok_or(OutsideError::State("there is none"))?;
        // Taken before it is looked at: whatever comes of it, it was used.
        let kept = self.flows.take(key, now).await?;
        let kept = kept.ok_or(OutsideError::State("it was used, or is over"))?;
        let pending = Pending::decode(&kept).ok_or(OutsideError::State("it cannot be read"))?;
        pending.belongs_to(&provider.name, cookie, now)?;
        let outbound = self.outbound.as_ref();
        let metadata = known.metadata(&provider.issuer, outbound, now).await?;
        // RFC 9207 §2.4; the path says it as well (RFC 9700 §4.4.2).
        match answer.get("iss") {
            Some(issuer) if issuer != provider.issuer => {
                return Err(OutsideError::Answer("it names another issuer"));
            }
            None if metadata.names_issuer => {
                return Err(OutsideError::Answer("it does not name its issuer"));
            }
            _ => {}
        }
        if answer.get("error").is_some() {
            return Err(OutsideError::Denied);
        }
        let code = answer.get("code").ok_or(OutsideError::Answer("it has no code"))?;
        let verifier = pending::verifier(state, cookie);
        let redirect_uri = callback(rules, provider);
        let code = Code { code, redirect_uri: &redirect_uri, verifier: &verifier };
        let tokens = exchange(outbound, &metadata, provider, &known.secret, &code).await?;
        let asked = Asked { provider, known, metadata: &metadata };
        let nonce = pending::nonce(state, cookie);
        // How long ago that may be counts from when they were sent there.
        let under_way_secs = now.millis_since(pending.started_at).div_ceil(1000);
        let max_age_secs = pending.max_age_secs.map(|most| most.saturating_add(under_way_secs));
        let claims = self.verify(&asked, &tokens, &nonce, max_age_secs, now).await?;
        let more = self.more(&asked, &tokens, &claims).await?;
        let person = person::person(provider, &claims, more.as_ref())?;
        let at = id_token::authenticated_at(&claims, now);
        // Clocks differ, by so little that the token was taken: what was asked for was done.
        let authenticated_at = at.map(|at| at.max(pending.earliest()));
        Ok(OutsidePerson { authenticated_at, ..person })
    }

    /// The claims of an ID token that holds.
    async fn verify(
        &self,
        asked: &Asked<'_>,
        tokens: &Tokens,
        nonce: &Secret,
        max_age_secs: Option<u64>,
        now: UnixMillis,
    ) -> Result<Value, OutsideError> {
        let unfit = |error: TokenError| OutsideError::Answer(error.reason());
        let jws = CompactJws::parse(tokens.id_token.expose()).map_err(unfit)?;
        let Asked { provider, known, metadata } = *asked;
        let outbound = self.outbound.as_ref();
        let keys = known.keys(metadata, outbound, now).await?;
        let mut verifier = self.verifier.clone();
        let mut held = jws.verified_by(&keys, &mut verifier).map(|_| ());
        if matches!(held, Err(TokenError::Key | TokenError::Signature))
            && let Some(newer) = known.newer_keys(&keys, metadata, outbound, now).await?
        {
            held = jws.verified_by(&newer, &mut verifier).map(|_| ());
        }
        held.map_err(unfit)?;
        let expected = id_token::Expected {
            issuer: &provider.issuer,
            client_id: &provider.client_id,
            nonce,
            max_age_secs,
            access_token: tokens.access_token.as_ref(),
        };
        id_token::judge(&jws, &expected, now).map_err(OutsideError::Answer)
    }

    /// What the provider says of the same person besides, where that is needed.
    async fn more(
        &self,
        asked: &Asked<'_>,
        tokens: &Tokens,
        claims: &Value,
    ) -> Result<Option<Value>, OutsideError> {
        let (Some(url), Some(token)) = (&asked.metadata.userinfo, &tokens.access_token) else {
            return Ok(None);
        };
        if !person::asks_more(asked.provider, claims) {
            return Ok(None);
        }
        let bearer = Secret::new(["Bearer ", token.expose()].concat());
        let said = self.with_token.get_with(url, "authorization", &bearer).await;
        let said = json::parse(&said.map_err(OutsideError::Away)?);
        let said = said.map_err(|_| OutsideError::Answer("what it says of them is no JSON"))?;
        // Core §5.3.2: without this, an access token of somebody else would lend them its claims.
        if text_of(&said, "sub").is_none() || text_of(&said, "sub") != text_of(claims, "sub") {
            return Err(OutsideError::Answer("it speaks of somebody else"));
        }
        Ok(Some(said))
    }
}

/// A provider that the document names, and whose secret was read with it.
fn provider_of<'a>(
    providers: &'a Providers,
    name: &str,
) -> Result<(&'a OutsideProvider, &'a Provider), OutsideError> {
    let (provider, known) = providers.find(name).ok_or(OutsideError::Unknown)?;
    Ok((provider, known))
}

/// Whom an answer is looked at for.
struct Asked<'a> {
    provider: &'a OutsideProvider,
    known: &'a Provider,
    metadata: &'a Metadata,
}

/// Where a provider sends browsers back to. Each has a place of its own, so that an answer of one
/// cannot pass for another one's.
fn callback(rules: &LoginRules, provider: &OutsideProvider) -> String {
    [rules.issuer.trim_end_matches('/'), OUTSIDE_PATH, &provider.name, CALLBACK].concat()
}

/// The authorization request (Core §3.1.2.1).
fn request(
    metadata: &Metadata,
    provider: &OutsideProvider,
    rules: &LoginRules,
    state: &str,
    cookie: &[u8],
    max_age_secs: Option<u64>,
) -> String {
    let (redirect_uri, scope) = (callback(rules, provider), provider.scopes.join(" "));
    let nonce = pending::nonce(state, cookie);
    let challenge = pending::challenge(&pending::verifier(state, cookie));
    let max_age = max_age_secs.map(|seconds| seconds.to_string());
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", provider.client_id.as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("scope", scope.as_str()),
        ("state", state),
        ("nonce", nonce.expose()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", CHALLENGE_METHOD),
    ];
    pairs.extend(max_age.as_deref().map(|max_age| ("max_age", max_age)));
    RedirectUri::with_query(&metadata.authorization, &pairs)
}
