//! Bodies of `application/x-www-form-urlencoded`, read strictly and within bounds.

use postern_jose::MAX_TOKEN_BYTES;
use postern_request::headers::Single;
use postern_request::token_places::is_unreserved;
use zeroize::Zeroizing;

use crate::{ErrorCode, OAuthError};

/// Longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 16_384;
/// Most parameters that one body may bring.
pub const MAX_PARAMETERS: usize = 64;
/// Longest body of an exchange of tokens (RFC 8693), which brings two of them.
pub const MAX_EXCHANGE_BYTES: usize = 65_536;
/// Longest value, in bytes after decoding, but for those of [`TOKENS`].
pub const MAX_VALUE_BYTES: usize = 4096;

/// Parameters that may be there more than once: the resources of RFC 8707 §2 and the audiences of
/// RFC 8693 §2.1.
pub const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Parameters that are tokens, which may be as long as any that is looked at.
const TOKENS: [&str; 3] = ["token", "subject_token", "actor_token"];

/// With what most senders of such a body have overlooked.
const NOT_ENCODED: &str = "The request body is not properly form-encoded: write a space as + or \
                           %20, and a percent sign as %25";

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
    #[error("{}", NOT_ENCODED)]
    Encoding,
    /// RFC 6749 §3.2: parameters must not be included more than once, but for [`REPEATABLE`].
    #[error("A parameter is repeated")]
    Repeated,
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge => {
                Self::new(ErrorCode::RequestTooLarge, "The request is too large")
            }
            FormError::Encoding => Self::new(ErrorCode::InvalidRequest, NOT_ENCODED),
            FormError::Repeated => Self::new(ErrorCode::InvalidRequest, "A parameter is repeated"),
        }
    }
}

impl Form {
    /// Reads the body of a request that has to be a form.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(content_type: Single<'_>, body: &[u8]) -> Result<Self, OAuthError> {
        Self::read_within(content_type, body, MAX_BODY_BYTES)
    }

    /// As [`Form::read`], up to another length.
    pub(crate) fn read_within(
        content_type: Single<'_>,
        body: &[u8],
        most: usize,
    ) -> Result<Self, OAuthError> {
        if !content_type.one().is_some_and(is_form) {
            return Err(OAuthError::invalid_request(
                "The content type must be application/x-www-form-urlencoded",
            ));
        }
        Ok(Self::parse_within(body, most)?)
    }

    /// Reads a body, or the query of a URL. Parameters that nobody asks for are kept and ignored
    /// (RFC 6749 §3.2), but they too may not be repeated: what one reader ignores, another may
    /// honour.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        Self::parse_within(body, MAX_BODY_BYTES)
    }

    fn parse_within(body: &[u8], most: usize) -> Result<Self, FormError> {
        if body.len() > most {
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
            let longest = match TOKENS.contains(&name.as_str()) {
                true => MAX_TOKEN_BYTES,
                false => MAX_VALUE_BYTES,
            };
            if name.len() > MAX_VALUE_BYTES || value.len() > longest {
                return Err(FormError::TooLarge);
            }
            let may_repeat = REPEATABLE.contains(&name.as_str());
            if !may_repeat && parameters.iter().any(|(known, _)| *known == name) {
                return Err(FormError::Repeated);
            }
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// A parameter's value; one without a value counts as omitted (RFC 6749 §3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter that may be there more than once.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.parameters
            .iter()
            .filter(move |(known, value)| known.as_str() == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Whether a content type is the form encoding, with or without parameters.
fn is_form(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Appends a pair, separated from what is there. Everything but unreserved characters (RFC 3986
/// §2.3) is escaped, which every reader of queries and forms undoes alike.
pub(crate) fn push_pair(out: &mut String, separator: &str, name: &str, value: &str) {
    out.push_str(separator);
    escape(out, name);
    out.push('=');
    escape(out, value);
}

fn escape(out: &mut String, text: &str) {
    let digit =
        |nibble: u8| char::from_digit(u32::from(nibble), 16).map(|d| d.to_ascii_uppercase());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([digit(byte >> 4), digit(byte & 0xf)].into_iter().flatten());
        }
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
            ("resource=b&resource=c&a=1", Ok(Some("1"))),
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
    fn who_sends_a_space_is_told_how_it_is_written() {
        let fault = Form::parse(b"scope=a b").map(|_| ()).unwrap_err();
        let told = OAuthError::from(fault).description;
        assert!(told.contains("%20") && told == fault.to_string(), "{told}");
        // RFC 6749 §5.2: characters that a description may have.
        assert!(told.bytes().all(|b| (0x20..=0x7e).contains(&b) && !b"\"\\".contains(&b)));
    }

    #[test]
    fn resources_may_be_named_more_than_once() {
        let form = Form::parse(b"resource=a&x=1&resource=&resource=b&resource=a").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(form.get("resource"), Some("a"));
        assert_eq!(form.all("audience").count(), 0);
    }

    #[test]
    fn the_content_type_must_say_form() {
        for (content_type, ok) in [
            (Single::One(b"application/x-www-form-urlencoded".as_slice()), true),
            (Single::One(b"Application/X-WWW-Form-Urlencoded; charset=UTF-8"), true),
            (Single::One(b"application/json"), false),
            (Single::One(b"application/x-www-form-urlencoded2"), false),
            (Single::One(b""), false),
            (Single::Absent, false),
            (Single::Repeated, false),
        ] {
            assert_eq!(Form::read(content_type, b"a=1").is_ok(), ok, "{content_type:?}");
        }
    }

    #[test]
    fn everything_has_a_bound() {
        let value = |length: usize| format!("a={}", "x".repeat(length));
        assert!(get(&value(MAX_VALUE_BYTES), "a").is_ok());
        assert_eq!(get(&value(MAX_VALUE_BYTES + 1), "a"), Err(FormError::TooLarge));
        assert_eq!(get(&value(MAX_BODY_BYTES), "a"), Err(FormError::TooLarge));
        let token = |length: usize| format!("token={}", "x".repeat(length));
        assert!(get(&token(MAX_VALUE_BYTES + 1), "token").is_ok(), "a token is longer");
        let exchange = format!("subject_{}", token(MAX_TOKEN_BYTES));
        assert_eq!(get(&exchange, "a"), Err(FormError::TooLarge), "but not everywhere");
        let within = |body: &str| Form::parse_within(body.as_bytes(), MAX_EXCHANGE_BYTES).is_ok();
        assert!(within(&exchange) && !within(&format!("{exchange}x")));
        assert!(!within(&value(MAX_VALUE_BYTES + 1)));
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

        /// What is written is read back, and needs nothing but unreserved characters.
        #[test]
        fn pairs_are_read_as_they_are_written(name in "\\PC{1,20}", value in "\\PC{1,40}") {
            let mut text = String::new();
            push_pair(&mut text, "", &name, &value);
            prop_assert!(text.bytes().all(|b| is_unreserved(b) || b == b'%' || b == b'='));
            let form = Form::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(form.get(&name), Some(value.as_str()));
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
