//! From a request to its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SERVER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::{self, AnswerBody};
use crate::pattern::{MAX_PATTERN_BYTES, Pattern};
use crate::state::State;

/// The longest that `slow` waits.
const MAX_SLOW_MS: u64 = 60_000;
/// The longest document.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Paths of the sample's own switches begin so.
const SWITCHES: &str = "_sample";
/// What follows then.
const SWITCHED: [&str; 5] = ["document", "fail", "recover", "state", "static"];

/// Answers one request.
pub(crate) async fn to(request: Request<Incoming>, state: &State) -> Response<AnswerBody> {
    let path = request.uri().path().to_owned();
    let mut segments = path.trim_start_matches('/').split('/');
    let service = segments.next().unwrap_or_default();
    let rest: Vec<&str> = segments.collect();
    let mut response = if service == SWITCHES {
        if request.method() == Method::POST && rest == ["document"] {
            publish(request.into_body(), state).await
        } else if request.method() == Method::PUT && rest == ["static"] {
            keep(request, state).await
        } else {
            switch(&request, &rest, state)
        }
    } else {
        let is_get = request.method() == Method::GET;
        let kept = if is_get { state.kept(&path) } else { None };
        match (state.count(service), kept) {
            (Some(status), _) => failure(service, status),
            (None, Some(kept)) => json_text(StatusCode::OK, kept),
            (None, None) => {
                let query = request.uri().query().map(str::to_owned);
                let mut response = serve(request, service, &rest).await;
                say(response.headers_mut(), query.as_deref());
                response
            }
        }
    };
    // What a gateway is expected to take away again.
    response.headers_mut().insert(SERVER, HeaderValue::from_static("sample"));
    let powered_by = HeaderName::from_static("x-powered-by");
    response.headers_mut().insert(powered_by, HeaderValue::from_static("sample"));
    response
}

async fn serve(request: Request<Incoming>, service: &str, rest: &[&str]) -> Response<AnswerBody> {
    let post = request.method() == Method::POST;
    match rest {
        [.., "echo"] if post => echo(request),
        [.., "count"] if post => count(request.into_body()).await,
        [.., "bytes", length] => bytes(length, request.uri().query()),
        [.., "slow", millis] => {
            let Some(millis) = number(millis, MAX_SLOW_MS) else {
                return refused("slow/{ms}: at most 60000 ms");
            };
            tokio::time::sleep(Duration::from_millis(millis)).await;
            describe(request, service).await
        }
        _ => describe(request, service).await,
    }
}

/// Headers that the request wants said: `?say=NAME:VALUE`, as often as there are some.
fn say(headers: &mut HeaderMap, query: Option<&str>) {
    for pair in query.unwrap_or_default().split('&') {
        let said = pair.strip_prefix("say=").and_then(|said| said.split_once(':'));
        let Some((name, value)) = said else { continue };
        let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
        if let (Ok(name), Ok(value)) = header {
            headers.append(name, value);
        }
    }
}

/// The body goes back as it comes, so that a test sees both directions at once.
fn echo(request: Request<Incoming>) -> Response<AnswerBody> {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = Response::new(request.into_body().boxed());
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

async fn count(body: Incoming) -> Response<AnswerBody> {
    let read = body::read(body).await;
    json_answer(
        StatusCode::OK,
        &json!({"bytes": read.bytes, "fnv64": read.hash.to_hex(), "complete": read.complete}),
    )
}

fn bytes(length: &str, query: Option<&str>) -> Response<AnswerBody> {
    let Some(length) = number(length, MAX_PATTERN_BYTES) else {
        return refused("bytes/{n}: at most 67108864 bytes");
    };
    let tells_length = parameter(query, "chunked").is_none();
    let mut response = Response::new(Pattern::new(length, tells_length).boxed());
    let content_type = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// What arrived, as JSON.
async fn describe(request: Request<Incoming>, service: &str) -> Response<AnswerBody> {
    let (parts, incoming) = request.into_parts();
    let read = body::read(incoming).await;
    let described = json!({
        "service": service,
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "authority": parts.uri.authority().map(|authority| authority.as_str()),
        "version": format!("{:?}", parts.version),
        "headers": headers(&parts.headers),
        "bodyBytes": read.bytes,
        "bodyFnv64": read.hash.to_hex(),
    });
    json_answer(StatusCode::OK, &described)
}

/// Every header by name: a text, or a list of them where it is repeated.
fn headers(map: &HeaderMap) -> BTreeMap<&str, Value> {
    let text =
        |value: &HeaderValue| Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned());
    map.keys()
        .map(|name| {
            let mut values: Vec<Value> = map.get_all(name).iter().map(text).collect();
            let shown = match (values.len(), values.pop()) {
                (1, Some(only)) => only,
                (_, last) => {
                    values.extend(last);
                    Value::Array(values)
                }
            };
            (name.as_str(), shown)
        })
        .collect()
}

/// The switches that tests and people throw.
fn switch(request: &Request<Incoming>, rest: &[&str], state: &State) -> Response<AnswerBody> {
    let query = request.uri().query();
    match (request.method(), rest) {
        (&Method::GET, ["state"]) => json_answer(StatusCode::OK, &state.to_json()),
        (&Method::GET, ["document"]) => match state.document() {
            Some(document) => json_text(StatusCode::OK, document),
            None => json_answer(StatusCode::NOT_FOUND, &json!({"error": "NO_DOCUMENT"})),
        },
        (&Method::POST, ["fail"]) => {
            let status = parameter(query, "status").unwrap_or("503").parse::<u16>();
            let status = status.ok().filter(|status| (400..600).contains(status));
            let (Some(service), Some(status)) = (parameter(query, "service"), status) else {
                return refused("fail?service=NAME&status=400…599");
            };
            state.fail(service, status);
            json_answer(StatusCode::OK, &json!({"service": service, "failing": status}))
        }
        (&Method::POST, ["recover"]) => {
            let Some(service) = parameter(query, "service") else {
                return refused("recover?service=NAME");
            };
            state.recover(service);
            json_answer(StatusCode::OK, &json!({"service": service, "failing": null}))
        }
        _ => json_answer(
            StatusCode::NOT_FOUND,
            &json!({"error": "NO_SUCH_SWITCH", "known": SWITCHED}),
        ),
    }
}

async fn publish(body: Incoming, state: &State) -> Response<AnswerBody> {
    let Some(document) = read_document(body).await else {
        return refused("document: at most 1048576 bytes");
    };
    let answer = json!({"bytes": document.len()});
    state.publish(document);
    json_answer(StatusCode::OK, &answer)
}

/// Keeps the body for a path.
async fn keep(request: Request<Incoming>, state: &State) -> Response<AnswerBody> {
    let path = parameter(request.uri().query(), "path").map(str::to_owned);
    let Some(path) = path.filter(|path| path.starts_with('/')) else {
        return refused("static?path=/PATH");
    };
    let Some(document) = read_document(request.into_body()).await else {
        return refused("static: at most 1048576 bytes");
    };
    let answer = json!({"path": path, "bytes": document.len()});
    if !state.keep(&path, document) {
        return refused("static: at most 64 paths");
    }
    json_answer(StatusCode::OK, &answer)
}

/// A whole body; none when it is too long.
async fn read_document(body: Incoming) -> Option<Bytes> {
    let document = Limited::new(body, MAX_DOCUMENT_BYTES).collect().await;
    document.ok().map(|document| document.to_bytes())
}

fn failure(service: &str, status: u16) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_answer(status, &json!({"error": "SAMPLE_FAILURE", "service": service}))
}

fn refused(usage: &str) -> Response<AnswerBody> {
    json_answer(StatusCode::BAD_REQUEST, &json!({"error": "SAMPLE_USAGE", "usage": usage}))
}

fn json_answer(status: StatusCode, value: &Value) -> Response<AnswerBody> {
    json_text(status, Bytes::from(value.to_string()))
}

fn json_text(status: StatusCode, text: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(body::whole(text));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn number(text: &str, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= most)
}

/// A parameter of the query; one without a value is empty. Names here need no escapes.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_name() {
        let query = Some("service=payments&status=500&chunked");
        assert_eq!(parameter(query, "service"), Some("payments"));
        assert_eq!(parameter(query, "status"), Some("500"));
        assert_eq!(parameter(query, "chunked"), Some(""));
        assert_eq!(parameter(query, "serv"), None);
        assert_eq!(parameter(None, "service"), None);
    }

    #[test]
    fn what_is_to_be_said_is_said() {
        let mut map = HeaderMap::new();
        say(&mut map, Some("say=cache-control:max-age=1,public&x=1&say=etag:1&say=etag:2&say=bad"));
        assert_eq!(map.get("cache-control").unwrap(), "max-age=1,public");
        assert_eq!((map.get_all("etag").iter().count(), map.len()), (2, 3));
        say(&mut map, None);
        assert_eq!(map.len(), 3);
    }

    #[test]
    fn repeated_headers_become_lists() {
        let mut map = HeaderMap::new();
        map.append("one", HeaderValue::from_static("1"));
        map.append("two", HeaderValue::from_static("a"));
        map.append("two", HeaderValue::from_bytes(b"\xff").unwrap());
        let shown = headers(&map);
        assert_eq!(shown["one"], json!("1"));
        assert_eq!(shown["two"], json!(["a", "\u{fffd}"]));
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(number("64", 64), Some(64));
        for bad in ["65", "-1", "", "1e3", "99999999999999999999999"] {
            assert_eq!(number(bad, 64), None, "{bad}");
        }
    }
}
