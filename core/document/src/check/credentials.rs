//! API keys, and what scopes are made of.

use std::collections::BTreeSet;

use postern_request::api_key;
use postern_request::headers::is_identity_value;
use postern_request::principal::{Credential, Principal};

use crate::digest;
use crate::model::ApiKey;
use crate::problem::{Problems, told};
use crate::raw::{RawApiKey, RawCredentials, Text};

pub(super) fn check(raw: Option<&RawCredentials>, problems: &mut Problems) -> Vec<ApiKey> {
    let mut keys: Vec<ApiKey> = Vec::new();
    let api_key = raw.and_then(|raw| raw.api_key.as_ref());
    for (at, key) in api_key.into_iter().flat_map(|api_key| api_key.keys.iter().enumerate()) {
        let path = told!("credentials.api_key.keys[{at}]");
        if keys.iter().any(|known| known.id == key.id.value) {
            problems.report_as(key.id.at, &path, "this key's id is there twice");
        }
        keys.extend(check_key(key, &path, problems));
    }
    keys
}

/// RFC 6749 §3.3
pub(super) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn check_key(raw: &RawApiKey, path: &str, problems: &mut Problems) -> Option<ApiKey> {
    if !api_key::is_id(&raw.id) {
        let message = "an id is 1 to 64 letters and digits";
        problems.report_as(raw.id.at, &told!("{path}.id"), message);
    }
    let texts = [Some(&raw.subject), raw.client_id.as_ref(), raw.tier.as_ref()];
    for text in texts.into_iter().flatten().chain(&raw.scopes) {
        if !is_identity_value(text) {
            let message = "expected a text that can stand in a header, without space at its ends";
            problems.report_as(text.at, path, message);
        }
    }
    if let Some(scope) = raw.scopes.iter().find(|scope| !is_scope(scope)) {
        problems.report_as(scope.at, path, "a scope has no spaces, quotes or backslashes");
    }
    let mut seen = BTreeSet::new();
    if let Some(scope) = raw.scopes.iter().find(|scope| !seen.insert(scope.as_str())) {
        problems.report_as(scope.at, path, "this scope is there twice");
    }
    let sha256 = digest::sha256_from_hex(&raw.sha256);
    if sha256.is_none() {
        let message = "expected SHA-256 of the whole key, 64 hexadecimal digits";
        problems.report_as(raw.sha256.at, &told!("{path}.sha256"), message);
    }
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone());
    Some(ApiKey {
        id: raw.id.value.clone(),
        sha256: sha256?,
        principal: Principal {
            subject: raw.subject.value.clone(),
            client_id: text(&raw.client_id),
            scopes: raw.scopes.iter().map(|scope| scope.value.clone()).collect(),
            tier: text(&raw.tier),
            credential: Credential::ApiKey,
            ..Principal::default()
        },
    })
}
