//! When calls to a service are cut off, and what their callers get then, as it is written.

use crate::decode::{
    Duration, Entries, OrOff, Percent, Positive, Share, Size, Text, Whole, choice, record,
};

record! {
    /// When calls to a service are cut off.
    pub struct RawCircuit {
        /// After so many failures in a row; 5 by default; off for not at all.
        failures = "failures": Option<OrOff>,
        /// Once such a share of the calls in the window has failed; not at all by default.
        ratio = "ratio": Option<Share>,
        /// Once such a share of the calls in the window is slow; not at all by default.
        slow = "slow": Option<RawSlowCalls>,
        /// How long the window is: 1s to 5m; 10s by default.
        window = "window": Option<Duration>,
        /// How many calls there must be in it before a share means anything; 20 by default.
        minimum = "minimum": Option<Positive>,
        /// For how long before some may try, the first time: 100ms to 1h; 60s by default.
        recovery = "recovery": Option<Duration>,
        /// Each recovery in a row that fails doubles it, up to this: at most 24h; 5m by default, or recovery if that is longer.
        recovery_longest = "recovery_longest": Option<Duration>,
        /// By how much of it each time is longer or shorter: 0% to 50%; 10% by default.
        jitter = "jitter": Option<Percent>,
        /// Who may try then.
        probes = "probes": Option<RawProbes>,
        /// How many Envoys must say so before it is cut off for all; 2 by default.
        reporters = "reporters": Option<Positive>,
        /// Which answers are failures.
        counts = "counts": Option<RawCounts>,
    }

    /// Which calls are slow, and how many of them are too many.
    pub struct RawSlowCalls {
        /// A call is slow that takes longer: 1ms to 1h.
        over = "over": Duration,
        /// The share of calls.
        share = "share": Share,
    }

    /// Who may try while it is half open.
    pub struct RawProbes {
        /// The most of all Envoys in one interval; 1 by default.
        per_interval = "per_interval": Option<Positive>,
        /// How long that is, and how long an outcome is waited for: 100ms to 1m; 1s by default, or recovery if that is shorter.
        interval = "interval": Option<Duration>,
        /// After so many that came through it closes; 1 by default.
        successes = "successes": Option<Positive>,
    }

    /// Which answers are failures. No answer always is one.
    pub struct RawCounts {
        /// Statuses and ranges of them, from 400 to 599; 500-599 by default.
        statuses = "statuses": Option<Vec<Text>>,
        /// Statuses of gRPC; DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS by default where the service speaks HTTP/2, else none.
        grpc = "grpc": Option<Vec<RawGrpcStatus>>,
    }

    /// What callers get while it is open: exactly one of answer, stale, service and shadow.
    pub struct RawFallback {
        /// This answer.
        answer = "answer": Option<RawFixedAnswer>,
        /// The last good answer that this Envoy has kept, with its age; 503 where it has none.
        stale = "stale": Option<RawStale>,
        /// What another service answers.
        service = "service": Option<Text>,
        /// The service's own answer all the same: refusals are only counted.
        shadow = "shadow": Option<bool>,
    }

    /// A fixed answer.
    pub struct RawFixedAnswer {
        /// Its status: 200 to 599.
        status = "status": Whole,
        /// What its body is, for example application/json.
        content_type = "content_type": Option<Text>,
        /// Its body, at most 16 KiB; none by default.
        body = "body": Option<Text>,
        /// More headers, at most 16.
        headers = "headers": Option<Entries<Text>>,
    }

    /// Which answers are kept.
    pub struct RawStale {
        /// For how long: 1s to 7d; 1h by default.
        max_age = "max_age": Option<Duration>,
        /// The largest one, with its headers: 1KiB to 1MiB; 64KiB by default.
        max_bytes = "max_bytes": Option<Size>,
        /// How many an Envoy keeps: 1 to 4096; 64 by default. With max_bytes, all routes together come to 64 MiB at most.
        entries = "entries": Option<Positive>,
        /// Whether answers are kept too that are not for everybody (`private`, or to a credential without `public`), each for the caller who got it; false by default.
        private = "private": Option<bool>,
    }
}

choice! {
    /// Statuses of gRPC that can be failures.
    pub enum RawGrpcStatus {
        /// 1
        Cancelled = "CANCELLED",
        /// 2
        Unknown = "UNKNOWN",
        /// 3
        InvalidArgument = "INVALID_ARGUMENT",
        /// 4
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// 5
        NotFound = "NOT_FOUND",
        /// 6
        AlreadyExists = "ALREADY_EXISTS",
        /// 7
        PermissionDenied = "PERMISSION_DENIED",
        /// 8
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// 9
        FailedPrecondition = "FAILED_PRECONDITION",
        /// 10
        Aborted = "ABORTED",
        /// 11
        OutOfRange = "OUT_OF_RANGE",
        /// 12
        Unimplemented = "UNIMPLEMENTED",
        /// 13
        Internal = "INTERNAL",
        /// 14
        Unavailable = "UNAVAILABLE",
        /// 15
        DataLoss = "DATA_LOSS",
        /// 16
        Unauthenticated = "UNAUTHENTICATED",
    }
}

impl RawGrpcStatus {
    /// As it stands in `grpc-status`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Cancelled => 1,
            Self::Unknown => 2,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Aborted => 10,
            Self::OutOfRange => 11,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::DataLoss => 15,
            Self::Unauthenticated => 16,
        }
    }
}
