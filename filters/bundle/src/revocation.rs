//! Whether a caller's token has been revoked, as far as this Envoy knows.

use postern_document::OnFailure;
use postern_filter_feed::{Feed, Judgement};
use postern_filter_jwt_auth::{Caller, Checked};
use postern_filter_shared_data::SharedData;
use postern_request::{Denial, ErrorCode, UnixMillis};

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not revoked.
    Good,
    /// Not known, and the document says to go on.
    Unknown,
}

/// Judges a caller, without a look at anything when nothing has changed since the last time.
pub(crate) fn judge(
    feed: &Feed,
    when_stale: OnFailure,
    caller: &Caller,
    shared: &dyn SharedData,
    now: UnixMillis,
) -> Result<Standing, Denial> {
    let mut checked = caller.checked();
    if checked.epoch != feed.epoch() || checked.epoch == 0 {
        let Some(key) = feed.key() else { return stale(when_stale) };
        checked = Checked { epoch: feed.epoch(), good_at: None, marks: caller.marks(&key) };
    }
    match feed.judge(shared, &checked.marks, caller.issued_at(), checked.good_at, now) {
        Judgement::Good => {
            checked.good_at = Some(feed.generation());
            caller.set_checked(checked);
            Ok(Standing::Good)
        }
        Judgement::Revoked => Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked")),
        Judgement::Stale => stale(when_stale),
    }
}

fn stale(when_stale: OnFailure) -> Result<Standing, Denial> {
    match when_stale {
        OnFailure::Allow => Ok(Standing::Unknown),
        OnFailure::Deny => Err(Denial::unavailable("revocation_stale", 1)),
    }
}
