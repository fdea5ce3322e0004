//! Sentences that hold for every request.

use super::*;
use crate::fixtures::{ISSUER, session};
use crate::{IDENTITY_SCOPES, RedirectUriError, ScopeSet, Secret};
use proptest::prelude::*;

/// Pieces of which queries are made that come near to something.
fn piece() -> impl Strategy<Value = String> {
    let near = prop::sample::select(vec![
        "client_id=web",
        "client_id=other",
        "response_type=code",
        "response_type=token",
        "redirect_uri=https://app.example/callback",
        "redirect_uri=https://app.example/callback%0d%0a",
        "redirect_uri=https://app.example.evil.test/callback",
        "redirect_uri=https://evil.test/callback",
        "redirect_uri=//evil.test",
        "redirect_uri=javascript:alert(1)",
        "redirect_uri=",
        "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method=S256",
        "request_uri=urn:ietf:params:oauth:request_uri:x",
        "request_uri=https://evil.test",
        "resource=https://api.example",
        "state=%0d%0aa",
        "scope=openid+read",
        "scope=%22",
        "prompt=none",
        "max_age=1",
        "dpop_jkt=a",
    ]);
    prop_oneof![
        8 => near.prop_map(str::to_owned),
        1 => "[a-z_]{1,8}=[ -~]{0,12}",
        1 => "\\PC{0,12}",
    ]
}

fn names() -> impl Strategy<Value = ScopeSet> {
    let all = ["openid", "email", "offline_access", "read", "write", "admin", "other"];
    prop::sample::subsequence(all.to_vec(), 0..=all.len())
        .prop_map(|names| ScopeSet::from_names(names).unwrap())
}

fn may_be_answered_at(client: &Client, uri: &str) -> bool {
    client.redirect_uris.iter().any(|registered| registered.matches(uri))
}

proptest! {
    /// Whatever a browser brings, nothing is ever sent to a place that is not registered.
    #[test]
    fn nothing_goes_to_an_unverified_uri(pieces in prop::collection::vec(piece(), 0..9)) {
        let client = fixtures::confidential();
        match read_as(&pieces.join("&"), Some(&client), &fixtures::rules()) {
            Ok(Ok(request)) => {
                prop_assert!(may_be_answered_at(&client, &request.redirect_uri));
                prop_assert_eq!(request.client_id, "web");
                prop_assert!(request.challenge.is_some());
            }
            Ok(Err(refused)) => {
                prop_assert!(may_be_answered_at(&client, &refused.redirect_uri));
                prop_assert!(failure(&refused, ISSUER).starts_with(CALLBACK));
                // RFC 6749 §4.1.2.1: what a description may consist of.
                let may = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
                prop_assert!(refused.error.description.bytes().all(may));
            }
            Err(_) => {}
        }
    }

    /// The same for any bytes.
    #[test]
    fn hostile_queries_are_read_or_refused(query in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(form) = Form::parse(&query)
            && let Ok(received) = Received::parse(&form)
        {
            let again = received.to_query();
            let form = Form::parse(again.as_bytes()).unwrap();
            prop_assert_eq!(Received::parse(&form).unwrap().to_query(), again);
        }
    }

    /// Answers begin with the registered place, parse back, and hold no character that could end
    /// a header.
    #[test]
    fn answers_are_read_as_they_are_written(
        path in "[a-z/?&=%20]{0,20}",
        code in "[A-Za-z0-9_-]{1,43}",
        state in prop::option::of("\\PC{1,40}"),
    ) {
        let uri: Result<RedirectUri, RedirectUriError> =
            RedirectUri::parse(&format!("https://app.example/{path}"));
        let uri = uri.unwrap();
        let code = Secret::new(code);
        let refused = AuthorizeError {
            error: crate::OAuthError::invalid_target(),
            redirect_uri: uri.as_str().to_owned(),
            state: state.clone(),
        };
        let answers = [
            (success(uri.as_str(), &code, state.as_deref(), ISSUER), "code", code.expose()),
            (failure(&refused, ISSUER), "error", "invalid_target"),
        ];
        for (to, name, value) in answers {
            let added = to.strip_prefix(uri.as_str()).unwrap().trim_start_matches(['?', '&']);
            prop_assert!(to.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
            let told = Form::parse(added.as_bytes()).unwrap();
            prop_assert_eq!(told.get(name), Some(value));
            prop_assert_eq!(told.get("state"), state.as_deref());
            prop_assert_eq!(told.get("iss"), Some(ISSUER));
        }
    }

    /// Nobody gets a scope that was not asked for, or that client, document, user or consent
    /// does not allow.
    #[test]
    fn granted_scopes_are_within_all_that_limit_them(
        asked in prop::option::of(names()),
        clients in names(),
        documents in names(),
        users in names(),
        agreed in prop::option::of(names()),
        just_consented in any::<bool>(),
        require_consent in any::<bool>(),
    ) {
        let client = Client { scopes: clients, require_consent, ..fixtures::confidential() };
        let server = ServerRules { scopes: documents, ..fixtures::rules() };
        let mut request = read(BASE).unwrap().unwrap();
        request.scopes = asked.clone();
        let session = SessionFacts { role_scopes: users.clone(), ..session() };
        let resources = Vec::new();
        let consented = agreed.clone().map(|scopes| Consented { scopes, resources });
        let browser =
            Browser { session: Some(session), consented, just_consented, ..Browser::default() };
        if let Next::Issue(grant) = decide(&request, &client, &server, &browser, NOW) {
            let granted = &grant.scopes;
            prop_assert!(granted.is_within(&client.scopes));
            prop_assert!(asked.is_none_or(|asked| granted.is_within(&asked)));
            let others = granted.filtered(|name| !IDENTITY_SCOPES.contains(&name));
            prop_assert!(others.is_within(&server.scopes));
            prop_assert!(others.is_within(&users));
            prop_assert!(!require_consent || agreed.is_some_and(|all| granted.is_within(&all)));
        }
    }
}
