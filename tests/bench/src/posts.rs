//! Requests of a server's public port: as wrk's script reads them, and as bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::accounts::ClientAccount;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// In the place of a header that is not there.
const NONE: &str = "-";

/// A `POST` with a body. What stands in it is secret.
pub struct Post {
    path: &'static str,
    content_type: &'static str,
    authorization: Option<String>,
    body: String,
}

impl Post {
    /// For a token of the client's own, which is known by its secret (RFC 6749 §4.4, §2.3.1).
    pub fn grant(client: &ClientAccount) -> Self {
        Self::form("/oauth2/token", client, "grant_type=client_credentials".to_owned())
    }

    /// What a token is (RFC 7662 §2.1). A token needs no escaping.
    pub fn introspection(client: &ClientAccount, token: &str) -> Self {
        Self::form("/oauth2/introspect", client, format!("token={token}"))
    }

    /// To log in.
    pub fn log_in(email: &str, password: &str) -> Self {
        Self::json("/auth/login", &json!({"email": email, "password": password}))
    }

    /// For the next tokens.
    pub fn refresh(token: &str) -> Self {
        Self::json("/auth/refresh", &json!({"refreshToken": token}))
    }

    fn form(path: &'static str, client: &ClientAccount, body: String) -> Self {
        // Ids and secrets of ours need no escaping either.
        let basic = STANDARD.encode(format!("{}:{}", client.id, client.secret));
        Self { path, content_type: FORM, authorization: Some(format!("Basic {basic}")), body }
    }

    fn json(path: &'static str, body: &Value) -> Self {
        Self { path, content_type: JSON, authorization: None, body: body.to_string() }
    }

    /// All of it, for a connection that stays open.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { path, content_type, authorization, body } = self;
        let authorization = authorization
            .as_deref()
            .map_or_else(String::new, |value| format!("authorization: {value}\r\n"));
        format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n{authorization}\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// A line of wrk's file. Tabs stand in none of the parts.
    fn line(&self) -> String {
        let Self { path, content_type, authorization, body } = self;
        let authorization = authorization.as_deref().unwrap_or(NONE);
        format!("POST\t{path}\t{content_type}\t{authorization}\t{body}\n")
    }
}

/// Where the requests of an entry stand.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("posts.txt")
}

/// Writes requests there, one a line.
pub fn write(folder: &Path, posts: &[Post]) -> Result<()> {
    let (file, text) = (file(folder), posts.iter().map(Post::line).collect::<String>());
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> ClientAccount {
        ClientAccount { id: "id".to_owned(), secret: "secret".to_owned() }
    }

    #[test]
    fn bytes_are_a_whole_request() {
        let text = String::from_utf8(Post::grant(&client()).bytes()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "grant_type=client_credentials");
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(lines[0], "POST /oauth2/token HTTP/1.1");
        assert!(lines.contains(&"authorization: Basic aWQ6c2VjcmV0"), "{head}");
        assert!(lines.contains(&format!("content-length: {}", body.len()).as_str()), "{head}");
        let text = String::from_utf8(Post::refresh("t").bytes()).unwrap();
        assert!(text.ends_with("\r\n\r\n{\"refreshToken\":\"t\"}"), "{text}");
        assert!(!text.contains("authorization"), "{text}");
    }

    #[test]
    fn a_line_has_five_parts() {
        for post in [
            Post::grant(&client()),
            Post::introspection(&client(), "a.b.c"),
            Post::log_in("a@b.test", "correct horse"),
            Post::refresh("t"),
        ] {
            let line = post.line();
            let parts: Vec<&str> = line.strip_suffix('\n').unwrap().split('\t').collect();
            assert_eq!(parts.len(), 5, "{line}");
            assert!(parts.iter().all(|part| !part.is_empty() && !part.contains('\n')), "{line}");
            assert_eq!((parts[0], parts[1], parts[4]), ("POST", post.path, post.body.as_str()));
        }
        let line = Post::introspection(&client(), "a.b.c").line();
        assert!(line.ends_with("\tBasic aWQ6c2VjcmV0\ttoken=a.b.c\n"), "{line}");
        assert!(Post::refresh("t").line().contains("\tapplication/json\t-\t"));
    }
}
