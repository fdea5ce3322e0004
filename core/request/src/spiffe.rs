//! Names of workloads (SPIFFE-ID).

/// The longest one (SPIFFE-ID §2.3).
const MAX_BYTES: usize = 2048;

/// Whether a text is `spiffe://trust-domain/path`, both there, nothing that could be read in two
/// ways. What a document may name and what a certificate may say is one and the same.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let Some((domain, path)) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let in_domain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let in_segment = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    text.len() <= MAX_BYTES
        && !domain.is_empty()
        && domain.bytes().all(in_domain)
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(in_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly() {
        let long = format!("spiffe://mesh/{}", "a".repeat(MAX_BYTES));
        for (text, expected) in [
            ("spiffe://cluster.local/ns/shop/sa/payments", true),
            ("spiffe://mesh/a", true),
            ("spiffe://mesh", false),
            ("spiffe://mesh/", false),
            ("spiffe:///a", false),
            ("spiffe://Mesh/a", false),
            ("spiffe://mesh/a//b", false),
            ("spiffe://mesh/a/../b", false),
            ("spiffe://mesh/a?b", false),
            ("spiffe://mesh:1/a", false),
            ("https://mesh/a", false),
            (long.as_str(), false),
        ] {
            assert_eq!(is_id(text), expected, "{text}");
        }
    }
}
