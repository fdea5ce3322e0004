//! `/auth/sessions`: where somebody is logged in.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use postern_request::{Denial, ErrorCode, json};
use postern_store::flows::SessionRecord;

use super::{Answered, AuthApi, Call};
use crate::login::reference_of;

pub(super) async fn list(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Answered {
    let call = Call::new(&api, &headers);
    let bearer = call.own_bearer()?;
    match api.login.sessions_of(&bearer.subject, call.now).await {
        Ok(sessions) => Ok(call.ok(listed(&sessions, bearer.session.as_deref()))),
        Err(error) => Err(call.failed(&error)),
    }
}

pub(super) async fn end_all(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Answered {
    let call = Call::new(&api, &headers);
    let bearer = call.own_bearer()?;
    match api.login.end_all(&bearer.subject, &bearer.subject, call.now).await {
        Ok(_) => Ok(call.nothing()),
        Err(error) => Err(call.failed(&error)),
    }
}

/// One of the caller's own; whatever else is named is not there.
pub(super) async fn end(
    State(api): State<Arc<AuthApi>>,
    Path(named): Path<String>,
    headers: HeaderMap,
) -> Answered {
    let call = Call::new(&api, &headers);
    let bearer = call.own_bearer()?;
    match api.login.end_named(&bearer.subject, &named, call.now).await {
        Ok(Some(_)) => Ok(call.nothing()),
        Ok(None) => Err(call.deny(&Denial::new(ErrorCode::NotFound, "session_unknown"))),
        Err(error) => Err(call.failed(&error)),
    }
}

fn listed(sessions: &[SessionRecord], own: Option<&str>) -> String {
    let mut body = String::from("{\"success\":true,\"data\":[");
    for (at, session) in sessions.iter().enumerate() {
        body.push_str(if at > 0 { ",{\"ref\":" } else { "{\"ref\":" });
        json::write_string(&mut body, &reference_of(session));
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
