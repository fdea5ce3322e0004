//! Shared circuits: what Envoys report of services, and what the fleet makes of it.

/// How calls of services with a circuit have ended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReportRequest {
    /// The workload of the document that the asker guards.
    #[prost(string, tag = "1")]
    pub workload: String,
    /// The asker's own name, different after a restart.
    #[prost(string, tag = "2")]
    pub envoy_id: String,
    /// Digest of the document that the asker runs.
    #[prost(string, tag = "3")]
    pub document_digest: String,
    /// Grows with each report; one that is sent again has the same.
    #[prost(uint64, tag = "4")]
    pub number: u64,
    /// At most one for each service, and 1,000 in all.
    #[prost(message, repeated, tag = "5")]
    pub services: Vec<ServiceReport>,
}

/// What has become of calls since the last report that was answered.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ServiceReport {
    /// Its name in the document.
    #[prost(string, tag = "1")]
    pub service: String,
    /// Calls that say something of the service.
    #[prost(uint32, tag = "2")]
    pub calls: u32,
    /// Those of them that failed.
    #[prost(uint32, tag = "3")]
    pub failures: u32,
    /// Those of them that took too long, failed or not.
    #[prost(uint32, tag = "4")]
    pub slow: u32,
    /// Failures in a row at the end, those before this report included.
    #[prost(uint32, tag = "5")]
    pub run: u32,
    /// Calls that the asker has refused; where there are any, it has use for a probe.
    #[prost(uint32, tag = "6")]
    pub refused: u32,
    /// Probes that were handed out and came through.
    #[prost(uint32, tag = "7")]
    pub probes_through: u32,
    /// Probes that were handed out and failed.
    #[prost(uint32, tag = "8")]
    pub probes_failed: u32,
}

/// What the fleet makes of it. What is missing could not be counted, and has to be sent again.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReportResponse {
    /// The services of the report; closed ones too.
    #[prost(message, repeated, tag = "1")]
    pub services: Vec<CircuitState>,
    /// When to report again, in milliseconds, where there is something to say.
    #[prost(uint32, tag = "2")]
    pub next_ms: u32,
    /// Digest of the document that the server runs.
    #[prost(string, tag = "3")]
    pub document_digest: String,
}

/// All circuits of the asker's services that are not closed, or forced.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Circuits {
    /// Made by the server; opaque, never 0.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// These.
    #[prost(message, repeated, tag = "2")]
    pub services: Vec<CircuitState>,
}

/// A shared circuit.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CircuitState {
    /// Its service's name in the document.
    #[prost(string, tag = "1")]
    pub service: String,
    /// Where it stands.
    #[prost(enumeration = "CircuitPhase", tag = "2")]
    pub phase: i32,
    /// Open: when a try makes sense, in milliseconds from the answer.
    #[prost(uint32, tag = "3")]
    pub retry_after_ms: u32,
    /// Calls that the asker may let through to see what becomes of them.
    #[prost(uint32, tag = "4")]
    pub probes: u32,
    /// For how long it may, in milliseconds from when the report was first sent.
    #[prost(uint32, tag = "5")]
    pub probe_life_ms: u32,
    /// An operator has said so, and breakers of an Envoy's own do not count.
    #[prost(bool, tag = "6")]
    pub forced: bool,
}

/// Where a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum CircuitPhase {
    /// Nobody has said.
    Unspecified = 0,
    /// All calls pass.
    Closed = 1,
    /// None do.
    Open = 2,
    /// Probes do.
    HalfOpen = 3,
}
