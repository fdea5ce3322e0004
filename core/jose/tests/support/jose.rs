//! The JOSE cases of Wycheproof: its keys, a valid token of each and the attacks that are data
//! come from `vectors/wycheproof_jws.json`; what it derives from a valid token by rule is
//! derived here, for every token.

use jsonwebtoken::EncodingKey;
use postern_jose::{Algorithm, KeySet, SignatureVerifier, TokenError};
use serde_json::{Value, json};

use super::{encoded, judge};

const VECTORS: &str = include_str!("../vectors/wycheproof_jws.json");
const RSA: &[u8] = include_bytes!("../keys/rsa-private.pem");
const EC: &[u8] = include_bytes!("../keys/ec-private.pem");
const PUBLIC: &str = include_str!("../keys/jwks.json");

/// Tries every case whose algorithm is supported; how many that were.
pub fn check(verifier: &mut dyn SignatureVerifier, supports: impl Fn(Algorithm) -> bool) -> usize {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut cases = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        // A key that may not verify is not in the set; then nothing may hold.
        let keys = KeySet::parse(json!({"keys": [group["public"]]}).to_string().as_bytes());
        let keys = keys.unwrap_or_default();
        if keys.keys.first().is_some_and(|key| !supports(key.algorithm)) {
            continue;
        }
        for test in group["tests"].as_array().unwrap() {
            let (what, jws) = (test["comment"].as_str().unwrap(), test["jws"].as_str().unwrap());
            let judged = judge(jws, &keys, verifier);
            let is_valid = test["result"] == "valid";
            assert_eq!(judged.is_ok(), is_valid, "{} {what}: {judged:?}", test["tcId"]);
            cases += 1;
            if is_valid {
                for (what, attack) in attacks(jws, keys.keys[0].algorithm) {
                    let judged = judge(&attack, &keys, verifier);
                    assert!(is_refusal(judged), "{} {what}: {judged:?} {attack}", test["tcId"]);
                    cases += 1;
                }
            }
        }
    }
    cases
}

/// Refused for what it is, not because it could not be looked at.
fn is_refusal(judged: Result<(), TokenError>) -> bool {
    matches!(judged, Err(error) if !error.is_ours())
}

fn attacks(jws: &str, algorithm: Algorithm) -> Vec<(&'static str, String)> {
    let [h, p, s]: [&str; 3] = jws.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut attacks = modified(h, p, s);
    attacks.extend(misspelled(h, p, s));
    attacks.extend(with_other_headers(h, p, s));
    attacks.extend(embedded_key(h, p, algorithm).map(|jws| ("embedded key", jws)));
    attacks
}

fn modified(h: &str, p: &str, s: &str) -> Vec<(&'static str, String)> {
    let mut attacks = vec![
        ("modified signature", format!("{h}.{p}.{}", other_start(s))),
        ("missing signature", format!("{h}.{p}.")),
        ("missing signature and separator", format!("{h}.{p}")),
        ("truncated signature", format!("{h}.{p}.{}", s.get(4..).unwrap())),
        ("longer signature", format!("{h}.{p}.AAAA{s}")),
        ("modified payload", format!("{h}.{}.{s}", other_start(p))),
        ("longer payload", format!("{h}.AAAA{p}.{s}")),
        ("missing payload and separator", format!("{h}.{s}")),
        ("missing header", format!(".{p}.{s}")),
        ("missing header and separator", format!("{p}.{s}")),
        ("missing header and signature", format!(".{p}.")),
        ("payload alone", p.to_owned()),
        ("separators alone", "..".to_owned()),
        ("empty string", String::new()),
        ("extra empty component", format!("{h}.{p}.{s}.")),
        ("extra component", format!("{h}.{p}.{s}.foo")),
        ("JSON serialization", json!({"payload": p, "protected": h, "signature": s}).to_string()),
    ];
    if !p.is_empty() {
        attacks.push(("missing payload", format!("{h}..{s}")));
    }
    attacks
}

/// One token, one spelling (RFC 7515 §2): base64url without padding, space or stray bits.
fn misspelled(h: &str, p: &str, s: &str) -> Vec<(&'static str, String)> {
    let mut attacks = Vec::new();
    for mark in [" ", "=", "?", "####", "\n", "+", "/", "\0", "é"] {
        attacks.push(("in the header", format!("{h}{mark}.{p}.{s}")));
        attacks.push(("before the header", format!("{mark}{h}.{p}.{s}")));
        attacks.push(("in the payload", format!("{h}.{p}{mark}.{s}")));
        attacks.push(("before the payload", format!("{h}.{mark}{p}.{s}")));
        attacks.push(("in the signature", format!("{h}.{p}.{s}{mark}")));
        attacks.push(("before the signature", format!("{h}.{p}.{mark}{s}")));
    }
    if let Some(s) = with_stray_bits(s) {
        attacks.push(("stray bits in the signature", format!("{h}.{p}.{s}")));
    }
    attacks
}

fn with_other_headers(h: &str, p: &str, s: &str) -> Vec<(&'static str, String)> {
    let header = String::from_utf8(postern_jose::base64url::decode(h).unwrap()).unwrap();
    let alg = serde_json::from_str::<Value>(&header).unwrap()["alg"].clone();
    let alg = alg.as_str().unwrap();
    let with_alg = |other: &str| header.replace(&format!("\"{alg}\""), &format!("\"{other}\""));
    let mut headers = vec![
        ("space in the header", header.replacen('{', "{ ", 1)),
        ("another kid", header.replace("\"kid\":\"", "\"kid\":\"X")),
        ("alg twice", header.replacen('{', &format!("{{\"alg\":\"{alg}\","), 1)),
        ("critical", header.replacen('{', "{\"crit\":[\"exp\"],\"exp\":1,", 1)),
        ("not a token", header.replacen('{', "{\"typ\":\"dpop+jwt\",", 1)),
    ];
    for other in ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RSA-OAEP"] {
        headers.push(("no such algorithm", with_alg(other)));
    }
    for other in Algorithm::ALL.map(Algorithm::as_str).into_iter().filter(|other| *other != alg) {
        headers.push(("another algorithm", with_alg(other)));
    }
    let signed =
        headers.iter().map(|(what, header)| (*what, format!("{}.{p}.{s}", encoded(header))));
    let unsigned =
        headers.iter().map(|(what, header)| (*what, format!("{}.{p}.", encoded(header))));
    signed.chain(unsigned).collect()
}

/// Signed by somebody else, who put their public key into the header. None where nothing here
/// can sign.
fn embedded_key(h: &str, p: &str, algorithm: Algorithm) -> Option<String> {
    let mut header: Value =
        serde_json::from_slice(&postern_jose::base64url::decode(h).unwrap()).unwrap();
    let theirs: jsonwebtoken::Algorithm = algorithm.as_str().parse().ok()?;
    let public: Value = serde_json::from_str(PUBLIC).unwrap();
    let (at, key) = match algorithm.as_str().get(..2)? {
        "RS" | "PS" => (0, EncodingKey::from_rsa_pem(RSA).unwrap()),
        "ES" if algorithm == Algorithm::Es256 => (1, EncodingKey::from_ec_pem(EC).unwrap()),
        _ => return None,
    };
    header["jwk"] = public["keys"][at].clone();
    let input = format!("{}.{p}", encoded(&header.to_string()));
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, theirs).unwrap();
    Some(format!("{input}.{signature}"))
}

fn other_start(part: &str) -> String {
    let first = if part.starts_with('A') { "B" } else { "A" };
    format!("{first}{}", part.get(1..).unwrap_or_default())
}

/// The same bytes with bits set that no byte has any more; none where there are no such bits.
fn with_stray_bits(part: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if part.len().is_multiple_of(4) {
        return None;
    }
    let (start, last) = part.split_at_checked(part.len() - 1)?;
    let next = ALPHABET.get(ALPHABET.find(last)? + 1..)?.chars().next()?;
    Some(format!("{start}{next}"))
}
