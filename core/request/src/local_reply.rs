//! Answers that Envoy gives by itself (413, 431, 502, 504, RBAC's 403 …) in the form of every other
//! denial: by the status that Envoy chose, the status and code that clients get.

use crate::denial::ErrorCode;

/// What becomes of each status: the one that Envoy chose, the one that is told, and the code.
pub const REPLIES: [(u16, u16, ErrorCode); 13] = [
    (400, 400, ErrorCode::BadRequest),
    (401, 401, ErrorCode::Unauthorized),
    (403, 403, ErrorCode::Forbidden),
    (404, 404, ErrorCode::NotFound),
    (408, 408, ErrorCode::BadRequest),
    (413, 413, ErrorCode::PayloadTooLarge),
    (426, 426, ErrorCode::BadRequest),
    (431, 431, ErrorCode::PayloadTooLarge),
    (429, 429, ErrorCode::RateLimitExceeded),
    (500, 503, ErrorCode::Unavailable),
    (502, 502, ErrorCode::BadGateway),
    (503, 503, ErrorCode::Unavailable),
    (504, 504, ErrorCode::GatewayTimeout),
];

/// What a status becomes. No code where it stays as Envoy writes it.
#[must_use]
pub fn told(status: u16) -> (u16, Option<ErrorCode>) {
    let reply = REPLIES.iter().find(|(from, ..)| *from == status);
    reply.map_or((status, None), |(_, to, code)| (*to, Some(*code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_answer() {
        for (at, (from, to, code)) in REPLIES.iter().enumerate() {
            let mut before = REPLIES.iter().take(at);
            assert!(before.all(|(known, ..)| known != from), "{from} is there twice");
            assert_eq!(told(*from), (*to, Some(*code)), "{from}");
            assert_eq!(told(*to), (*to, Some(*code)), "{to} is told as another one still");
        }
        assert_eq!(told(500), (503, Some(ErrorCode::Unavailable)));
        for unknown in [200, 301, 402, 405, 418, 501, 505] {
            assert_eq!(told(unknown), (unknown, None));
        }
    }
}
