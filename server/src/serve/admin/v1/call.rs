//! What was asked, and what is answered.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use postern_identity::IdentityError;
use postern_identity::admin::Actor;
use postern_request::{UnixMillis, correlation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::query::{Listing, Query};
use super::refusal::Refusal;
use super::table::Endpoint;

/// Longest id that is looked up, in bytes.
const MAX_ID: usize = 128;
const NO_OBJECT: &str = "The body must be one JSON object";

/// A request whose caller may ask.
pub struct Call {
    /// Who asks.
    pub by: Actor,
    /// When.
    pub now: UnixMillis,
    pub(super) params: Vec<String>,
    pub(super) query: Query,
    pub(super) body: Bytes,
}

impl Call {
    /// An id of the path that is a UUID; `what` has it.
    ///
    /// # Errors
    /// Where it is none, nothing is called so.
    pub fn uuid(&self, at: usize, what: &'static str) -> Result<&str, Refusal> {
        let id = self.params.get(at).map(String::as_str).unwrap_or_default();
        if correlation::is_uuid(id.as_bytes()) {
            return Ok(id);
        }
        Err(IdentityError::NotFound(what).into())
    }

    /// An id of the path of any other form.
    ///
    /// # Errors
    /// As with [`Call::uuid`].
    pub fn id(&self, at: usize, what: &'static str) -> Result<&str, Refusal> {
        let id = self.params.get(at).map(String::as_str).unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=MAX_ID).contains(&id.len()) && id.bytes().all(fits) {
            return Ok(id);
        }
        Err(IdentityError::NotFound(what).into())
    }

    /// Which part of a list is wanted.
    ///
    /// # Errors
    /// When that makes no sense.
    pub fn listing(&self) -> Result<Listing, Refusal> {
        Listing::read(&self.query)
    }

    /// The body.
    ///
    /// # Errors
    /// When it is no JSON, or says what it must not. No text repeats what was sent.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        // The reader would take a list for an object, member by member.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::unreadable(NO_OBJECT));
        }
        serde_json::from_slice(&self.body).map_err(|error| unfit(&error))
    }
}

/// The words of the reader, without those that may be the caller's.
fn unfit(error: &serde_json::Error) -> Refusal {
    if !error.is_data() {
        return Refusal::unreadable(NO_OBJECT);
    }
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let is_ours = ["missing field ", "duplicate field "].iter().any(|own| text.starts_with(own));
    let message = if is_ours {
        text.to_owned()
    } else {
        let kind = if text.starts_with("unknown ") { "unknown" } else { "of another kind" };
        match error.to_string().rsplit_once(", expected ") {
            Some((_, expected)) => format!("something is {kind}; expected {expected}"),
            None => format!("something is {kind}"),
        }
    };
    Refusal::invalid("", message)
}

/// RFC 9110 §8.3: what the body is has to be said.
///
/// # Errors
/// 415
pub fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let told = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = told.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::with_status(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body must be application/json",
        "content_type_wrong",
    ))
}

/// What is answered where nothing was wrong.
pub enum Reply {
    /// One thing.
    One(Value),
    /// A part of a list, and where it stands in it.
    Part(Vec<Value>, Value),
    /// What has a form of its own.
    Raw(Value),
}

impl Reply {
    /// One thing.
    pub fn one<T: Serialize>(data: &T) -> Self {
        Self::One(value(data))
    }

    /// A part of a list.
    pub fn page<T: Serialize>(listing: Listing, data: &[T], total: u64) -> Self {
        let pagination = listing.pagination(total);
        Self::Part(data.iter().map(value).collect(), pagination)
    }

    pub(super) fn rendered(self, endpoint: &Endpoint) -> (StatusCode, Value) {
        let status = endpoint.status;
        match self {
            Self::One(data) => (status, json!({"success": true, "data": data})),
            Self::Part(data, pagination) => {
                let meta = json!({"pagination": pagination});
                (status, json!({"success": true, "data": data, "meta": meta}))
            }
            Self::Raw(value) => (status, value),
        }
    }
}

/// What we write has names of ours, texts and numbers: that is always JSON.
fn value<T: Serialize>(data: &T) -> Value {
    serde_json::to_value(data).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
        count: Option<u32>,
    }

    fn told(body: &str) -> String {
        let read = serde_json::from_str::<Body>(body).map(|body| (body.name, body.count));
        read.map_err(|error| unfit(&error)).unwrap_err().text()
    }

    #[test]
    fn what_does_not_fit_is_named_without_being_repeated() {
        for (body, expected) in [
            ("{}", "missing field `name`"),
            (r#"{"name":"a","name":"b"}"#, "duplicate field `name`"),
            (r#"{"name":"a","sekrit":1}"#, "expected `name` or `count`"),
            (r#"{"name":["sekrit"]}"#, "a string"),
            (r#"{"name":"a","count":"sekrit, expected at line 3"}"#, "u32"),
            (r#"{"name":"a","count":-1}"#, "u32"),
            (r#""sekrit""#, "struct Body"),
            ("{\"name\":sekrit}", "one JSON object"),
            ("", "one JSON object"),
        ] {
            let told = told(body);
            assert!(told.contains(expected), "{body}: {told}");
            assert!(!told.contains("sekrit"), "{body}: {told}");
        }
    }

    #[test]
    fn a_body_says_that_it_is_json() {
        for (value, is_fine) in [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("text/plain"), false),
            (Some("application/jsonp"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(check_content_type(&headers).is_ok(), is_fine, "{value:?}");
        }
    }
}
