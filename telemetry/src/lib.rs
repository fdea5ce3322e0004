//! How the server is watched and how it is put to rest: logs, metrics, health, readiness, drain.
//!
//! Nothing here decides anything about a request. Components register their own metrics
//! ([`MetricsRegistry::register`]), add their own checks ([`HealthChecks::add`]) and hold a
//! [`Blocker`] until they can serve; `server` puts the routes of [`http`] on a port and lets
//! every listener wait for [`Drain::shutdown_signal`].
//!
//! Deliberately absent: traces (they come with their own issue), the labelled HTTP metrics
//! (the component that reads the access log owns them) and any knowledge of a store.

pub mod check;
pub mod clock;
pub mod drain;
pub mod error;
pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod readiness;
pub mod report;
pub mod rolling;

pub use check::{BoxFuture, Check, CheckFn, CheckKind, CheckResult, Status};
pub use clock::Moment;
pub use drain::{Drain, Phase};
pub use error::TelemetryError;
pub use health::HealthChecks;
pub use http::Telemetry;
pub use logs::LogFormat;
pub use metrics::MetricsRegistry;
pub use process::{ProcessSampler, ProcessUsage};
pub use readiness::{Blocker, Readiness};
pub use report::{CheckReport, DocumentReport, Report};
pub use rolling::{Activity, OpenConnection, RequestSeen, Rolling};

/// The service's name, in health answers and as the default label `service`.
pub const SERVICE: &str = "postern";

/// The version of this build; all crates of the workspace share one.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
