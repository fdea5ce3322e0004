//! A Consul that answers what was recorded: one state of its catalog after the other.
//!
//! A recording is a list of states, each with an `index`, and what `GET /v1/health/service/NAME`
//! answers in it for each service. A blocking query waits as Consul lets it: until the state is
//! another one than the asker has seen, or the time is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::plain_http::{self, Request};
use crate::{env, ports};

/// The token that it wants to see.
pub const TOKEN: &str = "b1gs33d-of-this-test-alone";

/// A Consul, until it is dropped.
#[derive(Debug)]
pub struct Consul {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct State {
    recording: Arc<Value>,
    at: usize,
    /// It says that nobody leads.
    is_headless: bool,
    /// It has left something out because of the token.
    is_filtered: bool,
}

impl State {
    fn now(&self) -> &Value {
        &self.recording[self.at]
    }

    fn index(&self) -> u64 {
        self.now()["index"].as_u64().expect("an index")
    }
}

impl Consul {
    /// Plays a recording of `tests/fixtures/consul`, from its first state on.
    ///
    /// # Panics
    /// When there is no such recording, or it cannot listen.
    pub async fn play(name: &str) -> Self {
        let file = env::repository().join("tests/fixtures/consul").join(name);
        let text = std::fs::read_to_string(file).expect("a recording");
        let recording: Value = serde_json::from_str(&text).expect("JSON");
        let state =
            State { recording: Arc::new(recording), at: 0, is_headless: false, is_filtered: false };
        let listener = TcpListener::bind(ports::local(0)).await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let state = watch::Sender::new(state);
        let told = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = told.subscribe();
                // Whoever hangs up early is not answered.
                tokio::spawn(async move { drop(serve(stream, state).await) });
            }
        });
        Self { address, state, task }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes on to the next state.
    pub fn go_on(&self) {
        self.state.send_modify(|state| state.at += 1);
    }

    /// Says that it cannot answer, or can again.
    pub fn lose_its_leader(&self, is_headless: bool) {
        self.state.send_modify(|state| state.is_headless = is_headless);
    }

    /// Says that the token may not see all of it, or may.
    pub fn filter(&self, is_filtered: bool) {
        self.state.send_modify(|state| state.is_filtered = is_filtered);
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, mut state: watch::Receiver<State>) -> std::io::Result<()> {
    let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
    if request.header("x-consul-token").as_deref() != Some(TOKEN) {
        return plain_http::answer(&mut stream, 403, &[], "Permission denied").await;
    }
    if let Some(seen) = request.query("index").and_then(|text| text.parse::<u64>().ok()) {
        let wait = request.query("wait").and_then(|text| text.strip_suffix("ms")?.parse().ok());
        let wait = Duration::from_millis(wait.expect("how long to wait, in ms"));
        let changed = state.wait_for(|state| state.index() > seen || state.is_headless);
        drop(timeout(wait, changed).await);
    }
    let state = state.borrow().clone();
    if state.is_headless {
        return plain_http::answer(&mut stream, 500, &[], "No cluster leader").await;
    }
    let body = match request.path().strip_prefix("/v1/health/service/") {
        Some(service) => match &state.now()["services"][service] {
            Value::Null => json!([]),
            instances => instances.clone(),
        },
        None if request.path() == "/v1/catalog/services" => {
            let services = state.now()["services"].as_object().expect("services");
            services.keys().map(|name| (name.clone(), json!([]))).collect()
        }
        None => return plain_http::answer(&mut stream, 404, &[], "").await,
    };
    let mut headers = vec![
        ("X-Consul-Index", state.index().to_string()),
        ("X-Consul-Knownleader", "true".to_owned()),
        ("X-Consul-Lastcontact", "0".to_owned()),
    ];
    if state.is_filtered {
        headers.push(("X-Consul-Results-Filtered-By-ACLs", "true".to_owned()));
    }
    plain_http::answer(&mut stream, 200, &headers, &body.to_string()).await
}
