//! Bodies of `application/x-www-form-urlencoded`, read strictly and within bounds.

use zeroize::Zeroizing;

use crate::{ErrorCode, OAuthError};

/// Longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 16_384;
/// Most parameters that one body may bring.
pub const MAX_PARAMETERS: usize = 64;
/// Longest value, in bytes after decoding.
pub const MAX_VALUE_BYTES: usize = 4096;

/// A body in its parameters. Values may be secrets, so they are wiped when the form goes.
pub struct Form {
    parameters: Vec<(Zeroizing<String>, Zeroizing<String>)>,
}

/// Why a body was refused: the client's fault, and a retry does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Above [`MAX_BODY_BYTES`], [`MAX_PARAMETERS`] or [`MAX_VALUE_BYTES`].
    #[error("The request is too large")]
    TooLarge,
    /// Not the form encoding, or not UTF-8.
    #[error("The request body is not properly form-encoded")]
    Encoding,
    /// RFC 6749 §3.2: parameters must not be included more than once.
    #[error("A parameter is repeated")]
    Repeated,
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge => {
                Self::new(ErrorCode::RequestTooLarge, "The request is too large")
            }
            FormError::Encoding => Self::new(
                ErrorCode::InvalidRequest,
                "The request body is not properly form-encoded",
            ),
            FormError::Repeated => Self::new(ErrorCode::InvalidRequest, "A parameter is repeated"),
        }
    }
}

impl Form {
    /// Reads a body. Parameters that nobody asks for are kept and ignored (RFC 6749 §3.2), but
    /// they too may not be repeated: what one reader ignores, another may honour.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(FormError::TooLarge);
        }
        let mut parameters: Vec<(Zeroizing<String>, Zeroizing<String>)> = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() >= MAX_PARAMETERS {
                return Err(FormError::TooLarge);
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default()).ok_or(FormError::Encoding)?;
            let value = decode(halves.next().unwrap_or_default()).ok_or(FormError::Encoding)?;
            if name.len() > MAX_VALUE_BYTES || value.len() > MAX_VALUE_BYTES {
                return Err(FormError::TooLarge);
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(FormError::Repeated);
            }
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// A parameter's value; one without a value counts as omitted (RFC 6749 §3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// Decodes one name or value; none on a broken escape, on a byte that the encoding never
/// leaves as it is, and on what is not UTF-8 afterwards.
pub(crate) fn decode(part: &[u8]) -> Option<Zeroizing<String>> {
    // Full capacity from the start: a buffer that grows leaves copies of secrets behind.
    let mut out = Zeroizing::new(Vec::with_capacity(part.len()));
    let mut bytes = part.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            0x21..=0x7e => byte,
            _ => return None,
        });
    }
    core::str::from_utf8(&out).ok().map(|text| Zeroizing::new(text.to_owned()))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(body: &str, name: &str) -> Result<Option<String>, FormError> {
        Form::parse(body.as_bytes()).map(|form| form.get(name).map(str::to_owned))
    }

    #[test]
    fn forms_are_read_by_the_letter() {
        for (body, expected) in [
            ("", Ok(None)),
            ("a=1", Ok(Some("1"))),
            ("b=2&a=1", Ok(Some("1"))),
            ("&&a=1&", Ok(Some("1"))),
            ("a=", Ok(None)),
            ("a", Ok(None)),
            ("a=x+y%20z", Ok(Some("x y z"))),
            ("a=%C3%A9", Ok(Some("é"))),
            ("a=1=2", Ok(Some("1=2"))),
            ("%61=1", Ok(Some("1"))),
            ("a=1&a=1", Err(FormError::Repeated)),
            ("a=1&%61=2", Err(FormError::Repeated)),
            ("a=&a=1", Err(FormError::Repeated)),
            ("x=1&x=2&a=1", Err(FormError::Repeated)),
            ("a=%", Err(FormError::Encoding)),
            ("a=%4", Err(FormError::Encoding)),
            ("a=%zz", Err(FormError::Encoding)),
            ("a=%ff", Err(FormError::Encoding)),
            ("a=b c", Err(FormError::Encoding)),
            ("a=é", Err(FormError::Encoding)),
            ("a=1\r\n", Err(FormError::Encoding)),
        ] {
            assert_eq!(get(body, "a"), expected.map(|e| e.map(str::to_owned)), "{body:?}");
        }
    }

    #[test]
    fn everything_has_a_bound() {
        let value = |length: usize| format!("a={}", "x".repeat(length));
        assert!(get(&value(MAX_VALUE_BYTES), "a").is_ok());
        assert_eq!(get(&value(MAX_VALUE_BYTES + 1), "a"), Err(FormError::TooLarge));
        assert_eq!(get(&value(MAX_BODY_BYTES), "a"), Err(FormError::TooLarge));
        let many =
            |count: usize| (0..count).map(|at| format!("p{at}=1")).collect::<Vec<_>>().join("&");
        assert!(get(&many(MAX_PARAMETERS), "a").is_ok());
        assert_eq!(get(&many(MAX_PARAMETERS + 1), "a"), Err(FormError::TooLarge));
    }

    proptest! {
        /// Whatever arrives is read or refused, and what is read stays within the bounds.
        #[test]
        fn hostile_bodies_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(form) = Form::parse(&body) {
                prop_assert!(form.parameters.len() <= MAX_PARAMETERS);
            }
        }

        /// Escaping every byte and reading it again changes nothing.
        #[test]
        fn escapes_are_undone(text in "\\PC{0,40}") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let decoded = decode(escaped.as_bytes()).map(|text| text.as_str().to_owned());
            prop_assert_eq!(decoded, Some(text));
        }
    }
}
