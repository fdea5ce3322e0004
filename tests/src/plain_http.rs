//! Just enough HTTP/1.1 for servers of the kit that are asked, one request a connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest request that is read, in bytes.
const MAX_REQUEST: usize = 65_536;

/// A request: its head and its body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: String,
    /// What came behind the head.
    pub(crate) body: String,
}

impl Request {
    /// Reads one; none where the other end hangs up before its end, or says too much.
    pub(crate) async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let request = Self { head: head.to_owned(), body: body.to_owned() };
                let length = request.header("content-length").and_then(|text| text.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    return Ok(Some(request));
                }
            }
            let more = stream.read(&mut piece).await?;
            if more == 0 || bytes.len() > MAX_REQUEST {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece[..more]);
        }
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.split(' ').nth(1).unwrap_or_default()
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// A parameter of the query, as it is written.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target().split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

/// Answers with JSON, and hangs up.
pub(crate) async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, String)],
    body: &str,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
