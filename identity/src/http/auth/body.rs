//! Bodies of requests: strict JSON, in which nothing stands that nobody knows.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use postern_oauth::Secret;
use postern_request::Denial;
use postern_request::json::{self, Value};

use super::{Body, Call};
use crate::DirectLogin;
use crate::http::refusal::{self, Invalid};
use crate::http::reply;
use crate::login::MAX_PASSWORD_CHARS;

/// Longest e-mail, and longest name of a device, in bytes.
const MAX_TEXT_BYTES: usize = 255;
/// Longest code, in characters: a recovery code with its dashes.
const MAX_CODE_CHARS: usize = 32;
/// Longest refresh token; ours are shorter.
const MAX_TOKEN_BYTES: usize = 512;

/// The bytes, where they are JSON and not too many. No body is an empty one.
pub(super) fn of(call: &Call<'_>, body: Body) -> Result<Bytes, Response> {
    let bytes = body.map_err(|rejection| call.deny(&refusal::unread(&rejection)))?;
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // Another site can send a form without asking the browser's leave, and no JSON.
    if !bytes.is_empty() && !kind.eq_ignore_ascii_case("application/json") {
        return Err(call.deny(&refusal::unreadable("The body must be application/json")));
    }
    Ok(bytes)
}

/// `/auth/login`.
pub(super) fn login(call: &Call<'_>, bytes: &[u8]) -> Result<DirectLogin, Response> {
    const KNOWN: [&str; 5] = ["email", "password", "mfaToken", "deviceId", "remember"];
    const UNKNOWN: &str = "There is a member that is not known; known are email, password, \
                           mfaToken, deviceId and remember";
    let value = object(call, bytes)?;
    let mut problems = unknown(&value, &KNOWN, UNKNOWN);
    let mut fields = Fields { value: &value, problems: &mut problems };
    let email = fields.text("email", true, "An e-mail address is needed", is_email);
    let password =
        fields.text("password", true, "A password of up to 128 characters is needed", |text| {
            !text.is_empty() && text.chars().count() <= MAX_PASSWORD_CHARS
        });
    let code = fields.text("mfaToken", false, "This cannot be a code", |text| {
        !text.is_empty() && text.chars().count() <= MAX_CODE_CHARS
    });
    let device_id = fields.text("deviceId", false, "This cannot be a device", is_device);
    let remember = fields.truth("remember");
    match (email, password) {
        (Some(email), Some(password)) if problems.is_empty() => Ok(DirectLogin {
            email,
            password: Secret::new(password),
            mfa_token: code.map(Secret::new),
            device_id,
            remember,
        }),
        _ => Err(invalid(call, &problems)),
    }
}

/// `/auth/refresh`: the token, and the device.
pub(super) fn refresh(call: &Call<'_>, bytes: &[u8]) -> Result<(Secret, Option<String>), Response> {
    const UNKNOWN: &str =
        "There is a member that is not known; known are refreshToken and deviceId";
    let value = match bytes.is_empty() {
        true => Value::Object(Vec::new()),
        false => object(call, bytes)?,
    };
    let mut problems = unknown(&value, &["refreshToken", "deviceId"], UNKNOWN);
    let mut fields = Fields { value: &value, problems: &mut problems };
    let shown = fields.text("refreshToken", false, "This cannot be a token", |text| {
        !text.is_empty() && text.len() <= MAX_TOKEN_BYTES
    });
    let device = fields.text("deviceId", false, "This cannot be a device", is_device);
    if !problems.is_empty() {
        return Err(invalid(call, &problems));
    }
    match (shown, call.bearer_text()) {
        (Some(token), None) => Ok((Secret::new(token), device)),
        (None, Some(token)) if token.len() <= MAX_TOKEN_BYTES => {
            Ok((Secret::new(token.to_owned()), device))
        }
        // Two tokens: nobody could say which one counts.
        (Some(_), Some(_)) => Err(call.deny(&refusal::unreadable("The token is there twice"))),
        (None, _) => Err(call.deny(&Denial::missing_credential())),
    }
}

fn object(call: &Call<'_>, bytes: &[u8]) -> Result<Value, Response> {
    let value = json::parse(bytes).ok().filter(|value| value.as_object().is_some());
    value.ok_or_else(|| call.deny(&refusal::unreadable("The body must be one JSON object")))
}

fn invalid(call: &Call<'_>, problems: &[Invalid]) -> Response {
    reply::turn_away(refusal::invalid(problems, &call.id, call.now))
}

/// What stands there and nobody knows. Its name is not repeated.
fn unknown(value: &Value, known: &[&str], message: &'static str) -> Vec<Invalid> {
    let members = value.as_object().unwrap_or_default();
    let has_more = members.iter().any(|(name, _)| !known.contains(&name.as_str()));
    let more = Invalid { field: "", message };
    if has_more { vec![more] } else { Vec::new() }
}

/// Reads members, and keeps what is wrong with them.
struct Fields<'a> {
    value: &'a Value,
    problems: &'a mut Vec<Invalid>,
}

impl Fields<'_> {
    fn text(
        &mut self,
        field: &'static str,
        is_needed: bool,
        message: &'static str,
        fits: impl Fn(&str) -> bool,
    ) -> Option<String> {
        match self.value.get(field) {
            None if !is_needed => None,
            Some(Value::String(text)) if fits(text) => Some(text.clone()),
            _ => {
                self.problems.push(Invalid { field, message });
                None
            }
        }
    }

    fn truth(&mut self, field: &'static str) -> bool {
        match self.value.get(field) {
            None => false,
            Some(Value::Bool(truth)) => *truth,
            Some(_) => {
                self.problems.push(Invalid { field, message: "This must be true or false" });
                false
            }
        }
    }
}

/// Whether it could be somebody's: who it is is looked up.
fn is_email(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    text.len() <= MAX_TEXT_BYTES
        && !text.chars().any(|char| char.is_control() || char.is_whitespace())
        && parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

fn is_device(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_TEXT_BYTES).contains(&text.len()) && text.bytes().all(fits)
}
