//! What somebody lets applications do.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{self as html, ConsentLine, ConsentsView, ScopeLine};
use postern_oauth::ScopeSet;

use super::super::csrf::FormName;
use super::super::visit::{Member, Visit};
use super::super::{Answered, Body, Pages};
use crate::login::Consented;

pub(super) const PATH: &str = "/login/account/consents";

/// The list.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Member { cookie, session } = visit.member(PATH).await?;
    match pages.login.consents_of(&session.user_id).await {
        Ok(consents) => Ok(list(&visit, cookie, &consents)),
        Err(error) => Err(visit.failed(&error)),
    }
}

/// Takes one back.
pub(super) async fn revoke(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Member { cookie, session } = visit.member(PATH).await?;
    let form = visit.form(body, FormName::Consents, cookie)?;
    let client_id = form.get("client").unwrap_or_default();
    match pages.login.revoke_consent(&session.user_id, client_id, visit.now).await {
        Ok(_) => Ok(visit.see_other(PATH)),
        Err(error) => Err(visit.failed(&error)),
    }
}

fn list(visit: &Visit<'_>, cookie: &[u8], consents: &[Consented]) -> Response {
    let rules = visit.pages.oauth.rules();
    let told: Vec<(Vec<(String, String)>, String)> = consents
        .iter()
        .map(|one| {
            let scopes = ScopeSet::from_names(one.consent.scopes.iter().map(String::as_str));
            // What was kept are scopes.
            let scopes = scopes.map(|scopes| rules.told(&scopes)).unwrap_or_default();
            (scopes, one.consent.granted_at.to_rfc3339())
        })
        .collect();
    let scopes: Vec<Vec<ScopeLine<'_>>> = told
        .iter()
        .map(|(scopes, _)| scopes.iter().map(|(name, text)| ScopeLine { name, text }).collect())
        .collect();
    let lines: Vec<ConsentLine<'_>> = consents
        .iter()
        .zip(&told)
        .zip(&scopes)
        .map(|((one, (_, since)), scopes)| ConsentLine {
            client_id: &one.consent.client_id,
            client_name: &one.client_name,
            scopes,
            since,
        })
        .collect();
    let csrf = visit.token(cookie, FormName::Consents);
    let view = ConsentsView { action: PATH, csrf: &csrf, consents: &lines };
    visit.page(html::consents(&view, &visit.look()))
}
