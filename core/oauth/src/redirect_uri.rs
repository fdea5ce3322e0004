//! Redirect URIs as clients register them (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).

/// Longest redirect URI, in bytes.
pub const MAX_REDIRECT_URI_BYTES: usize = 2048;

/// Where a client may be answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

/// Why a redirect URI was refused: always the fault of whoever registers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Above [`MAX_REDIRECT_URI_BYTES`].
    #[error("a redirect URI has at most {} bytes", MAX_REDIRECT_URI_BYTES)]
    TooLong,
    /// Characters that no URI has; among them those that some readers take for others.
    #[error("a redirect URI has no characters but those of RFC 3986; escape the others")]
    Character,
    /// Not of the form `scheme:…`, or without what its scheme needs.
    #[error("a redirect URI is absolute")]
    Relative,
    /// RFC 6749 §3.1.2
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// Somebody before an `@`.
    #[error("a redirect URI names no user")]
    UserInfo,
    /// RFC 8252 §7: anybody on the way could read the code, or any application could claim it.
    #[error(
        "a redirect URI is https, or http on 127.0.0.1 or [::1], or has a scheme with a dot such \
         as com.example.app"
    )]
    Scheme,
}

impl RedirectUri {
    /// Reads one that is to be registered.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if text.len() > MAX_REDIRECT_URI_BYTES {
            return Err(RedirectUriError::TooLong);
        }
        if !text.bytes().all(is_uri_char) {
            return Err(RedirectUriError::Character);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::Relative)?;
        let is_web = matches!(scheme, "http" | "https");
        let Some(rest) = rest.strip_prefix("//").filter(|_| is_web) else {
            return Self::private_use(text, scheme, rest);
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(RedirectUriError::UserInfo);
        }
        let host = host_of(authority).ok_or(RedirectUriError::Relative)?;
        if scheme == "http" && !is_loopback(host) {
            return Err(RedirectUriError::Scheme);
        }
        Ok(Self(text.to_owned()))
    }

    /// RFC 8252 §7.1: the scheme is a domain name in reverse, which nobody else may claim.
    fn private_use(text: &str, scheme: &str, rest: &str) -> Result<Self, RedirectUriError> {
        let is_scheme = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
            && scheme.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            });
        if !is_scheme || !scheme.contains('.') {
            return Err(RedirectUriError::Scheme);
        }
        if rest.is_empty() {
            return Err(RedirectUriError::Relative);
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address of this machine; never the name `localhost`, which may lead elsewhere
/// (RFC 8252 §8.3).
fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]")
}

/// The host of an authority without user; none where it has none, or a port that is no number.
fn host_of(authority: &str) -> Option<&str> {
    let host_ends = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(host_ends)?;
    let is_number =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
    (!host.is_empty() && is_port).then_some(host)
}

/// RFC 3986 §2, and nothing else.
fn is_uri_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_absolute_and_without_fragment() {
        for (text, expected) in [
            ("https://app.example/callback", None),
            ("https://app.example:8443/a?b=c", None),
            ("https://app.example", None),
            ("http://127.0.0.1:5000/callback", None),
            ("http://127.0.0.1/callback", None),
            ("http://[::1]:5000/callback", None),
            ("com.example.app:/callback", None),
            ("com.example.app://callback", None),
            ("", Some(RedirectUriError::Relative)),
            ("/callback", Some(RedirectUriError::Relative)),
            ("//app.example/callback", Some(RedirectUriError::Relative)),
            ("https://", Some(RedirectUriError::Relative)),
            ("https:///callback", Some(RedirectUriError::Relative)),
            ("https://:443/callback", Some(RedirectUriError::Relative)),
            ("https://app.example:port/", Some(RedirectUriError::Relative)),
            ("https://app.example:+443/", Some(RedirectUriError::Relative)),
            ("https://app.example:65536/", Some(RedirectUriError::Relative)),
            ("https://[::1/callback", Some(RedirectUriError::Relative)),
            ("com.example.app:", Some(RedirectUriError::Relative)),
            ("https://app.example/#a", Some(RedirectUriError::Fragment)),
            ("https://app.example/a#", Some(RedirectUriError::Fragment)),
            ("https://user@app.example/", Some(RedirectUriError::UserInfo)),
            ("https://app.example\\@evil.test/", Some(RedirectUriError::Character)),
            ("https://app.example/ a", Some(RedirectUriError::Character)),
            ("https://app.example/\r\n", Some(RedirectUriError::Character)),
            ("https://app.example/\"><script>", Some(RedirectUriError::Character)),
            ("https://äpp.example/", Some(RedirectUriError::Character)),
            ("http://app.example/callback", Some(RedirectUriError::Scheme)),
            ("http://localhost:5000/callback", Some(RedirectUriError::Scheme)),
            ("http://127.0.0.1.evil.test/", Some(RedirectUriError::Scheme)),
            ("https:app.example", Some(RedirectUriError::Scheme)),
            ("HTTPS://app.example/", Some(RedirectUriError::Scheme)),
            ("javascript:alert(1)", Some(RedirectUriError::Scheme)),
            ("data:text/html,a", Some(RedirectUriError::Scheme)),
            ("myapp:/callback", Some(RedirectUriError::Scheme)),
        ] {
            let found = RedirectUri::parse(text);
            assert_eq!(found.as_ref().err(), expected.as_ref(), "{text}");
            assert!(found.is_err() || found.is_ok_and(|uri| uri.as_str() == text));
        }
        let long = |length: usize| format!("https://a.example/{}", "a".repeat(length - 18));
        assert!(RedirectUri::parse(&long(MAX_REDIRECT_URI_BYTES)).is_ok());
        let too_long = RedirectUri::parse(&long(MAX_REDIRECT_URI_BYTES + 1));
        assert_eq!(too_long, Err(RedirectUriError::TooLong));
    }
}
