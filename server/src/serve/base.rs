//! What the parts of a server are made with, and each part by itself.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Result;
use postern_ads::Discovery;
use postern_document::Document;
use postern_ext_authz::{
    ApiKeys, Authorizer, Parts as AuthorizerParts, Revoked, Sessions, Tickets, Touched,
};
use postern_ext_proc::{LoggedOutcomes, Outcomes, OutcomesParts, Processor};
use postern_identity::{AwsLcVerifier, Ending};
use postern_jose::SignatureVerifier as _;
use postern_store::durable::DurableStore;
use postern_store::limiter::Limiter;
use postern_store::volatile::VolatileStore;
use postern_store::{FlowStore, IdentityStore, MemoryStore};
use postern_telemetry::{Drain, HealthChecks, MetricsRegistry};

use super::circuits;
use super::discovery;
use super::feed::{self, Feed};
use super::identity::{self, Counted};
use super::in_use::Kept;
use super::jwks::{self, Keepers};
use super::maker::Maker;
use super::operators::{self, Shared};
use super::reload::{self, Asker, Followers};
use super::services::{self, Services};
use super::stores::{self, Durable, Volatile};
use super::{audit, has};
use crate::cli::{Role, Serve};
use crate::fixed::Given;
use crate::revisions::Revisions;

/// What there is once the first document and the stores are.
pub struct Base<'a> {
    pub arguments: &'a Serve,
    pub registry: MetricsRegistry,
    pub health: Arc<HealthChecks>,
    /// The documents in use.
    pub kept: Arc<Kept>,
    pub volatile: Volatile,
    pub limiter: Arc<Limiter>,
    durable: Option<Durable>,
    /// Whether the document came from there.
    is_from_store: bool,
    /// Counts while the volatile store is away.
    stand_in: Arc<MemoryStore>,
    counted: Option<Counted>,
    maker: Arc<Maker>,
    metrics: reload::Metrics,
}

impl<'a> Base<'a> {
    /// Opens the stores, and makes of the first document what is served. `durable` is where that
    /// was, if it was there.
    ///
    /// # Errors
    /// When a setting is wrong, or something that the document names cannot be read.
    pub async fn new(
        arguments: &'a Serve,
        document: Document,
        durable: Option<Durable>,
        registry: MetricsRegistry,
        health: Arc<HealthChecks>,
    ) -> Result<Self> {
        let is_from_store = durable.is_some();
        let volatile = stores::volatile(arguments, &document, &health)?;
        let durable = stores::durable(arguments, &document, durable, &health).await?;
        if let Some(durable) = &durable {
            audit::watch(durable.store.as_ref(), &registry)?;
            if !is_from_store {
                reload::warn_of_revisions(durable.store.as_ref(), &document).await;
            }
        }
        let counted = counted(arguments, &document, durable.is_some(), &registry)?;
        let of_login = counted.as_ref().map(|counted| &counted.login);
        let maker = Maker::new(arguments, &document, of_login, &registry)?;
        let metrics = reload::Metrics::new(&registry)?;
        let first = maker.make(document, &[])?;
        let most = NonZeroUsize::new(usize::from(arguments.keep_documents));
        let stand_in = Arc::new(MemoryStore::default());
        let limiter = Limiter::new(Arc::clone(&volatile.decisions), Arc::clone(&stand_in));
        Ok(Self {
            arguments,
            registry,
            health,
            kept: Kept::new(first, most.unwrap_or(NonZeroUsize::MIN), metrics.clone()),
            volatile,
            limiter: Arc::new(limiter),
            durable,
            is_from_store,
            stand_in,
            counted,
            maker: Arc::new(maker),
            metrics,
        })
    }

    /// The durable store.
    pub fn store(&self) -> Option<&Arc<dyn IdentityStore>> {
        self.durable.as_ref().map(|durable| &durable.store)
    }

    fn durable(&self) -> Option<Arc<dyn DurableStore>> {
        self.store().map(|store| Arc::<dyn IdentityStore>::clone(store) as Arc<dyn DurableStore>)
    }

    /// What is shown of circuits.
    ///
    /// # Errors
    /// Those of [`circuits::build`].
    pub fn circuits(&self) -> Result<circuits::Shared> {
        let decisions = Arc::<dyn VolatileStore>::clone(&self.volatile.decisions);
        let stand_in = Arc::<MemoryStore>::clone(&self.stand_in);
        circuits::build(self.kept.document(), decisions, stand_in, &self.registry)
    }

    /// Tells Envoys.
    ///
    /// # Errors
    /// Those of [`feed::build`].
    pub fn feed(&self, circuits: &circuits::Shared, drain: &Drain) -> Result<Feed> {
        feed::build(&feed::Needs {
            kept: &self.kept,
            durable: self.durable().as_ref(),
            volatile: &self.volatile.decisions,
            circuits,
            redis: self.volatile.redis.as_ref(),
            registry: &self.registry,
            drain,
        })
    }

    /// The authorization server; none where this server has another role.
    ///
    /// # Errors
    /// Those of [`identity::build`].
    pub async fn identity(&self, feed: &Feed) -> Result<Option<identity::Built>> {
        if !has(&self.arguments.roles, Role::Identity) {
            return Ok(None);
        }
        let needs = identity::Needs {
            arguments: self.arguments,
            current: &self.kept.current(),
            durable: self.store(),
            volatile: &self.volatile,
            limiter: &self.limiter,
            feed,
            counted: self.counted.as_ref(),
            registry: &self.registry,
            health: &self.health,
        };
        identity::build(&needs).await
    }

    /// Who runs which service.
    ///
    /// # Errors
    /// Those of [`services::build`].
    pub fn services(&self) -> Result<Arc<Services>> {
        let services = services::build(&services::Needs {
            arguments: self.arguments,
            document: &self.kept.newest().document,
            durable: self.store(),
            volatile: &self.volatile,
            registry: &self.registry,
        });
        services.map(Arc::new)
    }

    /// Tells Envoys outside a mesh what they run; none where this server has another role.
    ///
    /// # Errors
    /// Those of [`discovery::build`].
    pub fn discovery(&self, services: &Services, drain: &Drain) -> Result<Option<Arc<Discovery>>> {
        discovery::build(&discovery::Needs {
            arguments: self.arguments,
            kept: &self.kept,
            services,
            registry: &self.registry,
            drain,
        })
    }

    /// What the admin API works with.
    ///
    /// # Errors
    /// Those of [`operators::build`].
    pub async fn operators(
        &self,
        feed: &Feed,
        services: &Services,
        shared: Option<Shared>,
    ) -> Result<Option<operators::Built>> {
        let revisions = self.store().filter(|_| self.is_from_store);
        operators::build(operators::Needs {
            arguments: self.arguments,
            current: &self.kept.current(),
            durable: self.store(),
            volatile: &self.volatile,
            feed,
            services: &services.registry,
            counted: self.counted.as_ref(),
            shared,
            revisions: revisions.map(|store| Revisions::new(Arc::clone(store), self.given())),
        })
        .await
    }

    /// What the command line has decided.
    fn given(&self) -> Given {
        let Serve { volatile, durable, .. } = self.arguments;
        let address = self.durable.as_ref().map(|durable| durable.address.as_str());
        Given::of(volatile.as_deref(), durable.as_deref(), address)
    }

    /// What follows the document in use; issuers' keys are fetched from here on.
    ///
    /// # Errors
    /// When an issuer's address is none, or a metric cannot be registered.
    pub fn followers(
        &self,
        feed: &Feed,
        services: Arc<Services>,
        ending: Option<Arc<Ending>>,
    ) -> Result<Followers> {
        let first = self.kept.newest();
        let keepers = Keepers::new(self.durable(), Arc::clone(&feed.state), &self.registry)?;
        jwks::warn(&first.document);
        keepers.start(&first.document, &first.keys)?;
        Ok(Followers {
            kept: Arc::clone(&self.kept),
            maker: Arc::clone(&self.maker),
            keepers,
            feed: Arc::clone(&feed.state),
            services,
            ending,
            given: self.given(),
            has_durable: self.durable.is_some(),
            health: Arc::clone(&self.health),
            registry: self.registry.clone(),
            metrics: self.metrics.clone(),
        })
    }

    /// Judges requests; and what writes down beside them what was used.
    ///
    /// # Errors
    /// When a metric cannot be registered.
    pub fn authorizer(
        &self,
        revoked: &Arc<dyn Revoked>,
        tickets: Tickets,
    ) -> Result<(Arc<Authorizer>, Arc<Touched>)> {
        let metrics = postern_ext_authz::Metrics::new(&self.registry)?;
        let (durable, sessions) = (self.durable(), &self.volatile.sessions);
        let touched = touched(sessions, durable.as_ref(), &metrics);
        let verifier = AwsLcVerifier::new();
        let authorizer = Authorizer::new(AuthorizerParts {
            documents: self.kept.judging(Asker::ExtAuthz),
            check_signature: Arc::new(move |key, input, signature| {
                verifier.clone().verify(key, input, signature)
            }),
            check_proof_signature: Arc::new(|key, input, signature| {
                AwsLcVerifier::without_memory().verify(key, input, signature)
            }),
            revoked: Arc::clone(revoked),
            api_keys: ApiKeys::new(durable),
            sessions: Sessions::new(Arc::clone(sessions)),
            touched: Arc::clone(&touched),
            store: Arc::clone(&self.volatile.decisions),
            limiter: Arc::clone(&self.limiter),
            tickets,
            metrics,
        });
        Ok((Arc::new(authorizer), touched))
    }

    /// Sees headers, and what becomes of calls; and what counts that by access logs.
    ///
    /// # Errors
    /// When a metric cannot be registered.
    pub fn processor(&self, circuits: &circuits::Shared) -> Result<(Processor, LoggedOutcomes)> {
        let metrics = postern_ext_proc::Metrics::new(&self.registry)?;
        let outcomes = Arc::new(Outcomes::new(OutcomesParts {
            store: Arc::<dyn VolatileStore>::clone(&self.volatile.decisions),
            stand_in: Arc::<MemoryStore>::clone(&self.stand_in),
            moved: circuits.moved(),
            metrics: metrics.clone(),
        }));
        let documents = self.kept.judging(Asker::ExtProc);
        let processor = Processor::new(documents, Arc::clone(&outcomes), metrics);
        let who = circuits::who_reports(self.kept.trust());
        let logged = LoggedOutcomes { document: self.kept.document(), outcomes, who };
        Ok((processor, logged))
    }
}

/// What is counted of tokens, where some part of this server has to do with them.
fn counted(
    arguments: &Serve,
    document: &Document,
    has_durable: bool,
    registry: &MetricsRegistry,
) -> Result<Option<Counted>> {
    let by_role = [Role::Identity, Role::Admin].iter().any(|role| has(&arguments.roles, *role));
    if !by_role || !has_durable || document.issuer.is_none() {
        return Ok(None);
    }
    Counted::new(registry).map(Some)
}

/// Writes beside the requests when sessions and API keys were used.
fn touched(
    flows: &Arc<dyn FlowStore>,
    durable: Option<&Arc<dyn DurableStore>>,
    metrics: &postern_ext_authz::Metrics,
) -> Arc<Touched> {
    let touched = Touched::new(Arc::clone(flows), durable.cloned(), metrics.clone());
    let touched = Arc::new(touched);
    tokio::spawn(Arc::clone(&touched).keep_writing());
    touched
}
