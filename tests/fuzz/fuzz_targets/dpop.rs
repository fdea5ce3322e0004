//! A DPoP proof of anybody's making, for a request that one proof is good for: nothing panics,
//! and nothing passes but by the one key that has made that proof.
//!
//! Input: a proof, or its three parts in lines of plain text (the signature in base64url).

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_jose::base64url;
use postern_jose::dpop::{DpopRequest, verify};
use postern_jose::soft::SoftVerifier;
use postern_request::UnixMillis;

/// RFC 9449 §6.1: the key of its examples.
const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fuzz_target!(|input: &str| {
    let request = DpopRequest {
        method: "POST",
        url: "https://server.example.com/token",
        access_token_hash: None,
        nonces: &[],
        now: UnixMillis(1_562_262_700_000),
        max_age_secs: 300,
        leeway_secs: 5,
    };
    let mut lines = input.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (header, claims, signature) = (next(), next(), next());
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let spelled = format!("{}.{}.{signature}", encode(header), encode(claims));
    for proof in [input, spelled.as_str()] {
        if let Ok(proof) = verify(proof, &request, &mut SoftVerifier) {
            assert_eq!(base64url::encode(&proof.thumbprint), THUMBPRINT, "by another's key");
        }
    }
});
