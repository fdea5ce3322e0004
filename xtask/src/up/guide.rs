//! What to try against the running gateway. Each command that is printed is
//! made from the request that the self-check sends, so the two cannot differ.

use crate::http::{Request, base64};
use crate::say;
use crate::up::ports::Ports;
use crate::up::state::{ADMIN, Client, User};

/// What the commands carry.
pub struct Credentials {
    /// Good for everything in the sample.
    pub token: String,
    /// Good for reading content alone.
    pub narrow_token: String,
    /// An API key of the sample document.
    pub api_key: Option<String>,
    /// A client of the OAuth endpoints.
    pub client: Client,
    /// Who can log in.
    pub users: Vec<User>,
}

/// One thing to try, and what happens then.
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// The lines to paste, in this order.
    pub commands: Vec<String>,
    /// Sent once before.
    pub before: Option<Request>,
    /// The request itself.
    pub request: Request,
    /// How many of them it takes to see it.
    pub times: u32,
    /// The status of the last answer.
    pub status: u16,
    /// What the last answer holds besides.
    pub mentions: &'static str,
    /// Sent once afterwards.
    pub after: Option<Request>,
}

impl Example {
    fn once(title: &'static str, request: Request, status: u16, mentions: &'static str) -> Self {
        Self {
            title,
            commands: vec![request.curl("-i")],
            before: None,
            request,
            times: 1,
            status,
            mentions,
            after: None,
        }
    }

    /// All but the last request print only their status, the last one all.
    fn repeated(
        title: &'static str,
        request: Request,
        times: u32,
        status: u16,
        mentions: &'static str,
    ) -> Self {
        let quiet = request.curl("-s -o /dev/null -w '%{http_code} '");
        let count = times.saturating_sub(1);
        let line = format!("for i in $(seq {count}); do {quiet}; done; {}", request.curl("-i"));
        Self { times, commands: vec![line], ..Self::once(title, request, status, mentions) }
    }

    /// With a switch thrown at the upstream before, and back afterwards.
    fn between(mut self, before: Request, after: Request) -> Self {
        self.commands.insert(0, before.curl("-s"));
        self.commands.push(after.curl("-s"));
        self.before = Some(before);
        self.after = Some(after);
        self
    }
}

/// Everything there is to try, in an order in which nothing spoils the next.
pub fn examples(ports: &Ports, credentials: &Credentials) -> Vec<Example> {
    let get = |target: &str| Request::new("GET", ports.envoy, target);
    let Credentials { token, narrow_token, api_key, client, users } = credentials;
    let mut examples = vec![
        Example::once("200 with a token", get("/content/items").bearer(token), 200, ""),
        Example::once("401 without a token", get("/content/items"), 401, "www-authenticate"),
        Example::once(
            "401 with a tampered token",
            get("/content/items").bearer(&tampered(token)),
            401,
            "www-authenticate",
        ),
        Example::once(
            "403 with too little scope",
            Request::new("POST", ports.envoy, "/payments/charges").bearer(narrow_token),
            403,
            "",
        ),
    ];
    if let Some(key) = api_key {
        let request = get("/commerce/orders").header("x-api-key", key);
        examples.push(Example::once("200 with an API key", request, 200, ""));
    }
    examples.push(client_credentials(ports, client));
    if let Some(user) = users.first() {
        examples.push(log_in(ports, user));
    }
    examples.push(Example::repeated(
        "429 past ten requests in a minute, with its headers",
        get("/notifications/ping"),
        12,
        429,
        "retry-after",
    ));
    let switch = |target: &str| Request::new("POST", ports.upstream, target);
    examples.push(
        Example::repeated(
            "503 from an open circuit, after five failures of the upstream",
            get("/payments/charges").bearer(token),
            6,
            503,
            "CIRCUIT_OPEN",
        )
        .between(
            switch("/_sample/fail?service=payments&status=500"),
            switch("/_sample/recover?service=payments"),
        ),
    );
    examples
}

/// Prints the examples and where everything else is.
pub fn print(ports: &Ports, examples: &[Example], users: &[User], token_line: &str) {
    println!("\n{}\n", say::painted("1", &format!("Postern is up: {}", url(ports.envoy, ""))));
    for example in examples {
        println!("{}", say::painted("1", example.title));
        for command in &example.commands {
            println!("{command}");
        }
        println!();
    }
    println!("{}\n{token_line}\n", say::painted("1", "Another token"));
    println!("{}", say::painted("1", "Log in with a browser"));
    println!("  {}", url(ports.envoy, "/login"));
    for User { email, password } in users {
        println!("  {email}  {password}");
    }
    println!();
    for (what, address) in [
        ("health", url(ports.metrics, "/health")),
        ("metrics", url(ports.metrics, "/metrics")),
        ("Envoy admin", url(ports.envoy_admin, "/")),
        (
            "admin API",
            format!(
                "{} (with a token of {ADMIN}: docs/admin-api.md)",
                url(ports.admin, "/admin/v1")
            ),
        ),
    ] {
        println!("  {what:<12} {address}");
    }
    println!();
}

/// `curl -u` is easier to read than the header it makes.
fn client_credentials(ports: &Ports, client: &Client) -> Example {
    let Client { id, secret } = client;
    let request = Request::new("POST", ports.envoy, "/oauth2/token")
        .header("Authorization", format!("Basic {}", base64(format!("{id}:{secret}").as_bytes())))
        .form("grant_type=client_credentials");
    let command =
        format!("curl -i -u '{id}:{secret}' -d grant_type=client_credentials {}", request.url());
    Example {
        commands: vec![command],
        ..Example::once("a token for a program: client credentials", request, 200, "access_token")
    }
}

/// What an app of one's own sends; browsers have a page for it.
fn log_in(ports: &Ports, user: &User) -> Example {
    let User { email, password } = user;
    let request = Request::new("POST", ports.envoy, "/auth/login")
        .json(&format!(r#"{{"email": "{email}", "password": "{password}"}}"#));
    Example::once("a token for a person: logging in", request, 200, "accessToken")
}

fn url(port: u16, target: &str) -> String {
    format!("http://127.0.0.1:{port}{target}")
}

/// The token with another character in the middle of its signature. Not the
/// last one: some of that one's bits are padding, and a decoder may ignore it.
fn tampered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or(("", token));
    let middle = signature.chars().count() / 2;
    let signature: String = signature
        .chars()
        .enumerate()
        .map(|(at, letter)| match (at == middle, letter) {
            (true, 'A') => 'B',
            (true, _) => 'A',
            (false, letter) => letter,
        })
        .collect();
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::ports;

    fn all() -> Vec<Example> {
        let credentials = Credentials {
            token: "head.body.signature".to_owned(),
            narrow_token: "head.body.narrow".to_owned(),
            api_key: Some("pk_sample_1".to_owned()),
            client: Client { id: "web".to_owned(), secret: "s3".to_owned() },
            users: vec![User { email: "a@b.test", password: "hush".to_owned() }],
        };
        examples(&ports::DEFAULT, &credentials)
    }

    #[test]
    fn a_tampered_token_differs_in_one_letter_of_the_signature() {
        assert_eq!(tampered("a.b.abcde"), "a.b.abAde");
        assert_eq!(tampered("a.b.abAde"), "a.b.abBde");
    }

    #[test]
    fn the_line_that_the_contract_promises_is_there() {
        let lines: Vec<String> = all().into_iter().flat_map(|example| example.commands).collect();
        assert!(lines.iter().any(|line| line.contains("Bearer head.body.signature'")
            && line.ends_with(" http://127.0.0.1:8080/content/items")));
    }

    #[test]
    fn every_promised_status_is_there() {
        let statuses: Vec<u16> = all().iter().map(|example| example.status).collect();
        assert_eq!(statuses, [200, 401, 401, 403, 200, 200, 200, 429, 503]);
    }

    #[test]
    fn the_circuit_is_opened_and_left_to_recover() {
        let examples = all();
        let circuit = examples.last().unwrap();
        assert_eq!(circuit.commands.len(), 3);
        assert!(circuit.commands[0].contains("/_sample/fail?"));
        assert!(circuit.commands[1].starts_with("for i in $(seq 5); do curl -s "));
        assert!(circuit.commands[2].contains("/_sample/recover?"));
    }
}
