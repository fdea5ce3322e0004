use super::*;
use postern_request::json;

const EC: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
const OKP: &str =
    r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

fn read(jwk: &str) -> Result<Key, &'static str> {
    Key::read(&json::parse(jwk.as_bytes()).unwrap(), None)
}

fn ec(extra: &str) -> String {
    format!("{{{EC}{extra}}}")
}

fn rsa(n: &[u8], e: &[u8], extra: &str) -> String {
    let (n, e) = (base64url::encode(n), base64url::encode(e));
    format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"{extra}}}"#)
}

fn on_curve(curve: Curve, length: usize) -> String {
    let (crv, x) = (curve.as_str(), base64url::encode(&vec![1; length]));
    format!(r#"{{"kty":"EC","crv":"{crv}","x":"{x}","y":"{x}"}}"#)
}

/// RFC 7517 A.1.
#[test]
fn the_keys_of_the_rfcs_are_read() {
    let key = read(&ec(r#","use":"sig","kid":"1","alg":"ES256""#)).unwrap();
    assert_eq!((key.id.as_deref(), key.algorithm), (Some("1"), Algorithm::Es256));
    assert_eq!((key.spki.len(), key.signature_bytes()), (91, 64));
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc\
             _BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR\
             0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTW\
             hAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwk = format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}"#);
    let key = read(&jwk).unwrap();
    assert_eq!((key.algorithm, key.signature_bytes()), (Algorithm::Rs256, 256));
    // RFC 7638 §3.1.
    let thumbprint = base64url::encode(&key.thumbprint());
    assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 A.2, A.3.
    let key = read(&format!("{{{OKP}}}")).unwrap();
    assert_eq!((key.algorithm, key.signature_bytes()), (Algorithm::EdDsa, 64));
    let thumbprint = base64url::encode(&key.thumbprint());
    assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_is_bound_to_one_algorithm() {
    for algorithm in Algorithm::ALL {
        let alg = format!(r#","alg":"{}""#, algorithm.as_str());
        let jwks = [
            (KeyType::Rsa, rsa(&[0xff; 256], &[1, 0, 1], &alg)),
            (KeyType::Ec(Curve::P256), ec(&alg)),
            (
                KeyType::Ec(Curve::P384),
                on_curve(Curve::P384, 48).replacen('}', &format!("{alg}}}"), 1),
            ),
            (
                KeyType::Ec(Curve::P521),
                on_curve(Curve::P521, 66).replacen('}', &format!("{alg}}}"), 1),
            ),
            (KeyType::Ed25519, format!("{{{OKP}{alg}}}")),
        ];
        for (key_type, jwk) in jwks {
            let bound = read(&jwk).map(|key| key.algorithm).ok();
            let fits = algorithm.key_type() == key_type;
            assert_eq!(bound, fits.then_some(algorithm), "{key_type:?} {algorithm:?}");
        }
    }
    let unnamed = read(&rsa(&[0xff; 256], &[1, 0, 1], "")).unwrap();
    assert_eq!(unnamed.algorithm, Algorithm::Rs256, "and none of the other five");
    assert_eq!(read(&format!(r#"{{{OKP},"alg":"Ed25519"}}"#)).unwrap().algorithm, Algorithm::EdDsa);
    for other in ["none", "HS256", "RSA-OAEP", "ECDH-ES", ""] {
        assert!(read(&ec(&format!(r#","alg":"{other}""#))).is_err(), "{other}");
    }
}

#[test]
fn an_embedded_key_takes_the_algorithm_of_its_header() {
    let read = |jwk: &str, wanted| {
        let jwk = json::parse(jwk.as_bytes()).unwrap();
        Key::read(&jwk, Some(wanted)).map(|key| key.algorithm).ok()
    };
    let plain = rsa(&[0xff; 256], &[1, 0, 1], "");
    assert_eq!(read(&plain, Algorithm::Ps384), Some(Algorithm::Ps384));
    assert_eq!(read(&plain, Algorithm::Es256), None);
    let named = rsa(&[0xff; 256], &[1, 0, 1], r#","alg":"RS512""#);
    assert_eq!(read(&named, Algorithm::Rs512), Some(Algorithm::Rs512));
    assert_eq!(read(&named, Algorithm::Rs256), None);
    assert_eq!(read(&ec(""), Algorithm::Es384), None);
}

#[test]
fn unusable_keys_are_refused() {
    let even = [&[0xff; 255][..], &[0xfe]].concat();
    let short = [&[0x7f][..], &[0xff; 255]].concat();
    for bad in [
        ec(r#","use":"enc""#),
        ec(r#","use":7"#),
        ec(r#","key_ops":["sign"]"#),
        ec(r#","key_ops":"verify""#),
        ec(r#","key_ops":[]"#),
        ec(r#","alg":1"#),
        ec(r#","kid":7"#),
        ec(&format!(r#","kid":"{}""#, "k".repeat(257))),
        ec(r#","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE""#),
        EC.replace("P-256", "P-384").replacen('"', "{\"", 1) + "}",
        EC.replace("P-256", "secp256k1").replacen('"', "{\"", 1) + "}",
        on_curve(Curve::P256, 31),
        on_curve(Curve::P384, 49),
        on_curve(Curve::P521, 65),
        r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
        r#"{"kty":"RSA","n":"!","e":"AQAB"}"#.to_owned(),
        r#"{"kty":"rsa"}"#.to_owned(),
        r#"{"kty":"OKP","crv":"Ed448","x":"AAAA"}"#.to_owned(),
        r#"{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
            .to_owned(),
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qY"}"#.to_owned(),
        rsa(&[0xff; 128], &[1, 0, 1], ""),
        rsa(&[0xff; 255], &[1, 0, 1], ""),
        rsa(&short, &[1, 0, 1], ""),
        rsa(&even, &[1, 0, 1], ""),
        rsa(&[0xff; 1025], &[1, 0, 1], ""),
        rsa(&[0xff; 256], &[], ""),
        rsa(&[0xff; 256], &[0], ""),
        rsa(&[0xff; 256], &[1], ""),
        rsa(&[0xff; 256], &[1, 0, 0], ""),
        rsa(&[0xff; 256], &[1, 0, 0, 0, 1], ""),
        rsa(&[0xff; 256], &[1, 0, 1], r#","d":"AQAB""#),
        rsa(&[0xff; 256], &[1, 0, 1], r#","p":"AQAB""#),
        "7".to_owned(),
    ] {
        assert!(read(&bad).is_err(), "{bad}");
    }
}

#[test]
fn zeros_in_front_make_no_other_key() {
    let plain = read(&rsa(&[0xff; 256], &[1, 0, 1], "")).unwrap();
    let padded = [&[0, 0][..], &[0xff; 256]].concat();
    assert_eq!(read(&rsa(&padded, &[0, 1, 0, 1], "")).unwrap(), plain);
}

#[test]
fn points_of_small_order_are_no_keys() {
    for mut point in SMALL_ORDER {
        for sign in [0, 0x80] {
            point[31] |= sign;
            let x = base64url::encode(&point);
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
            assert_eq!(read(&jwk).err(), Some("x is a point of small order"));
        }
    }
}
