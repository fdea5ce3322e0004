//! Authorization requests that are kept here under a `request_uri`, which alone opens them: an ID
//! token may be among their parameters.

use postern_oauth::{
    AuthorizeFault, Endpoint, Form, KeptRequest, MAX_BODY_BYTES, OAuthError, REQUEST_URI_PREFIX,
    Received,
};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_store::{FlowKey, FlowKind};

use super::OAuthService;
use super::locations::escaped;
use super::service::{failed, store_failed};
use crate::held::Held;
use crate::{IdentityError, random};

/// How long a request is kept: its browser comes soon, but its user may have to log in first.
const KEEP_MS: u64 = 600_000;

impl OAuthService {
    /// Keeps a request that a browser has sent as a form, and says where the browser comes again.
    ///
    /// # Errors
    /// Those of the store; within, what the user is told.
    pub(crate) async fn keep_form(
        &self,
        content_type: Single<'_>,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<Result<String, AuthorizeFault>, OAuthError> {
        let Ok(form) = Form::read(content_type, body) else {
            return Ok(Err(AuthorizeFault::Unreadable));
        };
        let received = match Received::parse(&form) {
            Ok(received) => received,
            Err(fault) => return Ok(Err(fault)),
        };
        let client_id = received.client_id();
        // Nothing is kept for whoever is nobody: there is room for so much and no more.
        let known =
            self.clients.find(client_id, now).await.map_err(|error| store_failed(&error))?;
        if !known.is_some_and(|known| known.client.is_active) {
            return Ok(Err(AuthorizeFault::UnknownClient));
        }
        // One that names another is sent on as it is.
        let request_uri = match received.pushed() {
            Some(request_uri) => request_uri.to_owned(),
            None => {
                let kept = KeptRequest {
                    client_id: client_id.to_owned(),
                    parameters: received.to_query(),
                    is_pushed: false,
                    dpop_jkt: None,
                    kept_at: now,
                    is_opened: false,
                };
                // Written in full, it is longer than it may have come; it is read again.
                if kept.parameters.len() > MAX_BODY_BYTES {
                    return Ok(Err(AuthorizeFault::TooLarge));
                }
                self.keep(&kept, now).await?
            }
        };
        let mut to = Endpoint::Authorize.path().to_owned();
        to.push_str("?client_id=");
        escaped(&mut to, client_id);
        to.push_str("&request_uri=");
        escaped(&mut to, &request_uri);
        Ok(Ok(to))
    }

    /// Keeps a request, and returns its `request_uri`.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn keep(
        &self,
        request: &KeptRequest,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let name = random::secret().map_err(|error| failed(&error))?;
        let uri = [REQUEST_URI_PREFIX, name.expose()].concat();
        let sealed = sealed(&uri, request).map_err(|error| failed(&error))?;
        let put = self.flows.put(key(&uri), &sealed, KEEP_MS, now).await;
        match put.map_err(|error| store_failed(&error))? {
            true => Ok(uri),
            // 256 random bits do not come twice.
            false => Err(OAuthError::server_error()),
        }
    }

    /// A request that is kept. One that was pushed is opened by this, so that its user may take
    /// longer than its client had to.
    ///
    /// # Errors
    /// Those of the store; within, that there is none.
    pub(super) async fn kept(
        &self,
        request_uri: &str,
        now: UnixMillis,
    ) -> Result<Result<(KeptRequest, Form), AuthorizeFault>, OAuthError> {
        let key = key(request_uri);
        let found = self.flows.peek(key, now).await;
        let found = found.map_err(|error| store_failed(&error))?.unwrap_or_default();
        let read = opened(request_uri, &found).filter(|request| request.is_current(now));
        let read = read.and_then(|request| {
            let form = Form::parse(request.parameters.as_bytes()).ok()?;
            Some((request, form))
        });
        let Some((request, form)) = read else { return Ok(Err(AuthorizeFault::UnknownRequest)) };
        if let Some(opened) = request.opened() {
            // Whoever was faster has written the same.
            let to = sealed(request_uri, &opened).map_err(|error| failed(&error))?;
            let swapped = self.flows.swap(key, &found, &to, now).await;
            swapped.map_err(|error| store_failed(&error))?;
        }
        Ok(Ok((request, form)))
    }

    /// Takes a request out that was answered; whether it was there, which of calls at the same
    /// time one alone is told.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn use_up(
        &self,
        request_uri: &str,
        now: UnixMillis,
    ) -> Result<bool, OAuthError> {
        let taken = self.flows.take(key(request_uri), now).await;
        taken.map(|taken| taken.is_some()).map_err(|error| store_failed(&error))
    }
}

fn key(request_uri: &str) -> FlowKey {
    FlowKey::of(FlowKind::Par, request_uri.as_bytes())
}

fn sealed(request_uri: &str, request: &KeptRequest) -> Result<Vec<u8>, IdentityError> {
    let place = key(request_uri).to_bytes();
    Held::Request.seal(request_uri.as_bytes(), &place, &request.encode())
}

fn opened(request_uri: &str, kept: &[u8]) -> Option<KeptRequest> {
    let place = key(request_uri).to_bytes();
    let clear = Held::Request.open(request_uri.as_bytes(), &place, kept)?;
    KeptRequest::decode(&clear)
}
