//! What a written review keeps for a later one: what its document says, and a request for each
//! caller of each route, so that they can be asked again.

use postern_document::Document;
use postern_explain::{GivenClaims, GivenSession, Request, Shown};
use postern_jose::base64url;
use postern_request::UnixMillis;
use postern_request::principal::{Credential, Principal};
use serde_json::{Map, Value, json};

use super::super::ask::{Caller, Oracle, guard, others, times};
use super::super::witness;
use super::fact::Fact;

/// Of one document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::review) struct Kept {
    pub(in crate::review) facts: Vec<Fact>,
    pub(in crate::review) asked: Vec<Asked>,
}

/// A request, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Asked {
    pub(super) route: String,
    pub(super) caller: String,
    pub(super) line: String,
    pub(super) request: Request,
    /// The workload that it comes to first.
    pub(super) workload: Option<String>,
    pub(super) allowed: bool,
    pub(super) answer: String,
}

/// A request for each caller of each route, and for each value that a caller may have.
pub(super) fn asked(document: &Document, oracle: &Oracle<'_>) -> Vec<Asked> {
    let mut all = Vec::new();
    for route in &document.routes {
        let Some(target) = witness::first(document, route) else { continue };
        let callers = Caller::of(route).into_iter().map(|caller| (caller, None));
        let best = Caller::best(route);
        let values = others(document, route).into_iter().map(|other| (best, Some(other)));
        for (caller, other) in callers.chain(values) {
            let request = oracle.request_with(route, caller, other, &target);
            let workload = guard(route).map(str::to_owned);
            let answer = oracle.judge(&request, workload.as_deref(), None);
            let caller = match other {
                None => caller.told(route),
                Some(other) => other.told(document, route),
            };
            all.push(Asked {
                route: route.name.clone(),
                caller,
                line: target.line(),
                request,
                workload,
                allowed: answer.allowed,
                answer: answer.text,
            });
        }
    }
    all
}

impl Asked {
    /// Without times: they are those of whoever asks again.
    pub(in crate::review) fn to_json(&self) -> Value {
        let request = &self.request;
        let shown = match &request.shown {
            Shown::Headers => Value::Null,
            Shown::Key(principal) => json!({"key": {
                "subject": principal.subject,
                "scopes": principal.scopes,
            }}),
            Shown::Session(given) => json!({"session": {
                "subject": given.principal.subject,
                "scopes": given.principal.scopes,
                "mfa_age": given.mfa_age_secs,
            }}),
            Shown::Claims(given) => {
                let claims: Value = serde_json::from_str(&given.claims).unwrap_or(Value::Null);
                let mut claims = claims.as_object().cloned().unwrap_or_default();
                let of_time =
                    |name: &str| times(UnixMillis(0)).iter().any(|(time, _)| *time == name);
                claims.retain(|name, _| !of_time(name));
                json!({"claims": claims, "with_proof": given.with_proof})
            }
        };
        let headers = request.headers.iter();
        let header = |(name, value): &(String, Vec<u8>)| {
            json!([name, String::from_utf8_lossy(value).into_owned()])
        };
        json!({
            "route": self.route,
            "caller": self.caller,
            "request": self.line,
            "method": request.method,
            "host": request.authority,
            "target": request.target,
            "headers": headers.map(header).collect::<Vec<Value>>(),
            "certificate": request.certificate.map(|hash| base64url::encode(&hash)),
            "peer": request.peer,
            "workload": self.workload,
            "shown": shown,
            "allowed": self.allowed,
            "answer": self.answer,
        })
    }

    /// Reads what [`Asked::to_json`] wrote; none where it is something else.
    pub(super) fn read(value: &Value, now: UnixMillis) -> Option<Self> {
        let word = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let maybe = |name: &str| match value.get(name)? {
            Value::Null => Some(None),
            other => other.as_str().map(|text| Some(text.to_owned())),
        };
        let mut request = Request::get(&word("host")?, &word("target")?);
        request.method = word("method")?;
        for header in value.get("headers")?.as_array()? {
            let (name, value) = (header.get(0)?.as_str()?, header.get(1)?.as_str()?);
            request = request.with(name, value);
        }
        request.certificate = match maybe("certificate")? {
            None => None,
            Some(text) => Some(base64url::decode(&text)?.try_into().ok()?),
        };
        request.peer = maybe("peer")?;
        request.shown = shown(value.get("shown")?, now)?;
        Some(Self {
            route: word("route")?,
            caller: word("caller")?,
            line: word("request")?,
            request,
            workload: maybe("workload")?,
            allowed: value.get("allowed")?.as_bool()?,
            answer: word("answer")?,
        })
    }
}

fn shown(value: &Value, now: UnixMillis) -> Option<Shown> {
    if value.is_null() {
        return Some(Shown::Headers);
    }
    if let Some(key) = value.get("key") {
        return Some(Shown::Key(Box::new(principal(key, Credential::ApiKey)?)));
    }
    if let Some(session) = value.get("session") {
        return Some(Shown::Session(Box::new(GivenSession {
            principal: principal(session, Credential::Session)?,
            mfa_age_secs: session.get("mfa_age")?.as_u64(),
        })));
    }
    let mut claims: Map<String, Value> = value.get("claims")?.as_object()?.clone();
    for (name, time) in times(now) {
        claims.insert(name.to_owned(), json!(time));
    }
    Some(Shown::Claims(Box::new(GivenClaims {
        claims: Value::Object(claims).to_string(),
        with_proof: value.get("with_proof")?.as_bool()?,
    })))
}

fn principal(value: &Value, credential: Credential) -> Option<Principal> {
    let scopes = value.get("scopes")?.as_array()?.iter();
    let scopes = scopes.map(|scope| scope.as_str().map(str::to_owned));
    Some(Principal {
        subject: value.get("subject")?.as_str()?.to_owned(),
        scopes: scopes.collect::<Option<_>>()?,
        credential,
        ..Principal::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_781_481_600_000);

    fn asked(shown: Shown, certificate: Option<[u8; 32]>) -> Asked {
        let mut request = Request::get("api.example.test", "/a").with("x-a", "b");
        request.certificate = certificate;
        request.shown = shown;
        Asked {
            route: "a".to_owned(),
            caller: "somebody".to_owned(),
            line: "GET https://api.example.test/a".to_owned(),
            request,
            workload: Some("pods".to_owned()),
            allowed: true,
            answer: "forwarded to a".to_owned(),
        }
    }

    #[test]
    fn requests_are_read_as_they_are_written() {
        let principal = Principal {
            subject: "s".to_owned(),
            scopes: vec!["read".to_owned()],
            credential: Credential::ApiKey,
            ..Principal::default()
        };
        let by_session = Principal { credential: Credential::Session, ..principal.clone() };
        let session = |mfa_age_secs| {
            let principal = by_session.clone();
            Shown::Session(Box::new(GivenSession { principal, mfa_age_secs }))
        };
        for one in [
            asked(session(None), None),
            asked(session(Some(5)), None),
            asked(Shown::Headers, None),
            asked(Shown::Headers, Some([7; 32])),
            asked(Shown::Key(Box::new(principal)), None),
        ] {
            assert_eq!(Asked::read(&one.to_json(), NOW), Some(one));
        }
        assert_eq!(Asked::read(&json!({"route": "a"}), NOW), None);
    }

    #[test]
    fn the_times_of_a_token_are_those_of_whoever_asks() {
        let claims = json!({"sub": "s", "exp": 1, "iat": 1, "nbf": 1}).to_string();
        let given = GivenClaims { claims, with_proof: true };
        let written = asked(Shown::Claims(Box::new(given)), None).to_json();
        assert_eq!(written["shown"]["claims"], json!({"sub": "s"}));
        let Shown::Claims(read) = Asked::read(&written, NOW).unwrap().request.shown else {
            panic!("no claims")
        };
        let claims: Value = serde_json::from_str(&read.claims).unwrap();
        assert_eq!(claims["exp"], json!(NOW.as_secs() + 600));
        assert_eq!((claims["sub"].as_str(), read.with_proof), (Some("s"), true));
    }
}
