//! What the log is told of authorization requests that are refused, be it by a redirect or by a
//! page: who asked for what, and where they would have been answered.

use postern_oauth::{AuthorizeFault, Form, MAX_QUERY_BYTES, OAuthError, Received};
use postern_request::UnixMillis;

use super::OAuthService;

/// Most characters of each of these.
const MAX_CHARS: usize = 200;

/// An authorization request, and what the log names it by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    /// As the browser brought it.
    pub(super) query: &'a [u8],
    /// The correlation id.
    pub(super) id: &'a str,
    /// When.
    pub(super) now: UnixMillis,
}

impl OAuthService {
    /// A request that gets no answer at the client.
    pub(crate) async fn note_fault(
        &self,
        query: &[u8],
        fault: AuthorizeFault,
        id: &str,
        now: UnixMillis,
    ) {
        self.note(Asking { query, id, now }, None, fault.reason()).await;
    }

    /// A request that is turned away.
    pub(super) async fn note_error(&self, asking: Asking<'_>, error: &OAuthError) {
        self.note(asking, Some(error.code.as_str()), error.reason()).await;
    }

    async fn note(&self, asking: Asking<'_>, code: Option<&'static str>, reason: &'static str) {
        let Asking { query, id, now } = asking;
        let query = Some(query).filter(|query| query.len() <= MAX_QUERY_BYTES);
        let form = query.and_then(|query| Form::parse(query).ok());
        let kept = match &form {
            Some(form) => self.kept_of(form, now).await,
            None => None,
        };
        // Of a request that was pushed the browser brings the name alone.
        let asked = |name: &str| kept.as_ref().or(form.as_ref())?.get(name).map(str::to_owned);
        let client = asked("client_id").map(|id| bounded(&id));
        let redirect_uri = asked("redirect_uri").map(|uri| bounded(&without_secrets(&uri)));
        let scopes = asked("scope").map(|scopes| bounded(&scopes));
        tracing::info!(
            code,
            reason,
            client = client.as_deref(),
            redirect_uri = redirect_uri.as_deref(),
            scopes = scopes.as_deref(),
            correlation_id = id,
            "an authorization request was refused"
        );
    }

    /// The parameters of the request that this one names, where it is kept for the same client.
    async fn kept_of(&self, form: &Form, now: UnixMillis) -> Option<Form> {
        let received = Received::parse(form).ok()?;
        let (kept, parameters) = self.kept(received.pushed()?, now).await.ok()?.ok()?;
        (kept.client_id == received.client_id()).then_some(parameters)
    }
}

/// A redirect URI without user, query and fragment.
fn without_secrets(uri: &str) -> String {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
        Some(parts) => parts,
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    [scheme, "://", host, path].concat()
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_redirect_uri_its_place_is_told() {
        for (uri, expected) in [
            ("https://app.example/cb?token=a#b", "https://app.example/cb"),
            ("https://user:secret@app.example:8443/cb", "https://app.example:8443/cb"),
            ("https://app.example?x=y", "https://app.example"),
            ("https://app.example#x@y/z", "https://app.example"),
            ("com.example.app:/cb?x=y", "com.example.app:/cb"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(uri), expected, "{uri}");
        }
        assert_eq!(bounded(&"é".repeat(300)).chars().count(), MAX_CHARS);
    }
}
