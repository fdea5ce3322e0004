//! What Envoy does to a request before anybody decides: how it reads the path, which headers it
//! drops or writes, whose address it takes for the client's. The rules are those that
//! `render/src/envoy/listener.rs` writes.

use std::net::IpAddr;

use postern_document::{CertificateSource, Document};
use postern_jose::xfcc;
use postern_request::tokens::WholeRequest;
use postern_request::{HeaderView, address, path};

use crate::here::Asked;

/// The most headers and the most bytes of them; `max_headers_count`, `max_request_headers_kb`.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 60 * 1024;
/// HTTP/1 has `host` among the headers, HTTP/2 its four pseudo-headers.
const FEWEST_MORE: usize = 1;
const MOST_MORE: usize = 4;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// A request on its way to an Envoy.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) method: String,
    /// That of the connection.
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The other end of the connection.
    pub(crate) address: Option<IpAddr>,
    /// What that shows.
    pub(crate) certificate: Option<[u8; 32]>,
    /// Whom it is of.
    pub(crate) peer: Option<String>,
}

/// A request as Envoy hands it to whoever decides.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The other end of the connection.
    pub(crate) address: Option<IpAddr>,
    /// The client's, behind as many proxies as are trusted.
    pub(crate) client: Option<IpAddr>,
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) peer: Option<String>,
}

impl Incoming {
    pub(crate) fn path(&self) -> &str {
        path::without_query(&self.target)
    }

    /// As those see it who look for a token.
    pub(crate) fn whole(&self) -> WholeRequest<'_> {
        WholeRequest { target: &self.target, headers: &self.headers }
    }

    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked { authority: &self.authority, method: &self.method, path: self.path() }
    }
}

/// Whether Envoy takes so many headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Fits,
    /// With HTTP/1; with HTTP/2 it does not.
    Barely,
    TooLarge,
}

/// What has an underscore in its name is dropped while it is read, and counts for nothing.
pub(crate) fn size_of(target: &str, headers: &[(String, Vec<u8>)]) -> Size {
    let kept = || headers.iter().filter(|(name, _)| !is_dropped_early(name));
    let bytes = kept().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let count = kept().count();
    if count + FEWEST_MORE > MAX_HEADERS || bytes + target.len() > MAX_HEADER_BYTES {
        Size::TooLarge
    } else if count + MOST_MORE > MAX_HEADERS {
        Size::Barely
    } else {
        Size::Fits
    }
}

/// `headers_with_underscores_action`
fn is_dropped_early(name: &str) -> bool {
    name.contains('_')
}

/// Headers as those behind Envoy see them, and the names of those that it dropped. Beside a
/// workload Envoy says itself who called; at the edge a proxy in front may have to.
pub(crate) fn headers(
    document: &Document,
    is_edge: bool,
    sent: &Sent,
) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let keeps_certificate =
        is_edge && document.bound.certificate == Some(CertificateSource::Forwarded);
    let drops = |name: &str| is_dropped_early(name) || (name == xfcc::HEADER && !keeps_certificate);
    let mut dropped: Vec<String> = Vec::new();
    let mut headers: Vec<(String, Vec<u8>)> = Vec::with_capacity(sent.headers.len() + 3);
    for (name, value) in &sent.headers {
        if !drops(name) {
            headers.push((name.clone(), value.clone()));
        } else if !dropped.contains(name) {
            dropped.push(name.clone());
        }
    }
    if let (false, Some(peer)) = (is_edge, &sent.peer) {
        let hash: String =
            sent.certificate.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        let value = format!("Hash={hash};URI={peer}");
        headers.push((xfcc::HEADER.to_owned(), value.into_bytes()));
    }
    if let Some(address) = sent.address {
        append(&mut headers, FORWARDED_FOR, &address.to_string());
    }
    // Of a trusted proxy, it takes the word.
    let is_scheme = |value: &[u8]| [&b"http"[..], b"https"].contains(&value);
    let told = headers.single(FORWARDED_PROTO).one().is_some_and(is_scheme);
    if hops(document, is_edge) == 0 || !told {
        headers.retain(|(name, _)| name != FORWARDED_PROTO);
        headers.push((FORWARDED_PROTO.to_owned(), sent.scheme.as_bytes().to_vec()));
    }
    (headers, dropped)
}

/// How many proxies in front are trusted: those of the document are in front of the edge.
pub(crate) fn hops(document: &Document, is_edge: bool) -> usize {
    if is_edge { usize::from(document.trusted_proxies) } else { 0 }
}

/// Adds to a header that is a list: to its last line, where it has one.
fn append(headers: &mut Vec<(String, Vec<u8>)>, name: &str, value: &str) {
    match headers.iter_mut().rev().find(|(known, _)| known == name) {
        Some((_, known)) => {
            known.push(b',');
            known.extend_from_slice(value.as_bytes());
        }
        None => headers.push((name.to_owned(), value.as_bytes().to_vec())),
    }
}

/// Whom Envoy takes for the client.
pub(crate) fn client(
    hops: usize,
    headers: &dyn HeaderView,
    peer: Option<IpAddr>,
) -> Option<IpAddr> {
    address::behind_proxies(headers, hops).or(peer.map(|peer| peer.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_headers_has_an_end() {
        let many = |count: usize| vec![("a".to_owned(), Vec::new()); count];
        for (count, expected) in
            [(96, Size::Fits), (97, Size::Barely), (99, Size::Barely), (100, Size::TooLarge)]
        {
            assert_eq!(size_of("/", &many(count)), expected, "{count}");
        }
        let long = vec![("a".to_owned(), vec![b'x'; MAX_HEADER_BYTES])];
        assert_eq!(size_of("/", &long), Size::TooLarge);
    }

    #[test]
    fn what_is_dropped_is_not_counted() {
        let mut headers = vec![("a_b".to_owned(), vec![b'x'; 1024]); 120];
        assert_eq!(size_of("/", &headers), Size::Fits);
        headers.resize(220, ("a-b".to_owned(), Vec::new()));
        assert_eq!(size_of("/", &headers), Size::TooLarge);
    }
}
