//! How `/admin/v1` says no: the one place that makes an answer of what went wrong.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::Response;
use postern_identity::IdentityError;
use postern_request::{Denial, ErrorCode, json};
use postern_store::StoreError;

use super::super::metrics::Outcome;
use crate::commands::now;
use crate::serve::http;

/// So much of what is wrong is told at most.
const MAX_PROBLEMS: usize = 100;

/// A request that is turned away.
#[derive(Debug)]
pub struct Refusal {
    denial: Box<Denial>,
    /// Another one than the code's, of those that the contract has no code for.
    status: Option<StatusCode>,
    /// Fields, each with what is wrong with it.
    problems: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self { denial: Box::new(denial), status: None, problems: Vec::new() }
    }
}

impl Refusal {
    /// A request that cannot be read.
    pub fn unreadable(description: &'static str) -> Self {
        let mut denial = Denial::new(ErrorCode::BadRequest, "request_senseless");
        denial.description = Some(description.into());
        denial.into()
    }

    /// The same in words that are made for it. They repeat nothing that was sent.
    pub fn senseless(description: String) -> Self {
        let mut denial = Denial::new(ErrorCode::BadRequest, "request_senseless");
        denial.description = Some(description.into());
        denial.into()
    }

    /// A status that the contract has no code for.
    pub fn with_status(
        status: StatusCode,
        description: &'static str,
        reason: &'static str,
    ) -> Self {
        let mut denial = Denial::new(ErrorCode::BadRequest, reason);
        denial.description = Some(description.into());
        Self { status: Some(status), ..denial.into() }
    }

    /// A field that says what it must not; the whole body where it is empty.
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let denial = Denial::new(ErrorCode::ValidationError, "field_invalid");
        Self { problems: vec![(field.into(), message.into())], ..denial.into() }
    }

    /// A field that says several things that it must not, of which the first are told.
    pub fn several(field: &'static str, messages: Vec<String>) -> Self {
        let denial = Denial::new(ErrorCode::ValidationError, "field_invalid");
        let told = messages.into_iter().take(MAX_PROBLEMS);
        let problems = told.map(|message| (field.into(), message.into())).collect();
        Self { problems, ..denial.into() }
    }

    /// Something of ours does not answer.
    pub fn unavailable() -> Self {
        Denial::unavailable("store_unavailable", 1).into()
    }

    /// What is counted of it.
    pub fn outcome(&self) -> Outcome {
        match self.denial.code {
            ErrorCode::Unavailable => Outcome::Unavailable,
            _ => Outcome::Invalid,
        }
    }

    /// The answer.
    pub fn into_response(self, operation: &str, correlation_id: &str) -> Response {
        if self.denial.code == ErrorCode::Unavailable {
            let reason = self.denial.reason;
            tracing::warn!(correlation_id, operation, reason, "the admin API cannot do it");
        }
        let mut rendered = self.denial.render(correlation_id, now(), false);
        if !self.problems.is_empty()
            && let Some(body) = rendered.body.strip_suffix('}')
        {
            rendered.body = [body, ",\"validationErrors\":", &self.problem_list(), "}"].concat();
        }
        let status = StatusCode::from_u16(rendered.status);
        let status = self.status.unwrap_or(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        http::respond(status, rendered.headers, rendered.body)
    }

    fn problem_list(&self) -> String {
        let mut list = String::from("[");
        for (at, (field, message)) in self.problems.iter().enumerate() {
            list.push_str(if at > 0 { ",{\"field\":" } else { "{\"field\":" });
            json::write_string(&mut list, field);
            list.push_str(",\"message\":");
            json::write_string(&mut list, message);
            list.push('}');
        }
        list.push(']');
        list
    }

    /// All of its words.
    #[cfg(test)]
    pub fn text(&self) -> String {
        format!(
            "{} {}",
            self.denial.description.as_deref().unwrap_or_default(),
            self.problem_list()
        )
    }
}

impl From<IdentityError> for Refusal {
    fn from(error: IdentityError) -> Self {
        let not_found = |what: &str| {
            let mut denial = Denial::new(ErrorCode::NotFound, "not_found");
            denial.description = Some(format!("There is no such {what}").into());
            Self::from(denial)
        };
        match error {
            IdentityError::Invalid { what, reason } => Self::invalid(field_of(what), reason),
            IdentityError::NotFound(what) => not_found(what),
            IdentityError::UnknownKey(_) => not_found("signing key"),
            error @ IdentityError::LastSigningKey => {
                Self::invalid("yes", format!("{error}; `?yes=true` has it withdrawn all the same"))
            }
            IdentityError::TooManyKeys => {
                Self::invalid("", "too many signing keys are published already")
            }
            IdentityError::RotatedMeanwhile(_) => {
                Self::invalid("", "somebody else has made a new signing key this moment")
            }
            IdentityError::NotHere(why) => {
                let mut denial = Denial::unavailable("not_here", 60);
                denial.description = Some(why.into());
                denial.into()
            }
            IdentityError::Store(StoreError::Unavailable(error)) => {
                tracing::error!(error, "a store failed the admin API");
                Self::unavailable()
            }
            error => {
                tracing::error!(%error, "the admin API failed");
                Denial::unavailable("admin_failed", 60).into()
            }
        }
    }
}

/// A field as requests call it.
fn field_of(what: &'static str) -> &'static str {
    match what {
        "e-mail" => "email",
        "first name" => "firstName",
        "last name" => "lastName",
        "redirect URIs" => "redirectUris",
        "URIs after log-out" => "postLogoutRedirectUris",
        "grant types" => "grantTypes",
        "access token lifetime" => "accessTokenLifetime",
        "refresh token lifetime" => "refreshTokenLifetime",
        "ID token algorithm" => "idTokenAlg",
        "authentication method" => "authMethod",
        "clients to act for" => "mayActFor",
        "resources to introspect for" => "mayIntrospect",
        "JWKS" => "jwks",
        "JWKS URI" => "jwksUri",
        "logo URI" => "logoUri",
        "client URI" => "clientUri",
        "policy URI" => "policyUri",
        "TLS subject" => "tlsSubject",
        "client id" => "clientId",
        "expiry" | "time to hold" => "expiresIn",
        "base path" => "basePath",
        "connections" => "maxConnections",
        "failure threshold" => "failureThreshold",
        "health path" => "healthPath",
        "instance" => "id",
        // What is not a field of the body but what the path names.
        "user" | "client" | "API key" | "service" => "",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(refusal: Refusal) -> (u16, serde_json::Value) {
        let response = refusal.into_response("test", "id");
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn each_failure_has_its_status_and_none_is_a_500() {
        let corrupt = StoreError::Corrupt("sekrit".to_owned());
        let away = StoreError::Unavailable("sekrit".to_owned());
        for (error, status, code) in [
            (IdentityError::NotFound("user"), 404, "NOT_FOUND"),
            (IdentityError::UnknownKey("sekrit".to_owned()), 404, "NOT_FOUND"),
            (IdentityError::NotHere("not here"), 503, "UNAVAILABLE"),
            (IdentityError::Store(corrupt), 503, "UNAVAILABLE"),
            (IdentityError::Store(away), 503, "UNAVAILABLE"),
            (IdentityError::Store(StoreError::Conflict), 503, "UNAVAILABLE"),
            (IdentityError::Crypto, 503, "UNAVAILABLE"),
            (IdentityError::TooManyKeys, 422, "VALIDATION_ERROR"),
            (IdentityError::LastSigningKey, 422, "VALIDATION_ERROR"),
            (IdentityError::RotatedMeanwhile("RS256".to_owned()), 422, "VALIDATION_ERROR"),
        ] {
            let (found, body) = told(error.into()).await;
            assert_eq!((found, body["error"].as_str()), (status, Some(code)));
            assert!(!body.to_string().contains("sekrit"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_field_is_named_as_it_is_sent() {
        let reason = "another user has it".into();
        let error = IdentityError::Invalid { what: "e-mail", reason };
        let (status, body) = told(error.into()).await;
        assert_eq!(status, 422);
        let expected = serde_json::json!([{"field": "email", "message": "another user has it"}]);
        assert_eq!(body["validationErrors"], expected);
    }
}
