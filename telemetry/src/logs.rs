//! Logs: one JSON object a line on stderr, or text for a person at a terminal.
//!
//! What is logged is filtered by `POSTERN_LOG`, in the syntax of `tracing`'s filters:
//! `debug`, `warn,postern_ext_authz=trace`. What it does not mention stays at `info`.
//!
//! **Secrets never reach a log.** Nothing here can take them out again, so the rule is kept
//! where events are written: no token, key, password, cookie or header value becomes a field,
//! and secret newtypes have a redacted `Debug` and no `Display`. Client input that must be
//! logged (a path, a user agent) goes into a field, never into the message; both formats
//! escape control characters, so that a request cannot forge a line.
//!
//! In JSON an event's fields stand beside `timestamp`, `level`, `target`, `message` and `span`:
//! no field may have one of these names.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::TelemetryError;

/// The environment variable that holds the filter.
pub const FILTER_VARIABLE: &str = "POSTERN_LOG";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(TelemetryError::LogFormat),
        }
    }
}

/// Sends the process's logs to stderr; stdout belongs to what commands print.
///
/// Without a format it is text when stderr is a terminal, else JSON.
///
/// # Errors
/// When `POSTERN_LOG` is no filter, or logs were set up before.
pub fn init(format: Option<LogFormat>) -> Result<(), TelemetryError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) => parse_filter(&text)?,
        Err(std::env::VarError::NotPresent) => parse_filter("")?,
        Err(std::env::VarError::NotUnicode(_)) => return Err(TelemetryError::LogFilterNotUtf8),
    };
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    // https://no-color.org: any value but the empty one.
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing::subscriber::set_global_default(subscriber(format, filter, colours, std::io::stderr))
        .map_err(|_| TelemetryError::LogsAlreadySet)
}

/// A later directive replaces an earlier one for the same target, so `info` in front is what
/// holds for all that the operator does not mention.
fn parse_filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(format!("info,{text}")).map_err(TelemetryError::LogFilter)
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // What cannot be written is lost. To complain of it on stderr, which is where it could not be
    // written, would end the process: a full disk must not.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false);
    match format {
        LogFormat::Json => Box::new(
            builder
                .with_ansi(false)
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .finish(),
        ),
        LogFormat::Text => Box::new(builder.with_ansi(colours).finish()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let buffer = Buffer::default();
        let writer = {
            let buffer = buffer.clone();
            move || buffer.clone()
        };
        let subscriber = subscriber(format, parse_filter(filter).unwrap(), false, writer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(path = "/a\nb", "refused");
            tracing::debug!("a detail");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(LogFormat::Json, "");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "refused");
        assert_eq!(line["path"], "/a\nb");
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn text_stays_on_one_line_and_has_no_colours_unless_asked() {
        let text = logged(LogFormat::Text, "warn");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("refused") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_filter_defaults_to_info_and_refuses_nonsense() {
        for (filter, lines) in [
            ("", 1),
            ("error", 0),
            ("debug", 2),
            // What another target is set to leaves this one at `info`.
            ("postern_elsewhere=off", 1),
            ("postern_telemetry=debug", 2),
        ] {
            assert_eq!(logged(LogFormat::Json, filter).lines().count(), lines, "{filter}");
        }
        assert!(matches!(parse_filter("postern=loud"), Err(TelemetryError::LogFilter(_))));
    }

    #[test]
    fn formats_are_named() {
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        assert_eq!("text".parse::<LogFormat>().unwrap(), LogFormat::Text);
        assert!("yaml".parse::<LogFormat>().is_err());
    }
}
