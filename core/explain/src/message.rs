//! The headers of a request on its way to the service: what is taken away, and what is written.

use postern_document::{Document, Route, TokenPlace};
use postern_jose::xfcc;
use postern_request::{correlation, headers, tokens};

use crate::credential::GIVEN_SESSION;
use crate::envoy::Incoming;
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
        let is_envoys = |name: &str| is_envoys(name) || (!is_edge && name == xfcc::HEADER);
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

    /// Removes every identity header from outside.
    pub(crate) fn remove_identity(&mut self, document: &Document) {
        let claims: Vec<String> = document.claim_headers().map(str::to_owned).collect();
        self.left.retain(|(name, _)| !headers::is_identity_header(name, &claims));
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

    /// Takes tokens out of all places from which they must not get any further.
    pub(crate) fn strip_tokens(&mut self, places: &[TokenPlace], incoming: &Incoming) {
        tokens::strip(places, &incoming.whole(), &mut |name, left| match left {
            Some(left) if name == tokens::TARGET => {
                self.target = String::from_utf8_lossy(left).into_owned();
            }
            Some(left) => {
                self.remove(name);
                self.left.push((name.to_owned(), left.to_vec()));
            }
            None => self.remove(name),
        });
    }

    /// What stands for a credential that was given beside the headers is no header.
    pub(crate) fn drop_given(&mut self, document: &Document, shown: &Shown) {
        match shown {
            Shown::Headers => {}
            Shown::Key(_) => self.remove(headers::API_KEY),
            Shown::Session(_) => {
                let Some(cookie) = &document.session else { return };
                let given = [cookie.name.as_str(), "=", GIVEN_SESSION].concat();
                // It has a line of its own, which only the suite itself gets.
                self.left.retain(|(_, value)| *value != given.as_bytes());
            }
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
