//! The headers of a request on its way to the service: what is taken away, and what is written.

use std::borrow::Cow;

use postern_document::{Document, Route, TokenPlace};
use postern_request::{correlation, headers, token_places};

use crate::credential::{self, joined};
use crate::envoy::{FORWARDED_CERTIFICATE, Incoming};
use crate::request::Shown;

/// Headers that are Envoy's own to write: what becomes of the client's is not told.
const ENVOYS: [&str; 3] = ["x-forwarded-for", "x-forwarded-proto", headers::REQUEST_ID];
const ENVOYS_PREFIX: &str = "x-envoy-";

fn is_envoys(name: &str) -> bool {
    ENVOYS.contains(&name) || name.starts_with(ENVOYS_PREFIX)
}

/// A request on its way.
pub(crate) struct Message {
    pub(crate) target: String,
    /// The client's headers, as they came.
    pub(crate) left: Vec<(String, Vec<u8>)>,
    /// Ours; no name twice.
    pub(crate) written: Vec<(String, String)>,
}

impl Message {
    /// `is_edge`: beside a workload, Envoy says itself whose certificate it has seen.
    pub(crate) fn of(incoming: &Incoming, is_edge: bool) -> Self {
        let is_envoys = |name: &str| is_envoys(name) || (!is_edge && name == FORWARDED_CERTIFICATE);
        let left = incoming.headers.iter().filter(|(name, _)| !is_envoys(name));
        Self { target: incoming.target.clone(), left: left.cloned().collect(), written: Vec::new() }
    }

    /// All headers, the client's first.
    pub(crate) fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let ours =
            self.written.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
        self.left.iter().cloned().chain(ours).collect()
    }

    /// Rules whose values depend on nothing: Envoy's own to follow.
    pub(crate) fn follow_rules(&mut self, route: &Route) {
        for name in &route.transform.request.remove {
            self.remove(name);
        }
        for (name, value) in route.transform.request.set.iter().filter(|(_, v)| v.is_fixed()) {
            self.write(name, value.render(|_| None));
        }
    }

    /// What the lines of a header say, the first of them first; none where there is none.
    pub(crate) fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        let written = self.written.iter().filter(|(known, _)| known == name);
        let written = written.map(|(_, value)| value.clone().into_bytes());
        let left = self.left.iter().filter(|(known, _)| known == name);
        left.map(|(_, value)| value.clone()).chain(written).collect()
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.left.retain(|(known, _)| known != name);
        self.written.retain(|(known, _)| known != name);
    }

    pub(crate) fn write(&mut self, name: &str, value: String) {
        self.remove(name);
        self.written.push((name.to_owned(), value));
    }

    /// The value of a header that is there once.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
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
    pub(crate) fn remove_identity(&mut self, document: &Document) {
        let rules = document.issuers.iter().flat_map(|issuer| &issuer.issuer.rules.claim_headers);
        let claims: Vec<&str> = rules.map(|(header, _)| header.as_str()).collect();
        self.left.retain(|(name, _)| {
            !name.starts_with(headers::IDENTITY_PREFIX) && !claims.contains(&name.as_str())
        });
    }

    /// Ids that are well-formed are kept; others are written anew.
    pub(crate) fn keep_ids(&mut self) {
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
    pub(crate) fn strip_tokens(&mut self, places: &[TokenPlace], incoming: &Incoming) {
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
    pub(crate) fn drop_given(&mut self, shown: &Shown) {
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
    pub(crate) fn removed_of(&self, sent: &[(String, Vec<u8>)]) -> Vec<String> {
        let mut removed: Vec<String> = Vec::new();
        for (name, _) in sent {
            let is_there = self.left.iter().any(|(left, _)| left == name);
            if !is_there && !is_envoys(name) && !removed.contains(name) {
                removed.push(name.clone());
            }
        }
        removed
    }
}
