//! One pass over a request's headers.

use postern_filter_host::HeaderList;
use postern_request::headers::{self, Single};

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
}

impl<'a> RequestHeaders<'a> {
    /// Reads the headers. `claim_headers` are the document's own identity headers.
    pub(crate) fn read(list: &'a HeaderList, claim_headers: &[String]) -> Self {
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
        };
        for (name, value) in list {
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
                    if is_identity_header(other, claim_headers) && !request.forged.contains(&other)
                    {
                        request.forged.push(other);
                    }
                }
            }
        }
        request
    }
}

/// Keeps the value of a header that makes sense once. A repeated one makes none, and is no valid
/// value of anything.
const fn once<'a>(kept: &mut Option<&'a [u8]>, value: &'a [u8]) {
    *kept = Some(if kept.is_some() { b"" } else { value });
}

/// Whether a header is one of ours. Some servers read `_` as `-`, so both count.
pub(crate) fn is_identity_header(name: &str, claim_headers: &[String]) -> bool {
    let same = |a: u8, b: u8| a == b || (a == b'_' && b == b'-');
    let equals = |own: &str| {
        name.len() == own.len() && name.bytes().zip(own.bytes()).all(|(a, b)| same(a, b))
    };
    let prefix = headers::IDENTITY_PREFIX;
    let starts =
        name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| same(a, b));
    starts || claim_headers.iter().any(|own| equals(own))
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
        let request = RequestHeaders::read(&list, &["x-tenant".to_owned()]);
        assert_eq!(
            request.forged,
            ["x-postern-subject", "x_postern_scopes", "x-postern_tier", "x-tenant", "x_tenant"]
        );
    }

    #[test]
    fn ids_that_are_repeated_are_no_ids() {
        let list = list(&[("x-correlation-id", b"a"), ("x-correlation-id", b"b")]);
        let request = RequestHeaders::read(&list, &[]);
        assert_eq!((request.correlation_id, request.traceparent), (Some(&b""[..]), None));
    }

    #[test]
    fn bytes_that_are_no_text_are_no_path() {
        let list = list(&[(":path", b"/\xff"), (":method", b"\xff"), ("other", b"\xfe\xff")]);
        let request = RequestHeaders::read(&list, &[]);
        assert_eq!((request.target, request.method), (None, ""));
    }
}
