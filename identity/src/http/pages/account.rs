//! The account: who is signed in, and where, and what opens it.

mod consents;
mod factors;
mod passkeys;
mod password;
mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use postern_identity_pages::{self as html, AccountView, FactorLine};
use postern_oauth::Form;
use postern_request::login::ACCOUNT_PATH;
use postern_store::durable::{FactorKind, UserRecord};

use super::csrf::FormName;
use super::visit::{Member, Visit, who};
use super::{Answered, Body, Pages, only};
use crate::login::FactorSummary;

pub(super) use passkeys::PATH as PASSKEYS_PATH;

/// Said on the first page once the password was changed.
const PASSWORD_SAVED: &str = "/login/account?saved=password";

pub(super) fn routes() -> Router<Arc<Pages>> {
    Router::new()
        .route(ACCOUNT_PATH, only(get(show)))
        .route(sessions::PATH, only(get(sessions::show).post(sessions::end)))
        .route(factors::PATH, only(get(factors::show).post(factors::remove)))
        .route(factors::TOTP_PATH, only(get(factors::back).post(factors::enrol)))
        .route(factors::RECOVERY_PATH, only(get(factors::back).post(factors::renew)))
        .route(passkeys::PATH, only(get(passkeys::show).post(passkeys::remove)))
        .route(password::PATH, only(get(password::show).post(password::change)))
        .route(consents::PATH, only(get(consents::show).post(consents::revoke)))
}

/// The account's first page.
async fn show(State(pages): State<Arc<Pages>>, uri: Uri, headers: HeaderMap) -> Answered {
    let visit = Visit::new(&pages, &headers);
    let Member { session, .. } = visit.member(ACCOUNT_PATH).await?;
    let query = visit.query(&uri)?;
    let user = pages.login.user(&session.user_id).await.map_err(|error| visit.failed(&error))?;
    let view = AccountView {
        who: &who(&session),
        has_account: user.is_some(),
        has_passkeys: pages.login.has_passkeys(),
        password_saved: query.get("saved") == Some("password"),
    };
    Ok(visit.page(html::account(&view, &visit.look())))
}

/// Somebody at a page that says what opens their account.
struct Owner<'a> {
    member: Member<'a>,
    user: UserRecord,
}

/// Whose account it is; else what leads there.
async fn owner<'a>(visit: &Visit<'a>, path: &str) -> Result<Owner<'a>, Response> {
    let member = visit.fresh_member(path).await?;
    let user = visit.user(&member.session).await?;
    Ok(Owner { member, user })
}

/// The same of somebody who sends a form.
async fn owner_of_form<'a>(
    visit: &Visit<'a>,
    path: &str,
    body: Body,
    name: FormName,
) -> Result<(Owner<'a>, Form), Response> {
    let owner = owner(visit, path).await?;
    let form = visit.form(body, name, owner.member.cookie)?;
    Ok((owner, form))
}

/// Factors in the words of a page: those of these kinds, and how many recovery codes there are.
struct Listed {
    factors: Vec<(FactorSummary, String, Option<String>)>,
    codes_left: usize,
}

impl Listed {
    async fn of(
        visit: &Visit<'_>,
        user: &UserRecord,
        kinds: &[FactorKind],
    ) -> Result<Self, Response> {
        let all = visit.pages.login.factors().list(&user.id).await;
        let all = all.map_err(|error| visit.failed(&error))?;
        let codes_left = all.iter().filter_map(|factor| factor.codes_left).sum();
        let factors = all
            .into_iter()
            .filter(|factor| kinds.contains(&factor.kind))
            .map(|factor| {
                let added = factor.created_at.to_rfc3339();
                let used = factor.last_used_at.map(|at| at.to_rfc3339());
                (factor, added, used)
            })
            .collect();
        Ok(Self { factors, codes_left })
    }

    fn lines(&self) -> Vec<FactorLine<'_>> {
        self.factors
            .iter()
            .map(|(factor, added, used)| FactorLine {
                reference: &factor.id,
                name: (factor.kind == FactorKind::Passkey).then_some(factor.name.as_str()),
                added,
                used: used.as_deref(),
            })
            .collect()
    }
}
