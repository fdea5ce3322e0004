//! The services of operators, for commands: on the stores themselves, without a server.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use postern_document::{Current, Document};
use postern_identity::admin::{Actor, Operators, OperatorsParts};
use postern_identity::{
    Argon2Parameters, Ending, Hasher, IdentityMetrics, LoginMetrics, LoginRules, LoginTools,
};
use postern_request::UnixMillis;
use postern_store::durable::UserRecord;
use postern_store::{
    FlowStore, IdentityStore, LocalBus, MemoryFlowStore, Registry, RevocationBus, StoreError,
};
use postern_store_redis::{RedisStore, is_redis};

use super::now;
use crate::cli::{Durable, Ends, SharedCircuits};
use crate::serve::{Announcer, breached};
use crate::{documents, output, settings};

/// How long Redis is waited for: connections are made in the background.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(50);

/// Who runs the command, for the audit log.
pub fn actor() -> Actor {
    Actor::command_line(std::env::var("USER").ok().as_deref())
}

/// For what needs the durable store alone.
///
/// # Errors
/// When it cannot be opened.
pub async fn plain(durable: &Durable) -> Result<Operators> {
    told(durable, None).await
}

/// The same, and where an address is given, those who listen there are told of what is revoked.
///
/// # Errors
/// When the store cannot be opened, or nobody answers at the address.
pub async fn told(durable: &Durable, volatile: Option<&str>) -> Result<Operators> {
    let store = settings::identity_store(&durable.durable).await?;
    let redis = redis(settings::store("volatile", volatile, None)?).await?;
    Ok(Operators::new(OperatorsParts {
        announce: Arc::new(announcer(&store, redis.as_ref())),
        store,
        flows: None,
        ending: None,
        issuer: None,
        rules: None,
        tools: None,
        kek: None,
    }))
}

/// For what gives API keys scopes and limits: of the document, where one is named.
///
/// # Errors
/// When the document or the store cannot be used.
pub async fn limiting(durable: &Durable, document: Option<&Path>) -> Result<Operators> {
    let document = document.map(documents::load_checked).transpose()?;
    let operators = plain(durable).await?;
    Ok(match document {
        Some(document) => operators.by_document(Current::fixed(document)),
        None => operators,
    })
}

/// For what looks at sessions and ends nothing.
///
/// # Errors
/// When a store cannot be reached; also where sessions are in a server's memory.
pub async fn looking(
    durable: &Durable,
    volatile: Option<&str>,
    document: Option<&Path>,
) -> Result<Operators> {
    let document = document.map(documents::load_checked).transpose()?;
    let written = document.as_ref().and_then(|document| document.stores.volatile.as_deref());
    let address = settings::store("volatile", volatile, written)?;
    let Some(redis) = redis(address).await? else {
        bail!(
            "sessions in a server's memory only that server knows: ask its admin API \
             (/admin/v1/users/ID/sessions), or name the store that the servers share with --volatile"
        );
    };
    let store = settings::identity_store(&durable.durable).await?;
    Ok(Operators::new(OperatorsParts {
        announce: Arc::new(announcer(&store, Some(&redis))),
        store,
        flows: Some(redis),
        ending: None,
        issuer: None,
        rules: None,
        tools: None,
        kek: None,
    }))
}

/// What there is to know of an end, once it has come about.
#[must_use]
pub struct Afterwards {
    without_redis: bool,
}

impl Afterwards {
    /// Says it. Beside an error it would be about something that has not happened.
    pub fn tell(self) {
        if self.without_redis {
            output::note(
                "no Redis is named: sessions in a server's memory end by the list of what is \
                 revoked, which servers read every second",
            );
        }
    }
}

/// The registry of services in the Redis at an address.
///
/// # Errors
/// When it cannot be reached; also where the registry is in a server's memory.
pub async fn registry(volatile: &str) -> Result<Arc<RedisStore>> {
    let address = settings::store("volatile", Some(volatile), None)?;
    redis(address).await?.context(
        "a registry in a server's memory only that server knows: ask its admin API \
         (/admin/v1/services), or name the store that the servers share with --volatile",
    )
}

/// For what registers instances of services.
///
/// # Errors
/// As [`registry`], and when the durable store cannot be opened.
pub async fn registering(durable: &Durable, volatile: &str) -> Result<Operators> {
    let registry: Arc<dyn Registry> = registry(volatile).await?;
    Ok(plain(durable).await?.with_registry(registry))
}

/// For what may end sessions and tokens, and for what takes the document's word.
///
/// # Errors
/// When the document or a store cannot be used.
pub async fn ending(durable: &Durable, ends: &Ends) -> Result<(Operators, Afterwards)> {
    let document = documents::load_checked(&ends.document)?;
    let written = document.stores.volatile.as_deref();
    let redis = redis(settings::store("volatile", ends.volatile.as_deref(), written)?).await?;
    let afterwards = Afterwards { without_redis: redis.is_none() };
    let store = settings::identity_store(&durable.durable).await?;
    let announce = Arc::new(announcer(&store, redis.as_ref()));
    let issuer = document.issuer.clone().context("the document names no `issuer`")?;
    let flows: Arc<dyn FlowStore> = match &redis {
        Some(redis) => Arc::<RedisStore>::clone(redis),
        None => Arc::new(MemoryFlowStore::default()),
    };
    let metrics = metrics()?;
    let to_store = Arc::<dyn IdentityStore>::clone(&store);
    let to_all = Arc::<Announcer>::clone(&announce);
    let longest = settings::longest_session_secs(&document);
    let ending = Ending::new(to_store, Arc::clone(&flows), to_all, &issuer, metrics.clone())
        .with_sessions_that_live(longest);
    // What is out of reach and lives longer than its end is remembered would come back.
    let ending = match &redis {
        Some(_) => ending,
        None => ending.remembering(longest),
    };
    let rules = rules(&document);
    let tools = rules.as_ref().map(|rules| tools(rules, metrics)).transpose()?;
    let operators = Operators::new(OperatorsParts {
        store,
        flows: Some(flows),
        announce,
        ending: Some(Arc::new(ending)),
        issuer: Some(issuer),
        rules: rules.map(Current::fixed),
        tools: tools.map(Current::fixed),
        kek: None,
    });
    Ok((operators, afterwards))
}

/// Where circuits are shared, and whose there are.
///
/// # Errors
/// When the document or the store cannot be used; also where circuits are in a server's memory.
pub async fn circuits(shared: &SharedCircuits) -> Result<(Arc<RedisStore>, Document)> {
    let document = documents::load_checked(&shared.document)?;
    let written = document.stores.volatile.as_deref();
    let address = settings::store("volatile", shared.volatile.as_deref(), written)?;
    let Some(redis) = redis(address).await? else {
        bail!(
            "circuits in a server's memory only that server knows: ask its admin API \
             (/admin/v1/circuits), or name the store that the servers share with --volatile"
        );
    };
    Ok((redis, document))
}

/// For what says something of circuits.
///
/// # Errors
/// As [`circuits`], and when the durable store cannot be opened.
pub async fn of_circuits(durable: &Durable, shared: &SharedCircuits) -> Result<Operators> {
    let (redis, document) = circuits(shared).await?;
    let operators = plain(durable).await?.by_document(Current::fixed(document));
    Ok(operators.with_circuits(redis))
}

/// For making users, by the document's rules.
///
/// # Errors
/// When the store cannot be opened, or nothing hashes passwords.
pub async fn making(durable: &Durable, rules: LoginRules) -> Result<Operators> {
    let store = settings::identity_store(&durable.durable).await?;
    let tools = tools(&rules, metrics()?)?;
    Ok(Operators::new(OperatorsParts {
        announce: Arc::new(announcer(&store, None)),
        store,
        flows: None,
        ending: None,
        issuer: None,
        rules: Some(Current::fixed(rules)),
        tools: Some(Current::fixed(tools)),
        kek: None,
    }))
}

/// What the document says of logging in.
pub fn rules(document: &Document) -> Option<LoginRules> {
    settings::login_rules(document)
}

/// One thread that hashes, whose metrics nobody reads, and the list of the document.
///
/// # Errors
/// When the document's numbers are out of bounds, there is no thread, or the list cannot be read.
fn tools(rules: &LoginRules, metrics: LoginMetrics) -> Result<LoginTools> {
    let passwords = &rules.login.passwords;
    let parameters = Argon2Parameters::new(passwords.memory_kib, passwords.iterations)?;
    let hasher = Hasher::new(parameters, 1, metrics)?;
    Ok(LoginTools { hasher, passkeys: None, breached: breached::open(passwords)? })
}

/// What nobody reads.
///
/// # Errors
/// Only by a mistake of ours.
fn metrics() -> Result<LoginMetrics> {
    let registry = prometheus::Registry::new();
    let identity = IdentityMetrics::register(&registry)?;
    Ok(LoginMetrics::register(&registry, &identity)?)
}

/// A user by id or e-mail.
///
/// # Errors
/// Where there is none.
pub async fn user(operators: &Operators, named: &str) -> Result<UserRecord> {
    if !named.contains('@') {
        return Ok(operators.user(named).await?);
    }
    let found = operators.user_by_email(named).await?;
    found.context("there is no user with this e-mail")
}

fn announcer(store: &Arc<dyn IdentityStore>, redis: Option<&Arc<RedisStore>>) -> Announcer {
    let bus: Arc<dyn RevocationBus> = match redis {
        Some(redis) => Arc::<RedisStore>::clone(redis),
        None => Arc::new(LocalBus::unconnected()),
    };
    Announcer::new(Arc::<dyn IdentityStore>::clone(store), bus)
}

/// The Redis at an address, once it answers; none where memory is meant.
async fn redis(address: Option<String>) -> Result<Option<Arc<RedisStore>>> {
    let address = address.unwrap_or_else(|| "memory".to_owned());
    if address == "memory" {
        return Ok(None);
    }
    if !is_redis(&address) {
        bail!(
            "--volatile: the volatile store is `memory`, redis://…, rediss://…, \
             redis+sentinel://… or redis+cluster://…"
        );
    }
    let redis = Arc::new(RedisStore::new(&address).context("--volatile")?);
    let connecting = Arc::clone(&redis);
    tokio::spawn(async move { connecting.keep_connected().await });
    let started = Instant::now();
    loop {
        match asked(&redis, now()).await {
            Ok(()) => return Ok(Some(redis)),
            Err(StoreError::Unavailable(_)) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error).context("the volatile store"),
        }
    }
}

/// Asks for nothing, to learn whether it answers.
async fn asked(redis: &RedisStore, now: UnixMillis) -> Result<(), StoreError> {
    redis.find_session("none", now).await.map(drop)
}
