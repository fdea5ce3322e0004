//! What keeps somebody from logging in, as JSON: the one place where that is told.

use std::borrow::Cow;

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use postern_request::denial::RenderedDenial;
use postern_request::{Challenge, Denial, ErrorCode, UnixMillis, json};
use postern_store::StoreError;

use crate::LoginError;

/// A field of a request that says what it must not. Neither text repeats what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) field: &'static str,
    pub(crate) message: &'static str,
}

/// Fields that are not as they have to be.
pub(crate) fn invalid(problems: &[Invalid], id: &str, now: UnixMillis) -> RenderedDenial {
    let denial = Denial::new(ErrorCode::ValidationError, "field_invalid");
    let mut list = String::from("[");
    for (at, problem) in problems.iter().enumerate() {
        list.push_str(if at > 0 { ",{\"field\":" } else { "{\"field\":" });
        json::write_string(&mut list, problem.field);
        list.push_str(",\"message\":");
        json::write_string(&mut list, problem.message);
        list.push('}');
    }
    list.push(']');
    with_member(denial.render(id, now, false), "validationErrors", &list)
}

/// Why a log-in went no further, as the log has it; stable words.
pub(crate) const fn reason(error: &LoginError) -> &'static str {
    match error {
        LoginError::Credentials | LoginError::Expired | LoginError::Exhausted => {
            "credentials_wrong"
        }
        LoginError::MfaRequired(_) => "mfa_missing",
        LoginError::MfaWrong(_) => "mfa_wrong",
        LoginError::Limited { .. } => "login_limited",
        LoginError::Busy => "password_queue",
        LoginError::Blocked => "user_inactive",
        LoginError::PasswordPolicy(_) => "field_invalid",
        LoginError::Store(_) => "login_store",
        LoginError::Internal => "login_failed",
    }
}

/// Why a log-in went no further. `id` is the correlation id.
pub(crate) fn login(error: &LoginError, id: &str, now: UnixMillis) -> RenderedDenial {
    let reason = reason(error);
    let told = |code| Denial::new(code, reason);
    let denial = match error {
        LoginError::Credentials | LoginError::Expired | LoginError::Exhausted => {
            challenged(told(ErrorCode::InvalidCredentials))
        }
        LoginError::MfaRequired(methods) => {
            let denial = challenged(told(ErrorCode::MfaRequired));
            return with_methods(denial.render(id, now, false), methods);
        }
        LoginError::MfaWrong(methods) => {
            let mut denial = challenged(told(ErrorCode::MfaRequired));
            let description = "The second factor is wrong, or was used already";
            denial.description = Some(Cow::Borrowed(description));
            return with_methods(denial.render(id, now, false), methods);
        }
        LoginError::Limited { retry_after_secs, status } => {
            let mut denial = told(ErrorCode::RateLimitExceeded);
            denial.retry_after_secs = Some(*retry_after_secs);
            denial.limit = *status;
            denial
        }
        LoginError::Busy => Denial::unavailable(reason, 1),
        LoginError::Blocked => told(ErrorCode::Blocked),
        LoginError::PasswordPolicy(word) => {
            let message = policy(word);
            return invalid(&[Invalid { field: "password", message }], id, now);
        }
        LoginError::Store(error) => {
            tracing::error!(%error, "a log-in met a store that failed");
            let seconds = if matches!(error, StoreError::Unavailable(_)) { 1 } else { 60 };
            Denial::unavailable(reason, seconds)
        }
        LoginError::Internal => Denial::unavailable(reason, 60),
    };
    denial.render(id, now, false)
}

/// Names of ours, which need no escaping.
fn with_methods(rendered: RenderedDenial, methods: &[&str]) -> RenderedDenial {
    let list = format!("[\"{}\"]", methods.join("\",\""));
    with_member(rendered, "methods", if methods.is_empty() { "[]" } else { list.as_str() })
}

/// RFC 9110 §15.5.2 wants a challenge with every 401.
fn challenged(mut denial: Denial) -> Denial {
    denial.challenge = Some(Challenge::Missing);
    denial
}

/// What people are told of a password that is not accepted.
fn policy(word: &str) -> &'static str {
    match word {
        "short" => "The password is too short",
        "long" => "The password is too long",
        "email" => "The password is the e-mail address",
        "breached" => "The password is known from a breach",
        "same" => "The password is the one of before",
        "must_change" => "The password has to be changed on the log-in page first",
        _ => "The password is not accepted",
    }
}

/// Adds a member, written as JSON already, to the object that is the body.
fn with_member(mut rendered: RenderedDenial, name: &str, value: &str) -> RenderedDenial {
    if let Some(body) = rendered.body.strip_suffix('}') {
        rendered.body = [body, ",\"", name, "\":", value, "}"].concat();
    }
    rendered
}

/// Why a body was not read.
pub(crate) fn unread(rejection: &BytesRejection) -> Denial {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Denial::new(ErrorCode::PayloadTooLarge, "body_large"),
        _ => unreadable("The body cannot be read"),
    }
}

/// A request that cannot be read.
pub(crate) fn unreadable(description: &'static str) -> Denial {
    let mut denial = Denial::new(ErrorCode::BadRequest, "body_unreadable");
    denial.description = Some(Cow::Borrowed(description));
    denial
}

#[cfg(test)]
mod tests {
    use postern_request::RateLimitStatus;
    use postern_request::json::Value;

    use super::*;

    fn told(error: &LoginError) -> (u16, String, Value, Vec<(&'static str, String)>) {
        let rendered = login(error, "id", UnixMillis(0));
        let body = json::parse(rendered.body.as_bytes()).unwrap();
        let code = body.get("error").unwrap().as_str().unwrap().to_owned();
        (rendered.status, code, body, rendered.headers)
    }

    #[test]
    fn each_failure_has_its_status_and_code() {
        let status = RateLimitStatus { limit: 5, remaining: 0, reset_secs: 60, window_secs: 900 };
        let limited = LoginError::Limited { retry_after_secs: 60, status: Some(status) };
        for (error, expected, code) in [
            (LoginError::Credentials, 401, "INVALID_CREDENTIALS"),
            (LoginError::Expired, 401, "INVALID_CREDENTIALS"),
            (LoginError::Exhausted, 401, "INVALID_CREDENTIALS"),
            (LoginError::MfaRequired(vec![]), 401, "MFA_REQUIRED"),
            (LoginError::MfaWrong(vec![]), 401, "MFA_REQUIRED"),
            (limited, 429, "RATE_LIMIT_EXCEEDED"),
            (LoginError::Busy, 503, "UNAVAILABLE"),
            (LoginError::Blocked, 403, "BLOCKED"),
            (LoginError::PasswordPolicy("short"), 422, "VALIDATION_ERROR"),
            (LoginError::Store(StoreError::Unavailable("x".to_owned())), 503, "UNAVAILABLE"),
            (LoginError::Store(StoreError::Corrupt("secret".to_owned())), 503, "UNAVAILABLE"),
            (LoginError::Internal, 503, "UNAVAILABLE"),
        ] {
            let (status, found, body, headers) = told(&error);
            assert_eq!((status, found.as_str()), (expected, code), "{error:?}");
            assert!(!body.to_string().contains("secret"));
            let has = |name: &str| headers.iter().any(|(known, _)| *known == name);
            assert_eq!(has("www-authenticate"), status == 401);
            assert_eq!(has("retry-after"), matches!(status, 429 | 503));
            assert_eq!(has("x-ratelimit-limit"), status == 429);
        }
    }

    #[test]
    fn factors_and_fields_are_named() {
        let (_, _, body, _) = told(&LoginError::MfaRequired(vec!["totp", "recovery_code"]));
        assert_eq!(body.get("methods").unwrap().to_string(), "[\"totp\",\"recovery_code\"]");
        let (_, _, body, _) = told(&LoginError::MfaRequired(vec![]));
        assert_eq!(body.get("methods").unwrap().to_string(), "[]");
        let missing = body.get("error_description").unwrap().to_string();
        let (_, _, body, _) = told(&LoginError::MfaWrong(vec!["totp"]));
        assert_eq!(body.get("methods").unwrap().to_string(), "[\"totp\"]");
        let wrong = body.get("error_description").unwrap().to_string();
        assert!(wrong != missing && wrong.contains("used already"), "{wrong}");
        let (_, _, body, _) = told(&LoginError::PasswordPolicy("breached"));
        let first = body.get("validationErrors").unwrap().as_array().unwrap().first().unwrap();
        assert_eq!(first.get("field").unwrap().as_str(), Some("password"));
        let two = [Invalid { field: "a", message: "x" }, Invalid { field: "b", message: "y" }];
        let rendered = invalid(&two, "id", UnixMillis(0));
        let body = json::parse(rendered.body.as_bytes()).unwrap();
        assert_eq!(body.get("validationErrors").unwrap().as_array().unwrap().len(), 2);
    }
}
