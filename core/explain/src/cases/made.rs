//! Tokens and proofs of a case file as texts that `explain` judges like any other.
//!
//! Nobody signs them: their signature is a text of our own, and [`GivenSignatures`] takes it for a
//! good one. All else about them is judged in full: where they stand, their form, whose they are,
//! their time.

use postern_document::{Document, JwksSource};
use postern_jose::{
    Algorithm, Curve, Key, KeyMaterial, KeySet, SignatureVerifier, VerifyError, base64url, dpop,
};
use postern_request::json::Value;

use super::proof::Proven;
use super::token::{Made, Token};
use super::{Case, Sent};
use crate::request::Request;

/// What signatures of case files are made of.
const GIVEN: &[u8] = b"a case file says that this holds. ";
/// The id of the keys of issuers whose keys are not in the document.
const KEY_ID: &str = "given-by-case-file";

/// Takes the signatures of case files for good ones, and asks another verifier about all others.
pub(super) struct GivenSignatures<'v> {
    pub(super) others: &'v mut dyn SignatureVerifier,
}

impl SignatureVerifier for GivenSignatures<'_> {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        if signature == given(signature.len()) {
            return Ok(true);
        }
        self.others.verify(key, signing_input, signature)
    }
}

/// A signature that holds.
fn given(length: usize) -> Vec<u8> {
    GIVEN.iter().copied().cycle().take(length).collect()
}

/// One that does not.
fn wrong(length: usize) -> Vec<u8> {
    vec![0; length]
}

/// The key of issuers whose keys are not in the document.
fn key_of_nobody() -> Key {
    let material = KeyMaterial::Rsa { modulus: vec![0xff; 256], exponent: vec![1, 0, 1] };
    Key::new(Some(KEY_ID.to_owned()), Algorithm::Rs256, material)
}

/// Keys of the issuers whose keys are not in the document, by their places there.
pub(super) fn keys(document: &Document) -> Vec<Option<KeySet>> {
    let of_nobody = || KeySet { keys: vec![key_of_nobody()], skipped: Vec::new() };
    let issuers = document.issuers.iter();
    issuers
        .map(|issuer| match issuer.jwks {
            JwksSource::Inline(_) => None,
            _ => Some(of_nobody()),
        })
        .collect()
}

/// The keys of a client: the one that tokens are bound to, and another one.
fn client_key(is_other: bool) -> (Key, Value) {
    let (x, y) = if is_other { (vec![9; 32], vec![10; 32]) } else { (vec![7; 32], vec![8; 32]) };
    let text = |text: &str| Value::String(text.to_owned());
    let jwk = Value::Object(vec![
        ("kty".to_owned(), text("EC")),
        ("crv".to_owned(), text(Curve::P256.as_str())),
        ("x".to_owned(), text(&base64url::encode(&x))),
        ("y".to_owned(), text(&base64url::encode(&y))),
    ]);
    let material = KeyMaterial::Ec { curve: Curve::P256, x, y };
    (Key::new(None, Algorithm::Es256, material), jwk)
}

fn compact(header: &str, claims: &str, signature: &[u8]) -> String {
    let parts = [header.as_bytes(), claims.as_bytes(), signature];
    parts.map(base64url::encode).join(".")
}

/// Makes what a case sends.
pub(super) struct Maker<'d> {
    pub(super) document: &'d Document,
    pub(super) case: &'d Case,
}

impl Maker<'_> {
    /// A token as text.
    fn token(&self, token: &Token) -> String {
        if let Some(text) = token.text() {
            return text.to_owned();
        }
        let key = self.key_of(token);
        let thumbprint = base64url::encode(&client_key(false).0.thumbprint());
        let made = Made {
            now_secs: self.case.given.now.as_secs(),
            token_id: &token.name,
            thumbprint: &thumbprint,
            algorithm: key.algorithm.as_str(),
            key_id: key.id.as_deref(),
        };
        let length = key.signature_bytes();
        let signature = if token.is_signed() { given(length) } else { wrong(length) };
        compact(&token.header(&made), &token.claims(&made), &signature)
    }

    /// A key of the token's issuer.
    fn key_of(&self, token: &Token) -> Key {
        let mut issuers = self.document.issuers.iter();
        let issuer = issuers.find(|known| Some(known.issuer.issuer.as_str()) == token.issuer());
        let key = match issuer.map(|issuer| &issuer.jwks) {
            Some(JwksSource::Inline(set)) => set.keys.first().cloned(),
            _ => None,
        };
        key.unwrap_or_else(key_of_nobody)
    }

    fn proof(&self, token: &str) -> Option<String> {
        let sent = &self.case.request;
        let proof = sent.proof.as_ref()?;
        if let Some(text) = proof.text() {
            return Some(text.to_owned());
        }
        let (key, jwk) = client_key(proof.is_by_other_key());
        let path = sent.path.split(['?', '#']).next().unwrap_or_default();
        let proven = Proven {
            now_secs: self.case.given.now.as_secs(),
            proof_id: &self.case.name,
            method: &sent.method,
            url: &[&sent.scheme, "://", &sent.host, path].concat(),
            token_hash: &base64url::encode(&dpop::access_token_hash(token.as_bytes())),
            algorithm: key.algorithm.as_str(),
            key: &jwk,
        };
        let length = key.signature_bytes();
        let signature = if proof.is_signed() { given(length) } else { wrong(length) };
        Some(compact(&proof.header(&proven), &proof.claims(&proven), &signature))
    }

    /// The request as `explain` takes it, but for an API key that counts as known.
    pub(super) fn request(&self) -> Request {
        let sent: &Sent = &self.case.request;
        let make = |token: &Token| self.token(token);
        let mut headers: Vec<(String, Vec<u8>)> = Vec::with_capacity(sent.headers.len() + 2);
        for (name, value) in &sent.headers {
            headers.push((name.clone(), sent.fill_in(value, &make).into_bytes()));
        }
        if let Some(token) = &sent.token {
            let text = self.token(token);
            let proof = self.proof(&text);
            let value = format!("{} {text}", sent.token_scheme());
            headers.push(("authorization".to_owned(), value.into_bytes()));
            headers.extend(proof.map(|proof| ("dpop".to_owned(), proof.into_bytes())));
        }
        Request {
            method: sent.method.clone(),
            scheme: sent.scheme.clone(),
            authority: sent.host.clone(),
            target: sent.fill_in(&sent.path, &make),
            headers,
            certificate: sent.certificate,
            peer: sent.peer.clone(),
            address: Some(sent.address),
            ..Request::get(&sent.host, &sent.path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl SignatureVerifier for Nobody {
        fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
            Err(VerifyError::Unsupported)
        }
    }

    #[test]
    fn only_signatures_of_case_files_count_without_a_look() {
        let mut verifier = GivenSignatures { others: &mut Nobody };
        let key = key_of_nobody();
        assert_eq!(verifier.verify(&key, b"any", &given(256)), Ok(true));
        for other in [wrong(256), given(255).into_iter().chain([0]).collect()] {
            let answer = verifier.verify(&key, b"any", &other);
            assert_eq!(answer, Err(VerifyError::Unsupported));
        }
    }

    #[test]
    fn a_client_has_two_keys() {
        let (own, other) = (client_key(false).0, client_key(true).0);
        assert_ne!(own.thumbprint(), other.thumbprint());
        assert_eq!(own.signature_bytes(), 64);
    }
}
