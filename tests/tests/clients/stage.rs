//! What every script finds: a gateway, somebody who may log in, and clients of each kind.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::client::Call;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::server::{self, Durable};
use postern_e2e::{documents, ports};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const EMAIL: &str = "ada@example.test";
const SCOPES: &str = "openid profile email offline_access content.read payments.write";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The public half of `key.json` beside it. Commands run in the repository.
const KEY: &str = "tests/clients/key.public.json";
/// The admin API's, of this run alone.
const CREDENTIAL: &str = "a-credential-that-opens-the-admin-api-of-one-test";

/// A running gateway and who uses it.
pub struct Stage {
    gateway: Gateway,
    password: String,
    clients: Value,
    redirect_uri: String,
    _credential: TempDir,
}

impl Stage {
    /// Starts everything, and waits until a token opens a route.
    pub async fn set() -> Self {
        let credential = tempfile::tempdir().expect("a folder for the credential");
        let file = credential.path().join("admin-token");
        fs::write(&file, CREDENTIAL).expect("the credential's file");
        // Passkeys take a name, and browsers trust this one over plain HTTP.
        let builder = Gateway::builder().document(documents::CLIENTS).named("localhost");
        let options = ["--admin-token-file".to_owned(), file.display().to_string()];
        let builder = builder.durable().store(Store::Redis).serve_with(options);
        let gateway = builder.start().await;
        let redirect_uri = format!("http://127.0.0.1:{}/callback", ports::free());
        let durable = gateway.durable.clone().expect("a durable store");
        let password = user(&durable, gateway.document()).await;
        let clients = clients(&durable, &redirect_uri).await;
        let stage = Self { gateway, password, clients, redirect_uri, _credential: credential };
        stage.wait_for_keys().await;
        stage
    }

    /// The gateway's address, as its issuer has it.
    fn base(&self) -> String {
        format!("http://localhost:{}", self.gateway.port())
    }

    /// The admin port's address.
    pub fn admin(&self) -> String {
        format!("http://{}", ports::local(self.gateway.server.ports().admin))
    }

    /// The header that the admin API asks for.
    pub fn admin_header() -> String {
        format!("Authorization: Bearer {CREDENTIAL}")
    }

    /// A folder that goes when the gateway does.
    pub fn folder(&self) -> &Path {
        self.gateway.folder()
    }

    /// Tells a script all of it.
    pub fn tell(&self, command: &mut Command) {
        command
            .env("BASE", self.base())
            .env("EMAIL", EMAIL)
            .env("PASSWORD", &self.password)
            .env("CLIENTS", self.clients.to_string())
            .env("REDIRECT_URI", &self.redirect_uri);
    }

    /// Envoy and the server fetch the issuer's keys in their own time.
    async fn wait_for_keys(&self) {
        let service = &self.clients["service"];
        let word = |member: &str| service[member].as_str().expect("a text");
        let basic = STANDARD.encode(format!("{}:{}", word("id"), word("secret")));
        let ask = Call::post("/oauth2/token")
            .header("authorization", format!("Basic {basic}"))
            .form("grant_type=client_credentials&scope=content.read");
        let answer = self.gateway.until_status(200, &ask).await.json();
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        for path in ["/content/items", "/asked/items"] {
            self.gateway.until_status(200, &Call::get(path).bearer(&token)).await;
        }
    }
}

/// Makes the user; the password.
async fn user(durable: &Durable, document: &Path) -> String {
    let mut arguments = durable.arguments(&["user", "create", "--json", "--generate"]);
    arguments.extend(["--email", EMAIL, "--first-name", "Ada"].map(str::to_owned));
    arguments.extend(["--last-name", "Lovelace", "--document"].map(str::to_owned));
    arguments.push(document.display().to_string());
    let made = made(arguments).await;
    made["password"].as_str().expect("a password").to_owned()
}

/// Makes the clients: `{name: {id, secret}}`.
async fn clients(durable: &Durable, redirect_uri: &str) -> Value {
    let bye = redirect_uri.replace("/callback", "/bye");
    let by_people = ["--scopes", SCOPES];
    let by_itself = ["--scopes", "content.read"];
    let kinds: [(&str, [&str; 2], &[&str]); 7] = [
        (
            "public",
            by_people,
            &[
                "--public",
                "--no-consent",
                "--redirect-uri",
                redirect_uri,
                "--post-logout-redirect-uri",
                bye.as_str(),
            ],
        ),
        (
            "web",
            by_people,
            &[
                "--redirect-uri",
                redirect_uri,
                "--grant",
                "authorization_code",
                "--grant",
                "refresh_token",
            ],
        ),
        (
            "device",
            by_people,
            &["--public", "--no-consent", "--redirect-uri", redirect_uri, "--grant", DEVICE],
        ),
        (
            // A service that is called by its own users, and calls the next one for them.
            "exchange",
            by_people,
            &[
                "--no-consent",
                "--redirect-uri",
                redirect_uri,
                "--grant",
                "authorization_code",
                "--grant",
                EXCHANGE,
            ],
        ),
        ("service", by_itself, &["--may-introspect", "*"]),
        ("post", by_itself, &["--auth-method", "client_secret_post"]),
        ("key", by_itself, &["--auth-method", "private_key_jwt", "--jwks", KEY]),
    ];
    let mut clients = Map::new();
    for (name, scopes, options) in kinds {
        let mut arguments = durable.arguments(&["client", "create", "--json", "--name", name]);
        arguments.extend(scopes.iter().chain(options).map(|option| (*option).to_owned()));
        let made = made(arguments).await;
        let client = json!({"id": made["client_id"], "secret": made["client_secret"]});
        clients.insert(name.to_owned(), client);
    }
    Value::Object(clients)
}

/// What a command has made, as it says in JSON.
async fn made(arguments: Vec<String>) -> Value {
    let printed = server::run(arguments).await.expect_success();
    serde_json::from_str(&printed).expect("JSON")
}
