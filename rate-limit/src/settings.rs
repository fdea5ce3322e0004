//! What an operator chooses.

use std::sync::Arc;

use postern_request::LimitHeaders;
use postern_store::limiter::WhenStoreFails;

/// How the service behaves now: some of it stands in a document that may be replaced.
pub type CurrentSettings = Arc<dyn Fn() -> Settings + Send + Sync>;

/// How the service behaves, whatever its rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of a limit while the store is away. With `Deny` the call fails, and
    /// `failure_mode_deny` of Envoy's filter decides.
    pub when_store_fails: WhenStoreFails,
    /// So many replicas share the limits, for `LocalShare`; 0 counts as 1.
    pub replicas: u64,
    /// Whether answers bring the limit headers, and `retry-after` when they refuse.
    pub headers: bool,
    /// In which form.
    pub header_form: LimitHeaders,
    /// Whether refusals bring the JSON that all of our refusals have, for Envoy to send.
    pub denial_body: bool,
    /// Whether answers tell as dynamic metadata what was asked and which rules it met. What
    /// rules in quota mode found is told in any case.
    pub metadata: bool,
}
