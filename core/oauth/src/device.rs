//! Log-in on another device (RFC 8628): a device without a browser gets a code for itself and one
//! for its user, who types that in elsewhere, while the device asks again and again.

mod request;
mod state;
mod user_code;

pub use request::{DeviceAnswer, DeviceRequest};
pub use state::{DeviceStage, DeviceState, Poll};
pub use user_code::UserCode;

/// Where users type their code in, under the issuer's URL (`verification_uri`).
pub const VERIFICATION_PATH: &str = "/login/device";

#[cfg(test)]
mod tests;
