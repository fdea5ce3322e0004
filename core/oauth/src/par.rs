//! Pushed authorization requests (RFC 9126): a client sends its request here first, proves who it
//! is, and the browser brings a name for it. So nobody on the way can read or change it.

use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_request::json;

use crate::authorize::check_reach;
use crate::form::MAX_BODY_BYTES;
use crate::{
    AuthorizeFault, Client, ClientAuthentication, ErrorCode, Form, FormError, KeptRequest,
    OAuthError, PUSHED_SECS, Received, ServerRules, ShownCertificate,
};

/// A request of RFC 9126 §2.1.
pub struct PushedRequest {
    client: ClientAuthentication,
    form: Form,
}

impl PushedRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The first thing that is wrong with it. One that names another pushed request is refused
    /// (§2.1).
    pub fn parse(
        authorization: Single<'_>,
        content_type: Single<'_>,
        body: &[u8],
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let form = Form::read(content_type, body)?;
        let client = ClientAuthentication::parse(authorization, &form, certificate)?;
        if form.get("request_uri").is_some() {
            return Err(OAuthError::invalid_request("The parameter request_uri cannot be pushed"));
        }
        Ok(Self { client, form })
    }

    /// Who the client says it is.
    #[must_use]
    pub const fn client(&self) -> &ClientAuthentication {
        &self.client
    }

    /// Decides, for a client that has shown who it is, and says what to keep. `key` is that of the
    /// request's proof: the code will be bound to it (RFC 9449 §10.1).
    ///
    /// # Errors
    /// All that the authorization endpoint would say of the request without its user: the client
    /// is told here, where nobody else sees it.
    pub fn decide(
        &self,
        client: &Client,
        key: Option<[u8; 32]>,
        server: &ServerRules,
        now: UnixMillis,
    ) -> Result<KeptRequest, OAuthError> {
        let received = Received::parse(&self.form).map_err(told)?;
        let kept = KeptRequest {
            client_id: client.client_id.clone(),
            parameters: received.to_query(),
            is_pushed: true,
            dpop_jkt: key,
            kept_at: now,
            is_opened: false,
        };
        // Written in full, a request is longer than it may have come; what is kept is read again.
        if kept.parameters.len() > MAX_BODY_BYTES {
            return Err(FormError::TooLarge.into());
        }
        let whole = received.resume(&kept, &self.form).map_err(told)?;
        let verified = whole.verify(Some(client)).map_err(told)?;
        let request = verified.read(server).map_err(|refused| refused.error)?;
        check_reach(&request, client)?;
        Ok(kept)
    }
}

/// Where the user would be told, the client is.
fn told(fault: AuthorizeFault) -> OAuthError {
    match fault {
        AuthorizeFault::TooLarge => FormError::TooLarge.into(),
        AuthorizeFault::RedirectUri => OAuthError::new(
            ErrorCode::InvalidRequest,
            "The redirect URI is missing, or is not registered for this client",
        ),
        AuthorizeFault::UnknownClient => OAuthError::invalid_request(
            "The parameter client_id is missing, or is not the client's",
        ),
        AuthorizeFault::Unreadable | AuthorizeFault::UnknownRequest => {
            OAuthError::invalid_request("The request cannot be read")
        }
    }
}

/// The answer (§2.2), with status 201.
#[must_use]
pub fn pushed(request_uri: &str) -> String {
    let mut body = String::from("{\"request_uri\":");
    json::write_string(&mut body, request_uri);
    body.push_str(",\"expires_in\":");
    body.push_str(&PUSHED_SECS.to_string());
    body.push('}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, CHALLENGE, NOW};

    const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");
    const BASE: &str = "response_type=code&client_id=web&client_secret=s3cret&\
                        redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&\
                        code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&\
                        code_challenge_method=S256&state=xyz";

    fn push(body: &str, client: &Client) -> Result<KeptRequest, ErrorCode> {
        push_with(body, client, None)
    }

    fn push_with(
        body: &str,
        client: &Client,
        key: Option<[u8; 32]>,
    ) -> Result<KeptRequest, ErrorCode> {
        let read = PushedRequest::parse(Single::Absent, FORM, body.as_bytes(), None);
        let decided = read.and_then(|read| read.decide(client, key, &fixtures::rules(), NOW));
        decided.map_err(|error| error.code)
    }

    #[test]
    fn a_request_is_kept_without_what_proves_its_client() {
        let kept = push(BASE, &fixtures::confidential()).unwrap();
        assert_eq!((kept.client_id.as_str(), kept.is_pushed, kept.kept_at), ("web", true, NOW));
        assert!(!kept.parameters.contains("s3cret"), "{}", kept.parameters);
        assert!(kept.parameters.contains("state=xyz"), "{}", kept.parameters);
        assert_eq!(KeptRequest::decode(&kept.encode()), Some(kept));
    }

    #[test]
    fn what_would_be_refused_is_refused_at_once() {
        use ErrorCode::{
            InvalidClient, InvalidRequest, InvalidScope, InvalidTarget, RequestNotSupported,
            RequestTooLarge, UnauthorizedClient, UnmetAuthenticationRequirements,
            UnsupportedResponseType,
        };
        let client = fixtures::confidential();
        let reference = "urn:ietf:params:oauth:request_uri:abc";
        for (body, expected) in [
            (format!("{BASE}&scope=read"), None),
            (format!("{BASE}&request_uri={reference}"), Some(InvalidRequest)),
            (format!("{BASE}&request_uri=https://web.example/r"), Some(InvalidRequest)),
            (format!("{BASE}&request=e30.e30."), Some(RequestNotSupported)),
            (format!("{BASE}&scope=admin"), Some(InvalidScope)),
            (format!("{BASE}&acr_values=urn:other"), Some(UnmetAuthenticationRequirements)),
            (format!("{BASE}&resource=https://unknown.example"), Some(InvalidTarget)),
            (BASE.replace("app.example", "evil.test"), Some(InvalidRequest)),
            (
                BASE.replace("response_type=code", "response_type=token"),
                Some(UnsupportedResponseType),
            ),
            (BASE.replace("S256", "plain"), Some(InvalidRequest)),
            (BASE.replace("client_id=web&", ""), Some(InvalidClient)),
            (format!("{BASE}&state=abc"), Some(InvalidRequest)),
            (format!("{BASE}&x={}", "y".repeat(20_000)), Some(RequestTooLarge)),
            (BASE.replace("xyz", &"y".repeat(2000)), Some(RequestTooLarge)),
        ] {
            assert_eq!(push(&body, &client).err(), expected, "{body:.120}");
        }
        let without = Client { grant_types: Vec::new(), ..client.clone() };
        assert_eq!(push(BASE, &without), Err(UnauthorizedClient));
        let other = Client { client_id: "other".to_owned(), ..client };
        assert_eq!(push(BASE, &other), Err(InvalidRequest), "another one's name");
    }

    #[test]
    fn a_key_that_is_named_is_the_proofs() {
        let client = fixtures::confidential();
        let named = format!("{BASE}&dpop_jkt={CHALLENGE}");
        assert!(push_with(&named, &client, None).is_ok());
        assert_eq!(push_with(&named, &client, Some([7; 32])), Err(ErrorCode::InvalidRequest));
        let kept = push_with(BASE, &client, Some([7; 32])).unwrap();
        assert_eq!(kept.dpop_jkt, Some([7; 32]));
    }

    #[test]
    fn the_answer_names_the_request_and_its_end() {
        assert_eq!(pushed("urn:a"), r#"{"request_uri":"urn:a","expires_in":60}"#);
    }

    #[test]
    fn where_every_request_must_be_pushed_pushing_is_what_is_needed() {
        let client = Client { require_par: true, ..fixtures::confidential() };
        let strict = ServerRules { require_par: true, ..fixtures::rules() };
        let read = PushedRequest::parse(Single::Absent, FORM, BASE.as_bytes(), None).unwrap();
        assert!(read.decide(&client, None, &strict, NOW).is_ok());
    }
}
