//! The signed examples of RFC 7515 (appendix A) and RFC 8037 (appendix A.4), and what the RFCs
//! show as not to be accepted.

use postern_jose::{Algorithm, SignatureVerifier, TokenError};

use super::{encoded, is_unsupported, judge, key_of, set_of};

/// RFC 7515 A.2.
const A2_KEY: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const A2: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515 A.3.
const A3_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7515 A.4.
const A4_KEY: &str = r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#;
const A4: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
/// RFC 8037 A.2, A.4.
const ED_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

const EXAMPLES: [(&str, &str, Algorithm); 4] = [
    (A2_KEY, A2, Algorithm::Rs256),
    (A3_KEY, A3, Algorithm::Es256),
    (A4_KEY, A4, Algorithm::Es512),
    (ED_KEY, ED, Algorithm::EdDsa),
];

/// Tries all examples.
pub fn check(verifier: &mut dyn SignatureVerifier, supports: impl Fn(Algorithm) -> bool) {
    for (jwk, jws, algorithm) in EXAMPLES {
        assert_eq!(key_of(jwk).algorithm, algorithm);
        let judged = judge(jws, &set_of(jwk), verifier);
        if supports(algorithm) {
            assert_eq!(judged, Ok(()), "{algorithm:?}");
        } else {
            assert!(is_unsupported(judged), "{algorithm:?}: {judged:?}");
        }
        for (other, _, other_algorithm) in EXAMPLES {
            if other_algorithm != algorithm {
                assert_eq!(judge(jws, &set_of(other), verifier), Err(TokenError::Key));
            }
        }
    }
    not_to_be_accepted(verifier);
}

fn not_to_be_accepted(verifier: &mut dyn SignatureVerifier) {
    let keys = set_of(A3_KEY);
    let (_, signed) = A3.split_once('.').unwrap();
    let (payload, _) = signed.split_once('.').unwrap();
    for (what, jws, expected) in [
        // RFC 7515 A.1 and A.5: an HMAC, and nothing at all.
        (
            "HS256",
            format!(
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            ),
            TokenError::Algorithm,
        ),
        ("none", format!("eyJhbGciOiJub25lIn0.{payload}."), TokenError::Algorithm),
        // RFC 7515 appendix E: a critical extension that nobody knows.
        (
            "crit",
            format!(
                "{}.{signed}",
                encoded(
                    r#"{"alg":"ES256","crit":["http://example.com/UNDEFINED"],"http://example.com/UNDEFINED":true}"#
                )
            ),
            TokenError::Critical,
        ),
        // RFC 8725 §3.11: a token of another kind.
        (
            "typ",
            format!("{}.{signed}", encoded(r#"{"alg":"ES256","typ":"secevent+jwt"}"#)),
            TokenError::Type,
        ),
        // RFC 7516: five parts are encrypted, not signed.
        ("JWE", format!("{A3}.AA.AA"), TokenError::Form),
    ] {
        assert_eq!(judge(&jws, &keys, verifier), Err(expected), "{what}");
    }
}
