//! A service that answers every request in the same way.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use postern_e2e::ports;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::END;

/// As much as a request is long, and more.
const ROOM: usize = 4_096;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Answering {
    port: u16,
    task: JoinHandle<()>,
}

impl Answering {
    /// With this status and body.
    pub async fn with(status: u16, body: &str) -> Result<Self> {
        let listener = TcpListener::bind(ports::local(0)).await.context("a port for a service")?;
        let port = listener.local_addr().context("the port of a service")?.port();
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
        let task = tokio::spawn(accept(listener, Arc::from(answer.into_bytes())));
        Ok(Self { port, task })
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, answer: Arc<[u8]>) {
    // Connections end with this value.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&answer)));
        while connections.try_join_next().is_some() {}
    }
}

/// Until the other end hangs up. Requests have no bodies, and none comes before the one before it
/// was answered.
async fn serve(mut stream: TcpStream, answer: Arc<[u8]>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut received = Vec::with_capacity(ROOM);
    while stream.read_buf(&mut received).await.is_ok_and(|read| read > 0) {
        if received.ends_with(END) {
            received.clear();
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Connection, anonymous};

    #[tokio::test]
    async fn each_request_gets_the_same_answer() {
        let service = Answering::with(503, "nobody").await.unwrap();
        let mut connection = Connection::open(service.port()).await.unwrap();
        for path in ["/a", "/b"] {
            let (status, body) = connection.ask(&anonymous(path)).await.unwrap();
            assert_eq!((status, body), (503, &b"nobody"[..]));
        }
    }
}
