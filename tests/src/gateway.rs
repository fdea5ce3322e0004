//! A whole stack.

mod everywhere;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::browser::Browser;
use crate::client::{Answer, Call, Client, Protocol};
use crate::envoy::{self, Envoy};
use crate::redis::Redis;
use crate::server::{self, Durable, Server, Surroundings};
use crate::upstream::Upstream;
use crate::{documents, ports, wait};

/// The longest until a stack that is up gives the answer that a test waits for.
const SETTLE: Duration = Duration::from_secs(20);

/// Where limits and circuits are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In the server.
    Memory,
    /// In a Redis of the stack's own.
    Redis,
    /// In a Redis of somebody else's: its URL.
    At(String),
}

/// A running stack. Fields drop in this order.
#[derive(Debug)]
pub struct Gateway {
    /// Envoy.
    pub envoy: Envoy,
    /// `postern serve`.
    pub server: Server,
    /// Its other replicas, where there are any.
    pub others: Vec<Server>,
    /// Its own Redis, where it has one.
    pub redis: Option<Redis>,
    /// What stands behind it.
    pub upstream: Upstream,
    /// The durable store, where it has one.
    pub durable: Option<Durable>,
    /// As the server's command line got it.
    volatile: String,
    issuer: String,
    document: PathBuf,
    folder: TempDir,
}

impl Gateway {
    /// A stack in the making.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            document: documents::GATEWAY.to_owned(),
            server_document: None,
            workers: 1,
            store: Store::Memory,
            name: None,
            database: Database::Nowhere,
            serve: Vec::new(),
            surroundings: Surroundings::default(),
            replicas: 1,
            render: Vec::new(),
            hot: false,
            discovered: false,
            edit: None,
        }
    }

    /// A client of Envoy.
    #[must_use]
    pub fn client(&self, protocol: Protocol) -> Client {
        Client::new(protocol, self.envoy.ports().listen)
    }

    /// Sends a call in HTTP/1.1.
    pub async fn send(&self, call: &Call) -> Answer {
        self.client(Protocol::Http1).send(call).await
    }

    /// Envoy's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.envoy.ports().listen
    }

    /// Envoy's address as a URL.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", ports::local(self.port()))
    }

    /// The issuer: the origin that browsers are at, and that proofs name.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A browser at [`Gateway::issuer`], without cookies.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::new(self.port()).at(&self.issuer)
    }

    /// The document's file, as the server got it.
    #[must_use]
    pub fn document(&self) -> &Path {
        &self.document
    }

    /// The stack's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a call until its answer has this status: what a part needs a moment for (fetching
    /// keys, connecting again, a limit's store that came back).
    ///
    /// # Panics
    /// When it does not within some seconds.
    pub async fn until_status(&self, status: u16, call: &Call) -> Answer {
        let client = self.client(Protocol::Http1);
        wait::until(&format!("{status} for {call}"), SETTLE, || async move {
            let answer = client.try_send(call).await?;
            if answer.status == status { Ok(answer) } else { Err(answer.to_string()) }
        })
        .await
    }
}

type Edit = Box<dyn FnOnce(&mut Value) + Send>;

/// Where the durable store is.
enum Database {
    Nowhere,
    /// In a SQLite file.
    File,
    At(String),
}

/// What a stack will be.
pub struct Builder {
    document: String,
    server_document: Option<String>,
    workers: u32,
    store: Store,
    name: Option<String>,
    database: Database,
    serve: Vec<String>,
    surroundings: Surroundings,
    replicas: usize,
    render: Vec<String>,
    hot: bool,
    discovered: bool,
    edit: Option<Edit>,
}

impl Builder {
    /// Runs this document; `$WORDS` are filled in ([`documents::fill_in`]).
    #[must_use]
    pub fn document(mut self, document: impl Into<String>) -> Self {
        self.document = document.into();
        self
    }

    /// Has the server run another document than Envoy.
    #[must_use]
    pub fn server_document(mut self, document: impl Into<String>) -> Self {
        self.server_document = Some(document.into());
        self
    }

    /// Envoy's worker threads; 1 unless said otherwise.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Where limits and circuits are kept; in memory unless said otherwise.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Names the gateway in the issuer, by another name of this machine's such as `localhost`:
    /// browsers bind passkeys to a name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Gives the server a durable store and signing keys, so that it can issue tokens.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.database = Database::File;
        self
    }

    /// The same in an empty database of its own: its URL.
    #[must_use]
    pub fn durable_at(mut self, url: impl Into<String>) -> Self {
        self.database = Database::At(url.into());
        self
    }

    /// Gives `postern serve` further options.
    #[must_use]
    pub fn serve_with<S: Into<String>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.serve.extend(options.into_iter().map(Into::into));
        self
    }

    /// Starts `postern serve` in surroundings of its own.
    #[must_use]
    pub fn serve_in(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = surroundings;
        self
    }

    /// How many servers there are, all of which Envoy asks; 1 unless said otherwise. They need
    /// stores that they share.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Starts an Envoy that another can take over from.
    #[must_use]
    pub fn hot_restarts(mut self) -> Self {
        self.hot = true;
        self
    }

    /// Gives `postern render` further options.
    #[must_use]
    pub fn render_with<S: Into<String>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.render.extend(options.into_iter().map(Into::into));
        self
    }

    /// Has the server tell Envoy what it runs (ADS).
    #[must_use]
    pub fn discovered(mut self) -> Self {
        self.discovered = true;
        self
    }

    /// Changes Envoy's configuration after it was rendered.
    #[must_use]
    pub fn edit_envoy(mut self, edit: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.edit = Some(Box::new(edit));
        self
    }

    /// Starts everything, each part when the one before it is ready.
    ///
    /// # Panics
    /// When a part does not start.
    pub async fn start(self) -> Gateway {
        let folder = tempfile::tempdir().expect("a folder for the stack");
        let upstream = Upstream::start().await;
        let envoy_ports = envoy::Ports::free();
        let server_ports = server::Ports::free();
        let issuer = match &self.name {
            Some(name) => format!("http://{name}:{}", envoy_ports.listen),
            None => format!("http://{}", ports::local(envoy_ports.listen)),
        };
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, documents::fill_in(text, upstream.address(), &issuer))
                .expect("the document's file");
            path
        };
        let document = write("gateway.yaml", &self.document);
        let server_document = match &self.server_document {
            Some(text) => write("server.yaml", text),
            None => document.clone(),
        };

        let redis = match self.store {
            Store::Redis => Some(Redis::start().await),
            Store::Memory | Store::At(_) => None,
        };
        let volatile = match (self.store, &redis) {
            (Store::At(url), _) => url,
            (_, Some(redis)) => redis.url(),
            (_, None) => "memory".to_owned(),
        };
        let durable = match &self.database {
            Database::Nowhere => None,
            Database::File => Some(Durable::prepare(folder.path()).await),
            Database::At(url) => Some(Durable::prepare_at(url, folder.path()).await),
        };
        let options = server::Options {
            document: server_document.clone(),
            volatile: volatile.clone(),
            durable: durable.clone(),
            folder: folder.path().to_path_buf(),
        };
        let (serve, surroundings) = (self.serve, self.surroundings);
        let others = others(self.replicas, &options, &serve, &surroundings).await;
        let server = Server::start_in(options, server_ports, serve, surroundings).await;

        let out = folder.path();
        let mut options = self.render;
        if self.discovered {
            options.extend(envoy::asks(server_ports.grpc));
        }
        let rendered = envoy::render_with(&document, out, envoy_ports, server_ports, &options);
        rendered.await.expect_success();
        let config = envoy::config_file(folder.path());
        envoy::edit(&config, |config| {
            envoy::be_patient(config);
            others.iter().for_each(|other| ask_also(config, other.ports()));
            if let Some(edit) = self.edit {
                edit(config);
            }
        });
        let log = folder.path().join("envoy.log");
        let envoy = Envoy::start_as(&config, envoy_ports, self.workers, &log, self.hot).await;
        let document = server_document;
        Gateway {
            envoy,
            server,
            others,
            redis,
            upstream,
            durable,
            volatile,
            issuer,
            document,
            folder,
        }
    }
}

/// All servers but the first, each with a folder of its own.
async fn others(
    replicas: usize,
    options: &server::Options,
    serve: &[String],
    surroundings: &Surroundings,
) -> Vec<Server> {
    let mut others = Vec::new();
    for number in 1..replicas {
        let folder = options.folder.join(format!("server-{number}"));
        fs::create_dir(&folder).expect("a folder for a replica");
        let options = server::Options { folder, ..options.clone() };
        let (serve, surroundings) = (serve.to_vec(), surroundings.clone());
        others.push(Server::start_in(options, server::Ports::free(), serve, surroundings).await);
    }
    others
}

/// Has Envoy ask another replica as well.
fn ask_also(config: &mut Value, replica: server::Ports) {
    envoy::lead_also_to(envoy::cluster(config, "postern-grpc"), replica.grpc);
    envoy::lead_also_to(envoy::cluster(config, "postern-public"), replica.public);
    for name in ["postern_feed", "postern-xds"] {
        if envoy::has_cluster(config, name) {
            envoy::lead_also_to(envoy::cluster(config, name), replica.grpc);
        }
    }
}
