//! How a client says who it is (RFC 6749 §2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_request::headers::Single;
use zeroize::Zeroizing;

use crate::form::{self, Form, MAX_BODY_BYTES};
use crate::{AuthMethod, ErrorCode, OAuthError, Secret};

/// Longest client id, in bytes.
const MAX_CLIENT_ID_BYTES: usize = 255;

/// Who the client says it is; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthentication {
    /// `client_id`
    pub client_id: String,
    /// What it presented as its secret.
    pub secret: Option<Secret>,
    /// How it proves it.
    pub method: AuthMethod,
}

impl ClientAuthentication {
    /// Reads the credentials of a request.
    ///
    /// # Errors
    /// `invalid_client` when there are none or they cannot be read, `invalid_request` when
    /// there are more than one kind (RFC 6749 §2.3).
    pub fn parse(authorization: Single<'_>, form: &Form) -> Result<Self, OAuthError> {
        let in_body = form.get("client_id");
        let authentication = match authorization {
            Single::Repeated => return Err(ambiguous()),
            Single::One(value) => {
                let (client_id, secret) = basic(value).ok_or(OAuthError::invalid_client())?;
                let same = in_body.is_none_or(|other| other == client_id.as_str());
                if !same || form.get("client_secret").is_some() {
                    return Err(ambiguous());
                }
                Self {
                    client_id: client_id.as_str().to_owned(),
                    secret: Some(Secret::new(secret.as_str().to_owned())),
                    method: AuthMethod::Basic,
                }
            }
            Single::Absent => {
                let secret = form.get("client_secret").map(|text| Secret::new(text.to_owned()));
                Self {
                    client_id: in_body.ok_or(OAuthError::invalid_client())?.to_owned(),
                    method: match secret {
                        Some(_) => AuthMethod::Post,
                        None => AuthMethod::None,
                    },
                    secret,
                }
            }
        };
        let readable = |text: &str| text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        let fits = authentication.client_id.len() <= MAX_CLIENT_ID_BYTES
            && readable(&authentication.client_id)
            && authentication.secret.as_ref().is_none_or(|secret| readable(secret.expose()));
        if fits { Ok(authentication) } else { Err(OAuthError::invalid_client()) }
    }
}

const fn ambiguous() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "More than one client authentication was presented")
}

/// Id and secret of a Basic header: each form-encoded, joined by a colon, all in base64
/// (RFC 6749 §2.3.1, RFC 7617). None for every other scheme.
fn basic(header: &[u8]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    if header.len() > MAX_BODY_BYTES {
        return None;
    }
    let (scheme, rest) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
    let mut halves = decoded.splitn(2, |byte| *byte == b':');
    let id = form::decode(halves.next()?)?;
    let secret = form::decode(halves.next()?)?;
    (!id.is_empty() && !secret.is_empty()).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: Option<&str>, body: &str) -> Result<ClientAuthentication, ErrorCode> {
        let form = Form::parse(body.as_bytes()).unwrap();
        let authorization = header.map_or(Single::Absent, |text| Single::One(text.as_bytes()));
        ClientAuthentication::parse(authorization, &form).map_err(|error| error.code)
    }

    fn header(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn one_way_of_authenticating_and_never_two() {
        use AuthMethod::{Basic, None as Nothing, Post};
        let basic = header("web:s3cret");
        let post = "client_id=web&client_secret=s3cret";
        for (authorization, body, expected) in [
            (Some(basic.as_str()), "", Ok((Basic, Some("s3cret")))),
            (Some(basic.as_str()), "client_id=web", Ok((Basic, Some("s3cret")))),
            (Some(basic.as_str()), "client_id=other", Err(ErrorCode::InvalidRequest)),
            (Some(basic.as_str()), post, Err(ErrorCode::InvalidRequest)),
            (Some("Bearer x"), post, Err(ErrorCode::InvalidClient)),
            (None, post, Ok((Post, Some("s3cret")))),
            (None, "client_id=web", Ok((Nothing, None))),
            (None, "client_id=web&client_secret=", Ok((Nothing, None))),
            (None, "client_secret=s3cret", Err(ErrorCode::InvalidClient)),
            (None, "", Err(ErrorCode::InvalidClient)),
            (None, "client_id=we%0Ab", Err(ErrorCode::InvalidClient)),
            (None, "client_id=w%C3%A9b", Err(ErrorCode::InvalidClient)),
        ] {
            let found = parse(authorization, body);
            let seen = found.as_ref().map(|found| {
                assert_eq!(found.client_id, "web");
                (found.method, found.secret.as_ref().map(Secret::expose))
            });
            assert_eq!(seen.map_err(|code| *code), expected, "{authorization:?} {body}");
        }
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        for (credentials, expected) in [
            ("a%3Ab:p+q%25", Some(("a:b", "p q%"))),
            ("a:b:c", Some(("a", "b:c"))),
            ("a", None),
            (":b", None),
            ("a:", None),
            ("a:%zz", None),
            ("a:b c", None),
        ] {
            let found = parse(Some(&header(credentials)), "").ok();
            let seen = found.as_ref().map(|found| {
                (found.client_id.as_str(), found.secret.as_ref().map_or("", Secret::expose))
            });
            assert_eq!(seen, expected, "{credentials}");
        }
        for bad in ["Basic", "Basic ", "Basic !", "Basic YTpi=", "Digest YTpi", "basic\tYTpi"] {
            assert_eq!(parse(Some(bad), ""), Err(ErrorCode::InvalidClient), "{bad}");
        }
        assert!(parse(Some("bAsIc  YTpi "), "").is_ok(), "the scheme has no case");
    }

    #[test]
    fn a_repeated_header_is_refused() {
        let form = Form::parse(b"client_id=web").unwrap();
        let error = ClientAuthentication::parse(Single::Repeated, &form).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }
}
