//! What was asked, and what is answered.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use postern_identity::IdentityError;
use postern_identity::admin::Actor;
use postern_request::{UnixMillis, correlation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::audit::MAX_AFTER;
use super::query::{Listing, Query};
use super::refusal::Refusal;
use super::table::Endpoint;

/// Longest id that is looked up, in bytes.
const MAX_ID: usize = 128;
/// With more members than any body has, nobody looks which one does not fit.
const MAX_MEMBERS: usize = 64;
/// How the reader begins what it says of the value of one member.
const MISFITS: [&str; 4] = ["invalid type", "invalid value", "invalid length", "unknown variant"];
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

    /// A number of the path; `what` has it.
    ///
    /// # Errors
    /// As with [`Call::uuid`].
    pub fn number(&self, at: usize, what: &'static str) -> Result<u64, Refusal> {
        let text = self.params.get(at).map(String::as_str).unwrap_or_default();
        // `parse` would take a plus sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            text.parse::<u64>().ok().filter(|number| digits && (1..=MAX_AFTER).contains(number));
        number.ok_or_else(|| IdentityError::NotFound(what).into())
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
        read(&self.body)
    }

    /// The body, or where there is none, the empty object.
    ///
    /// # Errors
    /// As with [`Call::body`].
    pub fn body_or_empty<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() { read(b"{}") } else { self.body() }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| unfit(&error, misfit::<T>(body, &error)))
}

/// The member that is of another kind than it should be. The reader does not say which: it is the
/// one without which it has something else to say, or nothing. A member that nobody knows is told
/// of otherwise, so that this name is one of ours.
fn misfit<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Option<String> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return None };
    if members.len() > MAX_MEMBERS {
        return None;
    }
    let told = |members: Map<String, Value>| {
        let read = serde_json::from_value::<T>(Value::Object(members));
        read.err().map(|error| error.to_string())
    };
    let whole = told(members.clone())?;
    let is_it = |name: &&String| {
        let mut rest = members.clone();
        rest.remove(name.as_str());
        told(rest).as_ref() != Some(&whole)
    };
    let is_of_one = MISFITS.iter().any(|kind| whole.starts_with(kind));
    // Of several that do not fit, another one may be the first here.
    if !is_of_one || !error.to_string().starts_with(&whole) {
        return None;
    }
    members.keys().find(is_it).cloned()
}

/// What the reader expects, in words that are not those of our language.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        text if text.starts_with("struct ") => "an object",
        text if text.starts_with("enum ") || text.starts_with("variant ") => "a known word",
        text => text,
    }
}

/// The words of the reader, without those that may be the caller's.
fn unfit(error: &serde_json::Error, misfit: Option<String>) -> Refusal {
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
        let what = if misfit.is_some() { "this" } else { "something" };
        match error.to_string().rsplit_once(", expected ") {
            Some((_, expected)) => {
                let expected = expected.split(" at line ").next().unwrap_or_default();
                format!("{what} is {kind}; expected {}", in_words(expected))
            }
            None => format!("{what} is {kind}"),
        }
    };
    Refusal::invalid(misfit.unwrap_or_default(), message)
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
        let read = read::<Body>(body.as_bytes()).map(|body| (body.name, body.count));
        read.unwrap_err().text()
    }

    #[test]
    fn what_does_not_fit_is_named_without_being_repeated() {
        for (body, expected) in [
            ("{}", "missing field `name`"),
            (r#"{"name":"a","name":"b"}"#, "duplicate field `name`"),
            (r#"{"name":"a","sekrit":1}"#, "expected `name` or `count`"),
            (r#"{"name":["sekrit"]}"#, "a string"),
            (r#"{"name":"a","count":"sekrit, expected at line 3"}"#, "a whole number"),
            (r#"{"name":"a","count":"1"}"#, "count"),
            (r#"{"name":"a","count":-1}"#, "a whole number"),
            (r#"{"name":7,"count":1}"#, "name"),
            (r#"{"count":true,"name":"a"}"#, "count"),
            (r#"{"name":true,"count":true}"#, "of another kind"),
            (r#""sekrit""#, "an object"),
            ("{\"name\":sekrit}", "one JSON object"),
            ("", "one JSON object"),
        ] {
            let told = told(body);
            assert!(told.contains(expected), "{body}: {told}");
            assert!(!told.contains("sekrit"), "{body}: {told}");
            assert!(!told.contains("u32") && !told.contains("struct"), "{body}: {told}");
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
