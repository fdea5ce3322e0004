//! What a request that passes becomes on its way to the service: tokens taken out of it, headers
//! taken away and written, and what may still come in between.

use std::borrow::Cow;

use postern_document::{Document, Placeholder, Route, TokenPlace};
use postern_request::principal::Credential;
use postern_request::{correlation, headers, token_places};

use crate::credential::{self, joined};
use crate::envoy::Incoming;
use crate::failure;
use crate::gatekeeper::Admitted;
use crate::request::{Request, Shown};
use crate::step::{By, Forwarded, LimitNote, Stage, Verdict};
use crate::walk::{Stop, Walk};

/// Headers that are Envoy's own to write: what becomes of the client's is not told.
const ENVOYS: [&str; 3] = ["x-forwarded-for", "x-forwarded-proto", headers::REQUEST_ID];
const ENVOYS_PREFIX: &str = "x-envoy-";

impl Walk<'_, '_> {
    /// The request as the service gets it.
    pub(crate) fn forward(
        &mut self,
        request: &Request,
        incoming: &Incoming,
        admitted: &Admitted,
        identity: Vec<(String, String)>,
    ) -> Result<Forwarded, Stop> {
        let route = &*admitted.route;
        let mut message = Message::of(incoming);
        if route.auth.accepts(Credential::Jwt) {
            message.strip_tokens(&self.document.token_places, incoming);
        }
        message.remove_identity(self.document);
        // What only `ext_proc` can write must not come from outside while it is away.
        for (name, _) in route.transform.request.set.iter().filter(|(_, value)| !value.is_fixed()) {
            message.remove(name);
        }
        message.keep_ids();
        for (name, value) in identity {
            message.write(&name, value);
        }
        self.compute(route, &mut message)?;
        for name in &route.transform.request.remove {
            message.remove(name);
        }
        for (name, value) in route.transform.request.set.iter().filter(|(_, v)| v.is_fixed()) {
            message.write(name, value.render(|_| None));
        }
        message.drop_given(&request.shown);
        let removed = message.removed_of(&request.headers);
        let Message { target, left, written } = message;
        Ok(Forwarded {
            route: route.name.clone(),
            service: route.service_name().to_owned(),
            versions: Vec::new(),
            principal: admitted.principal.clone(),
            target,
            headers: written,
            left,
            removed,
            may: may(route, &self.limits),
            limits: self.limits.clone(),
            timeout_ms: route.timeout_ms,
            attempts: failure::attempts(route),
        })
    }

    /// Values that depend on the request: `changes` of `ext-proc/src/processor.rs`, which knows
    /// the caller by the headers that the bundle has written.
    fn compute(&mut self, route: &Route, message: &mut Message) -> Result<(), Stop> {
        if !route.needs_ext_proc() {
            return Ok(());
        }
        if self.lacks_ext_proc() {
            return self.ext_proc_is_away();
        }
        let now = self.assume.now;
        let mut computed: Vec<(String, String)> = Vec::new();
        for (name, value) in route.transform.request.set.iter().filter(|(_, v)| !v.is_fixed()) {
            let value = value.render(|placeholder| match placeholder {
                Placeholder::Subject => message.value(headers::SUBJECT),
                Placeholder::Client => message.value(headers::CLIENT),
                Placeholder::Tier => message.value(headers::TIER),
                // Envoy makes one, where the client has sent none.
                Placeholder::RequestId => Some(
                    message
                        .value(headers::CORRELATION_ID)
                        .unwrap_or_else(|| "{request.id}".to_owned()),
                ),
                Placeholder::RouteName => Some(route.name.clone()),
                Placeholder::ServiceName => Some(route.service_name().to_owned()),
                Placeholder::UnixTime => Some(now.as_secs().to_string()),
            });
            if headers::is_safe_value(&value) {
                computed.push((name.clone(), value));
            }
        }
        let names: Vec<&str> = computed.iter().map(|(name, _)| name.as_str()).collect();
        let text = match names.as_slice() {
            [] => "hears how it ends".to_owned(),
            names => format!("computes {}", names.join(", ")),
        };
        self.push(Stage::ExtProc, By::ExtProc, Verdict::Passed, Vec::new(), text);
        for (name, value) in computed {
            message.write(&name, value);
        }
        Ok(())
    }
}

/// What may still come in between.
fn may(route: &Route, limits: &[LimitNote]) -> Vec<String> {
    let counts = |note: &&LimitNote| !note.shadow && note.allows != "unlimited";
    let mut may: Vec<String> =
        limits.iter().filter(counts).map(|note| format!("429 {}", note.name)).collect();
    if route.circuit().is_some() {
        may.push(format!("503 circuit of {}", route.service_name()));
    }
    may
}

/// A request on its way.
struct Message {
    target: String,
    /// The client's headers, as they came.
    left: Vec<(String, Vec<u8>)>,
    /// Ours; no name twice.
    written: Vec<(String, String)>,
}

impl Message {
    fn of(incoming: &Incoming) -> Self {
        let is_envoys = |name: &str| ENVOYS.contains(&name) || name.starts_with(ENVOYS_PREFIX);
        let left = incoming.headers.iter().filter(|(name, _)| !is_envoys(name));
        Self { target: incoming.target.clone(), left: left.cloned().collect(), written: Vec::new() }
    }

    fn remove(&mut self, name: &str) {
        self.left.retain(|(known, _)| known != name);
        self.written.retain(|(known, _)| known != name);
    }

    fn write(&mut self, name: &str, value: String) {
        self.remove(name);
        self.written.push((name.to_owned(), value));
    }

    /// The value of a header that is there once.
    fn value(&self, name: &str) -> Option<String> {
        let written = self.written.iter().find(|(known, _)| known == name);
        if let Some((_, value)) = written {
            return Some(value.clone());
        }
        let mut left = self.left.iter().filter(|(known, _)| known == name);
        match (left.next(), left.next()) {
            (Some((_, value)), None) => String::from_utf8(value.clone()).ok(),
            _ => None,
        }
    }

    /// Removes every identity header from outside: `is_identity_header` of
    /// `filters/bundle/src/request.rs`. What has `_` for `-` never gets past Envoy.
    fn remove_identity(&mut self, document: &Document) {
        let rules = document.issuers.iter().flat_map(|issuer| &issuer.issuer.rules.claim_headers);
        let claims: Vec<&str> = rules.map(|(header, _)| header.as_str()).collect();
        self.left.retain(|(name, _)| {
            !name.starts_with(headers::IDENTITY_PREFIX) && !claims.contains(&name.as_str())
        });
    }

    /// Ids that are well-formed are kept; others are written anew.
    fn keep_ids(&mut self) {
        let count = |name: &str| self.left.iter().filter(|(known, _)| known == name).count();
        let (ids, parents) = (count(headers::CORRELATION_ID), count(headers::TRACEPARENT));
        self.left.retain(|(name, value)| match name.as_str() {
            headers::CORRELATION_ID => ids == 1 && correlation::is_uuid(value),
            headers::TRACEPARENT => parents == 1 && correlation::is_traceparent(value),
            _ => true,
        });
    }

    /// Takes tokens out of all places from which they must not get any further: `strip` of
    /// `filters/bundle/src/tokens.rs`.
    fn strip_tokens(&mut self, places: &[TokenPlace], incoming: &Incoming) {
        if matches!(places, [] | [TokenPlace::Authorization | TokenPlace::Header(_)]) {
            return;
        }
        let mut decided = false;
        for place in places {
            let holds = credential::holds(place, incoming);
            let header = match place {
                TokenPlace::Authorization => Some(headers::AUTHORIZATION),
                TokenPlace::Header(name) => Some(name.as_str()),
                _ => None,
            };
            if let Some(header) = header.filter(|_| decided && holds) {
                self.remove(header);
            }
            decided |= holds;
        }
        for place in places {
            match place {
                TokenPlace::Query(name) => {
                    self.target = token_places::without_query(&self.target, name);
                }
                TokenPlace::Cookie(name) => {
                    let list = joined(incoming, headers::COOKIE, b"; ");
                    let without = |list: &[u8]| token_places::without_cookie(list, name);
                    self.strip_list(headers::COOKIE, &list, without);
                }
                TokenPlace::WebSocketProtocol(marker) => {
                    let list = joined(incoming, headers::WEBSOCKET_PROTOCOL, b", ");
                    let without =
                        |list: &[u8]| token_places::without_websocket_protocol(list, marker);
                    self.strip_list(headers::WEBSOCKET_PROTOCOL, &list, without);
                }
                TokenPlace::Authorization | TokenPlace::Header(_) => {}
            }
        }
    }

    /// A header that is a list becomes one line without the token; none where nothing is left.
    fn strip_list(&mut self, name: &str, sent: &[u8], without: impl Fn(&[u8]) -> Vec<u8>) {
        let mut lines = self.left.iter().filter(|(known, _)| known == name);
        let list = match (lines.next(), lines.next()) {
            (None, _) => return,
            // Another token was taken out of it before.
            (Some((_, line)), None) => Cow::Owned(line.clone()),
            (Some(_), Some(_)) => Cow::Borrowed(sent),
        };
        let left = without(&list);
        if left != *list {
            self.remove(name);
            if !left.is_empty() {
                self.left.push((name.to_owned(), left));
            }
        }
    }

    /// What stands for a credential that was given beside the headers is no header.
    fn drop_given(&mut self, shown: &Shown) {
        match shown {
            Shown::Headers => {}
            Shown::Key(_) => self.remove(headers::API_KEY),
            Shown::Claims(given) => {
                let token = given.to_token();
                let holds = |value: &[u8]| {
                    value.windows(token.len()).any(|window| window == token.as_bytes())
                };
                self.left.retain(|(_, value)| !holds(value));
                if let Some((path, query)) = self.target.split_once('?') {
                    let pairs = query.split('&').filter(|pair| !pair.contains(&token));
                    let pairs: Vec<&str> = pairs.collect();
                    let mark = if pairs.is_empty() { "" } else { "?" };
                    self.target = [path, mark, &pairs.join("&")].concat();
                }
            }
        }
    }

    /// Names that the client has sent and that the service does not see as they came.
    fn removed_of(&self, sent: &[(String, Vec<u8>)]) -> Vec<String> {
        let mut removed: Vec<String> = Vec::new();
        for (name, _) in sent {
            let is_there = self.left.iter().any(|(left, _)| left == name);
            let is_envoys = ENVOYS.contains(&name.as_str()) || name.starts_with(ENVOYS_PREFIX);
            if !is_there && !is_envoys && !removed.contains(name) {
                removed.push(name.clone());
            }
        }
        removed
    }
}
