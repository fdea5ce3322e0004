//! An OpenID provider that says what a test tells it to: a good one until something is changed.
//!
//! It speaks just enough HTTP to be asked. Nobody logs in there: a test sends the browser back by
//! itself, with whatever it likes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::keys::{self, Token};
use crate::plain_http::{self, Request};
use crate::ports;

/// The suite's name there.
pub const CLIENT_ID: &str = "postern";

/// A provider, until it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Status and body, by path.
    answers: HashMap<String, (u16, String)>,
    asked: Vec<Asked>,
}

/// What it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// `authorization`
    pub authorization: Option<String>,
    /// The body.
    pub body: String,
}

impl Provider {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(ports::local(0)).await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // Whoever hangs up early is not answered.
                tokio::spawn(async move { drop(serve(stream, &state).await) });
            }
        });
        let provider = Self { address, state, task };
        provider.say("/.well-known/openid-configuration", 200, &provider.metadata());
        provider.say_text("/jwks", 200, &keys::jwks_of(&["rsa-1", "ec-1"]));
        provider
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its metadata, to be changed.
    #[must_use]
    pub fn metadata(&self) -> Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/me"),
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// From now on this is what a path answers with.
    pub fn say(&self, path: &str, status: u16, body: &Value) {
        self.say_text(path, status, &body.to_string());
    }

    /// The same with any text.
    pub fn say_text(&self, path: &str, status: u16, body: &str) {
        self.state().answers.insert(path.to_owned(), (status, body.to_owned()));
    }

    /// Gives these tokens for every code.
    pub fn gives(&self, id_token: &str) {
        let answer = json!({"id_token": id_token, "access_token": "at", "token_type": "Bearer"});
        self.say("/token", 200, &answer);
    }

    /// A good ID token for the log-in with this nonce.
    #[must_use]
    pub fn id_token(&self, subject: &str, nonce: &str) -> Token {
        Token::of(subject)
            .header("typ", json!("JWT"))
            .claim("iss", json!(self.issuer()))
            .claim("aud", json!(CLIENT_ID))
            .claim("nonce", json!(nonce))
    }

    /// What a path was asked so far.
    #[must_use]
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.state().asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, and its answer.
async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
    let asked = Asked {
        path: request.path().to_owned(),
        authorization: request.header("authorization"),
        body: request.body,
    };
    let (status, body) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = state.answers.get(&asked.path).cloned();
        state.asked.push(asked);
        answer.unwrap_or_else(|| (404, "{}".to_owned()))
    };
    plain_http::answer(&mut stream, status, &[], &body).await
}
