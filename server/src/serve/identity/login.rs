//! Logging in: built where the document says how people do.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use postern_document::{Current, Document, Login};
use postern_identity::ports::RevokedTokens;
use postern_identity::{
    AuthApi, Clock, Ending, FactorService, KeyEncryptionKey, LoginLimiter, LoginMetrics,
    LoginParts, LoginService, OAuthService, OwnTokens, Pages, PagesParts, Vault, auth_router,
    outside_router, pages_router,
};
use postern_store::limiter::Limiter;
use postern_store::{FlowStore, IdentityStore};
use postern_telemetry::MetricsRegistry;

use super::outside;
use crate::fixed;
use crate::serve::in_use::{InUse, lasting};

/// What it is made of.
pub struct Needs<'a> {
    /// The document in use, and what is made of it.
    pub current: &'a Current<InUse>,
    /// The first one.
    pub document: &'a Document,
    /// How people log in.
    pub login: &'a Login,
    /// Seals what is kept of factors.
    pub kek: KeyEncryptionKey,
    /// Users and the audit log.
    pub store: Arc<dyn IdentityStore>,
    /// Log-ins that are under way, and sessions.
    pub flows: Arc<dyn FlowStore>,
    /// Counts tries.
    pub limiter: &'a Limiter,
    /// Makes tokens.
    pub oauth: Arc<OAuthService>,
    /// What was revoked.
    pub revoked: Arc<dyn RevokedTokens>,
    /// Ends sessions.
    pub ending: Arc<Ending>,
    /// What is counted.
    pub metrics: LoginMetrics,
    /// Where the time comes from.
    pub clock: Clock,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
}

/// The pages, which also say who sits in front of a browser, and the paths of pages and `/auth`.
///
/// # Errors
/// When a metric cannot be registered, or there is no HTTP client.
pub fn build(needs: Needs<'_>) -> Result<(Arc<Pages>, Router)> {
    let Needs { current, limiter, clock, oauth, revoked, .. } = needs;
    let first = current.load();
    let (rules, pages) = first.login.as_ref().zip(first.pages.as_ref()).context(NOT_MADE)?;
    let vault = Vault::new(needs.kek);
    let tools = |in_use: &InUse| in_use.pages.as_ref().map(|pages| Arc::clone(&pages.tools));
    let service = Arc::new(LoginService::new(LoginParts {
        rules: lasting(current, Arc::clone(rules), |in_use| in_use.login.clone()),
        tools: lasting(current, Arc::clone(&pages.tools), tools),
        factors: Arc::new(FactorService::new(
            Arc::<dyn IdentityStore>::clone(&needs.store),
            vault.clone(),
        )),
        store: needs.store,
        flows: Arc::clone(&needs.flows),
        revoked: Arc::<dyn RevokedTokens>::clone(&revoked),
        limits: LoginLimiter::new(limiter.clone()),
        vault: vault.clone(),
        ending: needs.ending,
        metrics: needs.metrics,
    }));
    let cookies = fixed::cookies(needs.document, needs.login);
    let config = |in_use: &InUse| in_use.pages.as_ref().map(|pages| Arc::clone(&pages.config));
    let of_providers =
        |in_use: &InUse| in_use.pages.as_ref().map(|pages| Arc::clone(&pages.providers));
    let providers = lasting(current, Arc::clone(&pages.providers), of_providers);
    let pages = Arc::new(Pages::new(PagesParts {
        oauth: Arc::clone(&oauth),
        login: Arc::clone(&service),
        vault,
        config: lasting(current, Arc::clone(&pages.config), config),
        cookies: cookies.clone(),
        clock: Arc::clone(&clock),
    }));
    let elsewhere = outside::build(providers, &service, &needs.flows, needs.registry)?;
    let elsewhere = outside_router(Arc::clone(&pages), elsewhere);
    let api =
        AuthApi { login: service, tokens: Arc::new(OwnTokens { oauth, revoked }), cookies, clock };
    let router = pages_router(Arc::clone(&pages)).merge(auth_router(Arc::new(api)));
    Ok((pages, router.merge(elsewhere)))
}

/// A mistake of ours: `Maker` makes them wherever people log in.
const NOT_MADE: &str = "what pages are made of is not there";
