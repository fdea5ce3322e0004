//! A port that passes everything on to another one, counts it, and can be pointed elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use postern_e2e::ports;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What is read at once.
const ROOM: usize = 65_536;

/// Passes on until it is dropped.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    target: watch::Sender<u16>,
    passed: Arc<Passed>,
    task: JoinHandle<()>,
}

/// Bytes that were passed on so far, of both directions.
#[derive(Debug, Default)]
struct Passed {
    up: AtomicU64,
    down: AtomicU64,
}

/// Bytes that were passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// From whoever connected.
    pub up: u64,
    /// To whoever connected.
    pub down: u64,
}

impl Relay {
    /// Passes on to a port of this machine.
    pub async fn to(target: u16) -> Result<Self> {
        let listener = TcpListener::bind(ports::local(0)).await.context("a port for a relay")?;
        let port = listener.local_addr().context("the port of a relay")?.port();
        let (target, pointed) = watch::channel(target);
        let passed = Arc::new(Passed::default());
        let task = tokio::spawn(accept(listener, pointed, Arc::clone(&passed)));
        Ok(Self { port, target, passed, task })
    }

    /// Its own port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on it passes on to another port; connections that are open are cut.
    pub fn point_to(&self, target: u16) {
        self.target.send_replace(target);
    }

    /// What was passed on so far.
    pub fn bytes(&self) -> Bytes {
        let Passed { up, down } = &*self.passed;
        Bytes { up: up.load(Ordering::Relaxed), down: down.load(Ordering::Relaxed) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Its connections end with it.
async fn accept(listener: TcpListener, pointed: watch::Receiver<u16>, passed: Arc<Passed>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Whoever was gone before it was looked at has lost nothing.
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(pass_on(client, pointed.clone(), Arc::clone(&passed)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Until either side is done, or another one is meant.
async fn pass_on(client: TcpStream, mut pointed: watch::Receiver<u16>, passed: Arc<Passed>) {
    let target = *pointed.borrow_and_update();
    let Ok(server) = TcpStream::connect(ports::local(target)).await else { return };
    for stream in [&client, &server] {
        // What comes in one piece goes on at once, as without a relay.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, &passed.up) => {}
        () = copy(from_server, to_client, &passed.down) => {}
        _ = pointed.changed() => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passed: &AtomicU64) {
    let mut room = vec![0; ROOM];
    loop {
        let Ok(read @ 1..) = from.read(&mut room).await else { return };
        let bytes = room.get(..read).unwrap_or_default();
        if to.write_all(bytes).await.is_err() {
            return;
        }
        passed.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every byte with `mark` and the byte.
    async fn server(mark: u8) -> u16 {
        let listener = TcpListener::bind(ports::local(0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        stream.write_all(&[mark, byte]).await.unwrap();
                    }
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn bytes_are_passed_on_counted_and_turned_elsewhere() {
        let (one, other) = (server(b'1').await, server(b'2').await);
        let relay = Relay::to(one).await.unwrap();
        let open = || TcpStream::connect(ports::local(relay.port()));
        let mut answer = [0; 2];
        let mut client = open().await.unwrap();
        for byte in [b'a', b'b'] {
            client.write_u8(byte).await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [b'1', byte]);
        }
        relay.point_to(other);
        assert!(client.read_exact(&mut answer).await.is_err(), "it is cut");
        let mut client = open().await.unwrap();
        client.write_u8(b'c').await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"2c");
        // The count may be a moment behind.
        while relay.bytes() != (Bytes { up: 3, down: 6 }) {
            tokio::task::yield_now().await;
        }
    }
}
