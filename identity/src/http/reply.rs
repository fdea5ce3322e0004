//! Answers: how a request is read into the protocol's terms, and how what comes of it is written.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use postern_oauth::{NO_STORE, OAuthError};
use postern_request::denial::RenderedDenial;
use postern_request::headers::{CORRELATION_ID, REQUEST_ID, Single};
use postern_request::{Denial, ErrorCode, UnixMillis, correlation};

use super::refusal;
use crate::{LoginError, random};

/// Public keys and metadata may be kept for so long; a new key is published for longer than
/// that before it signs.
pub(crate) const PUBLIC_CACHE: &str = "public, max-age=300";

/// The caller's id when it is one, Envoy's, or a new one.
pub(crate) fn correlation_id(headers: &HeaderMap) -> String {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    correlation::choose(value(CORRELATION_ID), value(REQUEST_ID), || {
        // Without random numbers the answer still goes out, and the log can be read by time.
        random::bits().unwrap_or_default()
    })
}

/// Gives a request the id that its answer is known by, before anybody looks at it: the answer's
/// header and body, the page, and the log all read it from here, and so name the same one.
pub(crate) async fn named(mut request: Request, next: Next) -> Response {
    if let Ok(id) = HeaderValue::try_from(correlation_id(request.headers())) {
        request.headers_mut().insert(CORRELATION_ID, id);
    }
    next.run(request).await
}

/// A header that must not be repeated.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Single<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Single::Absent,
        (Some(value), None) => Single::One(value.as_bytes()),
        (Some(_), Some(_)) => Single::Repeated,
    }
}

/// What everybody may read, and keep for a while.
pub(crate) fn public_json(headers: &HeaderMap, body: String) -> Response {
    let out = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", PUBLIC_CACHE.to_owned()),
        // Without credentials and without secrets: scripts of any origin may read it.
        ("access-control-allow-origin", "*".to_owned()),
        (CORRELATION_ID, correlation_id(headers)),
    ];
    respond(200, out, body)
}

/// What is for the caller alone, and kept nowhere.
pub(crate) fn private_json(headers: &HeaderMap, body: String) -> Response {
    private(headers, 200, body)
}

/// The same of what the request has made.
pub(crate) fn created_json(headers: &HeaderMap, body: String) -> Response {
    private(headers, 201, body)
}

fn private(headers: &HeaderMap, status: u16, body: String) -> Response {
    let mut out = vec![
        ("content-type", "application/json".to_owned()),
        (CORRELATION_ID, correlation_id(headers)),
    ];
    out.extend(NO_STORE.map(|(name, value)| (name, value.to_owned())));
    respond(status, out, body)
}

/// An answer without a body.
pub(crate) fn nothing(headers: &HeaderMap, status: u16) -> Response {
    let mut out = vec![(CORRELATION_ID, correlation_id(headers))];
    out.extend(NO_STORE.map(|(name, value)| (name, value.to_owned())));
    respond(status, out, String::new())
}

/// To another place, which was checked by whoever calls this. 302 keeps to what RFC 6749 shows;
/// after a form it is 303, because some browsers send a form again on 302 (RFC 9700 §4.12).
pub(crate) fn redirect(headers: &HeaderMap, to: &str, after_form: bool) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else {
        tracing::error!("a location cannot stand in a header");
        return nothing(headers, 500);
    };
    let mut response = nothing(headers, if after_form { 303 } else { 302 });
    response.headers_mut().insert("location", location);
    // What comes back holds a code: nobody else learns where it came from.
    response.headers_mut().insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}

/// An error of the protocol, in its own form.
pub(crate) fn refuse(headers: &HeaderMap, error: &OAuthError, now: UnixMillis) -> Response {
    turn_away(error.render(&correlation_id(headers), now))
}

/// A refusal in the form that all of the suite has.
pub(crate) fn deny(denial: &Denial, headers: &HeaderMap, now: UnixMillis) -> Response {
    let id = correlation_id(headers);
    tracing::info!(reason = denial.reason, correlation_id = id, "turned away");
    turn_away(denial.render(&id, now, false))
}

/// Too many calls, or nobody can say how many.
pub(crate) fn limited(headers: &HeaderMap, error: &LoginError, now: UnixMillis) -> Response {
    let id = correlation_id(headers);
    let reason = refusal::reason(error);
    tracing::info!(%error, reason, correlation_id = id, "turned away");
    turn_away(refusal::login(error, &id, now))
}

/// A path that does not have this method.
pub(crate) fn wrong_method(headers: &HeaderMap, now: UnixMillis) -> Response {
    let mut denial = Denial::new(ErrorCode::BadRequest, "method_wrong");
    denial.description = Some("The method is not allowed here".into());
    let mut response = deny(&denial, headers, now);
    // `Allow` is added by the router, which knows the methods.
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// A refusal as it was rendered.
pub(crate) fn turn_away(rendered: RenderedDenial) -> Response {
    respond(rendered.status, rendered.headers, rendered.body)
}

/// An answer; names and values are ours.
pub(crate) fn respond(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // One that could not stand in a header is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    /// What two readers of one request take for its id.
    async fn read_twice(sent: Option<&str>) -> (String, String) {
        let router = Router::new()
            .route(
                "/",
                get(async |headers: HeaderMap| {
                    [correlation_id(&headers), correlation_id(&headers)].join(" ")
                }),
            )
            .layer(from_fn(named));
        let mut request = Request::new(Body::empty());
        if let Some(sent) = sent {
            request.headers_mut().insert(CORRELATION_ID, HeaderValue::from_str(sent).unwrap());
        }
        let response = router.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let (first, second) = text.split_once(' ').unwrap();
        (first.to_owned(), second.to_owned())
    }

    #[tokio::test]
    async fn everything_that_a_request_leaves_behind_has_one_id() {
        let sent = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        assert_eq!(read_twice(Some(sent)).await, (sent.to_owned(), sent.to_owned()));
        for none in [None, Some("no id"), Some("00000000-0000-0000-0000-000000000000")] {
            let (first, second) = read_twice(none).await;
            assert!(first == second && correlation::is_uuid(first.as_bytes()), "{first} {second}");
        }
        assert_ne!(read_twice(None).await.0, read_twice(None).await.0, "each request has its own");
    }
}
