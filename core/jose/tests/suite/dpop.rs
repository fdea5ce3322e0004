//! DPoP proofs: those of RFC 9449, and what is wrong with others.

use jsonwebtoken::EncodingKey;
use postern_jose::dpop::{self, DpopError, DpopRequest, MAX_JTI_BYTES, MAX_PROOF_BYTES, Proof};
use postern_jose::soft::SoftVerifier;
use postern_jose::{Key, SignatureVerifier, VerifyError, base64url};
use postern_request::UnixMillis;
use serde_json::{Value, json};

use crate::support::encoded;

/// RFC 9449 §4.1, figure 2.
const TOKEN_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// RFC 9449 §7.1, figure 12, and the access token with it.
const RESOURCE_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const ACCESS_TOKEN: &[u8] = b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
/// RFC 9449 §6.1.
const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

const NOW: u64 = 1_562_262_700;

fn request<'a>(method: &'a str, url: &'a str) -> DpopRequest<'a> {
    DpopRequest {
        method,
        url,
        access_token_hash: None,
        nonces: &[],
        now: UnixMillis(NOW * 1000),
        max_age_secs: 120,
        leeway_secs: 5,
    }
}

#[test]
fn the_proofs_of_the_rfc_hold_for_their_requests() {
    let at_token = request("POST", "https://server.example.com/token");
    let proof = dpop::verify(TOKEN_PROOF, &at_token, &mut SoftVerifier).unwrap();
    assert_eq!(base64url::encode(&proof.thumbprint), THUMBPRINT);
    assert_eq!(proof.issued_at, 1_562_262_616);
    let at_resource = DpopRequest {
        access_token_hash: Some(dpop::access_token_hash(ACCESS_TOKEN)),
        ..request("GET", "https://resource.example.org/protectedresource?page=1")
    };
    let other = dpop::verify(RESOURCE_PROOF, &at_resource, &mut SoftVerifier).unwrap();
    assert_eq!(base64url::encode(&other.thumbprint), THUMBPRINT);
    assert_ne!(proof.jti_hash, other.jti_hash);

    let judge = |proof: &str, request: &DpopRequest<'_>| {
        dpop::verify(proof, request, &mut SoftVerifier).map(drop)
    };
    assert_eq!(judge(RESOURCE_PROOF, &at_token), Err(DpopError::Method));
    let elsewhere = DpopRequest { url: "https://resource.example.org/other", ..at_resource };
    assert_eq!(judge(RESOURCE_PROOF, &elsewhere), Err(DpopError::Url));
    let hash = dpop::access_token_hash(b"another token");
    let stolen = DpopRequest { access_token_hash: Some(hash), ..at_resource };
    assert_eq!(judge(RESOURCE_PROOF, &stolen), Err(DpopError::AccessToken));
    let unbound = DpopRequest { access_token_hash: Some(hash), ..at_token };
    assert_eq!(judge(TOKEN_PROOF, &unbound), Err(DpopError::AccessToken));
    for (now, expected) in [
        (1_562_262_616 - 6, Err(DpopError::Time)),
        (1_562_262_616 - 5, Ok(())),
        (1_562_262_616 + 125, Ok(())),
        (1_562_262_616 + 126, Err(DpopError::Time)),
        (0, Err(DpopError::Time)),
    ] {
        let then = DpopRequest { now: UnixMillis(now * 1000), ..at_token };
        assert_eq!(judge(TOKEN_PROOF, &then), expected, "{now}");
    }
}

fn header() -> Value {
    let keys: Value = serde_json::from_str(include_str!("../keys/jwks.json")).unwrap();
    let key = &keys["keys"][1];
    json!({
        "typ": "dpop+jwt", "alg": "ES256",
        "jwk": {"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"]},
    })
}

fn claims() -> Value {
    json!({
        "jti": "j1", "htm": "GET", "htu": "https://a.test/x", "iat": NOW, "nonce": "n2",
        "ath": base64url::encode(&dpop::access_token_hash(b"token")),
    })
}

fn signed(header: &Value, claims: &str) -> String {
    let input = format!("{}.{}", encoded(&header.to_string()), encoded(claims));
    let key = EncodingKey::from_ec_pem(include_bytes!("../keys/ec-private.pem")).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(input.as_bytes(), &key, jsonwebtoken::Algorithm::ES256).unwrap();
    format!("{input}.{signature}")
}

fn judge(proof: &str) -> Result<Proof, DpopError> {
    let request = DpopRequest {
        access_token_hash: Some(dpop::access_token_hash(b"token")),
        nonces: &["n1", "n2"],
        ..request("GET", "https://a.test/x")
    };
    dpop::verify(proof, &request, &mut SoftVerifier)
}

/// The good proof with members of its header set, or taken away by null.
fn with_header(changes: &Value) -> Result<Proof, DpopError> {
    judge(&signed(&changed(header(), changes), &claims().to_string()))
}

fn with_claims(changes: &Value) -> Result<Proof, DpopError> {
    judge(&signed(&header(), &changed(claims(), changes).to_string()))
}

fn changed(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

#[test]
fn headers_must_be_those_of_a_proof() {
    assert!(with_header(&json!({})).is_ok());
    assert!(
        with_header(&json!({"typ": "DPoP+JWT", "kid": "x", "x5u": "https://evil.test"})).is_ok()
    );
    let jwk = header()["jwk"].clone();
    let key = |changes: Value| json!({"jwk": changed(jwk.clone(), &changes)});
    for (changes, expected) in [
        (json!({"typ": null}), DpopError::Type),
        (json!({"typ": "at+jwt"}), DpopError::Type),
        (json!({"typ": "JWT"}), DpopError::Type),
        (json!({"alg": "none"}), DpopError::Algorithm),
        (json!({"alg": "HS256"}), DpopError::Algorithm),
        (json!({"alg": null}), DpopError::Form),
        (json!({"crit": ["exp"]}), DpopError::Form),
        (json!({"jwk": null}), DpopError::Key),
        (json!({"jwk": "key"}), DpopError::Key),
        (json!({"jwk": {"kty": "oct", "k": "c2VjcmV0"}}), DpopError::Key),
        (json!({"alg": "RS256"}), DpopError::Key),
        (json!({"alg": "ES384"}), DpopError::Key),
        (key(json!({"d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"})), DpopError::Key),
        (key(json!({"alg": "ES384"})), DpopError::Key),
        (key(json!({"use": "enc"})), DpopError::Key),
        (key(json!({"x": "AAAA"})), DpopError::Key),
        // Somebody else's key: RFC 7517 A.1.
        (
            key(json!({"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                       "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})),
            DpopError::Signature,
        ),
    ] {
        assert_eq!(with_header(&changes).err(), Some(expected), "{changes}");
    }
}

#[test]
fn claims_must_be_those_of_the_request() {
    for changes in [
        json!({"htu": "HTTPS://A.test:443/x?y#z"}),
        json!({"nonce": "n1"}),
        json!({"iat": NOW as f64 - 0.5}),
        json!({"iat": NOW + 5, "exp": 1, "nbf": u64::MAX}),
        json!({"jti": "j".repeat(MAX_JTI_BYTES)}),
    ] {
        assert!(with_claims(&changes).is_ok(), "{changes}");
    }
    for (changes, expected) in [
        (json!({"jti": null}), DpopError::Claims),
        (json!({"jti": ""}), DpopError::Claims),
        (json!({"jti": 7}), DpopError::Claims),
        (json!({"jti": "j".repeat(MAX_JTI_BYTES + 1)}), DpopError::Claims),
        (json!({"htm": null}), DpopError::Claims),
        (json!({"htm": "get"}), DpopError::Method),
        (json!({"htm": "POST"}), DpopError::Method),
        (json!({"htu": null}), DpopError::Claims),
        (json!({"htu": ["https://a.test/x"]}), DpopError::Claims),
        (json!({"htu": "/x"}), DpopError::Url),
        (json!({"htu": "http://a.test/x"}), DpopError::Url),
        (json!({"iat": null}), DpopError::Claims),
        (json!({"iat": "now"}), DpopError::Claims),
        (json!({"iat": -1}), DpopError::Claims),
        (json!({"iat": NOW + 6}), DpopError::Time),
        (json!({"iat": NOW - 126}), DpopError::Time),
        (json!({"ath": null}), DpopError::AccessToken),
        (json!({"ath": "AAAA"}), DpopError::AccessToken),
        (json!({"ath": 7}), DpopError::Claims),
        (json!({"nonce": null}), DpopError::Nonce),
        (json!({"nonce": "n3"}), DpopError::Nonce),
        (json!({"nonce": ""}), DpopError::Nonce),
    ] {
        assert_eq!(with_claims(&changes).err(), Some(expected), "{changes}");
    }
    let twice = claims().to_string().replacen('{', "{\"jti\":\"j0\",", 1);
    assert_eq!(judge(&signed(&header(), &twice)).err(), Some(DpopError::Claims));
}

#[test]
fn a_proof_is_remembered_by_its_key_and_id() {
    let first = with_claims(&json!({})).unwrap();
    assert_eq!(first, with_claims(&json!({"htu": "https://a.test/x?again"})).unwrap());
    assert_ne!(first.jti_hash, with_claims(&json!({"jti": "j2"})).unwrap().jti_hash);
}

#[test]
fn what_is_no_proof_is_refused_before_it_costs_anything() {
    let good = signed(&header(), &claims().to_string());
    let (input, signature) = good.rsplit_once('.').unwrap();
    for (bad, expected) in [
        (String::new(), DpopError::Form),
        (format!("{good}.x"), DpopError::Form),
        (format!("{good}="), DpopError::Form),
        (format!(" {good}"), DpopError::Form),
        (format!("{good}, {good}"), DpopError::Form),
        (input.to_owned(), DpopError::Form),
        (format!("{input}."), DpopError::Signature),
        (format!("{input}.AAAA"), DpopError::Signature),
        (format!("{input}.{}", "A".repeat(signature.len())), DpopError::Signature),
        ("A".repeat(MAX_PROOF_BYTES + 1), DpopError::Form),
    ] {
        assert_eq!(judge(&bad).err(), Some(expected), "{bad:.60}");
    }
}

#[test]
fn what_cannot_be_checked_is_not_the_proofs_fault() {
    struct Spent;
    impl SignatureVerifier for Spent {
        fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
            Err(VerifyError::Budget)
        }
    }
    let at_token = request("POST", "https://server.example.com/token");
    let judged = dpop::verify(TOKEN_PROOF, &at_token, &mut Spent);
    assert_eq!(judged.err(), Some(DpopError::Unverified(VerifyError::Budget)));
}
