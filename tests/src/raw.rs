//! Plain bytes over TCP, for requests that no library lets anybody send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::LONGEST;
use crate::ports;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status of the first line; none when nothing of the kind came.
    pub status: Option<u16>,
    /// All of it.
    pub text: String,
}

/// Sends bytes as they are and reads one answer. Let HTTP/1.1 requests say `connection: close`.
///
/// # Panics
/// When there is no connection, or no answer and no end of it in time.
pub async fn exchange(port: u16, request: &[u8]) -> Answer {
    let stream = TcpStream::connect(ports::local(port)).await.expect("a connection");
    let (mut from, mut to) = stream.into_split();
    let mut received = Vec::new();
    let sending = async {
        // The other side may refuse and close before it has read everything. Whatever comes of
        // it, the answer is what counts.
        let _ = to.write_all(request).await;
        std::future::pending::<()>().await;
    };
    let receiving = async {
        let mut buffer = vec![0; 16 * 1024];
        while !is_whole(&received) {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => received.extend_from_slice(&buffer[..read]),
            }
        }
    };
    let both = async {
        tokio::select! {
            () = sending => {}
            () = receiving => {}
        }
    };
    let in_time = tokio::time::timeout(LONGEST, both).await.is_ok();
    let text = String::from_utf8_lossy(&received).into_owned();
    assert!(in_time, "the connection stays open after:\n{text}");
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|status| status.parse().ok());
    Answer { status, text }
}

/// Whether an answer with a `content-length` has arrived; others end with the connection.
fn is_whole(received: &[u8]) -> bool {
    let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    length
        .and_then(|length| length.trim().parse::<usize>().ok())
        .is_some_and(|length| received.len() >= head + 4 + length)
}

/// A `GET` in HTTP/1.1 with this target, whatever it holds, and these header lines.
#[must_use]
pub fn get(target: &[u8], header_lines: &[String]) -> Vec<u8> {
    let mut request = b"GET ".to_vec();
    request.extend_from_slice(target);
    request.extend_from_slice(b" HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n");
    for line in header_lines {
        request.extend_from_slice(line.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}
