//! Which answers say that a service fails.
//!
//! Who made an answer is told by Envoy's `%RESPONSE_CODE_DETAILS%`; the names are those of
//! [Response Code Details](https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details)
//! and of `ResponseCodeDetailValues` in Envoy's `envoy/stream_info/stream_info.h`. That list may
//! change between Envoys, so what is not known here says nothing of the service: a circuit that
//! stays closed too long harms less than one that our own refusals open.

use crate::settings::Slow;

const LOWEST: u16 = 100;
const HIGHEST: u16 = 599;

/// A set of HTTP statuses, 100 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusRanges([u64; 8]);

impl StatusRanges {
    /// No status at all.
    pub const NONE: Self = Self([0; 8]);

    /// With all from one to another, both included. What is no status is left out.
    #[must_use]
    pub fn with(mut self, from: u16, to: u16) -> Self {
        for status in from.max(LOWEST)..=to.min(HIGHEST) {
            let bit = status - LOWEST;
            if let Some(word) = self.0.get_mut(usize::from(bit / 64)) {
                *word |= 1_u64 << (bit % 64);
            }
        }
        self
    }

    /// Whether a status is one of them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        let bit = status.checked_sub(LOWEST);
        let word = bit.and_then(|bit| Some((bit, self.0.get(usize::from(bit / 64))?)));
        word.is_some_and(|(bit, word)| (word >> (bit % 64)) & 1 == 1)
    }

    /// In as few ranges as there are, lowest first, both ends included.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for status in (LOWEST..=HIGHEST).filter(|status| self.contains(*status)) {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == status => *to = status,
                _ => ranges.push((status, status)),
            }
        }
        ranges
    }
}

impl Default for StatusRanges {
    /// 500 to 599.
    fn default() -> Self {
        Self::NONE.with(500, HIGHEST)
    }
}

/// Which answers of the service are failures. No answer (no connection, a reset, a timeout)
/// always is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counts {
    /// HTTP statuses.
    pub statuses: StatusRanges,
    /// Statuses of gRPC: bit n for status n.
    pub grpc: u32,
}

impl Counts {
    /// The statuses of gRPC that say that a server fails: `DEADLINE_EXCEEDED`, `INTERNAL`,
    /// `UNAVAILABLE` and `DATA_LOSS`. `UNKNOWN` is not among them: many servers answer so to
    /// what their callers did wrong.
    pub const GRPC_FAILURES: u32 = (1 << 4) | (1 << 13) | (1 << 14) | (1 << 15);

    fn has_grpc(&self, status: u32) -> bool {
        1_u32.checked_shl(status).is_some_and(|bit| self.grpc & bit != 0)
    }

    /// What the end of a call says of the service.
    #[must_use]
    pub fn judge(&self, ended: &Ended<'_>, slow: Option<Slow>) -> Verdict {
        let (has_failed, took_ms) = match *ended {
            Ended::Answered { status, grpc, made_by, took_ms } => {
                let has_failed = match made_by.origin() {
                    Origin::Service => {
                        let by_grpc = grpc.is_some_and(|status| self.has_grpc(status));
                        by_grpc || self.statuses.contains(status)
                    }
                    Origin::NoAnswer => true,
                    Origin::Elsewhere => return Verdict::Ignored,
                };
                (has_failed, took_ms)
            }
            Ended::Reset { by_caller: true, .. } => return Verdict::Ignored,
            Ended::Reset { by_caller: false, took_ms } => (true, took_ms),
        };
        let slow = slow.is_some_and(|slow| took_ms > slow.over_ms);
        if has_failed { Verdict::Failure { slow } } else { Verdict::Success { slow } }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'a> {
    /// With an answer.
    Answered {
        /// Its status.
        status: u16,
        /// Its `grpc-status`, where it has one.
        grpc: Option<u32>,
        /// Who made it.
        made_by: MadeBy<'a>,
        /// From the request to the answer's headers, in milliseconds.
        took_ms: u64,
    },
    /// Without one, or in the middle of it.
    Reset {
        /// The caller went away.
        by_caller: bool,
        /// From the request until then, in milliseconds.
        took_ms: u64,
    },
}

/// Who made an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeBy<'a> {
    /// The service.
    Upstream,
    /// Whoever is told by Envoy's `%RESPONSE_CODE_DETAILS%`.
    Details(&'a str),
}

enum Origin {
    Service,
    /// Envoy, because the service gave none.
    NoAnswer,
    /// Envoy or a filter, for reasons that are not the service's.
    Elsewhere,
}

impl MadeBy<'_> {
    fn origin(self) -> Origin {
        let Self::Details(details) = self else { return Origin::Service };
        // upstream_reset_before_response_started{connection_termination|what the transport says}
        let (name, reason) = details.split_once('{').unwrap_or((details, ""));
        let reason = reason.split(['|', '}']).next().unwrap_or_default();
        match name {
            "via_upstream" => Origin::Service,
            "no_healthy_upstream" | "response_timeout" => Origin::NoAnswer,
            // Envoy's own bounds: on connections to the service, and on what it can bear itself.
            _ if matches!(reason, "overflow" | "overload_manager") => Origin::Elsewhere,
            _ if name.starts_with("upstream_") => Origin::NoAnswer,
            _ => Origin::Elsewhere,
        }
    }
}

/// What the end of a call says of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Success {
        /// It took too long.
        slow: bool,
    },
    /// It fails.
    Failure {
        /// And took too long to.
        slow: bool,
    },
    /// Nothing: somebody else ended the call.
    Ignored,
}
