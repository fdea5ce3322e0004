//! What options say of a client.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use postern_identity::admin::ClientEdit;
use postern_oauth::{AuthMethod, GrantType};

use crate::cli::ClientDetails;
use crate::settings::{self, Bounds};

/// How long refresh tokens may live.
const REFRESH_LIFETIME: Bounds = Bounds { secs: 60..=31_536_000, written: "1m to 365d" };
/// More than any key set that is kept has.
const MAX_JWKS_BYTES: u64 = 65_536;

/// Reads the options that say how a client is, when it is made and later.
///
/// # Errors
/// When a value is none, or a file cannot be read.
pub fn read(details: &ClientDetails) -> Result<ClientEdit> {
    let mut grants = Vec::with_capacity(details.grants.len());
    for name in &details.grants {
        let grant =
            grant(name).with_context(|| format!("--grant: choose of {}", GRANTS.join(", ")))?;
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    let method = match details.auth_method.as_deref().map(AuthMethod::parse) {
        Some(None) => {
            let known: Vec<_> = AuthMethod::ALL.into_iter().map(AuthMethod::as_str).collect();
            bail!("--auth-method: choose of {}", known.join(", "));
        }
        Some(method) => method,
        None => None,
    };
    let read = |text| settings::seconds_within("--refresh-lifetime", text, &REFRESH_LIFETIME);
    let lifetime = details.refresh_lifetime.as_deref().map(read).transpose()?;
    let jwks = details.jwks.as_deref().map(key_set).transpose()?;
    // Of keys and where they are one holds: the other one makes room.
    let (jwks, jwks_uri) = match (jwks, &details.jwks_uri) {
        (Some(jwks), _) => (Some(Some(jwks)), Some(None)),
        (None, Some(uri)) => (Some(None), Some(Some(uri.clone()))),
        (None, None) => (None, None),
    };
    Ok(ClientEdit {
        grant_types: (!grants.is_empty()).then_some(grants),
        auth_method: method,
        jwks,
        jwks_uri,
        tls_subject: details.tls_subject.clone().map(Some),
        post_logout_redirect_uris: said(&details.post_logout_redirect_uris),
        resources: said(&details.resources),
        may_act_for: said(&details.may_act_for),
        may_introspect: said(&details.may_introspect),
        require_par: details.require_par.then_some(true),
        bind_dpop: details.bind_dpop.then_some(true),
        refresh_token_lifetime_secs: lifetime,
        ..ClientEdit::default()
    })
}

fn said(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// Grants, as the command line calls them.
const GRANTS: [&str; 5] =
    ["client_credentials", "authorization_code", "refresh_token", DEVICE_CODE, TOKEN_EXCHANGE];
const DEVICE_CODE: &str = "device_code";
const TOKEN_EXCHANGE: &str = "token_exchange";

/// A grant by its name, or as `grant_type` spells it.
fn grant(name: &str) -> Option<GrantType> {
    match name {
        DEVICE_CODE => Some(GrantType::DeviceCode),
        TOKEN_EXCHANGE => Some(GrantType::TokenExchange),
        name => GrantType::parse(name),
    }
}

fn key_set(file: &Path) -> Result<String> {
    let place = || format!("--jwks {}", file.display());
    let mut text = String::new();
    let opened = File::open(file).with_context(place)?;
    opened.take(MAX_JWKS_BYTES).read_to_string(&mut text).with_context(place)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_have_short_names_and_those_of_the_protocol() {
        for grant_type in GrantType::ALL {
            assert_eq!(grant(grant_type.as_str()), Some(grant_type));
        }
        for (name, at) in GRANTS.into_iter().zip(GrantType::ALL) {
            assert_eq!(grant(name), Some(at), "{name}");
        }
        assert_eq!((grant("password"), grant("")), (None, None));
        let wrong = ClientDetails { grants: vec!["password".to_owned()], ..Default::default() };
        let told = read(&wrong).unwrap_err().to_string();
        assert!(told.contains("device_code") && told.contains("token_exchange"), "{told}");
    }

    #[test]
    fn what_is_not_said_stays_and_what_is_said_is_all_of_it() {
        assert_eq!(read(&ClientDetails::default()).unwrap(), ClientEdit::default());
        let may_act_for = vec!["portal".to_owned(), "*".to_owned()];
        let may_introspect = vec!["https://api.example".to_owned()];
        let said = ClientDetails {
            may_act_for: may_act_for.clone(),
            may_introspect: may_introspect.clone(),
            ..ClientDetails::default()
        };
        let expected = ClientEdit {
            may_act_for: Some(may_act_for),
            may_introspect: Some(may_introspect),
            ..ClientEdit::default()
        };
        assert_eq!(read(&said).unwrap(), expected);
    }
}
