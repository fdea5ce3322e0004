//! The client's certificate as Envoy tells it: `x-forwarded-client-cert`.
//!
//! The header is a list with an element for each proxy that had a certificate shown, the
//! nearest one last. What an element says is only as true as the proxy that wrote it, and
//! Envoy's `forward_client_cert_details` decides whether this one wrote any:
//!
//! - `SANITIZE_SET`: the header holds one element, Envoy's own: [`Element::Only`].
//! - `APPEND_FORWARD`: Envoy's own is the last: [`Element::FromRight`] with 0. So it is in an
//!   Istio sidecar, where the last element is the peer inside the mesh; behind an ingress
//!   gateway the client's is one further left, and as true as the gateway is trusted.
//! - `FORWARD_ONLY`, `ALWAYS_FORWARD_ONLY`: Envoy writes none. Nothing here may be used.
//!
//! Without a client certificate Envoy removes the header in all these modes but the last.
//!
//! Envoy does not quote `URI` and `DNS`. Where certificates come from an authority that lets
//! their holder choose those names, leave them out of `set_current_client_cert_details`: a
//! comma in one begins an element. (`Hash` is always written.) A second `Hash` in an element
//! and a second element where there should be one are refused for the same reason.

use postern_request::Denial;
use postern_request::headers::Single;

/// The header's name.
pub const HEADER: &str = "x-forwarded-client-cert";
/// Longest header of which more than the hash is read, in bytes.
const MAX_HEADER_BYTES: usize = 16_384;
/// Most names of one kind that are read.
const MAX_NAMES: usize = 64;
/// What Envoy writes of a certificate, in its order.
const ORDER: [&[u8]; 7] = [b"by", b"hash", b"cert", b"chain", b"subject", b"uri", b"dns"];
/// Those of [`ORDER`] that are there once for each name.
const REPEATED: [usize; 3] = [0, 5, 6];

/// Which element is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// The only one; more than one is an error.
    Only,
    /// So many places from the right, from 0; left of it there may be anything.
    FromRight(usize),
}

/// Why no certificate could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XfccError {
    /// Not a list of elements with keys and values.
    #[error("x-forwarded-client-cert is malformed")]
    Form,
    /// There are fewer elements than that, or more than the one.
    #[error("x-forwarded-client-cert has not the element that is trusted")]
    Element,
    /// The element has no `Hash`, or several, or something else under this name.
    #[error("x-forwarded-client-cert has no hash")]
    Hash,
}

/// The refusal of a certificate that was shown and cannot be read, wherever it was looked for.
#[must_use]
pub fn unusable() -> Denial {
    Denial::invalid_token("certificate_unusable")
}

/// SHA-256 of the client's certificate in DER, from a header that the trusted proxy replaces; none
/// where there is none. Envoy writes names of a certificate without quotes: a comma in one begins
/// what looks like another element.
///
/// # Errors
/// When the header does not say, or is there more than once.
pub fn forwarded(header: Single<'_>) -> Result<Option<[u8; 32]>, XfccError> {
    match header {
        Single::Absent => Ok(None),
        Single::Repeated => Err(XfccError::Element),
        Single::One(header) => certificate_hash(header, Element::Only).map(Some),
    }
}

/// A certificate as a trusted proxy tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToldCertificate {
    /// SHA-256 of it in DER.
    pub sha256: [u8; 32],
    /// Its subject, as Envoy writes it (RFC 2253); none where that is not told.
    pub subject: Option<String>,
    /// Its DNS names; none of them where it has a URI, too.
    pub dns_names: Vec<String>,
    /// Its URI; none where it has several, or DNS names as well.
    pub uris: Vec<String>,
}

/// As [`forwarded`], with the names of the certificate.
///
/// A URI may hold a semicolon, and Envoy does not quote it: what follows looks like further keys of
/// the element. So names count only where the element is as Envoy writes it, key by key, and
/// where they are of one kind: who has had a URI certified that ends in `;DNS=other.test` is then
/// known by its hash alone.
///
/// # Errors
/// As [`forwarded`], and for a header that is too long.
pub fn forwarded_certificate(header: Single<'_>) -> Result<Option<ToldCertificate>, XfccError> {
    let element = header.one().unwrap_or_default();
    if element.len() > MAX_HEADER_BYTES {
        return Err(XfccError::Form);
    }
    let Some(sha256) = forwarded(header)? else { return Ok(None) };
    Ok(Some(ToldCertificate { sha256, ..names(element).unwrap_or_default() }))
}

/// The names of an element whose hash was read; none where nothing is certain of them.
fn names(element: &[u8]) -> Option<ToldCertificate> {
    let mut told = ToldCertificate::default();
    let mut before = None;
    for pair in split(element, b';') {
        let pair = pair.ok()?;
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        let value = core::str::from_utf8(value.strip_prefix(b"=")?).ok()?;
        let place = ORDER.iter().position(|known| name.eq_ignore_ascii_case(known))?;
        let follows = before
            .is_none_or(|before| place > before || (place == before && REPEATED.contains(&place)));
        if !follows {
            return None;
        }
        before = Some(place);
        match ORDER.get(place) {
            Some(&b"subject") => {
                let inner = value.strip_prefix('"')?.strip_suffix('"')?;
                told.subject = Some(inner.to_owned()).filter(|text| !text.is_empty());
            }
            // Envoy writes the key for a certificate that has none, too.
            Some(&b"uri") if !value.is_empty() => told.uris.push(value.to_owned()),
            Some(&b"dns") if !value.is_empty() => told.dns_names.push(value.to_owned()),
            _ => {}
        }
    }
    let is_one_kind = match told.uris.len() {
        0 => told.dns_names.len() <= MAX_NAMES,
        1 => told.dns_names.is_empty(),
        _ => false,
    };
    if !is_one_kind {
        told.uris.clear();
        told.dns_names.clear();
    }
    Some(told)
}

/// SHA-256 of the client's certificate in DER, from the one header's value.
///
/// # Errors
/// When the trusted element does not say, or the header cannot be read.
pub fn certificate_hash(header: &[u8], trusted: Element) -> Result<[u8; 32], XfccError> {
    let places = match trusted {
        Element::Only => 0,
        Element::FromRight(places) => places,
    };
    let count =
        split(header, b',').try_fold(0_usize, |count, element| element.map(|_| count + 1))?;
    let index = count.checked_sub(places).and_then(|left| left.checked_sub(1));
    let index = index.ok_or(XfccError::Element)?;
    if trusted == Element::Only && count != 1 {
        return Err(XfccError::Element);
    }
    let element = split(header, b',').nth(index).ok_or(XfccError::Element)??;
    let mut hash = None;
    for pair in split(element, b';') {
        let pair = pair?;
        let equals = pair.iter().position(|b| *b == b'=').ok_or(XfccError::Form)?;
        let (name, value) = pair.split_at_checked(equals).ok_or(XfccError::Form)?;
        let value = value.strip_prefix(b"=").ok_or(XfccError::Form)?;
        check_value(value)?;
        if name.eq_ignore_ascii_case(b"hash") {
            let read = sha256_from_hex(value).ok_or(XfccError::Hash)?;
            if hash.replace(read).is_some() {
                return Err(XfccError::Hash);
            }
        }
    }
    hash.ok_or(XfccError::Hash)
}

/// 64 hexadecimal digits, as in `Hash` and in Envoy's attribute
/// `connection.sha256_peer_certificate_digest`.
#[must_use]
pub fn sha256_from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// A value with quotes is one quoted string; one without has none inside either.
fn check_value(value: &[u8]) -> Result<(), XfccError> {
    let inner = match value.strip_prefix(b"\"") {
        None => value,
        Some(rest) => rest.strip_suffix(b"\"").ok_or(XfccError::Form)?,
    };
    let mut escaped = false;
    for byte in inner {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inner.len() < value.len() => escaped = true,
            b'"' => return Err(XfccError::Form),
            _ => {}
        }
    }
    if escaped { Err(XfccError::Form) } else { Ok(()) }
}

/// The pieces between separators that are not inside quotes. An error, and then nothing more,
/// where a quote stays open.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = Result<&[u8], XfccError>> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest.take()?;
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if *byte == separator && !quoted => {
                    let (piece, after) = text.split_at_checked(at)?;
                    rest = after.get(1..);
                    return Some(Ok(piece));
                }
                _ => {}
            }
        }
        Some(if quoted { Err(XfccError::Form) } else { Ok(text) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";
    const B: &str = "9BA61D6425303443C0748A02DD8DE688468ED33BE74EEE6556D90C0149C1309E";

    fn first_byte(header: &str, trusted: Element) -> Result<u8, XfccError> {
        certificate_hash(header.as_bytes(), trusted).map(|hash| hash[0])
    }

    #[test]
    fn the_trusted_element_and_no_other_counts() {
        let one =
            format!("By=http://a.test;Hash={A};Subject=\"/C=US/CN=a,b;c\\\"=d\";URI=spiffe://x");
        assert_eq!(first_byte(&one, Element::Only), Ok(0x46));
        assert_eq!(first_byte(&one, Element::FromRight(0)), Ok(0x46));
        assert_eq!(first_byte(&one, Element::FromRight(1)), Err(XfccError::Element));
        let two = format!("{one},By=http://b.test;hash={B};URI=http://a.test");
        assert_eq!(first_byte(&two, Element::Only), Err(XfccError::Element));
        assert_eq!(first_byte(&two, Element::FromRight(0)), Ok(0x9b));
        assert_eq!(first_byte(&two, Element::FromRight(1)), Ok(0x46));
        assert_eq!(first_byte(&two, Element::FromRight(2)), Err(XfccError::Element));
        assert_eq!(first_byte(&two, Element::FromRight(usize::MAX)), Err(XfccError::Element));
        assert_eq!(certificate_hash(A.as_bytes(), Element::Only), Err(XfccError::Form));
    }

    #[test]
    fn forged_and_broken_headers_are_refused() {
        for (header, expected) in [
            (String::new(), XfccError::Form),
            (",".to_owned(), XfccError::Element),
            ("By=a".to_owned(), XfccError::Hash),
            ("Hash=".to_owned(), XfccError::Hash),
            (format!("Hash={}", A.trim_start_matches('4')), XfccError::Hash),
            (format!("Hash={A}0"), XfccError::Hash),
            (format!("Hash= {A}"), XfccError::Hash),
            (format!("Hash=\"{A}\""), XfccError::Hash),
            (format!("Hash={}", A.replace('4', "g")), XfccError::Hash),
            (format!("Hash={A};Hash={A}"), XfccError::Hash),
            (format!("Hash={A};URI=x;hash={B}"), XfccError::Hash),
            (format!("Hash={A};URI=x,Hash={B}"), XfccError::Element),
            (format!("Hash={A};Subject=\"open"), XfccError::Form),
            (format!("Hash={A};Subject=\"a\"b\"c\""), XfccError::Form),
            (format!("Hash={A};Subject=a\"b\""), XfccError::Form),
            (format!("Hash={A};Subject"), XfccError::Form),
            (format!("Hash={A};"), XfccError::Form),
        ] {
            assert_eq!(first_byte(&header, Element::Only), Err(expected), "{header}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_forwards_is_there_once() {
        let (one, two) = (format!("Hash={A}"), format!("Hash={A},Hash={B}"));
        let first = |header| forwarded(header).map(|hash| hash.map(|hash| hash[0]));
        assert_eq!(first(Single::Absent), Ok(None));
        assert_eq!(first(Single::One(one.as_bytes())), Ok(Some(0x46)));
        assert_eq!(first(Single::One(two.as_bytes())), Err(XfccError::Element));
        assert_eq!(first(Single::One(b"")), Err(XfccError::Form));
        assert_eq!(first(Single::Repeated), Err(XfccError::Element));
    }

    #[test]
    fn names_count_where_nothing_else_could_have_written_them() {
        let told = |rest: &str| {
            let header = format!("By=spiffe://m/a;Hash={A}{rest}");
            let told = forwarded_certificate(Single::One(header.as_bytes())).unwrap().unwrap();
            assert_eq!(told.sha256[0], 0x46, "{rest}");
            (told.subject.unwrap_or_default(), told.uris.join(" "), told.dns_names.join(" "))
        };
        for (rest, subject, uris, dns_names) in [
            ("", "", "", ""),
            (r#";Subject="CN=a,O=b;c";URI="#, "CN=a,O=b;c", "", ""),
            (r#";Subject="CN=a\"b";URI=;DNS=a.test;DNS=b.test"#, r#"CN=a\"b"#, "", "a.test b.test"),
            (r#";Subject="";URI=spiffe://m/b"#, "", "spiffe://m/b", ""),
            (";DNS=a.test", "", "", "a.test"),
            // A URI that was certified as it is, and one that says more than it is.
            (";URI=https://evil.test/;DNS=a.test", "", "", ""),
            (";URI=https://evil.test/;URI=spiffe://m/b", "", "", ""),
            (r#";URI=https://evil.test/;Subject="CN=a""#, "", "", ""),
            (";URI=https://evil.test/;Cert=x;DNS=a.test", "", "", ""),
            (";DNS=x;URI=spiffe://m/b", "", "", ""),
            (r#";Subject="CN=a";Subject="CN=b""#, "", "", ""),
            (";Subject=CN=a", "", "", ""),
            (";Other=1;DNS=a.test", "", "", ""),
        ] {
            let expected = (subject.to_owned(), uris.to_owned(), dns_names.to_owned());
            assert_eq!(told(rest), expected, "{rest}");
        }
        let many = ";DNS=a.test".repeat(MAX_NAMES + 1);
        assert_eq!(told(&many).2, "");
        let long = format!("Hash={A};URI={}", "x".repeat(MAX_HEADER_BYTES));
        let refused = forwarded_certificate(Single::One(long.as_bytes()));
        assert_eq!(refused, Err(XfccError::Form));
        assert_eq!(forwarded_certificate(Single::Absent), Ok(None));
        assert_eq!(forwarded_certificate(Single::Repeated), Err(XfccError::Element));
        let forged = format!("Hash={A};URI=x,Hash={B}");
        let refused = forwarded_certificate(Single::One(forged.as_bytes()));
        assert_eq!(refused, Err(XfccError::Element));
    }

    #[test]
    fn a_comma_inside_quotes_begins_no_element() {
        let header = format!("Hash={A};Subject=\"CN=x,Hash={B}\"");
        assert_eq!(first_byte(&header, Element::Only), Ok(0x46));
        let header = format!("Hash={A};Subject=\"CN=\\\",Hash={B};URI=\"");
        assert_eq!(first_byte(&header, Element::FromRight(0)), Ok(0x46));
    }
}
