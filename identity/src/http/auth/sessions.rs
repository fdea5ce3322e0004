//! `/auth/sessions`: where somebody is logged in.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use postern_request::{Denial, ErrorCode, json};
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind};

use super::{AuthApi, Call};

/// Digits of what a session is called here: its id is in tokens, and is not told to others.
const REFERENCE_DIGITS: usize = 32;

fn reference(session: &SessionRecord) -> String {
    let mut digits = FlowKey::of(FlowKind::Session, session.id.as_bytes()).to_hex();
    digits.truncate(REFERENCE_DIGITS);
    digits
}

pub(super) async fn list(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Response {
    let call = Call::new(&api, &headers);
    let bearer = match call.own_bearer() {
        Ok(bearer) => bearer,
        Err(refused) => return *refused,
    };
    match api.login.sessions_of(&bearer.subject, call.now).await {
        Ok(sessions) => call.ok(listed(&sessions, bearer.session.as_deref())),
        Err(error) => call.failed(&error),
    }
}

pub(super) async fn end_all(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Response {
    let call = Call::new(&api, &headers);
    let bearer = match call.own_bearer() {
        Ok(bearer) => bearer,
        Err(refused) => return *refused,
    };
    match api.login.end_all(&bearer.subject, &bearer.subject, call.now).await {
        Ok(_) => call.nothing(),
        Err(error) => call.failed(&error),
    }
}

/// One of the caller's own; whatever else is named is not there.
pub(super) async fn end(
    State(api): State<Arc<AuthApi>>,
    Path(named): Path<String>,
    headers: HeaderMap,
) -> Response {
    let call = Call::new(&api, &headers);
    let bearer = match call.own_bearer() {
        Ok(bearer) => bearer,
        Err(refused) => return *refused,
    };
    let sessions = match api.login.sessions_of(&bearer.subject, call.now).await {
        Ok(sessions) => sessions,
        Err(error) => return call.failed(&error),
    };
    let Some(session) = sessions.iter().find(|session| reference(session) == named) else {
        return call.deny(&Denial::new(ErrorCode::NotFound, "session_unknown"));
    };
    match api.login.end_session(&session.id, &bearer.subject, call.now).await {
        Ok(_) => call.nothing(),
        Err(error) => call.failed(&error),
    }
}

fn listed(sessions: &[SessionRecord], own: Option<&str>) -> String {
    let mut body = String::from("{\"success\":true,\"data\":[");
    for (at, session) in sessions.iter().enumerate() {
        body.push_str(if at > 0 { ",{\"ref\":" } else { "{\"ref\":" });
        json::write_string(&mut body, &reference(session));
        let moments = [
            (",\"createdAt\":", session.created_at),
            (",\"lastUsed\":", session.last_used),
            (",\"endsAt\":", session.ends_at),
        ];
        for (name, moment) in moments {
            body.push_str(name);
            json::write_string(&mut body, &moment.to_rfc3339());
        }
        let names =
            [(",\"deviceId\":", &session.device_id), (",\"clientId\":", &session.client_id)];
        for (name, value) in names {
            if let Some(value) = value {
                body.push_str(name);
                json::write_string(&mut body, value);
            }
        }
        let is_own = own == Some(session.id.as_str());
        body.push_str(if is_own { ",\"current\":true}" } else { ",\"current\":false}" });
    }
    body.push_str("],\"meta\":{\"total\":");
    body.push_str(&sessions.len().to_string());
    body.push_str("}}");
    body
}
