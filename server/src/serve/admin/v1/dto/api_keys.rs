//! API keys.

use postern_store::durable::ApiKeyRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{given, moment};

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The public part of the key, by which it is found.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// Who it stands for.
    pub subject: String,
    /// The client that it belongs to.
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// For limits.
    pub tier: Option<String>,
    /// Limits of the document that hold for it besides the route's.
    pub limits: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// From when on it is not valid any more.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The key that has taken its place.
    pub successor: Option<String>,
    /// When it was used last, as far as was written.
    pub last_used_at: Option<String>,
    /// How often it was used, as far as was written.
    pub request_count: u64,
}

impl From<ApiKeyRecord> for ApiKey {
    fn from(record: ApiKeyRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            subject: record.subject,
            client_id: record.client_id,
            scopes: record.scopes,
            tier: record.tier,
            limits: record.limits,
            created_at: moment(record.created_at),
            expires_at: record.expires_at.map(moment),
            revoked_at: record.revoked_at.map(moment),
            successor: record.successor,
            last_used_at: record.last_used_at.map(moment),
            request_count: record.request_count,
        }
    }
}

/// An API key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApiKey {
    /// Who it stands for.
    #[schema(min_length = 1, max_length = 255, example = "reports")]
    pub subject: String,
    /// What people call it.
    #[schema(min_length = 1, max_length = 255)]
    pub name: Option<String>,
    /// The client that it belongs to.
    #[schema(min_length = 1, max_length = 255)]
    pub client_id: Option<String>,
    /// What it allows.
    #[serde(default)]
    #[schema(max_items = 128)]
    pub scopes: Vec<String>,
    /// For limits.
    #[schema(min_length = 1, max_length = 255)]
    pub tier: Option<String>,
    /// Limits of the document with `mode: exact` that hold for it besides the route's.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub limits: Vec<String>,
    /// When it ends, in seconds from now; never without this.
    #[schema(minimum = 1, maximum = 315360000)]
    pub expires_in: Option<u64>,
}

/// What of an API key changes; what is not there stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyChange {
    /// What people call it; null for nothing any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<String>>,
    /// What it allows.
    #[schema(max_items = 128)]
    pub scopes: Option<Vec<String>>,
    /// For limits; null for none any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub tier: Option<Option<String>>,
    /// Limits of the document with `mode: exact` that hold for it besides the route's; all of
    /// them.
    #[schema(max_items = 16)]
    pub limits: Option<Vec<String>>,
    /// When it ends, in seconds from now; null for never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 315360000)]
    pub expires_in: Option<Option<u64>>,
}

/// How an API key is rotated.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyRotation {
    /// How long the key from before goes on, in seconds; a day without this.
    #[schema(minimum = 60, maximum = 7776000)]
    pub overlap: Option<u64>,
}

/// An API key that was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyCreated {
    /// What is kept of it.
    pub api_key: ApiKey,
    /// The key; it is not kept and cannot be shown again.
    pub key: String,
}
