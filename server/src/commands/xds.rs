//! `postern xds`: asks a running server by its admin port, because only that knows.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, ensure};
use postern_request::UnixMillis;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::{Xds, XdsAction, XdsStatus};
use crate::output;

/// Exit code where an Envoy has not taken all that it should have.
const NOT_CURRENT: u8 = 3;
/// How long the answer may take, from the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Looks at the Envoys of a server.
///
/// # Errors
/// When the server cannot be asked, or answers otherwise.
pub async fn run(arguments: &Xds) -> Result<ExitCode> {
    match &arguments.action {
        XdsAction::Status(status) => show(status).await,
    }
}

async fn show(arguments: &XdsStatus) -> Result<ExitCode> {
    let envoys = ask(arguments).await?;
    let wanted = arguments.document.as_deref();
    let is_current = are_current(&envoys, wanted);
    if arguments.json {
        output::line(Value::Array(envoys).to_string())?;
    } else {
        let rows: Vec<Vec<String>> = envoys.iter().map(row).collect();
        output::table(&["ID", "WORKLOAD", "DOCUMENT", "STATUS", "VERSION", "SINCE"], &rows)?;
        if envoys.is_empty() {
            output::note("no Envoy asks this server what it runs; with several servers, ask each");
        }
        envoys.iter().flat_map(refusals).for_each(output::remark);
        if let Some(wanted) = wanted {
            envoys
                .iter()
                .filter_map(|envoy| other_document(envoy, wanted))
                .for_each(output::remark);
        }
    }
    Ok(if is_current { ExitCode::SUCCESS } else { ExitCode::from(NOT_CURRENT) })
}

async fn ask(arguments: &XdsStatus) -> Result<Vec<Value>> {
    let server = &arguments.server;
    let url = address(server)?;
    let credential = credential(&arguments.admin_token_file)?;
    // The credential goes to that server and nowhere else.
    let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT).build();
    let client = client.context("cannot make an HTTP client")?;
    let sent = client.get(url).header(AUTHORIZATION, credential).send().await;
    let answer = sent.map_err(|error| away(server, error))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| away(server, error))?;
    ensure!(status == StatusCode::OK, refused(server, status));
    let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(envoys)) => Ok(envoys),
        _ => Err(anyhow!("{server} answers, and not as a server of this suite does: is it one?")),
    }
}

fn address(server: &str) -> Result<Url> {
    let url = Url::parse(server).ok().filter(|url| {
        let is_http = matches!(url.scheme(), "http" | "https");
        is_http && url.username().is_empty() && url.password().is_none()
    });
    // What is no address may be a password.
    let mut url = url.ok_or_else(|| anyhow!("--server: write it as http://HOST:PORT"))?;
    url.set_path("/admin/xds");
    url.set_query(None);
    Ok(url)
}

/// What the server is shown; the text of an error names the file and nothing of its content.
fn credential(file: &Path) -> Result<HeaderValue> {
    let place = || format!("--admin-token-file {}", file.display());
    let text = Zeroizing::new(std::fs::read_to_string(file).with_context(place)?);
    let text = text.trim();
    ensure!(!text.is_empty(), "{}: it is empty", place());
    let header = Zeroizing::new(format!("Bearer {text}"));
    let header = HeaderValue::from_str(&header).map_err(|_| anyhow!("it holds no credential"));
    let mut header = header.with_context(place)?;
    header.set_sensitive(true);
    Ok(header)
}

fn away(server: &str, error: reqwest::Error) -> Error {
    let seconds = TIMEOUT.as_secs();
    let text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => format!("{server} did not answer within {seconds} s"),
        (_, true) => {
            format!("nothing answers at {server}: is the server up, and is this its admin port?")
        }
        _ => format!("the answer of {server} broke off"),
    };
    Error::new(error.without_url()).context(text)
}

fn refused(server: &str, status: StatusCode) -> String {
    let why = match status {
        StatusCode::UNAUTHORIZED => {
            "it does not take what --admin-token-file holds: give it the credential that it was \
             started with, or an access token that is good"
        }
        StatusCode::FORBIDDEN => "the access token lacks the scope postern.admin",
        StatusCode::NOT_FOUND => {
            "there is no /admin/xds: it has no admin API, runs without the roles `admin` and \
             `discovery`, or this is another of its ports"
        }
        _ => "its log says more",
    };
    format!("{server} answers with {}: {why}", status.as_u16())
}

fn row(envoy: &Value) -> Vec<String> {
    let text = |name: &str| {
        let text = envoy.get(name).and_then(Value::as_str).unwrap_or_default();
        output::visible(text)
    };
    let since = envoy.get("since").and_then(Value::as_u64).map(UnixMillis);
    vec![
        text("id"),
        text("workload"),
        text("document"),
        standing(envoy).to_owned(),
        text("version"),
        since.map(UnixMillis::to_rfc3339).unwrap_or_default(),
    ]
}

/// Whether there is somebody, and everybody has everything, of the document that is wanted. Nobody
/// has proved nothing: a gate is not to open before Envoys come.
fn are_current(envoys: &[Value], wanted: Option<&str>) -> bool {
    let is_current = |envoy: &Value| {
        let is_other = wanted.is_some_and(|wanted| !document(envoy).starts_with(wanted));
        standing(envoy) == "current" && !is_other
    };
    !envoys.is_empty() && envoys.iter().all(is_current)
}

fn document(envoy: &Value) -> &str {
    envoy.get("document").and_then(Value::as_str).unwrap_or_default()
}

/// That an Envoy is not told this document.
fn other_document(envoy: &Value, wanted: &str) -> Option<String> {
    let (id, document) = (id(envoy), document(envoy));
    let is_other = !document.starts_with(wanted);
    is_other.then(|| output::visible(&format!("{id} is told {document}, not {wanted}")))
}

fn id(envoy: &Value) -> &str {
    envoy.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Why an Envoy cannot be told what is newer.
fn render_error(envoy: &Value) -> Option<&str> {
    envoy.get("renderError").and_then(Value::as_str)
}

/// What an Envoy refuses, in a word; or that it has not taken everything yet, or cannot be told.
fn standing(envoy: &Value) -> &'static str {
    if kinds(envoy).any(|(_, kind)| says(kind, "refusing")) {
        "refusing"
    } else if render_error(envoy).is_some() {
        "unrendered"
    } else if says(envoy, "current") {
        "current"
    } else {
        "behind"
    }
}

/// What it refuses, and why in its own words; and why there is nothing newer to tell it.
fn refusals(envoy: &Value) -> Vec<String> {
    let id = id(envoy);
    let refused = kinds(envoy).filter(|(_, kind)| says(kind, "refusing"));
    let line = |(name, kind): (&String, &Value)| {
        let why = kind.pointer("/lastNack/error").and_then(Value::as_str).unwrap_or_default();
        output::visible(&format!("{id} refuses {name}: {why}"))
    };
    let unrendered = render_error(envoy)
        .map(|error| output::visible(&format!("{id} goes on with what it has: {error}")));
    refused.map(line).chain(unrendered).collect()
}

fn kinds(envoy: &Value) -> impl Iterator<Item = (&String, &Value)> {
    envoy.get("types").and_then(Value::as_object).into_iter().flatten()
}

fn says(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envoy(current: bool, refusing: bool) -> Value {
        let cluster = json!({"refusing": refusing, "lastNack": {"error": "no\u{1b}[2J"}});
        json!({"id": "edge-1", "current": current, "since": 0, "types": {"cluster": cluster}})
    }

    #[test]
    fn what_is_refused_is_told_before_what_is_behind() {
        let cases = [(true, false, "current"), (false, false, "behind"), (false, true, "refusing")];
        for (current, refusing, expected) in cases {
            assert_eq!(standing(&envoy(current, refusing)), expected);
        }
        assert_eq!(refusals(&envoy(false, true)), ["edge-1 refuses cluster: no\\u{1b}[2J"]);
        assert!(refusals(&envoy(true, false)).is_empty(), "that is over");
        let row = row(&envoy(true, false));
        assert_eq!((row[0].as_str(), row[3].as_str()), ("edge-1", "current"));
        assert_eq!(row[4..], ["", "1970-01-01T00:00:00.000Z"]);
    }

    #[test]
    fn who_cannot_be_told_is_not_current() {
        let mut left = envoy(false, false);
        left["renderError"] = "no\n--zone".into();
        assert_eq!(standing(&left), "unrendered");
        assert_eq!(refusals(&left), ["edge-1 goes on with what it has: no\\u{a}--zone"]);
        assert!(!are_current(&[envoy(true, false), left], None));
    }

    #[test]
    fn a_gate_opens_when_everybody_is_there_with_the_document() {
        let of = |document: &str| {
            let mut envoy = envoy(true, false);
            envoy["document"] = document.into();
            envoy
        };
        assert!(!are_current(&[], None), "nobody is there");
        assert!(are_current(&[of("0123456789ab")], None));
        assert!(are_current(&[of("0123456789ab")], Some("01234567")));
        assert!(!are_current(&[of("0123456789ab"), of("9f2c456789ab")], Some("01234567")));
        assert!(!are_current(&[envoy(false, false)], None));
        assert_eq!(other_document(&of("0123456789ab"), "01234567"), None);
        let other = other_document(&of("9f2c456789ab"), "01234567").unwrap();
        assert_eq!(other, "edge-1 is told 9f2c456789ab, not 01234567");
    }

    #[test]
    fn a_server_is_named_by_a_url() {
        for good in ["http://127.0.0.1:9193", "https://admin.test/some/where?x=1"] {
            assert_eq!(address(good).unwrap().path(), "/admin/xds");
            assert_eq!(address(good).unwrap().query(), None);
        }
        for bad in ["127.0.0.1:9193", "localhost:9193", "ftp://a.test", "http://a:b@c.test", ""] {
            let error = address(bad).unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT"), "{bad}: {error}");
        }
    }

    #[test]
    fn errors_name_the_file_and_nothing_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(credential(&file).is_err());
        for bad in ["", " \n", "hunter2\u{7}hunter2"] {
            std::fs::write(&file, bad).unwrap();
            let error = format!("{:#}", credential(&file).unwrap_err());
            assert!(error.contains("--admin-token-file") && !error.contains("hunter"), "{error}");
        }
        std::fs::write(&file, " good\n").unwrap();
        assert_eq!(credential(&file).unwrap(), "Bearer good");
    }
}
