//! Sessions, consents, signing keys, tokens and the audit log.

use postern_identity::admin::KeySummary;
use postern_store::durable::{AuditRecord, ConsentRecord};
use postern_store::flows::SessionRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::clients::SigningAlgorithm;
use super::moment;

/// A session: of a browser, or of what a client was granted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its name, which tokens carry too. It opens nothing.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The client that was granted it; none for a browser's.
    pub client_id: Option<String>,
    /// The browser's session that the grant came from.
    pub parent: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// How its holder has authenticated (RFC 8176).
    pub methods: Vec<String>,
    /// The device that it is bound to.
    pub device_id: Option<String>,
    /// Whether it was asked to last.
    pub remember: bool,
    /// When it began.
    pub created_at: String,
    /// When it was used last, as far as was written.
    pub last_used: String,
    /// When its holder has authenticated last.
    pub authenticated_at: String,
    /// When that was by several factors last.
    pub mfa_at: Option<String>,
    /// It ends then, whatever happens.
    pub ends_at: String,
}

impl From<SessionRecord> for Session {
    fn from(record: SessionRecord) -> Self {
        Self {
            id: record.id,
            user_id: record.user_id,
            client_id: record.client_id,
            parent: record.parent,
            scopes: record.scopes,
            methods: record.methods,
            device_id: record.device_id,
            remember: record.remember,
            created_at: moment(record.created_at),
            last_used: moment(record.last_used),
            authenticated_at: moment(record.authenticated_at),
            mfa_at: record.mfa_at.map(moment),
            ends_at: moment(record.ends_at),
        }
    }
}

/// What a user lets a client do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// Which client.
    pub client_id: String,
    /// What.
    pub scopes: Vec<String>,
    /// Where (RFC 8707).
    pub resources: Vec<String>,
    /// When that was said last.
    pub granted_at: String,
}

impl From<ConsentRecord> for Consent {
    fn from(record: ConsentRecord) -> Self {
        Self {
            client_id: record.client_id,
            scopes: record.scopes,
            resources: record.resources,
            granted_at: moment(record.granted_at),
        }
    }
}

/// How many ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// How many.
    pub ended: u64,
}

/// A key that signs tokens, or did. Private halves never leave the store.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// `kid`
    pub kid: String,
    /// `alg`
    pub algorithm: String,
    /// pending, active, superseded or retired.
    pub state: String,
    /// When it was made.
    pub created_at: String,
    /// From when on it may sign.
    pub activates_at: String,
    /// From when on it is not published any more.
    pub retires_at: Option<String>,
}

impl From<KeySummary> for SigningKey {
    fn from(key: KeySummary) -> Self {
        Self {
            kid: key.kid,
            algorithm: key.algorithm,
            state: key.state.as_str().to_owned(),
            created_at: moment(key.created_at),
            activates_at: moment(key.activates_at),
            retires_at: key.retires_at.map(moment),
        }
    }
}

/// A signing key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSigningKey {
    /// What it signs with.
    #[serde(default)]
    pub algorithm: SigningAlgorithm,
}

/// A signing key that was taken out of use.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetiredKey {
    /// `kid`
    pub kid: String,
    /// Whether another key signs.
    pub another_signs: bool,
}

/// A token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenText {
    /// The token itself.
    #[schema(min_length = 1, max_length = 12000)]
    pub token: String,
}

/// What a token is.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InspectedToken {
    /// Whether it is an access token of this issuer that holds and was not revoked.
    pub active: bool,
    /// Why not.
    pub reason: Option<String>,
    /// `sub`
    pub subject: Option<String>,
    /// `client_id`
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// `aud`
    pub audiences: Vec<String>,
    /// `exp`
    pub expires_at: Option<String>,
    /// `jti`
    pub token_id: Option<String>,
    /// The key that has signed it.
    pub kid: Option<String>,
    /// The session that it belongs to.
    pub session_id: Option<String>,
    /// Role of whom it speaks for.
    pub role: Option<String>,
    /// Tier of whom it speaks for.
    pub tier: Option<String>,
}

/// A token that was revoked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedToken {
    /// `jti`
    pub token_id: String,
    /// When it would have ended by itself.
    pub expires_at: String,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its place in the order of all.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// Who did it.
    pub actor: String,
    /// What it was.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// More of it.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// The hash of this entry, which the next one is chained to; in hexadecimal.
    pub hash: String,
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        let detail = serde_json::from_str(&record.entry.detail);
        Self {
            sequence: record.seq,
            at: moment(record.entry.at),
            actor: record.entry.actor,
            action: record.entry.action,
            target: record.entry.target,
            detail: detail.unwrap_or_else(|_| Value::Object(serde_json::Map::new())),
            hash: record.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}
