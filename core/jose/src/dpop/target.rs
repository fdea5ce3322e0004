//! Whether two URLs name one target (RFC 9449 §4.3, 9).

/// What of a URL counts: neither query nor fragment.
struct Target<'a> {
    scheme: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
}

/// Compares `htu` with the request's URL, both normalised by syntax and scheme (RFC 3986
/// §6.2.2, §6.2.3): scheme and host in any case, the scheme's port or none, an empty path or
/// `/`, percent-encoding where none is needed. Dot segments are not resolved: a gateway refuses
/// them anyway. What is no absolute http or https URL is the same as nothing.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let (Some(a), Some(b)) = (Target::of(a), Target::of(b)) else { return false };
    let (Some(a_path), Some(b_path)) = (normalised(a.path), normalised(b.path)) else {
        return false;
    };
    a.scheme.eq_ignore_ascii_case(b.scheme)
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port == b.port
        && a_path == b_path
}

impl<'a> Target<'a> {
    fn of(url: &'a str) -> Option<Self> {
        if !url.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let default_port = if scheme.eq_ignore_ascii_case("https") {
            443
        } else if scheme.eq_ignore_ascii_case("http") {
            80
        } else {
            return None;
        };
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (rest, _) = rest.split_at_checked(end)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at)?,
            None => (rest, "/"),
        };
        let (host, port) = split_port(authority)?;
        if host.is_empty() || authority.contains('@') {
            return None;
        }
        let port = if port.is_empty() { default_port } else { decimal(port)? };
        Some(Self { scheme, host, port, path })
    }
}

/// Host and digits of the port; an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let (host, rest) = match authority.find(']') {
        Some(at) => authority.split_at_checked(at + 1)?,
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
    };
    match rest.strip_prefix(':') {
        Some(port) => Some((host, port)),
        None => rest.is_empty().then_some((host, "")),
    }
}

/// Digits alone: `parse` would take a sign too.
fn decimal(digits: &str) -> Option<u16> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// A path in which `%` stands only before what must be encoded, in capitals. None when a `%`
/// stands before anything else than two digits.
fn normalised(path: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (bytes.next()?, bytes.next()?);
        let value = digit(high)? << 4 | digit(low)?;
        if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
            out.push(value);
        } else {
            out.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
        }
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_may_be_written_in_several_ways() {
        for (a, b) in [
            ("https://a.test/x", "https://a.test/x?y=1#z"),
            ("https://a.test/x#z?y", "https://a.test/x"),
            ("HTTPS://A.Test:443/x", "https://a.test/x"),
            ("https://a.test:/x", "https://a.test/x"),
            ("http://a.test:80", "http://a.test/"),
            ("http://a.test?q", "http://a.test/"),
            ("http://a.test:8080/", "http://a.test:08080"),
            ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]"),
            ("https://a.test/%7euser/%c3%a9", "https://a.test/~user/%C3%A9"),
        ] {
            assert!(is_same(a, b) && is_same(b, a), "{a} {b}");
        }
    }

    #[test]
    fn another_target_is_another_and_nonsense_is_none() {
        for (a, b) in [
            ("https://a.test/x", "http://a.test/x"),
            ("https://a.test/x", "https://b.test/x"),
            ("https://a.test/x", "https://a.test/X"),
            ("https://a.test/x", "https://a.test/x/"),
            ("https://a.test/x", "https://a.test/y/../x"),
            ("https://a.test/a%2Fb", "https://a.test/a/b"),
            ("https://a.test:80/", "https://a.test/"),
            ("https://a.test/", "https://a.test.evil.test/"),
        ] {
            assert!(!is_same(a, b) && !is_same(b, a), "{a} {b}");
        }
        for nonsense in [
            "",
            "/x",
            "a.test/x",
            "//a.test/x",
            "ftp://a.test/x",
            "https:///x",
            "https://:443/x",
            "https://u@a.test/x",
            "https://a.test:x/",
            "https://a.test:+443/",
            "https://a.test:99999/",
            "https://[::1]x/",
            "https://a.test/%",
            "https://a.test/%4",
            "https://a.test/%zz",
            "https://a.test/ x",
            "https://a.test/é",
        ] {
            assert!(!is_same(nonsense, nonsense), "{nonsense}");
        }
    }
}
