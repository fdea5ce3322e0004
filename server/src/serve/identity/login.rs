//! Logging in: built where the document says how people do.

use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use axum::Router;
use postern_document::{Document, Login};
use postern_identity::ports::{BreachedPasswords, Passkeys, RevokedTokens};
use postern_identity::{
    Argon2Parameters, AuthApi, BreachedMetrics, Clock, Cookies, CountedBreached, Ending,
    FactorService, Hasher, KeyEncryptionKey, LoginLimiter, LoginMetrics, LoginParts, LoginRules,
    LoginService, OAuthService, OwnTokens, Pages, PagesConfig, PagesParts, Vault, WebauthnPasskeys,
    auth_router, hashing_threads, outside_router, pages_router,
};
use postern_store::limiter::Limiter;
use postern_store::{FlowStore, IdentityStore};
use postern_telemetry::MetricsRegistry;

use super::outside;
use crate::serve::breached;

/// What it is made of.
pub struct Needs<'a> {
    /// Proxies, replicas and cookies.
    pub document: &'a Document,
    /// How people log in.
    pub login: &'a Login,
    /// The document's issuer.
    pub issuer: &'a str,
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
/// When there are no threads that hash passwords, nothing that passkeys can be bound to, or something
/// that the document names (a list of breached passwords, a provider's secret) cannot be read.
pub fn build(needs: Needs<'_>) -> Result<(Arc<Pages>, Router)> {
    let Needs { document, login, issuer, limiter, clock, oauth, revoked, .. } = needs;
    let vault = Vault::new(needs.kek);
    let rules = LoginRules {
        issuer: issuer.to_owned(),
        login: login.clone(),
        replicas: document.stores.replicas,
    };
    let service = Arc::new(LoginService::new(LoginParts {
        rules: Arc::new(ArcSwap::from_pointee(rules)),
        factors: Arc::new(FactorService::new(
            Arc::<dyn IdentityStore>::clone(&needs.store),
            vault.clone(),
        )),
        store: needs.store,
        flows: Arc::clone(&needs.flows),
        revoked: Arc::<dyn RevokedTokens>::clone(&revoked),
        hasher: hasher(login, needs.metrics.clone())?,
        limits: LoginLimiter::new(limiter.clone()),
        vault: vault.clone(),
        passkeys: passkeys(login, issuer)?,
        ending: needs.ending,
        breached: breached(login, needs.registry)?,
        metrics: needs.metrics,
    }));
    let cookies = cookies(document, login, issuer);
    let proxies = usize::from(document.trusted_proxies);
    let pages = Arc::new(Pages::new(PagesParts {
        oauth: Arc::clone(&oauth),
        login: Arc::clone(&service),
        vault,
        config: Arc::new(ArcSwap::from_pointee(PagesConfig::new(issuer, login))),
        cookies: cookies.clone(),
        proxies,
        clock: Arc::clone(&clock),
    }));
    let elsewhere = outside::build(login, &service, &needs.flows, needs.registry)?;
    let elsewhere = elsewhere.map(|outside| outside_router(Arc::clone(&pages), outside));
    let api = AuthApi {
        login: service,
        tokens: Arc::new(OwnTokens { oauth, revoked }),
        cookies,
        trusted_proxies: proxies,
        clock,
    };
    let router = pages_router(Arc::clone(&pages)).merge(auth_router(Arc::new(api)));
    let router = router.merge(elsewhere.unwrap_or_default());
    Ok((pages, router))
}

/// What knows passwords from breaches, and counts what it is asked.
///
/// # Errors
/// As [`breached::open`].
fn breached(
    login: &Login,
    registry: &MetricsRegistry,
) -> Result<Option<Arc<dyn BreachedPasswords>>> {
    let Some(known) = breached::open(&login.passwords)? else { return Ok(None) };
    let metrics = registry.register_with(BreachedMetrics::register)?;
    Ok(Some(Arc::new(CountedBreached::new(known, metrics))))
}

/// Passkeys, where the document lets people have some.
///
/// # Errors
/// When the issuer cannot have any, which `check` has looked at.
fn passkeys(login: &Login, issuer: &str) -> Result<Option<Arc<dyn Passkeys>>> {
    let Some(rules) = &login.passkeys else { return Ok(None) };
    let passkeys = WebauthnPasskeys::new(issuer, &rules.rp_id, &login.pages.title)
        .with_context(|| format!("passkeys cannot be bound to `{}`", rules.rp_id))?;
    Ok(Some(Arc::new(passkeys)))
}

/// Hashes passwords as the document says, on as many threads as this machine can spare.
///
/// # Errors
/// When the document's numbers are out of bounds, or there are no threads.
fn hasher(login: &Login, metrics: LoginMetrics) -> Result<Hasher> {
    let rules = &login.passwords;
    let parameters = Argon2Parameters::new(rules.memory_kib, rules.iterations)?;
    let cores = available_parallelism().map_or(1, usize::from);
    Hasher::new(parameters, hashing_threads(cores), metrics)
        .context("cannot start the threads that hash passwords")
}

/// The cookies of the document. Where no route takes a session, the document names none, and its
/// own default holds for the pages all the same.
fn cookies(document: &Document, login: &Login, issuer: &str) -> Cookies {
    let domain = login.session.cookie_domain.as_deref();
    let name = document.session.as_ref().map(|cookie| cookie.name.as_str());
    Cookies::new(issuer, name.unwrap_or_else(|| default_name(issuer, domain)), domain)
}

/// With the narrowest prefix that browsers hold the cookie to; the same as where a route takes it.
fn default_name(issuer: &str, domain: Option<&str>) -> &'static str {
    match (issuer.starts_with("https://"), domain) {
        (false, _) => "postern",
        (true, None) => "__Host-postern",
        (true, Some(_)) => "__Secure-postern",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_the_document_does_not_name_is_as_narrow_as_can_be() {
        for (issuer, domain, expected) in [
            ("https://a.test", None, "__Host-postern"),
            ("https://a.test", Some("a.test"), "__Secure-postern"),
            ("http://127.0.0.1:9192", None, "postern"),
            ("http://a.test", Some("a.test"), "postern"),
        ] {
            assert_eq!(default_name(issuer, domain), expected, "{issuer} {domain:?}");
        }
    }
}
