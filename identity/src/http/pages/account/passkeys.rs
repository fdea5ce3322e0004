//! The passkeys of somebody: a list, and the script that makes another one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use postern_identity_pages::{self as html, Ceremony, ErrorKind, PasskeysView, Problem};
use postern_store::durable::FactorKind;

use super::super::csrf::FormName;
use super::super::passkeys::{MAKE_FINISH_PATH, MAKE_OPTIONS_PATH};
use super::super::visit::Visit;
use super::super::{Answered, Body, Pages};
use super::{Listed, Owner, factors, owner, owner_of_form};
use crate::login::Removal;

pub(in super::super) const PATH: &str = "/login/account/passkeys";

/// The list.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    if !pages.login.has_passkeys() {
        return Err(visit.error(ErrorKind::NotFound));
    }
    list(&visit, &owner(&visit, PATH).await?, None).await
}

/// Takes one away.
pub(super) async fn remove(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (owner, form) = owner_of_form(&visit, PATH, body, FormName::Factors).await?;
    let id = form.get("remove").unwrap_or_default();
    match pages.login.remove_factor(&owner.user, id, visit.now).await {
        Ok(Removal::Done | Removal::Unknown) => Ok(visit.see_other(PATH)),
        Ok(Removal::Last) => list(&visit, &owner, Some(Problem::LastFactor)).await,
        Err(error) => Err(visit.failed(&error)),
    }
}

async fn list(visit: &Visit<'_>, owner: &Owner<'_>, problem: Option<Problem>) -> Answered {
    let listed = Listed::of(visit, &owner.user, &[FactorKind::Passkey]).await?;
    let lines = listed.lines();
    let cookie = owner.member.cookie;
    let make = visit.token(cookie, FormName::MakePasskey);
    let view = PasskeysView {
        action: PATH,
        csrf: &visit.token(cookie, FormName::Factors),
        passkeys: &lines,
        ceremony: Ceremony { options: MAKE_OPTIONS_PATH, finish: MAKE_FINISH_PATH, csrf: &make },
        codes_left: (!lines.is_empty()).then_some(listed.codes_left),
        factors: factors::PATH,
        problem,
    };
    Ok(visit.page(html::passkeys(&view, &visit.look())))
}
