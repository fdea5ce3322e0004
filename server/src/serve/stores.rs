//! The stores, by the addresses that the command line or the document names.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use postern_document::Document;
use postern_store::durable::DurableStore;
use postern_store::volatile::VolatileStore;
use postern_store::{
    FLOW_BUDGET, FlowGuard, FlowStore, Guarded, IdentityStore, MemoryFlowStore, MemoryStore,
};
use postern_store_redis::{RedisStore, is_redis};
use postern_telemetry::HealthChecks;

use super::health;
use crate::cli::Serve;
use crate::settings;

/// The volatile store, by what it is asked for.
pub struct Volatile {
    /// Counts limits, circuits and proofs.
    pub decisions: Arc<dyn VolatileStore>,
    /// Keeps log-ins, grants and sessions, for those who log in or get a token.
    pub flows: Arc<dyn FlowStore>,
    /// The same for requests at the gateway, which wait no longer than for any other decision.
    pub sessions: Arc<dyn FlowStore>,
    /// The Redis behind both, where it is one.
    pub redis: Option<Arc<RedisStore>>,
}

/// Opens the volatile store. One that does not answer is not an error.
///
/// # Errors
/// When its address makes no sense.
pub fn volatile(
    arguments: &Serve,
    document: &Document,
    health: &Arc<HealthChecks>,
) -> Result<Volatile> {
    let written = document.stores.volatile.as_deref();
    let address = settings::store("volatile", arguments.volatile.as_deref(), written)?;
    let address = address.unwrap_or_else(|| "memory".to_owned());
    if address == "memory" {
        let flows: Arc<dyn FlowStore> = Arc::new(MemoryFlowStore::default());
        return Ok(Volatile {
            decisions: Arc::new(MemoryStore::default()),
            sessions: Arc::clone(&flows),
            flows,
            redis: None,
        });
    }
    if !is_redis(&address) {
        bail!(
            "the volatile store is `memory`, redis://…, rediss://…, redis+sentinel://… or \
             redis+cluster://…"
        );
    }
    let redis = Arc::new(RedisStore::new(&address).context("the volatile store's address")?);
    let connecting = Arc::clone(&redis);
    tokio::spawn(async move { connecting.keep_connected().await });
    let decisions: Arc<dyn VolatileStore> = Arc::new(Guarded::new(Arc::clone(&redis)));
    health::add_redis(health, &decisions);
    let sessions = Arc::new(FlowGuard::new(Arc::clone(&redis)));
    let flows = FlowGuard::with_budgets(Arc::clone(&redis), FLOW_BUDGET, FLOW_BUDGET);
    Ok(Volatile { decisions, flows: Arc::new(flows), sessions, redis: Some(redis) })
}

/// The durable store, and the address that it was opened by.
#[derive(Clone)]
pub struct Durable {
    /// The store.
    pub store: Arc<dyn IdentityStore>,
    /// Where it is.
    pub address: String,
}

impl Durable {
    /// Opens it.
    ///
    /// # Errors
    /// When it cannot be opened, or a migration is pending.
    pub async fn open(address: String) -> Result<Self> {
        Ok(Self { store: settings::open_durable(&address).await?, address })
    }
}

/// The durable store, where one is named: the one that the document came from, or else another.
///
/// # Errors
/// When it cannot be opened, or cannot serve as many replicas.
pub async fn durable(
    arguments: &Serve,
    document: &Document,
    opened: Option<Durable>,
    health: &Arc<HealthChecks>,
) -> Result<Option<Durable>> {
    let durable = match opened {
        Some(durable) => durable,
        None => {
            let written = document.stores.durable.as_deref();
            let address = settings::store("durable", arguments.durable.as_deref(), written)?;
            let Some(address) = address else { return Ok(None) };
            check_replicas(&address, document)?;
            Durable::open(address).await?
        }
    };
    check_replicas(&durable.address, document)?;
    let asked: Arc<dyn DurableStore> = Arc::<dyn IdentityStore>::clone(&durable.store);
    health::add_database(health, &asked);
    Ok(Some(durable))
}

/// The document's check sees this only where the address stands in the document.
fn check_replicas(address: &str, document: &Document) -> Result<()> {
    let replicas = document.stores.replicas;
    if replicas > 1 && settings::is_sqlite(address) {
        bail!(
            "SQLite serves one replica, and `stores.replicas` is {replicas}: name a database that \
             they share, such as postgres://…, with --durable or `stores.durable`"
        );
    }
    Ok(())
}
