//! Making of a document what is served by: the parts that take more than the document's word.
//! Nothing is in use before all of it is made.

use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use postern_document::{Document, Login};
use postern_identity::ports::{BreachedPasswords, Passkeys};
use postern_identity::{
    Argon2Parameters, BreachedMetrics, CountedBreached, Hasher, LoginMetrics, LoginTools,
    PagesConfig, WebauthnPasskeys, hashing_threads,
};
use postern_telemetry::MetricsRegistry;

use super::in_use::{InUse, OfPages};
use super::{breached, has, identity};
use crate::cli::{Role, Serve};

/// Makes of documents what this server goes by.
#[derive(Default)]
pub struct Maker {
    /// For pages and log-in.
    pages: Option<Toolbox>,
    /// For operators.
    operators: Option<Toolbox>,
}

/// What stays whichever document is in use.
struct Toolbox {
    /// The threads.
    hasher: Hasher,
    /// What is counted of passwords from breaches.
    counted: Option<BreachedMetrics>,
}

impl Maker {
    /// For the roles of this server, by what the first document says of logging in.
    ///
    /// # Errors
    /// When the document's numbers are out of bounds, there are no threads, or a metric cannot be
    /// registered.
    pub fn new(
        arguments: &Serve,
        document: &Document,
        metrics: Option<&LoginMetrics>,
        registry: &MetricsRegistry,
    ) -> Result<Self> {
        let (Some(login), Some(metrics)) = (&document.login, metrics) else {
            return Ok(Self::default());
        };
        let cores = available_parallelism().map_or(1, usize::from);
        let hasher = |threads| {
            Hasher::new(parameters(login)?, threads, metrics.clone())
                .context("cannot start the threads that hash passwords")
        };
        let pages = match has(&arguments.roles, Role::Identity) {
            true => Some(Toolbox {
                hasher: hasher(hashing_threads(cores))?,
                counted: Some(registry.register_with(BreachedMetrics::register)?),
            }),
            false => None,
        };
        // One thread: log-ins have their own.
        let operators = match has(&arguments.roles, Role::Admin) {
            true => Some(Toolbox { hasher: hasher(1)?, counted: None }),
            false => None,
        };
        Ok(Self { pages, operators })
    }

    /// What is served by with a document. `kept` are those in use.
    ///
    /// # Errors
    /// When something that the document names (a list of breached passwords, a provider's secret)
    /// cannot be read, or passkeys have nothing that they can be bound to.
    pub fn make(&self, document: Document, kept: &[Arc<InUse>]) -> Result<InUse> {
        let bare = InUse::of(document, kept);
        let document = Arc::clone(&bare.document);
        let (Some(login), Some(issuer)) = (&document.login, &document.issuer) else {
            return Ok(bare);
        };
        let pages = match &self.pages {
            Some(toolbox) => Some(OfPages {
                config: Arc::new(PagesConfig::new(issuer, login)),
                tools: Arc::new(toolbox.tools(login, passkeys(login, issuer)?)?),
                providers: Arc::new(identity::providers(login)?),
            }),
            None => None,
        };
        let operators = self.operators.as_ref().map(|toolbox| toolbox.tools(login, None));
        let operators = operators.transpose()?.map(Arc::new);
        Ok(InUse { pages, operators, ..bare })
    }
}

impl Toolbox {
    fn tools(&self, login: &Login, passkeys: Option<Arc<dyn Passkeys>>) -> Result<LoginTools> {
        let known = breached::open(&login.passwords)?;
        let breached: Option<Arc<dyn BreachedPasswords>> = match (known, &self.counted) {
            (Some(known), Some(counted)) => {
                Some(Arc::new(CountedBreached::new(known, counted.clone())))
            }
            (known, _) => known,
        };
        Ok(LoginTools { hasher: self.hasher.making(parameters(login)?)?, passkeys, breached })
    }
}

fn parameters(login: &Login) -> Result<Argon2Parameters> {
    let rules = &login.passwords;
    Ok(Argon2Parameters::new(rules.memory_kib, rules.iterations)?)
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
