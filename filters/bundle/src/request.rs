//! One pass over a request's headers.

use std::borrow::Cow;

use postern_filter_host::HeaderList;
use postern_request::headers::{self, Single, is_identity_header};
use postern_request::tokens::Carrier;

/// What the stages need of a request, and what must go.
#[derive(Debug)]
pub(crate) struct RequestHeaders<'a> {
    pub(crate) method: &'a str,
    pub(crate) authority: &'a str,
    /// `:path`, query included; none when it is missing or not text.
    pub(crate) target: Option<&'a str>,
    pub(crate) authorization: Single<'a>,
    pub(crate) correlation_id: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a [u8]>,
    pub(crate) traceparent: Option<&'a [u8]>,
    pub(crate) is_grpc: bool,
    /// Names of headers that only we may write.
    pub(crate) forged: Vec<&'a str>,
    /// Headers that were asked for, in their order.
    asked: Vec<(&'a str, &'a [u8])>,
}

/// Which headers of a document's own count. Most documents have none, and nothing is spent on
/// them then.
#[derive(Debug, Default)]
pub(crate) struct OwnHeaders {
    /// Those made of claims: ours alone, like the identity headers.
    pub(crate) claims: Vec<String>,
    /// Those that may hold a token, or show what its holder possesses.
    pub(crate) asked: Vec<String>,
}

impl<'a> RequestHeaders<'a> {
    /// Reads the headers.
    pub(crate) fn read(list: &'a HeaderList, own: &OwnHeaders) -> Self {
        let mut request = Self {
            method: "",
            authority: "",
            target: None,
            authorization: Single::Absent,
            correlation_id: None,
            request_id: None,
            traceparent: None,
            is_grpc: false,
            forged: Vec::new(),
            asked: Vec::new(),
        };
        for (name, value) in list {
            if own.asked.contains(name) {
                request.asked.push((name, value));
            }
            let text = || core::str::from_utf8(value).ok();
            match name.as_str() {
                ":method" => request.method = text().unwrap_or_default(),
                ":authority" => request.authority = text().unwrap_or_default(),
                ":path" => request.target = text(),
                headers::AUTHORIZATION => {
                    request.authorization = match request.authorization {
                        Single::Absent => Single::One(value),
                        Single::One(_) | Single::Repeated => Single::Repeated,
                    };
                }
                headers::CORRELATION_ID => once(&mut request.correlation_id, value),
                headers::REQUEST_ID => once(&mut request.request_id, value),
                headers::TRACEPARENT => once(&mut request.traceparent, value),
                "content-type" => {
                    request.is_grpc = postern_request::denial::is_grpc(Some(value));
                }
                other => {
                    if is_identity_header(other, &own.claims) && !request.forged.contains(&other) {
                        request.forged.push(other);
                    }
                }
            }
        }
        request
    }

    fn asked(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.asked.iter().filter(move |(asked, _)| *asked == name).map(|(_, value)| *value)
    }
}

/// Of headers beside `authorization` only those that were asked for are there.
impl<'a> Carrier<'a> for RequestHeaders<'a> {
    fn target(&self) -> Option<&'a str> {
        self.target
    }

    fn authorization(&self) -> Single<'a> {
        self.authorization
    }

    fn single(&self, name: &str) -> Single<'a> {
        let mut values = self.asked(name);
        match (values.next(), values.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => Single::One(value),
            (Some(_), Some(_)) => Single::Repeated,
        }
    }

    fn list(&self, name: &str, separator: &[u8]) -> Option<Cow<'a, [u8]>> {
        let mut values = self.asked(name);
        let first = values.next()?;
        let mut all: Vec<&[u8]> = values.collect();
        if all.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        all.insert(0, first);
        Some(Cow::Owned(all.join(separator)))
    }
}

/// Keeps the value of a header that makes sense once. A repeated one makes none, and is no valid
/// value of anything.
const fn once<'a>(kept: &mut Option<&'a [u8]>, value: &'a [u8]) {
    *kept = Some(if kept.is_some() { b"" } else { value });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(headers: &[(&str, &[u8])]) -> HeaderList {
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn forged_headers_are_found_in_every_spelling() {
        let list = list(&[
            ("x-postern-subject", b"root"),
            ("x-postern-subject", b"admin"),
            ("x_postern_scopes", b"all"),
            ("x-postern_tier", b"gold"),
            ("x-tenant", b"other"),
            ("x_tenant", b"other"),
            ("x-posternal", b"fine"),
            ("x-poster", b"fine"),
        ]);
        let own = OwnHeaders { claims: vec!["x-tenant".to_owned()], ..OwnHeaders::default() };
        let request = RequestHeaders::read(&list, &own);
        assert_eq!(
            request.forged,
            ["x-postern-subject", "x_postern_scopes", "x-postern_tier", "x-tenant", "x_tenant"]
        );
    }

    #[test]
    fn ids_that_are_repeated_are_no_ids() {
        let list = list(&[("x-correlation-id", b"a"), ("x-correlation-id", b"b")]);
        let request = RequestHeaders::read(&list, &OwnHeaders::default());
        assert_eq!((request.correlation_id, request.traceparent), (Some(&b""[..]), None));
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let list = list(&[
            ("cookie", b"a=1"),
            ("x-token", b"one"),
            ("cookie", b"b=2"),
            ("content-type", b"application/grpc"),
            ("other", b"no"),
        ]);
        let asked = ["cookie", "x-token", "content-type", "away"].map(str::to_owned).to_vec();
        let request = RequestHeaders::read(&list, &OwnHeaders { asked, ..OwnHeaders::default() });
        assert!(request.is_grpc, "and what else a header says counts too");
        assert_eq!(request.single("cookie"), Single::Repeated);
        assert_eq!(request.single("x-token"), Single::One(b"one"));
        assert_eq!(request.single("other"), Single::Absent);
        assert_eq!(request.list("cookie", b"; ").as_deref(), Some(&b"a=1; b=2"[..]));
        assert!(matches!(request.list("x-token", b", "), Some(Cow::Borrowed(b"one"))));
        assert_eq!(request.list("away", b", "), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_no_path() {
        let list = list(&[(":path", b"/\xff"), (":method", b"\xff"), ("other", b"\xfe\xff")]);
        let request = RequestHeaders::read(&list, &OwnHeaders::default());
        assert_eq!((request.target, request.method), (None, ""));
    }
}
