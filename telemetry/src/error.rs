//! What can go wrong while telemetry is set up or read.

/// Why telemetry could not be set up or read. No retry helps against any of these.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The operator's: `--log-format` names something else.
    #[error("unknown log format: `json` and `text` are known")]
    LogFormat,
    /// The operator's: `POSTERN_LOG` does not parse.
    #[error("POSTERN_LOG is not a log filter")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
    /// The operator's: `POSTERN_LOG` is not UTF-8.
    #[error("POSTERN_LOG is not UTF-8")]
    LogFilterNotUtf8,
    /// Ours: logs were set up before in this process.
    #[error("logs are set up already")]
    LogsAlreadySet,
    /// Ours: a metric's name or labels are malformed, or taken.
    #[error("a metric cannot be registered")]
    Register(#[from] prometheus::Error),
    /// Ours: the collected metrics cannot be written as text.
    #[error("the metrics cannot be written")]
    Encode(#[source] prometheus::Error),
    /// The system's: it refuses signal handlers.
    #[error("the process cannot listen to signals")]
    Signals(#[source] std::io::Error),
}
