//! A client of HTTP/1.1 and of HTTP/2 with prior knowledge.
//!
//! Every call has a connection of its own, so that calls spread over Envoy's workers and none
//! suffers from what another one left behind; [`Kept`] is for those who send many.

mod kept;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::ports;

pub use self::kept::Kept;

/// The longest that a call may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(40);

/// How to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 without TLS and without asking.
    Http2,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
    chunk: Option<usize>,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            chunk: None,
        }
    }

    /// `GET`
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST`
    #[must_use]
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// With one more header; the value may be any bytes.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a body of known length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With a body whose length is not told, in pieces of this size.
    #[must_use]
    pub fn chunked(mut self, body: impl Into<Bytes>, piece: usize) -> Self {
        self.body = body.into();
        self.chunk = Some(piece.max(1));
        self
    }

    /// With a form.
    #[must_use]
    pub fn form(self, form: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned())
    }

    fn request(&self, protocol: Protocol, address: SocketAddr) -> Request<Upload> {
        let builder = Request::builder().method(self.method.as_str());
        let upload = Upload { rest: self.body.clone(), chunk: self.chunk };
        let mut request = match protocol {
            Protocol::Http1 => builder.uri(&self.target).header(HOST, address.to_string()),
            Protocol::Http2 => {
                builder.uri(format!("http://{address}{}", self.target)).version(Version::HTTP_2)
            }
        }
        .body(upload)
        .unwrap_or_else(|error| panic!("{self}: {error}"));
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            let value = HeaderValue::from_bytes(value).expect("a header value");
            request.headers_mut().append(name, value);
        }
        request
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

/// A body that is sent whole or in pieces.
struct Upload {
    rest: Bytes,
    chunk: Option<usize>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.chunk.unwrap_or(usize::MAX).min(self.rest.len());
        let piece = self.rest.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunk.is_none() && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.chunk {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.rest.len() as u64),
        }
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header that is there at most once.
    ///
    /// # Panics
    /// When it is repeated or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<&HeaderValue> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} is there {} times:\n{self}", values.len());
        values.first().map(|value| value.to_str().expect("text"))
    }

    /// A header as a whole number.
    ///
    /// # Panics
    /// When it is not there or no number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        let value = self.header(name).unwrap_or_else(|| panic!("no {name}:\n{self}"));
        value.parse().unwrap_or_else(|_| panic!("{name} is no whole number:\n{self}"))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header that the upstream says it got; from an answer of the sample's echo.
    #[must_use]
    pub fn upstream_header(&self, name: &str) -> Option<Value> {
        self.json()["headers"].get(name).cloned()
    }

    /// Asserts a status.
    ///
    /// # Panics
    /// When it is another one.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "\n{self}");
        self
    }

    /// Asserts that this is a denial in the one form of the contract.
    ///
    /// # Panics
    /// When anything of it is missing.
    pub fn expect_denial(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "\n{self}");
        let body = self.json();
        assert_eq!(body["error"], code, "\n{self}");
        for member in ["error_description", "correlation_id", "timestamp"] {
            let text = body[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {member}:\n{self}");
        }
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("application/json"), "\n{self}");
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        let text = self.text();
        let shown: String = text.chars().take(2000).collect();
        write!(f, "\n{shown}")
    }
}

/// Speaks one protocol to one address.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    protocol: Protocol,
    address: SocketAddr,
}

impl Client {
    /// A client of a port on this machine.
    #[must_use]
    pub fn new(protocol: Protocol, port: u16) -> Self {
        Self { protocol, address: ports::local(port) }
    }

    /// How it speaks.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sends a call.
    ///
    /// # Panics
    /// When no whole answer comes.
    pub async fn send(&self, call: &Call) -> Answer {
        let answer = self.try_send(call).await;
        answer.unwrap_or_else(|error| panic!("{call} ({:?}): {error}", self.protocol))
    }

    /// Sends a call.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn try_send(&self, call: &Call) -> Result<Answer, String> {
        // Boxed: two protocols' handshakes make a large future, and many wait for this one.
        match tokio::time::timeout(LONGEST, Box::pin(self.exchange(call))).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("{error:?}")),
            Err(_) => Err(format!("no whole answer within {} s", LONGEST.as_secs())),
        }
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, Failure> {
        let request = call.request(self.protocol, self.address);
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        match self.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
                let _driver = Driver(tokio::spawn(async move { drop(connection.await) }));
                read(sender.send_request(request).await?).await
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(executor, io).await?;
                let _driver = Driver(tokio::spawn(async move { drop(connection.await) }));
                read(sender.send_request(request).await?).await
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn read(response: Response<Incoming>) -> Result<Answer, Failure> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// The task that moves a connection's bytes; ends with the call.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
