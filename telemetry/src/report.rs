//! A health report and its JSON.

use std::time::Duration;

use postern_request::UnixMillis;
use serde_json::{Map, Value, json};

use crate::check::{CheckKind, Status};
use crate::process::ProcessUsage;
use crate::rolling::Activity;
use crate::{SERVICE, VERSION};

/// How the process and what it needs are.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The sum of it.
    pub status: Status,
    /// When.
    pub timestamp: UnixMillis,
    /// Since the start.
    pub uptime: Duration,
    /// Each check, in the order of their kinds.
    pub checks: Vec<CheckReport>,
    /// The last 60 seconds.
    pub activity: Activity,
    /// The document in use; none where the process goes by none.
    pub document: Option<DocumentReport>,
}

/// Which document a process goes by. Everyone who can reach `/health` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentReport {
    /// Its digest.
    pub digest: String,
    /// Since when.
    pub since: UnixMillis,
    /// What there is to say of it, such as that a newer one is not used.
    pub note: Option<String>,
}

impl DocumentReport {
    fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("digest".to_owned(), json!(self.digest));
        members.insert("since".to_owned(), json!(self.since.to_rfc3339()));
        if let Some(note) = &self.note {
            members.insert("note".to_owned(), json!(note));
        }
        Value::Object(members)
    }
}

/// How one of the things is that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    /// Which.
    pub kind: CheckKind,
    /// Whether it decides.
    pub critical: bool,
    /// How it was, when last checked.
    pub status: Status,
    /// Why.
    pub message: Option<String>,
    /// How long the check took.
    pub took: Duration,
    /// For those who ask.
    pub details: Option<Value>,
}

impl Report {
    /// 200 while it works, degraded or not; 503 when it does not.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self.status {
            Status::Healthy | Status::Degraded => 200,
            Status::Unhealthy => 503,
        }
    }

    /// The answer of `/health`; with `usage` the detailed one.
    ///
    /// Durations and latencies are milliseconds, uptime whole seconds, the error rate a share
    /// from 0 to 1. Every member of `checks` is there in every deployment: what the process
    /// does not use is healthy and says so.
    #[must_use]
    pub fn to_json(&self, usage: Option<&ProcessUsage>) -> Value {
        let mut body = json!({
            "service": SERVICE,
            "version": VERSION,
            "status": self.status.as_str(),
            "timestamp": self.timestamp.to_rfc3339(),
            "uptime": self.uptime.as_secs(),
            "checks": self.checks_json(usage.is_some()),
            "metrics": {
                "requestsPerSecond": rounded(self.activity.requests_per_second),
                "averageLatency": rounded(self.activity.average_latency_ms),
                // Not rounded: 0.1 % is the target, so its digits matter.
                "errorRate": self.activity.error_rate,
                "activeConnections": self.activity.active_connections,
                "activeUsers": self.activity.active_users,
            },
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(document) = &self.document {
                members.insert("document".to_owned(), document.to_json());
            }
            if let Some(usage) = usage {
                add_usage(members, usage);
            }
        }
        body
    }

    fn checks_json(&self, detailed: bool) -> Value {
        let mut members = Map::new();
        for kind in
            [CheckKind::Redis, CheckKind::Database, CheckKind::Certificates, CheckKind::Keys]
        {
            let unused = json!({"status": "healthy", "message": "not in use", "duration": 0.0});
            members.insert(kind.as_str().to_owned(), unused);
        }
        let mut services = Map::new();
        for check in &self.checks {
            let found = check.to_json(detailed);
            match &check.kind {
                CheckKind::Service(name) => services.insert(name.clone(), found),
                kind => members.insert(kind.as_str().to_owned(), found),
            };
        }
        members.insert("services".to_owned(), Value::Object(services));
        Value::Object(members)
    }
}

impl CheckReport {
    fn to_json(&self, detailed: bool) -> Value {
        let mut members = Map::new();
        members.insert("status".to_owned(), json!(self.status.as_str()));
        if let Some(message) = &self.message {
            members.insert("message".to_owned(), json!(message));
        }
        members.insert("duration".to_owned(), json!(rounded(self.took.as_secs_f64() * 1000.0)));
        if let (true, Some(details)) = (detailed, &self.details) {
            members.insert("details".to_owned(), details.clone());
        }
        Value::Object(members)
    }
}

/// What the system does not tell is `null`. `disk` is what went to and from storage: how full a
/// disk is takes a system call that this code base does not make.
fn add_usage(members: &mut Map<String, Value>, usage: &ProcessUsage) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let percentage = usage.cpu_percentage.map(rounded);
    members.insert("cpu".to_owned(), json!({"percentage": percentage, "cores": cores}));
    members.insert(
        "memory".to_owned(),
        json!({"rss": usage.rss_bytes, "virtual": usage.virtual_bytes}),
    );
    members.insert(
        "disk".to_owned(),
        json!({"readBytes": usage.read_bytes, "writtenBytes": usage.written_bytes}),
    );
}

/// Three digits are enough for people.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: CheckKind, status: Status, message: Option<&str>) -> CheckReport {
        CheckReport {
            kind,
            critical: false,
            status,
            message: message.map(str::to_owned),
            took: Duration::from_micros(1234),
            details: Some(json!({"version": "8.0"})),
        }
    }

    fn report() -> Report {
        Report {
            status: Status::Degraded,
            timestamp: UnixMillis(0),
            uptime: Duration::from_millis(61_900),
            checks: vec![
                check(CheckKind::Redis, Status::Degraded, Some("slower than 100 ms")),
                check(CheckKind::Service("payments".to_owned()), Status::Healthy, None),
            ],
            activity: Activity {
                requests_per_second: 12.0,
                average_latency_ms: 1.23456,
                error_rate: 0.5,
                active_connections: 3,
                active_users: 2,
            },
            document: None,
        }
    }

    #[test]
    fn the_document_in_use_is_told_with_what_there_is_to_say_of_it() {
        let told = |note: Option<&str>| {
            let document = DocumentReport {
                digest: "00ff".to_owned(),
                since: UnixMillis(0),
                note: note.map(str::to_owned),
            };
            Report { document: Some(document), ..report() }.to_json(None)["document"].clone()
        };
        let plain = json!({"digest": "00ff", "since": "1970-01-01T00:00:00.000Z"});
        assert_eq!(told(None), plain);
        assert_eq!(told(Some("a newer one is not used"))["note"], "a newer one is not used");
        assert_eq!(report().to_json(None).get("document"), None);
    }

    #[test]
    fn the_answer_has_the_members_of_the_contract() {
        let unused = json!({"status": "healthy", "message": "not in use", "duration": 0.0});
        let expected = json!({
            "service": "postern",
            "version": VERSION,
            "status": "degraded",
            "timestamp": "1970-01-01T00:00:00.000Z",
            "uptime": 61,
            "checks": {
                "redis": {"status": "degraded", "message": "slower than 100 ms", "duration": 1.234},
                "database": unused,
                "services": {"payments": {"status": "healthy", "duration": 1.234}},
                "certificates": unused,
                "keys": unused,
            },
            "metrics": {
                "requestsPerSecond": 12.0,
                "averageLatency": 1.235,
                "errorRate": 0.5,
                "activeConnections": 3,
                "activeUsers": 2,
            },
        });
        assert_eq!(report().to_json(None), expected);
    }

    #[test]
    fn details_are_for_those_who_ask() {
        let usage = ProcessUsage { rss_bytes: Some(4096), ..ProcessUsage::default() };
        let body = report().to_json(Some(&usage));
        assert_eq!(body["checks"]["redis"]["details"]["version"], "8.0");
        assert_eq!(body["memory"], json!({"rss": 4096, "virtual": null}));
        assert_eq!(body["cpu"]["percentage"], Value::Null);
        assert!(body["cpu"]["cores"].as_u64().is_some_and(|cores| cores > 0));
        assert!(body["disk"].is_object());
    }

    #[test]
    fn only_unhealthy_is_an_error_for_http() {
        for (status, code) in
            [(Status::Healthy, 200), (Status::Degraded, 200), (Status::Unhealthy, 503)]
        {
            assert_eq!(Report { status, ..report() }.http_status(), code);
        }
    }
}
