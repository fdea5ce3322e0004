//! Browsers' sessions, by their cookies.
//!
//! A session's record is remembered for some seconds. What must hold at once does: a session that
//! was ended is on the list of what is revoked, which is asked on every request, and a cookie that
//! was replaced has another secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_document::{Browser, Document, OnChange, Route};
use postern_request::headers;
use postern_request::json::{self, Value};
use postern_request::principal::{Credential, Principal};
use postern_request::session_cookie::{self, ShownSession};
use postern_request::{Denial, ErrorCode, UnixMillis, cross_site};
use postern_store::flows::SessionRecord;
use postern_store::{FlowStore, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::authorizer::{Authorizer, Identified, Incoming, client_address};
use crate::metrics::SessionOutcome;
use crate::revoked::Named;
use crate::step_up::Authenticated;
use crate::touched::Used;

/// How long a session's record may be remembered.
const REMEMBERED_MS: u64 = 5_000;
const MAX_REMEMBERED: usize = 10_000;

/// A session, as far as requests need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownSession {
    secret: [u8; 32],
    ends_at: UnixMillis,
    /// Without the issuer, which is the document's.
    principal: Principal,
    /// In seconds.
    authenticated_at: u64,
    mfa_at: Option<u64>,
    fingerprint: Option<[u8; 16]>,
}

impl KnownSession {
    /// None for a session without a cookie: that of a grant.
    fn of(record: SessionRecord) -> Result<Option<Self>, StoreError> {
        let Some(secret) = record.secret else { return Ok(None) };
        let corrupt = || StoreError::Corrupt("a session's record".to_owned());
        let person = json::parse(&record.person).map_err(|_| corrupt())?;
        let text = |name: &str| person.get(name).and_then(Value::as_str).map(str::to_owned);
        let principal = Principal {
            subject: record.user_id,
            scopes: record.scopes,
            tier: text("tier"),
            role: text("role"),
            session: Some(record.id),
            device: record.device_id,
            credential: Credential::Session,
            ..Principal::default()
        };
        if !is_usable(&principal) {
            return Err(corrupt());
        }
        Ok(Some(Self {
            secret: secret.0,
            ends_at: record.ends_at,
            principal,
            authenticated_at: record.authenticated_at.as_secs(),
            mfa_at: record.mfa_at.map(UnixMillis::as_secs),
            fingerprint: record.fingerprint,
        }))
    }

    fn is_opened_by(&self, shown: &[u8; 32], now: UnixMillis) -> bool {
        bool::from(self.secret.ct_eq(shown)) && self.ends_at > now
    }
}

/// What came from a store must be fit for headers like everything else.
fn is_usable(principal: &Principal) -> bool {
    let Principal { subject, tier, role, session, device, .. } = principal;
    let texts = [Some(subject), tier.as_ref(), role.as_ref(), session.as_ref(), device.as_ref()];
    let mut texts = texts.into_iter().flatten().chain(&principal.scopes);
    texts.all(|text| headers::is_identity_value(text))
}

/// Looks sessions up.
pub struct Sessions {
    flows: Arc<dyn FlowStore>,
    remembered: Mutex<HashMap<String, (UnixMillis, Arc<KnownSession>)>>,
}

impl Sessions {
    /// Those of a store.
    #[must_use]
    pub fn new(flows: Arc<dyn FlowStore>) -> Self {
        Self { flows, remembered: Mutex::default() }
    }

    /// The session of a cookie's two halves, and whether it was remembered; none where there is
    /// none that they open.
    async fn find(
        &self,
        id: &str,
        secret: &str,
        now: UnixMillis,
    ) -> Result<Option<(Arc<KnownSession>, bool)>, StoreError> {
        let shown: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let remembered = self.recall(id, now).filter(|known| known.is_opened_by(&shown, now));
        if let Some(known) = remembered {
            return Ok(Some((known, true)));
        }
        // Also with another secret than the remembered one: whoever has just authenticated again
        // has a new cookie. Of what nobody knows nothing is remembered: it may begin any moment.
        let found = self.flows.find_session(id, now).await?;
        let known = found.map(KnownSession::of).transpose()?.flatten();
        let Some(known) = known.filter(|known| known.is_opened_by(&shown, now)) else {
            return Ok(None);
        };
        let known = Arc::new(known);
        self.remember(id, Arc::clone(&known), now);
        Ok(Some((known, false)))
    }

    fn recall(&self, id: &str, now: UnixMillis) -> Option<Arc<KnownSession>> {
        let remembered = self.lock();
        let (since, known) = remembered.get(id)?;
        is_fresh(*since, now).then(|| Arc::clone(known))
    }

    fn remember(&self, id: &str, known: Arc<KnownSession>, now: UnixMillis) {
        let mut remembered = self.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, (since, _)| is_fresh(*since, now));
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(id.to_owned(), (now, known));
    }

    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (UnixMillis, Arc<KnownSession>)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(since: UnixMillis, now: UnixMillis) -> bool {
    now >= since && now.millis_since(since) < REMEMBERED_MS
}

impl Authorizer {
    /// The caller by the cookie of a session. One that is no session's any more is refused, or
    /// passed over where the route does better with nobody than with a refusal.
    pub(crate) async fn by_session(
        &self,
        document: &Document,
        route: &Route,
        request: &Incoming,
        now: UnixMillis,
    ) -> Result<Identified, Denial> {
        let Some(cookie) = &document.session else { return Ok(Identified::default()) };
        let value = match ShownSession::of(&request.headers, &cookie.name) {
            ShownSession::Nothing => return Ok(Identified::default()),
            ShownSession::Unusable => None,
            ShownSession::Value(value) => Some(value),
        };
        let halves = value.as_deref().and_then(session_cookie::parse);
        let known = match halves {
            None => {
                self.parts.metrics.session(SessionOutcome::Unknown);
                None
            }
            Some((id, secret)) => self.open_session(document, request, (id, secret), now).await?,
        };
        let Some((known, changed)) = known else {
            return match route.passes_over_sessions() {
                true => Ok(Identified::default()),
                false => Err(Denial::invalid_session("session_unknown")),
            };
        };
        let scheme = cross_site::scheme(&request.headers, &request.scheme);
        let Incoming { method, authority, headers, .. } = request;
        if cross_site::is_from_elsewhere(method, scheme, authority, headers) {
            return Err(Denial::new(ErrorCode::Forbidden, "session_cross_site"));
        }
        let id = known.principal.session.clone().unwrap_or_default();
        let issuer = document.issuer.clone().unwrap_or_default();
        Ok(Identified {
            principal: Some(Principal { issuer, ..known.principal.clone() }),
            authenticated: Some(Authenticated {
                several_factors: known.mfa_at.is_some(),
                at: known.mfa_at,
                with_proof: false,
                changed,
            }),
            used: Some(Used::Session(id)),
            ..Identified::default()
        })
    }

    /// A session that holds, and whether another browser shows its cookie, so that a second factor
    /// is asked for.
    async fn open_session(
        &self,
        document: &Document,
        request: &Incoming,
        (id, secret): (&str, &str),
        now: UnixMillis,
    ) -> Result<Option<(Arc<KnownSession>, bool)>, Denial> {
        let metrics = &self.parts.metrics;
        let found = self.parts.sessions.find(id, secret, now).await.map_err(|error| {
            tracing::debug!(%error, "sessions cannot be looked up");
            metrics.session(SessionOutcome::Unavailable);
            Denial::unavailable("sessions_unavailable", 1)
        })?;
        let Some((known, was_remembered)) = found else {
            metrics.session(SessionOutcome::Unknown);
            return Ok(None);
        };
        let named = Named::Session {
            id,
            subject: &known.principal.subject,
            authenticated_at: known.authenticated_at,
        };
        match self.parts.revoked.check_named(document, named, now) {
            Ok(()) => {}
            Err(denial) if denial.code == ErrorCode::TokenRevoked => {
                self.parts.sessions.forget(id);
                metrics.session(SessionOutcome::Revoked);
                return Ok(None);
            }
            Err(denial) => return Err(denial),
        }
        let outcome = if was_remembered { SessionOutcome::Cached } else { SessionOutcome::Found };
        match self.judge_browser(document, request, secret, &known) {
            Some(OnChange::End) => {
                metrics.session(SessionOutcome::Unknown);
                Ok(None)
            }
            change => {
                metrics.session(outcome);
                Ok(Some((known, change == Some(OnChange::AskMfa))))
            }
        }
    }

    /// What is to become of a session whose browser shows something else of itself; none where it
    /// does not, or the document looks at nothing. Where the session is to end, that is for the
    /// log-in pages to do, which it is sent to: here it opens nothing.
    fn judge_browser(
        &self,
        document: &Document,
        request: &Incoming,
        secret: &str,
        known: &KnownSession,
    ) -> Option<OnChange> {
        let rules = &document.login.as_ref()?.fingerprint;
        let browser = Browser {
            user_agent: first_line(&request.headers, "user-agent"),
            accept_language: first_line(&request.headers, "accept-language"),
            platform: first_line(&request.headers, "sec-ch-ua-platform"),
            ip: client_address(document, request),
        };
        let (shown, kept) = (rules.of(secret, &browser)?, known.fingerprint?);
        if shown == kept {
            return None;
        }
        let session = known.principal.session.as_deref();
        tracing::debug!(session, "a session's browser shows something else of itself");
        Some(rules.on_change)
    }
}

/// A header as the log-in pages read it, too: of several lines the first.
fn first_line<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> &'a str {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| Browser::text(value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use postern_store::MemoryFlowStore;
    use postern_store::durable::SecretHash;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const ID: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

    fn record(secret: Option<&str>) -> SessionRecord {
        SessionRecord {
            id: ID.to_owned(),
            user_id: "alice".to_owned(),
            created_at: NOW,
            last_used: NOW,
            authenticated_at: NOW,
            mfa_at: None,
            methods: vec!["pwd".to_owned()],
            device_id: None,
            fingerprint: None,
            client_id: None,
            scopes: vec!["content.read".to_owned()],
            parent: None,
            secret: secret.map(|secret| SecretHash(Sha256::digest(secret.as_bytes()).into())),
            person: br#"{"role":"student","tier":"basic"}"#.to_vec(),
            remember: false,
            idle_ms: 3_600_000,
            ends_at: UnixMillis(NOW.0 + 7_200_000),
        }
    }

    async fn sessions(record: &SessionRecord) -> (Arc<MemoryFlowStore>, Sessions) {
        let flows = Arc::new(MemoryFlowStore::default());
        flows.start_session(record, NOW).await.unwrap();
        let port: Arc<dyn FlowStore> = Arc::<MemoryFlowStore>::clone(&flows);
        (flows, Sessions::new(port))
    }

    async fn found(sessions: &Sessions, secret: &str, after_ms: u64) -> Option<bool> {
        let found = sessions.find(ID, secret, UnixMillis(NOW.0 + after_ms)).await.unwrap();
        found.map(|(_, was_remembered)| was_remembered)
    }

    #[tokio::test]
    async fn a_session_is_remembered_for_five_seconds() {
        let (flows, sessions) = sessions(&record(Some("s"))).await;
        assert_eq!(found(&sessions, "s", 0).await, Some(false));
        flows.end_session(ID, NOW).await.unwrap();
        assert_eq!(found(&sessions, "s", 4_999).await, Some(true));
        assert_eq!(found(&sessions, "s", 5_000).await, None);
    }

    #[tokio::test]
    async fn the_secret_opens_it_and_nothing_else() {
        let (_, by_nobody) = sessions(&record(None)).await;
        assert_eq!(found(&by_nobody, "", 0).await, None, "no cookie opens a grant's session");
        let (_, sessions) = sessions(&record(Some("s"))).await;
        assert_eq!(found(&sessions, "t", 0).await, None);
        assert_eq!(found(&sessions, "s", 0).await, Some(false));
        assert_eq!(found(&sessions, "t", 0).await, None);
        assert_eq!(found(&sessions, "s", 0).await, Some(true), "guessing forgets nothing");
    }

    #[tokio::test]
    async fn a_new_cookie_counts_at_once_and_the_old_one_for_as_long_as_it_is_remembered() {
        let (flows, sessions) = sessions(&record(Some("old"))).await;
        assert_eq!(found(&sessions, "old", 0).await, Some(false));
        assert!(flows.renew_session(&record(Some("new")), NOW).await.unwrap());
        assert_eq!(found(&sessions, "old", 1).await, Some(true));
        assert_eq!(found(&sessions, "new", 1).await, Some(false));
        assert_eq!(found(&sessions, "old", 1).await, None, "the new one has taken its place");
    }

    #[tokio::test]
    async fn no_session_outlives_its_end_in_memory() {
        let last = SessionRecord { ends_at: UnixMillis(NOW.0 + 1_000), ..record(Some("s")) };
        let (_, sessions) = sessions(&last).await;
        assert_eq!(found(&sessions, "s", 0).await, Some(false));
        assert_eq!(found(&sessions, "s", 999).await, Some(true));
        assert_eq!(found(&sessions, "s", 1_000).await, None);
    }

    #[tokio::test]
    async fn a_record_that_cannot_stand_in_headers_is_none_of_ours() {
        for bad in [
            SessionRecord { user_id: "a\r\nb".to_owned(), ..record(Some("s")) },
            SessionRecord { person: b"no JSON".to_vec(), ..record(Some("s")) },
            SessionRecord { person: br#"{"tier":" "}"#.to_vec(), ..record(Some("s")) },
        ] {
            let (_, sessions) = sessions(&bad).await;
            let found = sessions.find(ID, "s", NOW).await;
            assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
        }
    }

    #[tokio::test]
    async fn who_it_is_comes_from_the_record() {
        let (_, sessions) = sessions(&record(Some("s"))).await;
        let (known, _) = sessions.find(ID, "s", NOW).await.unwrap().unwrap();
        let Principal { subject, role, tier, session, scopes, client_id, .. } = &known.principal;
        assert_eq!((subject.as_str(), session.as_deref()), ("alice", Some(ID)));
        assert_eq!((role.as_deref(), tier.as_deref()), (Some("student"), Some("basic")));
        assert_eq!((scopes.as_slice(), client_id), (&["content.read".to_owned()][..], &None));
    }
}
