//! What a request looks like to Postern, and the answers that may be given to it.
//!
//! Everything here is pure: no I/O, no clock, no randomness. The filters inside Envoy, the
//! server beside it and the offline tools all build on these types, so a denial has one form
//! whoever made it and a header has one name wherever it is written.
//!
//! Deliberately absent: how headers are fetched from Envoy (the adapters do that) and which
//! request may do what (that is `postern-document` and the stages).

pub mod address;
pub mod api_key;
pub mod correlation;
pub mod cross_site;
pub mod denial;
pub mod evidence;
pub mod headers;
pub mod json;
pub mod little_endian;
pub mod local_reply;
pub mod login;
pub mod normalize;
pub mod path;
pub mod peers;
pub mod presented;
pub mod principal;
pub mod session_cookie;
pub mod shown;
pub mod spiffe;
pub mod time;
pub mod token_places;
pub mod tokens;

pub use denial::{Challenge, Denial, ErrorCode, LimitHeaders, RateLimitStatus, RenderedDenial};
pub use headers::HeaderView;
pub use presented::Presented;
pub use principal::Principal;
pub use time::UnixMillis;
pub use tokens::{ShownToken, TokenPlace};
