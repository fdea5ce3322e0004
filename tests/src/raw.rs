//! Plain bytes over TCP, for requests that no library lets anybody send.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
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

impl Answer {
    /// What came, whoever received it.
    #[must_use]
    pub fn of(received: &[u8]) -> Self {
        let text = String::from_utf8_lossy(received).into_owned();
        let status = text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|status| status.parse().ok());
        Self { status, text }
    }
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
    let receiving = read_until(&mut from, &mut received, is_whole);
    let both = async {
        tokio::select! {
            () = sending => {}
            () = receiving => {}
        }
    };
    let in_time = tokio::time::timeout(LONGEST, both).await.is_ok();
    let answer = Answer::of(&received);
    assert!(in_time, "the connection stays open after:\n{}", answer.text);
    answer
}

/// Whether an answer with a `content-length` has arrived; others end with the connection.
#[must_use]
pub fn is_whole(received: &[u8]) -> bool {
    let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    length
        .and_then(|length| length.trim().parse::<usize>().ok())
        .is_some_and(|length| received.len() >= head + 4 + length)
}

/// A request that is under way for as long as the test likes: its answer has begun, and ends when
/// its body does. For `…/echo` of the sample upstream. Dropping it hangs up.
#[derive(Debug)]
pub struct UnderWay {
    stream: TcpStream,
    /// What came so far.
    pub answer: Answer,
}

impl UnderWay {
    /// Begins a `POST` in HTTP/1.1, and waits for the beginning of its answer.
    ///
    /// # Panics
    /// When there is no connection, or no answer in time.
    pub async fn begin(port: u16, target: &str, header_lines: &[String]) -> Self {
        let mut head = format!(
            "POST {target} HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n"
        );
        for line in header_lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        head.push_str("\r\n5\r\nbegin\r\n");
        let mut stream = TcpStream::connect(ports::local(port)).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a request that is sent");
        let mut received = Vec::new();
        let reading = read_until(&mut stream, &mut received, |received| {
            received.windows(4).any(|four| four == b"\r\n\r\n")
        });
        let in_time = tokio::time::timeout(LONGEST, reading).await.is_ok();
        let answer = Answer::of(&received);
        assert!(in_time, "no answer to POST {target} but:\n{}", answer.text);
        Self { stream, answer }
    }

    /// Ends it, and waits for the end of its answer.
    ///
    /// # Panics
    /// When that does not come in time.
    pub async fn end(mut self) {
        self.stream.write_all(b"0\r\n\r\n").await.expect("the end of a body");
        let mut received = Vec::new();
        let reading = read_until(&mut self.stream, &mut received, |received| {
            received.ends_with(b"\r\n0\r\n\r\n") || received == b"0\r\n\r\n"
        });
        let in_time = tokio::time::timeout(LONGEST, reading).await.is_ok();
        assert!(in_time, "the answer goes on:\n{}", Answer::of(&received).text);
    }
}

/// Reads until there is enough, or nothing more comes.
async fn read_until(
    from: &mut (impl AsyncRead + Unpin),
    received: &mut Vec<u8>,
    is_enough: impl Fn(&[u8]) -> bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while !is_enough(received.as_slice()) {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
    }
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
