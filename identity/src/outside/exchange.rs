//! A code for tokens (OpenID Connect Core §3.1.3).

use postern_document::OutsideProvider;
use postern_oauth::Secret;
use postern_request::json::{self, Value};
use zeroize::Zeroizing;

use super::OutsideError;
use super::metadata::{ClientMethod, Metadata};
use crate::oauth::escaped;
use crate::ports::{FormAnswer, Outbound};

/// Longest word for an error that goes to the log, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// What a provider gives for a code.
pub(super) struct Tokens {
    /// Who somebody is.
    pub(super) id_token: Secret,
    /// Opens what the provider says besides.
    pub(super) access_token: Option<Secret>,
}

/// A code, and what shows that it was meant for this browser.
pub(super) struct Code<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: &'a Secret,
}

/// Exchanges a code.
///
/// # Errors
/// [`OutsideError::Away`] and [`OutsideError::Answer`].
pub(super) async fn exchange(
    outbound: &dyn Outbound,
    metadata: &Metadata,
    provider: &OutsideProvider,
    secret: &Secret,
    code: &Code<'_>,
) -> Result<Tokens, OutsideError> {
    let mut form = String::with_capacity(1024);
    let mut pair = |name: &str, value: &str| {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        escaped(&mut form, value);
    };
    pair("grant_type", "authorization_code");
    pair("code", code.code);
    pair("redirect_uri", code.redirect_uri);
    pair("code_verifier", code.verifier.expose());
    // RFC 6749 §2.3.1: both are escaped before they become a name and a password.
    let (mut id, mut password) = (String::new(), Zeroizing::new(String::new()));
    let basic = match metadata.method {
        ClientMethod::Basic => {
            escaped(&mut id, &provider.client_id);
            escaped(&mut password, secret.expose());
            Some((id.as_str(), password.as_str()))
        }
        ClientMethod::Post => {
            pair("client_id", &provider.client_id);
            pair("client_secret", secret.expose());
            None
        }
    };
    let answer = outbound.post_form(&metadata.token, basic, form).await;
    read(&answer.map_err(OutsideError::Away)?, &provider.name)
}

fn read(answer: &FormAnswer, provider: &str) -> Result<Tokens, OutsideError> {
    let value = json::parse(&answer.body).ok();
    let text = |name: &str| value.as_ref()?.get(name)?.as_str();
    if answer.status != 200 {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let word = text("error").filter(|word| word.bytes().all(is_word));
        let word = word.filter(|word| word.len() <= MAX_WORD_BYTES).unwrap_or_default();
        tracing::warn!(provider, status = answer.status, word, "a provider takes no code");
        return Err(OutsideError::Answer("the code was not taken"));
    }
    // RFC 6749 §7.1: a token of a kind that is not known here is not used. One that does not say
    // its kind is of the only one that there may be (OpenID Connect Core §3.1.3.3).
    let is_bearer =
        |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if value.as_ref().and_then(|value| value.get("token_type")).is_some_and(|kind| !is_bearer(kind))
    {
        return Err(OutsideError::Answer("its access token is of a kind that is not known"));
    }
    let secret = |name: &str| text(name).map(|text| Secret::new(text.to_owned()));
    let Some(id_token) = secret("id_token") else {
        return Err(OutsideError::Answer("there is no ID token"));
    };
    Ok(Tokens { id_token, access_token: secret("access_token") })
}

/// A claim that has to be a text.
pub(super) fn text_of<'v>(claims: &'v Value, name: &str) -> Option<&'v str> {
    claims.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_no_answer_with_an_id_token_is_refused() {
        let answer = |status, body: &str| {
            let answer = FormAnswer { status, body: body.as_bytes().to_vec() };
            read(&answer, "corp").map(|tokens| tokens.access_token.is_some())
        };
        assert_eq!(answer(200, r#"{"id_token":"a.b.c","access_token":"d"}"#), Ok(true));
        assert_eq!(answer(200, r#"{"id_token":"a.b.c"}"#), Ok(false));
        // Members that nobody knows are ignored (RFC 6749 §5.1), and kinds have no case.
        let more = r#"{"id_token":"a.b.c","access_token":"d","token_type":"bearer","x":{"y":1}}"#;
        assert_eq!(answer(200, more), Ok(true));
        for (status, body) in [
            (201, r#"{"id_token":"a.b.c"}"#),
            (400, r#"{"error":"invalid_grant","id_token":"a.b.c"}"#),
            (401, r#"{"error":"a secret that somebody repeats"}"#),
            (200, r#"{"access_token":"d"}"#),
            (200, r#"{"id_token":7}"#),
            (200, r#"{"id_token":"a.b.c","access_token":"d","token_type":"DPoP"}"#),
            (200, r#"{"id_token":"a.b.c","access_token":"d","token_type":["Bearer"]}"#),
            (200, r#"{"id_token":"a","id_token":"b"}"#),
            (200, "id_token=a.b.c"),
            (200, ""),
        ] {
            assert!(matches!(answer(status, body), Err(OutsideError::Answer(_))), "{body}");
        }
    }
}
