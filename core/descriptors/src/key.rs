//! What a counter is called.

/// Names the counter of a descriptor that counts by all its values: one that brings its own
/// limit. Says nothing of how much is allowed in which time. Length-prefixed, so that different
/// descriptors never share a counter; to be hashed.
#[must_use]
pub fn counter_key<'e>(
    domain: &str,
    entries: impl Iterator<Item = (&'e str, &'e str)> + Clone,
) -> String {
    shared_counter_key(domain, entries, &[])
}

/// The same for a rule where the values of some entries count together: their pattern stands
/// in place of the value, and its mark keeps it apart from a value that reads the same.
pub(crate) fn shared_counter_key<'e>(
    domain: &str,
    entries: impl Iterator<Item = (&'e str, &'e str)> + Clone,
    shared: &[Option<String>],
) -> String {
    // Enough for texts of up to 9,999 bytes, so that there is one allocation.
    let bytes = |text: &str| text.len() + 5;
    let room = entries.clone().map(|(key, value)| bytes(key) + bytes(value) + 1).sum::<usize>();
    let mut counter = String::with_capacity(bytes(domain) + room);
    push_framed(&mut counter, domain);
    let mut shared = shared.iter();
    for (key, value) in entries {
        push_framed(&mut counter, key);
        match shared.next() {
            Some(Some(pattern)) => {
                counter.push('*');
                push_framed(&mut counter, pattern);
            }
            _ => {
                counter.push('=');
                push_framed(&mut counter, value);
            }
        }
    }
    counter
}

fn push_framed(to: &mut String, text: &str) {
    push_number(to, text.len());
    to.push(':');
    to.push_str(text);
}

/// In decimal, without the machinery of `format!`.
fn push_number(to: &mut String, number: usize) {
    if number >= 10 {
        push_number(to, number / 10);
    }
    let digit = u32::try_from(number % 10).unwrap_or_default();
    to.push(char::from_digit(digit, 10).unwrap_or('0'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_says_how_long_it_is() {
        let entries = [("path", "/a"), ("user", "")];
        assert_eq!(counter_key("shop", entries.into_iter()), "4:shop4:path=2:/a4:user=0:");
        let shared = [Some("/*".to_owned()), None];
        let key = shared_counter_key("shop", entries.into_iter(), &shared);
        assert_eq!(key, "4:shop4:path*2:/*4:user=0:");
        let long = "x".repeat(12_345);
        assert!(counter_key(&long, std::iter::empty()).starts_with("12345:xxx"));
    }
}
