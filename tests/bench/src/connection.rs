//! A connection of HTTP/1.1 that stays open: with one worker of Envoy, or with a server, for as
//! long as it lives, and next to no work for this process per request.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::Ports;
use postern_e2e::ports;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::documents;
use crate::launcher::START;

/// The longest that an answer may take.
const LONGEST: Duration = Duration::from_secs(20);
/// As much as an answer is long, and more.
const ROOM: usize = 4_096;
/// Where a filter has to hear of something first.
const PAUSE: Duration = Duration::from_millis(50);
/// The kernel deals connections out by chance; so many are enough for chance to be fair.
const MOST: usize = 1_000;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(ports::local(port)).await;
        let stream = stream.with_context(|| format!("connecting to port {port}"))?;
        stream.set_nodelay(true).context("a connection")?;
        Ok(Self { stream, received: Vec::with_capacity(ROOM) })
    }

    /// Sends a whole request, such as [`request`] writes, and reads the answer; its status.
    pub async fn send(&mut self, request: &[u8]) -> Result<u16> {
        timeout(LONGEST, self.exchange(request)).await.context("nobody answers")?
    }

    /// The same; status and body.
    pub async fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        let status = self.send(request).await?;
        Ok((status, body_of(&self.received)))
    }

    /// Sends a request until it is answered with 200.
    pub async fn until_good(&mut self, request: &[u8]) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.send(request).await? {
                200 => return Ok(()),
                status if began.elapsed() >= START => bail!("still {status} instead of 200"),
                _ => sleep(PAUSE).await,
            }
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await.context("sending")?;
        self.received.clear();
        loop {
            self.received.reserve(ROOM);
            let read = self.stream.read_buf(&mut self.received).await;
            if read.context("reading")? == 0 {
                bail!("the connection was closed");
            }
            if let Some(status) = status_of_whole(&self.received) {
                return Ok(status);
            }
        }
    }
}

/// A `GET` of a path with a token.
pub fn request(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// A `GET` of a path without one.
pub fn anonymous(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// What ends the head of a message.
pub const END: &[u8] = b"\r\n\r\n";

/// Where that begins.
fn end_of_head(received: &[u8]) -> Option<usize> {
    received.windows(END.len()).position(|four| four == END)
}

/// What follows the head of an answer; nothing where there is none.
fn body_of(received: &[u8]) -> &[u8] {
    end_of_head(received).and_then(|end| received.get(end + END.len()..)).unwrap_or_default()
}

/// The status of an answer that has a length and is there from its first byte to its last.
fn status_of_whole(received: &[u8]) -> Option<u16> {
    let end = end_of_head(received)?;
    let head = std::str::from_utf8(received.get(..end)?).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())?;
    (received.len() >= end + END.len() + length).then_some(status)
}

/// Opens `each` connections to each of an Envoy's workers.
pub async fn spread(ports: Ports, workers: u32, each: usize) -> Result<Vec<Connection>> {
    let wanted = each * usize::try_from(workers).context("a number of workers")?;
    // Whatever it is answered with: then a worker has taken the connection.
    let anything = request(&documents::path(0), "none");
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let mut connections = Vec::with_capacity(wanted);
    let mut before = taken(ports.admin).await?;
    for _ in 0..MOST {
        let mut connection = Connection::open(ports.listen).await?;
        connection.send(&anything).await?;
        let after = taken(ports.admin).await?;
        let worker = after.iter().find(|(worker, count)| before.get(*worker) != Some(*count));
        if let Some((worker, _)) = worker {
            let have = kept.entry(worker.clone()).or_default();
            if *have < each {
                *have += 1;
                connections.push(connection);
            }
        }
        if connections.len() == wanted {
            return Ok(connections);
        }
        before = after;
    }
    bail!("{MOST} connections did not reach all of {workers} workers: {kept:?}")
}

/// Connections that each worker has taken so far.
async fn taken(admin: u16) -> Result<BTreeMap<String, u64>> {
    let call = Call::get("/stats?filter=downstream_cx_total");
    let answer = Client::new(Protocol::Http1, admin).try_send(&call).await;
    let answer = answer.map_err(anyhow::Error::msg).context("reading Envoy's statistics")?;
    Ok(read_taken(&answer.text()))
}

/// `listener.ADDRESS.worker_N.downstream_cx_total: COUNT`
fn read_taken(stats: &str) -> BTreeMap<String, u64> {
    stats
        .lines()
        .filter(|line| line.contains(".worker_"))
        .filter_map(|line| {
            let (name, count) = line.rsplit_once(": ")?;
            Some((name.to_owned(), count.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_when_all_of_it_is_there() {
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\nx: y\r\n\r\nabc";
        assert_eq!(status_of_whole(answer), Some(401));
        for missing in 1..answer.len() {
            assert_eq!(status_of_whole(&answer[..answer.len() - missing]), None, "{missing}");
        }
        assert_eq!(status_of_whole(b"HTTP/1.1 200 OK\r\n\r\n"), None, "no length");
        assert_eq!(body_of(answer), b"abc");
        assert!(body_of(b"HTTP/1.1 200 OK\r\n").is_empty());
    }

    #[test]
    fn workers_are_told_apart() {
        let stats = "http.bench.downstream_cx_total: 7\n\
                     listener.127.0.0.1_28421.downstream_cx_total: 7\n\
                     listener.127.0.0.1_28421.worker_0.downstream_cx_total: 2\n\
                     listener.127.0.0.1_28421.worker_1.downstream_cx_total: 5\n\
                     listener.admin.main_thread.downstream_cx_total: 1\n";
        let taken = read_taken(stats);
        assert_eq!(taken.values().copied().collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn requests_end() {
        let text = String::from_utf8(request("/a", "t")).unwrap();
        assert!(text.starts_with("GET /a HTTP/1.1\r\n") && text.ends_with("Bearer t\r\n\r\n"));
        assert!(anonymous("/a").ends_with(END));
    }
}
