//! Values that are like nothing a request can have.

use std::collections::BTreeSet;

use crate::pattern::{SCHEME, Subject, Text};
use crate::resources::Attribute;

const STAR: &str = "only a `*` at an end stands for something, any other counts as it is written";
const BLANK: &str = "there is a blank in it";

/// Why no request has anything like this.
pub(super) fn of_text(attribute: &Attribute, text: &Text) -> Option<&'static str> {
    let (written, is_begin, is_end) = match text {
        Text::Any => return None,
        Text::Exact(written) => (written.as_str(), true, true),
        Text::Prefix(written) => (written.as_str(), true, false),
        Text::Suffix(written) => (written.as_str(), false, true),
    };
    let of_its_own = match attribute {
        Attribute::Principal => principal(written, is_begin, is_end),
        Attribute::Method => method(written),
        Attribute::Host => host(written),
        Attribute::Path => path(written, is_begin),
        // A `*` and blanks may well stand in headers and claims.
        _ => return None,
    };
    of_its_own
        .or_else(|| written.contains('*').then_some(STAR))
        .or_else(|| written.contains(|c: char| c.is_ascii_whitespace()).then_some(BLANK))
}

/// Names in certificates (SPIFFE-ID §2): no part of the path is empty.
fn principal(written: &str, is_begin: bool, is_end: bool) -> Option<&'static str> {
    if is_begin && written.starts_with(SCHEME) {
        return Some("principals are written without `spiffe://`");
    }
    let lacks_a_part = written.contains("//")
        || is_begin && written.starts_with('/')
        || is_end && written.ends_with('/');
    lacks_a_part.then_some("a principal has no slash at its ends, and no two of them in a row")
}

/// Methods are compared with regard to case (RFC 9110 §9.1).
fn method(written: &str) -> Option<&'static str> {
    let is_lower = written.bytes().any(|byte| byte.is_ascii_lowercase());
    is_lower.then_some("methods are compared as they are written, and HTTP's are in capitals")
}

/// Envoy refuses an authority with any of these.
fn host(written: &str) -> Option<&'static str> {
    let is_url = written.contains(['/', '?', '#', '\\']);
    is_url.then_some("a host is neither a URL nor a path: it may have a port, and nothing else")
}

fn path(written: &str, is_begin: bool) -> Option<&'static str> {
    if is_begin && !written.starts_with('/') {
        Some("a path begins with `/`")
    } else if written.contains(['?', '#']) {
        Some("paths are compared without query")
    } else {
        None
    }
}

pub(super) fn of_subject(subject: &Subject) -> Option<&'static str> {
    match &subject.subject {
        Text::Exact(text) if text.is_empty() => {
            Some("a request principal is an issuer, a slash and a subject")
        }
        Text::Exact(text) if text == "*" => {
            Some("behind a `*` in front, the subject counts as it is written")
        }
        _ => None,
    }
}

/// Every proxy has ports of its own, which no manifest of a workload names.
pub(super) fn of_port(port: u16, known: &BTreeSet<u16>) -> Option<&'static str> {
    let is_istio_s = (15_000..=15_090).contains(&port);
    let is_there = is_istio_s || known.contains(&port);
    (!is_there).then_some("none of the workloads that it is for has this port")
}
