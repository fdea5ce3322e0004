//! Finding an issuer's keys from its name alone: the metadata that it publishes says where they
//! are (OpenID Connect Discovery 1.0 §4, RFC 8414).
//!
//! What is found is only as good as the way to it: over https, from the issuer's own host, with
//! its own name in it, compared as it is (RFC 8414 §3.3). Plain http is for an issuer on this
//! machine. Metadata of any other issuer names no address of an internal network: whoever writes
//! it would choose what the server asks there.

use anyhow::{Context as _, Result, bail, ensure};
use postern_request::json::{self, Value};
use reqwest::Url;

use super::address::{is_internal, is_loopback};
use super::fetch::Http;
use super::metrics::Outcome;
use super::source::Place;
use crate::output;

/// The longest metadata that is read.
const MAX_METADATA_BYTES: usize = 65_536;

/// An issuer and where its keys last were.
#[derive(Debug)]
pub struct Discovery {
    issuer: String,
    /// Where its metadata may lie, in this order.
    addresses: [Url; 2],
    on_this_machine: bool,
    last_good: Option<Place>,
}

impl Discovery {
    /// Of this issuer.
    ///
    /// # Errors
    /// When its name is no address from which metadata could be had safely.
    pub fn new(issuer: &str) -> Result<Self> {
        let url = Url::parse(issuer).context("it is no URL")?;
        let on_this_machine = url.scheme() == "http" && is_loopback(&url);
        ensure!(
            url.scheme() == "https" || on_this_machine,
            "it is no https address, nor one of this machine"
        );
        ensure!(
            has_no_user(&url) && url.query().is_none() && url.fragment().is_none(),
            "it names a user, a query or a fragment"
        );
        let path = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
        let at = |path: &str| {
            let mut url = url.clone();
            url.set_path(path);
            url
        };
        let addresses = [
            // OpenID Connect Discovery 1.0 §4: after the issuer's path.
            at(&format!("{path}/.well-known/openid-configuration")),
            // RFC 8414 §3.1: between host and path.
            at(&format!("/.well-known/oauth-authorization-server{path}")),
        ];
        Ok(Self { issuer: issuer.to_owned(), addresses, on_this_machine, last_good: None })
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where its keys are: as its metadata says now, or where they last were.
    ///
    /// # Errors
    /// When it does not say so, and they never were anywhere.
    pub async fn find(&self, http: &Http) -> Result<(Place, Outcome)> {
        let error = match self.ask(http).await {
            Ok(place) => return Ok((place, Outcome::Good)),
            Err(error) => error,
        };
        let Some(place) = &self.last_good else { return Err(error) };
        let (issuer, from, error) = (&self.issuer, &place.shown, output::chain(&error));
        tracing::warn!(issuer, from, error, "no metadata; keys come from where they were");
        Ok((place.clone(), Outcome::OldPlace))
    }

    /// There were keys there.
    pub fn keep(&mut self, place: Place) {
        self.last_good = Some(place);
    }

    async fn ask(&self, http: &Http) -> Result<Place> {
        let mut problems = Vec::new();
        for address in &self.addresses {
            match self.ask_at(http, address).await {
                Ok(place) => return Ok(place),
                Err(error) => problems.push(format!("{address}: {}", output::chain(&error))),
            }
        }
        bail!("{}", problems.join("; "))
    }

    async fn ask_at(&self, http: &Http, address: &Url) -> Result<Place> {
        let metadata = http.get(address.as_str(), MAX_METADATA_BYTES).await?;
        self.read(&metadata)
    }

    fn read(&self, metadata: &[u8]) -> Result<Place> {
        let metadata = json::parse(metadata).context("it is not JSON")?;
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        // Whoever can put metadata here for another issuer must not have its keys taken for ours.
        ensure!(text("issuer") == Some(self.issuer.as_str()), "it is of another issuer");
        let keys = text("jwks_uri").context("it has no `jwks_uri`")?;
        let keys = Url::parse(keys).context("its `jwks_uri` is no URL")?;
        let plain = keys.scheme() == "http" && self.on_this_machine && is_loopback(&keys);
        ensure!(keys.scheme() == "https" || plain, "its `jwks_uri` is not https");
        ensure!(
            has_no_user(&keys) && keys.fragment().is_none(),
            "its `jwks_uri` names a user or a fragment"
        );
        // The document names the issuer's own host, so that one may be anywhere.
        let [own, _] = &self.addresses;
        let chosen = self.on_this_machine || keys.host_str() == own.host_str();
        ensure!(
            chosen || !is_internal(&keys),
            "its `jwks_uri` is at an address of an internal network"
        );
        let shown = keys.origin().ascii_serialization();
        Ok(Place { url: keys.into(), shown })
    }
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_lies_where_the_specifications_say() {
        for (issuer, expected) in [
            (
                "https://i.test",
                [
                    "https://i.test/.well-known/openid-configuration",
                    "https://i.test/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://i.test:8443/realms/a",
                [
                    "https://i.test:8443/realms/a/.well-known/openid-configuration",
                    "https://i.test:8443/.well-known/oauth-authorization-server/realms/a",
                ],
            ),
            (
                "https://i.test/a%2fb/",
                [
                    "https://i.test/a%2fb/.well-known/openid-configuration",
                    "https://i.test/.well-known/oauth-authorization-server/a%2fb",
                ],
            ),
            (
                "http://127.0.0.1:1",
                [
                    "http://127.0.0.1:1/.well-known/openid-configuration",
                    "http://127.0.0.1:1/.well-known/oauth-authorization-server",
                ],
            ),
        ] {
            let found = Discovery::new(issuer).unwrap().addresses.map(String::from);
            assert_eq!(found, expected, "{issuer}");
        }
    }

    #[test]
    fn nothing_is_looked_for_where_anybody_could_answer() {
        for issuer in [
            "i.test",
            "http://i.test",
            "http://10.0.0.1",
            "ftp://i.test",
            "https://i.test?a=b",
            "https://i.test/#a",
            "https://user@i.test",
            "https://:secret@i.test",
        ] {
            assert!(Discovery::new(issuer).is_err(), "{issuer}");
        }
        for issuer in ["http://localhost:8080", "http://[::1]:8080", "http://127.0.0.2/a"] {
            assert!(Discovery::new(issuer).is_ok(), "{issuer}");
        }
    }

    #[test]
    fn only_the_issuers_own_word_on_its_keys_is_taken() {
        let https = Discovery::new("https://i.test/a").unwrap();
        let place = https.read(
            br#"{"issuer":"https://i.test/a","jwks_uri":"https://keys.test:8443/j?k=1","x":[1.5]}"#,
        );
        let expected = Place {
            url: "https://keys.test:8443/j?k=1".to_owned(),
            shown: "https://keys.test:8443".to_owned(),
        };
        assert_eq!(place.unwrap(), expected);
        for (metadata, expected) in [
            (r#"{"issuer":"https://i.test/a/","jwks_uri":"https://k.test"}"#, "another issuer"),
            (r#"{"issuer":"https://I.test/a","jwks_uri":"https://k.test"}"#, "another issuer"),
            (r#"{"jwks_uri":"https://k.test"}"#, "another issuer"),
            (r#"{"issuer":["https://i.test/a"],"jwks_uri":"https://k.test"}"#, "another issuer"),
            (r#"{"issuer":"https://i.test/a"}"#, "no `jwks_uri`"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"/j"}"#, "no URL"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"http://i.test/j"}"#, "not https"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"http://127.0.0.1/j"}"#, "not https"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"file:///etc/passwd"}"#, "not https"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://u@k.test"}"#, "a user"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://k.test/#f"}"#, "a fragment"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://127.1/j"}"#, "internal"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://10.0.0.1:8443/"}"#, "internal"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://169.254.169.254"}"#, "internal"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://[fd00::1]/j"}"#, "internal"),
            (r#"{"issuer":"https://i.test/a","jwks_uri":"https://localhost/j"}"#, "internal"),
            (r#"{"issuer":"https://i.test/a","issuer":"b"}"#, "not JSON"),
            ("<html>", "not JSON"),
        ] {
            let error = format!("{:#}", https.read(metadata.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{metadata}: {error}");
        }
        // An issuer inside has its keys beside it, and nowhere else inside.
        let inside = Discovery::new("https://10.0.0.1").unwrap();
        for (keys, expected) in [("https://10.0.0.1:8443/j", true), ("https://10.0.0.2/j", false)] {
            let metadata = format!(r#"{{"issuer":"https://10.0.0.1","jwks_uri":"{keys}"}}"#);
            assert_eq!(inside.read(metadata.as_bytes()).is_ok(), expected, "{keys}");
        }
        let local = Discovery::new("http://localhost:8080").unwrap();
        let at = |keys: &str| {
            local.read(
                format!(r#"{{"issuer":"http://localhost:8080","jwks_uri":"{keys}"}}"#).as_bytes(),
            )
        };
        for (keys, expected) in [
            ("http://127.0.0.1:8081/j", true),
            ("https://k.test/j", true),
            ("http://k.test/j", false),
        ] {
            assert_eq!(at(keys).is_ok(), expected, "{keys}");
        }
    }
}
