//! Second factors: what is set up, an application, recovery codes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_identity_pages::{
    self as html, EnrolTotpView, FactorsView, FormTarget, Problem, TotpKey,
};
use postern_oauth::Secret;
use postern_store::durable::FactorKind;

use super::super::csrf::FormName;
use super::super::visit::{Member, Visit};
use super::super::{Answered, Body, Pages, enrol};
use super::{Listed, Owner, PASSKEYS_PATH, owner, owner_of_form};
use crate::LoginError;
use crate::login::Removal;

pub(super) const PATH: &str = "/login/account/mfa";
pub(super) const TOTP_PATH: &str = "/login/account/mfa/totp";
pub(super) const RECOVERY_PATH: &str = "/login/account/mfa/recovery";

/// What is set up.
pub(super) async fn show(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    list(&visit, &owner(&visit, PATH).await?, None).await
}

/// Whoever loads a page again that only a form leads to.
pub(super) async fn back(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    Visit::new(&pages, &headers).see_other(PATH)
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

/// Sets an application up: without a code it shows a key, with one it is done.
pub(super) async fn enrol(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (Owner { member, user }, form) = owner_of_form(&visit, PATH, body, FormName::Totp).await?;
    let Some(code) = form.get("code") else {
        return Ok(match pages.login.start_totp(&user, visit.now).await {
            Ok(begun) => {
                let key = TotpKey { secret: begun.secret.expose(), uri: begun.uri.expose() };
                enrolment(&visit, &member, Some(key), None)
            }
            // There are enough of them: the list shows which.
            Err(LoginError::Blocked) => visit.see_other(PATH),
            Err(error) => visit.failed(&error),
        });
    };
    Ok(match pages.login.finish_totp(&user, code, visit.now).await {
        Ok(codes) => shown_once(&visit, &codes),
        Err(LoginError::Credentials) => enrolment(&visit, &member, None, Some(Problem::Code)),
        Err(LoginError::Expired) => visit.see_other(PATH),
        Err(error) => visit.failed(&error),
    })
}

/// Makes other recovery codes.
pub(super) async fn renew(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let (owner, _) = owner_of_form(&visit, PATH, body, FormName::Recovery).await?;
    match pages.login.renew_recovery_codes(&owner.user, visit.now).await {
        Ok(codes) => Ok(shown_once(&visit, &codes)),
        Err(error) => Err(visit.failed(&error)),
    }
}

/// Recovery codes, as the answer to a form: no page has them again.
fn shown_once(visit: &Visit<'_>, codes: &[Secret]) -> Response {
    match codes {
        [] => visit.see_other(PATH),
        codes => enrol::show_codes(visit, codes, PATH),
    }
}

async fn list(visit: &Visit<'_>, owner: &Owner<'_>, problem: Option<Problem>) -> Answered {
    let listed = Listed::of(visit, &owner.user, &[FactorKind::Totp, FactorKind::Passkey]).await?;
    let token = |name| visit.token(owner.member.cookie, name);
    let (remove, enrol, renew) =
        (token(FormName::Factors), token(FormName::Totp), token(FormName::Recovery));
    let view = FactorsView {
        action: PATH,
        csrf: &remove,
        enrol: FormTarget { action: TOTP_PATH, csrf: &enrol },
        recovery: FormTarget { action: RECOVERY_PATH, csrf: &renew },
        passkeys: visit.pages.login.has_passkeys().then_some(PASSKEYS_PATH),
        factors: &listed.lines(),
        codes_left: listed.codes_left,
        problem,
    };
    Ok(visit.page(html::factors(&view, &visit.look())))
}

/// The page with the key of an application, or without it once it was shown.
fn enrolment(
    visit: &Visit<'_>,
    member: &Member<'_>,
    key: Option<TotpKey<'_>>,
    problem: Option<Problem>,
) -> Response {
    let view = EnrolTotpView {
        action: TOTP_PATH,
        csrf: &visit.token(member.cookie, FormName::Totp),
        key,
        restart: PATH,
        is_forced: false,
        problem,
        targets: &[],
    };
    visit.page_or_again(html::enrol_totp(&view, &visit.look()), problem)
}
