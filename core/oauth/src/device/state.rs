//! What a device waits for, as it is kept behind the hash of its code.

use postern_request::UnixMillis;

use crate::authorize::scopes_of_user;
use crate::kept::{Reader, Writer};
use crate::{CodeGrant, ErrorCode, OAuthError, ScopeSet, ServerRules, SessionFacts};

/// What a device that asks too soon waits longer, in seconds (RFC 8628 §3.5).
const SLOW_DOWN_SECS: u64 = 5;
/// How much sooner than it was told a device may ask, in milliseconds: of two requests one may
/// have been longer on its way, and the clocks of two replicas differ.
const EARLY_MS: u64 = 1000;

/// A request of a device, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Whose it is.
    pub client_id: String,
    /// What it asks for.
    pub scopes: ScopeSet,
    /// Where that would be used, besides the issuer (RFC 8707).
    pub resources: Vec<String>,
    /// Until when the user may answer. It is kept a little longer, so that the device can be told
    /// that its time is over.
    pub expires_at: UnixMillis,
    /// How long the device has to wait between two requests, in seconds.
    pub interval_secs: u64,
    /// When it has asked last.
    pub polled_at: Option<UnixMillis>,
    /// What the user has said.
    pub stage: DeviceStage,
}

/// What a user has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceStage {
    /// Nothing yet.
    Pending,
    /// Yes, to this.
    Approved(Box<CodeGrant>),
    /// No.
    Denied,
}

/// How a device stands that asks (RFC 8628 §3.5). Where a state comes along, it is kept in the
/// place of the one that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    /// The user has not said anything yet.
    Pending(DeviceState),
    /// The same, and the device asks too often: from now on it waits longer.
    SlowDown(DeviceState),
    /// There are tokens, for whoever takes the state out of the store.
    Issue,
    /// The user has said no.
    Denied,
    /// The user took too long.
    Expired,
}

impl Poll {
    /// What the device is told; none where there are tokens.
    #[must_use]
    pub const fn error(&self) -> Option<OAuthError> {
        Some(match self {
            Self::Issue => return None,
            Self::Pending(_) => OAuthError::new(
                ErrorCode::AuthorizationPending,
                "The user has not answered yet: ask again after the interval",
            ),
            Self::SlowDown(_) => OAuthError::new(
                ErrorCode::SlowDown,
                "Asked too often: wait five seconds longer from now on",
            ),
            Self::Denied => OAuthError::new(ErrorCode::AccessDenied, "The user has refused"),
            Self::Expired => {
                OAuthError::new(ErrorCode::ExpiredToken, "The device code has expired: begin anew")
            }
        })
    }
}

impl DeviceState {
    /// How a device stands that asks now.
    #[must_use]
    pub fn poll(&self, now: UnixMillis) -> Poll {
        if now >= self.expires_at {
            return Poll::Expired;
        }
        match self.stage {
            DeviceStage::Approved(_) => return Poll::Issue,
            DeviceStage::Denied => return Poll::Denied,
            DeviceStage::Pending => {}
        }
        let interval_ms = self.interval_secs.saturating_mul(1000);
        let is_early = |at: UnixMillis| now.millis_since(at).saturating_add(EARLY_MS) < interval_ms;
        let asked = Self { polled_at: Some(now), ..self.clone() };
        if self.polled_at.is_some_and(is_early) {
            let interval_secs = self.interval_secs.saturating_add(SLOW_DOWN_SECS);
            Poll::SlowDown(Self { interval_secs, ..asked })
        } else {
            Poll::Pending(asked)
        }
    }

    /// Whether a user may still answer.
    #[must_use]
    pub fn is_open(&self, now: UnixMillis) -> bool {
        self.stage == DeviceStage::Pending && now < self.expires_at
    }

    /// What this user could give of what the device asks for. The rest is left out, as at the
    /// authorization endpoint.
    #[must_use]
    pub fn offer(&self, server: &ServerRules, session: &SessionFacts) -> ScopeSet {
        scopes_of_user(&self.scopes, server, session)
    }

    /// The user has said yes, to all that they can give. Who can give nothing of what is asked
    /// for has said no.
    #[must_use]
    pub fn allowed(&self, server: &ServerRules, session: &SessionFacts, now: UnixMillis) -> Self {
        let scopes = self.offer(server, session);
        if scopes.is_empty() && !self.scopes.is_empty() {
            return self.denied();
        }
        let grant = CodeGrant {
            client_id: self.client_id.clone(),
            redirect_uri: None,
            subject: session.subject.clone(),
            session_id: session.session_id.clone(),
            scopes,
            resources: self.resources.clone(),
            challenge: None,
            nonce: None,
            auth_time: session.auth_time,
            acr: session.acr,
            amr: session.amr.clone(),
            dpop_jkt: None,
            remember: session.remember,
            issued_at: now,
        };
        Self { stage: DeviceStage::Approved(Box::new(grant)), ..self.clone() }
    }

    /// The user has said no.
    #[must_use]
    pub fn denied(&self) -> Self {
        Self { stage: DeviceStage::Denied, ..self.clone() }
    }

    /// What the user has agreed to.
    #[must_use]
    pub fn into_grant(self) -> Option<CodeGrant> {
        match self.stage {
            DeviceStage::Approved(grant) => Some(*grant),
            DeviceStage::Pending | DeviceStage::Denied => None,
        }
    }

    /// As it is kept. There is nothing secret in it; both codes are known by their hashes alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (stage, grant) = match &self.stage {
            DeviceStage::Pending => ("pending", None),
            DeviceStage::Approved(grant) => ("approved", Some(grant.encode())),
            DeviceStage::Denied => ("denied", None),
        };
        // What a grant is kept as is JSON, which is UTF-8.
        let grant = grant.and_then(|grant| String::from_utf8(grant).ok());
        Writer::default()
            .text("client_id", &self.client_id)
            .scopes("scopes", &self.scopes)
            .texts("resources", &self.resources)
            .moment("expires_at", self.expires_at)
            .number("interval", self.interval_secs)
            .maybe_moment("polled_at", self.polled_at)
            .text("stage", stage)
            .maybe_text("grant", grant.as_deref())
            .finish()
    }

    /// Reads what [`DeviceState::encode`] wrote; none for everything else.
    #[must_use]
    pub fn decode(kept: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(kept)?;
        let (stage, grant) = (reader.text("stage")?, reader.maybe_text("grant")?);
        let stage = match (stage.as_str(), grant) {
            ("pending", None) => DeviceStage::Pending,
            ("approved", Some(grant)) => {
                DeviceStage::Approved(Box::new(CodeGrant::decode(grant.as_bytes())?))
            }
            ("denied", None) => DeviceStage::Denied,
            _ => return None,
        };
        let state = Self {
            client_id: reader.text("client_id")?,
            scopes: reader.scopes("scopes")?,
            resources: reader.texts("resources")?,
            expires_at: reader.moment("expires_at")?,
            interval_secs: reader.number("interval")?,
            polled_at: reader.maybe_moment("polled_at")?,
            stage,
        };
        reader.finish().map(|()| state)
    }
}
