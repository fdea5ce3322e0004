//! What operators do: signing keys, users, clients, API keys, sessions, instances of services and
//! circuits, by the command line and by the admin API.

mod actor;
mod api_keys;
mod client_edit;
mod clients;
mod keys;
mod known;
mod operators;
mod users;

pub(crate) use keys::{retire_superseded, rotate_from};

pub use actor::Actor;
pub use api_keys::{CreatedApiKey, NewApiKey, create_api_key};
pub use client_edit::{ClientEdit, ClientLinks};
pub use clients::{CreatedClient, NewClient, NewPublicClient, create_client, create_public_client};
pub use keys::{
    ACTIVATION_DELAY_MS, KeyState, KeySummary, Rotation, check_another_signs, check_key, list_keys,
    retire_key, rotate_keys,
};
pub use known::{grants_left_out, scopes_never_granted, scopes_nobody_knows};
pub use operators::{
    ApiKeyEdit, ChangedUser, ClientWithSecret, ForcedFor, Operators, OperatorsParts, ShownCircuit,
    UserFactor, circuits_of, list_circuits,
};
pub(crate) use users::check_email;
pub use users::{
    CreatedUser, NewPassword, NewUser, UserEdit, UserWork, change_user, create_user, judge_chosen,
    reset_factors,
};

use postern_request::headers::is_identity_value;

use crate::IdentityError;

/// A text that people read or that ends up in tokens and headers.
fn check_text(what: &'static str, text: &str) -> Result<(), IdentityError> {
    if text.is_empty() || text.len() > 255 || !is_identity_value(text) {
        let reason = "it must be 1 to 255 bytes without control characters";
        return Err(IdentityError::invalid(what, reason));
    }
    Ok(())
}
