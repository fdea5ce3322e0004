//! Answers that are kept: copied as they go by, and given out while the circuit is open.

use std::sync::Arc;

use postern_circuit::stale::{Asking, Entry, Whose};
use postern_document::{Auth, Document, Fallback, Route};
use postern_filter_circuit_breaker::Shelves;
use postern_filter_host::{Answer, Effects, HeaderList, RequestHost};
use postern_request::UnixMillis;
use postern_request::little_endian::put_part;

use super::authenticate::PEER_ID;
use super::circuits::{VIA_UPSTREAM, code_details};
use super::{Gatekeeper, Known, Responding};
use crate::counters::Count;
use crate::request::RequestHeaders;
use crate::stages::STAGES;

/// Bytes of answers that have begun and not ended, of one VM. Who reads slowly holds them for long.
const MOST_COPIED: usize = 8 << 20;
/// Envoy's attribute for the bytes of a request's body.
const REQUEST_SIZE: [&str; 2] = ["request", "size"];
const CONTENT_TYPE: &str = "content-type";

/// Where answers are kept, and how much of them is on its way.
#[derive(Debug)]
pub(super) struct Answers {
    shelves: Shelves,
    /// Bytes that what is on its way takes.
    pub(super) copied: usize,
}

/// What is still to be done for a request to a route that keeps answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Its answer may be kept.
    Asked(Asked),
    /// Its answer goes by.
    Copying(Copying),
    /// A kept one is its answer, with these headers.
    Told(Vec<(String, String)>),
}

/// A request to a route that keeps answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The route's place among those that do.
    place: usize,
    asking: Asking,
    /// Who asks, where answers for one caller are kept and the caller is known.
    caller: Option<Vec<u8>>,
}

/// An answer that goes by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copying {
    place: usize,
    hash: u128,
    /// When its headers came.
    begun: UnixMillis,
    /// As it will be kept, as far as it is there.
    value: Vec<u8>,
    /// How much of that is not the body.
    head: usize,
    /// The body's length, where it is told.
    length: Option<u64>,
}

impl Answers {
    pub(super) fn new(document: &Document) -> Self {
        Self { shelves: Shelves::new(document), copied: 0 }
    }
}

impl Asked {
    /// What is left to do once the request goes on.
    pub(super) fn watch(self) -> Option<Box<Watch>> {
        self.asking.may_keep().then(|| Box::new(Watch::Asked(self)))
    }

    /// What an answer for the caller alone is kept under.
    fn own_key(&self) -> Option<Vec<u8>> {
        self.caller.as_ref().map(|caller| self.asking.key_of(caller))
    }
}

impl Gatekeeper {
    /// A request to a route that keeps answers; none to any other. `target` is its path, without
    /// what must go no further.
    pub(super) fn ask(
        &self,
        host: &impl RequestHost,
        list: &HeaderList,
        request: &RequestHeaders<'_>,
        target: &[u8],
        route: &Arc<Route>,
        known: &Known,
    ) -> Option<Asked> {
        let Some(Fallback::Stale(rules)) = &route.fallback else { return None };
        if !STAGES.circuits || request.is_grpc {
            return None;
        }
        let place = self.answers.shelves.of(route)?;
        // Policies of a mesh, which are asked after us, go by who is at the other end.
        let peer = host.property(&PEER_ID).unwrap_or_default();
        let service = route.service.as_ref()?;
        let (port, tls) = (service.port.to_le_bytes(), [u8::from(service.tls)]);
        // Also where the service is: another document may have it elsewhere.
        let hangs_on = [
            route.name.as_bytes(),
            service.name.as_bytes(),
            service.host.as_bytes(),
            port.as_slice(),
            tls.as_slice(),
            request.authority.as_bytes(),
            target,
            &peer,
        ];
        let shows = |(name, _): &(String, Vec<u8>)| self.document.is_credential_header(name);
        let is_guarded =
            route.auth != Auth::None || !route.peers.is_empty() || list.iter().any(shows);
        let asking = Asking::read(request.method, &hangs_on, list, is_guarded)?;
        let caller = if rules.private { self.caller(known) } else { None };
        Some(Asked { place, asking, caller })
    }

    /// Who calls, and all that services are told of them: what hangs on it is another answer.
    fn caller(&self, known: &Known) -> Option<Vec<u8>> {
        let principal = known.principal().filter(|principal| !principal.subject.is_empty())?;
        let mut text = Vec::new();
        let scopes = principal.scopes.join(" ");
        let client = principal.client_id.as_deref().unwrap_or_default();
        let credential = principal.credential.as_str();
        for part in [credential, &principal.issuer, &principal.subject, client, &scopes] {
            put_part(&mut text, part.as_bytes());
        }
        let mut told = |name: &str, value: &str| {
            put_part(&mut text, name.as_bytes());
            put_part(&mut text, value.as_bytes());
        };
        match known {
            Known::Token(caller) => caller.headers().for_each(|(name, value)| told(name, value)),
            Known::Evidence(principal) => {
                for (name, value) in principal.headers(&self.document.identity_headers) {
                    told(&name, &value);
                }
            }
            Known::Nobody => {}
        }
        Some(text)
    }

    /// What was kept for a request, where it may be given out: the caller's own before everybody's.
    pub(super) fn recall(
        &self,
        host: &impl RequestHost,
        asked: &Asked,
        now: UnixMillis,
    ) -> Option<(Answer, Box<Watch>)> {
        let shelf = self.answers.shelves.get(asked.place)?;
        let own = asked.own_key();
        own.as_deref().into_iter().chain([asked.asking.key()]).find_map(|key| {
            let value = shelf.find(host, self.jwt.cache().hash(key))?;
            let entry = Entry::from_bytes(&value).filter(|entry| entry.key == key)?;
            let told = entry.told(shelf.rules.max_age_ms, now)?;
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let mut headers: Vec<(String, String)> = entry
                .headers
                .iter()
                .filter(|(name, _)| !is_ruled(&shelf.route, name))
                .map(owned)
                .collect();
            // Envoy finds a type where it is told none.
            let content_type = headers.iter().filter(|(name, _)| name == CONTENT_TYPE);
            let answer = Answer {
                status: 200,
                headers: content_type.cloned().collect(),
                body: entry.body.to_vec(),
            };
            headers.extend(told.headers());
            Some((answer, Box::new(Watch::Told(headers))))
        })
    }

    /// The headers of an answer are there: what is left to do then.
    pub(super) fn see_headers(
        &mut self,
        host: &impl RequestHost,
        watch: Watch,
        status: Option<u16>,
        effects: &mut dyn Effects,
        now: UnixMillis,
    ) -> Option<Box<Watch>> {
        match watch {
            Watch::Told(headers) => {
                complete(&headers, effects);
                None
            }
            Watch::Asked(asked) if status == Some(200) => {
                let copying = self.begin(host, &asked, &*effects, now)?;
                Some(Box::new(Watch::Copying(copying)))
            }
            Watch::Asked(asked) => {
                if let Some(status @ (401 | 403 | 404 | 410)) = status {
                    self.take_back(host, &asked, status >= 404);
                }
                None
            }
            Watch::Copying(_) => None,
        }
    }

    /// Begins to copy an answer: where it is time to, where it may be kept, and where the service
    /// has made it.
    fn begin(
        &mut self,
        host: &impl RequestHost,
        asked: &Asked,
        effects: &dyn Effects,
        now: UnixMillis,
    ) -> Option<Copying> {
        let shelf = self.answers.shelves.get(asked.place)?;
        let due = |key: &[u8]| {
            let hash = self.jwt.cache().hash(key);
            shelf.is_due(host, hash, now).then_some(hash)
        };
        // Of most answers these reads are all that is done.
        let own = asked.own_key();
        let (of_all, of_own) = (due(asked.asking.key()), own.as_deref().and_then(due));
        if of_all.is_none() && of_own.is_none() {
            return None;
        }
        let rules = shelf.rules;
        let judged = asked.asking.judge(rules.private, &effects.headers());
        let judged = judged.filter(|judged| judged.whose == Whose::Everybody || own.is_some());
        let Some(mut judged) = judged else {
            self.take_back(host, asked, !asked.asking.has_credentials());
            return None;
        };
        // What is computed for one request is no other one's.
        judged.headers.retain(|(name, _)| !is_ruled(&shelf.route, name));
        let (key, hash) = match judged.whose {
            Whose::Everybody => (asked.asking.key(), of_all?),
            Whose::Caller => (own.as_deref()?, of_own?),
        };
        // Where it ends with its connection, nobody knows whether it is whole.
        let is_http2 = shelf.route.service.as_ref().is_some_and(|service| service.http2);
        if !judged.is_framed && !is_http2 {
            return None;
        }
        let has_body =
            host.property(&REQUEST_SIZE).is_some_and(|size| size.iter().any(|byte| *byte != 0));
        if has_body || code_details(host) != VIA_UPSTREAM {
            return None;
        }
        let value = Entry::begun(key, &judged, now).to_bytes();
        let (head, length) = (value.len(), judged.length);
        let whole = u64::try_from(head).ok()?.saturating_add(length.unwrap_or(1));
        if whole > u64::from(rules.max_bytes)
            || length == Some(0)
            || !self.answers.has_room(value.capacity())
        {
            return None;
        }
        self.answers.copied += value.capacity();
        Some(Copying { place: asked.place, hash, begun: now, value, head, length })
    }

    /// The service says that something is not there any more, or not for this caller, or that it
    /// must not be kept: what was kept of it goes, with `of_all` also what is everybody's.
    fn take_back(&self, host: &impl RequestHost, asked: &Asked, of_all: bool) {
        let (own, common) = (asked.own_key(), of_all.then_some(asked.asking.key()));
        let mut keys = own.as_deref().into_iter().chain(common).peekable();
        if keys.peek().is_some()
            && code_details(host) == VIA_UPSTREAM
            && let Some(shelf) = self.answers.shelves.get(asked.place)
        {
            keys.for_each(|key| shelf.forget(host, self.jwt.cache().hash(key)));
        }
    }

    /// A piece of an answer goes by. What cannot be kept as a whole is not kept.
    pub(super) fn copy(
        &mut self,
        host: &impl RequestHost,
        stream: &mut Responding,
        (size, read): (usize, &dyn Fn() -> Vec<u8>),
        ends: bool,
    ) {
        let Some(Watch::Copying(copying)) = stream.watch.as_deref_mut() else { return };
        let Some(shelf) = self.answers.shelves.get(copying.place) else { return };
        let whole = copying.value.len().saturating_add(size);
        let mut fits = u32::try_from(whole).is_ok_and(|whole| whole <= shelf.rules.max_bytes)
            && self.answers.has_room(whole);
        if fits && size > 0 {
            let (piece, before) = (read(), copying.value.capacity());
            fits = piece.len() == size;
            copying.value.extend_from_slice(&piece);
            self.answers.copied += copying.value.capacity().saturating_sub(before);
        }
        if fits && !ends {
            return;
        }
        let Copying { hash, begun, value, .. } = &*copying;
        if fits && copying.is_whole() && shelf.keep(host, *hash, value, *begun, host.now()) {
            self.counters.add(Count::StaleKept, 1);
        }
        self.forget(stream);
    }

    /// Nothing more is done for an answer.
    pub(super) fn forget(&mut self, stream: &mut Responding) {
        if let Some(watch) = stream.watch.take()
            && let Watch::Copying(copying) = *watch
        {
            let copied = &mut self.answers.copied;
            *copied = copied.saturating_sub(copying.value.capacity());
        }
    }
}

impl Answers {
    const fn has_room(&self, bytes: usize) -> bool {
        self.copied.saturating_add(bytes) <= MOST_COPIED
    }
}

impl Copying {
    /// Whether all of the body is there. One that is empty is none to keep.
    fn is_whole(&self) -> bool {
        let body = u64::try_from(self.value.len().saturating_sub(self.head)).unwrap_or_default();
        body > 0 && self.length.is_none_or(|length| length == body)
    }
}

/// Gives a kept answer its headers. What Envoy has written by its rules stays: it is what they say
/// now.
fn complete(headers: &[(String, String)], effects: &mut dyn Effects) {
    let there = effects.headers();
    if !headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
        effects.remove_header(CONTENT_TYPE);
    }
    for (name, value) in headers {
        if !there.iter().any(|(known, _)| known == name) {
            effects.add_header(name, value);
        }
    }
}

/// Whether the route's rules for answers write a header, or take it away.
fn is_ruled(route: &Route, name: &str) -> bool {
    let rules = &route.transform.response;
    rules.set.iter().any(|(known, _)| known == name) || rules.remove.iter().any(|gone| gone == name)
}
