//! How a client says who it is (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2).
//!
//! [`ClientAuthentication::parse`] reads what it presents, the caller fetches the [`Client`] and
//! finds out what of [`Proof`] holds, [`authenticate`] decides.

mod assertion;
mod certificate;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_request::headers::Single;
use zeroize::Zeroizing;

use crate::form::{self, Form, MAX_BODY_BYTES, MAX_EXCHANGE_BYTES};
use crate::{AuthMethod, Client, ClientKind, OAuthError, Secret};

pub use assertion::{ASSERTION_TYPE, AssertionFacts, MAX_ASSERTION_SECS, assertion_claims};
pub use certificate::ShownCertificate;

/// Longest client id, in bytes.
pub const MAX_CLIENT_ID_BYTES: usize = 255;

/// Who the client says it is; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthentication {
    /// `client_id`
    pub client_id: String,
    presented: Presented,
    certificate: Option<ShownCertificate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Presented {
    Nothing,
    Secret(Secret),
    Assertion(Secret),
}

/// What the caller has to look at before [`authenticate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<'a> {
    /// Nothing.
    None,
    /// Whether it is the client's secret.
    Secret(&'a Secret),
    /// Whether a key of the client has signed it, [`assertion_claims`], and whether it was seen
    /// before.
    Assertion(&'a str),
    /// Whether it is the one that the client registered.
    Certificate(&'a ShownCertificate),
}

/// What the caller found out about a [`Proof`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The secret is the client's.
    pub secret_matches: bool,
    /// The assertion is signed by a key of the client, says what it must, and was not seen
    /// before.
    pub assertion: Option<AssertionFacts>,
    /// The certificate is the one that the client registered.
    pub certificate_matches: bool,
}

impl ClientAuthentication {
    /// Reads the credentials of a request that may be no good otherwise.
    ///
    /// # Errors
    /// Those of [`Form::read`] and [`ClientAuthentication::parse`].
    pub fn read(
        authorization: Single<'_>,
        content_type: Single<'_>,
        body: &[u8],
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let form = Form::read_within(content_type, body, MAX_EXCHANGE_BYTES)?;
        Self::parse(authorization, &form, certificate)
    }

    /// Reads the credentials of a form. A certificate is no credential beside another one: it
    /// may be there to bind tokens to it (RFC 8705 §3).
    ///
    /// # Errors
    /// `invalid_client` when there are none or they cannot be read, `invalid_request` when
    /// there are more than one kind (RFC 6749 §2.3).
    pub fn parse(
        authorization: Single<'_>,
        form: &Form,
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let id = form.get("client_id");
        let secret = form.get("client_secret").map(|text| Secret::new(text.to_owned()));
        let assertion = form.get("client_assertion");
        let header = match authorization {
            Single::Repeated => return Err(ambiguous()),
            Single::One(value) => Some(basic(value).ok_or(OAuthError::invalid_client())?),
            Single::Absent => None,
        };
        let (client_id, presented) = match (header, secret, assertion) {
            (Some((own, secret)), None, None) => {
                if id.is_some_and(|other| other != own.as_str()) {
                    return Err(ambiguous());
                }
                let secret = Secret::new(secret.as_str().to_owned());
                (own.as_str().to_owned(), Presented::Secret(secret))
            }
            (None, None, Some(assertion)) => {
                if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                    return Err(OAuthError::invalid_client());
                }
                let own = assertion::subject(assertion).ok_or(OAuthError::invalid_client())?;
                if id.is_some_and(|other| other != own) {
                    return Err(ambiguous());
                }
                (own, Presented::Assertion(Secret::new(assertion.to_owned())))
            }
            (None, secret, None) => {
                let id = id.ok_or(OAuthError::invalid_client())?;
                (id.to_owned(), secret.map_or(Presented::Nothing, Presented::Secret))
            }
            _ => return Err(ambiguous()),
        };
        let readable = |text: &str| text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        let fits = client_id.len() <= MAX_CLIENT_ID_BYTES
            && readable(&client_id)
            && match &presented {
                Presented::Nothing => true,
                Presented::Secret(text) | Presented::Assertion(text) => readable(text.expose()),
            };
        if fits {
            Ok(Self { client_id, presented, certificate: certificate.cloned() })
        } else {
            Err(OAuthError::invalid_client())
        }
    }

    /// What there is to look at.
    #[must_use]
    pub fn proof(&self) -> Proof<'_> {
        match (&self.presented, &self.certificate) {
            (Presented::Secret(secret), _) => Proof::Secret(secret),
            (Presented::Assertion(assertion), _) => Proof::Assertion(assertion.expose()),
            (Presented::Nothing, Some(certificate)) => Proof::Certificate(certificate),
            (Presented::Nothing, None) => Proof::None,
        }
    }

    /// The certificate of the connection, whether it is a proof or not.
    #[must_use]
    pub const fn certificate(&self) -> Option<&ShownCertificate> {
        self.certificate.as_ref()
    }
}

/// Decides who the client is, once it was looked up (none: there is no such client) and its
/// proof looked at.
///
/// The method must be the registered one, so that nobody can choose a weaker one. Whether a
/// secret comes in the header or in the body is no difference of that kind: it is one secret.
///
/// # Errors
/// `invalid_client`, whatever was wrong.
pub fn authenticate<'c>(
    presented: &ClientAuthentication,
    client: Option<&'c Client>,
    evidence: &Evidence,
) -> Result<&'c Client, OAuthError> {
    let client = client
        .filter(|client| client.is_active && client.client_id == presented.client_id)
        .ok_or(OAuthError::invalid_client())?;
    let is_confidential = client.kind == ClientKind::Confidential;
    let is_proven = match (client.auth_method, presented.proof()) {
        // A public client's id is all that there is; a certificate beside it proves nothing.
        (AuthMethod::None, Proof::None | Proof::Certificate(_)) => !is_confidential,
        (AuthMethod::Basic | AuthMethod::Post, Proof::Secret(_)) => {
            is_confidential && evidence.secret_matches
        }
        (AuthMethod::PrivateKeyJwt, Proof::Assertion(_)) => {
            is_confidential && evidence.assertion.is_some()
        }
        (AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTls, Proof::Certificate(_)) => {
            is_confidential && evidence.certificate_matches
        }
        _ => false,
    };
    if is_proven { Ok(client) } else { Err(OAuthError::invalid_client()) }
}

const fn ambiguous() -> OAuthError {
    OAuthError::invalid_request("More than one client authentication was presented")
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
mod tests;
