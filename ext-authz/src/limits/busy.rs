//! The keys of limits as people read them.

/// The limit's name and the parts of the key behind it, which begins with the limit and its
/// numbers. `-` stands for a part that the request has not.
pub(super) fn readable<'a>(limit: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = Parts(key).skip(1).enumerate();
    let parts =
        parts.flat_map(|(at, part)| [if at == 0 { ": " } else { ", " }, part.unwrap_or("-")]);
    std::iter::once(limit).chain(parts)
}

/// The parts of a key, as `postern_limits::key::KeyBuilder` puts them together: each with its
/// length in front, and `-` for one that is absent.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(rest) = self.0.strip_prefix('-') {
            self.0 = rest;
            return Some(None);
        }
        let (length, rest) = self.0.split_once(':')?;
        let (part, rest) = rest.split_at_checked(length.parse().ok()?)?;
        self.0 = rest;
        Some(Some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::key::KeyBuilder;

    #[test]
    fn keys_are_told_by_their_parts() {
        let cases: &[(&[Option<&str>], &str)] = &[
            (&[], "few"),
            (&[Some("alice")], "few: alice"),
            (&[Some("jwt"), None, Some(""), Some("3:b-")], "few: jwt, -, , 3:b-"),
        ];
        for (parts, expected) in cases {
            let mut key = KeyBuilder::new("few 2/3600000");
            parts.iter().for_each(|part| key.push(*part));
            let key = key.finish();
            assert_eq!(readable("few", &key).collect::<String>(), *expected);
        }
    }
}
