//! The few lines of HTTP/1.1 that `up` needs to see for itself what it tells
//! others to expect. One request per connection, answers read to their end.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Longer than any answer in `up` takes, the upstream's own timeout included.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to a port of this machine.
#[derive(Debug, Clone)]
pub struct Request {
    method: &'static str,
    port: u16,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &'static str, port: u16, target: &str) -> Self {
        Self { method, port, target: target.to_owned(), headers: Vec::new(), body: None }
    }

    /// With a header more.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// With a form as its body.
    pub fn form(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// With JSON as its body.
    pub fn json(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("Content-Type", "application/json")
    }

    /// The URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.target)
    }

    /// The same request as a command to paste; `flags` go right behind `curl`.
    pub fn curl(&self, flags: &str) -> String {
        let mut text = format!("curl {flags}");
        if self.method != "GET" && self.body.is_none() {
            let _ = write!(text, " -X {}", self.method);
        }
        for (name, value) in &self.headers {
            let _ = write!(text, " -H '{name}: {value}'");
        }
        if let Some(body) = &self.body {
            let _ = write!(text, " -d '{body}'");
        }
        // Quoted only where a shell would read more into it than a URL.
        let quote = if self.target.contains(['&', '?']) { "'" } else { "" };
        let _ = write!(text, " {quote}{}{quote}", self.url());
        text
    }

    /// Sends the request and reads the whole answer.
    pub fn send(&self) -> Result<Response> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let bytes = self.exchange(address).with_context(|| self.url())?;
        Response::parse(&String::from_utf8_lossy(&bytes)).with_context(|| self.url())
    }

    fn exchange(&self, address: SocketAddr) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(self.rendered().as_bytes())?;
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            // A peer may reset once it has said everything.
            Err(error) if bytes.is_empty() => Err(error),
            _ => Ok(bytes),
        }
    }

    fn rendered(&self) -> String {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n",
            self.method, self.target, self.port
        );
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.method != "GET" {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        text.push_str("\r\n");
        text.push_str(body);
        text
    }
}

/// An answer, as text.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Everything that came, status line included; a chunked body stays so.
    pub text: String,
}

impl Response {
    fn parse(text: &str) -> Result<Self> {
        let status = text
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split_whitespace().nth(1))
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("not an HTTP/1 answer: {text:?}"))?;
        Ok(Self { status, text: text.to_owned() })
    }

    /// Whether headers or body hold `word`, in whatever case.
    pub fn mentions(&self, word: &str) -> bool {
        self.text.to_ascii_lowercase().contains(&word.to_ascii_lowercase())
    }
}

/// RFC 4648 base64, for `Authorization: Basic` (RFC 7617).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3_usize).fold(0_u32, |group, at| {
            (group << 8) | u32::from(chunk.get(at).copied().unwrap_or_default())
        });
        for at in 0..4_usize {
            // Of n bytes, n + 1 characters carry bits; the rest is padding.
            let sextet = (group >> (18 - 6 * at)) & 0x3f;
            let letter = usize::try_from(sextet).ok().and_then(|sextet| ALPHABET.get(sextet));
            match letter {
                Some(letter) if at <= chunk.len() => text.push(char::from(*letter)),
                _ => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn base64_has_the_vectors_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn curl_says_what_is_sent() {
        let request = Request::new("GET", 8080, "/content/items").bearer("a.b.c");
        assert_eq!(
            request.curl("-i"),
            "curl -i -H 'Authorization: Bearer a.b.c' http://127.0.0.1:8080/content/items"
        );
        let request = Request::new("POST", 9195, "/_sample/fail?service=payments&status=500");
        assert_eq!(
            request.curl("-s"),
            "curl -s -X POST 'http://127.0.0.1:9195/_sample/fail?service=payments&status=500'"
        );
    }

    #[test]
    fn sends_a_form_and_reads_status_and_body() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let mut body = [0; 3];
            reader.read_exact(&mut body).unwrap();
            (&stream).write_all(b"HTTP/1.1 429 Too Many\r\nRetry-After: 6\r\n\r\nslow").unwrap();
            (head, body)
        });
        let response = Request::new("POST", port, "/token").form("a=b").send().unwrap();
        assert_eq!(response.status, 429);
        assert!(response.mentions("retry-after") && response.mentions("SLOW"));
        let (head, body) = server.join().unwrap();
        assert!(head.starts_with("POST /token HTTP/1.1\r\n") && head.contains("Content-Length: 3"));
        assert_eq!(&body, b"a=b");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in ["", "HTTP/1.1", "HTTP/1.1 twohundred OK", "SSH-2.0-x"] {
            assert!(Response::parse(text).is_err(), "{text}");
        }
    }
}
