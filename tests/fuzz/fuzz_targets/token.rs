//! A token and a key set of anybody's making: nothing panics, and nothing verifies that was not
//! signed by the one key (of which the fuzzer has no private half).

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_jose::soft::SoftVerifier;
use postern_jose::{ClaimsRules, Issuer, KeySet};
use postern_request::UnixMillis;

const KEYS: &str = include_str!("../../../core/jose/tests/keys/jwks.json");

fuzz_target!(|input: &[u8]| {
    let _ = KeySet::parse(input);
    let Ok(token) = core::str::from_utf8(input) else { return };
    let issuers = [Issuer {
        issuer: "https://i.test".to_owned(),
        audiences: vec!["g".to_owned()],
        leeway_secs: 60,
        access_token_type_only: false,
        rules: ClaimsRules {
            claim_headers: vec![("x-tenant".to_owned(), "tenant".to_owned())],
            required: vec!["org.id".to_owned()],
            kept: vec!["role".to_owned(), "org.id".to_owned()],
        },
    }];
    let Ok(keys) = KeySet::parse(KEYS.as_bytes()) else { return };
    // Whole tokens as they come, and the three parts from plain text, so that the fuzzer need
    // not learn base64url first.
    let encode = |text: &str| postern_jose::base64url::encode(text.as_bytes());
    let spelled = token.split('\n').map(encode).collect::<Vec<_>>().join(".");
    for token in [token, spelled.as_str()] {
        let verified = postern_jose::verify(
            token,
            &issuers,
            |_| Some(&keys),
            &mut SoftVerifier,
            UnixMillis(1_000_000),
        );
        assert!(verified.is_err(), "a signature out of nothing");
    }
});
