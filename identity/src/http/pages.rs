//! The pages, for people in front of browsers: what a request asks for, what the services say to
//! it, and the page or the redirect that comes of it. HTML is made in `postern-identity-pages`.
//!
//! Every form is answered with a page or with 303, and none is taken without its token (`csrf`).
//! Where a log-in leads was looked at when it began and is kept with it. The address of its forms
//! names it too, for whoever has to begin again; nothing else is done by that.

mod account;
mod answer;
mod assets;
mod browsers;
mod config;
mod consent;
mod csrf;
mod device;
mod enrol;
mod halves;
mod login;
mod logout;
mod outside;
mod passkeys;
#[cfg(test)]
mod tests;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use postern_identity_pages::ErrorKind;
use postern_oauth::{MAX_BODY_BYTES, VERIFICATION_PATH};

pub use config::{CurrentPages, PagesConfig};
pub use outside::router as outside_router;

use super::cookies::Cookies;
use super::{Answered, Body, reply, whole};
use crate::vault::Vault;
use crate::{Clock, LoginService, OAuthService};
use visit::Visit;

/// What the pages work with.
pub struct Pages {
    oauth: Arc<OAuthService>,
    login: Arc<LoginService>,
    vault: Vault,
    config: CurrentPages,
    cookies: Cookies,
    clock: Clock,
}

/// The parts of [`Pages`].
pub struct PagesParts {
    /// Grants tokens, and says what people are asked before.
    pub oauth: Arc<OAuthService>,
    /// Logs people in.
    pub login: Arc<LoginService>,
    /// Makes the tokens of forms.
    pub vault: Vault,
    /// What the pages look like.
    pub config: CurrentPages,
    /// The cookies, whose names do not change under a running server.
    pub cookies: Cookies,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Pages {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: PagesParts) -> Self {
        let PagesParts { oauth, login, vault, config, cookies, clock } = parts;
        Self { oauth, login, vault, config, cookies, clock }
    }
}

/// The pages, on their own paths. Everything else below them is answered here too, so that no other
/// router can come to own a part of it.
pub fn pages_router(pages: Arc<Pages>) -> Router {
    let router = Router::new()
        .route("/login", only(get(login::show).post(login::send)))
        .route(visit::MFA_PATH, only(get(login::show_mfa).post(login::send_mfa)))
        .route(visit::ENROL_PATH, only(get(enrol::show).post(enrol::send)))
        .route(visit::PASSWORD_PATH, only(get(enrol::show_password).post(enrol::send_password)))
        .route("/login/consent", only(get(consent::show).post(consent::send)))
        .route(VERIFICATION_PATH, only(get(device::show).post(device::send)))
        .route(device::CONFIRM_PATH, only(get(device::back).post(device::confirm)))
        .merge(account::routes())
        .merge(passkeys::routes())
        .route("/login/out", only(get(logout::show).post(logout::send)))
        .route("/login/assets/{digest}/{file}", only(get(assets::file)))
        .route("/login/", any(not_found))
        .route("/login/{*rest}", any(not_found));
    let router = router.layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    router.layer(from_fn(whole::carried_out)).layer(from_fn(reply::named)).with_state(pages)
}

/// A path that has these methods, and a page for every other one.
fn only(methods: MethodRouter<Arc<Pages>>) -> MethodRouter<Arc<Pages>> {
    methods.fallback(wrong_method)
}

async fn wrong_method(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    // `Allow` is added by the router, which knows the methods.
    Visit::new(&pages, &headers).error(ErrorKind::Method)
}

async fn not_found(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    Visit::new(&pages, &headers).error(ErrorKind::NotFound)
}

/// Why a body was not read.
fn unread(rejection: &BytesRejection) -> ErrorKind {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        _ => ErrorKind::Unreadable,
    }
}
