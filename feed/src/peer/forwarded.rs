//! `x-forwarded-client-cert`, as Envoy writes it: elements between commas, one a proxy on the
//! way; pairs `Key=Value` between semicolons; values in quotes where they hold either.

use super::only_spiffe_id;

/// The longest header that is read.
const MAX_BYTES: usize = 16_384;

/// The SPIFFE id in the last element: the one that our own proxy wrote. Those before it came
/// with the request, from whomever.
pub(crate) fn spiffe_id(header: &[u8]) -> Option<String> {
    if header.len() > MAX_BYTES {
        return None;
    }
    let text = core::str::from_utf8(header).ok()?;
    let element = split(text, ',')?.pop()?;
    let mut uris = Vec::new();
    for pair in split(element, ';')? {
        let (key, value) = pair.split_once('=')?;
        if key.trim().eq_ignore_ascii_case("uri") {
            uris.push(unquoted(value.trim())?);
        }
    }
    only_spiffe_id(uris.into_iter()).map(str::to_owned)
}

/// The parts between separators that stand outside quotes; none when a quote is left open.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    let (mut quoted, mut escaped) = (false, false);
    for (at, found) in text.char_indices() {
        match found {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if found == separator && !quoted => {
                let start = text.len() - rest.len();
                let (part, after) = rest.split_at_checked(at.checked_sub(start)?)?;
                parts.push(part);
                rest = after.strip_prefix(separator)?;
            }
            _ => {}
        }
    }
    parts.push(rest);
    (!quoted).then_some(parts)
}

/// A value without its quotes. One that had anything to escape is no URI of ours.
fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains(['"', '\\'])).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_element_names_the_peer() {
        let id = "spiffe://cluster.local/ns/shop/sa/payments";
        for (header, expected) in [
            (format!("By=spiffe://cluster.local/ns/a/sa/b;Hash=00ff;Subject=\"\";URI={id}"), true),
            (format!("Hash=00ff;Subject=\"CN=a,O=b;URI=spiffe://evil/a\";URI={id}"), true),
            (format!("Subject=\"a\\\",URI=spiffe://evil/a;\\\"\";URI=\"{id}\""), true),
            (format!("URI=spiffe://evil/a,Hash=1;URI={id}"), true),
            (format!("uri={id} ; Hash=1"), true),
            (format!("URI={id},Hash=1"), false),
            (format!("URI={id};URI=spiffe://cluster.local/other"), false),
            (format!("URI={id},"), false),
            (format!("Subject=\"open;URI={id}"), false),
            (format!("URI=\"{id}"), false),
            ("URI=https://example.test/a".to_owned(), false),
            ("Hash=00ff".to_owned(), false),
            (String::new(), false),
            (format!("{};URI={id}", "Hash=0".repeat(4_000)), false),
        ] {
            let found = spiffe_id(header.as_bytes());
            assert_eq!(found.as_deref(), expected.then_some(id), "{header:.200}");
        }
        assert_eq!(spiffe_id(b"URI=spiffe://a/\xff"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read(header in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = spiffe_id(&header);
        }

        #[test]
        fn any_text_is_read(header in "([=;,\"\\\\]|URI|spiffe://a/b|x){0,20}") {
            let _ = spiffe_id(header.as_bytes());
        }
    }
}
