//! Calls of gRPC services without a client of gRPC in between: a load generator must not be what
//! everything waits for, so messages are made before the first call and go over HTTP/2 as they
//! are.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, TE};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;

/// Bytes before a message: whether it is compressed, and how long it is.
pub const PREFIX: usize = 5;

/// A connection to a service.
pub async fn connect(server: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(server).await;
    let stream = stream.with_context(|| format!("connecting to {server}"))?;
    stream.set_nodelay(true).context("a connection to the service")?;
    let shaking_hands = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shaking_hands.await.context("speaking HTTP/2 to the service")?;
    // What goes wrong with it, those who send over it are told.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// A call of a method, such as `/package.Service/Method`, without a message.
pub fn template(server: SocketAddr, method: &str) -> Result<Request<Full<Bytes>>> {
    Request::post(format!("http://{server}{method}"))
        .version(Version::HTTP_2)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::default())
        .context("a call")
}

/// Writes a message and what stands before it.
pub fn frame<M: Message>(message: &M, to: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(message.encoded_len()).context("a message's length")?;
    to.push(0);
    to.extend_from_slice(&length.to_be_bytes());
    message.encode(to).context("writing a message")
}

/// The framed answer; none where the call failed.
pub async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Option<Bytes>> {
    let answer = sender.send_request(request).await.context("calling the service")?;
    let is_found = answer.status() == StatusCode::OK;
    let answer = answer.into_body().collect().await.context("an answer of the service")?;
    let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status"));
    let is_well = status.is_some_and(|status| status.as_bytes() == b"0");
    Ok((is_found && is_well).then(|| answer.to_bytes()))
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;

    use super::*;

    #[test]
    fn a_message_stands_behind_its_length() {
        let message = RateLimitRequest { domain: "d".to_owned(), ..RateLimitRequest::default() };
        let mut framed = vec![9];
        frame(&message, &mut framed).unwrap();
        // Field 1, text, one byte long.
        assert_eq!(framed, [9, 0, 0, 0, 0, 3, 0x0a, 1, b'd']);
    }

    #[test]
    fn a_call_names_its_method() {
        let server = SocketAddr::from(([127, 0, 0, 1], 7));
        let request = template(server, "/a.B/C").unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:7/a.B/C");
        assert!(template(server, "a b").is_err());
    }
}
