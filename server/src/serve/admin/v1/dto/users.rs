//! Users and their second factors.

use postern_identity::admin::UserFactor;
use postern_store::durable::UserRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{given, moment};

/// Somebody who logs in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// `sub` of their tokens.
    pub id: String,
    /// What they log in with.
    pub email: String,
    /// A role of the document.
    pub role: String,
    /// Whether they may log in.
    pub is_active: bool,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// A picture's URL.
    pub photo: Option<String>,
    /// Where they belong.
    pub department: Option<String>,
    /// Their tier, where it is not the role's.
    pub tier: Option<String>,
    /// Whether they can log in with a password.
    pub has_password: bool,
    /// Whether the next log-in asks for another password.
    pub must_change_password: bool,
    /// When they were made.
    pub created_at: String,
    /// When they were changed last.
    pub updated_at: String,
}

impl From<UserRecord> for User {
    fn from(record: UserRecord) -> Self {
        Self {
            id: record.id,
            email: record.email,
            role: record.role,
            is_active: record.is_active,
            first_name: record.profile.first_name,
            last_name: record.profile.last_name,
            photo: record.profile.photo,
            department: record.profile.department,
            tier: record.tier,
            has_password: record.password.is_some(),
            must_change_password: record.must_change_password,
            created_at: moment(record.created_at),
            updated_at: moment(record.updated_at),
        }
    }
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// What they log in with; no two users have the same.
    #[schema(max_length = 255, example = "ada@example.test")]
    pub email: String,
    /// First name.
    #[schema(min_length = 1, max_length = 255, example = "Ada")]
    pub first_name: String,
    /// Last name.
    #[schema(min_length = 1, max_length = 255, example = "Lovelace")]
    pub last_name: String,
    /// A picture's URL.
    #[schema(min_length = 1, max_length = 255)]
    pub photo: Option<String>,
    /// Where they belong.
    #[schema(min_length = 1, max_length = 255)]
    pub department: Option<String>,
    /// A role of the document; its default one without it.
    #[schema(min_length = 1)]
    pub role: Option<String>,
    /// Tier, instead of the role's.
    #[schema(min_length = 1, max_length = 255)]
    pub tier: Option<String>,
    /// The password. Without one they cannot log in with a password.
    #[schema(min_length = 8, max_length = 128)]
    pub password: Option<String>,
    /// Make a password; the answer to this request is the only one that shows it.
    #[serde(default)]
    pub generate_password: bool,
    /// The first log-in asks for another password.
    #[serde(default)]
    pub must_change_password: bool,
}

/// What of a user changes; what is not there stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserChange {
    /// What they log in with.
    #[schema(max_length = 255)]
    pub email: Option<String>,
    /// First name.
    #[schema(min_length = 1, max_length = 255, example = "Ada")]
    pub first_name: Option<String>,
    /// Last name.
    #[schema(min_length = 1, max_length = 255)]
    pub last_name: Option<String>,
    /// A picture's URL; null for none any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub photo: Option<Option<String>>,
    /// Where they belong; null for nowhere any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub department: Option<Option<String>>,
    /// A role of the document. Another one logs them out.
    #[schema(min_length = 1)]
    pub role: Option<String>,
    /// Whether they may log in. False logs them out.
    pub is_active: Option<bool>,
    /// Tier; null for the role's again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub tier: Option<Option<String>>,
    /// Another password, which logs them out.
    #[schema(min_length = 8, max_length = 128)]
    pub password: Option<String>,
    /// Make another password; the answer to this request is the only one that shows it.
    #[serde(default)]
    pub generate_password: bool,
    /// With another password: the next log-in asks for one more.
    #[serde(default)]
    pub must_change_password: bool,
}

/// A user who was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCreated {
    /// The user.
    pub user: User,
    /// The password that was made; it is not kept and cannot be shown again.
    pub password: Option<String>,
}

/// A user after a change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserChanged {
    /// The user.
    pub user: User,
    /// The password that was made; it is not kept and cannot be shown again.
    pub password: Option<String>,
}

/// A second factor of a user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Factor {
    /// Its id.
    pub id: String,
    /// totp, `recovery_codes` or passkey.
    pub kind: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether its owner has shown that it works; it counts from then on.
    pub is_confirmed: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was used last.
    pub last_used_at: Option<String>,
}

impl From<UserFactor> for Factor {
    fn from(factor: UserFactor) -> Self {
        Self {
            id: factor.id,
            kind: factor.kind.as_str().to_owned(),
            name: factor.name,
            is_confirmed: factor.is_confirmed,
            created_at: moment(factor.created_at),
            last_used_at: factor.last_used_at.map(moment),
        }
    }
}
