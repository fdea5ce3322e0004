//! Where tokens stand: in which places they are looked for, in which order, and how far they get.

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use serde_json::{Value, json};

use super::{INVALID, KINDS, PASSES, UNAUTHORIZED, assert_verdict, id_of, logged, stack};

const DOCUMENT: &str = include_str!("../../fixtures/tokens.yaml");

/// What is nobody's token and reaches the upstream as it is.
const QUERY: &str = "a=1&b=%2Fx";
const COOKIES: &str = "theme=dark; lang=en";
const PROTOCOLS: &str = "chat, v2";

/// Where a token may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Authorization,
    Header,
    Cookie,
    Query,
    Protocol,
}

impl Place {
    /// All, in the document's order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Authorization, Self::Header, Self::Cookie, Self::Query, Self::Protocol];

    /// Whether what stands there is kept from the upstream.
    fn is_cleared(self) -> bool {
        matches!(self, Self::Cookie | Self::Query | Self::Protocol)
    }
}

/// A request with these texts in these places, among what is nobody's token.
fn call(path: &str, texts: &[(Place, &str)]) -> Call {
    let text_in = |place: Place| texts.iter().find(|(at, _)| *at == place).map(|(_, text)| *text);
    let target = match text_in(Place::Query) {
        Some(text) => format!("{path}?a=1&access_token={text}&b=%2Fx"),
        None => format!("{path}?{QUERY}"),
    };
    let cookies = match text_in(Place::Cookie) {
        Some(text) => format!("theme=dark; access={text}; lang=en"),
        None => COOKIES.to_owned(),
    };
    let protocols = match text_in(Place::Protocol) {
        Some(text) => format!("chat, bearer, {text}, v2"),
        None => PROTOCOLS.to_owned(),
    };
    let mut call =
        Call::get(&target).header("cookie", cookies).header("sec-websocket-protocol", protocols);
    if let Some(text) = text_in(Place::Authorization) {
        call = call.bearer(text);
    }
    if let Some(text) = text_in(Place::Header) {
        call = call.header("x-token", text);
    }
    call
}

/// The upstream knows who calls, and has got everything but the token.
fn assert_passed_on(answer: &Answer, subject: Option<&str>, what: &str) {
    assert_eq!(answer.status, 200, "{what}:\n{answer}");
    let seen = answer.json();
    let headers = &seen["headers"];
    assert_eq!(headers.get("x-postern-subject"), subject.map(Value::from).as_ref(), "{what}");
    assert_eq!(seen["query"], QUERY, "{what}:\n{answer}");
    assert_eq!(headers["cookie"], COOKIES, "{what}:\n{answer}");
    assert_eq!(headers["sec-websocket-protocol"], PROTOCOLS, "{what}:\n{answer}");
}

/// One route in one protocol.
struct Case<'a> {
    gateway: &'a Gateway,
    client: Client,
    path: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tokens_stand() {
    let mut gateway = stack(DOCUMENT).await;
    for protocol in Protocol::ALL {
        for kind in KINDS {
            let path = format!("/{kind}/items");
            let case = Case { gateway: &gateway, client: gateway.client(protocol), path };
            case.each_place_holds_one().await;
            case.nothing_is_left_where_nothing_else_was().await;
            case.lists_may_come_in_lines().await;
            case.the_first_place_decides().await;
            case.what_cannot_be_a_token_is_not_passed_over().await;
            case.optional_tokens_may_be_missing_but_not_unusable(kind).await;
        }
    }
    gateway.envoy.assert_no_failed_machine().await;
    no_log_holds_a_token(&gateway).await;
}

impl Case<'_> {
    fn say(&self, what: &str) -> String {
        format!("{what} at {} ({:?})", self.path, self.client.protocol())
    }

    async fn each_place_holds_one(&self) {
        for place in Place::ALL {
            let subject = keys::subject("holder");
            let token = Token::of(&subject).sign();
            let what = self.say(&format!("{place:?}"));
            // The second time it is remembered.
            for _ in 0..2 {
                let answer = self.client.send(&call(&self.path, &[(place, &token)])).await;
                assert_passed_on(&answer, Some(&subject), &what);
                assert!(!place.is_cleared() || !answer.text().contains(&token), "{what}");
            }
        }
        let answer = self.client.send(&call(&self.path, &[])).await;
        assert_verdict(&answer, UNAUTHORIZED, &self.say("nowhere"));
    }

    async fn nothing_is_left_where_nothing_else_was(&self) {
        let token = Token::of("alice").sign();
        let path = self.path.as_str();
        for (what, call) in [
            ("a query", Call::get(&format!("{path}?access_token={token}"))),
            ("a cookie", Call::get(path).header("cookie", format!("access={token}"))),
            (
                "a protocol",
                Call::get(path).header("sec-websocket-protocol", format!("bearer, {token}")),
            ),
        ] {
            let answer = self.client.send(&call).await.expect(200);
            let seen = answer.json();
            let what = self.say(what);
            assert_eq!((&seen["path"], &seen["query"]), (&json!(path), &json!(null)), "{what}");
            for name in ["cookie", "sec-websocket-protocol"] {
                assert_eq!(answer.upstream_header(name), None, "{what}:\n{answer}");
            }
            assert!(!answer.text().contains(&token), "{what}");
        }
    }

    /// HTTP/2 lets clients split cookies (RFC 9113 §8.2.3), any protocol what is a list.
    async fn lists_may_come_in_lines(&self) {
        let token = Token::of("alice").sign();
        let lines = |name: &str, lines: [&str; 3]| {
            let call = Call::get(&format!("{}?{QUERY}", self.path));
            lines.iter().fold(call, |call, line| call.header(name, *line))
        };
        let cookie = format!("access={token}");
        let cookies = lines("cookie", ["theme=dark", &cookie, "lang=en"]);
        let cookies = cookies.header("sec-websocket-protocol", PROTOCOLS);
        let offered = format!("bearer, {token}");
        let protocols = lines("sec-websocket-protocol", ["chat", &offered, "v2"]);
        let protocols = protocols.header("cookie", COOKIES);
        for call in [cookies, protocols] {
            let answer = self.client.send(&call).await;
            assert_passed_on(&answer, Some("alice"), &self.say("in lines"));
            assert!(!answer.text().contains(&token), "{}", self.say("in lines"));
        }
    }

    async fn the_first_place_decides(&self) {
        let good = Token::of("alice").sign();
        let bad = keys::tampered(&good);
        for (at, first) in Place::ALL.into_iter().enumerate() {
            for later in Place::ALL.into_iter().skip(at + 1) {
                let what = self.say(&format!("{first:?} before {later:?}"));
                let answer =
                    self.client.send(&call(&self.path, &[(first, &good), (later, &bad)])).await;
                assert_passed_on(&answer, Some("alice"), &what);
                assert!(!later.is_cleared() || !answer.text().contains(&bad), "{what}");
                let answer =
                    self.client.send(&call(&self.path, &[(first, &bad), (later, &good)])).await;
                assert_verdict(&answer, INVALID, &what);
            }
        }
    }

    async fn what_cannot_be_a_token_is_not_passed_over(&self) {
        let good = Token::of("alice").sign();
        let before = self.gateway.upstream.total();
        for (what, call) in unusable(&self.path, &good) {
            let answer = self.client.send(&call).await;
            assert_verdict(&answer, INVALID, &self.say(what));
        }
        assert_eq!(self.gateway.upstream.total(), before, "the upstream was asked");
    }

    async fn optional_tokens_may_be_missing_but_not_unusable(&self, kind: &str) {
        let path = format!("/{kind}-maybe/items");
        let nobody = self.client.send(&call(&path, &[])).await;
        assert_passed_on(&nobody, None, &self.say("nobody"));
        let good = Token::of("alice").sign();
        for (what, call) in unusable(&path, &good) {
            let answer = self.client.send(&call).await;
            assert_verdict(&answer, INVALID, &self.say(&format!("optional: {what}")));
        }
    }
}

/// Requests that hold something in a place which cannot be a token, and a good one in the last
/// place of all.
fn unusable(path: &str, good: &str) -> Vec<(&'static str, Call)> {
    let offered = format!("chat, bearer, {good}");
    let asked = |query: &str| {
        Call::get(&format!("{path}?{query}")).header("sec-websocket-protocol", &*offered)
    };
    let plain = || asked("a=1");
    let header = |value: &str| plain().header("x-token", value);
    let cookie = |value: &str| plain().header("cookie", value);
    let protocol = |value: &str| Call::get(path).header("sec-websocket-protocol", value);
    vec![
        ("another scheme", plain().header("authorization", "Basic YTpi")),
        ("a scheme without a token", plain().header("authorization", "Bearer ")),
        ("an empty header", header("")),
        ("two tokens in a header", header(&format!("{good} {good}"))),
        ("a header twice", header(good).header("x-token", good)),
        ("a cookie without a value", cookie("access")),
        ("an empty cookie", cookie("a=1; access=; b=2")),
        ("a half-quoted cookie", cookie(&format!("access=\"{good}"))),
        ("a cookie twice", cookie(&format!("access={good}; access={good}"))),
        ("a cookie in two lines", cookie(&format!("access={good}")).header("cookie", "access=x")),
        ("a parameter without a value", asked("access_token")),
        ("an empty parameter", asked("access_token=&a=1")),
        ("a parameter twice", asked(&format!("access_token={good}&access_token={good}"))),
        (
            "a parameter twice, once escaped",
            asked(&format!("access_token={good}&%61ccess_token=x")),
        ),
        ("an escaped parameter", asked(&format!("%61ccess_token={good}"))),
        ("an escaped token", asked(&format!("access_token={}", good.replace('.', "%2E")))),
        ("a marker without a token", protocol("chat, bearer")),
        ("two tokens behind a marker", protocol(&format!("bearer, {good} {good}"))),
        ("a marker twice", protocol(&format!("bearer, {good}, bearer, {good}"))),
    ]
}

/// Tokens in queries end up in no log of ours: not where they are taken, not where they are
/// refused by the filter or before it, and not where nobody looks for them.
async fn no_log_holds_a_token(gateway: &Gateway) {
    let good = Token::of("alice").sign();
    let bad = keys::tampered(&good);
    let mut ids = Vec::new();
    for (path, token, status) in [
        ("/bundle/items", &good, 200),
        ("/asked/items", &good, 200),
        ("/bundle/items", &bad, 401),
        ("/asked/items", &bad, 401),
        ("/nowhere", &good, 404),
    ] {
        let answer = gateway.send(&call(path, &[(Place::Query, token)])).await.expect(status);
        ids.push(id_of(&answer));
    }
    let lines = logged(gateway, &ids).await;
    assert_eq!(lines[0]["path"], "/bundle/items", "{}", lines[0]);
    let logs = [("Envoy's", gateway.envoy.log()), ("the server's", gateway.server.log())];
    for (whose, log) in logs {
        for token in [&good, &bad] {
            assert!(!log.contains(token.as_str()), "{whose} log holds a token");
        }
    }
}

/// Where the document does not name other places, what stands there is nobody's token and goes
/// on as it is.
pub(crate) async fn only_authorization_is_looked_at(gateway: &Gateway) {
    let good = Token::of("alice").scope("content.read payments.read").sign();
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        for path in ["/content/items", "/payments/charges"] {
            for place in Place::ALL.into_iter().skip(1) {
                let answer = client.send(&call(path, &[(place, &good)])).await;
                assert_verdict(&answer, UNAUTHORIZED, &format!("{place:?} at {path}"));
            }
            let all = Place::ALL.map(|place| {
                (place, if place == Place::Authorization { good.as_str() } else { "x" })
            });
            let answer = client.send(&call(path, &all)).await;
            assert_verdict(&answer, PASSES, path);
            let seen = answer.json();
            assert_eq!(seen["query"], "a=1&access_token=x&b=%2Fx", "{answer}");
            assert_eq!(seen["headers"]["cookie"], "theme=dark; access=x; lang=en", "{answer}");
            let offered = &seen["headers"]["sec-websocket-protocol"];
            assert_eq!(offered, "chat, bearer, x, v2", "{answer}");
        }
    }
}
