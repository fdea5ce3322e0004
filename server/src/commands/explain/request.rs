//! The request that the command line describes.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Error, Result, bail};
use postern_document::Document;
use postern_explain::{GivenClaims, GivenSession, Request, Shown, peer_id};
use postern_request::principal::Credential;
use postern_request::{Principal, UnixMillis, headers};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::known;
use crate::cli::Explain;
use crate::settings;

/// Longest credential that is read from standard input.
const MAX_INPUT: u64 = 65_536;
/// How long a token lives that does not say so.
const LIFE_SECS: u64 = 600;

/// Reads it.
///
/// # Errors
/// When the URL is none, or a file cannot be read or is not what it should be.
pub fn read(document: &Document, arguments: &Explain, now: UnixMillis) -> Result<Request> {
    let (scheme, authority, target) = split(&arguments.url, arguments.host.as_deref())?;
    let mut sent: Vec<(String, Vec<u8>)> = Vec::with_capacity(arguments.headers.len() + 1);
    for (index, text) in arguments.headers.iter().enumerate() {
        let nth = || format!("--header, number {} of them", index + 1);
        let (name, value) = header(text).with_context(nth)?;
        sent.push((name, value.into_bytes()));
    }
    let mut shown = Shown::Headers;
    if let Some(token) = &arguments.token {
        let token = secret(token)?;
        // RFC 9449 §7.1: the scheme says that a proof comes along.
        let with_proof = sent.iter().any(|(name, _)| name == headers::DPOP);
        let scheme = if with_proof { "DPoP" } else { "Bearer" };
        sent.push((headers::AUTHORIZATION.to_owned(), format!("{scheme} {token}").into_bytes()));
    }
    if let Some(key) = &arguments.api_key {
        sent.push((headers::API_KEY.to_owned(), secret(key)?.into_bytes()));
    }
    if let Some(claims) = &arguments.claims {
        let claims = claims_of(document, arguments, claims, now)?;
        let given = GivenClaims { claims, with_proof: arguments.with_proof };
        shown = Shown::Claims(Box::new(given));
    }
    if let Some(session) = &arguments.session {
        if document.session.is_none() {
            bail!("--session: the document takes no sessions");
        }
        shown = Shown::Session(Box::new(session_of(session)?));
    }
    let certificate = arguments.certificate.as_deref().map(certificate).transpose()?;
    let peer = match &arguments.peer {
        Some(peer) => Some(peer_id(document, peer).map_err(Error::msg).context("--peer")?),
        None => None,
    };
    Ok(Request {
        method: arguments.method.clone(),
        scheme,
        authority,
        target,
        headers: sent,
        address: Some(arguments.address),
        certificate,
        peer,
        shown,
    })
}

/// Name and value. Names are compared in lower case. What is wrong is told without either: who
/// forgets the colon may have written a token.
fn header(text: &str) -> Result<(String, String)> {
    let expected = "this is not NAME:VALUE, for example accept:text/html";
    let (name, value) = text.split_once(':').context(expected)?;
    let is_name = |b: u8| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&b);
    if name.is_empty() || !name.bytes().all(is_name) {
        bail!(expected);
    }
    if name.eq_ignore_ascii_case("host") {
        bail!("the host stands in the URL, or in --host: with another one it is another request");
    }
    if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        bail!("a header's value has no control characters");
    }
    Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// Scheme, authority, and path with query. What is wrong is told without any of it: there may be
/// a password or a token in there.
fn split(url: &str, host: Option<&str>) -> Result<(String, String, String)> {
    if let Some(host) = host {
        if !url.starts_with('/') {
            bail!("with --host, the URL must be a path, for example /payments/charges");
        }
        if host.contains('@') {
            bail!("--host: a host has no user in front of it");
        }
        return Ok(("https".to_owned(), host.to_owned(), url.to_owned()));
    }
    if url.starts_with('/') {
        bail!("a path alone is not a URL: name its host with --host");
    }
    let expected = "this is not a URL such as https://api.example.test/payments";
    let (scheme, rest) = url.split_once("://").context(expected)?;
    let scheme = scheme.to_ascii_lowercase();
    // No client sends what is behind a `#`.
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).context(expected)?;
    if authority.contains('@') {
        bail!("a URL has no user and no password here: write what they mean as a --header");
    }
    if !["http", "https"].contains(&scheme.as_str()) || authority.is_empty() {
        bail!(expected);
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((scheme, authority.to_owned(), [slash, target].concat()))
}

/// What the command line says, or with `-` standard input.
fn secret(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    std::io::stdin().take(MAX_INPUT).read_to_string(&mut read)?;
    Ok(read.trim().to_owned())
}

/// The claims, with what the document asks of tokens where they say nothing of it.
fn claims_of(
    document: &Document,
    arguments: &Explain,
    text: &str,
    now: UnixMillis,
) -> Result<String> {
    let text = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("--claims: cannot read {path}"))?,
    };
    let claims: Value = serde_json::from_str(&text).context("--claims: not JSON")?;
    let Value::Object(mut claims) = claims else {
        bail!("--claims: write an object, for example {{\"sub\": \"alice\"}}");
    };
    if !claims.contains_key("iss") {
        let name = match (&arguments.issuer, document.issuers.as_slice()) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.issuer.issuer.clone(),
            (None, []) => bail!("--claims: the document takes no tokens"),
            (None, _) => bail!("--claims: say by --issuer, or by `iss`, whose they are"),
        };
        claims.insert("iss".to_owned(), json!(name));
    }
    fill_in(document, &mut claims, now);
    Ok(Value::Object(claims).to_string())
}

fn fill_in(document: &Document, claims: &mut Map<String, Value>, now: UnixMillis) {
    let name = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let entry = known::issuer(document, name).ok().and_then(|at| document.issuers.get(at));
    let audience = entry.and_then(|entry| entry.issuer.audiences.first());
    if let (Some(audience), false) = (audience, claims.contains_key("aud")) {
        claims.insert("aud".to_owned(), json!(audience));
    }
    if !claims.contains_key("exp") {
        claims.insert("exp".to_owned(), json!(now.as_secs() + LIFE_SECS));
    }
}

/// A session that counts as known.
fn session_of(text: &str) -> Result<GivenSession> {
    let session: Value = serde_json::from_str(text).context("--session: not JSON")?;
    let Value::Object(members) = session else {
        bail!("--session: write an object, for example {{\"subject\": \"alice\"}}");
    };
    let mut given = GivenSession {
        principal: Principal { credential: Credential::Session, ..Principal::default() },
        mfa_age_secs: None,
    };
    let known = &mut given.principal;
    for (name, value) in &members {
        let text = || {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).with_context(|| format!("--session: `{name}` is a text"))
        };
        match name.as_str() {
            "subject" => known.subject = text()?,
            "tier" => known.tier = Some(text()?),
            "role" => known.role = Some(text()?),
            "mfa" => given.mfa_age_secs = Some(settings::seconds(&text()?)?),
            "scopes" => {
                let scopes = value.as_array().into_iter().flatten();
                let scopes = scopes.map(|scope| scope.as_str().map(str::to_owned));
                let scopes = scopes.collect::<Option<Vec<String>>>();
                let is_list = value.is_array();
                known.scopes =
                    scopes.filter(|_| is_list).context("--session: `scopes` is a list of texts")?;
            }
            _ => bail!("--session: there are subject, scopes, tier, role and mfa"),
        }
    }
    if known.subject.is_empty() {
        bail!("--session: `subject` is missing");
    }
    Ok(given)
}

/// SHA-256 of a certificate in DER (RFC 8705 §3.1).
fn certificate(path: &Path) -> Result<[u8; 32]> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let certificate = CertificateDer::pem_slice_iter(&pem).next();
    let certificate = certificate.and_then(Result::ok);
    let certificate =
        certificate.with_context(|| format!("{} holds no certificate", path.display()))?;
    Ok(Sha256::digest(&certificate).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_as_a_client_would() {
        for (url, expected) in [
            ("https://a.test/b?c=d", ("https", "a.test", "/b?c=d")),
            ("HTTP://a.test:8080", ("http", "a.test:8080", "/")),
            ("https://a.test?c", ("https", "a.test", "/?c")),
            ("https://a.test/b#c", ("https", "a.test", "/b")),
            ("https://[::1]:1/%2e%2e/", ("https", "[::1]:1", "/%2e%2e/")),
        ] {
            let (scheme, authority, target) = split(url, None).unwrap();
            assert_eq!((scheme.as_str(), authority.as_str(), target.as_str()), expected, "{url}");
        }
        for bad in ["", "/a", "a.test/b", "ftp://a/b", "https:///b", "https://u@a.test/"] {
            assert!(split(bad, None).is_err(), "{bad}");
        }
        let told = split("/a", None).unwrap_err().to_string();
        assert!(told.contains("--host"), "{told}");
    }

    #[test]
    fn a_path_with_a_host_goes_as_it_is() {
        let (_, authority, target) = split("/a//b/../%2F#c", Some("a.test")).unwrap();
        assert_eq!((authority.as_str(), target.as_str()), ("a.test", "/a//b/../%2F#c"));
        assert!(split("https://a.test/", Some("a.test")).is_err());
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let read = header("X-A: b:c ").unwrap();
        assert_eq!(read, ("x-a".to_owned(), "b:c".to_owned()));
        for (text, expected) in [
            ("plain", "NAME:VALUE"),
            ("a b:c", "NAME:VALUE"),
            (":c", "NAME:VALUE"),
            ("a:b\nc", "control"),
            ("Host: b.test", "--host"),
        ] {
            let error = header(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_session_is_somebodys() {
        let text =
            r#"{"subject": "alice", "scopes": ["read", "write"], "tier": "gold", "mfa": "5m"}"#;
        let given = session_of(text).unwrap();
        assert_eq!((given.principal.subject.as_str(), given.mfa_age_secs), ("alice", Some(300)));
        assert_eq!(given.principal.scopes, ["read", "write"]);
        for bad in [
            "alice",
            "[]",
            "{}",
            r#"{"subject": ""}"#,
            r#"{"subject": "a", "scopes": "read"}"#,
            r#"{"subject": "a", "scopes": [1]}"#,
            r#"{"subject": "a", "mfa": "soon"}"#,
            r#"{"subject": "a", "cookie": "b"}"#,
        ] {
            assert!(session_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_repeat_nothing_of_what_may_be_a_secret() {
        let secret = "hush-hush";
        let errors = [
            header(&format!("authorization Bearer {secret}")).unwrap_err(),
            header(&format!("{secret} x:y")).unwrap_err(),
            header(&format!("host: {secret}")).unwrap_err(),
            split(&format!("https://user:{secret}@a.test/"), None).unwrap_err(),
            split(&format!("ftp://a.test/?access_token={secret}"), None).unwrap_err(),
            split(&format!("a.test/?access_token={secret}"), None).unwrap_err(),
            split(&format!("https://a.test/?at={secret}"), Some("a.test")).unwrap_err(),
            split("/a", Some(&format!("user:{secret}@a.test"))).unwrap_err(),
        ];
        for error in errors {
            assert!(!format!("{error:#}").contains(secret), "{error:#}");
        }
    }
}
