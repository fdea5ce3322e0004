//! Clients register themselves (RFC 7591), where the document lets them.

use postern_oauth::{
    Endpoint, ErrorCode, NewRegistration, OAuthError, REGISTER_SCOPE, RedirectUri,
    RegistrationAnswer, RegistrationRequest, Secret,
};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_store::durable::{self, ClientOrigin, ClientRecord};

use super::service::{failed, store_failed};
use super::userinfo::shown;
use super::{OAuthService, UserinfoCall};
use crate::metrics::GrantOutcome;
use crate::{IdentityError, audit, random};

/// Who registers where everybody may.
const ANYBODY: &str = "anybody";

/// A request of this endpoint.
#[derive(Debug, Clone, Copy)]
pub struct RegisterCall<'a> {
    /// `authorization`: the initial access token, where one is needed.
    pub authorization: Single<'a>,
    /// `DPoP`
    pub dpop: Single<'a>,
    /// SHA-256 of the certificate that was shown on the connection.
    pub certificate: Option<[u8; 32]>,
    /// `content-type`
    pub content_type: Single<'a>,
    /// The body.
    pub body: &'a [u8],
}

impl OAuthService {
    /// Registers a client: the body of the answer, which shows its secret this once.
    ///
    /// # Errors
    /// Why it was not registered.
    pub async fn register(
        &self,
        call: RegisterCall<'_>,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let answer = self.try_to_register(call, now).await;
        self.grants.registration(GrantOutcome::of(&answer));
        answer
    }

    async fn try_to_register(
        &self,
        call: RegisterCall<'_>,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let rules = self.rules();
        // Nobody comes here where it is not served; and if somebody did, they might do nothing.
        let Some(registering) = &rules.registering else {
            return Err(OAuthError::invalid_request("Nobody registers here"));
        };
        // Who may not register learns nothing about what could be registered.
        let by = match registering.needs_token {
            true => self.registrar(call, now).await?,
            false => ANYBODY.to_owned(),
        };
        if !call.content_type.one().is_some_and(is_json) {
            return Err(OAuthError::invalid_request("The content type must be application/json"));
        }
        let request = RegistrationRequest::parse(call.body)?;
        let new = request.decide(&self.told_rules(now), &registering.scopes)?;
        let (record, secret) =
            record_of(&new, rules.unused_for_ms, now).map_err(|error| failed(&error))?;
        let client_id = record.client_id.clone();
        let scopes = new.scopes.to_string();
        // What it says of itself is a stranger's, and stays out of the log.
        let detail = [("method", new.auth_method.as_str()), ("scopes", scopes.as_str())];
        let entry = audit::entry(now, &by, "client.registered", &client_id, &detail);
        // First: what cannot be written down does not happen.
        self.store.append_audit(&entry).await.map_err(|error| store_failed(&error))?;
        self.store.insert_client(record).await.map_err(|error| store_failed(&error))?;
        tracing::info!(client_id, by, "a client was registered");
        let answer = RegistrationAnswer {
            registered: &new,
            client_id: &client_id,
            secret: secret.as_ref(),
            issued_at_secs: now.as_secs(),
        };
        Ok(answer.body())
    }

    /// Whose initial access token it is: one of ours with the scope for it.
    async fn registrar(
        &self,
        call: RegisterCall<'_>,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let (scheme, token) = shown(call.authorization)?;
        let call = UserinfoCall {
            method: "POST",
            authorization: call.authorization,
            dpop: call.dpop,
            certificate: call.certificate,
        };
        let verified = self.verified(call, Endpoint::Register, (scheme, token), now).await;
        let verified = verified.map_err(|error| error.at_resource(scheme))?;
        let principal = verified.principal();
        if !principal.scopes.iter().any(|scope| scope == REGISTER_SCOPE) {
            return Err(OAuthError::new(
                ErrorCode::InsufficientScope,
                "The token does not allow to register clients",
            )
            .at_resource(scheme));
        }
        Ok(principal.subject.clone())
    }
}

/// What is kept of a client, and the secret of which that is the hash. Its id is made here: nobody
/// chooses the name of a user or of another client (RFC 9700 §4.15).
fn record_of(
    new: &NewRegistration,
    unused_for_ms: u64,
    now: UnixMillis,
) -> Result<(ClientRecord, Option<Secret>), IdentityError> {
    let client_id = random::uuid()?;
    let secret = new.has_secret().then(random::secret).transpose()?;
    let kind = match new.kind {
        postern_oauth::ClientKind::Public => durable::ClientKind::Public,
        postern_oauth::ClientKind::Confidential => durable::ClientKind::Confidential,
    };
    let name = new.name.clone().unwrap_or_else(|| client_id.clone());
    let uris = |uris: &[RedirectUri]| uris.iter().map(|uri| uri.as_str().to_owned()).collect();
    let expires_unused_at = UnixMillis(now.0.saturating_add(unused_for_ms));
    let certificate = new.certificate.map(|hash| {
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    });
    let record = ClientRecord {
        secret_sha256: secret.as_ref().map(|secret| random::sha256(secret.expose().as_bytes())),
        grant_types: new.grant_types.iter().map(|grant| grant.as_str().to_owned()).collect(),
        response_types: new.response_types().iter().map(|one| (*one).to_owned()).collect(),
        redirect_uris: uris(&new.redirect_uris),
        post_logout_redirect_uris: uris(&new.post_logout_redirect_uris),
        scopes: new.scopes.names().to_vec(),
        // Whatever it says: nobody has looked at it but those who are asked.
        require_pkce: true,
        require_consent: true,
        require_par: new.require_par,
        bind_dpop: new.bind_dpop,
        auth_method: new.auth_method.as_str().to_owned(),
        jwks: new.jwks.as_ref().map(ToString::to_string),
        jwks_uri: new.jwks_uri.clone(),
        tls_subject: certificate,
        id_token_alg: new.id_token_alg.as_str().to_owned(),
        logo_uri: new.logo_uri.clone(),
        client_uri: new.client_uri.clone(),
        policy_uri: new.policy_uri.clone(),
        origin: ClientOrigin::Registered { expires_unused_at },
        ..ClientRecord::new(client_id, name, kind, now)
    };
    Ok((record, secret))
}

/// Whether a content type is JSON, with or without parameters.
fn is_json(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}
