//! Bodies arrive byte for byte, up and down, whatever filters look at the request.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bytes::Bytes;
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_sample_upstream::{Fnv64, pattern_byte};

/// Nothing, the least, a frame of HTTP/2, more than one window, more than any buffer.
const SIZES: [usize; 5] = [0, 1, 16_384, 65_537, 3_000_000];
/// The filter alone; every filter; every filter with an upstream in HTTP/2.
const ROUTES: [&str; 3] = ["/plain", "/bodies", "/bodies-http2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_worker() {
    bodies(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_four_workers() {
    bodies(4).await;
}

async fn bodies(workers: u32) {
    let gateway = Gateway::builder().workers(workers).start().await;
    let token = Token::of(&keys::subject("bodies")).sign();
    for route in ROUTES {
        gateway.until_status(200, &Call::get(&format!("{route}/ready")).bearer(&token)).await;
        for protocol in Protocol::ALL {
            let client = gateway.client(protocol);
            for size in SIZES {
                up_and_down(&client, route, &token, size).await;
            }
        }
    }
}

async fn up_and_down(client: &Client, route: &str, token: &str, size: usize) {
    let what = format!("{route} {:?} {size} bytes", client.protocol());
    let sent = pattern(size);
    let length = Some(size.to_string());

    let target = format!("{route}/bytes/{size}");
    let answer = client.send(&Call::get(&target).bearer(token)).await.expect(200);
    same(&what, "down", &sent, &answer.body);
    // An empty HTTP/2 answer of the upstream ends with its headers and needs no length.
    let told = answer.header("content-length").map(str::to_owned);
    assert!(told == length || (size == 0 && told.is_none()), "{what}: {told:?}");
    let call = Call::get(&format!("{target}?chunked")).bearer(token);
    same(&what, "down in chunks", &sent, &client.send(&call).await.expect(200).body);

    let count = format!("{route}/count");
    let echo = format!("{route}/echo");
    // An odd piece, so that no boundary falls on one of Envoy's.
    for piece in [None, Some(10_007)] {
        let with_body = |target: &str| {
            let call = Call::post(target).bearer(token);
            match piece {
                None => call.body(sent.clone()),
                Some(piece) => call.chunked(sent.clone(), piece),
            }
        };
        let counted = client.send(&with_body(&count)).await.expect(200).json();
        assert_eq!(counted["bytes"], size, "{what} up, pieces of {piece:?}");
        let hash = Fnv64::of(&sent).to_hex();
        assert_eq!(counted["fnv64"], hash, "{what} up, pieces of {piece:?}");
        let echoed = client.send(&with_body(&echo)).await.expect(200);
        same(&what, "up and down", &sent, &echoed.body);
    }
}

fn pattern(size: usize) -> Bytes {
    (0_u64..).take(size).map(pattern_byte).collect()
}

/// Says where two bodies differ rather than printing them.
fn same(what: &str, way: &str, expected: &[u8], found: &[u8]) {
    assert_eq!(expected.len(), found.len(), "{what} {way}: another length");
    let differs = expected.iter().zip(found).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what} {way}: the first wrong byte");
}
