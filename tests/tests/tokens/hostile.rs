//! What is no token, in every place where one may stand: refused, and never a fault of ours.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::Token;
use postern_e2e::raw;

use super::places::Place;
use super::{KINDS, PASSES, assert_everywhere, stack};

const DOCUMENT: &str = include_str!("../../fixtures/tokens.yaml");

/// Texts that are no tokens, and bytes that are no text.
fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let good = Token::of("alice").sign();
    let parts = ["a".repeat(6_000), "b".repeat(8_000), "c".repeat(6_000)];
    let texts = [
        ("nothing", String::new()),
        ("20 kB", "a".repeat(20_000)),
        ("20 kB in three parts", parts.join(".")),
        ("percent-encoded", good.bytes().map(|byte| format!("%{byte:02X}")).collect()),
        ("partly encoded", good.replace('.', "%2E")),
        ("a=b=c", "a=b=c".to_owned()),
        ("an encoded zero", "%00".to_owned()),
        ("a broken escape", "%".to_owned()),
        ("encoded bytes that are no text", "%ff%fe".to_owned()),
        ("dots", "..".to_owned()),
        ("many dots", ".".repeat(5_000)),
        ("separators", ";,&;,&".to_owned()),
        ("quotes", "\"\"".to_owned()),
        ("a quote", "\"".to_owned()),
        ("two", format!("{good}:{good}")),
    ];
    let mut texts: Vec<_> =
        texts.into_iter().map(|(what, text)| (what, text.into_bytes())).collect();
    texts.push(("bytes that are no text", b"\xff\xfe\x80".to_vec()));
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_token() {
    let mut gateway = stack(DOCUMENT).await;
    let before = gateway.upstream.total();
    for (what, text) in texts() {
        for place in Place::ALL {
            for kind in KINDS {
                let path = format!("/{kind}/items");
                for status in send(&gateway, &path, place, &text).await {
                    // Envoy itself wants text in an address.
                    let is_no_address = place == Place::Query && !text.is_ascii();
                    let refused = status == 401 || (is_no_address && status == 400);
                    assert!(refused, "{what} in {place:?} at {path}: {status}");
                }
            }
        }
        assert_eq!(gateway.upstream.total(), before, "{what}: the upstream was asked");
    }
    let good = Token::of("alice").sign();
    let call = |kind: &str| {
        Call::get(&format!("/{kind}/items")).header("cookie", format!("access={good}"))
    };
    assert_everywhere(&gateway, PASSES, "after all of it", call).await;
    gateway.envoy.assert_no_failed_machine().await;
}

/// Statuses in both protocols. What no client would write into an address goes there as bytes, in
/// HTTP/1 alone.
async fn send(gateway: &Gateway, path: &str, place: Place, text: &[u8]) -> Vec<u16> {
    let header =
        |name: &str, before: &str| Call::get(path).header(name, [before.as_bytes(), text].concat());
    let call = match place {
        Place::Authorization => header("authorization", "Bearer "),
        Place::Header => header("x-token", ""),
        Place::Cookie => header("cookie", "theme=dark; access="),
        Place::Protocol => header("sec-websocket-protocol", "chat, bearer, "),
        Place::Query => {
            let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"%=.-_".contains(b);
            if !text.iter().all(is_plain) {
                return vec![send_bytes(gateway, path, text).await];
            }
            Call::get(&format!("{path}?a=1&access_token={}", String::from_utf8_lossy(text)))
        }
    };
    let mut statuses = Vec::new();
    for protocol in Protocol::ALL {
        statuses.push(gateway.client(protocol).send(&call).await.status);
    }
    statuses
}

async fn send_bytes(gateway: &Gateway, path: &str, text: &[u8]) -> u16 {
    let target = [path.as_bytes(), b"?a=1&access_token=", text].concat();
    let answer = raw::exchange(gateway.port(), &raw::get(&target, &[])).await;
    answer.status.unwrap_or_else(|| panic!("no status line:\n{}", answer.text))
}
