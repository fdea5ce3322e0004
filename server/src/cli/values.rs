//! Values of options, read with messages that say what is expected.

use std::net::SocketAddr;

use postern_document::Endpoint;
use postern_render::envoy::{MAX_NODE_ID_BYTES, is_node_id};

/// Where something listens.
///
/// # Errors
/// What is expected.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not IP:PORT, for example 127.0.0.1:8080"))
}

/// Where access logs go.
///
/// # Errors
/// When it is empty, which Envoy would refuse.
pub fn access_log(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("name a file, or write `none` for no access log".to_owned());
    }
    Ok(text.to_owned())
}

/// Where an Envoy is.
///
/// # Errors
/// What is expected.
pub fn zone(text: &str) -> Result<String, String> {
    if !Endpoint::is_zone(text) {
        return Err(format!("`{text}` is not REGION or REGION/ZONE, for example eu/eu-1"));
    }
    Ok(text.to_owned())
}

/// The digest of a document, or how it begins.
///
/// # Errors
/// What is expected.
pub fn digest(text: &str) -> Result<String, String> {
    if !(8..=32).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("name the digest that `postern check` prints, or 8 and more of its 32 \
                    hexadecimal digits"
            .to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// Envoy's name for itself.
///
/// # Errors
/// What is expected.
pub fn node_id(text: &str) -> Result<String, String> {
    if !is_node_id(text) {
        return Err(format!(
            "write 1 to {MAX_NODE_ID_BYTES} characters, all of them visible ASCII"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        let render = ["postern", "render", "envoy", "a.yaml", "--out", "b"];
        for (option, value, expected) in [
            ("--listen", "localhost:8080", "IP:PORT"),
            ("--server-grpc", "http://x:1", "HOST:PORT"),
            ("--access-log", "", "`none`"),
            ("--zone", "eu/eu-1/a", "REGION"),
            ("--node-id", "", "visible ASCII"),
            ("--node-id", "a b", "visible ASCII"),
            ("--node-id", "a\n", "visible ASCII"),
            ("--node-id", "é", "visible ASCII"),
            ("--node-id", &"a".repeat(257), "visible ASCII"),
        ] {
            let error = Cli::try_parse_from(render.into_iter().chain([option, value]));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(option), "{error}");
        }
    }

    #[test]
    fn scope_and_scopes_are_one_option() {
        for option in ["--scope", "--scopes"] {
            for words in [
                ["postern", "apikey", "create", "--subject", "a", "--durable", "b"].as_slice(),
                &["postern", "client", "create", "--name", "a", "--durable", "b"],
                &[
                    "postern",
                    "token",
                    "issue",
                    "--document",
                    "a",
                    "--subject",
                    "b",
                    "--durable",
                    "c",
                ],
            ] {
                let words = words.iter().copied().chain([option, "content.read"]);
                assert!(Cli::try_parse_from(words).is_ok(), "{option}");
            }
        }
    }
}
