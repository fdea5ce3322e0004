//! Bodies arrive byte for byte, up and down, whatever filters look at the request, however long
//! they take and however many there are at once.
//!
//! A filter that stops on headers beside another one that is asked over the network has lost
//! bytes in some Envoys before: this is what every Envoy of the matrix is asked.

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::ports;
use postern_sample_upstream::{Fnv64, pattern_byte};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

const DOCUMENT: &str = include_str!("../fixtures/bodies.yaml");

/// Nothing, the least, around a frame of HTTP/2, around one window, all of a connection's buffer,
/// more than any buffer.
const SIZES: [usize; 10] =
    [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 1_048_576, 3_000_000];
/// No multiple of anything, so that no boundary falls on one of Envoy's.
const PIECE: usize = 10_007;
/// Few enough that none waits longer for the server than Envoy's patience.
const AT_ONCE: usize = 36;
/// The longest that a body may take.
const LONGEST: Duration = Duration::from_secs(40);
/// Between the pieces of an upload that takes its time: each arrives by itself.
const PAUSE: Duration = Duration::from_millis(25);

/// A route, and the header that `ext_proc` writes to its responses.
#[derive(Debug, Clone, Copy)]
struct Route {
    path: &'static str,
    served_by: Option<&'static str>,
    http2: bool,
}

/// The bundle alone, with `ext_authz`, with `ext_proc`, with both, and so with an upstream in
/// HTTP/2.
const ROUTES: [Route; 5] = [
    Route { path: "/bundle", served_by: None, http2: false },
    Route { path: "/asked", served_by: None, http2: false },
    Route { path: "/stamped", served_by: Some("bodies"), http2: false },
    Route { path: "/all", served_by: Some("bodies"), http2: false },
    Route { path: "/all-http2", served_by: Some("bodies-http2"), http2: true },
];

impl Route {
    /// What has passed here has passed every filter that it should have.
    fn check(self, answer: Answer) -> Answer {
        let answer = answer.expect(200);
        assert_eq!(answer.header("x-served-by"), self.served_by, "{answer}");
        answer
    }
}

/// A stack whose parts have all met a request.
async fn stack(workers: u32) -> (Gateway, String) {
    let gateway = Gateway::builder().document(DOCUMENT).workers(workers).start().await;
    let token = Token::of(&keys::subject("bodies")).sign();
    for route in ROUTES {
        let ready = format!("{}/ready", route.path);
        gateway.until_status(200, &Call::get(&ready).bearer(&token)).await;
    }
    (gateway, token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_every_size_on_every_route() {
    let (mut gateway, token) = stack(1).await;
    for route in ROUTES {
        for protocol in Protocol::ALL {
            let client = gateway.client(protocol);
            for size in SIZES {
                down(&client, route, &token, size).await;
                up_and_down(&client, route, &token, size).await;
            }
        }
    }
    gateway.envoy.assert_no_failed_machine().await;
}

/// A body that the upstream makes, with its length told and without.
async fn down(client: &Client, route: Route, token: &str, size: usize) {
    let what = format!("{} {:?} {size} bytes down", route.path, client.protocol());
    let expected: Bytes = (0_u64..).take(size).map(pattern_byte).collect();
    let target = format!("{}/bytes/{size}", route.path);
    let answer = route.check(client.send(&Call::get(&target).bearer(token)).await);
    same(&what, &expected, &answer.body);
    // An empty HTTP/2 answer of the upstream ends with its headers and needs no length.
    let told = answer.header("content-length").map(str::to_owned);
    assert!(told == Some(size.to_string()) || (size == 0 && told.is_none()), "{what}: {told:?}");
    let call = Call::get(&format!("{target}?chunked")).bearer(token);
    let answer = route.check(client.send(&call).await);
    same(&format!("{what} in chunks"), &expected, &answer.body);
}

/// A body of the client's, with its length told and without: what arrives, and what comes back.
async fn up_and_down(client: &Client, route: Route, token: &str, size: usize) {
    let sent = random(size);
    for piece in [None, Some(PIECE)] {
        let what =
            format!("{} {:?} {size} bytes in pieces of {piece:?}", route.path, client.protocol());
        let call = |target: &str| {
            let call = Call::post(&format!("{}/{target}", route.path)).bearer(token);
            match piece {
                None => call.body(sent.clone()),
                Some(piece) => call.chunked(sent.clone(), piece),
            }
        };
        let counted = route.check(client.send(&call("count")).await).json();
        assert_eq!(counted["bytes"], size, "{what}");
        assert_eq!(counted["fnv64"], Fnv64::of(&sent).to_hex(), "{what}");
        assert_eq!(counted["complete"], true, "{what}");
        let echoed = route.check(client.send(&call("echo")).await);
        same(&what, &sent, &echoed.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_kept_apart() {
    let (mut gateway, token) = stack(4).await;
    let mut exchanges = JoinSet::new();
    for at in 0..AT_ONCE {
        // The numbers of routes, protocols and sizes share few divisors: most pairs occur.
        let (route, client) = (ROUTES[at % ROUTES.len()], gateway.client(Protocol::ALL[at % 2]));
        let size = SIZES[at % (SIZES.len() - 1)];
        let token = token.clone();
        exchanges.spawn(async move { up_and_down(&client, route, &token, size).await });
    }
    exchanges.join_all().await;
    gateway.envoy.assert_no_failed_machine().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_connection_are_kept_apart() {
    let (gateway, token) = stack(1).await;
    let stream = TcpStream::connect(ports::local(gateway.port())).await.expect("a connection");
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = Box::pin(handshake).await.expect("HTTP/2");
    let _driver = Driver::of(connection);
    let mut exchanges = JoinSet::new();
    for at in 0..AT_ONCE {
        let (route, sent) = (ROUTES[at % ROUTES.len()], random(SIZES[at % (SIZES.len() - 1)]));
        let request = post(&gateway, Protocol::Http2, route, &token).body(Full::new(sent.clone()));
        let request = request.expect("a request");
        let mut sender = sender.clone();
        exchanges.spawn(async move {
            let what = format!("{} {} bytes beside others", route.path, sent.len());
            let response = timeout(LONGEST, sender.send_request(request)).await;
            let response = response.expect("a response in time").expect("a response");
            assert_eq!(response.status(), 200, "{what}");
            let body = timeout(LONGEST, response.into_body().collect()).await;
            same(&what, &sent, &body.expect("in time").expect("a whole body").to_bytes());
        });
    }
    exchanges.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_ones_come_back_piece_by_piece() {
    let (gateway, token) = stack(1).await;
    for route in ROUTES {
        for protocol in Protocol::ALL {
            let what = format!("{} {protocol:?} slowly", route.path);
            let (feed, body) = fed();
            let mut begun = begin(&gateway, protocol, route, &token, body).await;
            for size in [1, 16_384, 65_537, 3, 200_000, 1] {
                // Nobody waits for the end of the body: this piece is back before the next goes.
                let piece = random(size);
                feed.send(Frame::data(piece.clone())).await.expect("the request goes on");
                let mut back = Vec::new();
                while back.len() < piece.len() {
                    back.extend(begun.data().await.unwrap_or_else(|| panic!("{what}: the end")));
                }
                same(&what, &piece, &back);
                tokio::time::sleep(PAUSE).await;
            }
            drop(feed);
            // HTTP/2 may end by an empty frame.
            while let Some(more) = begun.data().await {
                assert!(more.is_empty(), "{what}: more than was sent");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_trailers_behind_them() {
    let (gateway, token) = stack(1).await;
    for route in ROUTES {
        for size in SIZES {
            let what = format!("{} {size} bytes with trailers", route.path);
            let sent = random(size);
            let (feed, body) = fed();
            let pieces: Vec<_> = sent.chunks(PIECE).map(Bytes::copy_from_slice).collect();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", value(&Fnv64::of(&sent).to_hex()));
            trailers.insert("x-postern-subject", value("admin"));
            tokio::spawn(async move {
                let frames = pieces.into_iter().map(Frame::data);
                for frame in frames.chain([Frame::trailers(trailers)]) {
                    feed.send(frame).await.expect("the request goes on");
                }
            });
            let begun = begin(&gateway, Protocol::Http2, route, &token, body).await;
            let body = timeout(LONGEST, begun.response.into_body().collect()).await;
            let body = body.expect("in time").expect("a whole body");
            let back = body.trailers().cloned().unwrap_or_default();
            same(&what, &sent, &body.to_bytes());
            // HTTP/1.1 upstreams get none; of others, no identity passes here either.
            let expected = route.http2.then(|| value(&Fnv64::of(&sent).to_hex()));
            assert_eq!(back.get("x-checksum"), expected.as_ref(), "{what}");
            assert_eq!(back.get("x-postern-subject"), None, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_breaks_off_harms_no_other() {
    let (mut gateway, token) = stack(1).await;
    for route in ROUTES {
        for protocol in Protocol::ALL {
            for size in [1, 65_537] {
                let (feed, body) = fed();
                let mut begun = begin(&gateway, protocol, route, &token, body).await;
                feed.send(Frame::data(random(size))).await.expect("the request goes on");
                assert!(begun.data().await.is_some(), "{} {protocol:?}", route.path);
                // The connection goes with it, in the middle of both bodies.
                drop(begun);
            }
            up_and_down(&gateway.client(protocol), route, &token, 65_537).await;
        }
    }
    gateway.envoy.assert_no_failed_machine().await;
}

/// A body that is handed over frame by frame; it ends with its sender.
struct Fed(mpsc::Receiver<Frame<Bytes>>);

fn fed() -> (mpsc::Sender<Frame<Bytes>>, Fed) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Fed(receiver))
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

/// A response that has begun, while its request may still be on its way.
struct Begun {
    response: Response<Incoming>,
    _driver: Driver,
    /// A connection is given up with its last sender.
    _sender: Box<dyn Any + Send>,
}

impl Begun {
    /// The next data of the body; none at its end.
    async fn data(&mut self) -> Option<Bytes> {
        loop {
            let frame =
                timeout(LONGEST, self.response.body_mut().frame()).await.expect("a frame in time");
            if let Ok(data) = frame?.expect("a frame").into_data() {
                return Some(data);
            }
        }
    }
}

/// The task that moves a connection's bytes; ends with what it is for.
struct Driver(JoinHandle<()>);

impl Driver {
    fn of(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        // An error is the other end's, or the test has had enough.
        Self(tokio::spawn(async move { drop(connection.await) }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Posts to a route's echo, on a connection of its own.
async fn begin(
    gateway: &Gateway,
    protocol: Protocol,
    route: Route,
    token: &str,
    body: Fed,
) -> Begun {
    let request = post(gateway, protocol, route, token).body(body).expect("a request");
    // Boxed: the handshakes of two protocols make a large future.
    let begun = timeout(LONGEST, Box::pin(exchange(gateway.port(), protocol, request))).await;
    let begun = begun.expect("a response in time");
    assert_eq!(begun.response.status(), 200, "{} {protocol:?}", route.path);
    let served_by = begun.response.headers().get("x-served-by");
    assert_eq!(served_by, route.served_by.map(value).as_ref(), "{} {protocol:?}", route.path);
    begun
}

fn post(
    gateway: &Gateway,
    protocol: Protocol,
    route: Route,
    token: &str,
) -> hyper::http::request::Builder {
    let request = Request::post(match protocol {
        Protocol::Http1 => format!("{}/echo", route.path),
        Protocol::Http2 => gateway.url(&format!("{}/echo", route.path)),
    });
    let request = request.header("authorization", format!("Bearer {token}"));
    match protocol {
        Protocol::Http1 => request.header(HOST, ports::local(gateway.port()).to_string()),
        Protocol::Http2 => request.version(Version::HTTP_2),
    }
}

async fn exchange(port: u16, protocol: Protocol, request: Request<Fed>) -> Begun {
    let stream = TcpStream::connect(ports::local(port)).await.expect("a connection");
    stream.set_nodelay(true).expect("a connection without delays");
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
            let driver = Driver::of(connection);
            let response = sender.send_request(request).await.expect("a response");
            Begun { response, _driver: driver, _sender: Box::new(sender) }
        }
        Protocol::Http2 => {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .expect("HTTP/2");
            let driver = Driver::of(connection);
            let response = sender.send_request(request).await.expect("a response");
            Begun { response, _driver: driver, _sender: Box::new(sender) }
        }
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a header value")
}

/// Bytes that occur nowhere else (SplitMix64 from a place of its own): those of another body, or of
/// another place, are seen to be wrong.
fn random(size: usize) -> Bytes {
    static BODIES: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let body = BODIES.fetch_add(1, Ordering::Relaxed);
    let mut state = u64::from(since.subsec_nanos()) ^ since.as_secs().rotate_left(32);
    state = state.wrapping_add(body.wrapping_mul(0xd134_2543_de82_ef95));
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(size);
    Bytes::from(bytes)
}

/// Says where two bodies differ rather than printing them.
fn same(what: &str, expected: &[u8], found: &[u8]) {
    assert_eq!(expected.len(), found.len(), "{what}: another length");
    let differs = expected.iter().zip(found).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what}: the first wrong byte");
}
